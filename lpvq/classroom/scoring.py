"""From a notebook that was run to points, and to what its student should be told first."""

import re
from collections.abc import Iterable

from nbformat import NotebookNode

from lpvq.classroom.assignments import Assignment, Question, about
from lpvq.course.questions import NotYetError

_LONGEST = 2000  # characters of a message; a student may make an error say anything
_LINE = re.compile(r"\(.*?, line (\d+)\)")


def points_of(assignment: Assignment, executed: NotebookNode) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the points of each question of a notebook that was run, and why those that brought none did not.

    A test that ran without an error brings all of its points, any other none, as under nbgrader. An answer to be
    graded by hand brings none if nothing was written; otherwise a person decides, and its points are None. Where the
    answer itself is at fault, a message says so before it says what the test found.
    """
    cells = {about(cell).get("grade_id"): cell for cell in executed.cells}
    stubs = {about(cell)["grade_id"]: cell.source for cell in assignment.release.cells if about(cell)}
    points: dict[str, float | None] = {}
    messages: dict[str, str] = {}
    for question in assignment.questions:
        cell = cells.get(question.name)
        if question.by_hand:
            is_empty = cell is None or cell.source.strip() in ("", stubs[question.name].strip())
            points[question.name] = 0.0 if is_empty and not (cell and cell.get("attachments")) else None
            continue
        message = _what_failed(cell)
        points[question.name] = question.points if message is None else 0.0
        if message is not None:
            causes = [cause for name in question.rests_on if (cause := _cause(name, cells.get(name)))]
            message = message.removeprefix(f"{NotYetError.__name__}: ")
            messages[question.name] = "; ".join([*causes, message])[:_LONGEST]
    return points, messages


def _what_failed(cell: NotebookNode | None) -> str | None:
    """Why a test brings no points; None if it brings them."""
    errors = _errors(cell)
    if errors:
        error = errors[0]
        if error.ename == "Timeout":
            return f"the test {error.evalue}: does what it calls ever end?"
        if error.ename == "Stopped":
            return f"the run ended here: {error.evalue}"
        return f"{error.ename}: {error.evalue}"
    return "was not reached" if cell is None or cell.execution_count is None else None


def _cause(name: str, cell: NotebookNode | None) -> str | None:
    """What is wrong with a cell that a test rests on; None where it ran, or says that it is not written yet."""
    errors = [error for error in _errors(cell) if error.ename != "NotImplementedError"]
    if not errors:
        return None
    error = errors[0]
    which = "the answer cell" if name.endswith("-answer") else f"the cell {name}"
    if error.ename in ("Timeout", "Stopped"):
        return f"{which} {error.evalue}" if error.ename == "Timeout" else f"{which} was running when it ended"
    line = _LINE.search(error.evalue)
    if error.ename in ("SyntaxError", "IndentationError", "TabError"):
        what = _LINE.sub("", error.evalue).strip()
        return (
            f"{which} has {_article(error.ename)} {error.ename}"
            + (f" at line {line[1]}" if line else "")
            + f" ({what})"
        )
    return f"{which} ends with {_article(error.ename)} {error.ename} ({error.evalue[:200]})"


def _article(word: str) -> str:
    return "an" if word[:1] in "AEIOU" else "a"


def _errors(cell: NotebookNode | None) -> list[NotebookNode]:
    shown = [] if cell is None else cell.get("outputs", [])
    return [output for output in shown if output.output_type == "error"]


def most(questions: Iterable[Question]) -> float:
    """Return the points that questions together can bring."""
    return sum(question.points for question in questions)
