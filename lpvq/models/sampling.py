"""From logits to a code, and from code to code over a grid.

A grid is drawn in raster order: row by row from the top, each row from the left. Temperature and top-k change the
distribution of a single code; top-p ("nucleus sampling") is from Holtzman et al. (2020), arXiv:1904.09751.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from lpvq.errors import InputError
from lpvq.models.checks import real_number, whole_number


@dataclass(frozen=True)
class SamplingOptions:
    """How a code is drawn from its logits.

    Attributes:
        temperature: the logits are divided by it. 1 keeps the model's distribution, less sharpens it; 0 takes the most
            probable code.
        top_k: only the ``top_k`` most probable codes, or None for all.
        top_p: only the smallest set of most probable codes that together have at least this probability (after
            temperature and top-k), or None for all.

    Raises:
        InputError: a temperature below 0 or not finite, ``top_k`` below 1 or not whole, ``top_p`` outside of (0, 1].
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        """Make plain numbers of those of numpy and torch; refuse what describes no distribution."""
        temperature = real_number("temperature", self.temperature)
        if not 0 <= temperature < float("inf"):  # NaN fails this too
            raise InputError(f"temperature must be at least 0 and finite, got {temperature}")
        object.__setattr__(self, "temperature", temperature)
        if self.top_k is not None:
            object.__setattr__(self, "top_k", whole_number("top_k", self.top_k))
        if self.top_p is not None:
            top_p = real_number("top_p", self.top_p)
            if not 0 < top_p <= 1:
                raise InputError(f"top_p must be above 0 and at most 1, or None for all codes, got {top_p}")
            object.__setattr__(self, "top_p", top_p)


def restrict_logits(logits: Tensor, options: SamplingOptions) -> Tensor:
    """Apply temperature, top-k and top-p, in this order.

    Args:
        logits: (B, K), of any floating type.
        options: the temperature must be above 0 here.

    Returns:
        logits (B, K) of the distribution to draw from, at least float32; the codes left out have −∞.
    """
    logits = _at_least_float32(logits)
    if options.temperature != 1:
        # A number that the type of the logits can hold: below, it would be 0, and above, infinity.
        limits = torch.finfo(logits.dtype)
        temperature = min(max(options.temperature, limits.tiny), limits.max)
        # The largest is moved to 0 first: at a very low temperature the quotient would overflow.
        logits = (logits - logits.amax(-1, keepdim=True)) / temperature
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
    """Sample a code for each row of logits, given a random number for each.

    Think of the probabilities as lengths laid end to end on a line: the code is the one that the number falls on. With
    one random number for each code, two samplers given the same numbers can be compared code by code.

    Args:
        logits: (B, K), of any floating type; −∞ for a code that must not be drawn.
        options: temperature, top-k, top-p.
        uniform: random numbers in [0, 1), (B,).

    Returns:
        codes, int64 (B,).

    Raises:
        InputError: logits that describe no distribution: NaN, +∞, or −∞ for all codes.
    """
    codes = _sample_or_fail(logits, options, uniform)
    _refuse_failures(codes, logits.shape[-1])
    return codes


def _sample_or_fail(logits: Tensor, options: SamplingOptions, uniform: Tensor) -> Tensor:
    """Codes (B,) as ``sample_code`` returns them, but K, which is no code, where the logits are no distribution."""
    num_codes = logits.shape[-1]
    if options.temperature == 0:
        highest, codes = logits.max(-1)
        return codes.masked_fill(~highest.isfinite(), num_codes)
    # ends (B, K): where the length of each code ends. One NaN or +∞ makes all of them NaN, and so do −∞ alone.
    ends = restrict_logits(logits, options).softmax(-1).cumsum(-1)
    # Not the number itself: after rounding, the line may end a little before or after 1.
    fallen_on = uniform[:, None] * ends[:, -1:]
    # The first code that ends beyond it. Nothing ends beyond NaN: that gives K.
    return torch.searchsorted(ends, fallen_on, right=True).squeeze(-1)


