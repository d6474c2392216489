"""From logits to a code, and from code to code over a grid.

A grid is drawn in raster order: row by row from the top, each row from the left. Temperature and top-k change the
distribution of a single code; top-p ("nucleus sampling") is from Holtzman et al. (2020), arXiv:1904.09751.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lpvq.errors import InputError
from lpvq.runtime import progress


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
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    if options.top_k is not None:
        ordered[:, options.top_k :] = -torch.inf
    if options.top_p is not None:
        probabilities = ordered.softmax(-1)
        # A code stays while those before it do not yet reach top_p; so the first always stays.
        before = probabilities.cumsum(-1) - probabilities
        before[:, 0] = 0
        ordered[before >= options.top_p] = -torch.inf
    return torch.full_like(logits, -torch.inf).scatter(-1, order, ordered)


def draw(logits: Tensor, options: SamplingOptions, generator: torch.Generator | None = None) -> Tensor:
    """Draw a code for each row of ``logits`` (B, K); returns int64 (B,).

    The largest of logit + Gumbel noise is a draw from the softmax. It needs no probabilities and, on a GPU, no answer
    from the device; and two samplers given the same noise can be compared code by code.
    """
    if options.temperature == 0:
        return logits.argmax(-1)
    # If E is exponential, −log E is a Gumbel variable.
    noise = torch.empty_like(logits).exponential_(generator=generator).log_().neg_()
    return (restrict_logits(logits, options) + noise).argmax(-1)


class GridModel(Protocol):
    """What the walk asks of a model; ``codes`` (B, H, W) is the grid as drawn so far."""

    def begin_row(self, codes: Tensor, row: int) -> None:
        """Get ready for a row: the rows above it are final."""

    def logits_at(self, codes: Tensor, row: int, column: int) -> Tensor:
        """Return logits (B, K) for a position: all positions before it are final. Columns come in rising order."""


def walk(
    model: GridModel,
    codes: Tensor,
    known: Tensor,
    options: SamplingOptions,
    generator: torch.Generator | None = None,
) -> None:
    """Draw the codes that are not known, in raster order and in place.

    Args:
        model: gives the logits.
        codes: int64 (B, H, W); what is not known is overwritten before the model sees it.
        known: bool (B, H, W); these codes stay as they are. A position that all grids know costs no draw.
        options: temperature, top-k, top-p.
        generator: the source of the noise, on the device of ``codes``.
    """
    wanted = ~known.all(dim=0).cpu()
    positions = int(wanted.sum())
    with progress(None, "drawing codes", total=positions, least=256) as bar:
        for row in range(codes.shape[1]):
            model.begin_row(codes, row)
            for column in wanted[row].nonzero().flatten().tolist():
                logits = model.logits_at(codes, row, column)
                drawn = draw(logits, options, generator)
                codes[:, row, column] = torch.where(known[:, row, column], codes[:, row, column], drawn)
                bar.update()
