"""Measure how long a picture takes to follow its slider, from the key that moves it to the picture on the page.

    .venv/bin/python tests/browser/measure_explorers.py

Prints the median and the worst of 50 moves for each explorer. Run it on an idle machine.
"""

import statistics
import tempfile
from pathlib import Path

from explorers import EXPLORERS, write_notebook
from lab import SCREEN, Lab, launch, serve
from playwright.sync_api import sync_playwright

MOVES = 50
# In each explorer the second slider or, where that is no number, the first one.
SLIDER = {
    "codebook": "row",
    "sampling": "codes",
    "completion": "image",
    "board": "seed",
    "receptive_field": "column",
    "plane": "step",
}
# The clock runs in the page: from the key to the moment when the new picture is there.
_WATCH = """(explorer) => {
    const picture = explorer.querySelector('.lpvq-picture:not(.lpvq-beside) img');
    window.moved = null;
    window.seconds = [];
    explorer.addEventListener('keydown', () => { window.moved = performance.now(); }, true);
    picture.addEventListener('load', () => {
        if (window.moved !== null) window.seconds.push((performance.now() - window.moved) / 1000);
        window.moved = null;
    });
}"""


def measure(lab: Lab, name: str) -> list[float]:
    """Return the seconds of each move."""
    explorer = lab.page.locator(".lpvq-explorer").nth(list(EXPLORERS).index(name))
    explorer.evaluate(_WATCH)
    handle = explorer.locator(".widget-slider", has_text=SLIDER[name]).locator(".noUi-handle").first
    handle.focus()
    for move in range(MOVES):
        lab.page.keyboard.press("ArrowLeft" if (move // 3) % 2 else "ArrowRight")
        lab.page.wait_for_function("(number) => window.seconds.length === number", arg=move + 1)
    return lab.page.evaluate("window.seconds")


def main() -> None:
    """Measure all explorers."""
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        folder = Path(home) / "notebooks"
        folder.mkdir()
        write_notebook(folder / "explorers.ipynb", *EXPLORERS)
        with serve(folder, Path(home)) as server:
            browser = launch(playwright)
            lab = Lab(browser.new_page(viewport=SCREEN), server, "explorers.ipynb")
            lab.run_all()
            for name in EXPLORERS:
                seconds = measure(lab, name)
                print(f"{name:16} median {statistics.median(seconds):.3f} s, worst of {MOVES} {max(seconds):.3f} s")
            browser.close()


if __name__ == "__main__":
    main()
