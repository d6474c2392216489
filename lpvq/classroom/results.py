"""What grading leaves behind for an assignment: tables for people, for programs, and for learning platforms.

    points.csv, points.json     a line for each student: points for each question, the total, remarks
    by_hand.csv, by_hand.html   what a person has to grade (``lpvq.classroom.by_hand``, ``hand_page``)
    class.html, similar.csv     how the class did, and whose answers are alike (``class_page``, ``similarity``)
    moodle.csv, canvas.csv      for platforms to import (``platforms``)
    feedback/STUDENT.html       what a student gets (``lpvq.classroom.feedback``)
    graded/                     what is kept, so that the same command goes on and runs only what has changed

and above them ``students.csv``, what was found for each student, what counts and what does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from lpvq.classroom import csv_files
from lpvq.classroom.assignments import Assignment
from lpvq.classroom.grades import Grade, make_way, write_anyway
from lpvq.classroom.handed_in import HandedIn
from lpvq.classroom.names import file_name
from lpvq.classroom.scoring import most
from lpvq.classroom.similarity import Pair, beside
from lpvq.files import write_json


def page_of(folder: Path, student: str) -> Path:
    """Return where a student's page lies below an assignment's folder."""
    return folder / "feedback" / f"{file_name(student)}.html"


def all_remarks(grade: Grade) -> list[str]:
    """Return a grade's remarks, with what is still to be graded by hand."""
    open_ones = grade.still_open
    return [*grade.all_remarks, *([f"to be graded by hand: {', '.join(open_ones)}"] if open_ones else [])]


def write(folder: Path, assignment: Assignment, grades: Sequence[Grade], pairs: Sequence[Pair]) -> None:
    """Write the tables of an assignment."""
    questions, of = assignment.questions, most(assignment.questions)
    rows, listed = [], []
    alike = beside(pairs)
    for grade in grades:
        points, total = grade.all_points, grade.total
        shown = ["" if points.get(question.name) is None else f"{points[question.name]:g}" for question in questions]
        remarks = all_remarks(grade)
        late = str(grade.days_late) if grade.days_late else ""
        rows.append(
            [
                grade.student,
                *shown,
                "" if total is None else f"{total:g}",
                f"{of:g}",
                late,
                alike.get(grade.student, ""),
                "; ".join(remarks),
            ]
        )
        listed.append({**asdict(grade), "points": points, "total": total, "of": of, "remarks": remarks})
    header = [
        "student",
        *(question.name for question in questions),
        "total",
        "of",
        "days late",
        "similar to",
        "remarks",
    ]
    write_anyway(folder / "points.csv", csv_files.written([header, *rows]))
    rows = [[*pair.students, str(len(pair.questions)), str(pair.of), ", ".join(pair.questions)] for pair in pairs]
    header = ["student", "and", "answers alike", "of", "which"]
    write_anyway(folder / "similar.csv", csv_files.written([header, *rows]))
    make_way(folder / "points.json")
    write_json(folder / "points.json", listed)


def write_students(output: Path, students: Sequence[HandedIn], grades: Mapping[str, Sequence[Grade]]) -> None:
    """Write what was found for each student."""
    rows = []
    for student in students:
        taken = ", ".join(f"{name}: {one.name}" for name, one in sorted(student.submissions.items()))
        rows.append([student.student, taken, ", ".join(one.name for one in student.others), student.what_else])
    header = ["student", "taken", "notebooks of no assignment", "not taken"]
    write_anyway(output / "students.csv", csv_files.written([header, *rows]))
