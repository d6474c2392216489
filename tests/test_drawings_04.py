"""The drawings of 04_latent_codes show what they are given."""

import pytest
import torch
from matplotlib.figure import Figure

from lpvq import plotting
from lpvq.drawings import notebook_04 as drawings

FIGURES = {
    "positions": lambda: drawings.draw_positions(torch.rand(2, 5), "bits"),
    "a blank": lambda: drawings.draw_positions(torch.tensor([[torch.nan, 1.0], [2.0, 3.0]]), "bits", "x", "y"),
    "shared bits": lambda: drawings.draw_shared_bits([20, 50], {"real": [3.0, 2.0], "shuffled": [1.0, 0.5]}),
    "rungs": lambda: drawings.draw_rungs({"uniform": 8.0, "unigram": 5.8}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_drawing_can_be_shown(name: str) -> None:
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert plotting.render(figure, "a description").startswith(b"\x89PNG")


def test_each_position_has_its_own_number() -> None:
    values = torch.tensor([[torch.nan, 1.0, 2.0], [3.0, 4.0, 5.0]])
    written = {text.get_position(): text.get_text() for text in drawings.draw_positions(values, "bits").axes[0].texts}
    assert written == {(1, 0): "1.0", (2, 0): "2.0", (0, 1): "3.0", (1, 1): "4.0", (2, 1): "5.0"}


def test_the_first_rung_is_at_the_top() -> None:
    axis = drawings.draw_rungs({"uniform": 8.0, "unigram": 5.8}).axes[0]
    assert axis.yaxis_inverted() and [bar.get_width() for bar in axis.patches] == [8.0, 5.8]
