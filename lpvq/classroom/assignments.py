"""Assignments: sources with solutions and hidden tests, and the student versions that are made from them.

A source is a notebook in nbgrader's format (https://nbgrader.readthedocs.io): solutions between ``### BEGIN SOLUTION``
and ``### END SOLUTION``, hidden tests between ``### BEGIN HIDDEN TESTS`` and ``### END HIDDEN TESTS``, and in the
metadata of each cell that matters its ``grade_id`` and, where it is graded, its points. nbgrader's own converters make
the student versions, so both its tools and ``lpvq.grading`` take what students hand in.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from lpvq.classroom.limits import Limits
from lpvq.classroom.sandbox import Run, run
from lpvq.course.questions import NotYetError
from lpvq.environment import needs_extra
from lpvq.errors import InputError
from lpvq.files import write_atomically

_SETUP = "-setup"
_OF_CLASS = re.compile(r"^of_class\(['\"](.*?)['\"]\)", re.MULTILINE)
_HEADING = re.compile(r"#+ +(.+?) *(?:\n|$)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Question:
    """A cell that is graded.

    Attributes:
        name: its ``grade_id``.
        points: the most that it can bring.
        by_hand: whether a person grades it.
        title: the heading that it stands below.
        text: what is asked there.
        rests_on: the cells that its tests need, the nearest first: its answer, and what is given.
    """

    name: str
    points: float
    by_hand: bool
    title: str = ""
    text: str = ""
    rests_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """A source and its student version.

    Attributes:
        name: that of the file, without its ending.
        source: the notebook with solutions and hidden tests.
        release: the notebook that students get.
    """

    name: str
    source: NotebookNode
    release: NotebookNode

    @cached_property
    def questions(self) -> list[Question]:
        """What is graded, in order."""
        found = []
        title, text, answer = "", "", ""
        given: list[str] = []
        for cell in self.source.cells:
            facts = about(cell)
            if cell.cell_type == "markdown" and not facts:
                heading = _HEADING.match(cell.source)
                title, text = (
                    (heading[1], heading[2].strip()) if heading else (title, f"{text}\n\n{cell.source}".strip())
                )
            elif facts.get("grade"):
                rests_on = tuple(filter(None, [answer, *reversed(given)])) if not facts["solution"] else ()
                found.append(
                    Question(facts["grade_id"], float(facts["points"]), facts["solution"], title, text, rests_on)
                )
            elif facts.get("solution"):
                answer = facts["grade_id"]
            elif facts:
                given.append(facts["grade_id"])
        several = Counter(question.title for question in found)
        parts: Counter[str] = Counter()
        for index, question in enumerate(found):
            if several[question.title] > 1:
                parts[question.title] += 1
                found[index] = replace(question, title=f"{question.title}, part {parts[question.title]}")
        return found

    @property
    def title(self) -> str:
        """What stands at the top of it."""
        first = _HEADING.match(self.source.cells[0].source) if self.source.cells else None
        return first[1] if first else self.name


def about(cell: Any) -> dict[str, Any]:
    """Return what a cell's metadata say for nbgrader; empty for a cell that does not concern it, or is none."""
    for name in ("metadata", "nbgrader"):
        cell = cell.get(name) if isinstance(cell, dict) else None
    return cell if isinstance(cell, dict) and isinstance(cell.get("grade_id"), str) else {}


def load_assignments(folder: str | Path, class_name: str = "") -> list[Assignment]:
    """Return the assignments whose sources lie in a folder, and make their student versions.

    Args:
        folder: where the sources are.
        class_name: the class whose numbers are drawn; "" for the numbers of the sources as they are.

    Raises:
        InputError: there are none, nbgrader is not installed, or it refuses a source.
    """
    paths = sorted(Path(folder).glob("*.ipynb"))
    if not paths:
        raise InputError(f"{folder} holds no notebooks; expected the sources of assignments")
    sources = [(path, _for_class(nbformat.read(path, as_version=4), class_name)) for path in paths]
    return [Assignment(path.stem, source, _student_version(path, source)) for path, source in sources]


