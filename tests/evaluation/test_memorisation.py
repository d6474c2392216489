"""Memorisation: the test's probabilities are exact, and planted copies are found."""

import itertools
import math

import pytest
import torch

from lpvq.evaluation.distances import nearest_neighbours
from lpvq.evaluation.memorisation import evaluate_memorisation, nearest_training_images


@pytest.mark.parametrize(("honest", "generated", "below"), [(5, 4, 2), (6, 6, 0), (4, 5, 5)])
def test_the_probability_of_so_many_copies_is_that_of_all_orders(honest: int, generated: int, below: int) -> None:
    # All orders of honest and generated distances are equally likely; count those with so many below the second honest.
    total = honest + generated
    orders = list(itertools.combinations(range(total), honest))
    reached = sum(order[1] - 1 >= below for order in orders)
    distances = torch.tensor([-1.0] * below + [10.0] * (generated - below))
    result = evaluate_memorisation(torch.arange(honest).float(), distances, expected=2 / honest)
    assert result.p_value == pytest.approx(reached / len(orders))
    assert (result.threshold, result.found) == (1.0, below / generated)


def test_honest_models_are_called_copiers_as_rarely_as_promised() -> None:
    generator = torch.Generator().manual_seed(0)
    p_values = torch.tensor(
        [
            evaluate_memorisation(torch.rand(300, generator=generator), torch.rand(300, generator=generator)).p_value
            for _ in range(2000)
        ]
    )
    # A discrete test: at most the promised rate, plus four standard errors.
    for rate in (0.01, 0.05, 0.2):
        assert (p_values <= rate).float().mean() <= rate + 4 * math.sqrt(rate * (1 - rate) / 2000)


def test_planted_copies_are_found() -> None:
    training, honest, fresh = torch.randn(500, 8), torch.randn(300, 8), torch.randn(300, 8)
    clean, distances, nearest = nearest_training_images(fresh, training, honest)
    assert clean.p_value > 0.01
    expected, index = nearest_neighbours(fresh, training)
    assert torch.equal(distances, expected) and torch.equal(nearest, index)
    planted = fresh.clone()
    planted[:15] = training[:15] + 0.01 * torch.randn(15, 8)
    found, _, nearest = nearest_training_images(planted, training, honest)
    assert found.p_value < 1e-3 and found.found >= 0.05
    assert nearest[:15].tolist() == list(range(15))
