"""The same files with nbgrader's own commands: the points are those of ``lpvq grade``.

A kernel takes seconds for each notebook, so all of its commands run in one process, and ``lpvq grade`` alone is held to
every wrong answer and every student version.
"""

import json
import os
import subprocess
import sys

import nbformat
import pytest
from submissions import ASSIGNMENTS, PROJECT, VECTORS, WRONG, Wrong, hand_in, solved

from lpvq.classroom.assignments import Assignment

FEW_WRONG = list({wrong.assignment.name: wrong for wrong in WRONG}.values())  # one of an assignment
UNTOUCHED = [VECTORS, PROJECT]  # one with tests and an answer to be graded by hand, one with three of these

# What the command does, for one command after the other, and then what nbgrader has noted.
SCRIPT = """
import json, sys
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderApp
from traitlets.config import Application

for assignment in sys.argv[1:]:
    for command in ("generate_assignment", "autograde"):
        if Application.initialized():
            type(Application.instance()).clear_instance()
        NbGraderApp.launch_instance([command, assignment])
with Gradebook("sqlite:///gradebook.db") as book:
    print(json.dumps([
        [assignment.name, submission.student.id, {grade.name: grade.auto_score
            for notebook in submission.notebooks for grade in notebook.grades}]
        for assignment in book.assignments for submission in book.assignment_submissions(assignment.name)]))
"""

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
    for assignment in UNTOUCHED:
        hand_in(course / "submitted", "zoe", assignment, assignment.release)
    for wrong in FEW_WRONG:
        hand_in(course / "submitted", student(wrong), wrong.assignment, wrong.notebook(student(wrong)))
    scripts = os.path.dirname(sys.executable)  # nbgrader calls alembic by its name
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, *(assignment.name for assignment in ASSIGNMENTS)]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    return {(assignment, name): given for assignment, name, given in json.loads(done.stdout.splitlines()[-1])}


def student(wrong: Wrong) -> str:
    return wrong.name.replace(" ", "-")


@pytest.mark.parametrize("assignment", ASSIGNMENTS, ids=lambda assignment: assignment.name)
def test_nbgrader_gives_a_right_solution_everything(points: Points, assignment: Assignment) -> None:
    right = {question.name: None if question.by_hand else question.points for question in assignment.questions}
    assert points[assignment.name, "ada"] == right


@pytest.mark.parametrize("assignment", UNTOUCHED, ids=lambda assignment: assignment.name)
def test_nbgrader_gives_an_untouched_one_nothing(points: Points, assignment: Assignment) -> None:
    assert points[assignment.name, "zoe"] == dict.fromkeys((question.name for question in assignment.questions), 0)


@pytest.mark.parametrize("wrong", FEW_WRONG, ids=lambda wrong: wrong.name)
def test_nbgrader_takes_the_same_points_from_a_wrong_answer(points: Points, wrong: Wrong) -> None:
    expected = {
        question.name: None if question.by_hand else 0 if question.name in wrong.loses else question.points
        for question in wrong.assignment.questions
    }
    assert points[wrong.assignment.name, student(wrong)] == expected
