"""The explorers in a real page, by mouse and by keyboard: each picture is the one that belongs to its controls.

What a page shows is compared, byte for byte, with what the same explorer draws in this process when its controls are
set to the same values.
"""

import base64
import os
import re
import signal

import numpy as np
import pytest
from explorers import EXPLORERS, make_here, write_notebook
from lab import SCREEN, Lab, serve
from PIL import Image
from playwright.sync_api import expect

_BYTES = """async picture => {
    const buffer = await (await fetch(picture.src)).arrayBuffer();
    let text = '';
    for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
    return btoa(text);
}"""


class Shown:
    """An explorer in a page, and its twin in this process."""

    def __init__(self, lab, name, index=0):
        self.lab = lab
        self.here = make_here(name)
        self.box = lab.page.locator(".lpvq-explorer").nth(index)
        self.picture = self.box.locator(".lpvq-picture:not(.lpvq-beside) img")
        self.caption = self.box.locator("[role=status]").last

    def expect_the_twins_picture(self):
        expect(self.caption).to_have_text(self.here.description)
        self.expect_bytes(self.picture, self.here._image.value)

    def expect_bytes(self, picture, expected):
        self.lab.page.wait_for_function(
            f"async ([picture, expected]) => await ({_BYTES})(picture) === expected",
            arg=[picture.element_handle(), base64.b64encode(expected).decode()],
        )

    def slider(self, name):
        sliders = self.box.locator(".widget-slider")
        return sliders.filter(has_text=name).first.locator(".noUi-handle").first

    def press(self, name, *keys):
        self.slider(name).focus()
        for key in keys:
            self.lab.page.keyboard.press(key)

    def at(self, axes, row, column):
        """Where on the page a place of the picture is."""
        box = self.picture.bounding_box()
        scale = box["width"] / self.here.figure.bbox.width
        x, y = self.here.place_of(axes, row, column)
        return box["x"] + scale * x, box["y"] + scale * y

    def hover(self, axes, row, column):
        self.picture.scroll_into_view_if_needed()
        self.lab.page.mouse.move(*self.at(axes, row, column))

    def click(self, axes, row, column):
        self.picture.scroll_into_view_if_needed()
        self.lab.page.mouse.click(*self.at(axes, row, column))


@pytest.fixture
def shown(context, server):
    """Open explorers, each in a cell, in a page of their own."""
    labs = []

    def show(*names):
        path = f"{'_'.join(names)}.ipynb"
        write_notebook(server.folder / path, *names)
        lab = Lab(context.new_page(), server, path)
        labs.append(lab)
        lab.run_all()
        assert lab.complaints() == []
        return [Shown(lab, name, index) for index, name in enumerate(names)]

    yield show
    for lab in labs:
        lab.close()


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_page_shows_what_is_drawn_here(shown, name):
    (explorer,) = shown(name)
    explorer.expect_the_twins_picture()
    explorer.lab.screenshot(f"explorer_{name}", explorer.box)
    explorer.lab.page.set_viewport_size({"width": 640, "height": 400})  # as a page at 200 %
    explorer.picture.scroll_into_view_if_needed()
    least = 0.58 * explorer.here.figure.bbox.width - 1  # or its letters would be too small
    assert explorer.picture.bounding_box()["width"] >= least
    assert explorer.box.bounding_box()["width"] <= 640
    explorer.lab.screenshot(f"explorer_{name}_at_200_percent")


def test_codes_are_changed_and_swapped(shown):
    (explorer,) = shown("codebook")
    explorer.click("codes", 2, 3)
    explorer.here.set(row=2, column=3)
    explorer.expect_the_twins_picture()
    explorer.click("codebook", 1, 2)
    code = int(explorer.here.wall[1, 2])
    explorer.here.set(code=code)
    explorer.expect_the_twins_picture()
    key, step = ("ArrowRight", 1) if code < 255 else ("ArrowLeft", -1)
    explorer.press("code there", key)
    explorer.here.set(code=code + step)
    explorer.expect_the_twins_picture()
    explorer.press("another", "ArrowRight", "ArrowRight")
    explorer.here.set(other=2)
    explorer.expect_the_twins_picture()
    explorer.box.get_by_role("button", name="swap these two").press("Enter")
    explorer.here.swap()
    explorer.expect_the_twins_picture()
    explorer.lab.screenshot("explorer_codebook_changed", explorer.box)
    explorer.box.get_by_role("button", name="as it was").click()
    explorer.here.set(image=0)
    explorer.expect_the_twins_picture()


