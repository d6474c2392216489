"""What ``lpvq grade`` prints."""

from collections.abc import Mapping, Sequence

from lpvq.classroom.grading import Grade
from lpvq.experiments.tables import text_table


def format_grades(grades: Mapping[str, Sequence[Grade]]) -> str:
    """Return a table for each assignment, and a line for each notebook that belongs to none."""
    parts = []
    for name, given in sorted(grades.items()):
        if name:
            rows = [
                (grade.student, f"{sum(value or 0 for value in grade.all_points.values()):g}", "; ".join(grade.remarks))
                for grade in given
            ]
            parts.append(text_table(name, ["", "points", ""], rows))
        else:
            parts += [f"{grade.student}: {remark}" for grade in given for remark in grade.remarks]
    return "\n".join(parts)
