"""Drawings for 05_causal_convolutions: who sees whom on a grid, the blind spot, the two stacks.

A position of a grid is (row, column). *Earlier* is what comes before it in reading order.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from lpvq.plotting import BLACK, BLUE, GREEN, ORANGE, Patches, put_codes, put_image

Position = tuple[int, int]

_SMALL = 9  # points
_PALE = "#ececec"
_SEEN: dict[str, Any] = {"facecolor": BLUE, "edgecolor": "white", "linewidth": 0.8}
_MISSED: dict[str, Any] = {"facecolor": "white", "edgecolor": ORANGE, "hatch": "////", "linewidth": 0.8}
_LEAK: dict[str, Any] = {"facecolor": BLACK, "edgecolor": "white", "linewidth": 0.8}
_NEITHER: dict[str, Any] = {"facecolor": _PALE, "edgecolor": "white", "linewidth": 0.8}
_ARROW = {"arrowstyle": "-|>", "linewidth": 1.8, "mutation_scale": 14, "shrinkA": 0, "shrinkB": 0}


def plot_reading_order(image: Tensor, codes: Tensor, position: Position, patches: Patches) -> Figure:
    """Plot an image, its codes in reading order, and what may be known when one of them is predicted.

    Args:
        image: (C, H, W), floats in [0, 1].
        codes: its codes, int64 (h, w).
        position: the code to be predicted.
        patches: what the codes stand for, (K, C, s, s), floats in [0, 1]; or K, for colours without an order.
    """
    height, width = codes.shape
    figure = Figure((9.6, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    put_image(left, image, "an image")
    put_codes(middle, codes, patches, "its codes, read row by row")
    for row in range(height):
        middle.annotate("", (width - 0.55, row + 0.33), (-0.45, row + 0.33), arrowprops={**_ARROW, "color": ORANGE})
    put_codes(right, codes, patches, "known when the code at ? is predicted")
    for text in [*middle.texts, *right.texts]:
        text.set_fontsize(8)
    for row in range(height):
        for column in range(width):
            if (row, column) >= position:
                _put_cell(right, row, column, {**_NEITHER, "zorder": 5})
    right.text(position[1], position[0], "?", ha="center", va="center", fontsize=14, weight="bold", zorder=6)
    _put_frame(right, *position)
    return figure


def plot_dependencies(matrices: Sequence[Tensor], titles: Sequence[str]) -> Figure:
    """Plot who sees whom in a row: matrices bool (N, N), output positions down, input positions across."""
    figure = Figure((2.45 * len(matrices), 3.3), layout="constrained")
    axes = figure.subplots(1, len(matrices), squeeze=False)[0]
    for axis, matrix, title in zip(axes, matrices, titles, strict=True):
        _put_cells(axis, matrix, torch.ones_like(matrix).tril(-1))
        for index in range(len(matrix)):
            _put_frame(axis, index, index, width=1.2)
        axis.set_title(title, fontsize=10)
        ticks = range(0, len(matrix), 2)
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.set_yticks(ticks, [str(tick) for tick in ticks])
        axis.set_xlabel("input (column)", fontsize=_SMALL)
    axes[0].set_ylabel("output (column)", fontsize=_SMALL)
    _put_legend(figure, "the position itself (framed)")
    return figure


def plot_seen(maps: Sequence[Tensor], positions: Sequence[Position], titles: Sequence[str], columns: int = 2) -> Figure:
    """Plot what single positions see.

    Args:
        maps: bool (H, W) each: whether the output at the position depends on the input there.
        positions: one for each map.
        titles: one for each map.
        columns: how many maps stand in a row.
    """
    columns = min(columns, len(maps))
    rows = -(-len(maps) // columns)
    height, width = maps[0].shape
    side = 9.0 / columns
    figure = Figure((9.0, rows * (side * height / width + 0.3) + 0.4), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, seen, position, title in zip(axes, maps, positions, titles, strict=False):
        _put_cells(axis, seen, _earlier(height, width, position))
        _put_frame(axis, *position)
        axis.set_title(title, fontsize=10)
        axis.set_xticks([])
        axis.set_yticks([])
    for axis in axes[len(maps) :]:
        axis.axis("off")
    _put_legend(figure, "the position that looks (framed)")
    return figure


def plot_masks(masks: Sequence[Tensor], titles: Sequence[str]) -> Figure:
    """Plot masks of kernels (k, k), each weight with its 0 or 1, the middle framed."""
    figure = Figure((2.3 * len(masks), 2.4), layout="constrained")
    for axis, mask, title in zip(figure.subplots(1, len(masks), squeeze=False)[0], masks, titles, strict=True):
        _put_numbers(axis, mask, mask > 0)
        _put_frame(axis, mask.shape[0] // 2, mask.shape[1] // 2)
        axis.set_title(title, fontsize=10)
    return figure


def plot_wedge() -> Figure:
    """Plot why a stack of masked 3 × 3 convolutions has a blind spot: its four steps, and where they lead."""
    figure = Figure((9, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 9])
    _put_cells(left, torch.zeros(3, 3, dtype=torch.bool), torch.zeros(3, 3, dtype=torch.bool))
    for row, column in ((0, 0), (0, 1), (0, 2), (1, 0)):
        left.annotate("", (column, row), (1, 1), arrowprops={**_ARROW, "color": BLUE})
    _put_frame(left, 1, 1)
    left.set_title("the four steps of a layer", fontsize=10)
    position = (4, 3)
    height, width = 5, 9
    earlier = _earlier(height, width, position)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    _put_cells(right, earlier & (columns - position[1] <= position[0] - rows), earlier)
    for step in range(4):
        column, row = position[1] + step, position[0] - step
        start = (column, row) if step else (column + 0.5, row - 0.5)  # the first from the edge of the frame
        right.annotate("", (column + 1, row - 1), start, arrowprops={**_ARROW, "color": "white"})
    _put_frame(right, *position)
    right.annotate(
        "up one row, right two columns:\nno sequence of steps leads here",
        (5.35, 3.1),
        (6.3, 4.25),
        ha="left",
        va="center",
        fontsize=_SMALL,
        arrowprops={"arrowstyle": "-|>", "color": BLACK},
    )
    right.set_title("the way that leads furthest to the right, and what it never reaches", fontsize=10)
    for axis in (left, right):
        axis.set_xticks([])
        axis.set_yticks([])
    _put_legend(figure, "the position that looks (framed)")
    return figure


def plot_two_stacks() -> Figure:
    """Plot what each stack is responsible for, and the windows of their first and later layers."""
    figure = Figure((9.4, 4.2), layout="constrained")
    axes = figure.subplot_mosaic(
        [["regions", "up first", "up later"], ["regions", "left first", "left later"]], width_ratios=[2.3, 1, 1]
    )
    _put_regions(axes["regions"])
    windows: dict[str, tuple[list[Position], str, str]] = {
        "up first": ([(0, 0), (0, 1), (0, 2)], BLUE, "vertical, first layer:\nthe row above"),
        "up later": (
            [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)],
            BLUE,
            "vertical, later layers:\nthe row above and its own",
        ),
        "left first": ([(1, 0)], GREEN, "horizontal, first layer:\nthe column to the left"),
        "left later": ([(1, 0), (1, 1)], GREEN, "horizontal, later layers:\nthe column to the left\nand its own"),
    }
    for name, (cells, colour, title) in windows.items():
        for row in range(2):
            for column in range(3):
                inside = (row, column) in cells
                hatch = "...." if inside and colour == GREEN else None
                style = {"facecolor": colour if inside else _PALE, "edgecolor": "white", "linewidth": 1, "hatch": hatch}
                _put_cell(axes[name], row, column, style)
        _put_frame(axes[name], 1, 1)
        _set_view(axes[name], 2, 3)
        axes[name].set_title(title, fontsize=_SMALL)
    return figure


def _put_regions(axis: Axes) -> None:
    height, width, (own_row, own_column) = 6, 7, (3, 3)
    for row in range(height):
        for column in range(width):
            style: dict[str, Any] = _NEITHER
            if row < own_row:
                style = _SEEN
            elif row == own_row and column < own_column:
                style = {**_SEEN, "facecolor": GREEN, "hatch": "...."}
            _put_cell(axis, row, column, style)
    _put_frame(axis, own_row, own_column)
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none"}
    text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": _SMALL, "bbox": box}
    axis.text(3, 0.5, "the vertical stack: all rows above", **text)
    axis.text(1, 4.0, "the horizontal stack:\nits own row, to the left", **text)
    axis.annotate("", (own_column, own_row - 0.25), (own_column, own_row - 1.7), arrowprops={**_ARROW, "color": ORANGE})
    axis.text(own_column + 1.3, own_row - 0.9, "the link", **text)
    _set_view(axis, height, width)
    axis.set_title("who is responsible for which positions", fontsize=10)


def plot_shift(before: Tensor, after: Tensor) -> Figure:
    """Plot a grid of numbers (H, W) with a row of zeros above it and its last row struck out; and what is left."""
    height, width = before.shape
    figure = Figure((7.6, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    padded = torch.cat([torch.zeros(1, width, dtype=before.dtype), before])
    _put_numbers(left, padded, torch.arange(height + 1)[:, None].expand(-1, width) > 0)
    left.plot([-0.5, width - 0.5], [height, height], color=ORANGE, linewidth=3)
    left.set_title("a row of zeros on top, the last row cut off", fontsize=10)
    _put_numbers(right, after, after != 0)
    right.set_title("each row now stands one lower", fontsize=10)
    for axis in (left, right):
        axis.set_ylim(height + 0.55, -0.55)
    return figure


def plot_guesses(truth: Tensor, by_number: Tensor, by_name: Tensor) -> Figure:
    """Plot for each code (K,) the truth, 0 or 1, and the probabilities given by two models."""
    figure = Figure((7.5, 3.2), layout="constrained")
    axis = figure.subplots()
    codes = range(len(truth))
    axis.plot(codes, truth.tolist(), "o", color=BLACK, markersize=9, fillstyle="none", label="truth")
    axis.plot(codes, by_number.tolist(), "--", color=ORANGE, label="from the number")
    axis.plot(codes, by_name.tolist(), "x", color=BLUE, markersize=7, label="from an embedding")
    axis.set_xticks(codes)
    axis.set_xlabel("code")
    axis.set_ylabel("probability of yes")
    axis.grid(alpha=0.3)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=3, frameon=False, fontsize=_SMALL)
    return figure


def plot_code_grids(grids: Tensor, num_codes: int) -> Figure:
    """Plot grids of codes (N, H, W), small enough for numbers, side by side."""
    figure = Figure((2.6 * len(grids), 2.6 * grids.shape[1] / grids.shape[2] + 0.1), layout="constrained")
    for axis, grid in zip(figure.subplots(1, len(grids), squeeze=False)[0], grids, strict=True):
        put_codes(axis, grid, num_codes)
        for text in axis.texts:
            text.set_fontsize(_SMALL)
    return figure


def plot_lost_bits(images: Tensor, lost: Tensor, mean: Tensor) -> Figure:
    """Plot images, below each how many more bits its codes cost one model than the other, and the mean of many.

    Args:
        images: (N, 3, H, W), floats in [0, 1].
        lost: (N, h, w); below 0 where a code costs the other model more.
        mean: over many images, (h, w), in a map of its own.
    """
    figure = Figure((1.35 * len(images) + 3.2, 3.0), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.35 * len(images), 3.2])[0]
    axes = left.subplots(2, len(images), squeeze=False)
    limit = lost.abs().max().item()
    for column, (image, bits) in enumerate(zip(images, lost, strict=True)):
        put_image(axes[0, column], image)
        _put_bits(axes[1, column], bits, limit)
    left.suptitle(f"bits more, per code (from −{limit:.0f}, violet, to {limit:.0f}, orange)", fontsize=9)
    axis = right.subplots()
    picture = _put_bits(axis, mean, mean.abs().max().item())
    axis.set_title("the mean of all test images", fontsize=9)
    right.colorbar(picture, ax=axis, label="bits more, per code", shrink=0.8)
    return figure


def _put_bits(axis: Axes, bits: Tensor, limit: float) -> AxesImage:
    """A map of bits (h, w), white at 0."""
    axis.set(xticks=[], yticks=[])
    return axis.imshow(bits.numpy(), cmap="PuOr_r", vmin=-limit, vmax=limit, interpolation="nearest")


def plot_losses(curves: Mapping[str, Sequence[float]], floors: Mapping[str, float]) -> Figure:
    """Plot losses over training steps, in nats per code, and dotted lines that no model can get below."""
    figure = Figure((7.2, 3.9), layout="constrained")
    axis = figure.subplots()
    lines = zip((ORANGE, GREEN, BLUE, BLACK), ("--", "-.", "-", ":"), strict=True)
    for (name, losses), (colour, dashes) in zip(curves.items(), lines, strict=False):
        axis.plot(range(1, len(losses) + 1), losses, dashes, color=colour, label=name)
    for name, floor in floors.items():
        axis.axhline(floor, color=BLACK, linestyle=":", linewidth=1)
        axis.text(max(map(len, curves.values())), floor - 0.03, name, ha="right", va="top", fontsize=_SMALL)
    axis.set_ylim(0, None)
    axis.set_xlabel("training step (batches)")
    axis.set_ylabel("cross-entropy (nats per code)")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=_SMALL, loc="center right", bbox_to_anchor=(1, 0.6))
    return figure


def _earlier(height: int, width: int, position: Position) -> Tensor:
    """What comes before a position in reading order, bool (H, W)."""
    return (torch.arange(height * width) < position[0] * width + position[1]).view(height, width)


def _put_cells(axis: Axes, seen: Tensor, earlier: Tensor) -> None:
    """Plot a cell for each place, by whether it is seen and whether it is earlier, both bool (H, W)."""
    for row in range(seen.shape[0]):
        for column in range(seen.shape[1]):
            is_seen, is_earlier = bool(seen[row, column]), bool(earlier[row, column])
            style = (_SEEN if is_earlier else _LEAK) if is_seen else (_MISSED if is_earlier else _NEITHER)
            _put_cell(axis, row, column, style)
            if style is _LEAK:
                axis.text(column, row, "×", ha="center", va="center", color="white", fontsize=11)
    _set_view(axis, *seen.shape)


def _put_cell(axis: Axes, row: int, column: int, style: dict[str, Any]) -> None:
    axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **style))


def _put_frame(axis: Axes, row: int, column: int, width: float = 2.5) -> None:
    frame = Rectangle((column - 0.45, row - 0.45), 0.9, 0.9, fill=False, edgecolor=BLACK, linewidth=width, zorder=7)
    axis.add_patch(frame)


def _put_numbers(axis: Axes, numbers: Tensor, strong: Tensor) -> None:
    """Plot numbers (H, W) in cells, those that are ``strong`` (bool) on blue."""
    for row in range(numbers.shape[0]):
        for column in range(numbers.shape[1]):
            stands_out = bool(strong[row, column])
            _put_cell(axis, row, column, _SEEN if stands_out else _NEITHER)
            colour = "white" if stands_out else BLACK
            axis.text(
                column, row, f"{float(numbers[row, column]):g}", ha="center", va="center", fontsize=11, color=colour
            )
    _set_view(axis, *numbers.shape)


def _set_view(axis: Axes, height: int, width: int) -> None:
    axis.set_xlim(-0.55, width - 0.45)
    axis.set_ylim(height - 0.45, -0.55)
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)


def _put_legend(figure: Figure, own: str) -> None:
    """Say what the styles of cells mean, below the figure, and leave room for the titles above it."""
    entries = [
        Patch(**_SEEN, label="earlier and seen"),
        Patch(**_MISSED, label="earlier, not seen"),
        Patch(**_LEAK, label="a leak (×): not earlier, yet seen"),
        Patch(facecolor="white", edgecolor=BLACK, linewidth=2, label=own),
    ]
    figure.get_layout_engine().set(rect=(0, 0, 1, 0.985))  # type: ignore[union-attr,call-arg]
    figure.legend(handles=entries, loc="outside lower center", ncols=4 if figure.get_figwidth() > 8 else 2, fontsize=8)
