"""What ``lpvq grade`` prints."""

from collections.abc import Mapping, Sequence

from lpvq.classroom.csv_files import one_line
from lpvq.classroom.grades import Grade
from lpvq.experiments.tables import text_table

_LONGEST = 160  # characters of a line's remarks; all of them stand in points.csv


def format_grades(grades: Mapping[str, Sequence[Grade]]) -> str:
    """Return a table for each assignment, and a line for each notebook that belongs to none."""
    parts = []
    for name, given in sorted(grades.items()):
        if name:
            rows = [
                (one_line(one.student, 40), one.in_words, one_line("; ".join(one.all_remarks), _LONGEST))
                for one in given
            ]
            parts.append(text_table(name, ["", "points", ""], rows))
        else:
            parts += [one_line(f"{one.student}: {remark}", _LONGEST) for one in given for remark in one.all_remarks]
    return "\n".join(parts)
