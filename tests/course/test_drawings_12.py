"""The drawings of 12_compression."""

import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from lpvq import plotting
from lpvq.course.drawings import notebook_12 as drawings


def rectangles(axis):
    return [patch for patch in axis.patches if isinstance(patch, Rectangle)]


def test_each_interval_is_the_framed_piece_of_the_one_above():
    shares = {"A": 0.5, "B": 0.25, "C": 0.25}
    figure = drawings.plot_intervals([(0, 1), (0.5, 0.25), (0.5, 0.125)], shares, "BA")
    assert plotting.render(figure, "intervals")
    [axis] = figure.axes
    framed = [(box.get_x(), box.get_width()) for box in rectangles(axis) if box.get_linewidth() > 1]
    assert framed == [(0.5, 0.25), (0, 0.5)] and len(rectangles(axis)) == 9
    labels = {text.get_text() for text in axis.texts}
    assert {"0.0000", "1.0000", "0.5000", "0.7500", "0.6250", "A", "B", "C"} == labels


def test_a_file_is_a_square_for_each_bit():
    files = [[1, 0, 1], [0] * 9 + [1]]
    figure = drawings.plot_files(torch.rand(2, 3, 8, 8), files)
    assert plotting.render(figure, "files")
    assert [axis.get_title() for axis in figure.axes[:2]] == ["3 bits", "10 bits"]
    for axis, bits in zip(figure.axes[2:], files, strict=True):
        dark = [to_rgb(box.get_facecolor()) == to_rgb(plotting.BLACK) for box in rectangles(axis)]
        assert dark == [bool(bit) for bit in bits]
    last = rectangles(figure.axes[3])[-1]
    assert (last.get_x(), last.get_y()) == (1, -1)  # the tenth: second row, second place


def test_sizes_lie_beside_the_diagonal():
    figure = drawings.plot_sizes(torch.tensor([20.5, 24.0]), torch.tensor([21, 24]))
    assert plotting.render(figure, "sizes")
    diagonal, points = figure.axes[0].lines
    assert (diagonal.get_xdata() == diagonal.get_ydata()).all()
    assert points.get_ydata().tolist() == [21, 24]


def test_curves_of_what_is_still_right_are_told_apart():
    figure = drawings.plot_still_right({"one": torch.tensor([1.0, 0.5]), "other": torch.tensor([1.0, 1.0])})
    assert plotting.render(figure, "still right")
    first, second = figure.axes[0].lines
    assert first.get_ydata().tolist() == [100, 50] and first.get_xdata()[0] == 1
    assert first.get_linestyle() != second.get_linestyle()


def test_bytes_stand_beside_their_bars():
    figure = drawings.plot_bytes({"alone": {"PNG": 1460.0, "prior": 3.57}, "together": {"PNG": 770.0, "prior": 3.25}})
    assert plotting.render(figure, "bytes")
    [axis] = figure.axes
    assert axis.get_xscale() == "log"
    assert [bar.get_width() for bar in axis.patches] == pytest.approx([1460, 3.57, 770, 3.25])
    assert [text.get_text() for text in axis.texts] == ["1460", "3.57", "770", "3.25"]


def test_a_group_may_lack_bars():
    figure = drawings.plot_bytes({"one": {"PNG": 9.0, "AVIF": 5.0, "prior": 3.0}, "other": {"PNG": 8.0, "prior": 2.0}})
    assert plotting.render(figure, "bytes")
    [axis] = figure.axes
    assert [bar.get_width() for bar in axis.patches] == pytest.approx([9, 5, 3, 8, 2])
    rows = [round(bar.get_y() + bar.get_height() / 2) for bar in axis.patches]
    assert rows == [0, 1, 2, 0, 2]
