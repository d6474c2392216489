"""Grading: right and typical wrong answers, broken and hostile submissions, tables, feedback, and going on."""

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode, v4
from submissions import (
    ASSIGNMENTS,
    PROJECT,
    VECTORS,
    WRONG,
    Wrong,
    begun_with,
    cell_of,
    hand_in,
    in_answer,
    solved,
    twice,
    without,
)

from lpvq import cli
from lpvq.classroom import confinement, feedback, grading, reading
from lpvq.classroom.assignments import Assignment
from lpvq.classroom.grades import Grade
from lpvq.classroom.grading import grade
from lpvq.classroom.sandbox import Limits, Run
from lpvq.classroom.scoring import points_of
from lpvq.errors import InputError

CONFINED = confinement.why_not() is None
LIMITS = Limits(cell_seconds=6, seconds=60, memory=3 * 2**30)


def in_pairs() -> dict[str, list[Wrong]]:
    """Wrong answers to two questions of an assignment, by student: a kernel takes seconds for each notebook."""
    pairs = {}
    for assignment in ASSIGNMENTS:
        of = [wrong for wrong in WRONG if wrong.assignment is assignment]
        for first in range(len(of) - len(of) // 2):
            pair = of[first :: len(of) - len(of) // 2]
            assert len({wrong.answer for wrong in pair}) == len(pair)
            pairs[pair[0].name.replace(" ", "-")] = pair
    return pairs


PAIRS = in_pairs()


def lost(assignment: Assignment, one: Grade) -> set[str]:
    """The tests that brought nothing."""
    tested = [question for question in assignment.questions if not question.by_hand]
    assert {one.points[question.name] for question in tested} <= {0, *(question.points for question in tested)}
    return {question.name for question in tested if one.points[question.name] != question.points}


def read_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


# --- a class that hands in: right, untouched, wrong


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Grade]]]:
    """The class, graded once: where the results lie, and the grades by assignment and student."""
    folder = tmp_path_factory.mktemp("class") / "submitted"
    for assignment in ASSIGNMENTS:
        hand_in(folder, "ada", assignment, solved(assignment, "ada"))
    hand_in(folder, "zoe", VECTORS, VECTORS.release)
    for student, pair in PAIRS.items():
        notebook = solved(pair[0].assignment, student)
        for wrong in pair:
            wrong.spoil(notebook)
        hand_in(folder, student, pair[0].assignment, notebook)
    output = folder.with_name("graded")
    grades = grade(folder, ASSIGNMENTS, output, Limits(), jobs=2, is_confined=CONFINED).grades
    return output, {name: {one.student: one for one in given} for name, given in grades.items()}


@pytest.mark.parametrize("assignment", ASSIGNMENTS, ids=lambda assignment: assignment.name)
def test_a_right_solution_gets_everything(
    graded: tuple[Path, dict[str, dict[str, Grade]]], assignment: Assignment
) -> None:
    one = graded[1][assignment.name]["ada"]
    assert lost(assignment, one) == set() and one.remarks == []
    assert [name for name, points in one.points.items() if points is None] == [
        question.name for question in assignment.questions if question.by_hand
    ]


def test_an_untouched_release_gets_nothing(graded: tuple[Path, dict[str, dict[str, Grade]]]) -> None:
    one = graded[1][VECTORS.name]["zoe"]  # of the others, test_assignments.py says what their tests say
    assert set(one.points.values()) == {0}
    assert all("not done yet" in message for message in one.messages.values())


@pytest.mark.parametrize("student", PAIRS)
def test_wrong_answers_lose_their_questions_and_no_other(
    graded: tuple[Path, dict[str, dict[str, Grade]]], student: str
) -> None:
    pair = PAIRS[student]
    one = graded[1][pair[0].assignment.name][student]
    assert lost(pair[0].assignment, one) == {name for wrong in pair for name in wrong.loses} == set(one.messages)
    for wrong in pair:
        assert any(wrong.because in one.messages[name] for name in wrong.loses), f"{wrong.name}: {one.messages}"


