"""The drawings of notebook 06 can be drawn, and show what they are given."""

import torch
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from lpvq.course.drawings import notebook_06 as drawings
from lpvq.plotting import BLUE, ORANGE, render


def words(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_every_drawing_is_drawn() -> None:
    bits = torch.rand(4, 8, 8)
    codes = torch.randint(32, (4, 8, 8))
    figures = [
        drawings.plot_model(),
        drawings.plot_block(),
        drawings.plot_gate(torch.linspace(-1, 1, 5), {0.0: torch.zeros(5)}),
        drawings.plot_curves({"one": [1.0, 2.0]}, {"a level": 1.5}, xlabel="step", ylabel="nats", yscale="log"),
        drawings.plot_influence({"a map": torch.ones(2, 3, dtype=torch.bool)}, row=0, column=1),
        drawings.plot_surprise(torch.rand(4, 3, 32, 32), codes, bits, patches=32),
    ]
    for figure in figures:
        assert render(figure, "a drawing").startswith(b"\x89PNG")


def test_the_block_shows_its_four_parts_and_two_gates() -> None:
    found = words(drawings.plot_block())
    assert {"link 1×1\n2C → 2C", "label's row\n4C = 2C + 2C", "residual"} <= set(found)
    assert found.count("gate") == found.count("tanh") == found.count("σ") == found.count("×") == 2
    assert found.count("+") == 4  # the link, the label on both sides, the residual


def test_what_is_forbidden_has_a_cross_and_another_colour() -> None:
    seen = torch.tensor([[True, True, False], [True, True, True]])
    figure = drawings.plot_influence({"leaky": seen}, row=1, column=1)
    squares = {patch.get_xy(): patch.get_facecolor() for patch in figure.axes[0].patches[:6]}
    assert squares[0, 1] == to_rgba(BLUE) and squares[1, 1] == squares[2, 1] == to_rgba(ORANGE)
    assert squares[2, 0] == to_rgba("white")
    assert words(figure) == ["×", "×"]


def test_the_legend_of_the_gate_says_what_share_passes() -> None:
    figure = drawings.plot_gate(torch.linspace(-1, 1, 5), {0.0: torch.zeros(5), 4.0: torch.ones(5)})
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[:2] == ["b = 0: σ(b) = 0.50", "b = 4: σ(b) = 0.98"]


def test_the_bits_of_a_grid_are_added_up() -> None:
    bits = torch.full((1, 8, 8), 0.5)
    figure = drawings.plot_surprise(torch.rand(1, 3, 32, 32), torch.zeros(1, 8, 8).long(), bits, patches=4)
    assert "32 bits in all" in [axis.get_title() for axis in figure.axes]
