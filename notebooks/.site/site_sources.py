"""What Sphinx makes the pages from: a copy of the course's texts, each lesson with its solutions folded into it.

Files keep their places below the top of the repository, so links from one to another lead where they always do.
"""

import re
import shutil
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXTS = ("README.md", "notebooks/README.md", "notebooks/RESULTS.md", "notebooks/assignments/README.md")
PICTURES = ("output/*.png", "output/*.gif")
LIVE = ROOT / "output" / "live.html"
"""The page in which the models are played with."""

_WITH_LIVE_PAGE = ("00_", "04_", "07_")
_EXPLORER = re.compile(r"\bwidgets\.[A-Z]")
_GLOSSARY = "## Glossary\n"
_ROW = re.compile(r"^\| (.*) \| (.*) \| ([\d, ]+) \|$", re.MULTILINE)


def write_sources(folder: Path) -> None:
    """Write what all pages are made from to an empty folder."""
    for name in TEXTS:
        _copy(ROOT / name, folder)
    for path in (picture for pattern in PICTURES for picture in ROOT.glob(pattern)):
        _copy(path, folder)
    for path in LESSONS:
        solution = nbformat.read(path.parent / "solutions" / path.name, as_version=4)
        lesson = with_solutions(nbformat.read(path, as_version=4), solution)
        if path.name.startswith(_WITH_LIVE_PAGE):
            lesson = with_live_page(lesson)
        nbformat.write(lesson, folder / "notebooks" / path.name)
    guide = folder / "notebooks" / "README.md"
    text, heading, _ = guide.read_text(encoding="utf-8").partition(_GLOSSARY)
    guide.write_text(f"{text}{heading}\nThe [glossary](glossary.md) has a page of its own here.\n", encoding="utf-8")
    (guide.parent / "glossary.md").write_text(glossary(read_terms()), encoding="utf-8")
    first = (Path(__file__).parent / "index.md").read_text(encoding="utf-8")
    (folder / "index.md").write_text(first.replace("{{live}}", frame(LIVE.name)), encoding="utf-8")


def with_solutions(lesson: NotebookNode, solution: NotebookNode) -> NotebookNode:
    """Return the lesson with each answer of its solution, folded, below the cell that checks it."""
    answers = {cell.id: cell for cell in solution.cells}
    page = deepcopy(lesson)
    page.cells = []
    folded = None
    for cell in lesson.cells:
        page.cells += [cell] if folded is None else [cell, folded]
        answer = answers[cell.id]
        folded = _fold(answer) if answer.source != cell.source else None
    return page


def with_live_page(lesson: NotebookNode) -> NotebookNode:
    """Return the lesson with the live page below each explorer, which stands still without a kernel."""
    page = deepcopy(lesson)
    page.cells = []
    for cell in lesson.cells:
        page.cells.append(cell)
        if cell.cell_type == "code" and _EXPLORER.search(cell.source):
            page.cells.append(nbformat.v4.new_markdown_cell(frame(f"../{LIVE.name}"), id=f"{cell.id}-live"))
    return page


def frame(address: str) -> str:
    """Return the live page as a part of another one; it is loaded when a reader comes near it."""
    return (
        f'<iframe class="live" src="{address}" title="The models of this course, to play with" loading="lazy"></iframe>'
    )


def read_terms() -> list[tuple[list[str], str, list[str]]]:
    """Return the rows of the course's glossary: the terms for one thing, what they mean, the lessons with them."""
    _, _, table = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8").partition(_GLOSSARY)
    # A comma between brackets separates nothing: profile (smoke, laptop, long, full).
    return [
        (re.split(r", (?![^(]*\))", terms), meaning, numbers.split(", "))
        for terms, meaning, numbers in _ROW.findall(table)
    ]


def glossary(rows: list[tuple[list[str], str, list[str]]]) -> str:
    """Return the page that terms in the lessons lead to."""
    lessons = {path.name[:2]: path.name for path in LESSONS}
    lines = ["# Glossary", "", "```{glossary}"]
    for terms, meaning, numbers in rows:
        links = ", ".join(f"[{number}]({lessons[number]})" for number in numbers)
        lines += [*terms, f"    {meaning} ({links})", ""]
    return "\n".join([*lines, "```", ""])


def _fold(answer: NotebookNode) -> NotebookNode:
    """Return the cell of an answer in a box that a click opens."""
    cell = deepcopy(answer)
    cell.id = f"{answer.id}-solution"
    prompts = {"code_prompt_show": "Show the solution", "code_prompt_hide": "Hide the solution"}
    cell.metadata = nbformat.from_dict({"tags": ["hide-cell"], "mystnb": prompts})
    return cell


def _copy(path: Path, folder: Path) -> None:
    """Copy a file of the repository to the same place below a folder."""
    copy = folder / path.relative_to(ROOT)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, copy)
