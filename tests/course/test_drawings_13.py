"""The drawings of 13_several_processes."""

import pytest
import torch

from lpvq import plotting
from lpvq.course.drawings import notebook_13 as drawings


def test_a_batch_is_cut_in_two():
    images = torch.rand(8, 3, 8, 8)
    figure = drawings.plot_sharing(images)
    assert plotting.render(figure, "sharing")
    canvas, *small = figure.axes
    assert len(small) == 8 and len({axis.get_position().bounds for axis in small}) == 8
    first, last = small[0].get_position(), small[-1].get_position()
    assert first.y0 > last.y1  # the second half is below the first
    texts = [text.get_text() for text in canvas.texts]
    assert [text.splitlines()[0] for text in texts if text.startswith("process")] == ["process 0", "process 1"]


@pytest.mark.parametrize(("number", "together"), [(1, 0), (2, 1), (4, 3)])
def test_a_tree_has_the_same_sums_whoever_adds(number, together):
    figure = drawings.plot_trees([number])
    assert plotting.render(figure, "tree")
    [axis] = figure.axes
    assert [text.get_text() for text in axis.texts] == [*"abcd", "+", "+", "+"]
    nodes = [line for line in axis.lines if line.get_marker() != "None"]
    assert sum(line.get_marker() == "s" for line in nodes) == together
    assert len({line.get_color() for line in nodes[:4]}) == number
    root = nodes[-1]
    assert (root.get_xdata()[0], root.get_ydata()[0]) == (1.5, 2)


def test_weights_that_are_equal_are_drawn_too():
    figure = drawings.plot_apart(torch.tensor([0.0, 1e-8, 1e-6]))
    assert plotting.render(figure, "apart")
    [line] = figure.axes[0].lines
    assert line.get_xdata().tolist() == [1, 2, 3] and line.get_ydata()[-1] == pytest.approx(1e-6)


def test_curves_of_drift_are_told_apart():
    curves = {"alone": (torch.tensor([0.0, 2.0]), torch.tensor([0.0, 0.5])), "together": (torch.zeros(2),) * 2}
    figure = drawings.plot_drift(curves, [1, 100])
    assert plotting.render(figure, "drift")
    left, right = figure.axes
    assert [line.get_label() for line in left.lines] == ["alone", "together"]
    assert left.lines[0].get_linestyle() != left.lines[1].get_linestyle()
    assert right.lines[0].get_ydata().tolist() == [0, 50]


def test_the_line_of_a_sum_goes_through_latency_and_bandwidth():
    figure = drawings.plot_sums([4, 4000], [1e-3, 2e-3], latency=1e-3, bandwidth=4e6)
    assert plotting.render(figure, "sums")
    line, points = figure.axes[0].lines
    assert line.get_ydata()[-1] == pytest.approx(2) and points.get_ydata().tolist() == [1, 2]


def test_two_processes_stand_beside_what_to_expect_of_them():
    figure = drawings.plot_steps([8, 64], [0.01, 0.08], [0.007, 0.05], [0.006, 0.041])
    assert plotting.render(figure, "steps")
    alone, shared, expected = figure.axes[0].lines
    assert (alone.get_ydata()[1], shared.get_ydata()[1]) == (80, 50)
    assert expected.get_ydata().tolist() == pytest.approx([6, 41])
