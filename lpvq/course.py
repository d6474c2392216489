"""What the notebooks share: how each begins, and the checks of its exercises.

An exercise leaves an answer open with ``...``; its check cell hands the answer to ``check``, which prints "not done
yet", "correct", or what is wrong and by how much.
"""

import math
import platform
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from lpvq.datasets import load
from lpvq.pipeline import Workspace, load_pretrained

_Checker = Callable[[Any], str | None]
_CHECKERS: dict[str, _Checker] = {}


def begin(dataset: str = "smileys", seed: int = 0) -> Workspace:
    """Begin a notebook: seed torch, say what it runs with, and return the workspace of its data set.

    The profile and the device are those of ``LPVQ_PROFILE`` and ``LPVQ_DEVICE``.
    """
    torch.manual_seed(seed)
    workspace = Workspace(dataset, seed=seed)
    print(f"profile {workspace.profile}, device {workspace.device}, seed {seed}")
    return workspace


def describe_setup() -> str:
    """Return one line on the versions that run here."""
    return f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {version('torchvision')}"


def check(exercise: str, answer: Any) -> None:
    """Print what is to be said of an answer.

    Args:
        exercise: the name of the exercise, as it stands in the notebook.
        answer: the reader's answer, ``...`` where there is none yet.
    """
    if answer is ...:
        print(f"exercise {exercise}: not done yet")
        return
    try:
        complaint = _CHECKERS[exercise](answer)
    except Exception as error:  # whatever a half-finished answer does, the reader gets a sentence
        complaint = f"checking it failed with {type(error).__name__}: {error}"
    print(f"exercise {exercise}: " + ("correct" if complaint is None else f"not yet: {complaint}"))


def _checks(exercise: str) -> Callable[[_Checker], _Checker]:
    """Make a function the checker of an exercise: it returns None, or what is wrong."""

    def register(checker: _Checker) -> _Checker:
        _CHECKERS[exercise] = checker
        return checker

    return register


def _compare_number(answer: Any, expected: float, tolerance: float) -> str | None:
    try:
        answer = float(answer)  # also of a tensor or an array that holds one number
    except (TypeError, ValueError, RuntimeError):
        return f"expected a number, got {type(answer).__name__}"
    difference = answer - expected
    if abs(difference) <= tolerance:
        return None
    return f"{answer:g} is too {'large' if difference > 0 else 'small'} by {abs(difference):.3g}"


def _compare_tensor(answer: Any, expected: Tensor, tolerance: float = 1e-5) -> str | None:
    if not isinstance(answer, Tensor):
        return f"expected a tensor, got {type(answer).__name__}"
    if answer.shape != expected.shape:
        return f"expected the shape {tuple(expected.shape)}, got {tuple(answer.shape)}"
    difference = (answer.double() - expected.double()).abs().max().item()
    return None if difference <= tolerance else f"the largest difference to the right values is {difference:.3g}"


# Notebook 00, on the pretrained smileys.


@_checks("0.1")
def _compression(answer: Any) -> str | None:
    vqvae, prior = load_pretrained()
    height, width = prior.image_size
    pixels = height * width * vqvae.downsample**2
    return _compare_number(answer, pixels * vqvae.in_channels * 8 / (height * width * math.log2(prior.latent_dim)), 0.5)


@_checks("0.2")
def _one_code_changed(answer: Any) -> str | None:
    vqvae, _ = load_pretrained()
    codes = vqvae.encode(load("smileys", "test", limit=1).floats())
    changed = codes.clone()
    changed[0, 4, 4] = 0
    return _compare_tensor(answer, (vqvae.decode(changed) - vqvae.decode(codes)).abs().amax((0, 1)))


@_checks("0.3")
def _sharper(answer: Any) -> str | None:
    _, prior = load_pretrained()
    nothing_yet = torch.zeros(1, *prior.image_size, dtype=torch.int64)
    with torch.no_grad():
        logits = prior(nothing_yet, labels=torch.tensor([1]))[0, :, 0, 0]
    return _compare_tensor(answer, (logits / 0.5).softmax(0))
