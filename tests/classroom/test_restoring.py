"""Putting a submission right: what was changed, moved, lost, or saved by another editor; nothing is run here."""

import json

import nbformat
import pytest
from nbformat import v4
from odd_inputs import EDITORS, MOVED, ODD_TEXT, PASTED
from submissions import VECTORS, cell_of, solved, twice, without

from lpvq.classroom import reading
from lpvq.classroom.assignments import about
from lpvq.classroom.reading import UnreadableError, cells_of
from lpvq.classroom.restoring import named_in, restore


def test_what_is_put_back_stands_where_it_stood() -> None:
    notebook = solved(VECTORS)
    without("q1-2-answer", "q1-2-tests")(notebook)
    restored, remarks = restore(VECTORS, notebook.cells)
    names = [about(cell).get("grade_id") for cell in restored.cells if about(cell)]
    assert names == [about(cell)["grade_id"] for cell in VECTORS.source.cells if about(cell)]
    assert remarks == ["q1-2-answer was missing: put back empty", "q1-2-tests was missing: put back"]
    assert "HIDDEN" in cell_of(restored, "q1-2-tests").source and cell_of(restored, "q1-2-answer").source == ""


def test_many_cells_of_a_kind_are_one_remark() -> None:
    notebook = solved(VECTORS)
    locked = [cell for cell in notebook.cells if about(cell) and not about(cell)["solution"]]
    for cell in locked[:4]:
        cell.source += "\n1 + 1"
    assert restore(VECTORS, notebook.cells)[1] == [
        "4 cells were changed: put back (q1-setup, q1-1-tests, q1-1-more-tests, q1-2-tests)"
    ]
    for cell in locked[4:]:
        cell.source += "\n1 + 1"
    (remark,) = restore(VECTORS, notebook.cells)[1]
    assert remark.startswith(f"{len(locked)} cells were changed") and "an earlier version of the assignment" in remark
    assert len(restore(VECTORS, [v4.new_markdown_cell("nothing left")])[1]) == 3  # tests, answers, the id


def test_of_two_the_last_counts_as_below_nbgrader() -> None:
    notebook = solved(VECTORS)
    twice("q1-2-answer")(notebook)
    notebook.cells[0].source = "an earlier try"
    restored, remarks = restore(VECTORS, notebook.cells)
    assert remarks == ["q1-2-answer stands there more than once: the last one counts"]
    assert restored.cells[0].source == "an earlier try" and about(restored.cells[0]) == {}
    assert cell_of(restored, "q1-2-answer").source == cell_of(solved(VECTORS), "q1-2-answer").source


def test_cells_that_are_none_are_left_out() -> None:
    strange = {"cell_type": "code", "source": 3, "metadata": {"nbgrader": {"grade_id": ["q1-2-tests"]}}}
    cells = [None, "x", {"cell_type": "sketch"}, strange, {"cell_type": "code", "source": ["1 +", " 1"]},
             {"cell_type": "code", "metadata": 3}]  # fmt: skip
    restored, remarks = restore(VECTORS, cells, "ada")
    free = [cell.source for cell in restored.cells if not about(cell)]
    assert free == ["STUDENT = 'ada'", "", "1 + 1", ""]
    assert sum("is not a cell" in remark for remark in remarks) == 3


def test_a_notebook_of_an_old_format_is_read() -> None:
    old = nbformat.convert(v4.new_notebook(cells=[v4.new_code_cell("1 + 1")]), 3)
    assert [cell["source"] for cell in cells_of(json.dumps(old).encode())] == ["1 + 1"]


IDS = [about(cell)["grade_id"] for cell in VECTORS.source.cells if about(cell)]
SOURCES = [cell.source for cell in solved(VECTORS, "x").cells]


