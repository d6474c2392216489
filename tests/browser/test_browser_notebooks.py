"""Every notebook opens in JupyterLab and shows nothing that is broken; those that a reader moves run there, too.

A lesson without explorers shows what its file holds, and nbval runs it: it is opened as it comes. The solutions are the
lessons with answers: they would take as long again, and show no more.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab import ROOT, Lab
from playwright.sync_api import expect

NOTEBOOKS = ROOT / "notebooks"
LESSONS, ASSIGNMENTS = sorted(NOTEBOOKS.glob("*.ipynb")), sorted(NOTEBOOKS.glob("assignments/*.ipynb"))


def cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def is_moved(path: Path) -> bool:
    """Whether a notebook has an explorer, which without a kernel is a picture."""
    return any("widgets." in "".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "code")


def named(paths: list[Path]) -> Callable[[Callable], Callable]:
    return pytest.mark.parametrize("path", [path.relative_to(NOTEBOOKS).as_posix() for path in paths])


def look_at(lab: Lab, path: str) -> list[str]:
    pictures = lab.page.locator(".jp-OutputArea-output img")
    if pictures.count() > 0:
        pictures.nth(pictures.count() // 2).scroll_into_view_if_needed()
    lab.screenshot(f"notebook_{path.removesuffix('.ipynb').replace('/', '_')}")
    complaints = lab.complaints()
    lab.close()
    return complaints


@named([path for path in LESSONS if is_moved(path)] + ASSIGNMENTS)
def test_it_runs_in_the_browser(context, server, path):
    lab = Lab(context.new_page(), server, path)
    lab.run_all()
    assert look_at(lab, path) == []


@named([path for path in LESSONS if not is_moved(path)])
def test_it_shows_what_is_in_its_file(context, server, path):
    shutil.copy(NOTEBOOKS / path, server.folder / path)  # with its outputs, which the server's copy lacks
    lab = Lab(context.new_page(), server, path)
    outputs = [output for cell in cells(NOTEBOOKS / path) for output in cell.get("outputs", [])]
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    expect(lab.page.locator(".jp-OutputArea-output img[src^='data:image/png']")).to_have_count(pictures)
    # JupyterLab does not show the descriptions that are in a file; a picture that is drawn here brings its own.
    assert [said for said in look_at(lab, path) if "no alternative text" not in said] == []
