"""What the notebooks share: how each begins, the checks of its exercises, and the tests of assignments.

An exercise leaves an answer open with ``...``; its check cell hands the answer to ``check``, which prints "not done
yet", "correct", or what is wrong and by how much. A question of an assignment is tested in the notebook itself, below
``question``, which says the same.
"""

import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib import import_module
from importlib.metadata import version
from random import Random
from typing import Any

import torch
from torch import Tensor

from lpvq.exercises.comparing import compare_number, compare_tensor
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


class NotYetError(AssertionError):
    """What a question of an assignment says of a wrong answer. Jupyter shows these words, and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


@contextmanager
def question(number: str) -> Iterator[None]:
    """Run tests of a question of an assignment: print that they pass, or say in one line what is wrong.

    Any other error than a failed assertion goes through as it is, because its traceback shows the student where.
    Warnings go where prints go: nbgrader takes anything on stderr for a failure.

    Args:
        number: of the question, "1.2".

    Raises:
        NotYetError: an answer is missing or wrong.
    """
    try:
        with redirect_stderr(sys.stdout):
            yield
    except NotImplementedError:
        raise NotYetError(f"question {number}: not done yet") from None
    except AssertionError as error:
        raise NotYetError(f"question {number}: not yet: {error}") from None
    print(f"question {number}: these tests pass")


def agree(answer: Any, expected: float | Tensor, what: str, tolerance: float = 1e-5) -> None:
    """Assert that an answer, ``what`` in words, is the right number or tensor.

    Raises:
        AssertionError: it is not; with what is wrong, and by how much.
    """
    if isinstance(expected, Tensor):
        complaint = compare_tensor(answer, expected, tolerance)
    else:
        complaint = compare_number(answer, expected, tolerance)
    assert complaint is None, f"{what}: {complaint}"


def random_for(student: str, purpose: str) -> Random:
    """Return a source of random numbers that is another for each student, and the same for one everywhere.

    Args:
        student: the id; white space around it and capitals make no difference.
        purpose: a word, so that two questions do not get the same numbers.
    """
    return Random(f"{student.strip().lower()} {purpose}")
