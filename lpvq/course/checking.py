"""The checks of exercises."""

from importlib import import_module
from typing import Any


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
    checkers = import_module(f"lpvq.course.exercises.notebook_{notebook:0>2}").CHECKERS
    try:
        complaint = checkers[exercise](answer)
    except Exception as error:  # whatever a half-finished answer does, the reader gets a sentence
        complaint = f"checking it failed with {type(error).__name__}: {error}"
    print(f"exercise {exercise}: " + ("correct" if complaint is None else f"not yet: {complaint}"))
