"""Drawings of notebook 06: the model, the gated block, the gate, and where the surprise of a prior is.

Shapes: B grids of H × W, C channels, K codes.
"""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import Tensor

from lpvq.plotting import BLACK, BLUE, GREEN, ORANGE, Patches, put_codes, put_image

_GREY = "#666666"
_DASHES = ("-", "--", "-.", ":")
_COLOURS = (BLUE, ORANGE, GREEN, BLACK)


def plot_model() -> Figure:
    """Plot the whole network from left to right: embedding, first layer with mask type A, gated blocks, head."""
    figure, axis = _sheet(9, 3, 18, 6)
    top, bottom, middle = 4.6, 2.2, 3.4
    _box(axis, 0.9, middle, 1.5, 1.3, "codes\nB×H×W", BLACK)
    _box(axis, 3.0, middle, 1.7, 1.3, "embed-\nding\nC", BLACK)
    _box(axis, 6.0, top, 2.5, 1.3, "vertical,\nmask type A", BLUE)
    _box(axis, 6.0, bottom, 2.5, 1.3, "horizontal,\nmask type A", ORANGE)
    _arrow(axis, (1.65, middle), (2.15, middle))
    _arrow(axis, (3.85, middle + 0.3), (4.75, top - 0.2))
    _arrow(axis, (3.85, middle - 0.3), (4.75, bottom + 0.2))
    before = 7.25
    for x, name in ((8.9, "block\n1"), (10.9, "block\n2"), (13.6, "block\nL")):
        _box(axis, x, middle, 1.1, 3.7, name, GREEN)
        for y, colour in ((top, BLUE), (bottom, ORANGE)):
            _arrow(axis, (before, y), (x - 0.55, y), colour)
        _arrow(axis, (x, 0.6), (x, middle - 1.85), _GREY)
        before = x + 0.55
    axis.text(12.25, middle, "…", ha="center", va="center", fontsize=14)
    _box(axis, 15.5, bottom, 1.3, 1.3, "head\n1×1", BLACK)
    _box(axis, 17.25, bottom, 1.3, 1.3, "logits\nK", BLACK)
    _arrow(axis, (14.15, bottom), (14.85, bottom), ORANGE)
    _arrow(axis, (16.15, bottom), (16.6, bottom))
    axis.plot([8.9, 13.6], [0.6, 0.6], color=_GREY, linewidth=1.5)
    axis.text(8.7, 0.6, "label", ha="right", va="center", fontsize=10, color=_GREY)
    axis.text(8.35, 5.6, "vertical features v above, horizontal features h below", fontsize=9)
    return figure


def plot_block() -> Figure:
    """Plot the gated block: both stacks from top to bottom, the link, the label, the gates, the residual."""
    figure, axis = _sheet(7.2, 6.6, 14.4, 13.2)
    left, right, middle = 2.6, 10.6, 6.6
    for x, name, colour in ((left, "vertical", BLUE), (right, "horizontal", ORANGE)):
        letter = name[0]
        axis.text(x, 12.8, f"${letter}$   (C channels)", ha="center", va="center", fontsize=11)
        _box(axis, x, 11.1, 3.9, 1.1, f"{name} convolution\nC → 2C", colour)
        _arrow(axis, (x, 12.45), (x, 11.65))
        _plus(axis, x, 7.5)
        _gate(axis, x, 5.6, 4.0)
        _arrow(axis, (x, 7.2), (x, 6.6))
    axis.plot([left, left], [10.55, 7.85], color=BLACK, linewidth=1.3)
    _arrow(axis, (left, 8.0), (left, 7.8))
    _arrow(axis, (left, 3.7), (left, 0.75))
    _box(axis, middle, 9.3, 2.9, 1.1, "link 1×1\n2C → 2C", GREEN)
    _arrow(axis, (left, 9.3), (middle - 1.45, 9.3), GREEN)
    _arrow(axis, (middle + 1.45, 9.3), (right - 0.3, 9.3), GREEN)
    _plus(axis, right, 9.3)
    _arrow(axis, (right, 10.55), (right, 9.6))
    _arrow(axis, (right, 9.0), (right, 7.8))
    _box(axis, middle, 7.5, 2.9, 1.1, "label's row\n4C = 2C + 2C", _GREY)
    _arrow(axis, (middle - 1.45, 7.5), (left + 0.3, 7.5), _GREY)
    _arrow(axis, (middle + 1.45, 7.5), (right - 0.3, 7.5), _GREY)
    _box(axis, right, 2.75, 2.9, 0.9, "output 1×1, C → C", ORANGE)
    _arrow(axis, (right, 3.7), (right, 3.2))
    _arrow(axis, (right, 2.3), (right, 1.85))
    _plus(axis, right, 1.55)
    _arrow(axis, (right, 1.25), (right, 0.75))
    axis.plot([right, 13.4, 13.4], [12.1, 12.1, 1.55], color=BLACK, linewidth=1.3)
    _arrow(axis, (13.4, 1.55), (right + 0.3, 1.55))
    axis.text(13.65, 6.6, "residual", rotation=90, ha="left", va="center", fontsize=10)
    axis.text(left, 0.35, "new $v$   (C channels)", ha="center", va="center", fontsize=11)
    axis.text(right, 0.35, "new $h$   (C channels)", ha="center", va="center", fontsize=11)
    return figure


