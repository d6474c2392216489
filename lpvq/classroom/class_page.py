"""The page about the class: which questions failed, typical mistakes, whose answers are alike, who has none."""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lpvq.classroom import safe_html
from lpvq.classroom.assignments import Assignment
from lpvq.classroom.csv_files import one_line
from lpvq.classroom.feedback import page_templates
from lpvq.classroom.grades import Grade, write_anyway
from lpvq.classroom.names import file_name
from lpvq.classroom.scoring import most
from lpvq.classroom.similarity import Pair

_TYPICAL = 5  # mistakes of a question that are shown


def write(
    path: Path,
    assignment: Assignment,
    grades: Sequence[Grade],
    pairs: Sequence[Pair],
    answers: Mapping[str, Mapping[str, str]],
    missing: Sequence[str],
) -> None:
    """Write the page.

    Args:
        path: of the page.
        assignment: what it is about.
        grades: of all students.
        pairs: whose answers are alike.
        answers: the answers as they were handed in, by student and cell, to be shown side by side.
        missing: who is on the roster and has handed in nothing.
    """
    graded = [grade for grade in grades if grade.points]
    questions = [
        {
            "name": question.name,
            "title": question.title or question.name,
            "of": question.points,
            **_how(question.name, question.points, graded),
        }
        for question in assignment.questions
    ]
    shown = [
        {
            "pair": pair,
            "answers": [[answers.get(one, {}).get(name, "") for one in pair.students] for name in pair.questions[:3]],
        }
        for pair in pairs[:30]
    ]
    to_look_at = [(grade, [one_line(said, 300) for said in grade.all_remarks]) for grade in graded if grade.all_remarks]
    content = page_templates().get_template("class.html").render(
        policy=safe_html.POLICY, assignment=assignment, questions=questions, picture=_picture(questions, graded),
        graded=graded, without=[grade for grade in grades if not grade.points], pairs=shown, more=len(pairs[30:]),
        missing=missing, most=most(assignment.questions), code=safe_html.code, code_style=safe_html.style_of_code(),
        remarks=to_look_at, file_name=file_name,
    )  # fmt: skip
    write_anyway(path, content.encode())


def _how(name: str, of: float, graded: Sequence[Grade]) -> dict[str, Any]:
    """How a question went: all points, some, none, still open, and the mistakes that several made."""
    points = [grade.all_points.get(name) for grade in graded]
    counted = [value for value in points if value is not None]
    said = Counter(one_line(grade.messages[name], 200) for grade in graded if name in grade.messages)
    return {
        "full": sum(value >= of for value in counted),
        "none": sum(value == 0 for value in counted),
        "part": sum(0 < value < of for value in counted),
        "open": len(points) - len(counted),
        "typical": said.most_common(_TYPICAL),
    }


def _picture(questions: Sequence[Mapping[str, Any]], graded: Sequence[Grade]) -> str:
    """A bar for each question, and how many students have how many points; as the address of a PNG."""
    figure = Figure(figsize=(10, 0.34 * len(questions) + 1.2), layout="constrained")
    bars, totals = figure.subplots(1, 2, width_ratios=[3, 1])
    places = np.arange(len(questions))
    left = np.zeros(len(questions))
    parts = {"full": ("all points", "#0072B2", ""), "part": ("some", "#56B4E9", ""), "none": ("none", "#D55E00", "///"),
             "open": ("by hand, open", "#DDDDDD", "")}  # fmt: skip
    for part, (label, colour, hatch) in parts.items():
        counts = np.array([question[part] for question in questions], dtype=float)
        if counts.any():
            bars.barh(places, counts, left=left, color=colour, hatch=hatch, edgecolor="white", label=label)
        left += counts
    bars.set_yticks(places, [f"{one_line(question['title'], 38)} ({question['of']:g})" for question in questions])
    bars.invert_yaxis()
    bars.set_xlabel("students")
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    values = [grade.total for grade in graded if grade.total is not None]
    totals.hist(values, bins=np.arange(-0.5, sum(question["of"] for question in questions) + 1), color="#0072B2")
    totals.set_xlabel("points in all")
    totals.set_ylabel("students")
    for axis in (bars.xaxis, totals.yaxis):
        axis.get_major_locator().set_params(integer=True)
    for axes in (bars, totals):
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
