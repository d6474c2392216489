"""The page on which a person grades: all answers to a question below one another, with what points are for.

One file, for a browser, without a server. What is filled in is saved as ``by_hand.csv``, which belongs beside it.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from nbformat import NotebookNode

from lpvq.classroom import safe_html
from lpvq.classroom.assignments import Assignment, Question, about
from lpvq.classroom.feedback import page_templates
from lpvq.classroom.grades import Grade, write_anyway

_RUBRIC = re.compile(r"\*Graded by hand[^*]*:\*\s*(.+?)(?:\n\n|\Z)", re.DOTALL)
_CRITERION = re.compile(r"(\d+(?:[.,]\d+)?) (?:point )?for (.+)", re.DOTALL)


def criteria(question: Question) -> list[tuple[float, str]]:
    """Return what the points of a question are for, as its text says: "1 for the cause; 1 for two cures"."""
    found = _RUBRIC.search(question.text)
    parts = [_CRITERION.match(part.strip()) for part in found[1].split(";")] if found else []
    return [(float(part[1].replace(",", ".")), " ".join(part[2].split()).rstrip(".")) for part in parts if part]


def write(path: Path, assignment: Assignment, grades: Sequence[Grade], executed: Mapping[str, NotebookNode]) -> None:
    """Write the page of an assignment.

    Args:
        path: of the page.
        assignment: whose questions they are.
        grades: of all students, with what was given by hand so far.
        executed: the notebooks, by student.
    """
    questions = [
        {
            "name": question.name,
            "title": question.title or question.name,
            "asked": safe_html.markdown(_RUBRIC.sub("", question.text).strip()),
            "of": question.points,
            "criteria": criteria(question),
            "answers": [_answer(question, grade, executed[grade.student]) for grade in _shuffled(grades, question)],
        }
        for question in assignment.questions
        if question.by_hand
    ]
    script = Markup(page_templates().loader.get_source(page_templates(), "by_hand.js")[0])  # type: ignore[union-attr]
    digest = base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode()
    content = page_templates().get_template("by_hand.html").render(
        policy=f"{safe_html.POLICY}; script-src 'sha256-{digest}'",
        code_style=safe_html.style_of_code(), assignment=assignment, questions=questions, script=script,
    )  # fmt: skip
    write_anyway(path, content.encode())


def _shuffled(grades: Sequence[Grade], question: Question) -> list[Grade]:
    """Those with an answer to be read, in an order that does not say whose it is, the same at each run."""
    open_ones = [grade for grade in grades if question.name in grade.points and grade.points[question.name] is None]
    return sorted(open_ones, key=lambda grade: hashlib.sha256(f"{question.name} {grade.student}".encode()).digest())


def _answer(question: Question, grade: Grade, executed: NotebookNode) -> dict[str, Any]:
    cell = next((cell for cell in executed.cells if about(cell).get("grade_id") == question.name), None)
    points, comment = grade.by_hand.get(question.name, (None, ""))
    text = safe_html.markdown(cell.source, cell.get("attachments")) if cell is not None else Markup("")
    words = len(cell.source.split()) if cell is not None else 0
    return {
        "student": grade.student,
        "text": text,
        "words": words,
        "points": "" if points is None else f"{points:g}",
        "comment": comment,
        "answer": grade.answers.get(question.name, ""),
    }