def plot_gate(a: Tensor, outputs: Mapping[float, Tensor]) -> Figure:
    """Plot what a gate lets through, and ReLU beside it.

    Args:
        a: the values of the first half, (N,).
        outputs: tanh(a) · σ(b), (N,), for some values of b.
    """
    figure = Figure((5.8, 3.4), layout="constrained")
    axis = figure.subplots()
    for (b, output), colour, dash in zip(outputs.items(), (*_COLOURS[:3], "#CC79A7"), _DASHES, strict=False):
        share = f"σ(b) = {(-Tensor([b])).exp().add(1).reciprocal().item():.2f}"
        axis.plot(a.numpy(), output.numpy(), color=colour, linestyle=dash, label=f"b = {b:g}: {share}")
    axis.plot(a.numpy(), a.clamp(min=0).numpy(), color=BLACK, linewidth=1, alpha=0.7, label="ReLU, for comparison")
    axis.set_ylim(-1.3, 1.9)
    axis.set_xlabel("a")
    axis.set_ylabel("tanh(a) · σ(b)")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=9, loc="upper left")
    return figure


def plot_curves(curves: Mapping[str, Sequence[float]], levels: Mapping[str, float], **labels: str) -> Figure:
    """Plot curves over 0, 1, 2, …, told apart by colour and dashes.

    Args:
        curves: by name.
        levels: horizontal lines to compare them with, by name.
        labels: ``xlabel`` and ``ylabel``, and ``yscale`` ("linear" or "log").
    """
    figure = Figure((6, 3.3), layout="constrained")
    axis = figure.subplots()
    for (name, values), colour, dash in zip(curves.items(), _COLOURS, _DASHES, strict=False):
        axis.plot(range(len(values)), values, color=colour, linestyle=dash, label=name)
    for (name, level), pattern in zip(levels.items(), ((0, (1, 1)), (0, (6, 3)), (0, (3, 1, 1, 1))), strict=False):
        axis.axhline(level, color=_GREY, linewidth=1.2, linestyle=pattern, label=name)
    axis.set(**labels)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=9)
    return figure


