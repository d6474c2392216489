"""The drawings of 03_vqvae: they can be drawn, and show what they are given."""

import numpy as np
import torch

from lpvq.course.drawings import notebook_03 as drawings
from lpvq.plotting import render


def test_everything_can_be_drawn() -> None:
    images, codes = torch.rand(3, 3, 8, 8), torch.randint(4, (3, 2, 2))
    figures = [
        drawings.plot_vqvae(),
        drawings.plot_grids([torch.rand(2, 3), torch.rand(2, 3)], ["a", "b"]),
        drawings.plot_reach([torch.rand(8, 8), torch.eye(8)], ["a", "b"], (4, 4, 4), "strength"),
        drawings.plot_losses({"a": [2.0, 1.0], "b": [3.0, 1.0]}, "loss"),
        drawings.plot_evaluated(images, codes, images / 2, 4, ["a", "b", "c"]),
        drawings.plot_growth([1, 10], [2, 3], [1.5, 2.5], 4),
    ]
    assert all(render(figure, "a drawing").startswith(b"\x89PNG") for figure in figures)


def test_tiles_keep_their_order_and_their_rows() -> None:
    tiles = torch.linspace(0, 0.9, 5)[:, None, None, None].expand(-1, 3, 2, 2)
    wall = drawings.plot_tiles(tiles, columns=3, used=2).axes[0].images[0].get_array()
    assert wall.shape == (6, 9, 3)
    np.testing.assert_allclose(wall[[0, 0, 0, 3, 3], [0, 3, 6, 0, 3], 0], tiles[:, 0, 0, 0], atol=1e-6)
    assert wall[4, 7, 0] == 1  # nothing there: white


def test_the_rows_of_tiles_have_their_ranks_and_a_line_ends_the_use() -> None:
    tiles = torch.rand(5, 3, 2, 2)
    axis = drawings.plot_tiles(tiles, columns=3, used=2).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["1–3", "4–5"]
    assert axis.lines[0].get_xydata().tolist() == [[9, -1], [5, -1], [5, 2], [-1, 2]]  # in the joints
    axis = drawings.plot_tiles(tiles, columns=3, used=3).axes[0]
    assert axis.lines[0].get_xydata().tolist() == [[9, 2], [-1, 2]]


def test_the_reach_hides_what_has_no_influence() -> None:
    strength = torch.zeros(8, 8)
    strength[2:4, 5] = 0.5
    shown = drawings.plot_reach([strength], [""], (4, 4, 4), "").axes[0].images[0].get_array()
    assert (~np.ma.getmaskarray(shown)).nonzero()[0].tolist() == [2, 3]


def test_the_error_is_that_of_the_worst_colour() -> None:
    images = torch.zeros(1, 3, 4, 4)
    again = images.clone()
    again[0, 1, 2, 3] = 0.25
    figure = drawings.plot_evaluated(images, torch.zeros(1, 1, 1, dtype=torch.int64), again, 2, [""])
    shown = figure.axes[3].images[0].get_array()
    assert shown[2, 3] == 0.25 and shown.sum() == 0.25
