"""A browser for the page that draws, and what its scripts compute."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lab import a_browser
from playwright.sync_api import Browser, Page

from lpvq.page.export import ENGINE, scripts

_COMPUTE = """async ({models, labels, uniforms, options, change}) => {
    const all = await unpack(models);
    const under = (prefix) => Object.fromEntries(Object.entries(all.arrays)
        .filter(([name]) => name.startsWith(prefix)).map(([name, x]) => [name.slice(prefix.length), x]));
    if (change) all.arrays[change][0] += 50;
    const prior = new Prior(all.prior, under("prior."));
    const drawn = labels.map((label, number) => {
        const codes = new Int32Array(prior.height * prior.width);
        const logits = [];
        for (const step of drawGrid(prior, label, codes, codes.slice(), options, uniforms[number])) {
            if (number === 0) logits.push([...step.logits]);
        }
        return {codes: [...codes], logits};
    });
    return {codes: drawn.map(({codes}) => codes), logits: drawn[0].logits};
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def engine(browser: Browser) -> Iterator[Page]:
    """An empty page with the scripts that compute."""
    page = browser.new_page()
    page.add_script_tag(content=scripts(ENGINE))
    yield page
    page.close()


@pytest.fixture(scope="module")
def draw(engine: Page) -> Callable[..., dict[str, Any]]:
    """Draw grids in the browser: their codes, and the logits of the first; `change` names an array to be changed."""

    def draw(models: str, labels: list, uniforms: list, temperature: float, top_p: float, change: str = "") -> dict:
        options = {"temperature": temperature, "topP": top_p}
        given = {"models": models, "labels": labels, "uniforms": uniforms, "options": options, "change": change}
        return engine.evaluate(_COMPUTE, given)

    return draw