def test_a_grid_is_played_and_steered(shown):
    (explorer,) = shown("sampling")
    explorer.press("codes", "End")
    explorer.here.set(step=64)
    explorer.expect_the_twins_picture()
    explorer.press("codes", "Home")
    explorer.here.set(step=0)
    explorer.expect_the_twins_picture()
    explorer.box.get_by_role("combobox").select_option("surprised")
    explorer.press("temperature", "ArrowLeft", "ArrowLeft")
    explorer.press("seed", "ArrowRight")
    explorer.press("top-k", "ArrowLeft")
    explorer.press("top-p", "ArrowLeft", "ArrowLeft")
    explorer.here.set(label=2, temperature=0.8, seed=1, top_k=255, top_p=0.9)
    explorer.expect_the_twins_picture()
    play = explorer.box.locator(".widget-play button").first
    play.click()
    expect(explorer.caption).to_have_text(re.compile(r"^([3-9]|\d\d) of 64 codes"))  # it may be seen late
    play.click()  # pause
    step = int(explorer.box.locator(".widget-slider").first.locator(".widget-readout").inner_text())
    explorer.here.set(step=step)
    explorer.expect_the_twins_picture()
    explorer.click("codes", 2, 3)
    explorer.here.set(step=8 * 2 + 3)
    explorer.expect_the_twins_picture()
    explorer.click("candidates", 0, 2)
    explorer.here.write(explorer.here.candidates().codes[2])
    explorer.expect_the_twins_picture()
    explorer.lab.screenshot("explorer_sampling_played", explorer.box)


def test_a_part_is_erased_by_dragging(shown):
    (explorer,) = shown("completion")
    page = explorer.lab.page
    explorer.picture.scroll_into_view_if_needed()
    page.mouse.move(*explorer.at("image", 14, 3))  # pixels: row 3, column 0 of the codes
    page.mouse.down()
    page.mouse.move(*explorer.at("image", 20, 20), steps=4)
    page.mouse.move(*explorer.at("image", 29, 29), steps=4)
    expect(explorer.box.locator(".lpvq-mark i")).to_be_visible()  # the frame, while it is drawn
    page.mouse.up()
    explorer.here.set(rows=(3, 7), columns=(0, 7))
    explorer.expect_the_twins_picture()
    explorer.box.get_by_role("button", name="others").press("Space")
    explorer.here.set(seed=1)
    explorer.expect_the_twins_picture()
    explorer.press("rows", "ArrowRight")  # the lower end of the range
    explorer.here.set(rows=(4, 7))
    explorer.expect_the_twins_picture()
    explorer.lab.screenshot("explorer_completion_dragged", explorer.box)


def test_a_drawing_is_made_encoded_and_completed(shown):
    (explorer,) = shown("board")
    page, board, here = explorer.lab.page, explorer.box.locator(".lpvq-beside img"), explorer.here
    explorer.box.get_by_role("button", name="start from a smiley").click()
    here.start_from_smiley()
    explorer.expect_the_twins_picture()
    box = board.bounding_box()

    def middle_of(row, column):
        return box["x"] + (column + 0.5) / 32 * box["width"], box["y"] + (row + 0.5) / 32 * box["height"]

    explorer.box.locator("button[title=rose]").click()
    page.mouse.move(*middle_of(4, 5))
    page.mouse.down()
    page.mouse.move(*middle_of(4, 20))
    page.mouse.up()
    here.choose("rose")
    here.stroke((4, 5), (4, 20))
    here._drawn(here.canvas)
    explorer.expect_the_twins_picture()
    explorer.expect_bytes(board, here._paper.value)
    explorer.box.get_by_role("button", name="encode").press("Enter")
    here.encode()
    explorer.expect_the_twins_picture()
    explorer.box.get_by_role("button", name="frame what to erase").click()
    page.mouse.move(*middle_of(9, 9))
    page.mouse.down()
    page.mouse.move(*middle_of(24, 20))
    page.mouse.up()
    here.set(rows=(2, 6), columns=(2, 5))
    explorer.expect_the_twins_picture()
    explorer.box.get_by_role("button", name="erase the mouth").click()
    here.erase_mouth()
    explorer.expect_the_twins_picture()
    explorer.lab.screenshot("explorer_board_completed", explorer.box)


@pytest.mark.parametrize("name", EXPLORERS)
def test_it_is_as_wide_as_the_page_and_whole_on_a_narrow_screen(shown, name):
    (explorer,) = shown(name)
    for width, height in ((1920, 1080), (1024, 768)):
        explorer.lab.page.set_viewport_size({"width": width, "height": height})
        explorer.picture.scroll_into_view_if_needed()
        sides = explorer.box.evaluate("box => [box.scrollWidth, box.clientWidth]")
        assert sides[0] <= sides[1]  # nothing to be moved from side to side
        picture, box = explorer.picture.bounding_box(), explorer.box.bounding_box()
        assert picture["x"] + picture["width"] > box["x"] + 0.97 * box["width"]
        explorer.lab.screenshot(f"explorer_{name}_{width}")
    if name == "board":  # it has the most controls, and is still seen at once
        assert explorer.box.bounding_box()["height"] < 530
        assert explorer.box.locator(".lpvq-beside img").bounding_box()["width"] > 210


