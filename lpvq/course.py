"""What the notebooks share: how each begins, and the checks of its exercises.

An exercise leaves an answer open with ``...``; its check cell hands the answer to ``check``, which prints "not done
yet", "correct", or what is wrong and by how much.
"""

import platform
from importlib import import_module
from importlib.metadata import version
from typing import Any

import torch

from lpvq.pipeline import Workspace


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
        exercise: its number, as it stands in the notebook: "2.1" is the first of notebook 02.
        answer: the reader's answer, ``...`` where there is none yet.
    """
    if answer is ...:
        print(f"exercise {exercise}: not done yet")
        return
    notebook = exercise.partition(".")[0]
    checkers = import_module(f"lpvq.exercises.notebook_{notebook:0>2}").CHECKERS
    try:
        complaint = checkers[exercise](answer)
    except Exception as error:  # whatever a half-finished answer does, the reader gets a sentence
        complaint = f"checking it failed with {type(error).__name__}: {error}"
    print(f"exercise {exercise}: " + ("correct" if complaint is None else f"not yet: {complaint}"))
