"""What is taken out of a notebook is what is written in it, and nothing else of it runs."""

import json
from pathlib import Path

import pytest

from lpvq.course import definitions
from lpvq.errors import InputError

CELLS = [
    "import math\nfrom math import pi as circle",
    "def half(x):\n    return x / 2",
    "raise RuntimeError('this cell is not needed, and must not run')",
    "%matplotlib inline",
    "def half(x):\n    return math.floor(x) / 2",
    "class Disc:\n    def area(self, r):\n        return half(2 * circle * r**2)",
    "def unfinished(:",
]


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    def as_lines(source: str) -> str | list[str]:
        return source.splitlines(keepends=True) if "\n" in source else source  # both are allowed

    cells = [{"cell_type": "code", "source": as_lines(source)} for source in CELLS]
    text = {"cell_type": "markdown", "source": "def half(x): return 'text is no code'"}
    path = tmp_path / "lesson.ipynb"
    path.write_text(json.dumps({"cells": [*cells, text]}), encoding="utf-8")
    return path


def test_a_class_comes_with_all_that_it_needs(notebook: Path) -> None:
    assert definitions(notebook, "Disc").Disc().area(1) == 3.0


def test_the_later_definition_counts(notebook: Path) -> None:
    found = definitions(str(notebook), "half", "Disc")
    assert found.half(7.9) == 3.5
    assert sorted(vars(found)) == ["Disc", "half"]


@pytest.mark.parametrize("name", ["missing", "unfinished", "math"])
def test_what_is_not_defined_is_named(name: str, notebook: Path) -> None:
    with pytest.raises(InputError, match=f"lesson.ipynb does not define {name}"):
        definitions(notebook, "half", name)


def test_a_notebook_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no notebook"):
        definitions(tmp_path / "none.ipynb", "half")


def test_what_a_notebook_takes_from_one_before_comes_too(notebook: Path, tmp_path: Path) -> None:
    later = [
        "from lpvq import course",
        f"Disc = course.definitions({str(notebook)!r}, 'Disc').Disc",
        "expensive = 1 / 0",
        "class Plate(Disc):\n    pass",
    ]
    path = tmp_path / "later.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": source} for source in later]}))
    assert definitions(path, "Plate").Plate().area(1) == 3.0
