"""Make the site of the course in ``output/site``, and check it; ``make site`` calls this.

Sphinx stops at its first warning. What it does not see is checked afterwards, in the pages themselves.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from time import process_time

from sphinx.application import Sphinx

from site_checks import check
from site_sources import LIVE, ROOT, write_sources

HERE = Path(__file__).resolve().parent
SITE = ROOT / "output" / "site"


def build(site: Path) -> int:
    """Make all pages anew; return 0 if Sphinx had nothing to say against them."""
    shutil.rmtree(site, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        sources = Path(temporary, "sources")
        sources.mkdir()
        write_sources(sources)
        status = make_pages(sources, site, Path(temporary, "doctrees"))
    shutil.copy(LIVE, site)
    return status


def make_pages(sources: Path, site: Path, doctrees: Path) -> int:
    """Let Sphinx make pages; return 0 if it had nothing to say against them."""
    app = Sphinx(sources, HERE, site, doctrees, "html", status=None, warningiserror=True)
    app.build()
    return app.statuscode


def main() -> int:
    """Make the site and check it; return what the process ends with."""
    status = build(SITE)
    faults, counts = check(SITE)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{SITE.relative_to(ROOT)}: {counts}, {process_time():.0f} s of a processor core")
    return 1 if faults else status


if __name__ == "__main__":
    sys.exit(main())
