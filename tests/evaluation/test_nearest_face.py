"""The nearest true face: true faces find themselves, and what was changed shows in the distance."""

import pytest
import torch

from lpvq.data import smileys
from lpvq.data.smileys import FACTORS, LARGEST_SHIFT
from lpvq.errors import InputError
from lpvq.evaluation.nearest_face import block_errors, find_nearest_faces, local_errors


def true_faces(number: int, size: int, seed: int = 5) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    factors = smileys.draw_factors(number, seed, 1)
    return smileys.draw(factors, size).float() / 255, factors


@pytest.mark.parametrize(("size", "number"), [(16, 200), (24, 100), (32, 400), (48, 60), (64, 60), (128, 20)])
def test_true_faces_are_found_with_their_own_factors(size: int, number: int) -> None:
    images, factors = true_faces(number, size)
    found = find_nearest_faces(images)
    for name in FACTORS:
        assert torch.equal(found.factors[name], factors[name]), name
    for name in smileys.SHIFTS:
        torch.testing.assert_close(found.factors[name], factors[name], atol=0.1 / size, rtol=0)
    assert found.local_errors.max() < 1e-3
    assert found.errors.max() < found.local_errors.max()
    torch.testing.assert_close(found.faces, images, atol=0.1, rtol=0)


def test_no_face_is_found_that_the_renderer_would_not_draw() -> None:
    _, factors = true_faces(20, 32)
    beyond = {name: torch.full_like(factors[name], 1.3 * LARGEST_SHIFT) for name in smileys.SHIFTS}
    found = find_nearest_faces(smileys.draw({**factors, **beyond}).float() / 255)
    assert all(found.factors[name].abs().max() <= LARGEST_SHIFT for name in smileys.SHIFTS)
    assert found.local_errors.min() > 1e-3


def test_every_combination_is_found() -> None:
    combinations = torch.cartesian_prod(*(torch.arange(len(values)) for values in FACTORS.values()))
    some = combinations[torch.randperm(len(combinations), generator=torch.Generator().manual_seed(0))[:300]]
    factors = dict(zip(FACTORS, some.T, strict=True)) | {
        name: torch.full((len(some),), shift) for name, shift in (("dx", LARGEST_SHIFT), ("dy", -LARGEST_SHIFT))
    }
    found = find_nearest_faces(smileys.draw(factors).float() / 255)
    assert torch.equal(torch.stack([found.factors[name] for name in FACTORS], 1), some)


def test_the_distances_are_those_of_the_faces_that_are_returned() -> None:
    images = (true_faces(8, 32)[0] + 0.1 * torch.rand(8, 3, 32, 32)).clamp(0, 1)
    found = find_nearest_faces(images)
    assert torch.equal(found.faces, smileys.draw(found.factors).float() / 255)
    torch.testing.assert_close(found.errors, (images - found.faces).square().mean((1, 2, 3)))


def test_a_local_error_is_that_of_the_worst_window() -> None:
    faces = torch.zeros(3, 3, 32, 32)
    images = faces.clone()
    images[1, :, 8:12, 20:24] = 0.5  # exactly a window of four pixels
    images[2, :, 11:13, 21:23] = 0.5  # a quarter of a window at most
    blocks = block_errors(images, faces)
    assert blocks.shape == (3, 16, 16)
    assert blocks[1, 4:6, 10:12].unique().tolist() == [0.25] and blocks[1].sum() == 1
    assert local_errors(blocks).tolist() == [0, 0.25, 0.0625]


@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (2, 3, 32, 16), (3, 32, 32), (2, 3, 4, 4), (0, 3, 32, 32)])
def test_what_is_no_set_of_square_colour_images_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected"):
        find_nearest_faces(torch.zeros(shape))
