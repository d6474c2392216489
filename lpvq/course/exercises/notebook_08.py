"""Exercises of 08_fast_sampling."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.course.exercises.comparing import (
    Checker,
    Complaint,
    as_tensor,
    call,
    checker,
    compare_number,
    compare_tensor,
    compare_truths,
)

_KERNEL, _SIDE = 5, 8
_TASKS = {
    "draw": True,  # one code after another: each step can use what the steps before it left
    "likelihood": False,  # all codes are there: one forward pass gives all logits
    "train": False,  # as the likelihood, and the weights change at each step
    "complete": True,  # the codes still missing are drawn one after another
}


@checker
def _where_it_helps(answer: Any) -> str | None:
    return compare_truths(answer, _TASKS, "does a step of it need a code that an earlier step has drawn?")


def positions_run_through(known: Tensor) -> int:
    """Return how many positions the horizontal stack computes to complete a grid, of which some codes are known.

    It begins each row that has a wanted code at its left end, and leaves it after the last wanted one.
    """
    wanted = ~known  # (H, W)
    return int(wanted.flip(1).long().cumsum(1).gt(0).sum())


def _positions(known: Callable[[Tensor, Tensor, int], Tensor]) -> Tensor:
    """For n = 0 … 7, given which codes are known from row numbers, column numbers and n, (8,)."""
    side = torch.arange(_SIDE)
    rows, columns = torch.meshgrid(side, side, indexing="ij")
    return torch.tensor([positions_run_through(known(rows, columns, n)) for n in range(_SIDE)])


@cache
def _positions_and_slips() -> tuple[Tensor, dict[str, Tensor]]:
    above = _positions(lambda row, column, n: row < n)
    left = _positions(lambda row, column, n: column < n)
    right_hand = _positions(lambda row, column, n: column >= _SIDE - n)
    right = torch.stack([above, left, right_hand])
    unknown = torch.stack(
        [
            _positions(lambda row, column, n: row >= n),
            _positions(lambda row, column, n: column >= n),
            _positions(lambda row, column, n: column < _SIDE - n),
        ]
    )
    one_more = torch.stack(
        [
            _positions(lambda row, column, n: row < n + 1),
            _positions(lambda row, column, n: column < n + 1),
            _positions(lambda row, column, n: column >= _SIDE - n - 1),
        ]
    )
    every = torch.full_like(right, _SIDE**2)
    wanted = _SIDE**2 - _SIDE * torch.arange(_SIDE).expand_as(right)
    return right, {
        "these are the positions of the vertical convolution: it runs over all rows": every,
        "these are the positions at which logits are computed, of the wanted codes alone; what stands to the left of "
        "them has to be run through, too": wanted,
        "these are the positions that plain sampling computes": wanted * _SIDE**2,
        "plain sampling computes all positions for each code": every * _SIDE**2,
        "what should be known is drawn here, and the other way round": unknown,
        "n runs from 0 to 7, not from 1 to 8": one_more,
        "rows and columns are swapped: a row for each of the three masks": right.T,
        "the order is: upper rows, left columns, right columns": right[[0, 2, 1]],
        "the order is: upper rows, then left columns, then right columns": right[[1, 0, 2]],
        "n runs from 0 to 7, not from 7 to 0": right.flip(1),
        "these are the positions that are skipped": _SIDE**2 - right,
        "these are sums of both, horizontal positions and those of the logits": right + wanted,
        "these are shares of the 64 positions; the question asks for their numbers": right / _SIDE**2,
    }


@checker
def _completion_cost(answer: Any) -> str | None:
    right, slips = _positions_and_slips()
    return compare_tensor(answer, right, 1e-3, slips)


@checker
def _cache_bytes(answer: Any) -> str | None:
    right, grids, item = _bytes_kept(), 8, 4
    slips: dict[str, float] = {
        "that is how many numbers; each of them takes 4 bytes": right / item,
        "that is for one grid; there are 8": right / grids,
        "that is how many numbers one grid takes; there are 8 grids, and a number takes 4 bytes": right / item / grids,
        "these are bits": 8 * right,
        "these are KiB; the question asks for bytes": right / 1024,
        "a number in float32 takes 4 bytes, not 8": 2 * right,
        "what is kept are rows: count W columns, not H": _bytes_kept(width=16),
        "with kernel size 5, R is 2": _bytes_kept(reach=1),
        "with kernel size 5, R is 2: it is half of the kernel": _bytes_kept(reach=_KERNEL),
        "R rows are kept, not R + 1: the newest is just being computed": _bytes_kept(reach=3),
        "the first layer keeps rows and columns too": _bytes_kept(layers=12),
        "what the links give is kept, too": _bytes_kept(blocks=0),
        "the columns of the horizontal stack are kept, too": right - _bytes_kept(width=0),
        "the rows of the vertical stack are kept, too": _bytes_kept(layers=0) + _bytes_kept(width=0),
        "only the rows are counted": _bytes_kept(blocks=0) - _bytes_kept(width=0),
        "a link gives 2 C features": _bytes_kept(of_link=1),
        "the first layer has no link": _bytes_kept(blocks=13),
        "only R rows are kept, not all of the grid": _bytes_kept(width=24 * 16),
    }
    return compare_number(answer, right, 0, slips)


def _bytes_kept(width: int = 24, reach: int = 2, layers: int = 13, blocks: int = 12, of_link: int = 2) -> int:
    """For 8 grids with 128 channels in float32: rows, columns, and what the links give."""
    rows, columns, links = layers * reach * width, layers * reach, blocks * of_link * width
    return 4 * 8 * 128 * (rows + columns + links)


@checker
def _ring(answer: Any) -> str | None:
    """Run the reader's step over a line of more columns than the ring has, and compare column by column."""
    conv, line = _conv_and_line()
    batch, channels, width = line.shape
    ring, right_ring = (line.new_zeros(batch, channels, _KERNEL) for _ in range(2))
    memory = ring.data_ptr()
    with torch.no_grad():
        for column in range(width):
            result = _step(answer, conv, ring, column, line[:, :, column].clone())
            before = right_ring.clone()
            right_ring[:, :, column % _KERNEL] = line[:, :, column]
            right = conv(_oldest_first(right_ring, column))[:, :, 0]
            complaint = compare_tensor(result, right, slips=_slips_of_rings(conv, right_ring, before, column))
            if complaint:
                is_shape = as_tensor(result).shape != right.shape
                return complaint if is_shape else f"{complaint} (column {column}){_state(ring, right_ring, column)}"
    if ring.data_ptr() != memory or not torch.equal(ring, right_ring):
        return f"the outputs are right, but the ring is not: write column c into it, at place c % {_KERNEL}"
    return None