def plot_influence(maps: Mapping[str, Tensor], row: int, column: int) -> Figure:
    """Plot for each map, bool (H, W), what the logits at (row, column) depend on; forbidden ones get a cross."""
    figure = Figure((3.1 * len(maps), 2.7), layout="constrained")
    for axis, (title, seen) in zip(figure.subplots(1, len(maps), squeeze=False).flat, maps.items(), strict=True):
        height, width = seen.shape
        for r in range(height):
            for c in range(width):
                forbidden = (r, c) >= (row, column)
                colour = "white" if not seen[r, c] else ORANGE if forbidden else BLUE
                axis.add_patch(Rectangle((c, r), 1, 1, facecolor=colour, edgecolor=_GREY, linewidth=0.8))
                if seen[r, c] and forbidden:
                    axis.text(c + 0.5, r + 0.5, "×", ha="center", va="center", fontsize=13, color="white")
        axis.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=BLACK, linewidth=2.5))
        axis.set(xlim=(-0.1, width + 0.1), ylim=(height + 0.1, -0.1), aspect="equal", xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.set_title(title, fontsize=10)
    return figure


def plot_surprise(images: Tensor, codes: Tensor, bits: Tensor, patches: Patches) -> Figure:
    """Plot images, below each its codes, below them how many bits each code cost.

    Args:
        images: (N, 3, H, W), floats in [0, 1].
        codes: int64 (N, h, w).
        bits: (N, h, w).
        patches: what the codes stand for, (K, C, s, s), floats in [0, 1]; or K, for colours without an order.
    """
    number = len(images)
    figure = Figure((2.1 * number + 1.1, 6.4), layout="constrained")
    axes = figure.subplots(3, number, squeeze=False)
    top = bits.max().item()
    for index in range(number):
        put_image(axes[0, index], images[index])
        put_codes(axes[1, index], codes[index], patches)
        picture = axes[2, index].imshow(bits[index].numpy(), cmap="viridis", vmin=0, vmax=top, interpolation="nearest")
        axes[2, index].set(xticks=[], yticks=[])
        axes[2, index].set_title(f"{bits[index].sum().item():.0f} bits in all", fontsize=9, pad=3)
    for line, name in zip(axes, ("image", "codes", "surprise"), strict=True):
        line[0].set_ylabel(name, fontsize=10)
    figure.colorbar(picture, ax=axes[2], label="bits")
    return figure


def _sheet(inches_wide: float, inches_high: float, width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure((inches_wide, inches_high))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(0, height))
    axis.axis("off")
    return figure, axis


def _box(axis: Axes, x: float, y: float, width: float, height: float, text: str, colour: str) -> None:
    corner = (x - width / 2, y - height / 2)
    style = "round,pad=0,rounding_size=0.2"
    axis.add_patch(
        FancyBboxPatch(corner, width, height, boxstyle=style, facecolor="white", edgecolor=colour, linewidth=1.8)
    )
    axis.text(x, y, text, ha="center", va="center", fontsize=9.5)


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = BLACK) -> None:
    look = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.3, "mutation_scale": 11, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, arrowprops=look)


def _plus(axis: Axes, x: float, y: float, text: str = "+") -> None:
    axis.text(
        x,
        y,
        text,
        ha="center",
        va="center",
        fontsize=11,
        bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": BLACK},
    )


def _gate(axis: Axes, x: float, y: float, width: float) -> None:
    """A gate in a frame of its own, from y − 1.9 to y + 1: 2C channels come in above, C leave below."""
    corner = (x - width / 2, y - 1.9)
    axis.add_patch(Rectangle(corner, width, 2.9, facecolor="#f2f2f2", edgecolor=_GREY, linewidth=1, linestyle="--"))
    axis.text(x - width / 2 + 0.15, y - 1.8, "gate", ha="left", va="bottom", fontsize=9, color=_GREY)
    for side, name in ((-1, "tanh"), (1, "σ")):
        _arrow(axis, (x, y + 1), (x + side * 0.8, y + 0.35))
        _box(axis, x + side * 0.95, y, 1.3, 0.7, name, BLACK)
        _arrow(axis, (x + side * 0.8, y - 0.35), (x + side * 0.25, y - 1.1))
        axis.text(x + side * 1.35, y + 0.62, "ab"[side > 0], ha="center", va="center", fontsize=9, style="italic")
    _plus(axis, x, y - 1.3, "×")
    axis.plot([x, x], [y - 1.6, y - 1.9], color=BLACK, linewidth=1.3)