def _refuse_failures(codes: Tensor, num_codes: int) -> None:
    """Raise ``InputError`` if one of ``codes`` is K."""
    if int(codes.max()) >= num_codes:
        raise InputError(
            "no code can be drawn from logits that hold NaN or +∞, or −∞ for all codes: check the model's weights"
        )


def _at_least_float32(logits: Tensor) -> Tensor:
    """In half precision a sum of many small probabilities stops growing, and the last codes would never be drawn."""
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()


Draw = Callable[[Tensor, SamplingOptions, Tensor], Tensor]
"""From logits (B, K), options and random numbers (B,) to codes, int64 (B,)."""


class GridSampler(Protocol):
    """What ``sample_grid`` asks for logits; ``codes`` int64 (B, H, W) is the grid as drawn so far."""

    def begin_row(self, codes: Tensor, row: int) -> None:
        """Get ready for a row: the rows above it are final. Rows come in rising order, but perhaps not all."""

    def logits_at(self, codes: Tensor, row: int, column: int) -> Tensor:
        """Return logits (B, K) for a position: all positions before it are final. Columns come in rising order."""


def sample_grid(
    sampler: GridSampler,
    codes: Tensor,
    mask: Tensor,
    options: SamplingOptions,
    uniform: Tensor,
    draw: Draw | None = None,
) -> Iterator[tuple[int, int]]:
    """Sample the codes that are not known, in raster order and in place; a position that all grids know costs nothing.

    Args:
        sampler: gives the logits.
        codes: int64 (B, H, W); what is not known is overwritten before the model sees it.
        mask: bool (B, H, W), True where a code is known: it stays as it is.
        options: temperature, top-k, top-p.
        uniform: the noise, random numbers in [0, 1), (B, H, W).
        draw: from logits (B, K), the options and the noise (B,) to codes (B,); as ``sample_code`` does where None.

    Yields:
        each position (row, column), once its codes are sampled.

    Raises:
        InputError: the sampler's logits describe no distribution: NaN, +∞, or −∞ for all codes.
    """
    draw = draw or _sample_or_fail
    wanted_by_all, wanted = (~mask).all(dim=0).tolist(), (~mask).any(dim=0).tolist()
    for row in range(codes.shape[1]):
        columns = [column for column, is_wanted in enumerate(wanted[row]) if is_wanted]
        if columns:
            sampler.begin_row(codes, row)
        for column in columns:
            logits = sampler.logits_at(codes, row, column)
            sampled = draw(logits, options, uniform[:, row, column])
            if not wanted_by_all[row][column]:
                sampled = torch.where(mask[:, row, column], codes[:, row, column], sampled)
            codes[:, row, column] = sampled
            # Once for a row, not for each code: a GPU computes while the program goes on; a check waits for it.
            if column == columns[-1]:
                _refuse_failures(codes[:, row], logits.shape[-1])
            yield row, column


class FullForwardSampler:
    """The logits of one position by a forward pass over the whole grid: simple, and a reference for the cache.

    Args:
        network: whose logits to compute: a ``PixelCNN``, or what is used as one is.
        labels: int64 (B,), for a network with classes.
        coarse: int64 (B, h, w), for a network with coarse codes.
    """

    def __init__(self, network: Any, labels: Tensor | None, coarse: Tensor | None = None) -> None:
        self.network = network
        self.labels = labels
        self.coarse = coarse

    def begin_row(self, codes: Tensor, row: int) -> None:
        """Nothing to get ready."""

    def logits_at(self, codes: Tensor, row: int, column: int) -> Tensor:
        """Return logits (B, K) for a position, given the codes (B, H, W) before it."""
        _refuse_failures(codes, self.network.latent_dim)  # the network would refuse them in other words
        return self.network(codes, self.labels, coarse=self.coarse)[:, :, row, column]
