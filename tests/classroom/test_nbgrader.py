"""The same files with nbgrader's own commands: the points are those of ``lpvq grade``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from submissions import ASSIGNMENTS, WRONG, Wrong, hand_in, solved

from lpvq.classroom.assignments import Assignment

# One of an assignment: nbgrader takes seconds for each, and ``lpvq grade`` is held to all of them.
FEW_WRONG = list({wrong.assignment.name: wrong for wrong in WRONG}.values())

Points = dict[tuple[str, str], dict[str, float | None]]


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Points:
    """What ``nbgrader autograde`` gives, by assignment and student."""
    course = tmp_path_factory.mktemp("course")
    (course / "nbgrader_config.py").write_text("c = get_config()\nc.Execute.timeout = 120\n")  # as the README says
    for assignment in ASSIGNMENTS:
        path = course / "source" / assignment.name / f"{assignment.name}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(assignment.source, path)
        hand_in(course / "submitted", "ada", assignment, solved(assignment, "ada"))
        hand_in(course / "submitted", "zoe", assignment, assignment.release)
    for wrong in FEW_WRONG:
        hand_in(course / "submitted", student(wrong), wrong.assignment, wrong.notebook(student(wrong)))
    for assignment in ASSIGNMENTS:
        nbgrader(course, "generate_assignment", assignment.name)
        nbgrader(course, "autograde", assignment.name)
    # In a process of its own: SQLAlchemy warns about nbgrader's queries.
    script = f"""
import json
from nbgrader.api import Gradebook
with Gradebook("sqlite:///{course}/gradebook.db") as book:
    print(json.dumps([
        [assignment.name, submission.student.id, {{grade.name: grade.auto_score
            for notebook in submission.notebooks for grade in notebook.grades}}]
        for assignment in book.assignments for submission in book.assignment_submissions(assignment.name)]))
"""
    printed = run(course, [sys.executable, "-W", "ignore", "-c", script])
    return {(assignment, name): given for assignment, name, given in json.loads(printed)}


def student(wrong: Wrong) -> str:
    return wrong.name.replace(" ", "-")


def nbgrader(course: Path, command: str, assignment: str) -> None:
    run(course, [sys.executable, "-m", "nbgrader", command, assignment])


def run(course: Path, command: list[str]) -> str:
    scripts = os.path.dirname(sys.executable)  # nbgrader calls alembic by its name
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("assignment", ASSIGNMENTS, ids=lambda assignment: assignment.name)
def test_nbgrader_gives_a_right_solution_everything_and_an_untouched_one_nothing(
    points: Points, assignment: Assignment
) -> None:
    right = {question.name: None if question.by_hand else question.points for question in assignment.questions}
    assert points[assignment.name, "ada"] == right
    assert points[assignment.name, "zoe"] == dict.fromkeys(right, 0)


@pytest.mark.parametrize("wrong", FEW_WRONG, ids=lambda wrong: wrong.name)
def test_nbgrader_takes_the_same_points_from_a_wrong_answer(points: Points, wrong: Wrong) -> None:
    expected = {
        question.name: None if question.by_hand else 0 if question.name in wrong.loses else question.points
        for question in wrong.assignment.questions
    }
    assert points[wrong.assignment.name, student(wrong)] == expected
