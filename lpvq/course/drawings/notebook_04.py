"""Drawings of 04_latent_codes."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from lpvq.plotting import BLACK, BLUE, ORANGE


def plot_shared_bits(numbers: Sequence[int], curves: Mapping[str, Sequence[float]]) -> Figure:
    """Plot estimates of a mutual information against the number of grids they were made from.

    Args:
        numbers: of grids, one for each point.
        curves: by name, the estimates in bits; two at most.
    """
    figure = Figure((6.2, 3.3), layout="constrained")
    axis = figure.subplots()
    for (name, bits), colour, style in zip(curves.items(), (BLUE, ORANGE), ("o-", "s--"), strict=False):
        axis.plot(numbers, bits, style, color=colour, label=name)
    axis.axhline(0, color=BLACK, linewidth=0.8)
    axis.set_xscale("log")
    axis.set_xticks(numbers, [f"{number:,}" for number in numbers])
    axis.minorticks_off()
    axis.set_xlabel("grids counted")
    axis.set_ylabel("mutual information (bits)")
    axis.grid(alpha=0.3)
    axis.legend(loc="center right")  # between the two curves, which end at the top and at the bottom
    return figure


def plot_baseline_bits(bits: Mapping[str, float]) -> Figure:
    """Plot bits per code as bars, one below the other, each with its value; ``bits`` by the name of the model."""
    figure = Figure((7, 0.42 * len(bits) + 0.9), layout="constrained")
    axis = figure.subplots()
    bars = axis.barh(list(bits), list(bits.values()), color=BLUE)
    axis.bar_label(bars, fmt="%.2f", padding=5)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set_xlabel("bits per code on test codes (less is better)")
    return figure


def plot_rate(weights: Sequence[float], bits: Sequence[float], errors: Sequence[float]) -> Figure:
    """Plot what codes cost (bits per code) against what they lose, a point for each weight of the rate."""
    figure = Figure((5.5, 3.4), layout="constrained")
    axis = figure.subplots()
    axis.plot(bits, errors, "o-", color=BLUE)
    for index, (weight, x, y) in enumerate(zip(weights, bits, errors, strict=True)):
        offset = (-18, -18) if index % 2 else (-12, 9)  # neighbours may be close
        axis.annotate(f"λ = {weight:g}", (x, y), offset, textcoords="offset points", fontsize=9)
    axis.set_ylim(bottom=0, top=1.2 * max(errors))
    axis.margins(x=0.15)
    axis.set_xlabel("entropy (bits per code)")
    axis.set_ylabel("error: MSE / variance")
    axis.grid(alpha=0.3)
    return figure
