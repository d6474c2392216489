"""From logits to codes: each control alone and together, and the walk over a grid."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lpvq import InputError
from lpvq.models.sampling import SamplingOptions, restrict_logits, sample_code, sample_grid

# Probabilities 0.5, 0.3, 0.15, 0.05 in an order of their own.
PROBABILITIES = torch.tensor([[0.15, 0.5, 0.05, 0.3]], dtype=torch.float64)
LOGITS = PROBABILITIES.log()


def restricted(**options: float) -> Tensor:
    return restrict_logits(LOGITS, SamplingOptions(**options)).softmax(-1)


def test_without_options_the_distribution_is_the_models() -> None:
    torch.testing.assert_close(restricted(), PROBABILITIES)


def test_temperature_divides_the_logits() -> None:
    squared = PROBABILITIES**2
    torch.testing.assert_close(restricted(temperature=0.5), squared / squared.sum())


def test_top_k_keeps_the_k_most_probable() -> None:
    torch.testing.assert_close(restricted(top_k=2), torch.tensor([[0, 5 / 8, 0, 3 / 8]], dtype=torch.float64))
    torch.testing.assert_close(restricted(top_k=4), PROBABILITIES)
    torch.testing.assert_close(restricted(top_k=99), PROBABILITIES)


def test_top_k_keeps_exactly_k_where_codes_are_equally_probable() -> None:
    kept = restrict_logits(torch.zeros(1, 5), SamplingOptions(top_k=2)).softmax(-1)
    assert sorted(kept[0].tolist()) == [0, 0, 0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        (0.01, [1]),
        (0.5, [1]),
        (0.51, [1, 3]),
        (0.79, [1, 3]),
        (0.81, [0, 1, 3]),
        (0.94, [0, 1, 3]),
        (1.0, [0, 1, 2, 3]),
    ],
)
def test_top_p_keeps_the_smallest_set_that_reaches_p(top_p: float, kept: list[int]) -> None:
    expected = torch.zeros_like(PROBABILITIES)
    expected[:, kept] = PROBABILITIES[:, kept]
    torch.testing.assert_close(restricted(top_p=top_p), expected / expected.sum())


def test_top_p_never_leaves_nothing() -> None:
    certain = torch.tensor([[0.0, -1000.0]])
    assert restrict_logits(certain, SamplingOptions(top_p=1e-9)).softmax(-1).tolist() == [[1, 0]]


def test_top_p_counts_after_temperature_and_top_k() -> None:
    # Of the two that top-k leaves, the first has 5/8 > 0.6; of all four, it would have 0.5 only.
    assert restricted(top_k=2, top_p=0.6).tolist() == [[0, 1, 0, 0]]
    # At a low temperature the first alone has 0.25 / 0.365 > 0.6.
    assert restricted(temperature=0.5, top_p=0.6).tolist() == [[0, 1, 0, 0]]


def test_each_row_is_restricted_by_itself() -> None:
    logits = torch.cat([LOGITS, LOGITS.flip(1)])
    kept = restrict_logits(logits, SamplingOptions(top_p=0.51)) > -torch.inf
    assert kept.tolist() == [[False, True, False, True], [True, False, True, False]]


def test_draws_have_the_frequencies_of_the_softmax() -> None:
    number = 40_000
    codes = sample_code(LOGITS.expand(number, 4), SamplingOptions(), torch.rand(number))
    frequencies = torch.bincount(codes, minlength=4) / number
    # Five standard deviations of the largest binomial, √(0.25 / 40,000).
    torch.testing.assert_close(frequencies.double(), PROBABILITIES[0], atol=5 * 0.0025, rtol=0)


def test_a_number_falls_on_the_code_whose_stretch_it_lies_in() -> None:
    # The stretches end at 0.15, 0.65, 0.70 and 1.
    numbers = torch.tensor([0.0, 0.149, 0.151, 0.649, 0.651, 0.699, 0.701, 0.999], dtype=torch.float64)
    codes = sample_code(LOGITS.expand(8, 4), SamplingOptions(), numbers)
    assert codes.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_left_out_is_never_drawn_even_at_the_ends(dtype: torch.dtype) -> None:
    largest = 1 - torch.finfo(dtype).eps / 2
    numbers = torch.tensor([0.0, largest], dtype=dtype)
    logits = torch.tensor([-torch.inf, 0.3, -torch.inf, 1.7, -torch.inf], dtype=dtype)
    assert sample_code(logits.expand(2, 5), SamplingOptions(), numbers).tolist() == [1, 3]
    # Sums of many terms end beside 1; the last code must still be found.
    many = torch.linspace(-3, 3, 1000, dtype=dtype)
    assert sample_code(many.expand(2, 1000), SamplingOptions(), numbers).tolist() == [0, 999]


def test_temperature_zero_takes_the_most_probable() -> None:
    codes = sample_code(LOGITS.expand(100, 4), SamplingOptions(temperature=0), torch.rand(100))
    assert codes.tolist() == [1] * 100


def test_a_low_temperature_approaches_the_most_probable() -> None:
    codes = sample_code(LOGITS.expand(1000, 4), SamplingOptions(temperature=0.02), torch.rand(1000))
    assert codes.tolist() == [1] * 1000


# Below 1.2e-38 float32 has no normal numbers; 1e-46 is 0 there, and 5e-324 the smallest number above 0 of all.
@pytest.mark.parametrize("temperature", [1e-30, 1e-40, 1e-46, 5e-324])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_lowest_temperatures_do_not_overflow(temperature: float, dtype: torch.dtype) -> None:
    logits = torch.tensor([[1.0, 5.0, 9.0, 2.0]], dtype=dtype)
    assert sample_code(logits, SamplingOptions(temperature), torch.tensor([0.5])).tolist() == [2]
    both = torch.tensor([[1.0, 9.0, 9.0, 2.0]], dtype=dtype)
    probabilities = restrict_logits(both, SamplingOptions(temperature)).softmax(-1)
    assert probabilities.tolist() == [[0, 0.5, 0.5, 0]]


def test_the_highest_temperatures_make_all_codes_equally_probable_but_those_that_are_impossible() -> None:
    logits = torch.tensor([[1.0, -torch.inf, 9.0]])
    for temperature in (1e30, 1e300):  # float32 ends at 3e38
        assert restrict_logits(logits, SamplingOptions(temperature)).softmax(-1).tolist() == [[0.5, 0, 0.5]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"top_k": 512}, {"top_p": 1.0}])
def test_in_half_precision_each_of_many_equally_probable_codes_can_be_drawn(dtype: torch.dtype, options: dict) -> None:
    numbers = (torch.arange(512) + 0.5) / 512  # one in the middle of each code's stretch
    codes = sample_code(torch.zeros(512, 512, dtype=dtype), SamplingOptions(**options), numbers)
    assert codes.tolist() == list(range(512))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0}, {"temperature": 0.5}, {"temperature": 2, "top_k": 2}, {"top_p": 0.5}]
)
@pytest.mark.parametrize(
    "row", [[0, torch.nan, 1], [torch.nan] * 3, [0, torch.inf, 1], [torch.inf, -torch.inf, torch.inf], [-torch.inf] * 3]
)
def test_logits_that_are_no_distribution_are_refused(row: list[float], options: dict, dtype: torch.dtype) -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0], row], dtype=dtype)
    with pytest.raises(InputError, match="NaN or"):
        sample_code(logits, SamplingOptions(**options), torch.tensor([0.0, 0.5]))


def test_temperature_zero_takes_the_first_where_several_are_most_probable() -> None:
    logits = torch.randint(0, 3, (200, 50)).float()
    codes = sample_code(logits, SamplingOptions(temperature=0), torch.rand(200))
    first = [row.index(max(row)) for row in logits.tolist()]
    assert codes.tolist() == first


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1},
        {"temperature": float("nan")},
        {"temperature": np.float32("nan")},
        {"temperature": float("inf")},
        {"temperature": "hot"},
        {"temperature": None},
        {"temperature": True},
        {"top_k": 0},
        {"top_k": 2.0},
        {"top_k": np.float64(2)},
        {"top_k": True},
        {"top_k": "2"},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": float("nan")},
        {"top_p": "most"},
        {"top_p": True},
    ],
)
def test_options_without_sense_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        SamplingOptions(**options)


def test_options_may_be_numbers_of_numpy_and_torch() -> None:
    options = SamplingOptions(np.float32(0.5), np.int64(3), torch.tensor(0.75))
    assert options == SamplingOptions(0.5, 3, 0.75)
    assert [type(number) for number in (options.temperature, options.top_k, options.top_p)] == [float, int, float]


class Recorder:
    """A model that always wants code 2, and writes down what it was asked and shown."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.asked: list[tuple[int, int]] = []
        self.seen: list[list[int]] = []

    def begin_row(self, codes: Tensor, row: int) -> None:
        self.rows.append(row)

    def logits_at(self, codes: Tensor, row: int, column: int) -> Tensor:
        self.asked.append((row, column))
        self.seen.append(codes[0].flatten().tolist())
        return torch.tensor([[0.0, 0.0, 100.0]]).expand(len(codes), 3)


