"""Drawings of 13_several_processes: a shared batch, sums in a tree, codebooks that drift apart, what it costs."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor

from lpvq.plotting import BLACK, BLUE, GREEN, ORANGE, put_image

_OF_PROCESS = (BLUE, ORANGE, GREEN, "#CC79A7")
_LOOKS = ((ORANGE, "-"), (BLUE, "--"), (GREEN, "-."), (BLACK, ":"))


def plot_sharing(images: Tensor) -> Figure:
    """Plot how two processes take a step together: each has half of a batch, and both have the mean gradient.

    Args:
        images: (N, C, H, W), floats in [0, 1]; N is even.
    """
    figure = Figure((7.4, 3.3))
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, 10), ylim=(0, 4.4))
    canvas.axis("off")
    half = len(images) // 2
    for rank, (height, colour) in enumerate(zip((2.5, 0.5), _OF_PROCESS, strict=False)):
        _box(canvas, (2.7, height), 2.6, 1.4, colour, f"process {rank}\nthe same weights\ngradient of its half")
        _box(canvas, (8.0, height), 1.8, 1.4, colour, "the same\nstep")
        _arrow(canvas, (2.15, height + 0.7), (2.65, height + 0.7))
        _arrow(canvas, (5.35, height + 0.7), (5.95, 2.2 + (0.25 if rank == 0 else -0.25)))
        _arrow(canvas, (7.35, 2.2 + (0.25 if rank == 0 else -0.25)), (7.95, height + 0.7))
        for place, image in enumerate(images[rank * half : (rank + 1) * half]):
            row, column = divmod(place, 2)
            left, bottom = 0.25 + 0.95 * column, height + 0.72 - 0.82 * row
            put_image(figure.add_axes((left / 10, bottom / 4.4, 0.08, 0.16)), image)
    _box(canvas, (6.0, 1.6), 1.3, 1.2, BLACK, "add up,\ndivide\nby 2")
    return figure


def _box(axis: Axes, corner: tuple[float, float], width: float, height: float, colour: str, text: str) -> None:
    axis.add_patch(
        FancyBboxPatch(
            corner, width, height, boxstyle="round,pad=0.03,rounding_size=0.12", facecolor="white", edgecolor=colour,
            linewidth=2,
        )
    )  # fmt: skip
    axis.text(corner[0] + width / 2, corner[1] + height / 2, text, ha="center", va="center", fontsize=9.5)


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=13, color="0.35", linewidth=1.4))


def plot_trees(numbers: Sequence[int], shards: int = 4) -> Figure:
    """Plot how the gradients of shards are added in pairs, by some processes: what each adds, and what all add.

    Args:
        numbers: of processes, for each drawing; each a power of two, and no more than there are shards.
        shards: a power of two.
    """
    figure = Figure((2.6 * len(numbers), 2.3), layout="constrained")
    for axis, number in zip(figure.subplots(1, len(numbers), squeeze=False)[0], numbers, strict=True):
        places, level = list(np.arange(shards, dtype=float)), 0
        while places:
            for place, x in enumerate(places):
                mine = level <= np.log2(shards // number)  # up to this level, a process has all that it adds
                rank = place * number // len(places)
                colour = _OF_PROCESS[rank] if mine else BLACK
                name = "abcdefgh"[place] if level == 0 else "+"
                if level:
                    for below in (x - 2.0 ** (level - 2), x + 2.0 ** (level - 2)):
                        axis.plot([below, x], [level - 1, level], color="0.6", linewidth=1.5, zorder=1)
                axis.plot(x, level, "o" if mine else "s", color=colour, markersize=17, zorder=2)
                axis.text(x, level, name, color="white", ha="center", va="center", fontweight="bold", zorder=3)
            if len(places) == 1:
                break
            places = [(one + other) / 2 for one, other in zip(places[::2], places[1::2], strict=True)]
            level += 1
        axis.set(xlim=(-0.6, shards - 0.4), ylim=(-0.5, level + 0.5))
        axis.set_title("one process" if number == 1 else f"{number} processes", fontsize=10)
        axis.axis("off")
    return figure


def plot_apart(distances: Tensor) -> Figure:
    """Plot how far the weights of two trainings are apart, on a logarithmic axis.

    Args:
        distances: after each step, (N,).
    """
    figure = Figure((5.6, 2.9), layout="constrained")
    axis = figure.subplots()
    axis.plot(range(1, len(distances) + 1), distances.clamp(min=1e-12).numpy(), color=BLUE)
    axis.set_yscale("log")
    axis.set(xlabel="step", ylabel="largest difference of a weight")
    axis.grid(alpha=0.3)
    return figure


def plot_drift(curves: Mapping[str, tuple[Tensor, Tensor]], steps: Sequence[int]) -> Figure:
    """Plot how the codebooks of two processes drift apart.

    Args:
        curves: by name, the mean distance between the k-th entries of the two codebooks, over all k, and the share of
            patches that get different codes, 0 … 1; both (N,). At most four.
        steps: N of them.
    """
    figure = Figure((8.0, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (name, (distances, shares)), (colour, style) in zip(curves.items(), _LOOKS, strict=False):
        left.plot(steps, distances.numpy(), style, color=colour, label=name)
        right.plot(steps, 100 * shares.numpy(), style, color=colour)
    left.set(xlabel="step", ylabel="mean distance between k-th entries")
    right.set(xlabel="step", ylabel="patches with different codes (%)", ylim=(-3, 103))
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figure


def plot_sums(sizes: Sequence[int], seconds: Sequence[float], latency: float, bandwidth: float) -> Figure:
    """Plot how long two processes take to add up, against what they send, with the straight line that explains it.

    Args:
        sizes: in bytes.
        seconds: as many.
        latency: how long it takes to send nothing at all, in seconds.
        bandwidth: in bytes a second.
    """
    figure = Figure((5.6, 3.3), layout="constrained")
    axis = figure.subplots()
    fine = np.geomspace(min(sizes), max(sizes), 200)
    axis.plot(fine, 1000 * (latency + fine / bandwidth), color=BLACK, linewidth=1, label="latency + bytes / bandwidth")
    axis.plot(sizes, [1000 * one for one in seconds], "o", color=BLUE, label="measured")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set(xlabel="bytes that are added up", ylabel="milliseconds")
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def plot_steps(
    sizes: Sequence[int], alone: Sequence[float], shared: Sequence[float], expected: Sequence[float]
) -> Figure:
    """Plot the time of a step against the size of the batch: for one process, for two, and what to expect of two.

    Args:
        sizes: of batches, in images.
        alone: seconds that one process takes.
        shared: seconds that two take.
        expected: seconds that two should take.
    """
    figure = Figure((5.6, 3.3), layout="constrained")
    axis = figure.subplots()
    for name, seconds, colour, style in (
        ("one process", alone, BLACK, "s--"),
        ("two processes", shared, BLUE, "o-"),
        ("half of the batch + talking", expected, ORANGE, ":"),
    ):
        axis.plot(sizes, [1000 * one for one in seconds], style, color=colour, markersize=5, label=name)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.set(xlabel="images in a batch", ylabel="milliseconds a step")
    axis.grid(alpha=0.3)
    axis.legend()
    return figure
