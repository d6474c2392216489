"""How much of a codebook is in use: counts, entropy, perplexity."""

import torch
from torch import Tensor

from lpvq.models.checks import check_codes


def code_counts(codes: Tensor, num_codes: int) -> Tensor:
    """Count how often each code occurs in ``codes`` (any shape): int64 (K,).

    Count over a whole set: a single batch is too small to show every code that is in use.
    """
    check_codes(codes, num_codes)
    return torch.bincount(codes.flatten(), minlength=num_codes)


def usage(counts: Tensor) -> float:
    """Return the share of codes that occur at all, 0 … 1, from ``code_counts``."""
    return (counts > 0).double().mean().item()


def entropy(counts: Tensor) -> float:
    """Return the entropy in nats of the distribution that ``counts`` (K,) describe: 0 … log K."""
    probabilities = counts.double() / counts.sum()
    return -torch.xlogy(probabilities, probabilities).sum().item()


def perplexity(counts: Tensor) -> float:
    """Return exp(entropy): how many codes would be in use if all were used equally, 1 … K."""
    return float(torch.tensor(entropy(counts)).exp())
