"""How much of a codebook is in use: counts, entropy, perplexity."""

import torch
from torch import Tensor

from lpvq.errors import InputError
from lpvq.models.checks import check_codes


def code_counts(codes: Tensor, num_codes: int) -> Tensor:
    """Count how often each code occurs.

    Count over a whole set: a single batch is too small to show every code that is in use.

    Args:
        codes: int64 of any shape, each in 0 … K − 1.
        num_codes: K.

    Returns:
        int64 (K,).

    Raises:
        InputError: ``codes`` are not int64 or out of range.
    """
    check_codes(codes, num_codes)
    return torch.bincount(codes.flatten(), minlength=num_codes)


def usage(counts: Tensor) -> float:
    """Return the share of codes that occur at all, above 0 and up to 1.

    Args:
        counts: how often each code occurs, (K,), as from ``code_counts``.

    Raises:
        InputError: nothing was counted, or a count is negative or not finite.
    """
    return (_checked(counts) > 0).double().mean().item()


def entropy(counts: Tensor) -> float:
    """Return the entropy of the codes' frequencies in nats, 0 … log K: 0 if there is only one, log K if all are equal.

    Args:
        counts: how often each code occurs, (K,), as from ``code_counts``.

    Raises:
        InputError: nothing was counted, or a count is negative or not finite.
    """
    counts = _checked(counts)
    probabilities = counts.double() / counts.sum()
    return -torch.xlogy(probabilities, probabilities).sum().item()


def perplexity(counts: Tensor) -> float:
    """Return exp(entropy): how many codes would be in use if all were used equally, 1 … K.

    Args:
        counts: how often each code occurs, (K,), as from ``code_counts``.

    Raises:
        InputError: nothing was counted, or a count is negative or not finite.
    """
    return float(torch.tensor(entropy(counts)).exp())


def _checked(counts: Tensor) -> Tensor:
    """``counts``, unless they count nothing or are not counts."""
    if not counts.isfinite().all() or (counts < 0).any():
        raise InputError("counts must be finite and not negative: give what code_counts returns")
    if not counts.any():
        raise InputError(f"there are no codes to describe: all {len(counts)} counts are 0")
    return counts
