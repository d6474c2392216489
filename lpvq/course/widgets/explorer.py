"""What the explorers have in common: a picture that follows its controls, in a page or without one."""

import base64
import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from html import escape
from typing import Any, NamedTuple, TypeVar

from ipyevents import Event
from ipywidgets import HTML, HBox, Image, Layout, VBox, Widget
from matplotlib.figure import Figure
from torch import nn

from lpvq.plotting import SHARPNESS, render

Model = TypeVar("Model", bound=nn.Module)
Picture = tuple[Figure, str]
"""A figure, and what it shows in words."""

# Without its kernel a picture no longer follows the controls, so it gives way to a word. JupyterLab marks with a class
# what belongs to a kernel that was restarted, and with a status a notebook whose server does not answer.
_LOST = (
    ".lpvq-explorer.jupyter-widgets-disconnected",
    ".jp-NotebookPanel:has([data-status='connecting'], [data-status='disconnected'], [data-status='dead'])"
    " .lpvq-explorer",
)
_LEGIBLE = 720  # pixels: in a narrower page a picture is not made smaller still, but moved from side to side
_NOTE = f"""<style>
.lpvq-explorer {{ overflow-x: auto; }}
.lpvq-explorer img {{ min-width: {_LEGIBLE}px; max-width: max({_LEGIBLE}px, 100%); height: auto; }}
.lpvq-explorer .lpvq-lost {{ display: none; }}
:is({", ".join(_LOST)}) > :not(.lpvq-note) {{ display: none; }}
:is({", ".join(_LOST)}) .lpvq-lost {{ display: block; }}
</style>
<div class="lpvq-lost" role="status">This explorer has lost its kernel. When there is one again, run its cell.</div>"""
_WIDTH, _WIDTH_OF_NAME = "265px", "85px"  # three controls stand side by side in a window 1280 pixels wide
_MILLISECONDS = 100  # between two messages, while the mouse moves over a picture


def own_copy(model: Model) -> Model:
    """Return a copy of a model for an explorer: what is done to the model later does not change its pictures.

    On the CPU, where single grids are drawn fastest.
    """
    return deepcopy(model).cpu().eval()


class Spot(NamedTuple):
    """A place in a picture: the label of the axes, and the row and the column in them."""

    axes: str
    row: int
    column: int


class Explorer(VBox):
    """A picture below its controls, drawn anew whenever one of them changes.

    An explorer is a subclass that has ``plot``. Where widgets cannot be shown, in a file on the web for example, the
    picture stands alone.

    Args:
        controls: ipywidgets that have a ``value``. Setting it from a cell is the same as moving it in the page.
        rows: how the controls, and what belongs to them, stand above the picture.

    Attributes:
        controls: as given.
        figure: the one that is shown.
        description: what it shows, in words.
    """

    def __init__(self, controls: Mapping[str, Any], rows: Sequence[Sequence[Widget]]) -> None:
        self.controls = controls
        self.figure = Figure()
        self.description = ""
        self._quiet = False
        self._image, self._caption = Image(format="png"), HTML()
        note = HTML(_NOTE)
        note.add_class("lpvq-note")
        wrapped = Layout(flex_flow="row wrap", align_items="center")
        super().__init__([note, *(HBox(row, layout=wrapped) for row in rows), self._image, self._caption])
        self.add_class("lpvq-explorer")
        for name, control in controls.items():
            control.layout.width, control.style.description_width = _WIDTH, _WIDTH_OF_NAME
            control.observe(lambda _, name=name: self._follow(name), "value")
        self._mouse = Event(
            source=self._image,
            watched_events=["mousedown", "mousemove", "mouseup"],
            prevent_default_action=True,  # a browser would drag the picture away
            wait=_MILLISECONDS,
        )
        self._mouse.on_dom_event(self._on_mouse)
        # A figure is full of references in circles, so garbage is collected every few pictures. All that was there
        # before (torch alone has a million objects) is no longer looked through each time: it would take 0.2 s.
        gc.collect()
        gc.freeze()
        self.refresh()

    # What a subclass says.

    def plot(self, **values: Any) -> Picture:
        """Plot the picture for the values of the controls."""
        raise NotImplementedError

    def prepare(self, name: str) -> None:
        """Do what follows from a change of the control ``name``, before the picture is drawn."""

    def pick(self, kind: str, spot: Spot) -> None:
        """Answer the mouse: ``kind`` is "mousedown", "mousemove" (with a button held) or "mouseup"."""

    # What all do.

    def values(self) -> dict[str, Any]:
        """Return what each control is set to."""
        return {name: control.value for name, control in self.controls.items()}

    def set(self, **values: Any) -> None:
        """Set controls one after the other, and then draw once."""
        with self._quietly():
            for name, value in values.items():
                self.controls[name].value = value
                self.prepare(name)
        self.refresh()

    def refresh(self) -> None:
        """Plot the picture of what the controls are set to."""
        try:
            self.figure, self.description = self.plot(**self.values())
        except Exception as error:  # in a page nobody would see it, and the picture before would stay
            self.figure, self.description = Figure((1, 0.1)), f"No picture: {type(error).__name__}: {error}"
        self._image.width = f"{self.figure.bbox.width:.0f}"
        self._image.value = render(self.figure, self.description, SHARPNESS)
        self._caption.value = f'<div role="status">{escape(self.description)}</div>'

    def _follow(self, name: str) -> None:
        if self._quiet:
            return
        with self._quietly():
            self.prepare(name)
        self.refresh()

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Let controls change without a new picture."""
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False

    def _on_mouse(self, event: Mapping[str, Any]) -> None:
        spot = self.spot(event["dataX"] / SHARPNESS, event["dataY"] / SHARPNESS)
        if spot is not None and (event["type"] != "mousemove" or event["buttons"]):
            self.pick(event["type"], spot)

    def place_of(self, axes: str, row: float, column: float) -> tuple[float, float]:
        """Return where a place of labelled axes is in the picture, in pixels from its upper left corner."""
        found = next(found for found in self.figure.axes if found.get_label() == axes)
        x, y = found.transData.transform((column, row))
        return float(x), float(self.figure.bbox.height - y)

    def spot(self, x: float, y: float) -> Spot | None:
        """Return where a point of the picture is, in pixels from its upper left corner; None outside labelled axes."""
        point = (x, self.figure.bbox.height - y)
        for axes in self.figure.axes:
            if axes.get_label() and axes.bbox.contains(*point):
                column, row = axes.transData.inverted().transform(point)
                return Spot(str(axes.get_label()), round(row), round(column))
        return None

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """For Jupyter: the widget, and for pages without widgets the picture."""
        picture = base64.b64encode(render(self.figure, self.description)).decode()
        data = {**super()._repr_mimebundle_(**options), "image/png": picture, "text/plain": self.description}
        return data, {"image/png": {"alt": self.description}}