def test_the_tables_have_a_line_for_each_student(graded: tuple[Path, dict[str, dict[str, Grade]]]) -> None:
    folder = graded[0] / VECTORS.name
    rows = read_rows(folder / "points.csv")
    assert [row["student"] for row in rows] == sorted(graded[1][VECTORS.name])
    ada = next(row for row in rows if row["student"] == "ada")
    assert (ada["total"], ada["of"], ada["q1-3-tests"], ada["q1-8-answer"]) == ("17", "20", "2", "")
    assert ada["remarks"] == "to be graded by hand: q1-8-answer"
    listed = json.loads((folder / "points.json").read_text())
    assert [one["total"] for one in listed] == [float(row["total"]) if row["total"] else None for row in rows]


def test_the_feedback_says_what_was_wrong_and_hides_the_tests(
    graded: tuple[Path, dict[str, dict[str, Grade]]],
) -> None:
    page = (graded[0] / VECTORS.name / "feedback" / "beta-on-the-wrong-term.html").read_text()
    assert "<b>13</b> of 20 points" in page and "β is on the term that moves the entries" in page
    assert 'id="q1-4-more-tests">1.4 The loss, and whom' not in page and "1.4 The loss" in page
    assert "hidden tests" in page and "torch.allclose" not in page  # which is in a hidden test and in no other


def test_no_code_of_a_student_runs_where_the_feedback_is_read() -> None:
    executed = solved(VECTORS)
    html = v4.new_output("display_data", data={"text/html": "<script>alert(2)</script>", "text/plain": "x"})
    executed.cells += [v4.new_markdown_cell("<script>alert(1)</script>"), v4.new_code_cell("x", outputs=[html])]
    points = {question.name: 0.0 for question in VECTORS.questions}
    page = feedback.page(VECTORS, Grade("<script>alert(3)</script>", points), executed)
    assert "<script" not in page and "alert(1)" not in page and "&lt;script&gt;alert(3)" in page


# --- broken and hostile


def not_a_notebook(path: Path) -> None:
    path.write_text("I could not finish, sorry")


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def of_another_kind(path: Path) -> None:
    path.write_text('{"cells": 3, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}')


