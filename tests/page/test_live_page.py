"""The page in a browser, from the disk and without a network: what a visitor moves, by mouse, finger and keyboard."""

from collections.abc import Iterator

import pytest
import shipped_page
from playwright.sync_api import Browser, Page, expect

WIDTHS = (360, 1024, 1920)
CODES = "() => live.then(({draw}) => [...draw.drawing.codes])"


class Visit:
    """A page that is open, and all that it complained of or asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith("file:") or self.complaints.append(request.url))
        page.set_default_timeout(60_000)
        page.goto(shipped_page.PATH.as_uri())
        self.finished()

    def finished(self) -> None:
        """Wait until a whole face is there."""
        expect(self.page.locator("#draw-codes")).to_have_attribute("aria-busy", "false")
        expect(self.page.locator("#step-said")).to_have_text("64 of 64")
        self.page.evaluate("() => live.then(() => 0)")

    def codes(self) -> list[int]:
        return self.page.evaluate(CODES)

    def picture(self, box: str) -> str:
        return self.page.locator(f"{box} canvas").evaluate("(canvas) => canvas.toDataURL()")

    def completed(self) -> list[str]:
        expect(self.page.locator("#completions")).to_have_attribute("aria-busy", "false")
        return [self.picture(f"#completions figure:nth-child({number})") for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def opened(browser: Browser) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1024, "height": 900}, offline=True, has_touch=True)
    visit = Visit(context.new_page())
    yield visit
    context.close()


@pytest.fixture
def visit(opened: Visit) -> Iterator[Visit]:
    yield opened
    assert opened.complaints == []


def test_another_candidate_is_taken_by_click_and_by_key(visit: Visit) -> None:
    page, before = visit.page, visit.codes()
    page.evaluate("() => live.then(({draw}) => draw.goTo(12))")
    candidates = page.locator(".candidate")
    expect(candidates).to_have_count(6)
    assert page.locator(".candidate[aria-pressed=true]").count() == 1
    second = page.evaluate("() => live.then(({draw}) => draw.candidates.map(({code}) => code))")
    candidates.nth(2).click()
    visit.finished()
    after = visit.codes()
    assert after[:12] == before[:12] and after[12] == second[2] and after != before
    expect(page.locator("#draw-status")).to_contain_text("Chosen by you: 1")
    page.evaluate("() => live.then(({draw}) => draw.goTo(12))")
    candidates.first.focus()
    page.keyboard.press("2")
    visit.finished()
    assert visit.codes()[12] == second[1]


def test_mood_temperature_and_top_p_draw_another_face(visit: Visit) -> None:
    page, seen = visit.page, [visit.codes()]
    page.locator("#labels input").nth(1).check()
    visit.finished()
    seen.append(visit.codes())
    page.locator("#temperature").focus()
    page.keyboard.press("End")
    visit.finished()
    seen.append(visit.codes())
    page.locator("#temperature").fill("1")
    page.locator("#top-p").fill("0.5")
    page.evaluate("() => live.then(({draw}) => draw.goTo(3))")
    expect(page.locator(".candidate.out").first).to_be_visible()
    page.locator("#top-p").fill("1")
    page.locator("#new").tap()
    expect(page.locator("#play")).to_have_text("Pause")
    visit.finished()
    seen.append(visit.codes())
    assert len({tuple(codes) for codes in seen}) == 4


def test_a_code_that_is_pointed_at_shows_what_it_decides(visit: Visit) -> None:
    page, whole = visit.page, visit.picture("#draw-face")
    cells = page.locator("#draw-codes [role=gridcell]")
    cells.nth(28).hover()
    assert visit.picture("#draw-face") != whole
    page.mouse.move(5, 5)
    assert visit.picture("#draw-face") == whole
    cells.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(cells.nth(9)).to_be_focused()
    expect(page.locator("#draw-status")).to_contain_text("Row 2, column 2: code")
    page.keyboard.press("Enter")
    expect(page.locator("#step-said")).to_have_text("9 of 64")
    page.locator("#step").fill("64")


def test_a_part_is_erased_by_mouse_and_by_keyboard_and_completed(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="Erase nothing").click()
    expect(page.locator("#complete-status")).to_have_text("Nothing is erased.")
    as_it_is = visit.completed()
    assert len(set(as_it_is)) == 1
    box = page.locator("#erase-face").bounding_box()
    assert box is not None
    cell = box["width"] / 8
    page.locator("#erase-face").scroll_into_view_if_needed()
    box = page.locator("#erase-face").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2.5 * cell, box["y"] + 4.5 * cell)
    page.mouse.down()
    page.mouse.move(box["x"] + 5.5 * cell, box["y"] + 4.5 * cell, steps=6)
    page.mouse.up()
    expect(page.locator("#complete-status")).to_contain_text("4 of 64")
    cells = page.locator("#erase-face [role=gridcell]")
    cells.first.focus()
    page.keyboard.press("Space")
    expect(page.locator("#complete-status")).to_contain_text("5 of 64")
    expect(cells.first).to_have_attribute("aria-label", "Row 1, column 1: erased")
    page.get_by_role("button", name="Erase the lower half").click()
    expect(page.locator("#complete-status")).to_contain_text("32 of 64")
    first = visit.completed()
    assert len(set(first)) == 3
    page.evaluate("() => live.then(({complete}) => { complete.erased.fill(1); return complete.complete(); })")
    first = visit.completed()
    page.get_by_role("button", name="Other completions").click()
    assert visit.completed() != first


def test_a_face_is_painted_by_mouse_and_by_keyboard(visit: Visit) -> None:
    page = visit.page
    page.locator("#colours label[title=rose] input").check()
    page.get_by_role("button", name="Fill with this colour").click()
    expect(page.locator("#paint-status")).to_contain_text("different ones")
    plain = visit.picture("#paint-face")
    page.locator("#colours label[title=dark] input").check()
    board = page.locator("#paint-board")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 90, steps=3)
    page.mouse.up()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    painted = visit.picture("#paint-face")
    assert painted != plain
    board.focus()
    for key in ("ArrowDown", "ArrowDown", "Space", "Shift+ArrowDown"):
        page.keyboard.press(key)
    page.evaluate("() => new Promise(requestAnimationFrame)")
    assert visit.picture("#paint-face") != painted
    page.get_by_role("button", name="Take the face painted").click()
    assert visit.page.evaluate("() => live.then(({complete, paint}) => complete.codes.join() === paint.codes.join())")


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_and_everything_has_a_name(visit: Visit, width: int) -> None:
    page = visit.page
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    too_wide = page.evaluate(
        "[...document.querySelectorAll('button, label, output, p, h1, h2, h3')]"
        ".filter((x) => x.scrollWidth > x.clientWidth + 1 && x.clientWidth && !x.closest('.cells'))"
        ".map((x) => x.outerHTML)"
    )
    assert too_wide == []
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input')].filter((x) => !x.closest('[aria-hidden=true]') &&"
        " !(x.textContent.trim() || x.ariaLabel || x.labels?.[0]?.textContent.trim())).map((x) => x.outerHTML)"
    )
    assert nameless == []


def test_who_wants_no_movement_sees_the_whole_face_at_once(browser: Browser) -> None:
    context = browser.new_context(offline=True, reduced_motion="reduce", color_scheme="dark")
    visit = Visit(context.new_page())
    visit.page.locator("#new").click()
    expect(visit.page.locator("#play")).to_have_text("Play")
    visit.finished()
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 22, 27)"
    assert visit.complaints == []
    context.close()
