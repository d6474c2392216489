"""Kinds of faults: planted ones are found, called by their name, and true faces have none."""

import pytest
import torch

from lpvq.data import smileys
from lpvq.data.smileys import FACTORS
from lpvq.evaluation.face_faults import KINDS, PLAINLY_WRONG, SEVERAL, kinds_of_faults, plant_faults
from lpvq.evaluation.nearest_face import find_nearest_faces
from lpvq.models.pretrained import load_pretrained


def faces(number: int, seed: int = 3) -> dict[str, torch.Tensor]:
    return smileys.draw_factors(number, seed, 1)


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("kind", KINDS)
def test_planted_faults_are_found_and_called_by_their_name(kind: str, size: int) -> None:
    images = plant_faults(kind, faces(6400 // size), size)
    nearest = find_nearest_faces(images)
    assert (nearest.local_errors > 0.005).float().mean() >= 0.95
    called = kinds_of_faults(images, nearest)
    assert called.count(kind) >= 0.9 * len(images), called


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_called_by_their_name_when_a_vqvae_has_blurred_them(kind: str) -> None:
    vqvae, _ = load_pretrained("smileys")
    images = vqvae.decode(vqvae.encode(plant_faults(kind, faces(100, seed=4))))
    nearest = find_nearest_faces(images)
    wrong = nearest.local_errors > PLAINLY_WRONG  # the others it has healed: of two mouths it mostly makes one
    called = [name for name, is_wrong in zip(kinds_of_faults(images, nearest), wrong.tolist(), strict=True) if is_wrong]
    assert len(called) >= 8
    assert called.count(kind) >= 0.7 * len(called), called


def test_a_fault_is_planted_in_every_face_and_nowhere_else() -> None:
    factors = faces(60)
    true = smileys.draw(factors).float() / 255
    for kind in KINDS:
        images = plant_faults(kind, factors)
        changed = (images != true).any(1)  # (N, S, S)
        assert changed.flatten(1).any(1).all(), kind
        middle = (smileys.place(factors["column"]) + factors["dx"]) * 32
        is_left = torch.arange(32) + 0.5 < middle[:, None]
        assert not changed[is_left[:, None].expand_as(changed)].any(), kind


def test_many_faults_at_once_are_several() -> None:
    factors = faces(80)
    seam = (smileys.place(factors["column"]) + factors["dx"]) * 32
    is_left = (torch.arange(32) + 0.5 < seam[:, None])[:, None, None]
    other = {**factors}
    for name in ("background", "skin", "eyes", "mouth"):
        other[name] = (factors[name] + 1) % len(FACTORS[name])
    images = torch.where(is_left, smileys.draw(factors), smileys.draw(other)).float() / 255
    called = kinds_of_faults(images, find_nearest_faces(images))
    assert called.count(SEVERAL) >= 0.5 * len(images), called  # the others have one that outweighs the rest


def test_the_seed_decides_what_is_planted() -> None:
    factors = faces(20)
    assert torch.equal(plant_faults("eyes", factors, seed=1), plant_faults("eyes", factors, seed=1))
    assert not torch.equal(plant_faults("eyes", factors, seed=1), plant_faults("eyes", factors, seed=2))
