"""The entropy of the source: as it can be counted where there are few codes, and bounded where there are many."""

from math import log

import pytest
import torch
from torch import Tensor

from lpvq import VQVAE, InputError
from lpvq.data import smileys
from lpvq.data.smileys import FACTORS, LARGEST_SHIFT
from lpvq.evaluation.source import chao_shen, source_entropy


class Thresholds(VQVAE):
    """Codes that can be enumerated: whether each quarter of the picture is brighter than a bound, and how much."""

    def encode(self, images: Tensor) -> Tensor:
        means = torch.nn.functional.avg_pool2d(images.mean(1, keepdim=True), images.shape[-1] // 4)[:, 0]
        return (means * self.levels).long()

    levels = 40


def vqvae(levels: int) -> VQVAE:
    made = Thresholds(in_channels=3, num_codes=64, code_dim=4, hidden_channels=8)
    made.levels = levels
    return made


def enumerated(model: VQVAE, face: dict[str, Tensor], along: int = 120) -> float:
    """The entropy of the codes of a face, from a fine grid of shifts: the areas of equal codes."""
    places = ((torch.arange(along) + 0.5) / along * 2 - 1) * LARGEST_SHIFT
    dx, dy = torch.meshgrid(places, places, indexing="ij")
    factors = {name: value.expand(along**2) for name, value in face.items()}
    images = smileys.draw({**factors, "dx": dx.flatten().double(), "dy": dy.flatten().double()}, 16)
    _, counts = model.encode(images.float() / 255).flatten(1).unique(dim=0, return_counts=True)
    return torch.special.entr(counts / along**2).sum().item()


def test_it_is_the_entropy_of_codes_that_can_be_enumerated() -> None:
    model = vqvae(40)
    found = source_entropy(model, size=16, faces=8, shifts=3000)
    factors = smileys.draw_factors(8, 0, 3)
    faces = [{name: factors[name][i : i + 1] for name in FACTORS} for i in range(8)]
    expected = torch.tensor([enumerated(model, face) for face in faces])
    assert found.parts == 1 and found.coverage > 0.99
    assert 1 < expected.mean() < 4  # there is something to estimate
    assert found.shifts.value == pytest.approx(expected.mean().item(), abs=0.03)
    assert found.shifts.error == pytest.approx(expected.std(correction=0).item() / 8**0.5, rel=0.05)
    assert found.factors == pytest.approx(log(6 * 5 * 3 * 3 * 3 * 4))
    assert found.nats.value == pytest.approx(log(3240) + found.shifts.value)


def test_where_codes_are_many_it_is_a_close_upper_bound() -> None:
    model = vqvae(400)
    bound = source_entropy(model, size=16, faces=6, shifts=400)
    exact = source_entropy(model, size=16, faces=6, shifts=20_000)
    assert bound.parts > 1 and exact.parts == 1
    assert bound.coverage > 0.85 and exact.coverage > 0.9
    assert exact.shifts.value - 0.1 < bound.shifts.value < exact.shifts.value + 0.6


def test_a_face_that_has_one_grid_of_codes_adds_nothing() -> None:
    found = source_entropy(vqvae(1), size=16, faces=3, shifts=50)
    assert (found.shifts.value, found.shifts.error, found.coverage) == (0, 0, 1)


@pytest.mark.parametrize("number", [300, 1000])
def test_chao_and_shen_allow_for_what_was_not_seen(number: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(500, generator=generator).double().pow(3)
    shares = weights / weights.sum()
    exact = torch.special.entr(shares).sum().item()
    estimates, counted = [], []
    for _ in range(40):
        drawn = shares.multinomial(number, replacement=True, generator=generator)
        counts = drawn.bincount(minlength=500)
        estimates.append(chao_shen(counts[counts > 0])[0])
        counted.append(torch.special.entr(counts / number).sum().item())
    mean = sum(estimates) / 40
    assert abs(mean - exact) < 0.1
    assert abs(mean - exact) < abs(sum(counted) / 40 - exact) / 2  # better than the frequencies alone


def test_chao_and_shen_by_hand() -> None:
    # Four draws, two values, one of them seen once: C = 3/4, frequencies 9/16 and 3/16.
    entropy, coverage = chao_shen(torch.tensor([3, 1]))
    terms = [-(p * log(p)) / (1 - (1 - p) ** 4) for p in (9 / 16, 3 / 16)]
    assert (entropy, coverage) == (pytest.approx(sum(terms)), 0.75)
    assert chao_shen(torch.tensor([1, 1, 1]))[1] == 0
    with pytest.raises(InputError, match="at least one value"):
        chao_shen(torch.zeros(0))


@pytest.mark.parametrize(("faces", "shifts"), [(1, 10), (5, 0)])
def test_too_few_faces_or_shifts_are_refused(faces: int, shifts: int) -> None:
    with pytest.raises(InputError, match=f"got {faces} and {shifts}"):
        source_entropy(vqvae(4), faces=faces, shifts=shifts)
