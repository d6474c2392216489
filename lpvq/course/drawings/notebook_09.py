"""Drawings of 09_how_good_is_it: what the measures of sets of images do, on points that can be seen."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from lpvq.plotting import BLACK, BLUE, GREEN, ORANGE

_SMALL = 9  # points


def plot_resamples(values: Tensor, value: float, error: float, xlabel: str) -> Figure:
    """Plot how a figure varies over bootstrap samples, beside what its standard error says.

    Args:
        values: the figure on each bootstrap sample, (resamples,).
        value: the figure itself.
        error: its standard error.
        xlabel: what the figure is, with its unit.
    """
    figure = Figure((6, 3), layout="constrained")
    axis = figure.subplots()
    counts, _, _ = axis.hist(values.numpy(), bins=30, color=BLUE, alpha=0.6, label="bootstrap samples")
    height = np.max(counts) * 1.08
    axis.vlines(value, 0, height, color=BLACK, label="the mean itself")
    ends = [value - 1.96 * error, value + 1.96 * error]
    axis.vlines(ends, 0, height, color=ORANGE, linestyle="--", label="± 1.96 standard errors")
    axis.set_xlabel(xlabel)
    axis.set_ylabel("bootstrap samples")
    axis.margins(x=0.2)
    axis.legend(fontsize=_SMALL)
    return figure


def plot_gaussians(first: tuple[float, float], second: tuple[float, float]) -> Figure:
    """Plot two Gaussians, each (mean, standard deviation), as curves and as points whose distance is Fréchet's."""
    figure = Figure((9, 3.4), layout="constrained")
    curves, plane = figure.subplots(1, 2, width_ratios=[1.3, 1])
    reach = [mean + side * 3.5 * spread for mean, spread in (first, second) for side in (-1, 1)]
    x = np.linspace(min(reach), max(reach), 400)
    styles = [("first", first, BLUE, "-", "o"), ("second", second, ORANGE, "--", "s")]
    for name, (mean, spread), colour, dash, marker in styles:
        density = np.exp(-(((x - mean) / spread) ** 2) / 2) / (spread * np.sqrt(2 * np.pi))
        curves.plot(x, density, color=colour, linestyle=dash, label=f"{name}: mean {mean:g}, std {spread:g}")
        plane.plot(mean, spread, marker, color=colour, markersize=9)
        plane.annotate(name, (mean, spread), (8, -14), textcoords="offset points", color=colour, fontsize=10)
    curves.set_xlabel("a feature")
    curves.set_ylabel("density")
    curves.set_ylim(top=curves.get_ylim()[1] * 1.3)
    curves.legend(fontsize=_SMALL, loc="upper right")
    (mean, spread), (other_mean, other_spread) = first, second
    plane.plot([mean, other_mean, other_mean], [spread, spread, other_spread], color=BLACK, linestyle=":")
    plane.plot([mean, other_mean], [spread, other_spread], color=BLACK)
    middle = ((mean + other_mean) / 2, (spread + other_spread) / 2)
    plane.annotate("d", middle, (-4, 8), textcoords="offset points", ha="right", fontsize=12)
    plane.set_xlabel("mean")
    plane.set_ylabel("standard deviation")
    plane.set_xlim(min(mean, other_mean) - 0.7, max(mean, other_mean) + 1.5)
    plane.set_ylim(0, max(spread, other_spread) + 0.7)
    plane.set_aspect("equal")
    plane.grid(alpha=0.3)
    return figure


def plot_clouds(first: Tensor, second: Tensor) -> Figure:
    """Plot two sets of points, (N, 2) each, and for each of the two coordinates how its values are distributed."""
    figure = Figure((9, 3.2), layout="constrained")
    cloud, *sides = figure.subplots(1, 3, width_ratios=[1.1, 1, 1])
    names = ["first feature", "second feature"]
    styles = [("first set", first, BLUE, "-", "o"), ("second set", second, ORANGE, "--", "s")]
    for name, points, colour, dash, marker in styles:
        cloud.scatter(
            points[:, 0].numpy(), points[:, 1].numpy(), s=8, marker=marker, color=colour, alpha=0.5, label=name
        )
        for index, axis in enumerate(sides):
            axis.hist(points[:, index].numpy(), bins=20, histtype="step", color=colour, linestyle=dash, linewidth=1.5)
    cloud.set_xlabel(names[0])
    cloud.set_ylabel(names[1])
    cloud.legend(fontsize=_SMALL, loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=2, frameon=False)
    for name, axis in zip(names, sides, strict=True):
        axis.set_xlabel(f"{name} alone")
        axis.set_ylabel("points")
    return figure


def plot_floor(sizes: Sequence[int], distances: Mapping[str, Sequence[float]]) -> Figure:
    """Plot how a distance depends on the number of images that it is measured with.

    Args:
        sizes: numbers of images.
        distances: for each name the distance at each of ``sizes``.
    """
    figure = Figure((6, 3.4), layout="constrained")
    axis = figure.subplots()
    for index, (name, values) in enumerate(distances.items()):
        colour, dash, marker = [(BLUE, "-", "o"), (ORANGE, "--", "s"), (GREEN, ":", "^")][index % 3]
        axis.plot(sizes, values, color=colour, linestyle=dash, marker=marker, label=name)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks(list(sizes), [str(size) for size in sizes])
    axis.minorticks_off()
    axis.set_xlabel("images in each set (log scale)")
    axis.set_ylabel("Fréchet distance (log scale)")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=_SMALL)
    return figure