def _conv_and_line() -> tuple[nn.Conv1d, Tensor]:
    """A convolution with fewer inputs than outputs, and what it is to run over, (B, C, columns)."""
    generator = torch.Generator().manual_seed(0)
    conv = nn.Conv1d(3, 4, _KERNEL).double()
    for parameter in conv.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return conv, torch.randn(2, 3, 3 * _KERNEL - 1, generator=generator, dtype=torch.float64)


def _step(answer: Any, conv: nn.Conv1d, ring: Tensor, column: int, x: Tensor) -> Any:
    try:
        return call(answer, conv, ring, column, x)
    except Complaint as complaint:
        at_column = f" (column {column})" if "fails" in str(complaint) else ""
        raise Complaint(f"{complaint}{at_column}") from complaint


def _oldest_first(ring: Tensor, column: int) -> Tensor:
    return ring.roll(-(column + 1), 2)


def _slips_of_rings(conv: nn.Conv1d, ring: Tensor, before: Tensor, column: int) -> dict[str, Tensor]:
    """What comes of other orders, given the ring as it should be after a step and as it was before it."""
    ordered, bias = _oldest_first(ring, column), conv.bias
    assert bias is not None
    alone = F.pad(ordered[:, :, -1:], (_KERNEL - 1, 0))

    def of(columns: Tensor) -> Tensor:
        return conv(columns)[:, :, 0]

    return {
        "the kernel must see the ring from its oldest column to its newest": of(ring),
        "the bias is missing": of(ordered) - bias[:, None].T,
        "the new column has to be in the ring before the convolution": of(_oldest_first(before, column)),
        "the new column has to be in the ring before the convolution, and the kernel sees oldest first": of(before),
        "the kernel sees the new column alone; the ring has those before it": of(alone),
    }


def _state(ring: Tensor, right_ring: Tensor, column: int) -> str:
    """What is to be said about the ring itself."""
    if not ring.any():
        return "; nothing is written into the ring: change it in place, it is the cache"
    if not torch.equal(ring, right_ring):
        return f"; write column c into the ring at place c % {_KERNEL}, and leave the other places as they are"
    return "; the ring itself is right"


CHECKERS: dict[str, Checker] = {"8.1": _where_it_helps, "8.2": _completion_cost, "8.3": _cache_bytes, "8.4": _ring}
