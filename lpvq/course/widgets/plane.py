"""How a codebook learns in the plane, in small steps: a batch of points is assigned, moves entries, restarts some."""

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from ipywidgets import Button, Dropdown, FloatSlider, IntSlider
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from lpvq.course.drawings.notebook_02 import put_cells
from lpvq.course.widgets.explorer import INK, TOUCH, Corners, Explorer, Picture, Spot, play_along
from lpvq.models.quantizer import VectorQuantizer
from lpvq.plotting import BLACK, BLUE, ORANGE, code_colours

_TITLES = {
    "assign": "assign: each point to the nearest entry",
    "move": "move: each entry towards the mean of its points",
    "restart": "restart: rare entries at random points",
}
_PHASES = tuple(_TITLES)
_BATCHES = 20
_POINTS = 60  # in a batch
_ENTRIES = 8
_STARTS = ("in a corner", "at points")
_MILLISECONDS = 700  # from one step to the next, when it plays
_NEAR = 0.2  # this near to an entry, the mouse counts as over it
_STEP = 0.2  # of an entry that is moved with a button

Move = tuple[int, int, float, float]
"""A reader's own move: before which batch, which entry, and where to."""


class Moment(NamedTuple):
    """One step of a codebook's learning.

    Attributes:
        points: the batch, (N, 2).
        codes: the entry that each of them chose, (N,).
        before: the entries before the step, (K, 2).
        after: the entries after it, (K, 2).
        counts: after it, how often each entry is chosen, a moving average, (K,).
    """

    points: Tensor
    codes: Tensor
    before: Tensor
    after: Tensor
    counts: Tensor


