"""From logits to a code, and from code to code over a grid.

A grid is drawn in raster order: row by row from the top, each row from the left. Temperature and top-k change the
distribution of a single code; top-p ("nucleus sampling") is from Holtzman et al. (2020), arXiv:1904.09751.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lpvq.errors import InputError
from lpvq.models.gated import Stacks


@dataclass(frozen=True)
class SamplingOptions:
    """How a code is drawn from its logits.

    Attributes:
        temperature: the logits are divided by it. 1 keeps the model's distribution, less sharpens it; 0 takes the most
            probable code.
        top_k: only the ``top_k`` most probable codes, or None for all.
        top_p: only the smallest set of most probable codes that together have at least this probability (after
            temperature and top-k), or None for all.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that describe no distribution."""
        if not 0 <= self.temperature < float("inf"):
            raise InputError(f"temperature must be at least 0 and finite, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k must be at least 1, or None for all codes, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"top_p must be above 0 and at most 1, or None for all codes, got {self.top_p}")


def restrict_logits(logits: Tensor, options: SamplingOptions) -> Tensor:
    """Apply temperature, top-k and top-p, in this order.

    Args:
        logits: (B, K).
        options: the temperature must be above 0 here.

    Returns:
        logits (B, K) of the distribution to draw from; the codes left out have −∞.
    """
    if options.temperature != 1:
        # The largest is moved to 0 first: at a very low temperature the quotient would overflow.
        logits = (logits - logits.amax(-1, keepdim=True)) / options.temperature
    if options.top_k is None and options.top_p is None:
        return logits
    # From the most probable code on, as many as top-k leaves.
    kept, codes = logits.topk(min(options.top_k or logits.shape[-1], logits.shape[-1]))
    if options.top_p is not None:
        probabilities = kept.softmax(-1)
        # A code stays while those before it do not yet reach top_p; so the first always stays.
        before = probabilities.cumsum(-1) - probabilities
        before[:, 0] = 0
        kept = kept.masked_fill(before >= options.top_p, -torch.inf)
    return torch.full_like(logits, -torch.inf).scatter(-1, codes, kept)


def sample_code(logits: Tensor, options: SamplingOptions, uniform: Tensor) -> Tensor:
    """Sample a code for each row of ``logits`` (B, K), given numbers ``uniform`` in [0, 1), (B,); returns int64 (B,).

    Think of the probabilities as lengths laid end to end on a line: the code is the one that the number falls on. One
    random number for each code, no answer that a GPU has to be waited for, and two samplers given the same numbers can
    be compared code by code.
    """
    if options.temperature == 0:
        return logits.argmax(-1)
    ends = restrict_logits(logits, options).softmax(-1).cumsum(-1)
    # Not the number itself: after rounding, the line may end a little before or after 1.
    fallen_on = uniform[:, None] * ends[:, -1:]
    return torch.searchsorted(ends, fallen_on, right=True).squeeze(-1)


class GridSampler(Protocol):
    """What ``sample_grid`` asks for logits; ``codes`` (B, H, W) is the grid as drawn so far."""

    def begin_row(self, codes: Tensor, row: int) -> None:
        """Get ready for a row: the rows above it are final. Rows come in rising order, not all of them."""

    def logits_at(self, codes: Tensor, row: int, column: int) -> Tensor:
        """Return logits (B, K) for a position: all positions before it are final. Columns come in rising order."""


def sample_grid(
    sampler: GridSampler, codes: Tensor, mask: Tensor, options: SamplingOptions, uniform: Tensor
) -> Iterator[tuple[int, int]]:
    """Sample the codes that are not known, in raster order and in place; a position that all grids know costs nothing.

    Args:
        sampler: gives the logits.
        codes: int64 (B, H, W); what is not known is overwritten before the model sees it.
        mask: bool (B, H, W), True where a code is known: it stays as it is.
        options: temperature, top-k, top-p.
        uniform: the noise, random numbers in [0, 1), (B, H, W).

    Yields:
        each position (row, column), once its codes are sampled.
    """
    wanted_by_all, wanted = (~mask).all(dim=0).tolist(), (~mask).any(dim=0).tolist()
    for row in range(codes.shape[1]):
        columns = [column for column, is_wanted in enumerate(wanted[row]) if is_wanted]
        if columns:
            sampler.begin_row(codes, row)
        for column in columns:
            sampled = sample_code(sampler.logits_at(codes, row, column), options, uniform[:, row, column])
            if wanted_by_all[row][column]:
                codes[:, row, column] = sampled
            else:
                codes[:, row, column] = torch.where(mask[:, row, column], codes[:, row, column], sampled)
            yield row, column


class FullForwardSampler:
    """The logits of one position by a forward pass over the whole grid: simple, and a reference for the cache."""

    def __init__(self, network: Stacks, labels: Tensor | None) -> None:
        self.network = network
        self.labels = labels

    def begin_row(self, codes: Tensor, row: int) -> None:
        """Nothing to get ready."""

    def logits_at(self, codes: Tensor, row: int, column: int) -> Tensor:
        """Return logits (B, K)."""
        return self.network(codes, self.labels)[:, :, row, column]
