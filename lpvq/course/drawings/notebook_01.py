"""Drawings of 01_images_and_compression."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from lpvq.plotting import BLACK, BLUE, GREEN, ORANGE, put_arrow, put_image

_STYLES = ((BLUE, "-", "o"), (ORANGE, "--", "s"), (GREEN, ":", "^"), (BLACK, "-.", "D"))


def plot_pixel_values(image: Tensor, row: int, column: int, size: int = 6) -> Figure:
    """Plot an image, and the values of a small square of it in each of its three colours.

    Args:
        image: uint8 (3, H, W).
        row: the first row of the square.
        column: the first column of the square.
        size: its height and width in pixels.

    Returns:
        four panels: the image with the square marked, then the square's red, green and blue values.
    """
    figure = Figure((10, 2.9), layout="constrained")
    axes = figure.subplots(1, 4)
    put_image(axes[0], image.float() / 255, "the image, and a square of it")
    outline = Rectangle((column - 0.5, row - 0.5), size, size, fill=False, edgecolor=BLACK, linewidth=2)
    axes[0].add_patch(outline)
    square = image[:, row : row + size, column : column + size]
    for axis, values, name in zip(axes[1:], square, ("red", "green", "blue"), strict=True):
        put_image(axis, values[None].float() / 255, f"{name}: 0 … 255")
        for down, line in enumerate(values.tolist()):
            for right, value in enumerate(line):
                colour = "black" if value > 110 else "white"
                axis.text(right, down, str(value), ha="center", va="center", fontsize=8, color=colour)
    return figure


def plot_description(image: Tensor, numbers: Tensor, reconstruction: Tensor) -> Figure:
    """Plot the path from an image through a short description back to an image.

    Args:
        image: (C, H, W), floats in [0, 1].
        numbers: the description, (n,), any floats; drawn as a column of tiles, in columns of at most 16.
        reconstruction: what is made from the numbers, (C, H, W), floats in [0, 1].
    """
    figure = Figure((8.5, 2.7), layout="constrained")
    axes = figure.subplots(1, 5, width_ratios=[3, 1.3, 1.6, 1.3, 3])
    put_image(axes[0], image, f"{image.numel():,} numbers")
    put_arrow(axes[1], "encode")
    _put_tiles(axes[2], numbers.detach().float())
    put_arrow(axes[3], "decode")
    put_image(axes[4], reconstruction, f"{reconstruction.numel():,} numbers again")
    return figure


def plot_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    xlabel: str,
    ylabel: str,
    points: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """Plot lines over a logarithmic axis of powers of two, and single points beside them.

    Args:
        curves: by name, the values on the x axis and those on the y axis; at most four.
        xlabel: of the x axis.
        ylabel: of the y axis, which is logarithmic too.
        points: by name, the x and y of single points; at most two.
    """
    figure = Figure((6.2, 3.5), layout="constrained")
    axis = figure.subplots()
    for (name, (x, y)), (colour, dashes, marker) in zip(curves.items(), _STYLES, strict=False):
        axis.plot(x, y, color=colour, linestyle=dashes, marker=marker, markersize=4, label=name)
    for (name, (x_point, y_point)), marker in zip((points or {}).items(), "*P", strict=False):
        axis.plot([x_point], [y_point], linestyle="none", marker=marker, markersize=13, color=BLACK, label=name)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=9)
    return figure


def plot_cloud(latents: Tensor, colours: Tensor, draws: Tensor, drawn_colours: Tensor) -> Figure:
    """Plot real and drawn latent vectors in the plane in which the real ones spread most.

    Args:
        latents: (N, n), of images.
        colours: of their points, (N, 3), floats in [0, 1].
        draws: (M, n), drawn.
        drawn_colours: of their points, (M, 3).

    Returns:
        two panels with the same axes: the N real ones, the M drawn ones.
    """
    centre = latents.mean(0)
    plane = torch.linalg.svd(latents - centre, full_matrices=False).Vh[:2]
    figure = Figure((8.4, 4.1), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    sets = ((latents, colours, "latents of images"), (draws, drawn_colours, "drawn from one normal distribution"))
    for axis, (vectors, of_points, title) in zip(axes, sets, strict=True):
        across, up = ((vectors - centre) @ plane.T).T
        axis.scatter(across, up, s=9, c=of_points.numpy(), linewidths=0)
        axis.set_facecolor("#c8c8c8")  # all background colours show on it, even the pale ones
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("first direction")
    axes[0].set_ylabel("second direction")
    return figure


def _put_tiles(axis: Axes, numbers: Tensor) -> None:
    columns = -(-len(numbers) // 16)
    rows = -(-len(numbers) // columns)
    tiles = torch.full((rows * columns,), torch.nan)
    tiles[: len(numbers)] = numbers
    axis.imshow(tiles.view(rows, columns).numpy(), cmap="viridis", interpolation="nearest")
    axis.set_title(f"{len(numbers)} numbers", fontsize=9, pad=3)
    axis.set_xticks([])
    axis.set_yticks([])
    if len(numbers) <= 4:
        span = max(float(numbers.max() - numbers.min()), 1e-6)
        for index, value in enumerate(numbers.tolist()):
            colour = "black" if (value - float(numbers.min())) / span > 0.6 else "white"
            axis.text(0, index, f"{value:.2f}", ha="center", va="center", fontsize=9, color=colour)


_FAMILY = (
    ("continuous\nlatents", "made like one\nnormal distribution", "VAE, 2014", "one draw"),
    ("continuous\nlatents", "any, by removing noise\nstep by step", "latent diffusion, 2022", "tens of steps"),
    ("codes", "one code\nafter another", "VQ-VAE + PixelCNN, 2017\nVQGAN + transformer, 2021", "a step per code"),
    ("codes", "many codes\nat a time", "MaskGIT, 2022", "about ten steps"),
)


def plot_family() -> Figure:
    """Plot a table of methods: what describes an image, how that is drawn, who does it, and in how many steps."""
    figure = Figure((9, 3.4), layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(0, 4), ylim=(len(_FAMILY) + 0.6, 0))
    axis.axis("off")
    for column, title in enumerate(("description", "how it is drawn", "method", "time to draw")):
        axis.text(column + 0.5, 0.3, title, ha="center", va="center", fontsize=10, fontweight="bold")
    for row, cells in enumerate(_FAMILY):
        colour = BLUE if cells[0] == "codes" else ORANGE
        axis.axhspan(row + 0.64, row + 1.56, color=colour, alpha=0.15, linewidth=0)
        for column, text in enumerate(cells):
            axis.text(column + 0.5, row + 1.1, text, ha="center", va="center", fontsize=9.5)
    return figure
