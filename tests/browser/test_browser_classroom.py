"""What a teacher and a student open: nothing in these pages acts or fetches, and a phone shows all of it."""

from pathlib import Path

import pytest
from nbformat import v4
from playwright.sync_api import Browser
from submissions import VECTORS, cell_of, solved

from lpvq.classroom import class_page, feedback, hand_page
from lpvq.classroom.grades import Grade

EVIL = """<script>alert(1)</script><img src=x onerror=alert(2)><a href="javascript:alert(3)">a</a>
<style>* { display: none }</style><form action="http://evil.example"><input name=a autofocus onfocus=alert(4)></form>
<iframe src="http://evil.example"></iframe><svg onload=alert(5)></svg>
![a](http://evil.example/a.png) [b](javascript:alert(6)) $\\text{<img src=x onerror=alert(7)>}$
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The three kinds of pages, about somebody who means harm with everything that is in reach."""
    folder = tmp_path_factory.mktemp("pages")
    notebook = solved(VECTORS)
    cell_of(notebook, "q1-8-answer").source += EVIL
    shown = [
        v4.new_output("display_data", data={kind: EVIL}) for kind in ("text/html", "text/markdown", "image/svg+xml")
    ]
    notebook.cells[0:0] = [v4.new_markdown_cell(EVIL), v4.new_code_cell(EVIL, outputs=shown)]
    points = {question.name: None if question.by_hand else 0.0 for question in VECTORS.questions}
    said = {name: EVIL for name, value in points.items() if value == 0}
    grade = Grade(f"mallory{EVIL}", points, [EVIL, "x" * 300], said, {"q1-8-answer": (1.0, EVIL)}, file=EVIL)
    feedback.write(folder / "feedback.html", VECTORS, grade, notebook)
    hand_page.write(folder / "by_hand.html", VECTORS, [grade], {grade.student: notebook})
    class_page.write(folder / "class.html", VECTORS, [grade], [], {grade.student: {}}, [EVIL])
    return sorted(folder.iterdir())


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_acts_and_nothing_is_cut_off(browser: Browser, pages: list[Path], width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    acted: list[str] = []
    page.on("dialog", lambda dialog: (acted.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or acted.append(request.url))
    page.on("popup", lambda popup: acted.append(popup.url))
    for path in pages:
        page.goto(path.as_uri())
        for link in page.locator("a:not([href^='#']):not([href^='feedback/'])").all():
            link.click(no_wait_after=True)
        assert page.url.startswith(path.as_uri()) and acted == [], f"{path.name}: {acted}"
        assert page.evaluate("document.documentElement.scrollWidth") == width, path.name
        assert page.locator("header h1").is_visible()
    page.close()
