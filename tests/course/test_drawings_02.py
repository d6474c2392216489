"""The drawings of 02_vector_quantization show what they say."""

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lpvq.course.drawings import notebook_02 as drawings
from lpvq.plotting import code_colours

CODEBOOK = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


@pytest.fixture
def points() -> Tensor:
    return torch.rand(50, 2, generator=torch.Generator().manual_seed(0))


def cells(axis: Axes) -> np.ndarray:
    """The entry that each place belongs to, by its colour."""
    colours = np.asarray(axis.images[0].get_array())  # (rows, columns, 3)
    return np.abs(colours[..., None, :] - code_colours()[: len(CODEBOOK)]).sum(-1).argmin(-1)


def figures(points: Tensor) -> list[Figure]:
    runs = [[(0, 1, 0.5, 1.0), (20, 2, 0.25, 2.0)]]
    return [
        drawings.plot_cells(points, CODEBOOK),
        drawings.plot_path(points, CODEBOOK, points[:5], points[6]),
        drawings.plot_staircase(CODEBOOK[:2, 0]),
        drawings.plot_moves(points, CODEBOOK, [("there", CODEBOOK, CODEBOOK + 0.1), ("back", points, points - 0.1)]),
        drawings.plot_codebooks([("one", points, CODEBOOK, torch.zeros(50, dtype=torch.int64))]),
        drawings.plot_learning({"one": runs, "other": runs}, 3),
        drawings.plot_commitment({"one": runs}),
        drawings.plot_sizes([1, 2, 4], [1.0, 0.5, 0.2]),
    ]


def test_all_can_be_drawn_and_name_their_axes(points: Tensor) -> None:
    for figure in figures(points):
        figure.draw_without_rendering()
        assert all(axis.get_xlabel() for axis in figure.axes if axis.lines)


def test_a_cell_holds_the_places_nearest_to_its_entry(points: Tensor) -> None:
    drawn = cells(drawings.plot_cells(points, CODEBOOK).axes[0])
    assert (drawn[0, 0], drawn[0, -1], drawn[-1, 0]) == (0, 1, 2)  # rows go up, columns to the right


def test_stairs_are_flat_and_pass_through_the_entries() -> None:
    stairs, slope = drawings.plot_staircase(torch.tensor([2.0, -1.0])).axes[0].lines[:2]
    heights = np.asarray(stairs.get_ydata())
    assert set(heights[~np.isnan(heights)]) == {-1.0, 2.0} and np.isnan(heights).sum() == 1
    np.testing.assert_array_equal(slope.get_xdata(), slope.get_ydata())


def test_entries_that_no_point_chooses_are_counted_as_unused(points: Tensor) -> None:
    codes = torch.zeros(50, dtype=torch.int64)
    axis = drawings.plot_codebooks([("start", points, CODEBOOK, codes)]).axes[0]
    assert axis.get_title() == "start\n1 of 3 entries in use"
    assert [len(np.asarray(drawn.get_offsets())) for drawn in axis.collections] == [50, 1, 2]


def test_arrows_lead_from_start_to_end(points: Tensor) -> None:
    axis = drawings.plot_moves(points, CODEBOOK, [("a move", CODEBOOK, CODEBOOK + torch.tensor([0.1, -0.2]))]).axes[0]
    arrows = axis.collections[-1]
    np.testing.assert_allclose(arrows.get_offsets(), CODEBOOK.numpy())
    np.testing.assert_allclose(np.stack([arrows.U, arrows.V], axis=1), [[0.1, -0.2]] * 3, atol=1e-6)
