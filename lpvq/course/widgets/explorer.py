"""What the explorers have in common: a picture that follows its controls, in a page or without one."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from html import escape
from typing import Any, NamedTuple, TypeVar

from ipyevents import Event
from ipywidgets import HTML, Box, HBox, Image, IntSlider, Layout, Play, VBox, Widget, jslink
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from lpvq.course.widgets.lifetime import close_those_of_earlier_runs, forget, parts_of, settle
from lpvq.plotting import render

Model = TypeVar("Model", bound=nn.Module)
Picture = tuple[Figure, str]
"""A figure, and what it shows in words."""
Corners = tuple[float, float, float, float]
"""Top, left, bottom and right of a rectangle, in the units of its axes."""

INK = "#7A7A7A"
"""A grey that is equally legible on a white and on a dark page, which a picture cannot tell apart."""
TOUCH = "#2389DA"
"""The colour of what can be touched."""

# A picture has no background of its own, and letters that are legible even at less than two thirds of its size.
_ON_ANY_PAGE: dict[Any, Any] = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("font.size", "axes.labelsize", "legend.fontsize"), 12),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize"), 11),
    "legend.frameon": False,
}
_TITLE = 13  # points
_LEAST = 0.58  # of its size in inches, with 100 pixels to an inch: in a narrower page it is moved from side to side

# Without its kernel a picture no longer follows the controls, so it gives way to a note. JupyterLab gives a
# class to what belongs to a restarted kernel, and a status to a notebook whose server does not answer.
_LOST = (
    ".lpvq-explorer.jupyter-widgets-disconnected",
    ".jp-NotebookPanel:has([data-status='connecting'], [data-status='disconnected'], [data-status='dead'])"
    " .lpvq-explorer",
)
_NOTE = f"""<style>
.lpvq-explorer {{ overflow-x: auto; color: var(--jp-content-font-color1); }}
.lpvq-explorer .lpvq-picture {{ display: block; position: relative; overflow: visible; }}
.lpvq-explorer .lpvq-left {{ flex: 0 1 42%; min-width: 120px; margin: 4px 12px 4px 4px; overflow: visible; }}
.lpvq-explorer .lpvq-right {{ flex: 1 1 0; overflow: visible; }}
.lpvq-explorer .lpvq-beside img {{
    image-rendering: pixelated; outline: 3px solid {TOUCH}; cursor: crosshair; touch-action: none;
}}
.lpvq-explorer .lpvq-picture img {{ display: block; width: 100%; max-width: none; height: auto; margin: 0; }}
.lpvq-explorer .lpvq-picture .lpvq-here {{ cursor: pointer; }}
.lpvq-explorer .lpvq-mark, .lpvq-explorer .lpvq-mark > div {{
    position: absolute; inset: 0; margin: 0; pointer-events: none;
}}
.lpvq-explorer .lpvq-mark i {{
    position: absolute; box-sizing: border-box; border: 3px solid {TOUCH}; outline: 1px solid #fff;
}}
.lpvq-explorer .lpvq-chosen {{ outline: 3px solid {TOUCH}; outline-offset: 1px; }}
.lpvq-explorer .lpvq-hint b {{ border: 2px solid {TOUCH}; border-radius: 3px; padding: 0 4px; }}
.lpvq-explorer .lpvq-lost {{ display: none; }}
:is({", ".join(_LOST)}) > :not(.lpvq-note) {{ display: none; }}
:is({", ".join(_LOST)}) .lpvq-lost {{ display: block; }}
</style>
<div class="lpvq-lost" role="status">This explorer has lost its kernel. When there is one again, run its cell.</div>"""
# Three controls and a button stand in a row, in a window of 1280 pixels; where there is more room, sliders are longer.
_WIDTH: dict[str, str] = {"width": "auto", "flex": "1 1 230px", "max_width": "420px"}
_WIDTH_OF_NAME = "85px"
_SHARPNESS = 1.5  # pixels of a picture for each of a page: fewer than a dense screen shows, but drawn in time
_MILLISECONDS = 60  # between two messages, while the mouse moves over a picture
_MOUSE = ("mousedown", "mousemove", "mouseup", "mouseleave")
_FINGER = {"touchstart": "mousedown", "touchmove": "mousemove", "touchend": "mouseup", "touchcancel": "mouseup"}


def own_copy(model: Model) -> Model:
    """Return a copy of a model for an explorer: what is done to the model later does not change its pictures.

    It is on the CPU, where single grids are drawn fastest.
    """
    return deepcopy(model).cpu().eval()


def in_a_row(widgets: Sequence[Widget]) -> HBox:
    """Return widgets side by side, in more rows than one where the page is narrow."""
    return HBox(widgets, layout=Layout(flex_flow="row wrap", align_items="center"))


def play_along(slider: IntSlider, milliseconds: int, step: int = 1) -> Play:
    """Return buttons that play along a slider, ``step`` by ``step``."""
    play = Play(value=slider.value, min=slider.min, max=slider.max, step=step, interval=milliseconds)
    play.link = jslink((play, "value"), (slider, "value"))  # lives as long as the buttons
    return play


class Spot(NamedTuple):
    """A place in a picture: the label of the axes, and how far down and to the right it is, in their units."""

    axes: str
    y: float
    x: float

    @property
    def row(self) -> int:
        """The row, where the axes have rows."""
        return round(self.y)

    @property
    def column(self) -> int:
        """The column, where the axes have columns."""
        return round(self.x)


class Explorer(VBox):
    """A picture below its controls, drawn anew whenever one of them changes.

    An explorer is a subclass that has ``plot``. Those of its axes that have labels can be touched, and are outlined in
    blue. Where widgets cannot be shown, in a file on the web for example, the picture stands alone. An explorer ends
    when its cell is run again.

    Args:
        controls: ipywidgets that have a ``value``. Setting it from a cell is the same as moving it in the page.
        rows: how the controls, and what belongs to them, stand above the picture.
        beside: what stands at the left of the picture, one below the other.
        below: what stands below the picture, where something is beside it.

    Attributes:
        controls: as given.
        figure: the one that is shown.
        description: what it shows, in words.
    """

    hint = ""
    """What a reader can do in the picture."""
    drags = False
    """Whether things are dragged in the picture: then a finger does not move the page there."""

    def __init__(
        self,
        controls: Mapping[str, Any],
        rows: Sequence[Sequence[Widget]],
        beside: Sequence[Widget] = (),
        below: Sequence[Widget] = (),
    ) -> None:
        settle()
        close_those_of_earlier_runs(self)
        self.controls = controls
        self.figure = Figure()
        self.description = ""
        self._quiet = False
        self._pressed: Spot | None = None  # where the mouse was last, while a button is held
        self._image, self._mark, self._caption = Image(format="png"), HTML(), HTML()
        self._mark.add_class("lpvq-mark")
        self._picture = Box([self._image, self._mark])
        self._picture.add_class("lpvq-picture")
        note = HTML(_NOTE)
        note.add_class("lpvq-note")
        hint = HTML(f'<div class="lpvq-hint"><b>outlined in blue</b> {self.hint}</div>' if self.hint else "")
        self._right, picture = self._picture, self._picture  # the right half, and all that stands below the controls
        if beside:
            self._right = VBox([self._picture, in_a_row(below)]).add_class("lpvq-right")
            picture = HBox([VBox(beside).add_class("lpvq-left"), self._right])
        super().__init__([note, *map(in_a_row, rows), hint, picture, self._caption])
        self.add_class("lpvq-explorer")
        for name, control in controls.items():
            control.style.description_width = _WIDTH_OF_NAME
            for side, size in _WIDTH.items():
                setattr(control.layout, side, size)
            control.observe(lambda _, name=name: self._follow(name), "value")
        self._mouse = listen(self._image, self._on_mouse, self.drags)
        self.refresh()

    # What a subclass says.

    def plot(self, **values: Any) -> Picture:
        """Plot the picture for the values of the controls."""
        raise NotImplementedError

    def prepare(self, name: str) -> None:
        """Do what follows from a change of the control ``name``, before the picture is drawn."""

    def pick(self, kind: str, spot: Spot) -> None:
        """Answer the mouse: ``kind`` is "mousedown", "mousemove" (with a button held) or "mouseup"."""

    def target(self, spot: Spot) -> Corners | None:
        """Return what a click at ``spot`` would touch; None for nothing."""
        return None

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
        with rc_context(_ON_ANY_PAGE):
            try:
                self.figure, self.description = self.plot(**self.values())
            except Exception as error:  # on a page nobody would see it, and the previous picture would stay
                self.figure, self.description = Figure((1, 0.1)), f"No picture: {type(error).__name__}: {error}"
            _finish(self.figure)
            self._image.value = render(self.figure, self.description, _SHARPNESS)
        least = f"{_LEAST * self.figure.bbox.width:.0f}px"
        self._picture.layout.min_width = self._right.layout.min_width = least
        self._caption.value = f'<div role="status">{escape(self.description)}</div>'

    def close(self) -> None:
        """End this explorer: it leaves the page, and none of it stays in the kernel."""
        parts = [part for part in parts_of(self) if part is not self]
        self.children = ()
        for part in parts:
            part.close()
        super().close()
        forget(self)

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
        """Answer the mouse, and end a drag wherever the button is released."""
        kind = event["type"]
        spot = None if kind == "mouseleave" else self.spot(event["dataX"] / _SHARPNESS, event["dataY"] / _SHARPNESS)
        held = kind == "mousemove" and event["buttons"]
        if kind == "mousedown" or (held and self._pressed):
            self._pressed = spot or self._pressed
            if spot:
                self.pick(kind, spot)
        elif not held:
            last, self._pressed = self._pressed, None
            if last:
                self.pick("mouseup", spot if kind == "mouseup" and spot else last)
            corners = self.target(spot) if spot and not last else None
            self.mark(spot.axes if spot else "", corners)

    def mark(self, axes: str, corners: Corners | None) -> None:
        """Frame a rectangle of labelled axes until the next call, as what is touched; no rectangle if None."""
        (self._image.add_class if corners else self._image.remove_class)("lpvq-here")
        if corners is None:
            self._mark.value = ""
            return
        left, top = self.place_of(axes, *corners[:2])
        right, bottom = self.place_of(axes, *corners[2:])
        width, height = self.figure.bbox.width / 100, self.figure.bbox.height / 100
        left, right = sorted((left / width, right / width))
        top, bottom = sorted((top / height, bottom / height))
        self._mark.value = framed(left, top, right, bottom)

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
                return Spot(str(axes.get_label()), float(row), float(column))
        return None

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """For Jupyter: the widget, and for pages without widgets the picture."""
        with rc_context(_ON_ANY_PAGE):
            picture = base64.b64encode(render(self.figure, self.description)).decode()
        data = {**super()._repr_mimebundle_(**options), "image/png": picture, "text/plain": self.description}
        return data, {"image/png": {"alt": self.description}}


def listen(picture: Image, answer: Any, drags: bool, milliseconds: int = _MILLISECONDS) -> Event:
    """Call ``answer`` with what the mouse does over a picture and, where something is dragged, a finger too."""

    def on_event(event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind in _FINGER:
            event = {"buttons": 1, **event["changedTouches"][0], "type": _FINGER[kind]}
        answer(event)

    events = Event(
        source=picture,
        watched_events=[*_MOUSE, *(_FINGER if drags else ())],
        prevent_default_action=True,  # a browser would drag the picture away
        wait=milliseconds,
    )
    events.on_dom_event(on_event)
    return events


def framed(left: float, top: float, right: float, bottom: float, style: str = "") -> str:
    """Return a frame over a picture, as HTML, for its sides in per cent of the picture."""
    place = f"left: {left:.2f}%; top: {top:.2f}%; width: {right - left:.2f}%; height: {bottom - top:.2f}%"
    return f'<i style="{place}; {style}"></i>'


def _finish(figure: Figure) -> None:
    """Make titles large enough, and outline what can be touched."""
    for axes in figure.axes:
        axes.set_title(axes.get_title(), fontsize=_TITLE, fontweight="bold", pad=8)
        if axes.get_label():
            outline: dict[str, Any] = {"edgecolor": TOUCH, "linewidth": 3, "clip_on": False, "zorder": 10}
            axes.add_artist(Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, **outline))
