"""The assignments: what students get of them, and what a right answer brings."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from submissions import ASSIGNMENTS, VECTORS, cell_of, solved

from lpvq.classroom import assignments
from lpvq.classroom.assignments import Assignment, about, complaints_about, load_assignments
from lpvq.classroom.limits import Limits
from lpvq.classroom.sandbox import Run, run
from lpvq.classroom.scoring import points_of
from lpvq.errors import InputError
from lpvq.paths import shipped
from test_notebooks import has_unique_cell_ids, is_valid

EACH = pytest.mark.parametrize("assignment", ASSIGNMENTS, ids=lambda assignment: assignment.name)


def texts(assignment: Assignment) -> str:
    return "\n".join(cell.source for cell in assignment.release.cells)


def test_there_are_six_each_of_twenty_points() -> None:
    assert [assignment.name[:2] for assignment in ASSIGNMENTS] == ["1_", "2_", "3_", "4_", "5_", "6_"]
    assert [sum(question.points for question in one.questions) for one in ASSIGNMENTS] == [20] * 6


@EACH
def test_what_students_get_holds_no_solution_and_no_hidden_test(assignment: Assignment) -> None:
    assert "SOLUTION" not in texts(assignment) and "HIDDEN" not in texts(assignment)
    released = {about(cell)["grade_id"]: cell for cell in assignment.release.cells if about(cell)}
    for cell in assignment.source.cells:
        for kind in ("SOLUTION", "HIDDEN TESTS"):
            for hidden in re.findall(rf"### BEGIN {kind}\n(.*?)### END {kind}", cell.source, re.DOTALL):
                assert hidden.strip() not in released[about(cell)["grade_id"]].source


@EACH
def test_what_students_get_is_a_valid_notebook_without_outputs(assignment: Assignment) -> None:
    assert not is_valid(assignment.release) and not has_unique_cell_ids(assignment.release)
    assert not any(cell.get("outputs") for cell in assignment.release.cells)


@EACH
def test_only_answers_and_free_cells_can_be_changed(assignment: Assignment) -> None:
    for cell in assignment.release.cells:
        is_free = not about(cell) or about(cell)["solution"]
        assert cell.metadata.get("editable", True) == is_free, cell.source
    tested = [question.name for question in assignment.questions if not question.by_hand]
    assert all("raises-exception" in cell_of(assignment.release, name).metadata.tags for name in tested)


@EACH
def test_the_points_in_the_text_are_those_of_the_cells(assignment: Assignment) -> None:
    table = re.findall(r"^\| (\d\.\d) \|.*\| ([\d +]+) \|$", assignment.source.cells[0].source, re.MULTILINE)
    said = {number: [float(points) for points in given.split("+")] for number, given in table}
    counted: dict[str, list[float]] = {}
    for question in assignment.questions:
        number = re.match(r"q(\d)-(\d)", question.name)
        assert number
        counted.setdefault(".".join(number.groups()), []).append(question.points)
    assert said == counted


@EACH
def test_students_learn_of_each_question_that_it_is_not_done_yet(assignment: Assignment) -> None:
    made = run(assignment.release, Limits())
    assert complaints_about(made) == []
    points, messages = points_of(assignment, made.notebook)
    assert points == dict.fromkeys((question.name for question in assignment.questions), 0)
    assert all("not done yet" in message for message in messages.values())


def test_a_student_version_that_fails_elsewhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = v4.new_notebook(cells=[v4.new_code_cell("1 / 0"), cell_of(VECTORS.release, "q1-1-tests")])
    complaints = complaints_about(run(broken, Limits()))
    assert "the cell '1 / 0' fails: division by zero" in complaints
    assert "the tests q1-1-tests do not say that nothing is done yet" in complaints
    monkeypatch.setattr(assignments, "run", lambda release, _: Run(release, "it stumbles"))
    with pytest.raises(InputError, match="1_vector_quantizer does not run: it stumbles; "):
        assignments.release(tmp_path, shipped("assignments"))
    assert not list(tmp_path.iterdir())


def test_release_writes_each_where_nbgrader_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignments, "run", lambda release, _: Run(release))
    monkeypatch.setattr(assignments, "complaints_about", lambda _: [])
    paths = assignments.release(tmp_path, shipped("assignments"))
    assert paths == [tmp_path / one.name / f"{one.name}.ipynb" for one in ASSIGNMENTS]
    assert [nbformat.read(path, as_version=4) for path in paths] == [one.release for one in ASSIGNMENTS]


def test_sources_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no notebooks"):
        load_assignments(tmp_path)
    source = solved(VECTORS)
    cell_of(source, "q1-1-tests").metadata["nbgrader"]["grade_id"] = "q1-2-tests"
    nbformat.write(source, tmp_path / "twins.ipynb")
    with pytest.raises(InputError, match=r"nbgrader refuses .*twins\.ipynb"):
        load_assignments(tmp_path)


def test_the_sources_are_kept_without_outputs() -> None:
    # They are run as they are by nbval; what they show is nobody's lesson.
    assert not any(cell.get("outputs") for one in ASSIGNMENTS for cell in one.source.cells)
