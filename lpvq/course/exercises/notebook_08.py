"""Exercises of 08_fast_sampling."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.course.exercises.comparing import Checker, compare_number, compare_tensor
from lpvq.models.gated import GatedBlock

_KERNEL = 5
_TASKS = {
    "draw": True,  # one code after another: each step can use what the steps before it left
    "likelihood": False,  # all codes are there: one forward pass gives all logits
    "train": False,  # as the likelihood, and the weights change at each step
    "complete": True,  # the codes still missing are drawn one after another
}


def _where_it_helps(answer: Any) -> str | None:
    if not isinstance(answer, dict) or set(answer) != set(_TASKS):
        return f"expected a dictionary with True or False for each of {', '.join(_TASKS)}"
    wrong = [name for name, helps in _TASKS.items() if answer[name] is not helps]
    if not wrong:
        return None
    question = "does a step of it need a code that an earlier step has drawn?"
    return f"{len(wrong)} of {len(_TASKS)} wrong. Ask of {wrong[0]!r}: {question}"


def _kernel_cost(answer: Any) -> str | None:
    channels = 4
    block = GatedBlock(channels, _KERNEL, None)
    convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
    expected = sum(conv.weight.numel() for conv in convolutions) // channels**2
    hints: dict[float, str] = {
        21: "that is the cost for kernel size 3",
        2 * _KERNEL**2 + 4 + 2 * _KERNEL + 1: "that is a full kernel: the vertical one has R + 1 rows, the horizontal"
        " one R + 1 columns",
        2 * 2 * _KERNEL + 4 + 2 * 3 + 1: "the vertical kernel sees R rows above and its own row, with R = 2",
        expected - 5: "the link and the output are convolutions too",
    }
    return compare_number(answer, expected, 0, hints)


def _cache_bytes(answer: Any) -> str | None:
    batch, height, width, blocks, channels, kernel = 8, 16, 24, 12, 128, 5
    expected = 4 * batch * _numbers_kept(blocks, channels, kernel // 2, width)
    hints: dict[float, str] = {
        expected // 4: "that is how many numbers; each of them takes 4 bytes",
        expected // batch: "that is for one grid; there are 8",
        4
        * batch
        * _numbers_kept(blocks, channels, kernel // 2, height): "what is kept are rows: count W columns, not H",
        4 * batch * _numbers_kept(blocks, channels, 1, width): "with kernel size 5, R is 2",
    }
    return compare_number(answer, expected, 0, hints)


def _numbers_kept(blocks: int, channels: int, reach: int, width: int) -> int:
    rows, columns = (blocks + 1) * reach * width * channels, (blocks + 1) * reach * channels
    return rows + columns + blocks * width * 2 * channels


def _ring(answer: Any) -> str | None:
    """Run the reader's step over a line of more columns than the ring has, and compare column by column."""
    generator = torch.Generator().manual_seed(0)
    batch, channels, width = 2, 3, 3 * _KERNEL - 1
    line = torch.randn(batch, channels, width, generator=generator, dtype=torch.float64)
    conv = nn.Conv1d(channels, channels, _KERNEL).double()
    for parameter in conv.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    ring = line.new_zeros(batch, channels, _KERNEL)
    memory = ring.data_ptr()
    with torch.no_grad():
        expected = conv(F.pad(line, (_KERNEL - 1, 0)))
        for column in range(width):
            result = answer(conv, ring, column, line[:, :, column])
            if result is None:
                return "the function returns nothing: it must return the output for this column, (B, C)"
            complaint = compare_tensor(result, expected[:, :, column], 1e-9)
            if complaint:
                return f"{complaint} (column {column})" + _why_the_ring_fails(ring, line, column)
    places = torch.arange(width - _KERNEL, width)
    if ring.data_ptr() != memory or not torch.equal(ring[:, :, places % _KERNEL], line[:, :, places]):
        return f"the outputs are right, but the ring is not: write column c into it, at place c % {_KERNEL}"
    return None


def _why_the_ring_fails(ring: Tensor, line: Tensor, column: int) -> str:
    place = column % _KERNEL
    if not torch.equal(ring[:, :, place], line[:, :, column]):
        return f"; the new column belongs at place {place} of the ring"
    return "; the new column is in its place, but the kernel must see the ring from its oldest column to its newest"


CHECKERS: dict[str, Checker] = {"8.1": _where_it_helps, "8.2": _kernel_cost, "8.3": _cache_bytes, "8.4": _ring}
