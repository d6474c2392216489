"""The drawings of 05_causal_convolutions show what they are given."""

import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lpvq import plotting
from lpvq.course.drawings import notebook_05 as drawings

ROW = torch.ones(4, 4, dtype=torch.bool).tril(-1)
FIGURES = {
    "reading order": lambda: drawings.plot_reading_order(
        torch.rand(3, 8, 8), torch.randint(6, (4, 5)), (1, 2), patches=6
    ),
    "dependencies": lambda: drawings.plot_dependencies([ROW, ~ROW], ["causal", "not"]),
    "seen": lambda: drawings.plot_seen([torch.rand(3, 5) > 0.5] * 3, [(1, 2)] * 3, ["a", "b", "c"]),
    "masks": lambda: drawings.plot_masks([torch.eye(3)], ["a mask"]),
    "wedge": drawings.plot_wedge,
    "two stacks": drawings.plot_two_stacks,
    "shift": lambda: drawings.plot_shift(torch.ones(2, 3), torch.zeros(2, 3)),
    "guesses": lambda: drawings.plot_guesses(torch.tensor([0.0, 1.0]), torch.rand(2), torch.rand(2)),
    "code grids": lambda: drawings.plot_code_grids(torch.randint(4, (2, 3, 4)), 4),
    "lost bits": lambda: drawings.plot_lost_bits(torch.rand(2, 3, 8, 8), torch.rand(2, 4, 5) - 0.3, torch.rand(4, 5)),
    "losses": lambda: drawings.plot_losses({"a": [2.0, 1.0], "b": [2.0, 1.5]}, {"floor": 0.5}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_drawing_can_be_shown(name: str) -> None:
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert plotting.render(figure, "a description").startswith(b"\x89PNG")


def kinds(figure: Figure, number: int = 0) -> list[str]:
    """The kinds of the cells of a map, in reading order."""
    styles = {"seen": drawings._SEEN, "missed": drawings._MISSED, "leak": drawings._LEAK, "neither": drawings._NEITHER}
    colours = {(to_rgb(style["facecolor"]), style.get("hatch")): name for name, style in styles.items()}
    cells = [patch for patch in figure.axes[number].patches if isinstance(patch, Rectangle) and patch.get_fill()]
    return [colours[to_rgb(cell.get_facecolor()), cell.get_hatch()] for cell in cells]


def test_a_map_tells_seen_missed_and_leaked_apart() -> None:
    seen = torch.tensor([[True, False, True], [False, True, False]])
    shown = kinds(drawings.plot_seen([seen], [(0, 2)], [""]))
    assert shown == ["seen", "missed", "leak", "neither", "leak", "neither"]


def test_the_wedge_is_what_lies_right_of_the_diagonal() -> None:
    shown = kinds(drawings.plot_wedge(), 1)
    missed = {divmod(index, 9) for index, kind in enumerate(shown) if kind == "missed"}
    assert missed == {(row, column) for row in range(4) for column in range(9) if column > 3 + 4 - row}
    assert "leak" not in shown


def test_codes_that_are_not_known_yet_are_covered() -> None:
    figure = drawings.plot_reading_order(torch.rand(3, 8, 8), torch.randint(6, (4, 5)), (1, 2), patches=6)
    covers = [patch for patch in figure.axes[2].patches if isinstance(patch, Rectangle) and patch.get_fill()]
    assert len(covers) == 4 * 5 - 7


def test_bits_are_white_where_both_models_pay_alike() -> None:
    figure = drawings.plot_lost_bits(torch.rand(1, 3, 8, 8), torch.tensor([[[0.0, 4.0], [-2.0, 0.0]]]), torch.eye(2))
    [picture] = [image for axis in figure.axes for image in axis.images if image.get_array().shape == (2, 2)][:1]
    even, more, less = (picture.cmap(picture.norm(bits))[:3] for bits in (0.0, 4.0, -4.0))
    assert min(even) > 0.95
    assert more[0] > more[2] and less[2] > less[0]  # orange, and violet
