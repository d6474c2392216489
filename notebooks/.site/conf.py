"""Sphinx as the site has it: whatever a page shows lies beside it, and nothing is run."""

import sys
from importlib.metadata import distribution
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "lpvq"
copyright = "The lpvq authors, MIT License"
html_title = "lpvq, the course"
language = "en"

extensions = ["myst_nb", "sphinx.ext.githubpages", "sphinx_copybutton", "site_hooks"]
html_theme = "furo"
pygments_dark_style = "a11y-high-contrast-dark"
html_css_files = ["style.css"]
html_js_files = ["reach.js"]
html_copy_source = False
html_use_index = False

nb_execution_mode = "off"
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 4  # README.md#profiles

# Copied into each page's folder of scripts; its glyphs are drawn, so it needs no fonts either.
_mathjax = distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax/tex-svg.js")
html_static_path = [str(HERE / "style.css"), str(HERE / "reach.js"), str(_mathjax)]
mathjax_path = "tex-svg.js"
