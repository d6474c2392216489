"""The drawings of 01_images_and_compression show what they are given."""

import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from lpvq import plotting
from lpvq.course.drawings import notebook_01 as drawings

FIGURES = {
    "pixels": lambda: drawings.plot_pixel_values(torch.randint(256, (3, 9, 7), dtype=torch.uint8), 2, 1, 4),
    "three numbers": lambda: drawings.plot_description(torch.rand(3, 8, 8), torch.rand(3), torch.rand(3, 8, 8)),
    "odd numbers": lambda: drawings.plot_description(torch.rand(1, 8, 8), torch.rand(21), torch.rand(1, 8, 8)),
    "curves": lambda: drawings.plot_curves({"a": ([1, 2], [0.5, 0.1])}, "x", "y", {"b": (4, 0.2)}),
    "cloud": lambda: drawings.plot_cloud(torch.randn(9, 5), torch.rand(9, 3), torch.randn(6, 5), torch.rand(6, 3)),
    "family": drawings.plot_family,
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_drawing_can_be_shown(name: str) -> None:
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert plotting.render(figure, "a description").startswith(b"\x89PNG")


def test_the_square_of_pixels_is_the_one_marked() -> None:
    image = torch.arange(3 * 9 * 7).view(3, 9, 7).to(torch.uint8)
    axes = drawings.plot_pixel_values(image, row=2, column=1, size=4).axes
    assert axes[0].patches[0].get_xy() == (0.5, 1.5)
    for axis, colour in zip(axes[1:], image, strict=True):
        assert [int(text.get_text()) for text in axis.texts] == colour[2:6, 1:5].flatten().tolist()


def test_the_cloud_is_seen_from_the_side_on_which_it_spreads_most() -> None:
    latents = torch.randn(50, 4) * torch.tensor([0.1, 5.0, 0.1, 1.0])
    axes = drawings.plot_cloud(latents, torch.rand(50, 3), latents, torch.rand(50, 3)).axes
    points = next(one for one in axes[0].collections if isinstance(one, PathCollection)).get_offsets()
    across, up = np.asarray(points).T
    centred = latents - latents.mean(0)
    assert abs(np.corrcoef(across, centred[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(up, centred[:, 3])[0, 1]) > 0.9
