"""Drawings of 12_compression: an interval that shrinks, files of a few bits, and what they weigh beside others."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from lpvq.plotting import BLACK, BLUE, GREEN, ORANGE, put_image

_PIECES = ("#56B4E9", "#E69F00", "#CC79A7", "#009E73")  # of Okabe and Ito's, light enough for black letters
_LOOKS = ((BLUE, "o-"), (ORANGE, "s--"), (GREEN, "^-."), (BLACK, "D:"))
_BITS_IN_ROW = 8


def plot_intervals(intervals: Sequence[tuple[float, float]], shares: Mapping[str, float], message: str) -> Figure:
    """Plot how each symbol of a message keeps its piece of the interval, which is then drawn as wide as before.

    Args:
        intervals: where each interval starts, and its width: before the first symbol, and after each.
        shares: how much of an interval each symbol has, in the order from its start; at most four.
        message: the symbols.
    """
    figure = Figure((7.4, 0.85 * len(intervals) + 0.3), layout="constrained")
    axis = figure.subplots()
    for row, (low, width) in enumerate(intervals):
        top = -2.0 * row
        axis.text(-0.01, top + 0.5, f"{float(low):.4f}", ha="right", va="center", fontsize=9)
        axis.text(1.01, top + 0.5, f"{float(low + width):.4f}", ha="left", va="center", fontsize=9)
        start = 0.0
        for (symbol, share), colour in zip(shares.items(), _PIECES, strict=False):
            kept = row < len(message) and symbol == message[row]
            axis.add_patch(
                Rectangle(
                    (start, top), float(share), 1, facecolor=colour, edgecolor=BLACK, linewidth=2.5 if kept else 0.6
                )
            )
            weight = "bold" if kept else "normal"
            axis.text(start + float(share) / 2, top + 0.5, symbol, ha="center", va="center", fontweight=weight)
            if kept:
                corners = [(start, top), (start + float(share), top), (1, top - 1), (0, top - 1)]
                axis.add_patch(Polygon(corners, facecolor=colour, alpha=0.25, linewidth=0))
            start += float(share)
    axis.set(xlim=(-0.13, 1.13), ylim=(-2 * len(intervals) + 1.9, 1.1))
    axis.axis("off")
    return figure


def plot_files(images: Tensor, files: Sequence[Sequence[int]]) -> Figure:
    """Plot images, and below each its file: a square for each bit, dark for 1, eight in a row.

    Args:
        images: (N, C, H, W), floats in [0, 1].
        files: N of them, each its bits.
    """
    rows = max(-(-len(file) // _BITS_IN_ROW) for file in files)
    figure = Figure((1.3 * len(images), 1.6 + 0.17 * rows), layout="constrained")
    axes = figure.subplots(2, len(images), squeeze=False, height_ratios=[1.3, 0.17 * rows])
    for axis, below, image, file in zip(*axes, images, files, strict=True):
        put_image(axis, image, f"{len(file)} bits")
        for place, bit in enumerate(file):
            row, column = divmod(place, _BITS_IN_ROW)
            look = BLACK if bit else "white"
            below.add_patch(Rectangle((column, -row), 0.9, 0.9, facecolor=look, edgecolor="0.5", linewidth=0.6))
        below.set(xlim=(-0.1, _BITS_IN_ROW), ylim=(1 - rows - 0.1, 1), aspect="equal")
        below.axis("off")
    return figure


def plot_sizes(bits: Tensor, lengths: Tensor) -> Figure:
    """Plot the lengths of files against the bits that the prior promises, with the line where both are equal.

    Args:
        bits: (N,).
        lengths: (N,), in bits too.
    """
    figure = Figure((5.4, 4.2), layout="constrained")
    axis = figure.subplots()
    ends = np.array([float(bits.min()) - 1, float(bits.max()) + 1])
    axis.fill_between(ends, ends, ends + 1, color=GREEN, alpha=0.15, linewidth=0, label="up to one bit more")
    axis.plot(ends, ends, color=BLACK, linewidth=1, label="just as long")
    axis.plot(bits.numpy(), lengths.numpy(), "o", color=BLUE, markersize=4, label="a face")
    axis.set(xlabel="−log₂ p of the grid (bits)", ylabel="length of its file (bits)")
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def plot_still_right(curves: Mapping[str, Tensor]) -> Figure:
    """Plot how many grids have come back without a fault so far, over the positions in reading order.

    Args:
        curves: by name, the share at each position, (N,), 0 … 1; at most four.
    """
    figure = Figure((6.4, 3.2), layout="constrained")
    axis = figure.subplots()
    for (name, shares), (colour, style) in zip(curves.items(), _LOOKS, strict=False):
        axis.plot(range(1, len(shares) + 1), 100 * shares.numpy(), style, color=colour, markersize=3, label=name)
    axis.set(ylim=(-3, 104), xlabel="codes unpacked", ylabel="grids right so far (%)")
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def plot_bytes(groups: Mapping[str, Mapping[str, float]]) -> Figure:
    """Plot bytes as bars, one below the other, on a logarithmic axis, in groups that differ in their hatching.

    Args:
        groups: by the name of the group, the bytes by the name of the bar; at most three groups. The first has all
            bars, the others may lack some.
    """
    names = list(next(iter(groups.values())))
    figure = Figure((7.0, 0.3 * len(names) * len(groups) + 1.2), layout="constrained")
    axis = figure.subplots()
    height = 0.8 / len(groups)
    looks = ((BLUE, ""), (ORANGE, "//"), (GREEN, ".."))
    for place, ((group, sizes), (colour, hatch)) in enumerate(zip(groups.items(), looks, strict=False)):
        values = [sizes[name] for name in names if name in sizes]
        rows = np.array([row for row, name in enumerate(names) if name in sizes])
        where = rows + (place - (len(groups) - 1) / 2) * height
        bars = axis.barh(where, values, 0.92 * height, color=colour, hatch=hatch, edgecolor="white", label=group)
        axis.bar_label(
            bars, [f"{value:.0f}" if value >= 100 else f"{value:.3g}" for value in values], padding=3, fontsize=9
        )
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    smallest, largest = (
        choose(value for sizes in groups.values() for value in sizes.values()) for choose in (min, max)
    )
    axis.set_xlim(smallest / 2, largest * 2.5)
    axis.set_xlabel("bytes an image (log scale, less is better)")
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(groups), frameon=False, fontsize=9)
    return figure
