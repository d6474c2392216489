"""Drawings of 10_your_own_images: the stages and their instruments, the sheet of a patient, and the report card."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor

from lpvq.plotting import BLACK, BLUE, GREEN, ORANGE, put_image

_GREY = "#666666"
_LOOKS = ((BLACK, "o"), (ORANGE, "D"), (BLUE, "^"), (GREEN, "s"), ("#CC79A7", "v"))
_STAGES = {
    "pictures": "your eyes\nthe nearest true face (09)",
    "codes": "error (01, 03)\nperplexity (03, 04)\nseen before (09)\nwhat the place tells (04)",
    "prior": "bits beside baselines (04, 06)\ngap to training (09)\nwhat a label saves (06)\ngradient (05, 06)",
    "new pictures": "your eyes\nright class (07, 09)\nnearest true face (09)\nnearest training picture (09)",
}
SCALES = {
    "error, training": (0.0, 0.1),  # MSE / variance
    "error, unseen": (0.0, 0.1),
    "perplexity": (0.0, 64.0),  # codes
    "seen before (%)": (0.0, 100.0),
    "the place tells": (0.0, 1.0),  # bits per code
    "bits per code": (0.0, 2.0),
    "gap to training": (0.0, 0.3),  # bits per code
    "a label saves": (-2.0, 2.0),  # bits per picture
    "right class (%)": (0.0, 100.0),
    "plainly wrong (%)": (0.0, 100.0),
}
"""The lines of a patient's sheet, and where each begins and ends."""

_WAYS = ("encode", "train", "draw", "")  # from each stage to the next


def plot_stages() -> Figure:
    """Plot the path from pictures to new pictures, and below each stage the instruments that look at it."""
    figure = Figure((9.6, 2.4))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, 9.6), ylim=(0, 2.4))
    axis.axis("off")
    for place, ((name, instruments), word) in enumerate(zip(_STAGES.items(), _WAYS, strict=True)):
        x = 1.2 + 2.4 * place
        axis.add_patch(FancyBboxPatch((x - 0.66, 1.62), 1.32, 0.4, boxstyle="round,pad=0.06", facecolor="white"))
        axis.text(x, 1.82, name, ha="center", va="center", fontsize=12)
        axis.text(x, 1.4, instruments, ha="center", va="top", fontsize=9, color=BLUE, linespacing=1.5)
        if word:
            arrow = {"arrowstyle": "-|>", "color": BLACK, "linewidth": 1.5, "mutation_scale": 16}
            axis.annotate("", (x + 1.66, 1.82), (x + 0.74, 1.82), arrowprops=arrow)
            axis.text(x + 1.2, 1.9, word, ha="center", va="bottom", fontsize=10)
    return figure


def plot_sheet(sheets: Mapping[str, Mapping[str, float]]) -> Figure:
    """Plot what was measured in some patients, a line for each of ``SCALES``, as on a laboratory's sheet.

    Args:
        sheets: by patient, the values by the name of the measure; five patients at most. A value off the scale is
            put at its end.
    """
    figure = Figure((6.2 + 1.0 * len(sheets), 0.36 * len(SCALES) + 0.8), layout="constrained")
    axis = figure.subplots()
    for row, (measure, (lowest, highest)) in enumerate(SCALES.items()):
        axis.plot([0, 1], [row, row], color="#cccccc", linewidth=5, solid_capstyle="round", zorder=1)
        axis.text(-0.03, row, f"{lowest:g}", ha="right", va="center", fontsize=8, color=_GREY)
        axis.text(1.03, row, f"{highest:g}", ha="left", va="center", fontsize=8, color=_GREY)
        for place, (values, (colour, marker)) in enumerate(zip(sheets.values(), _LOOKS, strict=False)):
            share = min(1.0, max(0.0, (values[measure] - lowest) / (highest - lowest)))
            axis.scatter(share, row, s=60, color=colour, marker=marker, alpha=0.85, zorder=2 + place)
            axis.text(1.3 + 0.2 * place, row, _short(values[measure]), ha="center", va="center", color=colour)
    for place, (name, (colour, marker)) in enumerate(zip(sheets, _LOOKS, strict=False)):
        axis.scatter(1.3 + 0.2 * place, -0.9, s=60, color=colour, marker=marker)
        axis.text(1.3 + 0.2 * place, -1.4, name.replace(" ", "\n"), ha="center", va="bottom", color=colour, fontsize=9)
    axis.set_yticks(range(len(SCALES)), list(SCALES))
    axis.set_xticks([])
    axis.set(xlim=(-0.15, 1.22 + 0.2 * len(sheets)), ylim=(len(SCALES) - 0.4, -2.4))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}" if abs(value) >= 2 else f"{value:.3f}"


def plot_report_card(
    pictures: Mapping[str, Tensor],
    bits: Mapping[str, float],
    distances: Mapping[str, Tensor],
    lines: tuple[float, float],
) -> Figure:
    """Plot what there is to say about a model of somebody's own pictures, on one page.

    Args:
        pictures: by title, four rows of images (N, C, H, W), floats in [0, 1]: unseen pictures, the same decoded from
            their codes, drawn pictures, and the training picture that is nearest to each of these.
        bits: bits per code of some distributions by their names, the most ignorant first.
        distances: by the name of the set, from each picture to the nearest training picture, (N,); two sets.
        lines: two distances: one in a hundred unseen pictures lies nearer than the first, one in a hundred farther than
            the second.
    """
    number = len(next(iter(pictures.values())))
    figure = Figure((9, 7.2), layout="constrained")
    above, middle, below = figure.subfigures(3, 1, squeeze=False, height_ratios=[1.85, 2.6, 1.85]).flat
    rows = list(pictures.items())
    _put_rows(above.subplots(2, number, squeeze=False), rows[:2])
    _put_rows(below.subplots(2, number, squeeze=False), rows[2:])
    left, right = middle.subplots(1, 2)
    bars = left.barh(list(bits), list(bits.values()), color=BLUE)
    left.bar_label(bars, fmt="%.2f", padding=4)
    left.invert_yaxis()
    left.margins(x=0.16)
    left.set_xlabel("bits per code (less is better)")
    _put_distances(right, distances, lines)
    return figure


def _put_rows(axes: Sequence[Sequence[Axes]], rows: Sequence[tuple[str, Tensor]]) -> None:
    for line, (title, images) in zip(axes, rows, strict=True):
        for axis, image in zip(line, images, strict=True):
            put_image(axis, image)
        line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)


def _put_distances(axis: Axes, distances: Mapping[str, Tensor], lines: tuple[float, float]) -> None:
    largest = max(values.max().item() for values in distances.values())
    for (name, values), (colour, style) in zip(distances.items(), ((BLACK, "--"), (ORANGE, "-")), strict=True):
        shares = [100 / len(values)] * len(values)
        axis.hist(
            values.numpy(),
            bins=24,
            range=(0, largest),
            weights=shares,
            histtype="step",
            color=colour,
            linestyle=style,
            label=name,
        )
    for line in lines:
        axis.axvline(line, color=_GREY, linewidth=1, linestyle=":")
    axis.set_xlabel("distance to the nearest training picture")
    axis.set_ylabel("share of the pictures (%)")
    axis.legend(fontsize=9)
