"""A JupyterLab in a folder of its own, and a browser that looks at it.

Nothing of the user's is read or written: settings, workspaces and notebooks lie in a temporary folder. Nothing sleeps:
each step waits for what it has to see.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "output" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SCREEN = {"width": 1280, "height": 800}
SECONDS = 240  # end what hangs; the slowest notebook takes a tenth of it
expect.set_options(timeout=1000 * SECONDS)
_QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
_SETTINGS = {
    # Nothing saved, and every cell in the page, whether or not it is in view.
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}


def find_browser() -> str | None:
    """Return the path of a Chromium; None where there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser:
    """Start the browser without a window."""
    return playwright.chromium.launch(executable_path=find_browser(), args=list(_QUIET))


@contextmanager
def a_browser() -> Iterator[Browser]:
    """A Chromium; where there is none, tests are skipped, unless LPVQ_BROWSER says that there must be one."""
    if find_browser() is None:
        if os.environ.get("LPVQ_BROWSER"):
            pytest.fail("LPVQ_BROWSER is set, but there is no Chromium on this machine")
        pytest.skip("no Chromium on this machine: nothing is tried in a browser")
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Server:
    """A running JupyterLab: its address, what opens it, the folder of its notebooks, and its process."""

    url: str
    token: str
    folder: Path
    process: subprocess.Popen


@contextmanager
def serve(folder: Path, home: Path, start: Callable[[list[str]], list[str]] | None = None) -> Iterator[Server]:
    """Run JupyterLab on the notebooks in ``folder``; what it keeps for itself goes to ``home``.

    Args:
        folder: of the notebooks.
        home: for settings, workspaces, models.
        start: from the options of JupyterLab to the command that starts it, with the settings that a reader has; where
            None, JupyterLab itself as the course has it, with settings that suit the tests.
    """
    settings, configuration = ({}, "") if start else (_SETTINGS, str(ROOT / "notebooks" / ".jupyter"))
    for plugin, values in settings.items():
        path = home / "settings" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    token = secrets.token_hex(16)
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": 0,
        "ServerApp.root_dir": folder,
        "ServerApp.allow_root": True,
        "ServerApp.open_browser": False,
        "IdentityProvider.token": token,
        "LabApp.user_settings_dir": home / "settings",
    }
    start = start or (lambda given: [sys.executable, "-m", "jupyterlab", *given])
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_CONFIG_PATH": configuration,
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "LPVQ_PROFILE": "smoke",
        "LPVQ_OUTPUT": str(home / "output"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    process = subprocess.Popen(
        start([f"--{name}={value}" for name, value in options.items()]),
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    reader = threading.Thread(target=process.stderr.read)  # or the server would wait for someone to read
    try:
        server = Server(_address(process), token, folder, process)
        reader.start()
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        if reader.ident is not None:
            reader.join()
        process.stderr.close()


def _address(process: subprocess.Popen) -> str:
    """Wait until the server says where it is."""
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"(http://127\.0\.0\.1:\d+/)lab", line):
            return found.group(1)
    raise AssertionError("JupyterLab did not start:\n" + "".join(said))


class Lab:
    """A notebook that is open in JupyterLab, in a page of the browser."""

    def __init__(self, page: Page, server: Server, path: str, open_at: str = "lab/tree/{path}?reset&") -> None:
        self.page = page
        self.server = server
        page.set_default_timeout(1000 * SECONDS)
        page.goto(f"{server.url}{open_at.format(path=path)}token={server.token}")
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        self.page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()

    def menu(self, *path: str) -> None:
        """Choose from the menu: its title, then the item."""
        self.page.get_by_role("menuitem", name=path[0], exact=True).click()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{path[1]}")).first.click()

    def run_all(self) -> None:
        """Run all cells, and wait until all have run or one has failed."""
        self.menu("Run", "Run All Cells")
        self.page.wait_for_function(_ALL_RAN)

    def use_dark_theme(self) -> None:
        """Change to the dark theme, and wait until the page is dark."""
        self.menu("Settings", "Theme")
        self.page.locator(".lm-Menu-itemLabel", has_text="JupyterLab Dark").first.click()
        self.page.locator("body[data-jp-theme-light=false]").wait_for(state="attached")

    def complaints(self) -> list[str]:
        """Return what a reader would stumble on: errors, cells that did not run, widgets that are not there."""
        return self.page.evaluate(_COMPLAINTS)

    def close(self) -> None:
        """Close the page, and end the kernel, which would go on."""
        sessions = f"{self.server.url}api/sessions"
        token = {"Authorization": f"token {self.server.token}"}
        for session in self.page.request.get(sessions, headers=token).json():
            self.page.request.delete(f"{sessions}/{session['id']}", headers=token)
        self.page.close()

    def screenshot(self, name: str, of: Locator | None = None) -> None:
        """Keep a picture of the page, or of a part of it, in ``output/screenshots/``."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (of or self.page).screenshot(path=SCREENSHOTS / f"{name}.png")


# A cell that has run has a number; one that waits or runs has an asterisk. After an error, nothing more is run.
_ALL_RAN = """() => {
    const cells = [...document.querySelectorAll('.jp-CodeCell')].filter(cell => cell.querySelector('.cm-content')
        ?.textContent.trim());
    const prompts = cells.map(cell => cell.querySelector('.jp-InputPrompt').textContent);
    const failed = document.querySelector('[data-mime-type="application/vnd.jupyter.error"]');
    return prompts.length > 0 && prompts.every(prompt => !prompt.includes('*'))
        && (failed !== null || prompts.every(prompt => /\\d/.test(prompt)));
}"""
_COMPLAINTS = """() => {
    const complaints = [];
    for (const [index, cell] of [...document.querySelectorAll('.jp-Cell')].entries()) {
        const say = text => complaints.push(`cell ${index}: ${text}`);
        for (const output of cell.querySelectorAll('[data-mime-type="application/vnd.jupyter.error"]'))
            say(output.textContent.slice(-300));
        for (const output of cell.querySelectorAll('[data-mime-type="application/vnd.jupyter.stderr"]'))
            say('says on stderr ' + output.textContent.slice(-300));
        for (const output of cell.querySelectorAll('.jp-OutputArea-output'))
            if (/(Loading|Error displaying|Error creating) widget|widget could not be/i.test(output.textContent))
                say('a widget is broken: ' + output.textContent.slice(0, 200));
        for (const picture of cell.querySelectorAll('.jp-OutputArea-output img')) {
            if (!picture.complete || picture.naturalWidth === 0) say('a picture is broken');
            if (!picture.alt && !picture.closest('.lpvq-explorer')) say('a picture has no alternative text');
        }
    }
    return complaints;
}"""
