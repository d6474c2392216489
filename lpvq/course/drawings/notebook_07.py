"""Drawings of 07_sampling: how a code is drawn from its probabilities, and grids while they are being drawn."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from lpvq.models.sampling import SamplingOptions, restrict_logits
from lpvq.plotting import BLACK, BLUE, GREEN, HIDDEN, ORANGE, Patches, put_codes, put_image

_SMALL = 9  # points


def plot_controls(probabilities: Tensor) -> Figure:
    """Plot what temperature, top-k and top-p make of ``probabilities`` (K,), shown dashed behind each.

    Args:
        probabilities: of a few codes, the most probable first.
    """
    panels = {
        "as the model says": SamplingOptions(),
        "temperature 0.5": SamplingOptions(temperature=0.5),
        "top-k, k = 2": SamplingOptions(top_k=2),
        "top-p, p = 0.8": SamplingOptions(top_p=0.8),
    }
    figure = Figure((9.2, 2.6), layout="constrained")
    before, places = probabilities.numpy(), np.arange(len(probabilities))
    for axis, (title, options) in zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
        after = restrict_logits(probabilities.log()[None], options).softmax(-1)[0].numpy()
        axis.bar(places, after, color=BLUE)
        axis.bar(places, before, facecolor="none", edgecolor=ORANGE, linestyle="--", linewidth=1.2)
        for place in np.flatnonzero(after == 0):
            axis.text(place, before[place] + 0.02, "out", ha="center", fontsize=_SMALL)
        axis.set_title(title, fontsize=10)
        axis.set_xticks(places)
        axis.set_xlabel("code")
    figure.axes[0].set_ylabel("probability")
    return figure


def plot_line(probabilities: Tensor, uniform: Tensor) -> Figure:
    """Plot probabilities (K,) as pieces of a line from 0 to 1, and numbers ``uniform`` (N,) that fall on it."""
    figure = Figure((8, 1.9), layout="constrained")
    axis = figure.subplots()
    ends = probabilities.cumsum(0).tolist()
    for code, (start, end) in enumerate(zip([0.0, *ends[:-1]], ends, strict=True)):
        colour = [BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00"][code % 5]
        axis.barh(0, end - start, 0.5, start, color=colour, edgecolor="white", linewidth=1.5)
        wide = end - start > 0.1
        label = f"code {code}" if wide else str(code)
        axis.text((start + end) / 2, 0, label, ha="center", va="center", color="white", fontsize=11)
    for number in uniform.tolist():
        arrow = {"arrowstyle": "-|>", "color": BLACK, "linewidth": 1.5}
        axis.annotate(f"{number:.2f}", (number, 0.25), (number, 0.75), ha="center", fontsize=10, arrowprops=arrow)
    axis.set_xlim(-0.01, 1.01)
    axis.set_ylim(-0.3, 1)
    axis.set_yticks([])
    axis.set_xticks([0.0, *(end for end in ends[:-1] if end < 0.95), 1.0])  # no two labels on top of each other
    axis.set_xlabel("the probabilities, laid end to end")
    axis.spines[["top", "left", "right"]].set_visible(False)
    return figure


def plot_partial(grids: Tensor, images: Tensor, present: Tensor, patches: Patches, titles: Sequence[str]) -> Figure:
    """Plot grids of codes above their images, both hidden where there are no codes.

    Args:
        grids: int64 (N, H, W).
        images: floats in [0, 1], (N, C, H · s, W · s).
        present: bool (N, H, W), where the codes are there.
        patches: what the codes stand for, (K, C, s, s), floats in [0, 1]; or K, for colours without an order.
        titles: N of them.
    """
    figure = Figure((1.12 * len(grids) + 0.7, 2.55), layout="constrained")
    axes = figure.subplots(2, len(grids), squeeze=False)
    for index, title in enumerate(titles):
        put_codes(axes[0, index], grids[index], patches, title, present[index])
        put_image(axes[1, index], hide(images[index : index + 1], present[index])[0])
    for axis, name in zip(axes[:, 0], ("codes", "decoded"), strict=True):
        axis.set_ylabel(name, fontsize=_SMALL)
    return figure


def hide(images: Tensor, present: Tensor) -> Tensor:
    """Return images (N, C, H · s, W · s) with plain grey where ``present``, bool (H, W), says there are no codes."""
    scale = images.shape[-1] // present.shape[-1]
    pixels = present.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    return torch.where(pixels, images, torch.tensor(HIDDEN))


def plot_distributions(rows: Sequence[tuple[str, Tensor]], most: int) -> Figure:
    """Plot distributions over the same codes side by side: the ``most`` probable codes of the first, and the rest.

    Args:
        rows: titles and probabilities (K,).
        most: how many codes have a bar of their own; the last bar is all others together.
    """
    figure = Figure((3.1 * len(rows), 2.8), layout="constrained")
    axes = figure.subplots(1, len(rows), sharey=True)
    largest = rows[0][1].topk(most).indices
    for axis, (title, probabilities) in zip(axes, rows, strict=True):
        own = probabilities[largest]
        axis.bar(np.arange(most), own.numpy(), color=BLUE)
        axis.bar(most, 1 - own.sum().item(), color=ORANGE, hatch="//", edgecolor="white")
        axis.set_xticks(np.arange(most + 1), [*map(str, largest.tolist()), "others"], rotation=90, fontsize=8)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("code")
    axes[0].set_ylabel("probability")
    return figure


def plot_entropies(temperatures: Sequence[float], bits: Sequence[float], limit: float) -> Figure:
    """Plot entropies in bits over temperatures, with the ``limit`` that they cannot exceed."""
    figure = Figure((5.5, 3.0), layout="constrained")
    axis = figure.subplots()
    axis.plot(temperatures, bits, color=BLUE, marker="o", markersize=4, label="the prior")
    axis.axhline(limit, color=ORANGE, linestyle="--", label="all codes equal")
    axis.axvline(1, color=BLACK, linestyle=":")
    axis.text(1.06, 0.8 * limit, "T = 1:\nthe model as it is", va="center", fontsize=_SMALL)
    axis.set_xscale("log", base=2)
    axis.set_xticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
    axis.set_xlabel("temperature (log scale)")
    axis.set_ylabel("entropy (bits per code)")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=_SMALL, loc=(0.02, 0.5))
    return figure


def plot_counts(image: Tensor, codes: Tensor, patches: Patches, counts: Sequence[tuple[str, Tensor]]) -> Figure:
    """Plot an image, its codes, and whole numbers (H, W) for each position of its grid, written out.

    Args:
        image: (C, H · s, W · s), floats in [0, 1].
        codes: its own, int64 (H, W).
        patches: what the codes stand for, (K, C, s, s), floats in [0, 1]; or K, for colours without an order.
        counts: titles and numbers, 1 or more.
    """
    figure = Figure((2.6 * (2 + len(counts)), 2.9), layout="constrained")
    axes = figure.subplots(1, 2 + len(counts))
    put_image(axes[0], image, "image")
    put_codes(axes[1], codes, patches, "its codes")
    most = max(int(numbers.max()) for _, numbers in counts)
    for axis, (title, numbers) in zip(axes[2:], counts, strict=True):
        shade = numbers.double().log().numpy() / max(np.log(most), 1e-9)
        axis.imshow(shade, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
        for (row, column), number in np.ndenumerate(numbers.numpy()):
            colour = "black" if shade[row, column] > 0.6 else "white"
            axis.text(column, row, str(number), ha="center", va="center", fontsize=8, color=colour)
        axis.set_title(title, fontsize=_SMALL, pad=3)
        axis.set_xticks([])
        axis.set_yticks([])
    return figure


def plot_trade(points: Sequence[tuple[float, float, float]], real: tuple[float, float]) -> Figure:
    """Plot what temperature trades: how improbable the grids are against how different they are from each other.

    Args:
        points: temperature, mean nats per grid, bits of diversity.
        real: nats and bits of as many real grids.
    """
    figure = Figure((6, 3.4), layout="constrained")
    axis = figure.subplots()
    axis.plot([x for _, x, _ in points], [y for _, _, y in points], color=BLUE, marker="o", label="drawn")
    for temperature, x, y in points:
        # Away from the curve, from each other, and from the real images, which lie near T = 1.
        place, side = ((7, -12), "left") if temperature >= 1 else ((-7, 5), "right")
        if 0.8 <= temperature < 1:
            place, side = (4, -18), "center"
        axis.annotate(f"T = {temperature:g}", (x, y), place, textcoords="offset points", fontsize=_SMALL, ha=side)
    axis.plot(*real, color=ORANGE, marker="D", markersize=9, linestyle="none", label="real images")
    axis.set_xlabel("mean nats per grid under the prior (to the left: more probable)")
    axis.set_ylabel("diversity (bits per position)")
    axis.margins(x=0.18, y=0.15)
    axis.grid(alpha=0.3)
    axis.legend(loc="lower right")
    return figure
