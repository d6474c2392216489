"""What a position sees through layers of causal convolutions: one masked stack with its blind spot, and two stacks."""

from collections.abc import Callable

import numpy as np
import torch
from ipywidgets import IntSlider
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from lpvq.course.widgets.explorer import INK, Corners, Explorer, Picture, Spot
from lpvq.plotting import ORANGE

_LOOKS = "#CC79A7"  # the colour of the position that looks

Position = tuple[int, int]
Offsets = tuple[Position, ...]
Seen = Callable[[Position, int, int, int], Tensor]

# Which neighbours (rows down, columns right) a convolution of kernel size 3 looks at.
_ABOVE: Offsets = ((-1, -1), (-1, 0), (-1, 1))
_LEFT: Offsets = ((0, -1),)
_OWN: Offsets = ((0, 0),)
_ROW: Offsets = ((0, -1), (0, 0), (0, 1))


def seen_by_masked(position: Position, layers: int, height: int, width: int) -> Tensor:
    """Return what a position sees through a masked 3 × 3 stack, bool (H, W): mask A in its first layer, then mask B.

    What it sees is followed backwards, from the last layer to the first.
    """
    seen = _only(position, height, width)
    for _ in range(layers - 1):
        seen = _look(seen, _ABOVE + _LEFT + _OWN)
    return _look(seen, _ABOVE + _LEFT)


def seen_by_two_stacks(position: Position, layers: int, height: int, width: int) -> Tensor:
    """Return what a position sees through vertical and horizontal layers of kernel size 3, bool (H, W)."""
    horizontal = _only(position, height, width)
    vertical = torch.zeros_like(horizontal)
    for _ in range(layers - 1):
        vertical = _look(vertical | horizontal, _ABOVE + _ROW)  # the link first, then the vertical layer
        horizontal = _look(horizontal, _LEFT + _OWN)
    return _look(vertical, _ABOVE) | _look(horizontal, _LEFT)


def layers_needed(seen: Seen, position: Position, most: int, height: int, width: int) -> Tensor:
    """Return for each place the fewest layers, up to ``most``, through which ``position`` sees it, (H, W); 0: none."""
    needed = torch.zeros(height, width, dtype=torch.int64)
    for layers in range(most, 0, -1):
        needed[seen(position, layers, height, width)] = layers
    return needed


def plot_receptive_fields(position: Position, layers: int, height: int, width: int) -> Figure:
    """Plot what a position sees through ``layers`` layers of both kinds; each cell shows the fewest it takes."""
    figure = Figure((9.6, 4.1))
    sides = {"left": 0.01, "right": 0.99, "bottom": 0.19, "top": 0.92, "wspace": 0.04}
    for axis, (title, seen) in zip(figure.subplots(1, 2, gridspec_kw=sides), _KINDS.items(), strict=True):
        _put_field(axis, layers_needed(seen, position, layers, height, width), position, layers)
        axis.set_title(f"{title}, {layers} layers" if layers > 1 else f"{title}, 1 layer")
        axis.set_label(title)
    colours = figure.axes[0].images[0].cmap
    entries = [
        Patch(facecolor=colours(0.0), label="seen through the first layer"),
        Patch(facecolor=colours(1.0), label="through all of them (the number: how many it takes)"),
        Patch(facecolor="none", edgecolor=ORANGE, hatch="////", label="earlier, not seen"),
        Patch(facecolor=_LOOKS, label="the position that looks"),
    ]
    figure.legend(handles=entries, loc="lower center", ncols=2, frameon=False)
    return figure


def missed(seen: Seen, position: Position, layers: int, height: int, width: int) -> int:
    """Return how many earlier positions ``position`` does not see."""
    return position[0] * width + position[1] - int(seen(position, layers, height, width).sum())


def _put_field(axis: Axes, needed: Tensor, position: Position, layers: int) -> None:
    height, width = needed.shape
    shown = np.ma.masked_equal(needed.numpy(), 0)
    axis.imshow(shown, cmap="viridis_r", vmin=1, vmax=max(layers, 2), interpolation="nearest")
    not_seen: list[Rectangle] = []
    not_earlier: list[Rectangle] = []
    for (row, column), number in np.ndenumerate(needed.numpy()):
        if number:
            colour = "white" if number > 0.5 * max(layers, 2) else "black"
            axis.text(column, row, str(number), ha="center", va="center", color=colour)
        else:
            kind = not_seen if (row, column) < position else not_earlier
            kind.append(Rectangle((column - 0.5, row - 0.5), 1, 1))
    axis.add_collection(PatchCollection(not_seen, facecolor="none", edgecolor=ORANGE, hatch="////", linewidth=0.8))
    axis.add_collection(PatchCollection(not_earlier, facecolor=INK, alpha=0.25, linewidth=0))
    axis.vlines(np.arange(1, width) - 0.5, -0.5, height - 0.5, colors=INK, linewidth=0.4)
    axis.hlines(np.arange(1, height) - 0.5, -0.5, width - 0.5, colors=INK, linewidth=0.4)
    axis.add_patch(Rectangle((position[1] - 0.5, position[0] - 0.5), 1, 1, facecolor=_LOOKS, zorder=5))
    axis.set(xlim=(-0.55, width - 0.45), ylim=(height - 0.45, -0.55), xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def _only(position: Position, height: int, width: int) -> Tensor:
    """That position alone, bool (H, W)."""
    places = torch.zeros(height, width, dtype=torch.bool)
    places[position] = True
    return places


def _look(places: Tensor, offsets: Offsets) -> Tensor:
    """All that a convolution which looks at ``offsets`` sees from ``places``, bool (H, W)."""
    seen = torch.zeros_like(places)
    height, width = places.shape
    for row, column in places.nonzero().tolist():
        for down, right in offsets:
            if 0 <= row + down < height and 0 <= column + right < width:
                seen[row + down, column + right] = True
    return seen


_KINDS: dict[str, Seen] = {"one masked stack": seen_by_masked, "two stacks": seen_by_two_stacks}


class ReceptiveFieldExplorer(Explorer):
    """Click a position, and see what it sees, layer by layer.

    Args:
        height: of the grid.
        width: of the grid.
    """

    hint = "Click a position of either grid to see what it sees."

    def __init__(self, height: int = 7, width: int = 11) -> None:
        self.height, self.width = height, width
        controls = {
            "row": IntSlider(height - 2, 0, height - 1, description="row"),
            "column": IntSlider(width // 3, 0, width - 1, description="column"),
            "layers": IntSlider(4, 1, max(height, width), description="layers"),
        }
        super().__init__(controls, [list(controls.values())])

    def plot(self, row: int, column: int, layers: int) -> Picture:  # type: ignore[override]
        """Plot both fields."""
        grid = (self.height, self.width)
        figure = plot_receptive_fields((row, column), layers, *grid)
        one, two = (missed(seen, (row, column), layers, *grid) for seen in _KINDS.values())
        earlier = row * self.width + column
        return figure, (
            f"Row {row}, column {column}, {layers} layers: of {earlier} earlier positions one masked stack misses "
            f"{one}, two stacks miss {two}."
        )

    def pick(self, kind: str, spot: Spot) -> None:
        """A click picks the position that looks."""
        if kind == "mousedown":
            self.set(row=spot.row, column=spot.column)  # at the very edge, the sliders keep to the grid

    def target(self, spot: Spot) -> Corners:
        """The position under the mouse."""
        return spot.row - 0.5, spot.column - 0.5, spot.row + 0.5, spot.column + 0.5
