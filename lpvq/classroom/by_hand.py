"""Points that a person gives: ``by_hand.csv``, whatever spreadsheet it went through."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode

from lpvq.classroom import csv_files
from lpvq.classroom.assignments import Assignment, about
from lpvq.classroom.grades import Grade, write_anyway
from lpvq.classroom.names import folded
from lpvq.errors import InputError

FILE = "by_hand.csv"
_HEADER = ["student", "question", "points", "of", "comment", "answer"]


@dataclass
class Given:
    """What stands in the file.

    Attributes:
        points: points with a comment, by student and question; None where the points are open.
        strangers: rows that are nobody's; they are kept, at the end of the file.
        warnings: what the teacher has to know.
    """

    points: dict[tuple[str, str], tuple[float | None, str]] = field(default_factory=dict)
    strangers: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def answers_of(assignment: Assignment, executed: NotebookNode) -> dict[str, str]:
    """Return a short checksum of each answer that a person grades, in letters: a spreadsheet takes it for no number."""
    asked = {question.name for question in assignment.questions if question.by_hand}
    found = {}
    for cell in executed.cells:
        name = about(cell).get("grade_id")
        if name in asked:
            content = repr((cell.source.strip(), cell.get("attachments"))).encode("utf-8", "replace")
            found[name] = "".join(chr(ord("a") + byte % 26) for byte in hashlib.sha256(content).digest()[:8])
    return found


def read(path: Path, assignment: Assignment, grades: Sequence[Grade]) -> Given:
    """Read the file; points for an answer that has changed since are asked for again.

    Raises:
        InputError: points are not a number, or too many; a question is not graded by hand. The line is named.
    """
    given = Given()
    if not path.is_file():
        return given
    most = {question.name: question.points for question in assignment.questions if question.by_hand}
    rows = csv_files.read(path.read_bytes())
    if rows and not {"student", "question", "points"} <= set(rows[0][1]):
        raise InputError(f"{path}: the columns are {', '.join(rows[0][1])}; expected {', '.join(_HEADER)}")
    by_student = {grade.student: grade for grade in grades}
    for line, row in rows:
        question = row.get("question", "").strip()
        points = _points(row, most.get(question), f"{path}, line {line}")
        student = _whose(row.get("student", ""), list(by_student))
        comment, checksum = row.get("comment", ""), row.get("answer", "")
        if student is None:
            given.strangers.append(row)
            if points is not None or comment:
                named = csv_files.one_line(row.get("student", ""), 80)
                given.warnings.append(f"{path.name}, line {line}: {named!r} is nobody who handed this in; not counted")
            continue
        grade = by_student[student]
        if checksum and points is not None and checksum != grade.answers.get(question, checksum):
            given.warnings.append(
                f"{student}, {question}: the answer has changed since it was given {points:g} points; grade it again"
            )
            grade.remarks.append(f"{question} has changed since it was given {points:g} points: grade it again")
            comment, points = f"(for an earlier answer, {points:g} points) {comment}".strip(), None
        if (student, question) in given.points and given.points[student, question] != (points, comment):
            given.warnings.append(
                f"{path.name}, line {line}: {student}, {question} stands there twice; the last counts"
            )
        given.points[student, question] = points, comment
    return given


def write(path: Path, assignment: Assignment, grades: Sequence[Grade], given: Given) -> None:
    """Write the file anew, with a line for each answer that is still open."""
    most = {question.name: question.points for question in assignment.questions if question.by_hand}
    answers = {grade.student: grade.answers for grade in grades}
    for grade in grades:
        for name in most:
            if name in grade.points and grade.points[name] is None:
                given.points.setdefault((grade.student, name), (None, ""))
    rows = [
        [student, name, "" if points is None else f"{points:g}", f"{most[name]:g}", comment,
         answers.get(student, {}).get(name, "")]
        for (student, name), (points, comment) in sorted(given.points.items())
    ]  # fmt: skip
    rows += [[row.get(name, "") for name in _HEADER] for row in given.strangers]
    write_anyway(path, csv_files.written([_HEADER, *rows]))


def _points(row: dict[str, str], most: float | None, where: str) -> float | None:
    text = row.get("points", "").strip().replace(",", ".")
    if not text and most is not None:
        return None
    try:
        points = float(text)
    except ValueError:
        points = -1.0
    if most is None or not 0 <= points <= most:
        expected = "a question that is graded by hand" if most is None else f"from 0 to {most:g}"
        who = csv_files.one_line(f"{row.get('student')}, {row.get('question')}: {text!r}", 200)
        raise InputError(f"{where}: {who} points; expected {expected}")
    return points


def _whose(name: str, students: Sequence[str]) -> str | None:
    """The student that a name in the file means, whatever a spreadsheet did to it; None if it is nobody's."""
    if name in students:
        return name
    for change in (folded, _without_zeros, _misread):
        alike = [student for student in students if change(student) == change(name)]
        if len(alike) == 1:
            return alike[0]
    for encoding in ("cp1252", "latin-1", "mac-roman"):  # UTF-8 that was read as something else
        try:
            mended = name.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        if mended != name and (found := _whose(mended, students)):
            return found
    return None


def _without_zeros(name: str) -> str:
    text = folded(name)
    return text.removesuffix(".0").lstrip("0") if text.replace(".", "").isdigit() else text


def _misread(name: str) -> str:
    """A name without what a narrow encoding cannot hold, which was written as a question mark."""
    return "".join(letter if letter.isascii() else "?" for letter in folded(name))
