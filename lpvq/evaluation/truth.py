"""How the factors of generated smileys are distributed, beside the known truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod

import torch
from torch import Tensor


@dataclass(frozen=True)
class FactorDistribution:
    """How the values of a factor, or of two together, are distributed, beside the true distribution: all equally often.

    Attributes:
        name: of the factor, or "one × other".
        values: what the values are called.
        frequencies: of the values, in the samples.
        samples: the total variation, half the sum of absolute differences of the frequencies from the truth: 0 … 1.
        reconstructions: the same for reconstructed test images.
        calibration: the same for true images drawn anew, as many, averaged over several sets: what chance and the
            classifier's mistakes alone make.
    """

    name: str
    values: tuple[str, ...]
    frequencies: tuple[float, ...]
    samples: float
    reconstructions: float
    calibration: float


def evaluate_factors(
    factors: Mapping[str, Sequence[str]],
    samples: Mapping[str, Tensor],
    reconstructions: Mapping[str, Tensor],
    fresh: Sequence[Mapping[str, Tensor]],
) -> list[FactorDistribution]:
    """Compare the factors that a classifier found in images, (N,) each, with their true distribution.

    Args:
        factors: the names of the values of each factor; all are equally likely and independent.
        samples: what was predicted of generated images.
        reconstructions: what was predicted of reconstructed test images.
        fresh: what was predicted of several sets of true images.

    Returns:
        one entry for each factor, then one for each pair.
    """
    single = [(name,) for name in factors]
    results = []
    for names in [*single, *combinations(factors, 2)]:
        sizes = [len(factors[name]) for name in names]
        frequencies = _frequencies([samples[name] for name in names], sizes)
        values = [" ".join(words) for words in product(*(factors[name] for name in names))]
        results.append(
            FactorDistribution(
                " × ".join(names),
                tuple(values),
                tuple(frequencies.tolist()),
                _variation(frequencies),
                _variation(_frequencies([reconstructions[name] for name in names], sizes)),
                sum(_variation(_frequencies([predicted[name] for name in names], sizes)) for predicted in fresh)
                / len(fresh),
            )
        )
    return results


def _frequencies(predictions: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """The share of each combination of values; the last factor varies fastest."""
    index = torch.zeros_like(predictions[0])
    for prediction, size in zip(predictions, sizes, strict=True):
        index = index * size + prediction
    counts = torch.bincount(index, minlength=prod(sizes))
    return counts.double() / len(index)


def _variation(frequencies: Tensor) -> float:
    """Total variation from all values being equally frequent."""
    return 0.5 * (frequencies - 1 / len(frequencies)).abs().sum().item()
