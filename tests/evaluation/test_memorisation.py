"""Memorisation: the test's probabilities are exact, and planted copies are found."""

import itertools
import math

import pytest
import torch

from lpvq import InputError
from lpvq.evaluation.distances import nearest_neighbours
from lpvq.evaluation.memorisation import evaluate_memorisation, evaluate_repeated_grids, nearest_training_images


@pytest.mark.parametrize(("held_out", "generated", "below"), [(5, 4, 2), (6, 6, 0), (4, 5, 5)])
def test_the_probability_of_so_many_close_images_is_that_of_all_orders(
    held_out: int, generated: int, below: int
) -> None:
    # All orders of the distances are equally likely; count those with so many below the second held-out one.
    total = held_out + generated
    orders = list(itertools.combinations(range(total), held_out))
    reached = sum(order[1] - 1 >= below for order in orders)
    distances = torch.tensor([-1.0] * below + [10.0] * (generated - below))
    result = evaluate_memorisation(torch.arange(held_out).float(), distances, expected=2 / held_out).near
    assert result.p_value == pytest.approx(reached / len(orders))
    assert (result.threshold, result.expected, result.found) == (1.0, 2 / held_out, below / generated)


@pytest.mark.parametrize("repeated", [0, 0.01, 0.1])
def test_models_that_have_memorised_nothing_are_suspected_as_rarely_as_promised(repeated: float) -> None:
    generator = torch.Generator().manual_seed(0)
    p_values = torch.tensor(
        [
            [tail.p_value for tail in (result.near, result.far)]
            for result in (
                evaluate_memorisation(*(torch.rand(2, 300, generator=generator) - repeated).clamp(min=0))
                for _ in range(2000)
            )
        ]
    )
    # A discrete test: at most the promised rate, plus four standard errors.
    for rate in (0.01, 0.05, 0.2):
        assert (p_values <= rate).float().mean(0).max() <= rate + 4 * math.sqrt(rate * (1 - rate) / 2000)


def test_where_images_occur_twice_they_are_no_copies_until_there_are_more_of_them() -> None:
    # An eighth of the held-out images are, pixel for pixel, training images: nothing can be nearer than those.
    held_out = torch.cat([torch.zeros(50), 1 + torch.rand(350)])
    none, as_many, copies = (
        evaluate_memorisation(held_out, torch.cat([torch.zeros(some), 1 + torch.rand(400 - some)])).near
        for some in (0, 50, 100)
    )
    for near in (none, as_many, copies):
        assert (near.threshold, near.expected) == (0, 0.125)
    assert (none.found, as_many.found, copies.found) == (0, 0.125, 0.25)
    assert none.p_value == 1 and 0.4 < as_many.p_value < 0.6 and copies.p_value < 1e-5
    # Two of four held-out images and three of four others: of all ways to share out the five zeros, count those in
    # which as few fall to the held-out ones.
    few = evaluate_memorisation(torch.tensor([0.0, 0, 1, 2]), torch.tensor([0.0, 0, 0, 5])).near
    ways = [sum(index < 5 for index in held_out) <= 2 for held_out in itertools.combinations(range(8), 4)]
    assert few.p_value == pytest.approx(sum(ways) / len(ways))


def test_planted_copies_are_found() -> None:
    training, held_out, fresh = torch.randn(500, 8), torch.randn(300, 8), torch.randn(300, 8)
    clean, distances, nearest = nearest_training_images(fresh, training, held_out)
    assert clean.near.p_value > 0.01 and clean.far.p_value > 0.01
    expected, index = nearest_neighbours(fresh, training)
    assert torch.equal(distances, expected) and torch.equal(nearest, index)
    planted = fresh.clone()
    planted[:15] = training[:15] + 0.01 * torch.randn(15, 8)
    found, _, nearest = nearest_training_images(planted, training, held_out)
    assert found.near.p_value < 1e-3 and found.near.found >= 0.05 and found.far.p_value > 0.01
    assert nearest[:15].tolist() == list(range(15))


def test_the_threshold_is_the_distance_of_the_last_of_the_expected_share() -> None:
    held_out, generated = torch.arange(200.0).flip(0), torch.arange(-5.0, 95.0)
    result = evaluate_memorisation(held_out, generated).near
    assert (result.threshold, result.expected, result.found) == (1.0, 0.01, 0.06)  # −5 to 0 are below the 2nd of 200
    # Of images as close as the threshold itself nothing is known.
    assert evaluate_memorisation(held_out, torch.tensor([1.0, 1.0])).near.found == 0


def test_images_of_another_kind_are_far() -> None:
    training, held_out = torch.randn(500, 8), torch.randn(300, 8)
    strange = torch.cat([torch.randn(250, 8), 3 * torch.randn(50, 8)])
    found, _, _ = nearest_training_images(strange, training, held_out)
    assert found.far.p_value < 1e-3 and found.far.found >= 0.1
    assert found.near.p_value > 0.01


def test_the_far_tail_is_the_near_one_of_what_is_turned_round() -> None:
    held_out, generated = torch.rand(150), torch.rand(80)
    far, near = evaluate_memorisation(held_out, generated).far, evaluate_memorisation(-held_out, -generated).near
    assert (far.threshold, far.expected) == (-near.threshold, near.expected)
    assert (far.found, far.p_value) == (near.found, near.p_value)


def test_repeated_grids_are_counted_code_for_code() -> None:
    training = torch.randint(9, (40, 3, 5))
    generated = torch.cat([training[:3], training[:5].clone()])
    generated[3:, 1, 2] = 9
    found = evaluate_repeated_grids(generated, torch.cat([training[7:8], training + 9]), training)
    assert (found.generated.value, found.held_out.value) == (3 / 8, 1 / 41)
    assert found.generated.error == pytest.approx((3 / 8 * 5 / 8 / 8) ** 0.5)
    with pytest.raises(InputError):
        evaluate_repeated_grids(generated[:0], training, training)


def test_without_images_there_is_nothing_to_test() -> None:
    some, none = torch.rand(9), torch.rand(0)
    for held_out, generated, share in ((some, none, 0.1), (none, some, 0.1), (some, some, 0.0), (some, some, 1.5)):
        with pytest.raises(InputError, match=f"got {len(held_out)} and {len(generated)} images and {share}"):
            evaluate_memorisation(held_out, generated, share)
    with pytest.raises(InputError, match="vectors in both sets, got 9 and 0"):
        nearest_training_images(torch.rand(9, 2), torch.rand(0, 2), torch.rand(9, 2))
