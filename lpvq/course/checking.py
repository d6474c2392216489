"""The checks of exercises."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from lpvq.runtime import without_bars


def check(exercise: str, answer: Any) -> None:
    """Print what is to be said about an answer.

    Args:
        exercise: its number, as in the notebook: "2.1" is the first of notebook 02.
        answer: the reader's answer, ``...`` where there is none yet, or a list, tuple or dictionary of these.
    """
    if _is_open(answer):
        print(f"exercise {exercise}: not done yet")
        return
    notebook = exercise.partition(".")[0]
    checkers = import_module(f"lpvq.course.exercises.notebook_{notebook:0>2}").CHECKERS
    try:
        with without_bars():  # which would appear the first time only, as checks remember
            complaint = checkers[exercise](answer)
    except Exception as error:  # whatever a half-finished answer does, the reader gets a sentence
        complaint = f"checking it failed with {type(error).__name__}: {error}"
    print(f"exercise {exercise}: " + ("correct" if complaint is None else f"not yet: {complaint}"))


def _is_open(answer: Any) -> bool:
    """Whether nothing has been put in place of any ``...``."""
    parts = list(answer.values()) if isinstance(answer, Mapping) else answer
    if isinstance(parts, list | tuple) and parts:
        return all(part is ... for part in parts)
    return answer is ...
