"""Every picture that the notebooks and the command line show. ``plot_…`` makes a figure, ``put_…`` fills an axis.

Pictures of data keep their pixels: they are enlarged without smoothing. A grid of codes is always shown beside its
image. Codes are names, not amounts: each is shown as the patch that it stands for, or in a colour of its own, in no
order. Colours are safe for colour-blind readers: viridis for amounts, Okabe and Ito's for lines, which also differ in
their dashes.
"""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from textwrap import fill
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from lpvq import distributed
from lpvq.files import write_atomically
from lpvq.lettering import without_mathematics
from lpvq.runtime import running_in_notebook
from lpvq.training.trainer import History

BLUE, ORANGE, GREEN, BLACK = "#0072B2", "#D55E00", "#009E73", "#000000"
# All eight of Okabe and Ito's colours but yellow, which is pale on white, and sky blue, which is close to blue.
_COLOURS = (BLACK, BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00")

SHARPNESS = 2
"""Pixels of a picture for each pixel of a page that is open: dense screens show them all."""

HIDDEN = 0.82
"""The grey of codes and pixels that are not there."""

Patches = Tensor | int
"""What codes are shown as: the patches that they stand for, (K, C, s, s), floats in [0, 1]; or K, for colours."""

_DOTS_PER_INCH = 100
_SMALL = 9  # points
# All eight of Okabe and Ito's, for the first codes.
_OF_FIRST_CODES = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#000000")


class Estimated(Protocol):
    """A value and its standard error."""

    @property
    def value(self) -> float:
        """The value."""

    @property
    def error(self) -> float:
        """How far chance may have moved it: one standard error."""


Settings = Mapping[str, Any]
"""What a picture was made with: names and plain values, as JSON has them."""


def render(figure: Figure, description: str, sharpness: float = 1, settings: Settings | None = None) -> bytes:
    """Return a figure as PNG, with its description inside and ``sharpness`` times as many pixels as usual.

    A sharp one is for an open page, nearby, so it is made quickly. The usual one is kept, so it is made small.
    """
    buffer = io.BytesIO()
    about = texts_of(description, settings)
    how = {"compress_level": 1 if sharpness > 1 else 6}
    figure.savefig(buffer, format="png", dpi=sharpness * _DOTS_PER_INCH, metadata=about, pil_kwargs=how)
    return buffer.getvalue()


def texts_of(description: str, settings: Settings | None = None) -> dict[str, str]:
    """Return what a PNG file says about itself: its description, and as JSON what it was made with."""
    said = {"Description": description.encode(errors="replace").decode(), "Software": "lpvq"}
    return said if settings is None else {**said, "Settings": json.dumps(settings)}


def save(figure: Figure, path: str | Path, description: str, settings: Settings | None = None) -> None:
    """Write a figure to a PNG file, atomically, with its description and what it was made with inside."""
    if distributed.is_first():  # the others need not draw what they do not write
        write_atomically(path, render(figure, description, settings=settings))


UNDESCRIBED = "A figure without a description"
"""How the text of a figure begins if nobody has written one for it."""


def show(figure: Figure, description: str = "") -> None:
    """Show a figure in a notebook, with a description for readers who cannot see it; if there is none, with its titles.

    An open page gets a sharp picture with its description as alternative text; files that are saved for others, by
    ``make notebooks``, keep the smaller PNG alone. Outside a notebook, only the description is printed.
    """
    description = description or _titles(figure)
    if not running_in_notebook():
        print(description)
        return
    from IPython.display import display

    display(complete(figure, description), metadata=alternative(description), raw=True)


def show_last_values() -> None:
    """Have a notebook show a figure that is the last value of a cell as ``show`` does; elsewhere do nothing."""
    if not running_in_notebook():
        return
    from IPython.core.getipython import get_ipython

    def both(figure: Figure) -> tuple[dict[str, Any], dict[str, Any]]:
        description = _titles(figure)
        return complete(figure, description), alternative(description)

    shell: Any = get_ipython()
    shell.display_formatter.mimebundle_formatter.for_type(Figure, both)


def complete(figure: Figure, description: str) -> dict[str, Any]:
    """Return a figure in all forms that a notebook may need: for an open page, for its file, and in words."""
    return {**sharp(figure, description), "image/png": render(figure, description)}


def sharp(figure: Figure, description: str) -> dict[str, Any]:
    """Return a figure for an open page, and in words."""
    picture = base64.b64encode(render(figure, description, SHARPNESS)).decode()
    alt, width = escape(description), f"{figure.bbox.width:.0f}"
    html = f'<img alt="{alt}" width="{width}" style="max-width: 100%" src="data:image/png;base64,{picture}">'
    return {"text/html": html, "text/plain": description}


def alternative(description: str) -> dict[str, Any]:
    """Return the metadata that bring the description of a picture to readers who cannot see it."""
    return {"image/png": {"alt": description}}


def plot_images(images: Tensor, titles: Sequence[str] = (), columns: int = 8, inches: float = 1.0) -> Figure:
    """Plot images (N, C, H, W), floats in [0, 1], in rows of ``columns``, each ``inches`` wide."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height = inches * images.shape[2] / images.shape[3] + (0.22 if titles else 0.04)
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    figure = Figure((columns * (inches + 0.04), rows * height), layout=layout)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for index, axis in enumerate(axes):
        axis.axis("off")
        if index < len(images):
            put_image(axis, images[index], titles[index] if titles else "")
    return figure


def plot_with_codes(
    images: Sequence[Tensor], codes: Tensor, patches: Patches, titles: Sequence[str], columns: Sequence[str]
) -> Figure:
    """Plot a row for each grid of codes (N, H, W): the grid, with its images before and after it.

    Args:
        images: tensors (N, C, H, W): two, before and after the codes; or one, after them.
        codes: int64 (N, H, W).
        patches: what the codes stand for, (K, C, s, s), floats in [0, 1]; or K, for colours without an order.
        titles: one per row.
        columns: what stands above the columns, from the left.
    """
    width = len(images) + 1
    figure = Figure((2.1 * width, 2.1 * len(codes) + 0.3), layout="constrained")
    axes = figure.subplots(len(codes), width, squeeze=False)
    for index, row in enumerate(axes):
        before = [batch[index] for batch in images[:-1]]
        for axis, image in zip(row, before, strict=False):
            put_image(axis, image)
        put_codes(row[len(before)], codes[index], patches)
        put_image(row[-1], images[-1][index])
        row[0].set_ylabel(without_mathematics(titles[index]))
    for axis, title in zip(axes[0], columns, strict=True):
        axis.set_title(title, fontsize=10)
    return figure


def plot_whole_way(
    image: Tensor, codes: Tensor, reconstruction: Tensor, drawn: Tensor, generated: Tensor, patches: Patches
) -> Figure:
    """Plot the path of the data: an image to codes and back, and below it new codes to a new image.

    Args:
        image: (C, H, W), floats in [0, 1].
        codes: the image's own codes, int64 (h, w).
        reconstruction: what they decode to, (C, H, W), floats in [0, 1].
        drawn: codes drawn from a prior, int64 (h, w).
        generated: what those decode to, (C, H, W), floats in [0, 1].
        patches: what the codes stand for, (K, C, s, s), floats in [0, 1]; or K, for colours without an order.
    """
    figure = Figure((9, 4.9), layout="constrained")
    axes = figure.subplots(2, 5, width_ratios=[3, 1.2, 3, 1.2, 3])
    put_image(axes[0, 0], image, "an image")
    put_arrow(axes[0, 1], "encode")
    put_codes(axes[0, 2], codes, patches, "its codes")
    put_arrow(axes[0, 3], "decode")
    put_image(axes[0, 4], reconstruction, "its reconstruction")
    axes[1, 0].axis("off")
    axes[1, 0].text(0.5, 0.5, "PixelCNN prior\np(codes)", ha="center", va="center", fontsize=13)
    put_arrow(axes[1, 1], "draw")
    put_codes(axes[1, 2], drawn, patches, "new codes")
    put_arrow(axes[1, 3], "decode")
    put_image(axes[1, 4], generated, "a new image")
    return figure


def put_arrow(axis: Axes, text: str) -> None:
    """Fill ``axis`` with an arrow to the right and a word above it."""
    axis.axis("off")
    arrow = {"arrowstyle": "-|>", "color": BLACK, "linewidth": 1.5, "mutation_scale": 18}
    axis.annotate("", (1.0, 0.5), (0.0, 0.5), xycoords="axes fraction", arrowprops=arrow)
    axis.text(0.5, 0.56, text, ha="center", va="bottom", transform=axis.transAxes, fontsize=11)


def put_image(axis: Axes, image: Tensor, title: str = "") -> None:
    """Plot one image (C, H, W), floats in [0, 1], into ``axis``."""
    pixels = image.detach().cpu().movedim(0, -1).numpy()
    axis.imshow(
        np.squeeze(pixels, -1) if pixels.shape[-1] == 1 else pixels,
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    _bare(axis, title)


def put_codes(axis: Axes, codes: Tensor, patches: Patches, title: str = "", present: Tensor | None = None) -> None:
    """Plot one grid of codes, int64 (h, w), into ``axis``, whose unit is one code.

    Each code is shown as the patch that it stands for. Where patches are not known, each has a colour of its own, and a
    grid of up to 8 × 8 codes has their numbers too.

    Args:
        axis: to fill.
        codes: 0 … K − 1.
        patches: what the codes stand for, (K, C, s, s), floats in [0, 1]; or K, for colours without an order.
        title: above the grid.
        present: bool (h, w), where there are codes; the rest is grey. None: everywhere.
    """
    grid = codes.long().cpu().numpy()
    known = np.ones(grid.shape, bool) if present is None else present.cpu().numpy()
    height, width = grid.shape
    tiles = looks_of(grid, patches)  # (h, w, s, s, 3)
    tiles = np.where(known[:, :, None, None, None], tiles, HIDDEN)
    side = tiles.shape[2]
    axis.imshow(
        tiles.swapaxes(1, 2).reshape(height * side, width * side, 3),
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        interpolation="nearest",
    )
    joints = {"colors": "white", "linewidth": min(1, 6 / max(height, width))}
    axis.vlines(np.arange(1, width) - 0.5, -0.5, height - 0.5, **joints)
    axis.hlines(np.arange(1, height) - 0.5, -0.5, width - 0.5, **joints)
    axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    _bare(axis, title)
    if isinstance(patches, int) and max(height, width) <= 8:
        for (row, column), code in np.ndenumerate(grid):
            if known[row, column]:
                colour = ink_on(tiles[row, column, 0, 0])
                axis.text(column, row, str(code), ha="center", va="center", fontsize=7.5, color=colour)


def looks_of(codes: npt.NDArray, patches: Patches) -> npt.NDArray:
    """Return the s × s pixels that stand for each code, float (…, s, s, 3) for codes of any shape (…).

    Args:
        codes: whole numbers, 0 … K − 1.
        patches: what the codes stand for, (K, C, s, s), floats in [0, 1]; or K, for colours without an order, s = 1.
    """
    if isinstance(patches, int):
        return code_colours()[codes % len(code_colours())][..., None, None, :]
    pixels = patches.detach().cpu().movedim(1, -1).numpy()[codes]
    return np.broadcast_to(pixels, (*pixels.shape[:-1], 3))  # grey ones too


@cache
def code_colours() -> npt.NDArray:
    """Return colours for the codes 0, 1, 2, …, float32 (512, 3): each as far from those before it as can be."""
    levels = np.linspace(0, 1, 8)
    choices = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    weights = np.array([2, 4, 3])  # how far apart an eye sees red, green and blue
    colours = [np.array(to_rgb(name)) for name in _OF_FIRST_CODES]
    nearest = np.full(len(choices), np.inf)
    for taken in (np.ones(3), np.full(3, HIDDEN), *colours):
        nearest = np.minimum(nearest, (weights * (choices - taken) ** 2).sum(1))
    while len(colours) < len(choices):
        colours.append(choices[nearest.argmax()])
        nearest = np.minimum(nearest, (weights * (choices - colours[-1]) ** 2).sum(1))
    return np.stack(colours).astype(np.float32)


def ink_on(colour: npt.NDArray) -> str:
    """Return "black" or "white", whichever is easier to read on a colour (3,), floats in [0, 1]."""
    return "black" if colour @ np.array([0.3, 0.59, 0.11]) > 0.5 else "white"


def plot_positions(
    maps: Mapping[str, Tensor], label: str, xlabel: str = "column", ylabel: str = "row", lowest: float = 0.0
) -> Figure:
    """Plot a value for each position of a grid as a heat map, each with its number, all maps on one scale.

    Args:
        maps: values (H, W) for each title; NaN is left blank.
        label: what the values are, with their unit.
        xlabel: of the columns.
        ylabel: of the rows.
        lowest: the bottom of the colour scale.
    """
    height, width = next(iter(maps.values())).shape
    figure = Figure(((0.45 * width + 0.3) * len(maps) + 1, 0.42 * height + 0.9), layout="constrained")
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    top = max(values.nan_to_num().max().item() for values in maps.values())
    for axis, (title, values) in zip(axes, maps.items(), strict=True):
        picture = axis.imshow(values.numpy(), cmap="viridis", vmin=lowest, vmax=top, interpolation="nearest")
        for (row, column), value in np.ndenumerate(values.numpy()):
            if not np.isnan(value):
                colour = "black" if value > lowest + 0.6 * (top - lowest) else "white"
                axis.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=8, color=colour)
        axis.set(xlabel=xlabel, xticks=range(width), yticks=range(height))
        axis.set_title(title, fontsize=10)
    axes[0].set_ylabel(ylabel)
    figure.colorbar(picture, ax=list(axes), label=label)
    return figure


def plot_history(history: History, ylabel: str) -> Figure:
    """Plot training and validation loss over the steps; ``ylabel`` names the loss and its unit."""
    figure = Figure((5.5, 3.2), layout="constrained")
    axis = figure.subplots()
    steps = [record["step"] for record in history]
    axis.plot(steps, [record["train_loss"] for record in history], color=BLUE, label="training")
    axis.plot(steps, [record["valid_loss"] for record in history], color=ORANGE, linestyle="--", label="validation")
    axis.set_xlabel("training step (batches)")
    axis.set_ylabel(ylabel)
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def plot_probabilities(probabilities: Tensor, most: int) -> Figure:
    """Plot the ``most`` largest of ``probabilities`` (K,), 0 … 1, each bar with the number of its code."""
    figure = Figure((5.5, 2.8), layout="constrained")
    axis = figure.subplots()
    largest = probabilities.detach().cpu().topk(most)
    axis.bar(range(most), largest.values.numpy(), color=BLUE)
    axis.set_xticks(range(most), [str(code) for code in largest.indices.tolist()])
    axis.set_xlabel(f"code (the {most} most probable of {len(probabilities)})")
    axis.set_ylabel("probability")
    return figure


def plot_usage(counts: Tensor) -> Figure:
    """Plot how often each code occurs, the most frequent first; ``counts`` (K,) say how often."""
    figure = Figure((5.5, 2.8), layout="constrained")
    put_usage(figure.subplots(), counts)
    return figure


def put_usage(axis: Axes, counts: Tensor) -> None:
    """Plot into ``axis`` how often each code occurs, the most frequent first; ``counts`` (K,) say how often."""
    share = (counts.double().sort(descending=True).values / counts.sum()).numpy()
    axis.bar(np.arange(len(counts)), 100 * share, width=1.0, color=BLUE)
    axis.axhline(100 / len(counts), color=ORANGE, linestyle="--", label="if all were equally frequent")
    axis.set_xlabel("codes, the most frequent first")
    axis.set_ylabel("share of all codes (%)")
    axis.legend()


def plot_codes_in_use(counts: Tensor, shown: Tensor, shares: Sequence[float], means: Tensor, decoded: Tensor) -> Figure:
    """Plot how often each code is used, and below it what some codes stand for.

    Args:
        counts: how often each code occurs, (K,).
        shown: the codes to show, int64 (N,): the most used ones, then as many of the least used.
        shares: how often each of ``shown`` occurs, 0 … 1 of all codes of the set.
        means: the mean image patch of each of ``shown``, (N, C, P, P), floats in [0, 1].
        decoded: what each of ``shown`` decodes to, (N, C, P, P), floats in [0, 1].
    """
    half = len(shown) // 2
    figure = Figure((max(7, 0.75 * half + 1), 6.4), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 1.7]).flat
    put_usage(above.subplots(), counts)
    axes = below.subplots(4, half, squeeze=False)
    for index in range(2 * half):
        row, column = divmod(index, half)
        put_image(axes[2 * row, column], means[index], f"{shown[index]}\n{_percent(shares[index])}")
        put_image(axes[2 * row + 1, column], decoded[index])
    for row, title in enumerate(["most used:\nmean patch", "decoded", "least used:\nmean patch", "decoded"]):
        axes[row, 0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=_SMALL)
    return figure


def _percent(share: float) -> str:
    """Two decimals where one would show nothing but zero."""
    return f"{share:.1%}" if share >= 0.0005 or share == 0 else f"{share:.2%}"


def plot_bars(estimates: Mapping[str, Estimated], xlabel: str) -> Figure:
    """Plot figures as bars, one below the other, each with its name, its interval of 95 % and its value.

    What cannot be negative has no interval below 0: it ends there.
    """
    figure = Figure((7, 0.42 * len(estimates) + 0.9), layout="constrained")
    axis = figure.subplots()
    _put_bars(axis, estimates)
    axis.set_xlabel(xlabel)
    return figure


def plot_quality(frechet: Mapping[str, Estimated], overlaps: Mapping[str, Sequence[Estimated]]) -> Figure:
    """Plot for sets of images their Fréchet distances, on a logarithmic axis, and how they overlap with real images.

    Args:
        frechet: by the name of the set.
        overlaps: precision, recall, density and coverage by their names, one figure for each set.
    """
    figure = Figure((10, 0.5 * len(frechet) + 1.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.1])
    _put_bars(left, frechet)
    distances = [distance.value for distance in frechet.values()]
    left.set_xscale("log")
    left.set_xlim(left=min(distances) / 2, right=max(distances) * 4)
    left.set_xlabel("Fréchet classifier distance (log scale, less is better)")
    rows = np.arange(len(frechet))
    for index, (name, estimates) in enumerate(overlaps.items()):
        right.errorbar(
            [estimate.value for estimate in estimates],
            rows + 0.15 * (index - 1.5),
            xerr=[1.96 * estimate.error for estimate in estimates],
            fmt="os^D"[index],
            color=(BLUE, ORANGE, GREEN, BLACK)[index],
            markersize=5,
            label=name,
        )
    right.set_yticks(rows, [])
    right.set_ylim(len(frechet) - 0.5, -0.5)
    right.set_xlabel("share of images (density: of balls)")
    right.grid(alpha=0.3)
    right.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=4, frameon=False, fontsize=_SMALL)
    return figure


def plot_rows(rows: Sequence[Tensor], titles: Sequence[str], names: Sequence[str] = ()) -> Figure:
    """Plot rows of images (N, C, H, W), floats in [0, 1], each row with its title at the left; N ``names`` above."""
    number = len(rows[0])
    figure = Figure((number + 1, 1.05 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), number, squeeze=False)
    for line, images, title in zip(axes, rows, titles, strict=True):
        for axis, image in zip(line, images, strict=True):
            put_image(axis, image)
        line[0].set_ylabel(without_mathematics(title), rotation=0, ha="right", va="center", fontsize=_SMALL)
    for axis, name in zip(axes[0], names, strict=False):
        axis.set_title(without_mathematics(name), fontsize=_SMALL, pad=3)
    return figure


def plot_frequencies(factors: Mapping[str, Mapping[str, float]], ylabel: str) -> Figure:
    """Plot for each factor how often its values occur, with a line at the share of each if all were equal.

    Args:
        factors: by title, the share of each value, 0 … 1.
        ylabel: what the shares are of, in per cent.
    """
    columns = min(4, len(factors))
    rows = -(-len(factors) // columns)
    figure = Figure((2.7 * columns, 2.5 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, (title, shares) in zip(axes, factors.items(), strict=False):
        places = np.arange(len(shares))
        axis.bar(places, [100 * share for share in shares.values()], color=BLUE)
        axis.axhline(100 / len(places), color=ORANGE, linestyle="--")
        axis.set_xticks(places, list(shares), rotation=45, ha="right", fontsize=8)
        axis.set_title(title, fontsize=_SMALL)
    for axis in axes[len(factors) :]:
        axis.axis("off")
    for row in range(rows):
        axes[row * columns].set_ylabel(ylabel)
    return figure


def plot_sensitivity(
    faults: Sequence[str], measures: Sequence[str], seen: Mapping[tuple[str, str], float | None]
) -> Figure:
    """Plot which measure sees which fault, as a table of colours: the darker, the fewer faulty images it needs.

    Args:
        faults: the columns.
        measures: the rows.
        seen: by fault and measure, the smallest share that is seen, above 0 and at most 1; None if it never is.
    """
    figure = Figure((1.25 * len(faults) + 2.2, 0.42 * len(measures) + 1.2), layout="constrained")
    axis = figure.subplots()
    shares = np.array([[seen[fault, measure] or np.nan for fault in faults] for measure in measures])
    axis.imshow(np.log(shares), cmap="viridis", vmin=np.log(0.01), vmax=0.5, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        text, colour = ("never", BLACK) if np.isnan(share) else (f"from {share:.0%}", "white" if share < 0.3 else BLACK)
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=_SMALL)
    axis.set_yticks(range(len(measures)), list(measures), fontsize=_SMALL)
    axis.set_xticks(range(len(faults)), [fill(fault, 14) for fault in faults], fontsize=_SMALL)
    axis.xaxis.tick_top()
    axis.set_title("seen from which share of faulty images on", fontsize=_SMALL)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


def plot_panels(
    panels: Mapping[str, Mapping[str, Sequence[Estimated]]], places: Sequence[float], xlabel: str
) -> Figure:
    """Plot several figures over the same places, each in a panel of its own, with intervals of 95 %.

    Args:
        panels: by title, the lines by name, each an estimate for each place.
        places: where the estimates are.
        xlabel: what the places are.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure((3.4 * columns, 2.7 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, (title, lines) in zip(axes, panels.items(), strict=False):
        for index, (name, estimates) in enumerate(lines.items()):
            axis.errorbar(
                places,
                [estimate.value for estimate in estimates],
                yerr=[1.96 * estimate.error for estimate in estimates],
                marker="os^D"[index % 4],
                linestyle=("-", "--", ":", "-.")[index % 4],
                color=_COLOURS[index % len(_COLOURS)],
                markersize=4,
                capsize=2,
                label=name,
            )
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(xlabel)
        axis.grid(alpha=0.3)
    for axis in axes[len(panels) :]:
        axis.axis("off")
    axes[0].legend(fontsize=_SMALL)
    return figure


# Where names stand beside their points, group by group in turns, so that fewer of them meet.
_PLACES = (((-8, -13), "right"), ((5, 4), "left"), ((5, -11), "left"), ((-5, 4), "right"))


def plot_trade_off(recipes: Sequence[tuple[str, str]], nats: Sequence[float], errors: Sequence[float]) -> Figure:
    """Plot recipes by what their codes cost and what they lose, both on logarithmic axes; down and left is better.

    A recipe that failed, with several times the usual error, would squeeze all others together, so it is only named.

    Args:
        recipes: group and name of each; those of one group share a marker, the first group a large one.
        nats: −log p of the codes of an image under a prior, for each recipe.
        errors: MSE / variance, for each recipe.
    """
    figure = Figure((9, 6.5), layout="constrained")
    axis = figure.subplots()
    axis.set(xscale="log", yscale="log")
    most = 3 * float(np.median(errors))
    failed = [(*recipe, x, y) for recipe, x, y in zip(recipes, nats, errors, strict=True) if y > most]
    for index, group in enumerate(dict.fromkeys(group for group, _ in recipes)):
        every = zip(recipes, nats, errors, strict=True)
        points = [(x, y, name) for (of, name), x, y in every if of == group and y <= most]
        if not points:
            continue
        place, side = _PLACES[index % len(_PLACES)]
        marker, colour = "o^sDvPX*<>"[index % 10], _COLOURS[index % len(_COLOURS)]
        size = 110 if index == 0 else 36
        xs, ys = [x for x, _, _ in points], [y for _, y, _ in points]
        axis.scatter(xs, ys, marker=marker, s=size, color=colour, label=group)
        for x, y, name in points:
            axis.annotate(name, (x, y), place, textcoords="offset points", fontsize=8, color=colour, ha=side)
    for row, (group, name, x, y) in enumerate(failed):
        text = f"outside of the picture: {group} {name}, {x:.0f} nats, error {y:.2f}"
        axis.text(0.02, 0.03 + 0.04 * row, text, transform=axis.transAxes, fontsize=_SMALL)
    for part in (axis.xaxis, axis.yaxis):
        part.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 7, 8)))
        part.set_major_formatter("{x:g}")
        part.set_minor_formatter(NullFormatter())
    axis.margins(x=0.1)
    axis.set_xlabel("nats per image (what a prior has to learn)")
    axis.set_ylabel("MSE / variance (what is lost)")
    axis.grid(alpha=0.3)
    axis.legend(title="kind of recipe", fontsize=_SMALL)
    return figure


def _titles(figure: Figure) -> str:
    """What the axes of a figure are called, for want of a description."""
    names = [name for axis in figure.axes for name in (axis.get_title(), axis.get_xlabel(), axis.get_ylabel()) if name]
    return UNDESCRIBED + (": " if names else "") + ", ".join(dict.fromkeys(" ".join(name.split()) for name in names))


def _put_bars(axis: Axes, estimates: Mapping[str, Estimated]) -> None:
    values = [estimate.value for estimate in estimates.values()]
    widths = [1.96 * estimate.error for estimate in estimates.values()]
    lower = [width if value < 0 else min(width, value) for value, width in zip(values, widths, strict=True)]
    axis.barh(list(estimates), values, xerr=[lower, widths], color=BLUE, ecolor=BLACK, capsize=3)
    axis.invert_yaxis()
    for row, (value, width) in enumerate(zip(values, widths, strict=True)):
        axis.annotate(f"{value:.3g}", (value + width, row), (6, 0), textcoords="offset points", va="center")
    axis.margins(x=0.15)


def _bare(axis: Axes, title: str) -> None:
    axis.set_title(without_mathematics(title), fontsize=_SMALL, pad=3)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
