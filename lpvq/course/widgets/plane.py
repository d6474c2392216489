"""How a codebook learns in the plane, in small steps: a batch of points is assigned, moves entries, restarts some."""

from copy import deepcopy
from typing import NamedTuple

import torch
from ipywidgets import Dropdown, FloatSlider, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lpvq.course.drawings.notebook_02 import put_cells
from lpvq.course.widgets.explorer import Explorer, Picture
from lpvq.models.quantizer import VectorQuantizer
from lpvq.plotting import BLACK, BLUE, ORANGE

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


def learn(step: int, decay: float, threshold: float, start: str) -> Moment:
    """Return one step of how a ``VectorQuantizer`` learns; each batch of points has three: assign, move, restart.

    Args:
        step: 0 is the assignment of the first batch.
        decay: of the moving averages, 0 … 1.
        threshold: entries with a lower count are restarted.
        start: where the entries are at first: "in a corner", or "at points" of the first batch.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # for the restarts
        batches = [_sample_points() for _ in range(_BATCHES)]
        corner = torch.tensor([-1.2, -1.0]) + 0.2 * torch.randn(_ENTRIES, 2)
        quantizer = VectorQuantizer(_ENTRIES, 2, decay=decay, restart_threshold=threshold)
        quantizer.code_sums.copy_(corner if start == "in a corner" else batches[0][:_ENTRIES])
        quantizer.started.fill_(True)
        number, phase = divmod(step, len(_PHASES))
        for points in batches[:number]:
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
    figure = Figure((9.6, 4.0))
    sides = {"left": 0.07, "right": 0.985, "bottom": 0.13, "top": 0.92, "wspace": 0.16}
    plane, bars = figure.subplots(1, 2, gridspec_kw=sides)
    view = torch.tensor([[-1.9, -1.7], [1.9, 1.7]])  # the same at each step
    put_cells(plane, view, moment.before, None)
    plane.scatter(*moment.points.T.numpy(), s=12, c=moment.codes.numpy(), cmap="viridis", vmin=0, vmax=_ENTRIES - 1)
    if phase == "assign":
        for point, entry in zip(moment.points.tolist(), moment.before[moment.codes].tolist(), strict=True):
            plane.plot(*zip(point, entry, strict=True), color=BLACK, linewidth=0.5, alpha=0.5)
    _put_moves(plane, moment, ORANGE if phase == "restart" else BLUE)
    plane.set_title(_TITLES[phase], fontsize=10)
    restarted = (moment.before - moment.after).norm(dim=1) > 0
    colours = [ORANGE if phase == "restart" and here else BLUE for here in restarted.tolist()]
    bars.bar(range(_ENTRIES), moment.counts.tolist(), color=colours)
    bars.axhline(threshold, color=ORANGE, linestyle="--", linewidth=1.5)
    bars.set_ylim(0, _POINTS / 2)
    bars.set_xticks(range(_ENTRIES))
    bars.set_xlabel("entry")
    bars.set_ylabel("count (dashed: restarted below)")
    bars.spines[["top", "right"]].set_visible(False)
    return figure


def _put_moves(axis: Axes, moment: Moment, colour: str) -> None:
    """The entries where they are now, numbered, with arrows from where they were."""
    for code, (old, new) in enumerate(zip(moment.before.tolist(), moment.after.tolist(), strict=True)):
        if old != new:
            arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.5, "shrinkB": 6}
            axis.annotate("", new, old, arrowprops=arrow, zorder=4)
        axis.plot(new[0], new[1], "o", markersize=13, color="white", markeredgecolor=BLACK, zorder=5)
        axis.text(new[0], new[1], str(code), ha="center", va="center", fontsize=9, zorder=6)


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
    """Step through the learning of a codebook of eight entries in the plane."""

    def __init__(self) -> None:
        controls = {
            "step": IntSlider(0, 0, len(_PHASES) * _BATCHES - 1, description="step"),
            "decay": FloatSlider(0.8, min=0, max=0.99, step=0.01, description="decay γ"),
            "threshold": FloatSlider(1.0, min=0, max=5, step=0.1, description="threshold"),
            "start": Dropdown(options=_STARTS, description="start"),
        }
        every = list(controls.values())
        super().__init__(controls, [every[:2], every[2:]])

    def plot(self, step: int, decay: float, threshold: float, start: str) -> Picture:  # type: ignore[override]
        """Plot one step."""
        moment = learn(step, decay, threshold, start)
        batch, phase = divmod(step, len(_PHASES))
        used = len(moment.codes.unique())
        changed = int(((moment.before - moment.after).norm(dim=1) > 0).sum())
        what = {
            "assign": f"each point chooses the nearest entry; {used} of {_ENTRIES} are chosen.",
            "move": f"{changed} entries move towards the mean of their points.",
            "restart": f"{changed} entries with a count below {threshold:g} restart at points of the batch.",
        }[_PHASES[phase]]
        figure = plot_moment(moment, _PHASES[phase], threshold)
        return figure, f"Step {step}, batch {batch + 1}, decay {decay:g}, start {start}: {what}"
