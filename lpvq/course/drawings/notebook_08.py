"""Drawings for 08_fast_sampling: what plain sampling wastes, what a cache keeps, and what it brings."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch, Rectangle
from matplotlib.ticker import FuncFormatter
from torch import Tensor

from lpvq.plotting import BLACK, BLUE, GREEN, ORANGE

_GONE, _NOT_YET = "#BBBBBB", "#FFFFFF"
_PALE_BLUE = "#A6CEE3"
_SMALL = 9  # points


def plot_waste(height: int, width: int, steps: Sequence[int]) -> Figure:
    """Plot what a full forward pass computes at some steps of plain sampling, and the one position that is wanted.

    Args:
        height: of the grid.
        width: of the grid.
        steps: how many codes are there already, a panel for each.
    """
    figure = Figure((2.7 * len(steps), 3.3), layout="constrained")
    for axis, step in zip(figure.subplots(1, len(steps), squeeze=False)[0], steps, strict=True):
        for position in range(height * width):
            row, column = divmod(position, width)
            colour = _PALE_BLUE if position < step else ORANGE if position == step else _NOT_YET
            _cell(axis, row, column, colour, hatch="" if position <= step else "///")
        axis.set_title(f"code {step + 1} of {height * width}", fontsize=10)
        _frame(axis, height, width)
    handles = [
        Patch(facecolor=_PALE_BLUE, edgecolor=BLACK, label="computed again"),
        Patch(facecolor=ORANGE, edgecolor=BLACK, label="used"),
        Patch(facecolor=_NOT_YET, edgecolor=_GONE, hatch="///", label="computed too early"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def plot_line_cache(width: int, layers: int, kernel_size: int, column: int) -> Figure:
    """Plot a stack of causal convolutions on a line of codes, at the step that computes one column.

    Args:
        width: how many columns to draw.
        layers: of the stack.
        kernel_size: columns that a convolution sees: its own and those to the left of it.
        column: the one that is computed.
    """
    figure = Figure((8, 0.7 * layers + 1.8), layout="constrained")
    axis = figure.subplots()
    for level in range(layers + 1):
        for place in range(width):
            is_kept = level < layers and column - kernel_size < place < column
            _node(axis, place, level, is_kept, place - column)
        if level < layers:
            for place in range(max(0, column - kernel_size + 1), column + 1):
                _arrow(axis, (place, level + 0.23), (column, level + 0.77))
    names = ["embedded code\nof the column before", *(f"after layer {level}" for level in range(1, layers + 1))]
    for level, name in enumerate(names):
        axis.text(-0.6, level, name, ha="right", va="center", fontsize=10)
    _arrow(axis, (column, layers + 0.23), (column, layers + 0.62))
    axis.text(column, layers + 0.66, f"logits of code {column}", ha="center", va="bottom", fontsize=10)
    for place in range(width):
        axis.text(place, -0.5, str(place), ha="center", va="center", fontsize=_SMALL)
    axis.text(-0.6, -0.5, "column", ha="right", va="center", fontsize=_SMALL)
    axis.set_xlim(-2.9, width - 0.5)
    axis.set_ylim(-0.75, layers + 1.05)
    axis.set_aspect("equal")
    axis.axis("off")
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    return figure


def plot_grid_cache(height: int, width: int, row: int, column: int, reach: int = 1) -> Figure:
    """Plot what a block's two stacks need to go on at one position: vertical features, links, horizontal features.

    Args:
        height: of the grid.
        width: of the grid.
        row: of the position.
        column: of the position.
        reach: R, the rows above and columns to the left that the block's convolutions see.
    """
    figure = Figure((10, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for r in range(height):
        for c in range(width):
            in_row = r == row
            above = row - reach <= r < row
            _cell(left, r, c, ORANGE if in_row else GREEN if above else _GONE if r < row else _NOT_YET)
            _cell(middle, r, c, GREEN if in_row else _GONE if r < row else _NOT_YET)
            seen = in_row and column - reach <= c < column
            past = r < row or (in_row and c < column)
            _cell(right, r, c, ORANGE if in_row and c == column else GREEN if seen else _GONE if past else _NOT_YET)
    middle.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=BLACK, linewidth=3, zorder=4))
    titles = ("vertical features\nonce per row", "links\nonce per row", "horizontal features\nonce per code")
    for axis, title in zip((left, middle, right), titles, strict=True):
        axis.set_title(title, fontsize=11)
        _frame(axis, height, width)
    for start, end, text in (
        (left, middle, "2 × 3 convolution, then\nthe 1 × 1 link"),
        (middle, right, "added, one\ncolumn"),
    ):
        arrow = {"arrowstyle": "-|>", "color": BLACK, "linewidth": 1.5, "mutation_scale": 18}
        points = {"xy": (-0.5, row), "xytext": (width - 0.5, row), "xycoords": end.transData}
        start.annotate("", **points, textcoords=start.transData, arrowprops=arrow, annotation_clip=False)
        start.text(width - 0.4, height - 0.3, text, ha="center", va="top", fontsize=_SMALL)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    return figure


def plot_changes(vertical: Sequence[Tensor], horizontal: Sequence[Tensor], row: int, column: int) -> Figure:
    """Plot by how much features change when one code does.

    Args:
        vertical: changes (H, W) of the vertical features, after the input layer, block 1, and so on.
        horizontal: the same for the horizontal features.
        row: of the code, which gets a frame.
        column: of the code.
    """
    names = ["after the input layer", "after block 1", "after the last block"]
    figure = Figure((8, 5.4), layout="constrained")
    axes = figure.subplots(2, 3)
    for line, maps, stack in zip(axes, (vertical, horizontal), ("vertical stack", "horizontal stack"), strict=True):
        for axis, change, name in zip(line, maps, names, strict=True):
            shares = (change / change.max()).masked_fill(change == 0, float("nan"))
            axis.set_facecolor("#E8E8E8")
            axis.imshow(shares.numpy(), cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
            frame = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=3)
            axis.add_patch(frame)
            axis.set_title(name, fontsize=10)
            axis.set_xticks([])
            axis.set_yticks([])
        line[0].set_ylabel(stack, fontsize=11)
    handles = [
        Patch(facecolor="#E8E8E8", edgecolor=BLACK, label="no change at all"),
        Patch(facecolor=_NOT_YET, edgecolor=ORANGE, linewidth=3, label="the code that was changed"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    return figure


def plot_mistakes(maps: Mapping[str, Tensor]) -> Figure:
    """Draw, under the name of each sampler, how far its probabilities are off at each position, (H, W), 0 to 1."""
    figure = Figure((2.5 * len(maps) + 0.9, 3.1), layout="constrained")
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    for axis, (name, distances) in zip(axes, maps.items(), strict=True):
        axis.set_facecolor("#E8E8E8")
        visible = distances.masked_fill(distances < 1e-4, float("nan"))
        image = axis.imshow(visible.numpy(), cmap="viridis", norm=LogNorm(1e-4, 1), interpolation="nearest")
        axis.set_title(name, fontsize=11)
        axis.set_xlabel("column")
        axis.set_xticks([0, distances.shape[1] - 1])
        axis.set_yticks([0, distances.shape[0] - 1])
    axes[0].set_ylabel("row")
    figure.colorbar(image, ax=axes, label="total variation (log scale)", shrink=0.8)
    return figure


def plot_speedups(numbers: Sequence[int], speedups: Mapping[str, Sequence[float]]) -> Figure:
    """Plot how many times faster than plain sampling each sampler is, against N, the number of codes in a grid."""
    figure = Figure((7, 3.8), layout="constrained")
    axis = figure.subplots()
    axis.plot(numbers, numbers, color=BLACK, linestyle=":", label="N, by multiply-adds")
    styles = ((ORANGE, "-", "o"), (BLUE, "--", "s"), (GREEN, "-.", "^"))
    for (name, values), (colour, dashes, marker) in zip(speedups.items(), styles, strict=False):
        axis.plot(numbers, values, color=colour, linestyle=dashes, marker=marker, label=name)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axis.set_xticks(list(numbers))
    axis.set_xlabel("codes in a grid, N (log scale)")
    axis.set_ylabel("times faster (log scale)")
    axis.grid(alpha=0.3)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def plot_costs(costs: Mapping[str, tuple[Sequence[float], Sequence[float], float, float]]) -> Figure:
    """Plot how long a step takes against the positions that it computes, measured and as a line.

    Args:
        costs: by the name of a sampler the positions, the measured seconds, and a and b of the line a + b · positions.
    """
    figure = Figure((7, 3.8), layout="constrained")
    axis = figure.subplots()
    styles = ((BLACK, ":", "D"), (ORANGE, "-", "o"), (BLUE, "--", "s"))
    for (name, (work, seconds, a, b)), (colour, dashes, marker) in zip(costs.items(), styles, strict=False):
        axis.plot(work, seconds, color=colour, linestyle="none", marker=marker, markersize=5, label=f"{name}, measured")
        line = np.geomspace(min(work), max(work))
        axis.plot(line, a + b * line, color=colour, linestyle=dashes, label=f"{name}, a + b · positions")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("positions that a step computes (log scale)")
    axis.set_ylabel("seconds a step (log scale)")
    axis.grid(alpha=0.3)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def _legend() -> list[Patch]:
    names = {
        GREEN: "kept, and needed now",
        ORANGE: "computed now",
        _GONE: "no longer needed",
        _NOT_YET: "not there yet",
    }
    return [Patch(facecolor=colour, edgecolor=BLACK, label=name) for colour, name in names.items()]


def _cell(axis: Axes, row: int, column: int, colour: str, hatch: str = "") -> None:
    line = _GONE if hatch else BLACK
    axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor=line, hatch=hatch))


def _frame(axis: Axes, height: int, width: int) -> None:
    axis.set_xlim(-0.6, width - 0.4)
    axis.set_ylim(height - 0.4, -0.6)
    axis.set_aspect("equal")
    axis.axis("off")


def _node(axis: Axes, place: int, level: int, is_kept: bool, after: int) -> None:
    """A feature, ``after`` columns to the right of the one that is computed."""
    colour = GREEN if is_kept else ORANGE if after == 0 else _GONE if after < 0 else _NOT_YET
    axis.add_patch(Circle((place, level), 0.22, facecolor=colour, edgecolor=BLACK, zorder=3))


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": BLACK, "linewidth": 1.2})