def class_of(cells: Sequence[Any]) -> str:
    """Return the name of the class that a notebook was handed out to; "" for none."""
    for cell in cells:
        if about(cell).get("grade_id", "").endswith(_SETUP):
            found = _OF_CLASS.search("".join(cell.get("source", "")))
            return found[1] if found else ""
    return ""


def _for_class(source: NotebookNode, class_name: str) -> NotebookNode:
    """A source that draws the numbers of a class: its first locked cell says so."""
    for cell in source.cells:
        if class_name and about(cell).get("grade_id", "").endswith(_SETUP):
            cell.source = f"from lpvq.course.questions import of_class\n\nof_class({class_name!r})\n{cell.source}"
    return source


def release(output: str | Path, folder: str | Path, class_name: str = "") -> list[Path]:
    """Write the student versions of all assignments to ``output``, each in a folder of its own, as nbgrader has it.

    Each is run first, as it is: every test has to say "not done yet", and nothing else may fail.

    Raises:
        InputError: there are no sources, nbgrader is not installed or refuses a source, or a student version does
            not run.
    """
    paths = []
    for assignment in load_assignments(folder, class_name):
        complaints = complaints_about(run(assignment.release, Limits()))
        if complaints:
            raise InputError(f"the student version of {assignment.name} does not run: {'; '.join(complaints)}")
        path = Path(output) / assignment.name / f"{assignment.name}.ipynb"
        write_atomically(path, (nbformat.writes(assignment.release) + "\n").encode())
        paths.append(path)
    return paths


def complaints_about(made: Run) -> list[str]:
    """Return what is wrong with a student version that was run as it is handed out."""
    complaints = [] if made.stopped is None else [made.stopped]
    for cell in made.notebook.cells:
        errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
        is_test = about(cell).get("grade", False) and cell.cell_type == "code"
        if is_test and not any(_says_not_done(error) for error in errors):
            complaints.append(f"the tests {about(cell)['grade_id']} do not say that nothing is done yet")
        elif errors and not is_test:
            complaints.append(f"the cell {cell.source.splitlines()[0]!r} fails: {errors[0].evalue}")
    return complaints


def _says_not_done(error: NotebookNode) -> bool:
    return error.ename == NotYetError.__name__ and "not done yet" in error.evalue


def _student_version(source: Path, notebook: NotebookNode) -> NotebookNode:
    """What nbgrader's ``generate_assignment`` makes of a source; without a database."""
    with needs_extra("classroom"):
        from nbgrader.converters import GenerateAssignment
        from nbgrader.coursedir import CourseDirectory
        from traitlets.config import Config
    with tempfile.TemporaryDirectory() as course:
        inside = Path(course) / "source" / source.stem
        inside.mkdir(parents=True)
        nbformat.write(notebook, inside / source.name)
        config = Config()
        config.CourseDirectory.root = course
        config.CourseDirectory.assignment_id = source.stem
        config.CourseDirectory.db_url = f"sqlite:///{course}/unused.db"
        config.GenerateAssignment.no_database = True
        config.SaveCells.enabled = False
        converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
        converter.log.setLevel("CRITICAL")  # what it has to say comes as an exception as well
        try:
            converter.start()
        except (Exception, SystemExit) as error:
            raise InputError(f"nbgrader refuses {source}: {error}") from error
        made = nbformat.read(Path(course) / "release" / source.stem / source.name, as_version=4)
    _let_run_all_go_on(made.cells)
    return made


def _let_run_all_go_on(cells: Sequence[NotebookNode]) -> None:
    """Have "Run All Cells" go on after a test that fails, so that a student sees how all questions stand."""
    for cell in cells:
        if cell.cell_type == "code" and about(cell).get("grade"):
            cell.metadata.setdefault("tags", []).append("raises-exception")
