"""An explorer lives until its cell is run again: otherwise a kernel would keep every one that it ever made."""

import atexit
import gc
from collections.abc import Iterator
from functools import cache
from typing import Any

from IPython.core.getipython import get_ipython
from ipywidgets import Widget

_explorers: dict[str, tuple[str, list[Widget]]] = {}  # by cell: its last run, and what that run made


def close_those_of_earlier_runs(explorer: Widget) -> None:
    """Close what an earlier run of the running cell has made, and keep ``explorer`` in mind as made by this run."""
    running = _running_cell()
    if running is None:
        return
    cell, run = running
    last, made = _explorers.get(cell, (run, []))
    if last != run:
        for earlier in made:
            earlier.close()
        made = []
        gc.collect()  # now, rather than when a few more have gathered
    _explorers[cell] = run, [*made, explorer]


def _running_cell() -> tuple[str, str] | None:
    """The cell that runs, as a page names it or else by its text, and its run; None outside a kernel."""
    parent: dict[str, Any] = getattr(get_ipython(), "get_parent", dict)()
    cell = parent.get("metadata", {}).get("cellId") or parent.get("content", {}).get("code")
    return None if cell is None else (cell, parent["header"]["msg_id"])


def parts_of(widget: Widget) -> list[Widget]:
    """Return a widget and all that belongs to it: children, layouts, styles, links. ipywidgets keeps each of them."""
    found: dict[int, Widget] = {}

    def look(at: Any) -> None:
        if isinstance(at, Widget) and id(at) not in found:
            found[id(at)] = at
            look(vars(at))
        elif isinstance(at, dict):
            look(list(at.values()))
        elif isinstance(at, list | tuple):
            for part in at:
                look(part)

    look(widget)
    return list(found.values())


def forget(widget: Widget) -> None:
    """Take from a closed widget what was added to it: the history of outputs may hold the widget for ever."""
    for name in _added_to(widget):
        delattr(widget, name)


def _added_to(widget: Widget) -> Iterator[str]:
    """The attributes that are not traitlets' own."""
    return (name for name in list(vars(widget)) if not name.startswith(("_trait", "_cross")))


@cache
def settle() -> None:
    """Exempt what exists already from the search for garbage, once.

    A figure is full of references in circles, so garbage is collected every few pictures. Torch alone has a million
    objects, and to look through them each time would take 0.2 s.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # or libraries complain at the end that they are still in use