def plot_balls(real: Tensor, other: Tensor, k: int) -> Figure:
    """Plot what precision and recall count, on points (N, 2) and (M, 2).

    On the left are the balls of the real points, which reach to their ``k``-th neighbours, and which of the other
    points lie in one; on the right it is the other way round.
    """
    figure = Figure((9.4, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    _put_balls(left, real, other, k, ["real", "generated"], "precision: generated points in a real ball")
    _put_balls(right, other, real, k, ["generated", "real"], "recall: real points in a generated ball")
    return figure


def _put_balls(axis: Axes, centres: Tensor, points: Tensor, k: int, names: Sequence[str], title: str) -> None:
    radii = torch.cdist(centres, centres).sort(1).values[:, k]
    covered = (torch.cdist(points, centres) <= radii).any(1)
    for centre, radius in zip(centres.tolist(), radii.tolist(), strict=True):
        axis.add_patch(Circle((centre[0], centre[1]), radius, facecolor=BLUE, alpha=0.08))
        axis.add_patch(Circle((centre[0], centre[1]), radius, fill=False, edgecolor=BLUE, alpha=0.3))
    axis.scatter(centres[:, 0].numpy(), centres[:, 1].numpy(), s=14, color=BLUE, label=f"{names[0]}, with balls")
    axis.scatter(
        points[covered, 0].numpy(),
        points[covered, 1].numpy(),
        s=34,
        marker="s",
        color=GREEN,
        label=f"{names[1]}, inside",
    )
    axis.scatter(
        points[~covered, 0].numpy(),
        points[~covered, 1].numpy(),
        s=40,
        marker="x",
        color=ORANGE,
        label=f"{names[1]}, outside",
    )
    axis.set_title(f"{title}: {int(covered.sum())} of {len(points)}", fontsize=10)
    axis.set_aspect("equal")
    axis.set_xlabel("first feature")
    axis.set_ylabel("second feature")
    axis.legend(fontsize=8, loc="upper left")


def plot_local_errors(errors: Mapping[str, Tensor], true: float, wrong: float) -> Figure:
    """Plot histograms of local errors, on a logarithmic axis, with the two lines that divide it and what lies beyond.

    Args:
        errors: by the name of the set, (N,) each, 0 or more; what is below a ten-thousandth is drawn there.
        true: the error up to which a face is true to the renderer.
        wrong: the error from which on it is plainly wrong.
    """
    figure = Figure((9.5, 3.2), layout="constrained")
    axis = figure.subplots()
    bins = np.logspace(-4, 0, 49).tolist()
    colours = dict(zip(errors, (GREEN, BLUE, ORANGE), strict=True))
    for name, values in errors.items():
        shares = (values <= true).double().mean().item(), (values > wrong).double().mean().item()
        label = f"{name}: {shares[0]:.1%} true, {shares[1]:.1%} plainly wrong"
        shown = values.clamp(1.05e-4, 1).numpy()
        axis.hist(shown, bins=bins, histtype="step", linewidth=1.8, color=colours[name], label=label)
    axis.axvline(true, color=BLACK, linestyle="--", label="to the left: true to the renderer")
    axis.axvline(wrong, color=BLACK, linestyle=":", label="to the right: plainly wrong")
    axis.set(xscale="log", yscale="symlog", xlabel="local error (log scale)", ylabel="faces (log scale)")
    figure.legend(fontsize=_SMALL, loc="outside right center")
    return figure


def plot_distances(held_out: Tensor, generated: Tensor, near: float, far: float) -> Figure:
    """Plot how far images are from their nearest training images.

    Args:
        held_out: distances of reconstructions of held-out images, which cannot be copies, (N,).
        generated: distances of generated images, (M,).
        near: what few of ``held_out`` are below.
        far: what few of ``held_out`` are above.
    """
    figure = Figure((6.5, 3), layout="constrained")
    axis = figure.subplots()
    bins = np.linspace(0, max(held_out.max().item(), generated.max().item()), 40).tolist()
    axis.hist(held_out.numpy(), bins=bins, color=BLUE, alpha=0.5, label="reconstructions of test images")
    axis.hist(generated.numpy(), bins=bins, histtype="step", color=ORANGE, linewidth=1.8, label="generated images")
    axis.axvline(near, color=BLACK, linestyle="--", label="1 % of the test images lie beyond each")
    axis.axvline(far, color=BLACK, linestyle="--")
    axis.set_xlabel("distance to the nearest training image, by pixels")
    axis.set_ylabel("images")
    axis.legend(fontsize=_SMALL)
    return figure


def plot_cost_and_loss(points: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Plot recipes by what their codes cost and what they lose; down and left is better.

    Args:
        points: by the name of the recipe, nats per image and MSE / variance, a pair for each seed.
    """
    figure = Figure((6.4, 4), layout="constrained")
    axis = figure.subplots()
    for (name, pairs), marker, colour in zip(points.items(), "osD^", (BLACK, BLUE, ORANGE, GREEN), strict=False):
        nats, errors = zip(*pairs, strict=True)
        axis.plot(nats, errors, marker, color=colour, markersize=8, label=name)
    axis.set_yscale("log")
    axis.set_xlim(left=0)
    axis.set_xlabel("nats per image (what the codes cost)")
    axis.set_ylabel("MSE / variance, log scale (what they lose)")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=_SMALL)
    return figure
