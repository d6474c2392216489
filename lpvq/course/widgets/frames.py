"""Frames around codes of a grid."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle

Position = tuple[int, int]


def put_frames(axis: Axes, places: Sequence[Position], colour: str, side: int = 1, dashed: bool = False) -> None:
    """Frame squares; a white line underneath makes the frames show on any background.

    Args:
        axis: where.
        places: row and column of each square, counted in squares.
        colour: of the frames.
        side: of a square, in the units of the axes.
        dashed: less conspicuous, and thin where squares are small: there may be hundreds.
    """
    squares = [Rectangle((column * side - 0.5, row * side - 0.5), side, side) for row, column in places]
    in_a_row = float(np.ptp(axis.get_xlim())) / side
    width, line = (min(1.3, 12 / in_a_row), "--") if dashed else (2.6, "-")
    for edge, thickness, style in (("white", 2 * width if dashed else width + 2, "-"), (colour, width, line)):
        look: dict[str, Any] = {"edgecolor": edge, "linewidth": thickness, "linestyle": style, "zorder": 5}
        axis.add_collection(PatchCollection(squares, facecolor="none", **look), autolim=False)
