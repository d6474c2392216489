"""Where things lie: what the project ships, data sets, and results.

In a checkout, even one installed with ``pip install --editable``, everything lies in the project's own folders.
Installed from a wheel, what is shipped lies in the package, and results and data sets go below the working folder:
never into the installed package.
"""

import os
import tomllib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def checkout_around(package: Path) -> Path | None:
    """Return the folder that ``package`` lies in where that is a checkout of this project, by its pyproject.toml.

    An installed package may lie below somebody else's pyproject.toml, which does not make it a checkout.
    """
    try:
        project = tomllib.loads((package.parent / "pyproject.toml").read_text(encoding="utf-8"))
        return package.parent if project["project"]["name"] == "lpvq" else None
    except (OSError, ValueError, LookupError, TypeError):  # there is none, or not one of a project with a name
        return None


CHECKOUT = checkout_around(PACKAGE)
# Where a checkout has what a wheel brings in the package's folder of the same name, as pyproject.toml says.
_SHIPPED = {"pretrained": "data/pretrained", "assignments": "notebooks/assignments"}


def shipped(name: str) -> Path:
    """Return the folder of ``"pretrained"`` weights or of the sources of ``"assignments"``."""
    return PACKAGE / name if CHECKOUT is None else CHECKOUT / _SHIPPED[name]


def output_folder(chosen: str | Path | None = None) -> Path:
    """Return where results go: ``chosen``, or ``LPVQ_OUTPUT``, or ``output/`` of the checkout or the working folder."""
    return Path(chosen or os.environ.get("LPVQ_OUTPUT") or (CHECKOUT or Path.cwd()) / "output").expanduser()


def data_folder(chosen: str | Path | None = None) -> Path:
    """Return where data sets are looked for first and downloaded to: ``chosen``, or ``data/``, as for ``output/``."""
    return Path(chosen or (CHECKOUT or Path.cwd()) / "data").expanduser()