def too_large(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(reading.LARGEST_FILE + 1)


@pytest.mark.parametrize(
    ("break_it", "remark"),
    [
        (not_a_notebook, "the file is not a notebook"),
        (cut_off, "the file is not a notebook"),
        (of_another_kind, "no list of cells"),
        (too_large, "clear its outputs"),
    ],
)
def test_a_file_that_cannot_be_read_gets_nothing_and_a_line(
    tmp_path: Path, break_it: Callable[[Path], None], remark: str
) -> None:
    break_it(hand_in(tmp_path / "in", "bob", VECTORS, solved(VECTORS)))
    (one,) = grade(tmp_path / "in", ASSIGNMENTS, tmp_path / "out", LIMITS, jobs=1).grades[VECTORS.name]
    assert set(one.points.values()) == {0} and remark in one.remarks[0]
    assert remark in (tmp_path / "out" / VECTORS.name / "points.csv").read_text()
    assert (tmp_path / "out" / VECTORS.name / "feedback" / "bob.html").exists()


# What becomes of these is said in test_restoring.py; here it is, that none of them brings or costs points of others.
PUT_BACK: list[Callable[[NotebookNode], object]] = [
    lambda notebook: cell_of(notebook, "q1-2-tests").metadata["nbgrader"].update(points=99),
    in_answer("q1-4-tests", "print('all is well')"),
    twice("q1-3-tests"),
    without("q1-1-tests", "q1-1-more-tests", "q1-setup", "q1-2-answer"),
]

HOSTILE: list[tuple[str, Callable[[NotebookNode], object], set[str], str]] = [
    (
        "a loop without an end",
        in_answer("q1-2-answer", "def lookup(codes, codebook):\n    while True:\n        pass"),
        {"q1-2-tests"},
        "",
    ),
    (
        "memory without an end",
        in_answer("q1-2-answer", "def lookup(codes, codebook):\n    return [bytearray(10**9) for _ in range(99)]"),
        {"q1-2-tests"},
        "",
    ),
    (
        "the end of Python in a test",
        in_answer("q1-7-answer", "def my_perplexity():\n    import os\n    os._exit(0)"),
        {"q1-7-tests"},
        "its code ended Python; what comes after brings no points",
    ),
    (
        "a hundred megabytes",
        in_answer(
            "q1-2-answer", "for _ in range(100):\n    print('x' * 10**6)\ndef lookup(codes, codebook):\n    1 / 0"
        ),
        {"q1-2-tests"},
        "",
    ),
    (
        "cells deleted, changed, copied and revalued",
        lambda notebook: [spoil(notebook) for spoil in PUT_BACK],
        {"q1-2-tests"},
        "q1-2-answer was missing: put back empty",
    ),
    ("all metadata gone", lambda notebook: [cell.pop("metadata") for cell in notebook.cells], set(), "missing"),
    ("a module that hides torch", begun_with("open('torch.py', 'w').write('1 / 0')"), set(), ""),
]


def test_the_hostile_ones_get_their_grades_and_the_others_theirs(tmp_path: Path) -> None:
    for name, spoil, _, _ in HOSTILE:
        notebook = solved(VECTORS, name)
        spoil(notebook)
        path = hand_in(tmp_path / "in", name, VECTORS, v4.new_notebook())
        path.write_text(json.dumps(notebook))  # as it is: nbformat would not write all of these
    hand_in(tmp_path / "in", "an honest one", VECTORS, solved(VECTORS, "an honest one"))
    grades = grade(tmp_path / "in", ASSIGNMENTS, tmp_path / "out", LIMITS, jobs=2, is_confined=CONFINED).grades
    found = {one.student: one for one in grades[VECTORS.name]}
    assert lost(VECTORS, found["an honest one"]) == set()
    for name, _, loses, remark in HOSTILE:
        if name == "all metadata gone":
            continue
        assert lost(VECTORS, found[name]) == loses, f"{name}: {found[name]}"
        assert any(remark in given for given in found[name].remarks) or not remark, found[name].remarks
    # Without a trace of the source there is nothing to grade; the name of the file still says what it was to be.
    assert set(found["all metadata gone"].points.values()) == {0}


def test_a_notebook_of_no_assignment_is_named(tmp_path: Path) -> None:
    (tmp_path / "in" / "bob").mkdir(parents=True)
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("1 + 1")]), tmp_path / "in" / "bob" / "diary.ipynb")
    grades = grade(tmp_path / "in", ASSIGNMENTS, tmp_path / "out", LIMITS, jobs=1).grades
    assert [one.remarks for one in grades[""]] == [["diary.ipynb belongs to no assignment, or cannot be read"]]


# --- scoring, without running


def test_a_test_that_was_not_reached_brings_nothing() -> None:
    executed = deepcopy(solved(VECTORS))
    points, messages = points_of(VECTORS, executed)
    assert points["q1-1-tests"] == 0 and messages["q1-1-tests"] == "was not reached"
    cell_of(executed, "q1-1-tests").execution_count = 7
    assert points_of(VECTORS, executed)[0]["q1-1-tests"] == 1


