"""Files that learning platforms import: Moodle's grading worksheet, Canvas' gradebook.

Both know students by their own numbers, which stand in the names of what they export, or on the roster.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lpvq.classroom import csv_files
from lpvq.classroom.assignments import Assignment
from lpvq.classroom.grades import Grade, write_anyway
from lpvq.classroom.roster import Listed
from lpvq.classroom.scoring import most


def write(
    folder: Path,
    assignment: Assignment,
    grades: Sequence[Grade],
    numbers: Mapping[str, str],
    listed: Mapping[str, Listed],
) -> None:
    """Write ``moodle.csv`` and ``canvas.csv``, with those grades that have a total.

    Args:
        folder: where they go.
        assignment: whose points they are.
        grades: of all students.
        numbers: the platform's, by student, as far as they are known.
        listed: who they are on the roster, by student.
    """
    moodle = [["Identifier", "Full name", "Email address", "Grade", "Maximum grade", "Feedback comments"]]
    canvas = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment.title]]
    of = f"{most(assignment.questions):g}"
    canvas.append(["    Points Possible", "", "", "", "", of])
    for grade in grades:
        if grade.total is None:
            continue
        who = listed.get(grade.student, Listed(""))
        number = numbers.get(grade.student) or who.number.rpartition(" ")[2]
        name = who.name or grade.student.rpartition(f"_{number}")[0] or grade.student
        total = f"{grade.total:g}"
        why = "; ".join(grade.messages.values())
        moodle.append([f"Participant {number}" if number else "", name, who.email, total, of, why])
        canvas.append([name, number, who.id, who.id, "", total])
    write_anyway(folder / "moodle.csv", csv_files.written(moodle))
    write_anyway(folder / "canvas.csv", csv_files.written(canvas))
