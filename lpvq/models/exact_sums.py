"""Products with matrices that no machine can compute differently: sums of whole numbers below 2²⁴.

A float32 has 24 significant bits. So whole numbers up to 2²⁴ are exact in it, and so is a sum of them as long as it
stays below that, whatever its order: whether a processor adds four terms at a time, a GPU a thousand, or a batch of
another size takes another path. The same holds for multiples of any power of two. Nothing is ever rounded, so nothing
can be rounded differently, and float64, which has 53 bits, gives the same.

A *unit* here is the exponent p of a power of two: the whole number n stands for n · 2ᵖ.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lpvq.errors import InputError

LARGEST_SUM = 2**24
"""What a sum must stay below, in its smallest step."""

COARSE, FINE = 2**7 - 1, 2**11 - 1
"""The largest weights: of eight bits, which most matrices can do with, and of twelve, for those that cannot."""

_SHIFT_STEP = -1  # what is added to a sum besides products is a multiple of half of the sum's unit


# Not torch.ldexp, which takes a power: not every machine's is exact.
_EXPONENTS = range(-128, 128)
_POWERS = torch.tensor([2.0**exponent for exponent in _EXPONENTS], dtype=torch.float64)


def scaled(x: Tensor, exponent: Tensor | int) -> Tensor:
    """Return x · 2ᵖ for exponents p in −128 … 127, in the type of x."""
    exponent = torch.as_tensor(exponent, device=x.device)
    return x * _POWERS.to(x)[exponent.long() - _EXPONENTS.start]


class Source(NamedTuple):
    """One of the products that a sum is made of.

    Attributes:
        weight: the matrix, (out, in), in any numbers.
        unit: of the whole numbers that it is multiplied with; one for all inputs, or one for each, int64 (in,).
        largest: the largest of them, in absolute value.
    """

    weight: Tensor
    unit: int | Tensor
    largest: int


class ExactLinear(nn.Module):
    """A matrix of small whole numbers, each row with a power of two, and perhaps a bias.

    Its outputs are in the unit of whoever reads them, as whole numbers with a few bits after the point, to be rounded
    down by that reader.

    Args:
        inputs: how many numbers come in.
        outputs: how many come out.
        bias: whether there is a bias.

    Attributes:
        weight: int16 (out, in).
        exponent: int8 (out,): a row of ``weight`` is multiplied by 2 to this power.
        bias: float32 (out,), multiples of the row's step.
    """

    weight: Tensor
    exponent: Tensor
    bias: Tensor | None

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(outputs, inputs, dtype=torch.int16))
        self.register_buffer("exponent", torch.zeros(outputs, dtype=torch.int8))
        self.register_buffer("bias", torch.zeros(outputs) if bias else None)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (…, out) for whole numbers (…, in), in their type."""
        products = x @ self.matrix(x.dtype)
        return products if self.bias is None else products + self.bias

    def matrix(self, dtype: torch.dtype) -> Tensor:
        """Return the matrix as products from the right need it, (in, out)."""
        matrix = self.weight.T.to(dtype, memory_format=torch.contiguous_format)
        return matrix.mul_(scaled(matrix.new_ones(()), self.exponent))

    def keep(self, weight: Tensor, exponent: Tensor, bias: Tensor | None = None) -> None:
        """Take over what ``fit`` found."""
        self.weight.copy_(weight)
        self.exponent.copy_(exponent)
        if self.bias is not None and bias is not None:
            self.bias.copy_(bias)


def largest_sum(layers: Sequence[tuple[ExactLinear, int]], more: Tensor | float = 0.0) -> float:
    """Return how large a sum can become at most, in its smallest step; it is exact if that is below ``LARGEST_SUM``.

    Args:
        layers: whose products are added up, each with the largest number that comes in.
        more: what else is added at most, in the unit of the sum: a number, or one for each output.
    """
    step = torch.stack([layer.exponent.double() for layer, _ in layers]).amin(0).clamp(max=_SHIFT_STEP)  # (out,)
    total = torch.zeros_like(step) + more
    for layer, largest in layers:
        total += scaled(layer.weight.double().abs().sum(1), layer.exponent) * largest
        if layer.bias is not None:
            total += layer.bias.double().abs()
    return float(scaled(total, -step).max())


def fit(
    sources: Sequence[Source],
    bias: Tensor,
    unit: int | Tensor,
    more: Tensor | float = 0.0,
    largest_weight: int = COARSE,
) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """Find whole numbers for the matrices of a sum such that it is always exact.

    Each row of each matrix gets the smallest power of two with which its numbers are whole numbers up to
    ``largest_weight``. Where a sum could then become too large, the finest of its rows are made coarser.

    Args:
        sources: the products.
        bias: what is added, (out,); half a step of the sum's unit is added, so that rounding down rounds to nearest.
        unit: of the sum; one for all outputs, or one for each, int64 (out,).
        more: what else is added at most, in the unit of the sum; multiples of a half.
        largest_weight: ``COARSE`` or ``FINE``.

    Returns:
        for each source the int16 matrix (out, in) and its exponents (out,); the bias (out,) in the unit of the sum.

    Raises:
        InputError: numbers for which there is no such sum.
    """
    bias = scaled(bias.double(), -unit) + 0.5
    unit = unit[:, None] if isinstance(unit, Tensor) else unit
    if not all(source.weight.isfinite().all() for source in sources) or not bias.isfinite().all():
        raise InputError("the model holds NaN or infinity: it cannot be turned into whole numbers")
    weights = [scaled(source.weight.double(), source.unit - unit) for source in sources]
    exponents = [_smallest_exponent(weight.abs().amax(1), largest_weight) for weight in weights]
    while True:
        rounded = [
            scaled(weight, -exponent[:, None]).round() for weight, exponent in zip(weights, exponents, strict=True)
        ]
        step = torch.stack(exponents).amin(0).clamp(max=_SHIFT_STEP)
        total = bias.abs() + more
        for whole, exponent, source in zip(rounded, exponents, sources, strict=True):
            total = total + scaled(whole.abs().sum(1), exponent) * source.largest
        too_large = scaled(total, -step) >= LARGEST_SUM - 1  # a step for the rounding of the bias
        if not too_large.any():
            break
        if (too_large & (step == _SHIFT_STEP)).any():
            raise InputError("the numbers of the model are too large for exact sums")
        exponents = [exponent + (too_large & (exponent == step)) for exponent in exponents]
    found = [
        (whole.to(torch.int16), exponent.to(torch.int8)) for whole, exponent in zip(rounded, exponents, strict=True)
    ]
    return found, scaled(scaled(bias, -step).round(), step).float()


def unit_for(largest: Tensor, whole: int) -> int:
    """Return the smallest unit in which numbers up to ``largest`` are whole numbers up to ``whole``."""
    return int(units_for(largest, whole))


def units_for(largest: Tensor, whole: int) -> Tensor:
    """Return the same for each of several, int64."""
    return _smallest_exponent(largest.double(), whole).long()


def _smallest_exponent(largest: Tensor, whole: int) -> Tensor:
    """The smallest p with ``largest`` ≤ ``whole`` · 2ᵖ; 0 for 0."""
    exponent = torch.where(largest > 0, (largest / whole).log2().ceil(), 0.0)
    return exponent.clamp(-100, 100)
