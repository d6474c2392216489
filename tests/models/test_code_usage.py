"""How much of a codebook is in use."""

import math

import pytest
import torch
from torch import Tensor

from lpvq import InputError
from lpvq.models.code_usage import code_counts, entropy, perplexity, usage


def test_usage_and_perplexity_count_over_the_whole_set() -> None:
    codes = torch.tensor([[[0, 1]], [[2, 3]]])  # each grid uses two codes, both together four
    counts = code_counts(codes, 8)
    assert counts.tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert usage(counts) == 0.5
    assert perplexity(counts) == pytest.approx(4)
    assert entropy(counts) == pytest.approx(math.log(4))
    assert entropy(torch.tensor([5, 0])) == 0
    assert entropy(torch.tensor([3, 1])) == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))


@pytest.mark.parametrize("function", [usage, entropy, perplexity])
@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (code_counts(torch.empty(0, 4, 4, dtype=torch.int64), 8), "there are no codes to describe: all 8 counts are 0"),
        (torch.empty(0, dtype=torch.int64), "there are no codes"),
        (torch.tensor([2, -1]), "not negative"),
        (torch.tensor([2.0, math.nan]), "finite"),
        (torch.tensor([2.0, math.inf]), "finite"),
    ],
)
def test_nothing_and_what_counts_nothing_is_refused(function: object, counts: Tensor, message: str) -> None:
    assert callable(function)
    with pytest.raises(InputError, match=message):
        function(counts)


def test_codes_out_of_range_are_not_counted() -> None:
    with pytest.raises(InputError, match="0 … 3, got 0 … 4"):
        code_counts(torch.tensor([0, 4]), 4)
