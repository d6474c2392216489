"""What readers write in the lessons, for the tests that try it."""

import inspect
from types import SimpleNamespace
from typing import Any

from lpvq.course import definitions
from test_project import ROOT

CACHE = "VerticalRows", "HorizontalColumns", "label_shifts", "GridCache"  # of 08_fast_sampling


def of_notebook(name: str, *names: str, **values: Any) -> SimpleNamespace:
    """Definitions of a lesson, which find what the lesson has computed before them in ``values``."""
    found = definitions(ROOT / "notebooks" / f"{name}.ipynb", *names)
    for definition in vars(found).values():
        function = definition.__init__ if inspect.isclass(definition) else inspect.unwrap(definition)
        function.__globals__.update(values)
    return found
