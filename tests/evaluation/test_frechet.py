"""The error of a Fréchet distance: against the spread over fresh sets, and its parts against independent forms."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lpvq import InputError
from lpvq.evaluation import frechet
from lpvq.evaluation.distances import frechet_distance
from lpvq.evaluation.frechet import influences, measure_frechet

Sets = tuple[Tensor, Tensor, Tensor]


def alike(number: int, generator: torch.Generator) -> Sets:
    """Real vectors, others of the same distribution, and these with a little noise."""
    real, other, noise = torch.randn(3, number, 4, generator=generator)
    return real, other, other + 0.5 * noise


def apart(number: int, generator: torch.Generator) -> Sets:
    """Real vectors, others that are wider and elsewhere, and these a little further."""
    real, other, _ = alike(number, generator)
    return real, 1.3 * other + 0.7, 1.3 * other + 0.8


@pytest.mark.parametrize("draw", [alike, apart])
def test_the_standard_errors_are_the_spread_over_fresh_sets(
    draw: Callable[[int, torch.Generator], Sets], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frechet, "_HALVES", 10)  # less sure of a single error, but 250 of them are averaged
    generator = torch.Generator().manual_seed(0)
    figures, variances = [], []
    for _ in range(250):
        real, other, changed = draw(120, generator)
        first, second = measure_frechet(real, other), measure_frechet(real, changed)
        estimates = first.estimate, second.step_from(first)
        figures.append([estimate.value for estimate in estimates])
        variances.append([estimate.error**2 for estimate in estimates])
    spread = torch.tensor(figures).std(0)
    found = torch.tensor(variances).mean(0).sqrt()
    # A standard deviation of 250 is known to 4.5 %; of sets alike, J / 2 as the least makes the error a bit too large.
    assert (found / spread).tolist() == pytest.approx([1, 1], abs=0.15)


def test_the_influence_of_a_vector_is_what_it_adds_to_the_distance() -> None:
    torch.manual_seed(0)
    real, other = torch.randn(4000, 3).double(), 2 * torch.randn(500, 3).double() + 1
    found = influences(real, other)
    whole = frechet_distance(real, other)
    without = [frechet_distance(real[torch.arange(len(real)) != index], other) for index in range(20)]
    expected = torch.tensor([(len(real) - 1) * (whole - distance) for distance in without])
    torch.testing.assert_close(found[:20], expected.double(), rtol=0.01, atol=0.02)
    assert found.mean().item() == pytest.approx(0, abs=1e-9)


def test_features_that_never_vary_have_no_influence() -> None:
    torch.manual_seed(0)
    real, other = torch.randn(100, 3), torch.randn(80, 3) + 1
    padded = [torch.cat([vectors, torch.full((len(vectors), 2), 7.0)], 1) for vectors in (real, other)]
    torch.testing.assert_close(influences(*padded), influences(real, other))
    assert measure_frechet(*padded).estimate.error == pytest.approx(measure_frechet(real, other).estimate.error)


def test_a_step_between_sets_of_the_same_images_is_surer_than_between_others() -> None:
    real, other, changed = alike(400, torch.Generator().manual_seed(0))
    before, after = measure_frechet(real, other), measure_frechet(real, changed)
    paired = after.step_from(before)
    assert paired.value == pytest.approx(after.value - before.value)
    shuffled = measure_frechet(real, changed[torch.randperm(400)]).step_from(before)
    fewer = measure_frechet(real, changed[:399]).step_from(before)
    assert shuffled.error > 1.2 * paired.error and fewer.error > 1.2 * paired.error


def test_no_step_is_sure_of_itself() -> None:
    real, other, _ = alike(100, torch.Generator().manual_seed(0))
    measured = measure_frechet(real, other)
    step = measured.step_from(measured)
    assert (step.value, step.error) == (0, 0)


def test_too_few_vectors_have_no_error() -> None:
    with pytest.raises(InputError, match="at least 4 vectors in both sets, got 3 and 9"):
        measure_frechet(torch.randn(3, 2), torch.randn(9, 2))
    assert measure_frechet(torch.randn(4, 2), torch.randn(9, 2)).estimate.error > 0
