"""Every exercise says what is asked for, how hard it is and how long it takes, and every lesson asks for each kind."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from nbformat import v4

from test_project import ROOT

LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
HEADING = re.compile(r"^### Exercise (\d+\.\d) · (calculation|code|experiment|prediction) · ★{1,3} · \d{1,2} minutes$")
MUST_HAVE = {"code", "experiment", "prediction"}


def headings(path: Path) -> list[str]:
    cells = v4.reads(path.read_text(encoding="utf-8")).cells
    lines = [line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    return [line for line in lines if re.match(r"(#+ |\*\*)Exercise ", line)]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_has_exercises_of_each_kind_in_order(path: Path) -> None:
    found = [HEADING.match(line) for line in headings(path)]
    assert all(found), headings(path)
    numbers, kinds = [match[1] for match in found], [match[2] for match in found]
    assert 3 <= len(numbers) <= 5
    assert numbers == [f"{int(path.stem[:2])}.{place}" for place in range(1, len(numbers) + 1)]
    assert set(kinds) >= MUST_HAVE
    assert list(import_module(f"lpvq.course.exercises.notebook_{path.stem[:2]}").CHECKERS) == numbers


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_each_check_is_tried_with_right_and_wrong_answers(path: Path) -> None:
    tests = (ROOT / f"tests/course/test_exercises_{path.stem[:2]}.py").read_text(encoding="utf-8")
    for number in import_module(f"lpvq.course.exercises.notebook_{path.stem[:2]}").CHECKERS:
        assert f'CHECKERS["{number}"],\n        [' in tests, f"{number} is not handed to expect()"


@pytest.mark.parametrize(
    "line",
    [
        "**Exercise 4.1.** What is the perplexity?",
        "### Exercise 4.1",
        "### Exercise 4.1 · puzzle · ★ · 5 minutes",
        "### Exercise 4.1 · code · ★★★★ · 5 minutes",
        "### Exercise 4.1 · code · ★ · some minutes",
    ],
)
def test_another_heading_is_none(line: str) -> None:
    assert not HEADING.match(line)
