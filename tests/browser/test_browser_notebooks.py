"""Every notebook opens in JupyterLab, runs from top to bottom, and shows nothing that is broken.

The solutions are the lessons with answers, and nbval runs them: here they would take as long again, and show no more.
"""

import pytest
from lab import ROOT, Lab


def notebooks(*patterns: str) -> list[str]:
    """The notebooks of the course, as paths in their folder."""
    folder = ROOT / "notebooks"
    return [path.relative_to(folder).as_posix() for pattern in patterns for path in sorted(folder.glob(pattern))]


@pytest.mark.parametrize("path", notebooks("*.ipynb", "assignments/*.ipynb"))
def test_it_runs_in_the_browser(context, server, path):
    lab = Lab(context.new_page(), server, path)
    lab.run_all()
    pictures = lab.page.locator(".jp-OutputArea-output img")
    if pictures.count() > 0:
        pictures.nth(pictures.count() // 2).scroll_into_view_if_needed()
    lab.screenshot(f"notebook_{path.removesuffix('.ipynb').replace('/', '_')}")
    assert lab.complaints() == []
    lab.close()
