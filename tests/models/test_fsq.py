"""Finite scalar quantization: levels, codes as numbers with digits, gradients straight through."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from lpvq import InputError
from lpvq.models.fsq import FSQ


def test_the_codebook_is_all_combinations_of_levels() -> None:
    quantizer = FSQ([2, 3])
    assert (quantizer.num_codes, quantizer.code_dim) == (6, 2)
    assert quantizer.codebook.tolist() == [[first, second] for second in (-1, 0, 1) for first in (-1, 1)]


def test_numbers_are_rounded_to_the_nearest_level() -> None:
    quantizer = FSQ([5])
    squashed = torch.tensor([-0.99, -0.7, -0.3, -0.2, 0.2, 0.3, 0.8, 0.99])
    quantized = quantizer(torch.atanh(squashed).view(1, 1, 1, -1))
    assert quantized.vectors.flatten().tolist() == [-1, -0.5, -0.5, 0, 0, 0.5, 1, 1]
    assert quantized.codes.flatten().tolist() == [0, 1, 1, 2, 2, 3, 4, 4]
    assert quantized.loss.item() == 0


def test_codes_and_vectors_belong_together() -> None:
    quantizer = FSQ([3, 4, 2])
    z = 3 * torch.randn(2, 3, 5, 6)
    quantized = quantizer(z)
    assert torch.equal(quantizer.assign(z), quantized.codes)
    torch.testing.assert_close(quantizer.lookup(quantized.codes), quantized.vectors)
    for batch, row, column in itertools.product(range(2), range(5), range(6)):
        entry = quantizer.codebook[quantized.codes[batch, row, column]]
        torch.testing.assert_close(entry, quantized.vectors[batch, :, row, column])


def test_every_level_can_be_reached() -> None:
    quantizer = FSQ([8, 5])
    codes = quantizer.assign(torch.linspace(-6, 6, 200).view(1, 1, 1, 200).expand(1, 2, 200, 200).clone())
    assert len(codes.unique()) >= 8
    grid = torch.cartesian_prod(torch.linspace(-6, 6, 100), torch.linspace(-6, 6, 100)).T.reshape(1, 2, 100, 100)
    assert len(quantizer.assign(grid).unique()) == 40


def test_the_gradient_is_that_of_the_squashing_alone() -> None:
    z = torch.randn(1, 2, 3, 4, requires_grad=True)
    weights = torch.randn(1, 2, 3, 4)
    (FSQ([4, 4])(z).vectors * weights).sum().backward()
    torch.testing.assert_close(z.grad, weights * (1 - torch.tanh(z.detach()) ** 2))


def test_nothing_has_to_be_saved_or_learned() -> None:
    quantizer = FSQ([4, 4])
    assert not quantizer.state_dict() and not list(quantizer.parameters())


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_vectors_of_any_type_reach_every_code(kind: torch.dtype) -> None:
    z = 2 * torch.randn(64, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    assert len(FSQ([8, 5, 5, 5])(z.to(kind)).codes.unique()) > 990


def test_a_quantizer_in_float64_stays_there_and_one_in_half_precision_does_not() -> None:
    z = torch.randn(1, 2, 3, 4, dtype=torch.float64)
    exact = FSQ([4, 3]).double()
    output = exact(z)
    for vectors in (output.vectors, exact.codebook, exact.lookup(output.codes)):
        assert vectors.dtype == torch.float64
        # Thirds in float32 would be 1e-8 off.
        assert set(vectors.flatten().tolist()) <= {-1, -1 + 2 / 3, -1 + 4 / 3, 0, 1}
    # tanh of these is nothing to float32 beside the 1 that is added.
    assert FSQ([2]).double()(torch.tensor([[[[-1e-12, 1e-12]]]]).double()).codes.tolist() == [[[0, 1]]]
    assert FSQ([4, 3]).bfloat16()(z.bfloat16()).vectors.dtype == torch.float32


def test_a_code_of_a_huge_codebook_is_looked_up_without_writing_the_codebook_down() -> None:
    quantizer = FSQ([8] * 20)
    z = 2 * torch.randn(1, 20, 2, 2)
    output = quantizer(z)
    assert quantizer.num_codes == 2**60
    torch.testing.assert_close(quantizer.lookup(output.codes), output.vectors)
    with pytest.raises(InputError, match=r"2\^63"):
        FSQ([8] * 21)


@pytest.mark.parametrize(
    "levels", [[], [1, 3], [0], [-4, 2], 8, None, "84", [2.0, 3], [True, 3], [math.nan], [[2, 3]], torch.ones(2)]
)
def test_levels_without_sense_are_refused(levels: Any) -> None:
    with pytest.raises(InputError, match="levels must be"):
        FSQ(levels)


@pytest.mark.parametrize("levels", [(4, 3), np.array([4, 3]), torch.tensor([4, 3]), [np.int64(4), 3]])
def test_levels_may_be_any_whole_numbers(levels: Any) -> None:
    quantizer = FSQ(levels)
    assert (quantizer.levels, quantizer.num_codes, quantizer.code_dim) == ([4, 3], 12, 2)
    assert [type(level) for level in quantizer.levels] == [int, int]


def test_what_cannot_be_quantized_is_refused() -> None:
    quantizer = FSQ([4, 4])
    with pytest.raises(InputError, match=r"shape \(B, 2, H, W\), got \(1, 3, 2, 2\)"):
        quantizer(torch.zeros(1, 3, 2, 2))
    with pytest.raises(InputError, match="NaN or infinity"):
        quantizer(torch.full((1, 2, 2, 2), torch.nan))
    with pytest.raises(InputError, match=r"0 … 15, got 16 … 16"):
        quantizer.lookup(torch.full((1, 2, 2), 16))
