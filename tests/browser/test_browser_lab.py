"""What JupyterLab looks like for the course: ``make lab``, both themes, and an assignment as a student has it."""

import re
import shlex
import shutil

import nbformat
import pytest
from lab import ROOT, SCREEN, SCREENSHOTS, Lab, serve
from playwright.sync_api import expect
from submissions import VECTORS, cell_of, solved

from lpvq.classroom.assignments import about


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the notebooks with their outputs, where ``make lab`` may save."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    return folder


@pytest.fixture(scope="module")
def page(browser, course):
    """What ``make lab`` opens, without anything of the user's."""

    def make(options):
        return ["make", "--no-print-directory", "lab", f"LAYOUT={course / 'layout'}", f"ARGS={shlex.join(options)}"]

    with serve(course, course / "home", make) as server:
        lab = Lab(browser.new_page(viewport=SCREEN), server, "", "lab/workspaces/course?")
        yield lab.page
        lab.close()


def test_make_lab_opens_the_welcome_with_its_sections_at_the_side(page):
    expect(page.locator(".lm-TabBar-tab.jp-mod-current", has_text="00_welcome.ipynb")).to_be_visible()
    for heading in ("The idea", "Exercises", "Recap"):
        expect(page.locator(".jp-tocItem", has_text=heading).last).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "make_lab.png")


def test_the_lessons_come_first_and_nothing_stands_in_their_way(page):
    page.locator(".lm-TabBar-tab[data-id=filebrowser]").click()
    expect(page.locator(".jp-DirListing-item")).to_have_count(len(list((ROOT / "notebooks").glob("[!.]*"))))
    tops = "items => items.map(item => [item.getBoundingClientRect().top, item.innerText.split('\\n')[0]])"
    names = [name for _, name in sorted(page.locator(".jp-DirListing-item").evaluate_all(tops))]
    lessons = [name for name in names if name.endswith(".ipynb")]
    others = ["CLAIMS.md", "README.md", "RESULTS.md", "assignments", "solutions"]
    assert names == [*lessons, *others] and lessons == sorted(lessons)
    expect(page.get_by_text(re.compile("nbgrader|validate|formgrader|news", re.IGNORECASE))).to_have_count(0)
    page.screenshot(path=SCREENSHOTS / "make_lab_files.png")


def test_a_notebook_that_is_opened_saved_and_closed_is_as_it_was(page, course):
    kept = {path: path.read_bytes() for path in course.joinpath("notebooks").glob("*.ipynb")}
    for name in ("00_welcome.ipynb", "07_sampling.ipynb"):
        page.locator(".jp-DirListing-item", has_text=name).dblclick()
        panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        expect(panel.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_visible()
        panel.locator(".jp-Cell").first.click()
        page.keyboard.press("Escape")
        page.keyboard.press("Control+End")  # the last cell comes into view
        page.keyboard.press("Control+s")
        expect(page.locator(".lm-TabBar-tab.jp-mod-current.jp-mod-dirty")).to_have_count(0)
        page.locator(".lm-TabBar-tab.jp-mod-current .lm-TabBar-tabCloseIcon").last.click()
        expect(page.locator(".lm-TabBar-tab", has_text=name)).to_have_count(0)
    assert {path: path.read_bytes() for path in kept} == kept


def test_figures_are_readable_in_the_dark_theme(browser, server):
    start = nbformat.read(server.folder / "02_vector_quantization.ipynb", as_version=4)
    first = next(number for number, cell in enumerate(start.cells) if "plotting.show(" in cell.source)
    del start.cells[first + 1 :]
    nbformat.write(start, server.folder / "up_to_the_first_figure.ipynb")
    lab = Lab(browser.new_page(viewport=SCREEN, device_scale_factor=2), server, "up_to_the_first_figure.ipynb")
    lab.use_dark_theme()
    lab.run_all()
    assert lab.complaints() == []
    picture = lab.page.locator(".jp-OutputArea-output img").first
    picture.scroll_into_view_if_needed()
    lab.screenshot("dark_theme_on_a_dense_screen")
    sharp = picture.evaluate("picture => picture.naturalWidth >= 2 * picture.getBoundingClientRect().width - 2")
    assert sharp
    lab.close()


def test_a_student_answers_a_question_of_a_released_assignment(browser, server):
    release = VECTORS.release
    nbformat.write(release, server.folder / "handed_out.ipynb")
    names = [about(cell).get("grade_id") for cell in release.cells]
    answer, test = names.index("q1-1-answer"), names.index("q1-1-tests")
    solution = cell_of(solved(VECTORS), "q1-1-answer").source

    lab = Lab(browser.new_page(viewport=SCREEN), server, "handed_out.ipynb")
    cells = lab.page.locator(".jp-Notebook > .jp-WindowedPanel-outer .jp-Cell")
    cells.nth(answer).locator(".cm-content").click()
    lab.menu("Run", "Run All Above Selected Cell")
    for _ in range(test - answer + 1):
        lab.page.keyboard.press("Shift+Enter")
    expect(cells.nth(test)).to_contain_text("question 1.1: not done yet")
    lab.screenshot("assignment_not_done_yet")

    cells.nth(answer).locator(".cm-content").click()
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.insert_text(solution)
    for _ in range(test - answer + 1):
        lab.page.keyboard.press("Shift+Enter")
    expect(cells.nth(test)).to_contain_text("question 1.1: these tests pass")
    lab.screenshot("assignment_answered")
    lab.close()
