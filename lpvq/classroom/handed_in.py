"""Who handed in what: from a folder, however a platform exports it, to the notebook of each student that counts.

It understands a folder for each student, with any folders in it (nbgrader's ``STUDENT/ASSIGNMENT/NAME.ipynb`` too), a
file for each student, a folder of an assignment above the students, archives of any of these, and the names that
Moodle and Canvas give to folders and files.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lpvq.classroom.archives import Item, walk
from lpvq.classroom.assignments import Assignment, about
from lpvq.classroom.names import copy_number, platform_student, shown
from lpvq.classroom.reading import UnreadableError, cells_of, decoded, text_of
from lpvq.errors import InputError

_NAMED_NOTEBOOK = re.compile(r"\.ipynb(\.(json|txt|download|part))?( ?\(\d+\))?$", re.IGNORECASE)
_NAMED = 8  # how many are named of what was found and not taken


@dataclass(frozen=True)
class Submission:
    """The notebook that a student handed in for an assignment.

    Attributes:
        student: see ``HandedIn``.
        assignment: what it is an answer to; None where that cannot be told.
        name: of the file, with the folders that it lay in below the student's.
        item: the file.
        is_readable: whether it is a notebook.
        is_untouched: whether no answer has been changed.
        is_called_late: whether the platform says in its name that it is late.
        remarks: which version this is, where there were several.
    """

    student: str
    assignment: Assignment | None
    name: str
    item: Item
    is_readable: bool = True
    is_untouched: bool = False
    is_called_late: bool = False
    remarks: tuple[str, ...] = ()


@dataclass
class HandedIn:
    """All that a student handed in.

    Attributes:
        student: the name of the folder, or what a loose file is called; a platform's own additions are cut off from
            the names of loose files.
        number: the platform's number of the student or the submission; None where the name has none.
        submissions: by the assignment's name.
        others: notebooks that belong to no assignment.
        not_taken: what else was found, and why it does not count.
    """

    student: str
    number: str | None = None
    submissions: dict[str, Submission] = field(default_factory=dict)
    others: list[Submission] = field(default_factory=list)
    not_taken: list[str] = field(default_factory=list)

    @property
    def what_else(self) -> str:
        """What was found and not taken, in a line; "" for nothing."""
        more = len(self.not_taken) - _NAMED
        return ", ".join(self.not_taken[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def find(folder: str | Path, assignments: Sequence[Assignment]) -> list[HandedIn]:
    """Return what lies below a folder by student, in the order of their names.

    Raises:
        InputError: the folder does not exist or holds nothing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected one with a folder for each student")
    names = {assignment.name for assignment in assignments}
    files: dict[str, list[tuple[Item, tuple[str, ...]]]] = {}
    numbers: dict[str, str] = {}
    for item in _without_wrapping(list(walk(folder)), names):
        student, number, rest = _whose(item)
        files.setdefault(student, []).append((item, rest))
        if number:
            numbers[student] = number
    if not files:
        raise InputError(f"{folder} holds nothing; expected a folder for each student, with what was handed in")
    return [_sorted_out(student, numbers.get(student), files[student], assignments) for student in sorted(files)]


def _without_wrapping(items: list[Item], names: set[str]) -> Iterable[Item]:
    """The items, without what stands above the students: an archive of the class, a folder of an assignment."""
    by_first: dict[str, list[Item]] = {}
    for item in items:
        by_first.setdefault(item.parts[0], []).append(item)
    for first, below in by_first.items():
        inside = [item for item in below if len(item.parts) > 1]
        is_archive = bool(inside) and all(item.path is None and item.trouble is None for item in inside) and (
            PurePosixPath(first).suffix.lower() in (".zip", ".tgz", ".gz", ".tar", ".bz2", ".xz")
        )  # fmt: skip
        if first in names and any(len(item.parts) > 2 for item in inside):
            yield from _without_wrapping(_cut(inside), names)
        elif is_archive and _is_class(_cut(inside), names):
            yield from _without_wrapping(_unwrapped(_cut(inside)), names)
        else:
            yield from below


def _cut(items: Sequence[Item]) -> list[Item]:
    return [Item(item.parts[1:], item.time, item.read, item.trouble, item.path) for item in items]


def _unwrapped(items: list[Item]) -> list[Item]:
    """The items without a single folder around all of them."""
    while len({item.parts[0] for item in items}) == 1 and all(len(item.parts) > 1 for item in items):
        if platform_student(items[0].parts[0]):
            break
        items = _cut(items)
    return items


def _is_class(items: list[Item], names: set[str]) -> bool:
    """Whether an archive holds several students: platform's names, or several folders that are not assignments."""
    items = _unwrapped(items)
    firsts = {item.parts[0] for item in items}
    if any(platform_student(first) for first in firsts):
        return True
    folders = {item.parts[0] for item in items if len(item.parts) > 1 and item.parts[0] not in names}
    return len(folders) > 1


