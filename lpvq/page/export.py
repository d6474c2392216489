"""The page as one file: template, styles and scripts put together, with the trained models of the project inside."""

import re
from pathlib import Path
from typing import Any

from lpvq.files import write_atomically

HERE = Path(__file__).parent
ENGINE = ("unpack", "whole_numbers", "attention", "prior", "sampling", "vqvae")
"""The scripts that compute, each after those that it needs."""
SCRIPTS = (*ENGINE, "cells", "pictures", "pair", "drawing", "draw_panel", "complete_panel", "paint_panel", "main")
LARGEST = 2_000_000
"""How many bytes the page may have."""

_MODELS = re.compile(r'<script type="text/plain" id="models">(.*?)</script>', re.DOTALL)


def scripts(names: tuple[str, ...] = SCRIPTS) -> str:
    """Return scripts of the page, one after another."""
    return "\n".join((HERE / "js" / f"{name}.js").read_text(encoding="utf-8") for name in names)


def make_page(models: str, about: str) -> str:
    """Return the page.

    Args:
        models: what ``packing.pack`` made of the models.
        about: a sentence on them, as HTML.
    """
    if "</" in models or "<!--" in models:  # base 85 has no slash, and the second is as good as impossible
        raise ValueError("the models as text would end the script that holds them")
    parts = {
        "style": (HERE / "page.css").read_text(encoding="utf-8"),
        "scripts": scripts(),
        "about": about,
        "models": models,
    }
    template = (HERE / "template.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def models_in(page: str) -> str:
    """Return the models that a page holds, as they were given to ``make_page``."""
    found = _MODELS.search(page)
    return found[1] if found else ""
