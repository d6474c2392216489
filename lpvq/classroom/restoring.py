"""Put a submission right: locked cells are again as in the source, with hidden tests, and each cell in its place."""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from nbformat import NotebookNode, v4

from lpvq.classroom.assignments import Assignment, about
from lpvq.classroom.reading import pictures_of, text_of

STUDENT = re.compile(r"^STUDENT\s*=\s*(?:\"(.*?)\"|'(.*?)')", re.MULTILINE)
_SETS_STUDENT = re.compile(r"^STUDENT\s*=", re.MULTILINE)
_SETS_STUDENT_TO = re.compile(r"^STUDENT\s*=.*", re.MULTILINE)
_MOST_CELLS = 2000
_NAMED = 3  # cells that are each given a remark; more share one remark, or they would hide the others


def restore(assignment: Assignment, submitted: Sequence[Any], student: str = "") -> tuple[NotebookNode, list[str]]:
    """Put a submission right.

    Args:
        assignment: what the submission is an answer to.
        submitted: the cells of the notebook, whatever they are.
        student: who handed it in; put in if the cell with the id was lost.

    Returns:
        the notebook to run; what was put right, each remark once.
    """
    sources = {about(cell)["grade_id"]: cell for cell in assignment.source.cells if about(cell)}
    released = {about(cell)["grade_id"]: cell for cell in assignment.release.cells if about(cell)}
    remarks: list[str] = []
    if len(submitted) > _MOST_CELLS:
        remarks.append(f"has {len(submitted)} cells: those after {_MOST_CELLS} were left out")
        submitted = submitted[:_MOST_CELLS]
    last = {about(cell).get("grade_id"): index for index, cell in enumerate(submitted)}
    cells: list[NotebookNode] = []
    changed: list[str] = []
    for index, cell in enumerate(submitted):
        if not isinstance(cell, Mapping) or cell.get("cell_type") not in ("code", "markdown", "raw"):
            remarks.append(f"cell {index + 1} is not a cell and was left out")
            continue
        text, name = text_of(cell), about(cell).get("grade_id")
        source = sources.get(name)
        if source is None:
            cells.append(_cell(cell["cell_type"], text, pictures=pictures_of(cell)))
        elif last[name] != index:
            remarks.append(f"{name} stands there more than once: the last one counts")
            cells.append(_cell(cell["cell_type"], text, pictures=pictures_of(cell)))
        elif about(source)["solution"]:
            cells.append(_cell(source.cell_type, text, source, pictures_of(cell)))
        else:
            if _essence(text) != _essence(released[name].source):
                changed.append(about(source)["grade_id"])
            cells.append(_cell(source.cell_type, source.source, source))
    cells = _in_order(cells, list(sources), remarks)
    remarks += _told(changed, "changed: put back")
    if len(changed) > sum(not about(cell)["solution"] for cell in sources.values()) / 2:
        remarks[-1] += ": is it an earlier version of the assignment?"
    _put_back(cells, sources, remarks)
    _name_first(cells, assignment, student, remarks)
    notebook = v4.new_notebook(cells=cells, metadata=assignment.source.metadata)
    return notebook, list(dict.fromkeys(remarks))


def named_in(notebook: NotebookNode) -> str | None:
    """Return the last id that a notebook gives for its student; None where there is none."""
    found = [match for cell in notebook.cells if cell.cell_type == "code" for match in STUDENT.finditer(cell.source)]
    return (found[-1].group(1) or found[-1].group(2) or "") if found else None


def _essence(text: str) -> str:
    """A text without what editors change by themselves: white space at the ends of lines and of the whole text."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _cell(
    kind: str, text: str, source: NotebookNode | None = None, pictures: dict[str, dict[str, str]] | None = None
) -> NotebookNode:
    """A fresh cell; its metadata are those of the source, or none: a student's could turn any cell into a test."""
    made = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell, "raw": v4.new_raw_cell}[kind](text)
    if source is not None:
        made.metadata["nbgrader"] = about(source)
    if pictures and kind != "code":
        made["attachments"] = pictures
    return made


def _in_order(cells: list[NotebookNode], order: list[str], remarks: list[str]) -> list[NotebookNode]:
    """Put moved cells of the source back behind those that they follow there; all others stay."""
    place = {name: index for index, name in enumerate(order)}
    known = [about(cell)["grade_id"] for cell in cells if about(cell)]
    moved = [name for name in known if name not in _longest_in_order(known, place)]
    if not moved:
        return cells
    remarks.append(f"moved, and put back into the right order: {', '.join(sorted(moved, key=place.__getitem__))}")
    apart = {about(cell)["grade_id"]: cell for cell in cells if about(cell).get("grade_id") in moved}
    kept = [cell for cell in cells if about(cell).get("grade_id") not in moved]
    for name in sorted(moved, key=place.__getitem__):
        after = [
            index for index, cell in enumerate(kept) if about(cell) and place[about(cell)["grade_id"]] < place[name]
        ]
        before = [
            index for index, cell in enumerate(kept) if about(cell) and place[about(cell)["grade_id"]] > place[name]
        ]
        kept.insert(after[-1] + 1 if after else before[0] if before else len(kept), apart[name])
    return kept


def _longest_in_order(names: list[str], place: Mapping[str, int]) -> set[str]:
    """The largest set of names that already stand in the right order."""
    ends: list[int] = []  # the smallest place that an ordered row of each length can end with
    rows: list[list[str]] = []
    for name in names:
        at = bisect_left(ends, place[name])
        row = [*(rows[at - 1] if at else []), name]
        ends[at : at + 1], rows[at : at + 1] = [place[name]], [row]
    return set(rows[-1]) if rows else set()


def _put_back(cells: list[NotebookNode], sources: Mapping[str, NotebookNode], remarks: list[str]) -> None:
    """Insert what is missing, each cell behind the one that comes before it in the source."""
    before: str | None = None
    answers: list[str] = []
    others: list[str] = []
    for name, source in sources.items():
        places = {about(cell).get("grade_id"): index for index, cell in enumerate(cells)}
        if name not in places:
            is_answer = about(source)["solution"]
            (answers if is_answer else others).append(name)
            text = "" if is_answer else source.source
            cells.insert(0 if before is None else places[before] + 1, _cell(source.cell_type, text, source))
        before = name
    remarks += [*_told(answers, "missing: put back empty"), *_told(others, "missing: put back")]


def _told(names: Sequence[str], what: str) -> list[str]:
    """Remarks on what was done with some cells."""
    if len(names) <= _NAMED:
        return [f"{name} was {what}" for name in names]
    return [f"{len(names)} cells were {what} ({', '.join(names)})"]


def _name_first(cells: list[NotebookNode], assignment: Assignment, student: str, remarks: list[str]) -> None:
    """See to it that the id is set before the first cell that needs it."""
    sets = [cell for cell in assignment.release.cells if not about(cell) and _SETS_STUDENT.search(cell.source)]
    if not sets:
        return
    given = sets[0]
    setting = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and _SETS_STUDENT.search(cell.source)]
    first = next((index for index, cell in enumerate(cells) if about(cell)), 0)
    if not setting:
        remarks.append("the cell with the id was missing: put back")
        cells.insert(first, v4.new_code_cell(_SETS_STUDENT_TO.sub(lambda _: f"STUDENT = {student!r}", given.source)))
    elif setting[0] > first:
        remarks.append("the cell with the id was moved, and put back into the right order")
        cells.insert(first, cells.pop(setting[0]))
