import numpy as np
import pytest
import torch
from matplotlib.patches import Circle

from lpvq import plotting
from lpvq.course.drawings import notebook_09


def test_every_drawing_can_be_rendered():
    points, others = torch.rand(20, 2), torch.rand(15, 2)
    for figure in (
        notebook_09.plot_resamples(torch.rand(50), 0.5, 0.1, "bits per code"),
        notebook_09.plot_gaussians((0.0, 1.0), (3.0, 2.0)),
        notebook_09.plot_clouds(points, others),
        notebook_09.plot_floor([8, 16], {"test": [2.0, 1.0], "samples": [3.0, 2.0]}),
        notebook_09.plot_balls(points, others, k=2),
        notebook_09.plot_distances(torch.rand(30), torch.rand(40), 0.1, 0.9),
        notebook_09.plot_cost_and_loss({"8": [(50.0, 0.2), (60.0, 0.3)], "32": [(100.0, 0.03)]}),
        notebook_09.plot_local_errors({"true": torch.zeros(9), "x": torch.rand(30), "y": torch.rand(40)}, 0.02, 0.08),
    ):
        assert plotting.render(figure, "a figure").startswith(b"\x89PNG")


def test_gaussians_lie_where_their_mean_and_their_spread_are():
    _, plane = notebook_09.plot_gaussians((0.0, 1.0), (3.0, 2.0)).axes
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in plane.lines[:2]]
    assert places == [(0.0, 1.0), (3.0, 2.0)]


def test_the_balls_reach_to_the_kth_neighbour_and_the_title_counts_what_they_hold():
    real, other = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]]), torch.tensor([[0.9, 0.0], [1.5, 1.9], [9.0, 0.0]])
    left, right = notebook_09.plot_balls(real, other, k=1).axes
    radii = {patch.get_radius() for patch in left.patches if isinstance(patch, Circle)}
    assert radii == {1.0, 2.0}
    assert left.get_title().endswith("1 of 3")
    assert right.get_title().endswith("2 of 3") or right.get_title().endswith("3 of 3")


def test_local_errors_are_all_in_the_picture_beside_the_two_lines():
    errors = {"true": torch.zeros(9), "x": torch.full((30,), 0.05), "y": torch.full((40,), 2.0)}
    axis = notebook_09.plot_local_errors(errors, 0.02, 0.08).axes[0]
    assert [line.get_xdata()[0] for line in axis.lines] == [0.02, 0.08]
    heights = [patch.get_xy()[:, 1].max() for patch in axis.patches]
    assert sorted(heights) == [9, 30, 40]


def test_the_interval_is_drawn_around_the_mean():
    axis = notebook_09.plot_resamples(torch.rand(50), 0.5, 0.1, "bits").axes[0]
    ends = sorted(float(path[0, 0]) for path in axis.collections[1].get_segments())
    assert ends == pytest.approx([0.304, 0.696])
    assert np.isclose(axis.collections[0].get_segments()[0][0, 0], 0.5)


def test_every_seed_of_a_recipe_has_a_mark_of_that_recipe():
    (axis,) = notebook_09.plot_cost_and_loss({"8": [(50.0, 0.2), (60.0, 0.3)], "32": [(100.0, 0.03)]}).axes
    marks = {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in axis.lines}
    assert marks == {"8": [(50.0, 0.2), (60.0, 0.3)], "32": [(100.0, 0.03)]}
