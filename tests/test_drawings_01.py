"""The drawings of notebooks 01 and 04: they can be drawn, and show what they are given."""

import numpy as np
import torch

from lpvq.drawings import notebook_01, notebook_04
from lpvq.plotting import render


def test_everything_can_be_drawn() -> None:
    image = torch.rand(3, 32, 32)
    cloud = torch.randn(20, 5), torch.rand(20, 3)
    figures = [
        notebook_01.draw_pixel_values((255 * image).to(torch.uint8), row=3, column=5),
        notebook_01.draw_description(image, torch.rand(32), image),
        notebook_01.draw_curves({"a": ([1, 2], [0.3, 0.1])}, "numbers", "error", {"b": (2, 0.2)}),
        notebook_01.draw_cloud(*cloud, *cloud),
        notebook_04.draw_shared_bits([10, 100], {"a": [2.0, 1.0], "b": [1.0, 0.0]}),
        notebook_04.draw_rungs({"uniform": 8.0, "unigram": 5.7}),
    ]
    assert all(render(figure, "a drawing").startswith(b"\x89PNG") for figure in figures)


def test_values_stand_at_their_rows_and_columns() -> None:
    values = torch.arange(6.0).view(2, 3)
    axis = notebook_04.draw_positions(values, "bits").axes[0]
    np.testing.assert_array_equal(axis.images[0].get_array(), values.numpy())
    assert [text.get_position() for text in axis.texts][:2] == [(0, 0), (1, 0)]


def test_the_pixel_values_are_those_of_the_marked_square() -> None:
    image = torch.arange(192, dtype=torch.uint8).view(3, 8, 8)
    red = notebook_01.draw_pixel_values(image, row=2, column=1, size=4).axes[1]
    assert red.texts[0].get_text() == str(image[0, 2, 1].item())
    assert red.texts[-1].get_text() == str(image[0, 5, 4].item())
