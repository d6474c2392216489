"""What JupyterLab looks like for the course: ``make lab``, both themes, and an assignment as a student has it."""

import shlex

import nbformat
from lab import ROOT, SCREEN, Lab, serve
from playwright.sync_api import expect
from submissions import VECTORS, cell_of, solved

from lpvq.classroom.assignments import about


def test_make_lab_opens_the_welcome_with_its_sections_at_the_side(browser, tmp_path):
    def make(options):
        return ["make", "--no-print-directory", "lab", f"LAYOUT={tmp_path / 'layout'}", f"ARGS={shlex.join(options)}"]

    with serve(ROOT, tmp_path, make) as server:
        lab = Lab(browser.new_page(viewport=SCREEN), server, "", "lab/workspaces/course?")
        expect(lab.page.locator(".lm-TabBar-tab.jp-mod-current", has_text="00_welcome.ipynb")).to_be_visible()
        for heading in ("The idea", "Exercises", "Recap"):
            expect(lab.page.locator(".jp-tocItem", has_text=heading).last).to_be_visible()
        lab.screenshot("make_lab")
        lab.close()


def test_figures_are_readable_in_the_dark_theme(browser, server):
    lab = Lab(browser.new_page(viewport=SCREEN, device_scale_factor=2), server, "02_vector_quantization.ipynb")
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