def _whose(item: Item) -> tuple[str, str | None, tuple[str, ...]]:
    """A file's student, the platform's number, and the path below the student's folder."""
    first, rest = item.parts[0], item.parts[1:]
    known = platform_student(first)
    if rest or (item.trouble == "empty"):
        suffix = PurePosixPath(first).suffix.lower()
        if known and suffix in (".zip", ".tgz", ".gz"):  # Canvas: one archive of one student
            return known[0], known[1], rest
        if known and "onlinetext" in first.lower():
            return first.lower().partition("onlinetext")[0] and first.replace("onlinetext", "file"), known[1], rest
        return (PurePosixPath(first).stem if suffix in (".zip", ".tgz") else first), known[1] if known else None, rest
    if known:
        return known[0], known[1], (first,)
    return _stem(first), None, (first,)


def _stem(name: str) -> str:
    """A loose file's name without its endings."""
    stem = name
    while PurePosixPath(stem).suffix.lower() in (
        ".ipynb",
        ".json",
        ".txt",
        ".py",
        ".pdf",
        ".zip",
        ".gz",
        ".tar",
        ".tgz",
    ):
        stem = PurePosixPath(stem).stem
    return stem or name


def _sorted_out(
    student: str, number: str | None, files: Sequence[tuple[Item, tuple[str, ...]]], assignments: Sequence[Assignment]
) -> HandedIn:
    found = HandedIn(student, number)
    versions: dict[str, list[Submission]] = {}
    for item, rest in files:
        name = "/".join(rest) or item.name
        looked = _looked_at(student, item, name, assignments)
        if isinstance(looked, str):
            found.not_taken.append(looked)
        elif looked.assignment is None:
            found.others.append(looked)
        else:
            versions.setdefault(looked.assignment.name, []).append(looked)
    for assignment, several in versions.items():
        found.submissions[assignment] = _that_counts(several)
    return found


def _looked_at(student: str, item: Item, name: str, assignments: Sequence[Assignment]) -> Submission | str:
    """A submission, or why a file is not one."""
    if item.trouble is not None:
        return "nothing in it" if item.trouble == "empty" and len(item.parts) == 1 else f"{name}: {item.trouble}"
    is_named_so = _NAMED_NOTEBOOK.search(item.name) is not None
    known = platform_student(item.parts[0])
    try:
        content = item.read()
        if not is_named_so and not _might_be(content):
            return f"{name}: {_kind(content, item.name)}"
        cells = cells_of(content)
    except UnreadableError as error:
        if not is_named_so:
            return f"{name}: {error}"
        return Submission(student, _by_name(item, assignments), name, item, is_readable=False)
    except Exception as error:  # a disk, an archive with a wrong checksum
        return f"{name}: cannot be read ({type(error).__name__}: {str(error)[:80]})"
    assignment = _by_cells(cells, assignments) or _by_name(item, assignments)
    if not is_named_so and assignment is None:
        return f"{name}: data, not a notebook of an assignment"
    return Submission(
        student,
        assignment,
        name,
        item,
        is_untouched=assignment is not None and _is_untouched(cells, assignment),
        is_called_late=bool(known and known[2]),
    )


def _might_be(content: bytes) -> bool:
    return decoded(content[:400]).lstrip("\ufeff \t\r\n").startswith("{")


def _kind(content: bytes, name: str) -> str:
    try:
        cells_of(content[:400])
    except UnreadableError as error:
        said = str(error)
    low = name.lower()
    if low.endswith(".py"):
        return "a script, not a notebook"
    return said if "(a" in said or "empty" in said else "no notebook"


def _by_cells(cells: Sequence[object], assignments: Sequence[Assignment]) -> Assignment | None:
    """The assignment that most of the graded cells belong to."""
    names = {about(cell).get("grade_id") for cell in cells}
    shared = {one.name: len(names & {question.name for question in one.questions}) for one in assignments}
    best = max(assignments, key=lambda one: shared[one.name])
    return best if shared[best.name] else None


def _by_name(item: Item, assignments: Sequence[Assignment]) -> Assignment | None:
    """The assignment that the file, or a folder it lies in, is named after."""
    for part in reversed(item.parts):
        for assignment in assignments:
            if assignment.name.lower() in part.lower():
                return assignment
    return None


def _is_untouched(cells: Sequence[object], assignment: Assignment) -> bool:
    stubs = {about(cell)["grade_id"]: cell.source for cell in assignment.release.cells if about(cell).get("solution")}
    answers = {
        about(cell)["grade_id"]: text_of(cell)
        for cell in cells
        if isinstance(cell, dict) and about(cell).get("grade_id") in stubs
    }
    return all(text.strip() in ("", stubs[name].strip()) for name, text in answers.items())


def _that_counts(several: list[Submission]) -> Submission:
    """The latest of a student's versions that can be read and in which something was done; it says so."""

    def rank(one: Submission) -> tuple[bool, bool, float, int, str]:
        stem = PurePosixPath(one.item.name).name.partition(".")[0]
        return one.is_readable, not one.is_untouched, one.item.time, copy_number(stem), one.name

    several.sort(key=rank)
    chosen = several[-1]
    if len(several) == 1:
        return chosen
    left = ", ".join(one.name + ("" if one.is_readable else " (no notebook)") for one in several[:-1][-4:])
    remark = f"{len(several)} versions: {chosen.name} counts, not {left}"
    return Submission(
        chosen.student, chosen.assignment, chosen.name, chosen.item, chosen.is_readable, chosen.is_untouched,
        chosen.is_called_late, (remark,),
    )  # fmt: skip


def display(path: str | Path) -> str:
    """Return a path as it can be printed."""
    return shown(str(path))
