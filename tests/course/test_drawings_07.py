"""The drawings of 07_sampling show what they are given."""

from itertools import combinations

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lpvq import plotting
from lpvq.course.drawings import notebook_07 as drawings

TOY = torch.tensor([0.50, 0.25, 0.15, 0.07, 0.03], dtype=torch.float64)
GRIDS = torch.arange(2 * 8 * 8).view(2, 8, 8) % 16
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
PRESENT = torch.stack([torch.arange(64).view(8, 8) < number for number in (9, 64)])


@pytest.mark.parametrize(
    "figure",
    [
        drawings.plot_controls(TOY),
        drawings.plot_line(TOY, torch.tensor([0.2, 0.9])),
        drawings.plot_partial(GRIDS, IMAGES, PRESENT, 16, ["a", "b"]),
        drawings.plot_distributions([("one", TOY), ("other", TOY)], 3),
        drawings.plot_entropies([0.5, 1, 2], [0.1, 1, 2], 8),
        drawings.plot_counts(IMAGES[0], GRIDS[0], 16, [("kept", GRIDS[0] + 1)]),
        drawings.plot_counts(IMAGES[0], GRIDS[0], 16, [("all one", torch.ones(8, 8, dtype=torch.int64))]),
        drawings.plot_trade([(0, 10, 1), (1, 30, 4)], (32, 4)),
    ],
)
def test_every_drawing_can_be_rendered(figure: Figure) -> None:
    assert plotting.render(figure, "a drawing").startswith(b"\x89PNG")


def test_controls_leave_out_what_they_leave_out() -> None:
    axes = drawings.plot_controls(TOY).axes
    out = [sum(text.get_text() == "out" for text in axis.texts) for axis in axes]
    assert out == [0, 0, 3, 2]


def test_pieces_of_the_line_are_as_long_as_the_probabilities() -> None:
    axis = drawings.plot_line(TOY, torch.tensor([0.2])).axes[0]
    pieces = [patch.get_width() for patch in axis.patches if isinstance(patch, Rectangle)]
    assert pieces == pytest.approx(TOY.tolist())


def test_hidden_pixels_are_those_of_the_hidden_codes() -> None:
    hidden = drawings.hide(IMAGES, PRESENT[0])
    assert torch.equal(hidden[:, :, :4], IMAGES[:, :, :4])
    assert torch.equal(hidden[:, :, 4:8, :4], IMAGES[:, :, 4:8, :4])
    assert (hidden[:, :, 4:8, 4:].flatten().unique().numel(), hidden[:, :, 8:].unique().numel()) == (1, 1)


def test_no_two_temperatures_stand_on_each_other() -> None:
    points = [(0, 10, 1.58), (0.3, 11.8, 2.73), (0.5, 13, 2.9), (0.7, 15.5, 3.03), (0.85, 17.5, 3.04), (1, 19, 3.08)]
    figure = drawings.plot_trade([*points, (1.2, 22.8, 3.12), (1.4, 29.5, 3.17)], (18.2, 3.13))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_the_rest_is_what_the_shown_codes_leave() -> None:
    axis = drawings.plot_distributions([("one", TOY), ("flat", torch.full((5,), 0.2))], 2).axes[1]
    heights = [patch.get_height() for patch in axis.patches if isinstance(patch, Rectangle)]
    assert heights == pytest.approx([0.2, 0.2, 0.6])
