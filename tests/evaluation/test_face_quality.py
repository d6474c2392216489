"""Shares of true and of wrong faces: each moves with its fault, and their errors are the spread over fresh sets."""

import pytest
import torch

from lpvq import InputError
from lpvq.data import smileys
from lpvq.evaluation.face_faults import KINDS, PLAINLY_WRONG, SEVERAL, plant_faults
from lpvq.evaluation.face_quality import evaluate_faces, true_threshold
from lpvq.evaluation.nearest_face import NearestFaces, find_nearest_faces


def nearest(local_errors: torch.Tensor) -> NearestFaces:
    """Of images that nobody looks at."""
    number = len(local_errors)
    factors = {name: torch.zeros(number, dtype=torch.int64) for name in (*smileys.FACTORS, *smileys.SHIFTS)}
    return NearestFaces(factors, torch.zeros(number, 3, 32, 32), local_errors, local_errors)


def images_of(found: NearestFaces) -> torch.Tensor:
    return torch.zeros(len(found.errors), 3, 32, 32)


def test_true_are_those_as_near_as_nearly_all_reconstructions() -> None:
    reconstructed = nearest(torch.arange(101) / 1000)  # 99 of 100 steps: 0.099
    assert true_threshold(reconstructed) == pytest.approx(0.099)
    some = nearest(torch.tensor([0.0, 0.0989, 0.0991, 0.5]))
    (quality,) = evaluate_faces(reconstructed, {"some": (images_of(some), some)})
    assert (quality.name, quality.number, quality.true.value) == ("some", 4, 0.5)
    assert quality.median == pytest.approx(0.0989)


def test_wrong_are_those_with_a_large_local_error_and_the_kinds_share_them_out() -> None:
    factors = smileys.draw_factors(90, 7, 1)
    images = smileys.draw(factors).float() / 255
    images[:30] = plant_faults("background", {name: values[:30] for name, values in factors.items()})
    images[30:50] = plant_faults("eyes", {name: values[30:50] for name, values in factors.items()})
    found = find_nearest_faces(images)
    (quality,) = evaluate_faces(found[50:], {"faces": (images, found)})
    wrong = found.local_errors > PLAINLY_WRONG
    assert not wrong[50:].any()
    assert quality.wrong.value == pytest.approx(wrong.double().mean().item())
    assert quality.kinds.keys() == {*KINDS, SEVERAL}
    assert quality.kinds["background"].value == pytest.approx(wrong[:30].sum().item() / 90, abs=0.012)
    assert quality.kinds["eyes"].value == pytest.approx(wrong[30:50].sum().item() / 90, abs=0.012)
    assert sum(share.value for share in quality.kinds.values()) == pytest.approx(quality.wrong.value)


def test_errors_are_the_spread_over_fresh_sets() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw() -> tuple[NearestFaces, NearestFaces]:
        reconstructed = 0.01 * torch.rand(40, generator=generator).pow(2)
        return nearest(reconstructed), nearest(0.02 * torch.rand(2000, generator=generator))

    found = [evaluate_faces(a, {"": (images_of(b), b)})[0] for a, b in (draw() for _ in range(200))]
    values = torch.tensor([quality.true.value for quality in found])
    errors = torch.tensor([quality.true.error for quality in found])
    assert errors.mean() == pytest.approx(values.std().item(), rel=0.3)  # of extreme quantiles, roughly


def test_faces_that_are_right_have_no_kind_of_fault() -> None:
    right = nearest(torch.full((5,), 0.001))
    (quality,) = evaluate_faces(right, {"": (images_of(right), right)})
    assert quality.wrong.value == 0 and not any(share.value for share in quality.kinds.values())


def test_an_empty_set_is_refused() -> None:
    some = nearest(torch.rand(3))
    with pytest.raises(InputError, match="at least one face"):
        evaluate_faces(some, {"none": (torch.zeros(0, 3, 32, 32), some)})