def test_what_can_be_touched_shows_under_the_mouse(shown):
    (explorer,) = shown("codebook")
    explorer.hover("codes", 2, 3)
    frame = explorer.box.locator(".lpvq-mark i")
    expect(frame).to_be_visible()
    x, y = explorer.at("codes", 2, 3)
    box = frame.bounding_box()
    assert abs(box["x"] + box["width"] / 2 - x) < 2 and abs(box["y"] + box["height"] / 2 - y) < 2
    assert explorer.picture.evaluate("picture => getComputedStyle(picture).cursor") == "pointer"
    picture = explorer.picture.bounding_box()
    explorer.lab.page.mouse.move(picture["x"] + 3, picture["y"] + 3)
    expect(frame).to_have_count(0)
    assert explorer.picture.evaluate("picture => getComputedStyle(picture).cursor") != "pointer"


def test_a_dark_page_stays_dark(shown, tmp_path):
    explorers = shown(*EXPLORERS)
    explorers[0].lab.use_dark_theme()
    explorers[0].lab.page.set_viewport_size({"width": 1024, "height": 768})
    for name, explorer in zip(EXPLORERS, explorers, strict=True):
        explorer.box.screenshot(path=tmp_path / "box.png")
        pixels = np.asarray(Image.open(tmp_path / "box.png").convert("L"))
        assert (pixels > 240).mean() < 0.05 and np.median(pixels[:, :5]) < 40, name
        for text in (explorer.caption, explorer.box.locator(".lpvq-hint")):
            assert min(map(int, re.findall(r"\d+", text.evaluate("text => getComputedStyle(text).color"))[:3])) > 150
        explorer.lab.screenshot(f"explorer_{name}_dark", explorer.box)


def test_a_cell_that_is_run_again_ends_what_it_showed(shown):
    (explorer,) = shown("plane")
    explorer.press("step", "ArrowRight")
    explorer.here.set(step=1)
    explorer.expect_the_twins_picture()
    explorer.lab.run_all()
    explorer.here.set(step=0)
    explorer.expect_the_twins_picture()
    assert explorer.lab.complaints() == [] and explorer.lab.page.locator(".lpvq-explorer").count() == 1


def test_a_position_is_clicked_and_layers_are_added(shown):
    (explorer,) = shown("receptive_field")
    explorer.click("two stacks", 3, 8)
    explorer.here.set(row=3, column=8)
    explorer.expect_the_twins_picture()
    explorer.press("layers", "ArrowRight", "ArrowRight")
    explorer.here.set(layers=6)
    explorer.expect_the_twins_picture()


def test_a_codebook_learns_step_by_step(shown):
    (explorer,) = shown("plane")
    for step in (1, 2, 3):
        explorer.press("step", "ArrowRight")
        explorer.here.set(step=step)
        explorer.expect_the_twins_picture()
    explorer.box.get_by_role("combobox").select_option("at points")
    explorer.press("threshold", "ArrowRight")
    explorer.here.set(start="at points", threshold=1.1)
    explorer.expect_the_twins_picture()
    x, y = explorer.here._moment.after[3].tolist()
    page = explorer.lab.page
    explorer.hover("plane", y, x)
    page.mouse.down()
    page.mouse.move(*explorer.at("plane", -1.2, 1.4), steps=3)
    page.mouse.up()
    expect(explorer.caption).to_have_text(re.compile("own moves: 1"))
    explorer.box.get_by_role("button", name="as it was").click()
    explorer.here.set(step=3)
    explorer.expect_the_twins_picture()


def test_two_explorers_of_one_model_do_not_disturb_each_other(shown):
    first, second = shown("sampling", "sampling")
    second.press("codes", "Home")
    second.here.set(step=0)
    second.expect_the_twins_picture()
    first.expect_the_twins_picture()
    first.press("seed", "ArrowRight")
    first.here.set(seed=1)
    first.expect_the_twins_picture()
    second.expect_the_twins_picture()


def test_a_restarted_kernel_leaves_a_word_and_no_picture(shown):
    (explorer,) = shown("receptive_field")
    explorer.lab.menu("Kernel", "Restart Kernel…")
    explorer.lab.page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(explorer.box.locator(".lpvq-lost")).to_be_visible()
    expect(explorer.picture).to_be_hidden()
    expect(explorer.slider("row")).to_be_hidden()
    explorer.lab.screenshot("explorer_without_kernel")


def test_a_stopped_server_leaves_a_word_and_no_picture(browser, tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    write_notebook(folder / "plane.ipynb", "plane")
    with serve(folder, tmp_path) as server:
        lab = Lab(browser.new_page(viewport=SCREEN), server, "plane.ipynb")
        lab.run_all()
        explorer = Shown(lab, "plane")
        explorer.expect_the_twins_picture()
        os.killpg(server.process.pid, signal.SIGTERM)
        expect(explorer.picture).to_be_hidden()
        expect(explorer.box.locator(".lpvq-lost")).to_be_visible()
        expect(lab.page.get_by_text("Server Connection Error")).to_be_visible()
        lab.screenshot("explorer_without_server")
        lab.page.close()