def learn(step: int, decay: float, threshold: float, start: str, moves: Sequence[Move] = ()) -> Moment:
    """Return one step of how a ``VectorQuantizer`` learns; each batch of points has three: assign, move, restart.

    Args:
        step: 0 is the assignment of the first batch.
        decay: of the moving averages, 0 … 1.
        threshold: entries with a lower count are restarted.
        start: where the entries are at first: "in a corner", or "at points" of the first batch.
        moves: what else moves entries.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # for the restarts
        batches = [_sample_points() for _ in range(_BATCHES)]
        corner = torch.tensor([-1.2, -1.0]) + 0.2 * torch.randn(_ENTRIES, 2)
        quantizer = VectorQuantizer(_ENTRIES, 2, decay=decay, restart_threshold=threshold)
        quantizer.code_sums.copy_(corner if start == "in a corner" else batches[0][:_ENTRIES])
        quantizer.started.fill_(True)
        number, phase = divmod(step, len(_PHASES))
        for batch, points in enumerate(batches[: number + 1]):
            for _, entry, x, y in (move for move in moves if move[0] == batch):
                quantizer.code_sums[entry] = quantizer.code_counts[entry] * torch.tensor([x, y])
            if batch < number:
                quantizer(_as_grid(points))
        points, before = batches[number], quantizer.codebook
        codes = quantizer.assign(_as_grid(points)).flatten()
        if phase == 0:
            return Moment(points, codes, before, before, quantizer.code_counts)
        moved = deepcopy(quantizer)
        moved.restart_threshold = 0
        moved(_as_grid(points))
        if phase == 1:
            return Moment(points, codes, before, moved.codebook, moved.code_counts)
        quantizer(_as_grid(points))
        return Moment(points, codes, moved.codebook, quantizer.codebook, quantizer.code_counts)


def plot_moment(moment: Moment, phase: str, threshold: float) -> Figure:
    """Plot points, cells and entries, with an arrow where an entry has moved; and beside them the counts."""
    figure = Figure((9.6, 4.6))
    sides = {"left": 0.09, "right": 0.99, "bottom": 0.13, "top": 0.92, "wspace": 0.2}
    plane, bars = figure.subplots(1, 2, width_ratios=[1.35, 1], gridspec_kw=sides)
    plane.set_label("plane")
    view = torch.tensor([[-1.9, -1.7], [1.9, 1.7]])  # the same at each step
    put_cells(plane, view, moment.before)
    x, y = moment.points.T.numpy()
    plane.scatter(x, y, s=22, c=code_colours()[moment.codes], edgecolors="white", linewidths=0.5)
    if phase == "assign":
        lines = torch.stack([moment.points, moment.before[moment.codes]], dim=1).numpy()
        plane.add_collection(LineCollection(list(lines), colors=INK, linewidths=0.7))
    _put_moves(plane, moment, ORANGE if phase == "restart" else TOUCH)
    plane.set(title=_TITLES[phase], xticks=[-1, 0, 1], yticks=[-1, 0, 1])  # each tick takes its time
    restarted = (moment.before - moment.after).norm(dim=1) > 0
    colours = [ORANGE if phase == "restart" and here else BLUE for here in restarted.tolist()]
    bars.bar(range(_ENTRIES), moment.counts.tolist(), color=colours)
    bars.axhline(threshold, color=ORANGE, linestyle="--", linewidth=1.5)
    bars.set_ylim(0, _POINTS / 2)
    bars.set(xticks=range(_ENTRIES), yticks=range(0, _POINTS // 2 + 1, 10))
    bars.set_xlabel("entry")
    bars.set_ylabel("count (dashed: restarted below)")
    bars.spines[["top", "right"]].set_visible(False)
    return figure


def _put_moves(axis: Axes, moment: Moment, colour: str) -> None:
    """The entries where they are now, numbered, with arrows from where they were."""
    x, y = moment.after.T.numpy()
    axis.scatter(x, y, s=290, c="white", edgecolors=TOUCH, linewidths=2, zorder=5)
    for code, (old, new) in enumerate(zip(moment.before.tolist(), moment.after.tolist(), strict=True)):
        if old != new:
            arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.5, "shrinkB": 6}
            axis.annotate("", new, old, arrowprops=arrow, zorder=4)
        axis.text(new[0], new[1], str(code), ha="center", va="center", color=BLACK, zorder=6)


def _sample_points() -> Tensor:
    """Points (N, 2): half of them in a blob, half on a ring around it, as in notebook 02."""
    angles = 2 * torch.pi * torch.rand(_POINTS)
    ring = (1.2 + 0.12 * torch.randn(_POINTS))[:, None] * torch.stack([angles.cos(), angles.sin()], dim=1)
    blob = 0.15 * torch.randn(_POINTS, 2)
    return torch.where(torch.rand(_POINTS, 1) < 0.5, blob, ring)


def _as_grid(points: Tensor) -> Tensor:
    """(N, 2) to (1, 2, N, 1)."""
    return points.T[None, :, :, None]


class PlaneExplorer(Explorer):
    """Step through the learning of a codebook of eight entries in the plane, and move entries to see them come back."""

    hint = "Drag an entry (a number) to another place, and go on from there."
    drags = True

    def __init__(self) -> None:
        self._moves: list[Move] = []
        self._held: int | None = None  # the entry that is dragged
        controls = {
            "step": IntSlider(0, 0, len(_PHASES) * _BATCHES - 1, description="step"),
            "decay": FloatSlider(0.8, min=0, max=0.99, step=0.01, description="decay γ"),
            "threshold": FloatSlider(1.0, min=0, max=5, step=0.1, description="threshold"),
            "start": Dropdown(options=_STARTS, description="start"),
        }
        every = list(controls.values())
        self._entry = IntSlider(0, 0, _ENTRIES - 1, description="entry", layout={"width": "auto", "flex": "0 1 230px"})
        super().__init__(
            controls,
            [[play_along(controls["step"], _MILLISECONDS), *every[:2]], every[2:], [self._entry, *self._buttons()]],
        )

    def _buttons(self) -> list[Button]:
        """Buttons that do from the keyboard what the mouse does."""
        buttons = []
        for text, x, y in (("←", -_STEP, 0.0), ("→", _STEP, 0.0), ("↑", 0.0, _STEP), ("↓", 0.0, -_STEP)):
            button = Button(description=text, tooltip=f"move the entry {text}", layout={"width": "40px"})
            button.on_click(lambda _, x=x, y=y: self._push(x, y))
            buttons.append(button)
        reset = Button(description="as it was", layout={"width": "auto"})
        reset.on_click(lambda _: self.move_none())
        return [*buttons, reset]

    def plot(self, step: int, decay: float, threshold: float, start: str) -> Picture:  # type: ignore[override]
        """Plot one step."""
        self._moment = moment = learn(step, decay, threshold, start, self._moves)
        batch, phase = divmod(step, len(_PHASES))
        used = len(moment.codes.unique())
        changed = int(((moment.before - moment.after).norm(dim=1) > 0).sum())
        what = {
            "assign": f"each point chooses the nearest entry; {used} of {_ENTRIES} are chosen.",
            "move": f"{changed} entries move towards the mean of their points.",
            "restart": f"{changed} entries with a count below {threshold:g} restart at points of the batch.",
        }[_PHASES[phase]]
        moves = f", own moves: {len(self._moves)}" if self._moves else ""
        figure = plot_moment(moment, _PHASES[phase], threshold)
        return figure, f"Step {step}, batch {batch + 1}, decay {decay:g}, start {start}{moves}: {what}"

    def move(self, entry: int, x: float, y: float) -> None:
        """Move an entry before the next batch is assigned, and go there; later moves are forgotten."""
        step = self.controls["step"].value
        batch = min(-(-step // len(_PHASES)), _BATCHES - 1)
        self._moves = [move for move in self._moves if move[0] <= batch] + [(batch, entry, x, y)]
        self.set(step=batch * len(_PHASES))

    def move_none(self) -> None:
        """Forget all moves."""
        self._moves = []
        self.refresh()

    def _push(self, x: float, y: float) -> None:
        """Move the chosen entry a little from where it is."""
        entry = self._entry.value
        old_x, old_y = self._moment.after[entry].tolist()
        self.move(entry, old_x + x, old_y + y)

    def pick(self, kind: str, spot: Spot) -> None:
        """A drag takes an entry to another place."""
        if kind == "mousedown":
            self._held = self._entry_at(spot)
        if self._held is None:
            return
        self.mark("plane", _around(spot.y, spot.x))
        if kind == "mouseup":
            entry, self._held = self._held, None
            self.move(entry, spot.x, spot.y)

    def target(self, spot: Spot) -> Corners | None:
        """The entry under the mouse."""
        entry = self._entry_at(spot)
        return None if entry is None else _around(*reversed(self._moment.after[entry].tolist()))

    def _entry_at(self, spot: Spot) -> int | None:
        """The entry at a place of the plane, if one is near."""
        distances = (self._moment.after - torch.tensor([spot.x, spot.y])).norm(dim=1)
        return int(distances.argmin()) if float(distances.min()) < _NEAR else None


def _around(y: float, x: float) -> Corners:
    """The corners of a square around an entry."""
    return y + _NEAR, x - _NEAR, y - _NEAR, x + _NEAR
