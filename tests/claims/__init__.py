"""What the lessons claim, the cell that shows it, and how a run of the notebook decides whether it holds.

``tests/check_claims.py`` runs the notebooks and asks; a test checks that each claim is still what its notebook says.
There is a file for each notebook, with its claims in ``CLAIMS``, and in ``TRAININGS`` the cells that train.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

Kind = Literal["measured", "exact", "time"]


@dataclass(frozen=True)
class Claim:
    """A claim of a lesson.

    Attributes:
        text: a piece of a sentence of the lesson, as it stands there; a line break counts as a space.
        cell: the id of the code cell that shows it.
        value: an expression for what was found, over the notebook's names as they are when the cell has run: a number,
            or a list or dictionary of some. Empty where the cell itself is the test.
        holds: an expression over the same names and ``value``: whether the conclusion is right.
        kind: "measured" if chance or the length of a training could change it; "exact" for what follows from a
            definition or is tested exactly; "time" for what depends on the machine.
    """

    text: str
    cell: str
    value: str = ""
    holds: str = ""
    kind: Kind = "measured"


@dataclass(frozen=True)
class Training:
    """Where the number of steps of a cell that trains comes from.

    Attributes:
        rewritten: names, of variables and arguments, and numbers in the cell that are multiplied.
        why: for nothing to be multiplied here.
    """

    rewritten: tuple[str, ...] = ()
    why: str = ""


BY_TRAINER = Training(why="the package's trainer does it")


def exact(text: str, cell: str) -> Claim:
    """Return a claim that the cell tests exactly."""
    return Claim(text, cell, kind="exact")


def time(text: str, cell: str, value: str, holds: str) -> Claim:
    """Return a claim about seconds."""
    return Claim(text, cell, value, holds, "time")


def claims_of(notebook: Path) -> tuple[list[Claim], dict[str, Training]]:
    """Return the claims of a lesson, and its cells that train."""
    module = import_module(f"claims.notebook_{notebook.name[:2]}")
    return module.CLAIMS, module.TRAININGS
