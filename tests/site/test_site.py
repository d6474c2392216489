"""The site of the course: a small one is made here; `make site` checks the whole in the same way."""

import re
import warnings
from pathlib import Path

import build_site
import pytest
import site_hooks
from nbformat import NotebookNode, v4
from site_checks import check, read
from site_sources import LESSONS, ROOT, TEXTS, frame, glossary, read_terms, with_live_page, with_solutions

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one of red


def lesson(answer: str) -> NotebookNode:
    """A lesson, or its solution: an explorer, an exercise, the cell that checks it, and a link."""
    picture = v4.new_output("display_data", {"image/png": PIXEL}, metadata={"image/png": {"alt": "A red pixel."}})
    cells = [
        v4.new_markdown_cell("# 00 Small\n\nBy *temperature*, *entries* and *nothing*: $x^2$.", id="title"),
        v4.new_code_cell("widgets.SamplingPlayer()", outputs=[picture], id="player"),
        v4.new_code_cell(f"answer = {answer}", id="exercise-1"),
        v4.new_code_cell('course.check("0.1", answer)', id="check-1"),
        v4.new_markdown_cell("[next](01_other.md) and [models](../lpvq/models)", id="next"),
    ]
    language = {"name": "python", "pygments_lexer": "ipython3"}
    return v4.new_notebook(cells=cells, metadata={"language_info": language})


@pytest.fixture(scope="module")
def page() -> NotebookNode:
    return with_solutions(lesson("..."), lesson("42"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory, page) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "notebooks").mkdir()
    (folder / "index.md").write_text("# First\n\n```{toctree}\n:glob:\n\nnotebooks/*\n```\n")
    (folder / "notebooks" / "00_small.ipynb").write_text(v4.writes(page))
    (folder / "notebooks" / "01_other.md").write_text("# Other\n")
    rows = [row for row in read_terms() if {"temperature", "entry"} & set(row[0])]
    without_links = re.sub(r" \(\[.*", "", glossary(rows), flags=re.MULTILINE)
    (folder / "notebooks" / "glossary.md").write_text(without_links)
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory, sources) -> Path:
    made = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.delenv("GITHUB_REPOSITORY", raising=False)
        # Pages are made with what Sphinx 10 and 11 will forbid MyST-NB to do.
        for kind in (DeprecationWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", kind)
        assert build_site.make_pages(sources, made, tmp_path_factory.mktemp("doctrees")) == 0
    return made


# --- what the pages are made from


def test_a_solution_stands_folded_below_the_check_of_its_exercise(page):
    assert [cell.id for cell in page.cells] == [
        *("title", "player", "exercise-1", "check-1", "exercise-1-solution", "next")
    ]
    folded = page.cells[4]
    assert (folded.source, folded.metadata.tags) == ("answer = 42", ["hide-cell"])


def test_the_live_page_stands_below_each_explorer(page):
    cells = with_live_page(page).cells
    assert [cell.id for cell in cells[:3]] == ["title", "player", "player-live"]
    assert cells[2].source == frame("../live.html")
    assert len(cells) == len(page.cells) + 1


def test_the_glossary_has_every_row_of_the_guide():
    text = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    rows = text.partition("## Glossary\n")[2].strip().splitlines()[2:]
    assert len(read_terms()) == len(rows) > 100
    assert (["profile (smoke, laptop, long, full)"], ["00", "11"]) in [(terms, of) for terms, _, of in read_terms()]


def test_what_the_site_is_made_from_is_there():
    assert len(LESSONS) > 10
    assert all((ROOT / name).exists() for name in TEXTS)


# --- the pages


def test_the_pages_of_a_small_site_are_as_they_should_be(site):
    faults, counts = check(site)
    assert faults == []
    assert counts.startswith("5 pages")  # with the one for searching


def test_a_lesson_has_texts_terms_formulas_and_folded_solutions(site):
    html = (site / "notebooks" / "00_small.html").read_text()
    assert 'alt="A red pixel."' in html
    assert re.search(r'href="glossary.html#term-temperature" title="[^"]+"><em>temperature</em>', html)
    assert re.search(r'href="glossary.html#term-entry" title="[^"]+"><em>entries</em>', html)
    assert "<em>nothing</em>" in html and "<a><em>nothing" not in html
    assert re.search(r'<script[^>]* src="../_static/tex-svg.js', html)
    assert (site / "_static" / "tex-svg.js").stat().st_size > 1_000_000
    folded = html[html.index("<details") : html.index("</details>")]
    assert "Show the solution" in folded and ">42<" in folded
    assert 'href="01_other.html"' in html
    assert "models" in html and "lpvq/models" not in html  # no page, and the repository's address is not known


def test_the_repository_is_where_github_says(monkeypatch):
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://example.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "ada/lpvq")
    assert site_hooks.repository() == "https://example.com/ada/lpvq"


# --- the checks


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="other.html">x</a>', "leads to other.html"),
        ('<a href="#nowhere">x</a>', "leads to #nowhere"),
        ('<a href="page.html#nowhere">x</a>', "leads to page.html#nowhere"),
        ('<img src="data:," alt=" ">', "has no text"),
        ('<img src="data:,">', "has no text"),
        ('<script src="https://example.com/a.js"></script>', "loads https://example.com/a.js"),
        ('<link rel="stylesheet" href="//example.com/a.css">', "loads //example.com/a.css"),
        ('<p style="background: url(https://example.com/a.png)">', "loads https://example.com/a.png"),
    ],
)
def test_a_fault_in_a_page_is_found(tmp_path, body, fault):
    (tmp_path / "page.html").write_text(body)
    (found,) = check(tmp_path)[0]
    assert found.startswith("page.html: ") and fault in found


def test_a_style_that_loads_from_elsewhere_is_found(tmp_path):
    (tmp_path / "a.css").write_text("@import 'https://example.com/b.css'; @font-face { src: url(c.woff2) }")
    assert check(tmp_path)[0] == ["a.css: loads https://example.com/b.css"]


def test_a_page_without_faults_has_none(tmp_path):
    (tmp_path / "page.html").write_text('<p id="a"><a href="#a">x</a><a href="https://example.com">y</a>')
    assert check(tmp_path)[0] == []
    assert read(tmp_path / "page.html").links == ["#a", "https://example.com"]
