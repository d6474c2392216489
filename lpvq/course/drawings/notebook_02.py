"""Drawings of 02_vector_quantization: cells of a codebook in the plane, and how codebooks learn.

Shapes: N points and K entries of two numbers.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lpvq.models.quantizer import nearest_codes
from lpvq.plotting import BLACK, BLUE, GREEN, ORANGE, code_colours

Step = tuple[int, int, float, float]
"""A step, how many entries are in use by then, the error, and the mean length of a vector."""

_FINE = 300  # places along each side at which cells are sampled
_NUMBERED = 12  # more entries than these would hide their own numbers
_STYLES: tuple[tuple[str, str], ...] = (
    (ORANGE, "-"),
    (BLACK, ":"),
    (BLUE, "-."),
    (GREEN, "--"),
)


def plot_cells(points: Tensor, codebook: Tensor) -> Figure:
    """Plot which part of the plane belongs to each entry, and the points in it.

    Args:
        points: (N, 2); they also say which part of the plane to draw.
        codebook: (K, 2).
    """
    figure = Figure((4.2, 4.2), layout="constrained")
    axis = figure.subplots()
    put_cells(axis, points, codebook)
    x, y = points.T.numpy()
    axis.scatter(x, y, s=5, c=code_colours()[nearest_codes(points, codebook)])
    _put_entries(axis, codebook)
    return figure


def plot_path(points: Tensor, codebook: Tensor, path: Tensor, target: Tensor) -> Figure:
    """Plot the cells of a codebook (K, 2), and the path (T, 2) of a vector through them.

    Args:
        points: (N, 2); they only say how much of the plane to draw.
        codebook: (K, 2).
        path: where the vector was at each step, (T, 2).
        target: what its entry ought to be near, (2,).
    """
    figure = Figure((4.6, 4.2), layout="constrained")
    axis = figure.subplots()
    put_cells(axis, points, codebook)
    _put_entries(axis, codebook)
    axis.plot(*path.T.numpy(), "o-", color=ORANGE, markersize=3, linewidth=1, label="the vector, step by step")
    axis.plot(*path[0].numpy(), "s", color=BLACK, markersize=8, label="where it starts")
    axis.plot(*target.numpy(), "*", color=BLACK, markersize=13, label="the target of its entry")
    figure.legend(fontsize=9, loc="outside lower center", frameon=False)
    return figure


def plot_moves(points: Tensor, codebook: Tensor, panels: Sequence[tuple[str, Tensor, Tensor]]) -> Figure:
    """Plot arrows over the points and the cells of a codebook.

    Args:
        points: (N, 2).
        codebook: (K, 2).
        panels: for each a title, where the arrows start (M, 2), and where they end (M, 2).
    """
    points = points.detach()
    figure = Figure((4.2 * len(panels), 4.4), layout="constrained")
    for axis, (title, start, end) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        put_cells(axis, points, codebook)
        axis.scatter(points[:, 0], points[:, 1], s=5, color=BLACK, alpha=0.5, linewidths=0)
        axis.scatter(codebook[:, 0], codebook[:, 1], s=60, color="white", edgecolors=BLACK, zorder=3)
        start, way = start.detach(), (end - start).detach()
        axis.quiver(
            *(start[:, 0], start[:, 1], way[:, 0], way[:, 1]),
            **{"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.008, "color": ORANGE, "zorder": 4},
        )
        axis.set_title(title, fontsize=10)
    return figure


def plot_staircase(entries: Tensor) -> Figure:
    """Plot what quantizing does to single numbers with ``entries`` (K,): a staircase, and the slope used instead."""
    entries = entries.sort().values
    z = torch.linspace(float(entries[0]) - 0.5, float(entries[-1]) + 0.5, 1000)
    stairs = entries[nearest_codes(z[:, None], entries[:, None])]
    stairs[1:][stairs.diff() != 0] = torch.nan  # a jump is not a line
    figure = Figure((5.5, 3.4), layout="constrained")
    axis = figure.subplots()
    axis.plot(z.numpy(), stairs.numpy(), color=BLUE, linewidth=2.5, label="the entry that is chosen: slope 0")
    axis.plot(z.numpy(), z.numpy(), color=ORANGE, linestyle="--", label="the slope that straight-through uses: 1")
    axis.plot(entries.numpy(), entries.numpy(), "o", color=BLACK, label="entries")
    axis.set_xlabel("z, what the encoder says")
    axis.set_ylabel("q, what the decoder gets")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=9)
    return figure


def plot_codebooks(panels: Sequence[tuple[str, Tensor, Tensor, Tensor]], columns: int = 3) -> Figure:
    """Plot codebooks over the points that they are to describe; entries that no point chooses are crosses.

    Args:
        panels: for each codebook a title, the points (N, 2), the entries (K, 2) and the points' codes (N,).
        columns: how many stand side by side.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure((3.1 * columns, 3.2 * rows + 0.3), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, (title, points, codebook, codes) in zip(axes, panels, strict=False):
        counts = torch.bincount(codes, minlength=len(codebook))
        used, unused = codebook[counts > 0], codebook[counts == 0]
        axis.scatter(points[:, 0], points[:, 1], s=3, color="#BBBBBB", label="points")
        axis.scatter(used[:, 0], used[:, 1], s=34, color=BLUE, edgecolors="white", linewidths=0.6, label="entry in use")
        axis.scatter(unused[:, 0], unused[:, 1], s=34, color=ORANGE, marker="x", label="entry never chosen")
        axis.set_title(f"{title}\n{len(used)} of {len(codebook)} entries in use", fontsize=10)
        axis.set_aspect("equal")
        axis.tick_params(labelsize=8)
        axis.set_xlabel("first number", fontsize=8)
        axis.set_ylabel("second number", fontsize=8)
    for axis in axes[len(panels) :]:
        axis.axis("off")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def plot_learning(histories: Mapping[str, Sequence[Sequence[Step]]], num_codes: int) -> Figure:
    """Plot how many of ``num_codes`` entries are in use, and the error, a line for each run of each way to learn."""
    figure = Figure((9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _put_runs(left, histories, 1)
    _put_runs(right, histories, 2)
    left.set_ylim(0, 1.02 * num_codes)
    left.set_ylabel(f"entries in use, of {num_codes}")
    right.set_yscale("log")
    right.set_ylabel("error: MSE / variance (log scale)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure


def plot_commitment(histories: Mapping[str, Sequence[Sequence[Step]]]) -> Figure:
    """Plot how long vectors become, and the error, a line for each run of each weight of the commitment."""
    figure = Figure((9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _put_runs(left, histories, 3)
    _put_runs(right, histories, 2)
    left.set_yscale("log")
    left.set_ylabel("mean length of a vector (log scale)")
    right.set_ylim(bottom=0)
    right.set_ylabel("error: MSE / variance")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure


def _put_runs(axis: Axes, histories: Mapping[str, Sequence[Sequence[Step]]], which: int) -> None:
    """Draw the number ``which`` of each step of each run; all runs of a name look alike."""
    for (name, runs), (colour, dashes) in zip(histories.items(), _STYLES, strict=False):
        for index, run in enumerate(runs):
            numbers = [step[which] for step in run]
            label = None if index else name
            axis.plot([step[0] for step in run], numbers, color=colour, linestyle=dashes, linewidth=1.5, label=label)
    axis.set_xlabel("step (batches)")
    axis.grid(alpha=0.3, which="both")


def plot_sizes(sizes: Sequence[int], errors: Sequence[float]) -> Figure:
    """Plot the error of codebooks of several sizes, on logarithmic axes."""
    figure = Figure((5.5, 3.4), layout="constrained")
    axis = figure.subplots()
    axis.plot(sizes, errors, "o-", color=BLUE, label="entries picked from the points")
    axis.plot(sizes, [errors[0] / size for size in sizes], color=ORANGE, linestyle="--", label="proportional to 1 / K")
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.set_xlabel("K, the number of entries (log scale)")
    axis.set_ylabel("MSE / variance (log scale)")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=9)
    return figure


def put_cells(axis: Axes, points: Tensor, codebook: Tensor) -> None:
    """Colour each place by the entry it belongs to, with a line where another cell begins."""
    low, high = points.amin(0) - 0.15, points.amax(0) + 0.15
    x, y = (torch.linspace(float(low[i]), float(high[i]), _FINE) for i in (0, 1))
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2).to(codebook.dtype)
    cells = nearest_codes(places, codebook).reshape(_FINE, _FINE).numpy()
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    axis.imshow(code_colours()[cells], origin="lower", extent=extent, alpha=0.35, interpolation="nearest")
    border = np.zeros((_FINE, _FINE, 4))
    border[:, 1:, 3] = cells[:, 1:] != cells[:, :-1]
    border[1:, :, 3] = np.maximum(border[1:, :, 3], cells[1:] != cells[:-1])
    border[..., 3] *= 0.7
    axis.imshow(border, origin="lower", extent=extent, interpolation="nearest")
    axis.set(xlim=extent[:2], ylim=extent[2:], aspect="equal")
    axis.set_xlabel("first number")
    axis.set_ylabel("second number")


def _put_entries(axis: Axes, codebook: Tensor) -> None:
    size = 170 if len(codebook) <= _NUMBERED else 28
    axis.scatter(codebook[:, 0], codebook[:, 1], s=size, color="white", edgecolors=BLACK, linewidths=1.2, zorder=3)
    if len(codebook) <= _NUMBERED:
        for code, (x, y) in enumerate(codebook.tolist()):
            axis.text(x, y, str(code), ha="center", va="center", fontsize=9, zorder=4, clip_on=True)
