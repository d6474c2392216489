"""The page that a student gets: what was lost and why, then the notebook as it ran. Hidden tests stay hidden."""

import functools
import hashlib
import html
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from nbformat import NotebookNode, v4

from lpvq.classroom import safe_html
from lpvq.classroom.assignments import Assignment, about
from lpvq.classroom.grades import Grade
from lpvq.classroom.names import person
from lpvq.classroom.scoring import most
from lpvq.files import write_atomically

_PAGES = Path(__file__).with_name("pages")
_HIDDEN = re.compile(r"^[^\S\n]*### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS[^\S\n]*\n?", re.MULTILINE | re.DOTALL)
_TELLING = 20  # characters of a line of a hidden test; from this length on, no other line equals it by chance
_TAKEN_OUT = "(a hidden test)"


@functools.cache
def page_templates() -> Environment:
    """Return the templates for pages; what they are given is escaped."""
    made = Environment(loader=FileSystemLoader(_PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.filters["person"] = person
    return made


def write(path: Path, assignment: Assignment, grade: Grade, executed: NotebookNode) -> None:
    """Write a student's page, unless it is there and shows this already.

    Its last line says what it was made from, so that no clock decides whether it is old.
    """
    template = (_PAGES / "feedback.html").read_bytes()
    shown = json.dumps([assignment.source, asdict(grade), executed], sort_keys=True).encode()
    mark = f"<!-- {hashlib.sha256(template + shown).hexdigest()} -->"
    try:
        if path.read_bytes().rstrip().endswith(mark.encode()):
            return
    except OSError:
        pass
    write_atomically(path, f"{page(assignment, grade, executed)}\n{mark}\n".encode())


def page(assignment: Assignment, grade: Grade, executed: NotebookNode) -> str:
    """Return a student's page as HTML."""
    questions = {question.name: question for question in assignment.questions}
    rows: list[dict[str, Any]] = [
        {
            "name": question.name,
            "title": question.title or question.name,
            "points": grade.all_points.get(question.name),
            "of": question.points,
            "by_hand": question.by_hand,
            "why": grade.messages.get(question.name, ""),
            "comment": grade.by_hand.get(question.name, (None, ""))[1],
        }
        for question in assignment.questions
    ]
    hidden = hidden_lines(assignment)
    cells = [_cell(cell, questions.get(about(cell).get("grade_id", "")), hidden) for cell in executed.cells]
    return page_templates().get_template("feedback.html").render(
        policy=safe_html.POLICY, code_style=safe_html.style_of_code(), assignment=assignment, grade=grade, rows=rows,
        cells=cells, most=most(assignment.questions), given={row["name"]: row for row in rows},
        open=sum(row["of"] for row in rows if row["points"] is None),
    )  # fmt: skip


def _cell(cell: NotebookNode, question: Any, hidden: list[str]) -> dict[str, Any]:
    """What the page shows for a cell."""
    facts = about(cell)
    shown: dict[str, Any] = {"name": facts.get("grade_id", ""), "is_graded": question is not None, "outputs": []}
    if cell.cell_type == "markdown":
        return {**shown, "kind": "text", "text": safe_html.markdown(cell.source, cell.get("attachments"))}
    if cell.cell_type == "raw":
        return {
            **shown,
            "kind": "text",
            "text": Markup("<pre>{}</pre>").format(safe_html.shortened(cell.source, 20_000)),
        }
    is_test = question is not None and not question.by_hand
    source = _HIDDEN.sub("    # hidden tests\n", cell.source) if is_test else cell.source
    outputs = [without_hidden(output, hidden, is_test) for output in cell.get("outputs", [])]
    return {**shown, "kind": "code", "text": safe_html.code(source), "outputs": [safe_html.output(o) for o in outputs]}


def hidden_lines(assignment: Assignment) -> list[str]:
    """Return the lines of all hidden tests by which they would be known, the longest first."""
    seen = {line.strip() for cell in assignment.release.cells for line in cell.source.splitlines()}
    hidden = {
        line.strip()
        for cell in assignment.source.cells
        for block in _HIDDEN.findall(cell.source)
        for line in block.splitlines()
    }
    telling = [line for line in hidden - seen if len(line) >= _TELLING]
    return sorted({form for line in telling for form in _forms(line)}, key=len, reverse=True)


def _forms(line: str) -> set[str]:
    """A line as it stands, and as it looks inside a printed list, in JSON, or in HTML."""
    return {line, repr(line)[1:-1], json.dumps(line)[1:-1], html.escape(line), html.escape(repr(line)[1:-1])}


def without_hidden(output: NotebookNode, hidden: list[str], is_of_test: bool = False) -> NotebookNode:
    """Return an output without lines of hidden tests; from a test's error only its words, as a traceback shows them."""
    if output.output_type == "error" and is_of_test:
        return v4.new_output("stream", name="stderr", text=_scrubbed(f"{output.ename}: {output.evalue}\n", hidden))
    if output.output_type == "stream":
        return v4.new_output("stream", name=output.name, text=_scrubbed(output.text, hidden))
    if output.output_type == "error":
        lines = [_scrubbed(safe_html.strip_ansi(line), hidden) for line in output.traceback]
        return v4.new_output("error", ename=output.ename, evalue=_scrubbed(output.evalue, hidden), traceback=lines)
    data = {kind: _scrubbed(value, hidden) if isinstance(value, str) else value for kind, value in output.data.items()}
    return v4.new_output("display_data", data=data, metadata=output.metadata)


def shows_hidden(executed: NotebookNode, hidden: list[str]) -> bool:
    """Return whether an output holds a hidden test; a test's own error does not count, since its page has none."""
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                texts = [] if about(cell).get("grade") else list(map(safe_html.strip_ansi, output.traceback))
            elif output.output_type == "stream":
                texts = [output.text]
            else:
                texts = [text for text in output.data.values() if isinstance(text, str)]
            if any(_scrubbed(text, hidden) != text for text in texts):
                return True
    return False


def _scrubbed(text: str, hidden: list[str]) -> str:
    if "HIDDEN TESTS" not in text and not any(line in text for line in hidden):
        return text
    for line in hidden:
        text = text.replace(line, _TAKEN_OUT)
    return re.sub(r"### (BEGIN|END) HIDDEN TESTS", _TAKEN_OUT, text)
