"""What a submission brings, and how that is kept."""

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode, v4

from lpvq.classroom.names import file_name
from lpvq.errors import InputError
from lpvq.files import read_json, write_atomically, write_json


@dataclass
class Grade:
    """What a submission brings.

    Attributes:
        student: see ``HandedIn``.
        points: of each question by name; None where a person has to grade it. Empty where there is no grade: nothing
            was handed in, or it could not be run.
        remarks: what student and teacher must know: what was put back, what stopped the notebook, why it cannot be
            read.
        messages: what failed tests say, by question.
        by_hand: points and a comment that a person gave, by question; None in place of points that are still open.
        identity: of the submission, the source and the limits; where it is the same, nothing is run again.
        file: the notebook that counts.
        time: when that file was written, in seconds since 1970; 0 where it is not known.
        answers: a short checksum of each answer that a person grades.
        of: the most that each question can bring.
        days_late: how many days after the deadline have begun; 0 if it was in time, or there is no deadline.
        factor: what the points are multiplied by for that.
        is_held_back: whether somebody first has to say whose work it is.
        notes: what only the teacher has to know.
    """

    student: str
    points: dict[str, float | None]
    remarks: list[str] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)
    by_hand: dict[str, tuple[float | None, str]] = field(default_factory=dict)
    identity: str = ""
    file: str = ""
    time: float = 0.0
    answers: dict[str, str] = field(default_factory=dict)
    of: dict[str, float] = field(default_factory=dict)
    days_late: int = 0
    factor: float = 1.0
    is_held_back: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def all_remarks(self) -> list[str]:
        """All that the teacher has to know."""
        return [*self.notes, *self.remarks]

    @property
    def all_points(self) -> dict[str, float | None]:
        """The points of each question, those given by hand included."""
        return {name: self.by_hand.get(name, (value,))[0] if value is None else value
                for name, value in self.points.items()}  # fmt: skip

    @property
    def total(self) -> float | None:
        """All points together, less what being late costs; None where there is no grade."""
        if not self.points or self.is_held_back:
            return None
        return round(self.factor * sum(value for value in self.all_points.values() if value is not None), 2)

    @property
    def in_words(self) -> str:
        """What was reached of what is decided: "17 of 17, 3 still by hand"."""
        if self.total is None:
            return "no grade"
        left = sum(self.of.get(name, 0) for name in self.still_open)
        of = sum(self.of.values()) - left
        return f"{self.total:g} of {of:g}" + (f", {left:g} still by hand" if left else "")

    @property
    def still_open(self) -> list[str]:
        """The questions that a person has yet to grade."""
        return [name for name, value in self.all_points.items() if value is None]


def kept(folder: Path, student: str) -> tuple[Path, Path]:
    """Return where a grade and the notebook that was run are kept, below the folder of an assignment."""
    name = file_name(student)
    return folder / "graded" / f"{name}.json", folder / "graded" / f"{name}.ipynb"


def find(folder: Path, student: str, identity: str | None) -> Grade | None:
    """Return a grade that was kept, if it is whole and of this identity (None: of any); otherwise None."""
    path, executed = kept(folder, student)
    try:
        before = Grade(**read_json(path))
        return before if identity in (None, before.identity) and executed.is_file() else None
    except (InputError, TypeError, AttributeError):  # there is none, or garbage, or one of another version
        return None


def keep(folder: Path, grade: Grade, executed: NotebookNode | None) -> None:
    """Keep a grade, and the notebook if it was run anew. Where there is a grade, there is a notebook."""
    path, beside = kept(folder, grade.student)
    if executed is not None:
        write_anyway(beside, (nbformat.writes(executed) + "\n").encode())
    make_way(path)
    write_json(path, asdict(grade))


def executed_of(folder: Path, student: str) -> NotebookNode:
    """Return the notebook that was run; an empty one where that cannot be read."""
    try:
        return nbformat.read(kept(folder, student)[1], as_version=4)
    except Exception:  # of many kinds: somebody may have tampered with it
        return v4.new_notebook()


def write_anyway(path: Path, content: bytes) -> None:
    """Write a file atomically, even where a folder has its name."""
    make_way(path)
    write_atomically(path, content)


def make_way(path: Path) -> None:
    """Remove what is not a file from where one belongs: results are this program's own."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() and not path.is_file():
        path.unlink()
