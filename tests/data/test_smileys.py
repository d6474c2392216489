"""Smileys: the same on every machine, every factor uniform, independent and visible."""

import hashlib
from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lpvq.data import smileys
from lpvq.data.loading import load


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (32, "e4530036335299e1d7f8f199d213982909bc59e34d529709f7edc86ca65d35df"),
        (64, "73017b25f3eb97f4f4654b09a10c63136e481efdd0af75cf60c0b7cef2668658"),
        (128, "a1e4709f3ce64b448b21be3bdfcdd59814434447c757fd3d6ba34cc16c4c8bf7"),
    ],
)
def test_smileys_are_the_same_pictures_on_every_machine(size, expected):
    images = load("smileys", size=size, limit=200).images.numpy()
    rounded = (images.astype(np.int64) + 4) // 8
    assert hashlib.sha256(rounded.astype(np.uint8).tobytes()).hexdigest() == expected


def test_there_are_20000_smileys_unless_another_number_is_asked_for():
    data = load("smileys")
    assert data.images.shape == (20_000, 3, 32, 32)
    assert data.labels.shape == (20_000,)


def test_smileys_come_in_any_number_and_size():
    assert load("smileys", split="test").images.shape == (4_000, 3, 32, 32)
    assert load("smileys", split="test", limit=4_100).images.shape == (4_100, 3, 32, 32)
    assert load("smileys", limit=2, size=50).images.shape == (2, 3, 50, 50)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_smiley_does_not_depend_on_how_many_are_asked_for(split):
    many = load("smileys", split, limit=500)
    for number in (1, 17, 250):
        few = load("smileys", split, limit=number)
        assert torch.equal(few.images, many.images[:number])
        assert torch.equal(few.labels, many.labels[:number])
        assert all(torch.equal(few.factors[name], many.factors[name][:number]) for name in many.factors)


def test_other_seeds_and_splits_give_other_smileys():
    sets = [load("smileys", split, limit=200, seed=seed) for split in ("train", "test") for seed in (0, 1)]
    for one, other in combinations(sets, 2):
        same = (one.images == other.images).flatten(1).all(1).sum()
        assert same == 0


@pytest.mark.parametrize("size", [64, 128])
def test_a_smiley_is_the_same_face_at_every_size(size):
    """The coverage of a pixel taken from the distance to its middle is exact only for a straight upright edge.

    So a mean over finer pixels differs a little, at edges only: by about a tenth of the contrast where a thin line
    bends. A face that were moved by half a pixel would differ by half the contrast along all of its outline.
    """
    small = load("smileys", limit=300).images.double()
    large = load("smileys", limit=300, size=size).images.double()
    difference = (F.avg_pool2d(large, size // 32) - small).abs()
    assert difference.max() < 26
    assert difference.mean() < 0.5


def test_the_label_is_the_expression():
    data = load("smileys", limit=100)
    assert data.class_names == smileys.FACTORS["mouth"] == ("happy", "sad", "surprised")
    assert torch.equal(data.labels, data.factors["mouth"])


def test_each_factor_is_uniform():
    factors = smileys.draw_factors(20_000, seed=0, stream=0)
    assert set(factors) == {*smileys.FACTORS, *smileys.SHIFTS}
    for name, categories in smileys.FACTORS.items():
        assert factors[name].dtype == torch.int64
        assert _chi_square_is_usual(factors[name].bincount(minlength=len(categories)))
    for name in smileys.SHIFTS:
        assert factors[name].dtype == torch.float64
        assert factors[name].abs().max() <= smileys.LARGEST_SHIFT
        counts = factors[name].float().histc(10, -smileys.LARGEST_SHIFT, smileys.LARGEST_SHIFT)
        assert _chi_square_is_usual(counts)


def test_each_pair_of_factors_is_independent():
    factors = smileys.draw_factors(20_000, seed=0, stream=0)
    numbers = {name: len(categories) for name, categories in smileys.FACTORS.items()}
    for name in smileys.SHIFTS:  # in fifths
        factors[name] = (factors[name] / smileys.LARGEST_SHIFT * 2.5 + 2.5).floor().long()
        numbers[name] = 5
    for one, other in combinations(factors, 2):
        pairs = factors[one] * numbers[other] + factors[other]
        assert _chi_square_is_usual(pairs.bincount(minlength=numbers[one] * numbers[other])), (one, other)


def _chi_square_is_usual(counts):
    """Chi-square against the uniform distribution: k - 1 on average, and rarely six standard deviations more."""
    expected = counts.sum() / len(counts)
    freedom = len(counts) - 1
    return ((counts - expected) ** 2 / expected).sum() < freedom + 6 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("name", smileys.FACTORS)
def test_every_category_of_a_factor_can_be_told_from_the_others(name):
    """At 32 pixels, at least 6 pixels change by 40 levels or more, whatever the other factors are."""
    factors = smileys.draw_factors(30, seed=3, stream=0)
    pictures = []
    for category in range(len(smileys.FACTORS[name])):
        pictures.append(smileys.draw({**factors, name: torch.full((30,), category)}).int())
    for one, other in combinations(pictures, 2):
        changed = (one - other).abs().amax(1) >= 40
        assert changed.flatten(1).sum(1).min() >= 6


@pytest.mark.parametrize("name", smileys.SHIFTS)
def test_the_shifts_move_the_face_by_half_a_pixel_of_32_at_most(name):
    factors = smileys.draw_factors(1, seed=0, stream=0)
    ends = [smileys.draw({**factors, name: torch.tensor([end])}, 128) for end in (-1 / 64, 1 / 64)]
    axis = 3 if name == "dx" else 2
    assert torch.equal(ends[0].roll(4, axis), ends[1])  # 1/32 from end to end: 4 pixels of 128


def test_no_face_is_cut_off():
    """The outermost pixels show the background alone (at 128 pixels, where half a pixel of 32 is two)."""
    factors = smileys.draw_factors(300, seed=0, stream=0)
    largest = {**factors, "size": torch.full((300,), 2)}
    for x, y in ((0, 0), (2, 2)):
        end = torch.full((300,), (x - 1) / 64, dtype=torch.float64)
        place = {"column": torch.full((300,), x), "row": torch.full((300,), y), "dx": end, "dy": end}
        images = smileys.draw({**largest, **place}, 128)
        ring = torch.cat([images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]], -1)
        assert (ring == ring[..., :1]).all()


@pytest.mark.parametrize("size", [16, 32, 45])
def test_a_face_is_the_mean_of_its_colours_weighted_with_what_they_cover(size: int) -> None:
    factors = smileys.draw_factors(50, 2, 1)
    shares = smileys.coverage(factors, size)
    assert shares.shape == (50, 4, size, size) and shares.min() >= 0
    torch.testing.assert_close(shares.sum(1), torch.ones(50, size, size))
    mean = torch.einsum("nkhw,nkc->nchw", shares, smileys.colours(factors))
    torch.testing.assert_close(mean, smileys.draw(factors, size).float() / 255, atol=0.51 / 255, rtol=0)


def test_places_are_those_of_the_columns() -> None:
    assert smileys.place(torch.tensor([2, 0, 1])).tolist() == [18 / 32, 14 / 32, 16 / 32]
