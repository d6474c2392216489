"""Drawings of 03_vqvae: the path through the model, what a code sees and what it affects, the codebook as tiles."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import Tensor

from lpvq.plotting import BLACK, BLUE, GREEN, ORANGE, Patches, put_codes, put_image

_DASHES = ("-", "--", ":", "-.")


def plot_vqvae() -> Figure:
    """Plot the path of an image through encoder, quantizer and decoder, and the path of the gradient back."""
    figure = Figure((9, 2.9))
    axis = figure.add_axes((0.005, 0.01, 0.99, 0.98))
    axis.set(xlim=(0, 100), ylim=(0, 32))
    axis.axis("off")
    _put_box(axis, 1, 13, "image\n$x$\n(3, 32, 32)", "white")
    _put_box(axis, 20, 13, "encoder", "#cfe3f1")
    _put_box(axis, 39, 22, "nearest entry\nof the codebook:\n$z$ (16, 8, 8)\ncodes (8, 8)\n$e$ (16, 8, 8)", "#d6efe3")
    _put_box(axis, 67, 13, "decoder", "#cfe3f1")
    _put_box(axis, 86, 13, "image again\n" + r"$\hat{x}$" + "\n(3, 32, 32)", "white")
    for start, end, text in [(14, 20, ""), (33, 39, "$z$"), (61, 67, "$e$"), (80, 86, "")]:
        _put_arrow(axis, (start, 19), (end, 19), BLACK, "-")
        axis.text((start + end) / 2, 20.3, text, ha="center", fontsize=10)
    axis.text(50, 29, "forward: values", ha="center", fontsize=10)
    for right, left in ((92.5, 64.5), (35.5, 26.5)):  # through the decoder, and into the encoder
        _put_arrow(axis, (right, 9), (left, 9), ORANGE, "--")
    axis.plot([64, 64, 36], [9, 4.5, 4.5], color=ORANGE, linestyle="--", linewidth=1.5)
    _put_arrow(axis, (36, 4.5), (36, 9), ORANGE, "--")
    axis.text(78.5, 5.6, "backward: as usual", ha="center", color=ORANGE)
    axis.text(50, 0.8, "straight through: from $e$ to $z$, unchanged", ha="center", color=ORANGE)
    return figure


def _put_box(axis: Axes, left: float, width: float, text: str, colour: str) -> None:
    style = "round,pad=0,rounding_size=1.2"
    axis.add_patch(FancyBboxPatch((left, 12), width, 14, boxstyle=style, facecolor=colour, edgecolor=BLACK))
    axis.text(left + width / 2, 19, text, ha="center", va="center", fontsize=10)


def _put_arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, dashes: str) -> None:
    arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.5, "mutation_scale": 14, "linestyle": dashes}
    axis.annotate("", end, start, arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0})


def plot_grids(grids: Sequence[Tensor], titles: Sequence[str]) -> Figure:
    """Plot small grids of numbers (H, W) side by side, each number in its cell, all on one scale of colours."""
    arrays = [grid.detach().cpu().numpy() for grid in grids]
    lowest, highest = min(array.min() for array in arrays), max(array.max() for array in arrays)
    height = max(2.6 * array.shape[0] / array.shape[1] for array in arrays)
    figure = Figure((2.6 * len(arrays), height + 0.3), layout="constrained")
    for axis, array, title in zip(figure.subplots(1, len(arrays), squeeze=False).flat, arrays, titles, strict=True):
        axis.imshow(array, cmap="viridis", vmin=lowest, vmax=highest, interpolation="nearest")
        for (row, column), value in np.ndenumerate(array):
            bright = value > lowest + 0.6 * (highest - lowest)
            colour = "black" if bright else "white"
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)
        axis.set_title(title, fontsize=10)
        axis.set_xticks([])
        axis.set_yticks([])
    return figure


def plot_reach(maps: Sequence[Tensor], titles: Sequence[str], own: tuple[int, int, int], unit: str) -> Figure:
    """Plot how strongly each pixel is tied to one code, and outline the pixels that the code stands for.

    Args:
        maps: a map (H, W) of strengths, 0 or more, for each panel; what is 0 stays white.
        titles: one per panel.
        own: first row, first column and size of the code's own square of pixels.
        unit: what the strengths are, for the scale.
    """
    figure = Figure((4.1 * len(maps) + 0.4, 3.6), layout="constrained")
    row, column, size = own
    for axis, strength, title in zip(figure.subplots(1, len(maps), squeeze=False).flat, maps, titles, strict=True):
        share = strength.detach().double().cpu().numpy() / strength.max().item()
        hidden = np.ma.masked_less_equal(share, 0)
        picture = axis.imshow(hidden, cmap="viridis", norm=LogNorm(1e-4, 1, clip=True), interpolation="nearest")
        square = (column - 0.5, row - 0.5)
        axis.add_patch(Rectangle(square, size, size, fill=False, edgecolor=ORANGE, linewidth=2))
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("column (pixels)")
        axis.set_ylabel("row (pixels)")
        figure.colorbar(picture, ax=axis, label=unit, shrink=0.85)
    return figure


def plot_losses(curves: Mapping[str, Sequence[float]], ylabel: str) -> Figure:
    """Plot the losses of runs step by step, on a logarithmic axis, each with its name; from the first step on."""
    figure = Figure((5.8, 3.2), layout="constrained")
    axis = figure.subplots()
    colours = (BLUE, ORANGE, GREEN, BLACK)
    for index, (name, losses) in enumerate(curves.items()):
        steps = range(1, len(losses) + 1)
        axis.plot(steps, losses, color=colours[index % 4], linestyle=_DASHES[index % 4], label=name)
    axis.set_yscale("log")
    axis.set_xlabel("training step (batches)")
    axis.set_ylabel(ylabel)
    axis.grid(alpha=0.3, which="both")
    if len(curves) > 1:
        axis.legend()
    return figure


def plot_evaluated(
    images: Tensor, codes: Tensor, reconstructions: Tensor, patches: Patches, titles: Sequence[str]
) -> Figure:
    """Plot for each image a row: the image, its codes, its reconstruction, and where the two differ.

    Args:
        images: (N, C, H, W), floats in [0, 1].
        codes: int64 (N, h, w).
        reconstructions: of these images, (N, C, H, W), floats in [0, 1].
        patches: what the codes stand for, (K, C, s, s), floats in [0, 1]; or K, for colours without an order.
        titles: one per row.
    """
    figure = Figure((8.4, 1.95 * len(images) + 0.3), layout="constrained")
    axes = figure.subplots(len(images), 4, squeeze=False)
    differences = (reconstructions - images).abs().amax(1).detach().cpu()  # (N, H, W): the largest of the colours
    for row, title, image, grid, again, difference in zip(
        axes, titles, images, codes, reconstructions, differences, strict=True
    ):
        put_image(row[0], image)
        put_codes(row[1], grid, patches)
        put_image(row[2], again)
        picture = row[3].imshow(difference.numpy(), cmap="viridis", vmin=0, vmax=0.5, interpolation="nearest")
        row[3].set_xticks([])
        row[3].set_yticks([])
        row[0].set_ylabel(title)
    for axis, title in zip(axes[0], ["image", "its codes", "reconstruction", "error"], strict=True):
        axis.set_title(title, fontsize=10)
    figure.colorbar(picture, ax=axes[:, 3], label="largest error of the colours (0.5 and more: yellow)", shrink=0.9)
    return figure


def plot_tiles(tiles: Tensor, columns: int, used: int) -> Figure:
    """Plot what codes paint as one wall with white joints, and a line between those in use and those not in use.

    Args:
        tiles: small images (N, C, P, P), floats in [0, 1], of the most frequent code first; each row is named by the
            ranks of its codes.
        columns: how many are in a row.
        used: how many of the codes are in use.
    """
    joint, missing = 1, -len(tiles) % columns
    padded = F.pad(tiles.detach().cpu(), (0, joint, 0, joint), value=1.0)
    padded = F.pad(padded, (0, 0, 0, 0, 0, 0, 0, missing), value=1.0)
    wall = padded.unflatten(0, (-1, columns)).permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)  # (C, rows · P, …)
    figure = Figure((9.6, 9 * wall.shape[1] / wall.shape[2]))
    axis = figure.add_axes((0.6 / 9.6, 0, 9 / 9.6, 1))
    put_image(axis, wall)
    pitch, firsts = tiles.shape[2] + joint, range(0, len(tiles), columns)
    names = [f"{first + 1}–{min(first + columns, len(tiles))}" for first in firsts]
    axis.set_yticks([(row + 0.5) * pitch - 1 for row in range(len(firsts))], names, fontsize=8)
    axis.tick_params(length=0)
    right, row, column = wall.shape[2], used // columns, used % columns
    x = [right, column * pitch - 1, column * pitch - 1, -1] if column else [right, -1]
    y = [pitch * row - 1] * 2 + ([pitch * (row + 1) - 1] * 2 if column else [])
    axis.plot(x, y, color=BLACK, linewidth=2.5, scalex=False, scaley=False)
    return figure


def plot_growth(numbers: Sequence[int], used: Sequence[float], perplexities: Sequence[float], num_codes: int) -> Figure:
    """Plot how many codes are seen to be in use, and their perplexity, against the number of images counted."""
    figure = Figure((5.8, 3.2), layout="constrained")
    axis = figure.subplots()
    axis.plot(numbers, used, color=BLUE, marker="o", label="codes in use")
    axis.plot(numbers, perplexities, color=ORANGE, linestyle="--", marker="s", label="perplexity")
    axis.axhline(num_codes, color=BLACK, linestyle=":", label=f"codes there are ({num_codes})")
    axis.set_xscale("log")
    axis.set_xlabel("images counted (log scale)")
    axis.set_ylabel("codes")
    axis.grid(alpha=0.3)
    axis.legend()
    return figure
