"""The drawings of 08_fast_sampling."""

import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, Rectangle

from lpvq import plotting
from lpvq.course.drawings import notebook_08 as drawings


def colours(axis, kind):
    """How often each colour occurs among the cells or features of a panel."""
    found = [to_hex(patch.get_facecolor()).upper() for patch in axis.patches if isinstance(patch, kind)]
    return {colour: found.count(colour) for colour in set(found)}


def test_one_position_of_a_step_is_used():
    figure = drawings.plot_waste(3, 4, steps=[0, 5])
    assert plotting.render(figure, "waste")
    first, second = (colours(axis, Rectangle) for axis in figure.axes)
    assert first[plotting.ORANGE] == second[plotting.ORANGE] == 1
    assert (sum(first.values()), sum(second.values()), second[drawings._PALE_BLUE]) == (12, 12, 5)


def test_a_line_keeps_what_the_kernel_sees_to_the_left():
    figure = drawings.plot_line_cache(width=9, layers=3, kernel_size=5, column=6)
    assert plotting.render(figure, "line")
    found = colours(figure.axes[0], Circle)
    assert found[plotting.ORANGE] == 4  # the input and three layers
    assert found[plotting.GREEN] == 3 * 4  # of all but the last layer


def test_a_grid_keeps_a_row_and_a_column():
    figure = drawings.plot_grid_cache(height=5, width=6, row=3, column=3, reach=2)
    assert plotting.render(figure, "grid")
    rows, links, columns = (colours(axis, Rectangle) for axis in figure.axes)
    assert (rows[plotting.GREEN], rows[plotting.ORANGE]) == (12, 6)
    assert links[plotting.GREEN] == 6
    assert (columns[plotting.GREEN], columns[plotting.ORANGE]) == (2, 1)


def test_what_does_not_change_is_left_blank():
    change = torch.rand(3, 4)
    change[0] = 0
    figure = drawings.plot_changes([change] * 3, [change] * 3, row=0, column=1)
    assert plotting.render(figure, "changes")
    assert [int(axis.images[0].get_array().mask.sum()) for axis in figure.axes] == [4] * 6


def test_mistakes_share_a_scale():
    figure = drawings.plot_mistakes({"one": torch.zeros(3, 4), "other": torch.rand(3, 4)})
    assert plotting.render(figure, "mistakes")
    assert {axis.images[0].get_clim() for axis in figure.axes[:2]} == {(1e-4, 1)}


def test_speedups_stand_beside_the_number_of_codes():
    figure = drawings.plot_speedups([16, 64], {"one": [4, 8], "other": [2, 3]})
    assert plotting.render(figure, "speedups")
    bound, *lines = figure.axes[0].lines
    assert bound.get_ydata().tolist() == [16, 64] and [len(line.get_ydata()) for line in lines] == [2, 2]


def test_a_cost_is_a_line_through_what_was_measured() -> None:
    figure = drawings.plot_costs({"plain": ([1.0, 10.0], [3.0, 12.0], 2.0, 1.0)})
    points, line = figure.axes[0].lines
    assert list(points.get_ydata()) == [3.0, 12.0]
    assert line.get_ydata()[[0, -1]].tolist() == pytest.approx([3.0, 12.0])