# --- finding, going on, grading by hand


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[NotebookNode]:
    """Nothing is run: every cell succeeds. What would have been run is noted."""
    ran: list[NotebookNode] = []

    def run(notebook: NotebookNode, *_: object) -> Run:
        ran.append(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.execution_count = 1
        return Run(notebook)

    monkeypatch.setattr(grading, "run", run)
    return ran


def test_the_latest_of_several_versions_counts(tmp_path: Path, at_once: list[NotebookNode]) -> None:
    old = hand_in(tmp_path / "in", "ada", VECTORS, solved(VECTORS, "too early"))
    nbformat.write(solved(VECTORS, "in time"), tmp_path / "in" / "ada" / "again.ipynb")
    os.utime(old, (1, 1))
    grade(tmp_path / "in", ASSIGNMENTS, tmp_path / "out", LIMITS, jobs=1)
    assert ["in time" in cell.source for cell in at_once[0].cells if "STUDENT =" in cell.source] == [True]
    assert len(at_once) == 1


def test_only_what_changed_is_run_again(tmp_path: Path, at_once: list[NotebookNode]) -> None:
    for student in ("ada", "bob"):
        hand_in(tmp_path / "in", student, VECTORS, solved(VECTORS, student))
    first = grade(tmp_path / "in", ASSIGNMENTS, tmp_path / "out", LIMITS, jobs=1).grades
    assert len(at_once) == 2
    assert grade(tmp_path / "in", ASSIGNMENTS, tmp_path / "out", LIMITS, jobs=1).grades == first and len(at_once) == 2
    shutil.rmtree(tmp_path / "in" / "bob")
    hand_in(tmp_path / "in", "bob", VECTORS, VECTORS.release)
    grade(tmp_path / "in", ASSIGNMENTS, tmp_path / "out", LIMITS, jobs=1)
    assert len(at_once) == 3
    grade(tmp_path / "in", ASSIGNMENTS, tmp_path / "out", Limits(seconds=7), jobs=1)
    assert len(at_once) == 5


def test_points_given_by_hand_are_added_up_and_shown(tmp_path: Path, at_once: list[NotebookNode]) -> None:
    hand_in(tmp_path / "in", "ada", PROJECT, solved(PROJECT, "ada"))
    hand_in(tmp_path / "in", "bob", PROJECT, PROJECT.release)
    folder = tmp_path / "out" / PROJECT.name

    def graded() -> dict[str, dict[str, str]]:
        grade(tmp_path / "in", ASSIGNMENTS, tmp_path / "out", LIMITS, jobs=1)
        return {row["student"]: row for row in read_rows(folder / "points.csv")}

    assert graded()["ada"]["total"] == "10"
    by_hand = (folder / "by_hand.csv").read_text(encoding="utf-8-sig")
    # Bob wrote nothing: there is nothing for a person to read.
    starts = [line.rpartition(",")[0] for line in by_hand.splitlines()[1:]]
    assert starts == ["ada,q4-5-answer,,3,", "ada,q4-6-answer,,4,", "ada,q4-7-answer,,3,"]
    filled = by_hand.replace("q4-5-answer,,3,,", 'q4-5-answer,"2,5",3,"no word on licences | <b>",')
    (folder / "by_hand.csv").write_text("\ufeff" + filled, encoding="utf-8")  # as a spreadsheet saves it
    rows = graded()
    assert (rows["ada"]["q4-5-answer"], rows["ada"]["total"], rows["bob"]["total"]) == ("2.5", "12.5", "10")
    assert rows["ada"]["remarks"] == "to be graded by hand: q4-6-answer, q4-7-answer"
    page = (folder / "feedback" / "ada.html").read_text()
    assert "<b>12.5</b> of 20 points" in page and "no word on licences" in page and "| <b>" not in page
    assert len(at_once) == 2
    for line, expected in {"q4-6-answer,5,4,": "from 0 to 4", "q4-6-answer,good,4,": "from 0 to 4"}.items():
        (folder / "by_hand.csv").write_text(by_hand.replace("q4-6-answer,,4,", line))
        with pytest.raises(InputError, match=expected):
            graded()
    (folder / "by_hand.csv").write_text(by_hand.replace("q4-6-answer", "q9-9-answer"))
    with pytest.raises(InputError, match="a question that is graded by hand"):
        graded()


def test_an_interrupt_calls_off_what_runs_and_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for student in ("ada", "bob", "eve"):
        hand_in(tmp_path / "in", student, VECTORS, solved(VECTORS, student))

    def interrupted(notebook: NotebookNode, limits: Limits, *_: object) -> Run:
        if any('"bob"' in cell.source for cell in notebook.cells):
            raise KeyboardInterrupt
        return Run(notebook)

    monkeypatch.setattr(grading, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        grade(tmp_path / "in", ASSIGNMENTS, tmp_path / "out", LIMITS, jobs=1)
    assert not (tmp_path / "out" / VECTORS.name / "graded" / "bob.json").exists()


def test_the_command_grades_beside_the_folder(
    tmp_path: Path, at_once: list[NotebookNode], capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(tmp_path / "in", "ada", VECTORS, solved(VECTORS, "bob"))
    with pytest.raises(SystemExit):
        cli.main(["grade", str(tmp_path / "in"), "--jobs", "1", "--unconfined"])
    shown = capsys.readouterr().out
    assert "calls itself 'bob', not 'ada'" in shown and "17" in shown
    assert str(tmp_path / "in-graded" / VECTORS.name / "points.csv") in shown
