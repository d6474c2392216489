"""A server and a browser for the tests of each file: what they leave running ends with it."""

import shutil
from collections.abc import Iterator

import nbformat
import pytest
from lab import ROOT, SCREEN, Server, a_browser, serve
from playwright.sync_api import Browser, BrowserContext

import run_notebooks


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """What the pages of a file share: JupyterLab's scripts, megabytes of them, are fetched and compiled once."""
    context = browser.new_context(viewport=SCREEN)
    yield context
    context.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """JupyterLab on a copy of the notebooks, which it would otherwise save."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "notebooks"
    shutil.copytree(ROOT / "notebooks", folder)
    for path in folder.rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        run_notebooks.clear(notebook)  # so that a cell that has a number has run here
        nbformat.write(notebook, path)
    with serve(folder, home) as server:
        yield server