@pytest.mark.parametrize("editor", EDITORS)
def test_the_same_answers_from_another_editor_are_the_same(editor: str) -> None:
    restored, remarks = restore(VECTORS, cells_of(EDITORS[editor]), editor)
    # The one encoding that cannot hold a β has changed a test, which is put back.
    assert remarks == (["q1-4-tests was changed: put back"] if editor == "cp1252" else [])
    assert [about(cell)["grade_id"] for cell in restored.cells if about(cell)] == IDS
    if editor not in ("cp1252", "spaces", "trailing"):
        answers = [cell.source for cell in restored.cells if about(cell).get("solution")]
        assert answers == [cell.source for cell in solved(VECTORS, editor).cells if about(cell).get("solution")]
    nbformat.validate(restored)


@pytest.mark.parametrize("kind", MOVED)
def test_cells_that_were_moved_are_put_back_in_order(kind: str) -> None:
    notebook = solved(VECTORS, "ada")
    MOVED[kind](notebook)
    restored, remarks = restore(VECTORS, notebook.cells, "ada")
    assert [about(cell)["grade_id"] for cell in restored.cells if about(cell)] == IDS
    assert kind == "the id before everything" or any("right order" in remark for remark in remarks), remarks
    assert len(remarks) <= 2 and len(restored.cells) == len(notebook.cells)
    named = next(i for i, cell in enumerate(restored.cells) if cell.source.startswith("STUDENT"))
    assert named < next(i for i, cell in enumerate(restored.cells) if about(cell))


def test_notes_and_cells_of_the_students_own_stay_where_they_are() -> None:
    notebook = solved(VECTORS, "ada")
    notebook.cells.insert(6, v4.new_code_cell("mine = 1"))
    restored, remarks = restore(VECTORS, notebook.cells, "ada")
    assert remarks == [] and restored.cells[6].source == "mine = 1"


@pytest.mark.parametrize("kind", ODD_TEXT)
def test_characters_that_cannot_be_written_cost_nothing(kind: str) -> None:
    notebook = solved(VECTORS, "ada")
    ODD_TEXT[kind](notebook)
    restored, remarks = restore(VECTORS, cells_of(json.dumps(notebook).encode()), "ada")
    assert remarks == []
    nbformat.writes(restored).encode("utf-8")
    assert next(cell.source for cell in restored.cells if about(cell).get("solution")) in SOURCES


@pytest.mark.parametrize("kind", PASTED)
def test_pasted_pictures_are_kept_and_what_is_none_is_not(kind: str) -> None:
    notebook = solved(VECTORS, "ada")
    PASTED[kind](notebook)
    restored, _ = restore(VECTORS, cells_of(json.dumps(notebook).encode()), "ada")
    nbformat.validate(restored)
    kept = [cell["attachments"] for cell in restored.cells if "attachments" in cell]
    whole = ("a screenshot", "two kinds of one", "lines of base64", "a list of lines", "a name with spaces")
    assert bool(kept) == (kind in (*whole, "a name with an accent", "in a note", "no base64"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"%PDF-1.7 x", "a PDF"),
        (b"PK\x03\x04x", "an archive"),
        (b"[1, 2]", "no list of cells"),
        (b'{"cells": {}}', "no list of cells"),
        (b"3", "no list of cells"),
        (b"[" * 100_000, "RecursionError"),
        (b"\xff\xfe\x00", "is not a notebook"),
        (b"<html>", "a web page"),
        (b"\x89PNG\r\n", "a picture"),
        (b'{"nbformat": 3, "worksheets": 3}', "is not a notebook"),
    ],
)
def test_a_file_that_is_no_notebook_says_what_it_is(content: bytes, expected: str) -> None:
    with pytest.raises(UnreadableError, match=expected):
        cells_of(content)


def test_a_file_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_FILE", 10)
    with pytest.raises(UnreadableError, match="clear its outputs"):
        cells_of(b"x" * 11)


def test_the_id_in_a_notebook_is_read_however_it_is_quoted() -> None:
    for text, expected in {
        "STUDENT = 'ada'": "ada",
        'STUDENT="a\'b"': "a'b",
        "STUDENT = ada": None,
        "x = 1": None,
    }.items():
        assert named_in(v4.new_notebook(cells=[v4.new_code_cell(text)])) == expected
