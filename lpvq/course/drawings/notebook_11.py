"""Drawings of 11_coarse_to_fine: two levels, where a face begins, and what a position is told."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from lpvq.plotting import BLACK, BLUE, GREEN, ORANGE, Patches, put_arrow, put_codes, put_image

_LOOKS = ((BLACK, "o-"), (ORANGE, "s--"), (BLUE, "^-."), (GREEN, "D:"))


def plot_levels(image: Tensor, fine: Tensor, small: Tensor, coarse: Tensor, patches: tuple[Patches, Patches]) -> Figure:
    """Plot an image and its codes, and below them the same image, shrunk, and the codes of that.

    Args:
        image: (C, H, W), floats in [0, 1].
        fine: its codes, int64 (h, w).
        small: (C, H / s, W / s).
        coarse: its codes, int64 (h / s, w / s).
        patches: what the fine codes stand for, and the coarse ones, each (K, C, s, s), floats in [0, 1]; or K of them,
            for colours without an order.
    """
    figure = Figure((6.6, 6.0), layout="constrained")
    axes = figure.subplots(2, 3, width_ratios=[3, 1.1, 3])
    levels = ((image, fine, "fine", patches[0]), (small, coarse, "coarse", patches[1]))
    for row, (pixels, codes, name, looks) in zip(axes, levels, strict=True):
        put_image(row[0], pixels, f"{pixels.shape[1]} × {pixels.shape[2]} pixels")
        put_arrow(row[1], "encode")
        put_codes(row[2], codes, looks, f"{codes.shape[0]} × {codes.shape[1]} {name} codes")
    return figure


def plot_beginnings(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Plot how probable it is that a row of codes is still empty, if all rows above it are.

    Args:
        curves: by name, a probability for each row from the top; NaN where no grid has got there. At most four.
    """
    figure = Figure((6.4, 3.4), layout="constrained")
    axis = figure.subplots()
    for (name, probabilities), (colour, style) in zip(curves.items(), _LOOKS, strict=False):
        axis.plot(range(len(probabilities)), probabilities, style, color=colour, markersize=5, label=name)
    axis.set(ylim=(-0.03, 1.03), xlabel="row of codes, from the top", ylabel="probability that it is empty")
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def plot_waves(waves: Tensor, titles: Sequence[str]) -> Figure:
    """Plot maps of numbers between −1 and 1 side by side, on one scale.

    Args:
        waves: (N, H, W).
        titles: N of them.
    """
    figure = Figure((1.75 * len(waves) + 0.8, 2.1), layout="constrained")
    axes = figure.subplots(1, len(waves), squeeze=False)[0]
    for axis, values, title in zip(axes, waves, titles, strict=True):
        picture = axis.imshow(values.numpy(), cmap="cividis", vmin=-1, vmax=1, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=10)
    figure.colorbar(picture, ax=list(axes), ticks=[-1, 0, 1])
    return figure


def plot_counts(counts: Mapping[str, Mapping[str, float]], ylabel: str) -> Figure:
    """Plot groups of bars, each with its value in per cent above it.

    Args:
        counts: by group, the shares by the name of the bar, 0 … 1; the same names in each group, at most four.
        ylabel: what they are shares of.
    """
    figure = Figure((1.5 + 1.15 * len(counts), 3.3), layout="constrained")
    axis = figure.subplots()
    names = list(next(iter(counts.values())))
    width = 0.8 / len(names)
    for place, (name, (colour, _)) in enumerate(zip(names, _LOOKS, strict=False)):
        left = [group + (place - (len(names) - 1) / 2) * width for group in range(len(counts))]
        bars = axis.bar(
            left, [100 * shares[name] for shares in counts.values()], 0.92 * width, color=colour, label=name
        )
        axis.bar_label(bars, fmt="%.0f", fontsize=9, padding=2)
    axis.set_xticks(range(len(counts)), list(counts))
    axis.set_ylabel(ylabel)
    axis.margins(y=0.12)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(names), frameon=False, fontsize=9)
    return figure
