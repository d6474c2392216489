"""How the factors of generated smileys are distributed, beside the known truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod

import torch
from torch import Tensor

from lpvq.errors import InputError


@dataclass(frozen=True)
class FactorDistribution:
    """How the values of a factor, or of two together, are distributed, beside the truth: all equally often.

    Attributes:
        name: of the factor, or "factor × factor".
        values: what the values are called.
        frequencies: of the values, in the samples; 0 … 1, in sum 1.
        samples: the total variation, half the sum of absolute differences of the frequencies from the truth: 0 … 1.
        reconstructions: the total variation of reconstructed test images.
        calibration: the total variation of true images rendered anew, averaged over several sets: what chance and the
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
        fresh: what was predicted of several sets of true images, each as large as the samples.

    Returns:
        one entry for each factor, then one for each pair.

    Raises:
        InputError: a set has no images, no prediction for one of the factors, or a value that the factor does not have;
            or there is no fresh set.
    """
    if not fresh:
        raise InputError("expected at least one set of true images rendered anew, got none")
    for predicted in (samples, reconstructions, *fresh):
        _check(factors, predicted)
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


def total_variation(values: Tensor, number: int) -> float:
    """Return half the sum of the absolute differences between frequencies and equal shares, 0 … 1.

    Args:
        values: 0 … ``number`` − 1, (N,).
        number: how many values there are.
    """
    return _variation(_frequencies([values], [number]))


def _check(factors: Mapping[str, Sequence[str]], predicted: Mapping[str, Tensor]) -> None:
    for name, values in factors.items():
        if name not in predicted or len(predicted[name]) == 0:
            raise InputError(f"there are no images whose {name} was predicted; expected at least one")
        least, most = predicted[name].min().item(), predicted[name].max().item()
        if not 0 <= least <= most < len(values):
            raise InputError(f"predicted values of {name} are {least} to {most}, expected 0 to {len(values) - 1}")


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
