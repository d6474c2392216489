"""The tests of assignments."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from random import Random
from typing import Any

from torch import Tensor

from lpvq.course.exercises.comparing import compare_number, compare_tensor


class NotYetError(AssertionError):
    """What a question of an assignment says about a wrong answer. Jupyter shows these words, and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


@contextmanager
def question(number: str) -> Iterator[None]:
    """Run tests of a question of an assignment: print that they pass, or say in one line what is wrong.

    Any error other than a failed assertion goes through as it is, because its traceback shows the student where.
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
    """Assert that an answer, called ``what`` in words, is the right number or tensor, in whatever form.

    Raises:
        AssertionError: it is not; the message says what kind of mistake it is, and never what the answer would be.
    """
    if isinstance(expected, Tensor):
        complaint = compare_tensor(answer, expected, tolerance)
    else:
        complaint = compare_number(answer, expected, tolerance)
    assert complaint is None, f"{what}: {complaint}"


_class = ""  # whose numbers are drawn; "" for those of nobody in particular


def of_class(name: str) -> None:
    """Have ``random_for`` draw the numbers of a class, so that last year's are of no use."""
    global _class
    _class = name


def random_for(student: str, purpose: str) -> Random:
    """Return a source of random numbers that is different for each student, and for each the same everywhere.

    Args:
        student: the id; white space around it and capitals make no difference.
        purpose: a word, so that two questions do not get the same numbers.
    """
    return Random(f"{_class} {student.strip().lower()} {purpose}".lstrip())
