"""The drawings of 04_latent_codes show what they are given."""

import pytest
from matplotlib.figure import Figure

from lpvq import plotting
from lpvq.course.drawings import notebook_04 as drawings

FIGURES = {
    "shared bits": lambda: drawings.plot_shared_bits([20, 50], {"real": [3.0, 2.0], "shuffled": [1.0, 0.5]}),
    "rates": lambda: drawings.plot_rate([0, 1], [2.0, 1.0], [0.1, 0.2]),
    "rungs": lambda: drawings.plot_baseline_bits({"uniform": 8.0, "unigram": 5.8}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_drawing_can_be_shown(name: str) -> None:
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert plotting.render(figure, "a description").startswith(b"\x89PNG")


def test_the_legend_covers_neither_curve() -> None:
    figure = drawings.plot_shared_bits([20, 1000, 20_000], {"real": [2.1, 1.8, 1.7], "shuffled": [0.65, 0.1, 0.0]})
    figure.draw_without_rendering()
    (axis,) = figure.axes
    legend = axis.get_legend().get_window_extent()
    assert not any(legend.overlaps(line.get_window_extent()) for line in axis.lines[:2])


def test_the_first_rung_is_at_the_top() -> None:
    axis = drawings.plot_baseline_bits({"uniform": 8.0, "unigram": 5.8}).axes[0]
    assert axis.yaxis_inverted() and [bar.get_width() for bar in axis.patches] == [8.0, 5.8]
