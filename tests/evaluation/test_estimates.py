"""Estimates: standard errors that agree with what they stand for."""

import pytest
import torch

from lpvq import InputError
from lpvq.evaluation.estimates import Estimate, bootstrap


def vectors(number: int, seed: int, features: int = 4) -> torch.Tensor:
    return torch.randn(number, features, generator=torch.Generator().manual_seed(seed))


def test_the_bootstrap_finds_the_standard_error_of_a_mean() -> None:
    values = vectors(400, 0, features=1)
    drawn = bootstrap(lambda rows: rows.mean().item(), values, resamples=400)
    exact = Estimate.of_mean(values[:, 0])
    # A standard deviation from 400 samples is known to 1 / √800, 3.5 %; four times that.
    assert drawn.std().item() == pytest.approx(exact.error, rel=0.14)
    assert drawn.mean().item() == pytest.approx(exact.value, abs=4 * exact.error / 20)
    low, high = exact.interval
    assert (low + high) / 2 == pytest.approx(exact.value) and high - low == pytest.approx(2 * 1.96 * exact.error)


def test_the_bootstrap_draws_the_same_rows_of_sets_of_the_same_size() -> None:
    one, other = vectors(50, 0, features=1), vectors(50, 1, features=1)

    def difference(a: torch.Tensor, b: torch.Tensor) -> float:
        return (a.mean() - b.mean()).item()

    plain, shifted = (bootstrap(difference, one, rows, resamples=20) for rows in (other, other - 3))
    torch.testing.assert_close(shifted - plain, torch.full((20,), 3.0, dtype=torch.float64), atol=1e-6, rtol=0)
    assert plain.std() > 0.01
    assert not torch.equal(plain, bootstrap(difference, one, other, resamples=20, seed=1))


def test_the_error_of_a_mean_is_the_spread_over_fresh_sets() -> None:
    generator = torch.Generator().manual_seed(0)
    estimates = [Estimate.of_mean(torch.rand(50, generator=generator)) for _ in range(400)]
    spread = torch.tensor([estimate.value for estimate in estimates]).std().item()
    # A standard deviation of 400 is known to 3.5 %; four times that.
    assert estimates[0].error == pytest.approx(spread, rel=0.14)


def test_of_nothing_there_is_no_estimate() -> None:
    with pytest.raises(InputError, match="at least one value, got none"):
        Estimate.of_mean(torch.zeros(0))
    with pytest.raises(InputError, match="empty set"):
        bootstrap(lambda one, other: 0.0, torch.zeros(3), torch.zeros(0))