def test_the_walk_goes_row_by_row_from_the_left() -> None:
    model, codes = Recorder(), torch.zeros(2, 2, 3, dtype=torch.int64)
    positions = list(
        sample_grid(model, codes, torch.zeros_like(codes, dtype=torch.bool), SamplingOptions(), torch.rand(2, 2, 3))
    )
    assert positions == model.asked
    assert model.rows == [0, 1]
    assert model.asked == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert model.seen[4] == [2, 2, 2, 2, 0, 0]
    assert codes.eq(2).all()


def test_the_walk_asks_only_where_a_grid_has_something_to_draw() -> None:
    model, codes = Recorder(), torch.ones(2, 2, 2, dtype=torch.int64)
    known = torch.tensor([[[True, False], [True, True]], [[True, True], [True, False]]])
    assert list(sample_grid(model, codes, known, SamplingOptions(), torch.rand(2, 2, 2))) == model.asked
    assert model.asked == [(0, 1), (1, 1)]
    assert codes.tolist() == [[[1, 2], [1, 1]], [[1, 1], [1, 2]]]


class Broken(Recorder):
    """A model that is sure of code 2, but whose logits for the first grid are NaN at (0, 1)."""

    def logits_at(self, codes: Tensor, row: int, column: int) -> Tensor:
        logits = super().logits_at(codes, row, column).clone()
        if (row, column) == (0, 1):
            logits[0] = torch.nan
        return logits


@pytest.mark.parametrize("temperature", [0, 1])
def test_a_model_without_a_distribution_ends_the_walk_before_the_next_row(temperature: float) -> None:
    model, codes = Broken(), torch.zeros(2, 2, 3, dtype=torch.int64)
    walk = sample_grid(
        model, codes, torch.zeros_like(codes, dtype=torch.bool), SamplingOptions(temperature), torch.rand(2, 2, 3)
    )
    with pytest.raises(InputError, match="NaN or"):
        list(walk)
    assert model.asked == [(0, 0), (0, 1), (0, 2)]


def test_a_grid_that_knows_the_code_does_not_mind_that_the_model_has_no_distribution() -> None:
    codes = torch.ones(2, 1, 3, dtype=torch.int64)
    known = torch.tensor([[[False, True, False]], [[False, False, False]]])
    list(sample_grid(Broken(), codes, known, SamplingOptions(), torch.rand(2, 1, 3)))
    assert codes.tolist() == [[[2, 1, 2]], [[2, 2, 2]]]
