"""Exercises of 05_causal_convolutions."""

from math import prod
from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import (
    Checker,
    as_tensor,
    call,
    checker,
    compare_number,
    compare_tensor,
)
from lpvq.models.causal import VerticalConv

_SIDE = 8  # of the grid of exercise 5.4


@checker
def _numbers_in_tables(answer: Any) -> str | None:
    codes, positions = 4, 9
    slips = {
        "that is the table of the last position alone; the other eight positions have one each as well": codes
        ** positions,
        "the tables grow: each further code that is known makes them four times as large": positions * codes**positions,
        "all tables have different sizes: the first holds only the probabilities of one code": positions * codes,
        "the table of p(c1) has an entry for each value of c1, and the others for their own code, too": sum(
            codes**known for known in range(positions)
        ),
        "the last table is missing": sum(codes**known for known in range(1, positions)),
        "nothing comes before the table of p(c1), and nothing after that of the last code": sum(
            codes**known for known in range(positions + 1)
        ),
        "there is one table too many": sum(codes**known for known in range(1, positions + 2)),
        "count all numbers of a row, although the last one follows from the others": codes**positions - 1,
        "the tables are added up, not multiplied": codes ** sum(range(1, positions + 1)),
        "base and exponent are swapped: a table of two codes has 4 · 4 numbers": sum(
            known**codes for known in range(1, positions + 1)
        ),
        "each code is one of 4, not of 3": sum(3**known for known in range(1, positions + 1)),
        "a table of two codes has 4 · 4 numbers, not 4 + 4": codes * sum(range(1, positions + 1)),
        "that is for a grid of 2 × 2": 340,
    }
    return compare_number(answer, sum(codes**known for known in range(1, positions + 1)), 0.5, slips)


@checker
def _mask(answer: Any) -> str | None:
    places = torch.arange(25).view(5, 5)
    rows, columns = places // 5, places % 5
    right = places < 12  # before the middle, in reading order
    slips = {
        "the middle is 1, which is mask B: in mask A a position does not see itself": places <= 12,
        "rows and columns are swapped: it sees columns to the left before it sees rows above": right.T,
        "rows and columns are swapped, and the middle is 1": (places <= 12).T,
        "it sees what comes later instead of what comes before": places > 12,
        "it sees what comes later, and itself, instead of what comes before": places >= 12,
        "it sees everything": torch.ones(5, 5),
        "it sees everything but itself": places != 12,
        "it sees nothing": torch.zeros(5, 5),
        "it sees the rows above, but nothing to the left in its own row": rows < 2,
        "it sees its own row to the left, but no row above": (rows == 2) & (columns < 2),
        "in the rows above it sees all columns, not only those to the left": (rows <= 2) & (columns < 2),
        "in the rows above it sees all columns, and in its own row not itself": (rows <= 2) & (columns <= 2),
        "in the rows above it sees all columns, not only those up to its own": (rows < 2) & (columns <= 2)
        | (rows == 2) & (columns < 2),
        "its own row is seen to the left, not to the right": (rows < 2) | (rows == 2) & (columns > 2),
        "its own row is seen up to the position, not all of it": rows <= 2,
        "what is left of the diagonal is another question: the kernel has rows and columns": torch.ones(5, 5).tril(-1),
        "tril leaves what is left of the diagonal; the kernel is read row by row": torch.ones(5, 5).tril(),
        "this is in reading order; give it the shape (5, 5)": right.flatten(),
        "that is a mask for a kernel of 3 × 3": torch.arange(9).view(3, 3) < 4,
    }
    return compare_tensor(answer, right, slips=slips)


def _moved(example: Tensor, rows: int, columns: int = 0) -> Tensor:
    """The example moved down and to the right, with zeros where nothing arrived."""
    height, width = example.shape[2:]
    result = torch.zeros_like(example)
    to = (slice(max(rows, 0), height + min(rows, 0)), slice(max(columns, 0), width + min(columns, 0)))
    of = (slice(max(-rows, 0), height + min(-rows, 0)), slice(max(-columns, 0), width + min(-columns, 0)))
    result[:, :, to[0], to[1]] = example[:, :, of[0], of[1]]
    return result


def _slips_of_shifts(example: Tensor) -> dict[str, Tensor]:
    zeros = torch.zeros_like(example[:, :, :1])
    first_row_gone, first_row_twice, one_channel = example.clone(), example.clone(), _moved(example, 1)
    first_row_gone[:, :, 0] = 0
    first_row_twice[:, :, 1:] = example[:, :, :-1]
    one_channel[:, 1:] = example[:, 1:]
    return {
        "the last row came back on top, where there should be zeros: the first row would see it": example.roll(1, 2),
        "the last column came back in front, and dimension 3 are the columns": example.roll(1, 3),
        "everything moved to the right: dimension 3 are the columns, dimension 2 are the rows": _moved(example, 0, 1),
        "everything moved up, so that a row would see the row below it": _moved(example, -1),
        "everything moved to the left: dimension 3 are the columns, dimension 2 are the rows": _moved(example, 0, -1),
        "everything moved down and to the right": _moved(example, 1, 1),
        "this moves by two rows": _moved(example, 2),
        "nothing moved": example,
        "the first row is zero, but nothing moved": first_row_gone,
        "the first row is still there: it should be zero": first_row_twice,
        "only the first channel moved": one_channel,
        "the shape has to stay: the last row falls out": torch.cat([zeros, example], 2),
        "the shape has to stay: a row of zeros is missing on top": example[:, :, :-1],
        "the row of zeros is at the end": torch.cat([example[:, :, :-1], zeros], 2),
        "the row of zeros is at the end, and everything moved up": torch.cat([example[:, :, 1:], zeros], 2),
        "the first row holds ones; it should hold zeros": torch.cat([zeros + 1, example[:, :, :-1]], 2),
        "channels moved, not rows: dimension 1 are the channels, dimension 2 are the rows": torch.cat(
            [torch.zeros_like(example[:, :1]), example[:, :-1]], 1
        ),
    }


@checker
def _shift_down(answer: Any) -> str | None:
    for shape in ((1, 2, 3, 4), (2, 3, 5, 4)):
        features = torch.arange(1.0, 1 + prod(shape)).view(shape)
        given = features.clone()
        complaint = compare_tensor(call(answer, given), _moved(features, 1), slips=_slips_of_shifts(features))
        if complaint:
            return f"for features of shape {shape}: {complaint}"
        if not torch.equal(given, features):
            return "the function changes what it is given; make a new tensor"
    return None


@checker
def _blind_spots(answer: Any) -> str | None:
    side = torch.arange(_SIDE)
    rows, columns, above = torch.meshgrid(side, side, torch.arange(1, _SIDE), indexing="ij")
    there = above <= rows
    # In the row that many ``above``, the furthest column that is seen is as many to the right.
    right = ((_SIDE - 1 - columns - above).clamp(min=0) * there).sum(2)
    earlier = torch.arange(_SIDE**2).view(_SIDE, _SIDE)
    to_the_right = (_SIDE - 1 - columns) * there
    slips = {
        "rows and columns are swapped": right.T,
        "the wedge opens to the right, not to the left": right.flip(1),
        "these are the earlier positions that are seen; how many are not?": earlier - right,
        "later positions are to stay unseen: count the earlier ones alone": right + _SIDE**2 - 1 - earlier,
        "later positions are to stay unseen, and so is the position itself": right + _SIDE**2 - earlier,
        "the position itself is not an earlier one": right + 1,
        "with each row further up, one more column to the right is seen": to_the_right.sum(2),
        "this counts the row just above alone": (_SIDE - 2 - columns[..., 0]).clamp(min=0) * there[..., 0],
        "in the row just above, the next column to the right is seen": (
            (_SIDE - columns - above).clamp(min=0).clamp(max=_SIDE - 1) * there
        ).sum(2),
        "that is for kernels of 5 × 5": ((_SIDE - 1 - columns - 2 * above).clamp(min=0) * there).sum(2),
        "that is the number of the positions before each; some of them are seen": earlier,
        "this is how many there are in all; the question asks for a number for each position": right.sum(),
        "this is in reading order; give it the shape (8, 8)": right.flatten(),
        "these are shares; the question asks for numbers": right / earlier.clamp(min=1),
        "nothing is missed by two stacks; the question is for one masked stack": torch.zeros_like(right),
    }
    complaint = compare_tensor(answer, right, 0.5, slips)
    if complaint is None or (values := as_tensor(answer)).shape != right.shape or complaint in slips:
        return complaint
    is_shallow = bool((values >= right - 0.5).all())
    return complaint + ("; is the stack deep enough to cross the grid?" if is_shallow else "")


@checker
def _blocks(answer: Any) -> str | None:
    furthest = 31  # rows, or columns, from one side of the grid to the other
    reach = VerticalConv(1, 1, kernel_size=5).reach
    layers = -(-furthest // reach)
    slips: dict[str, float] = {
        f"{layers} layers see enough, but the first of them stands before the blocks": layers,
        f"that many are needed with kernel_size 3; here a layer sees {reach} rows and columns further": furthest - 1,
        f"that many layers are needed with kernel_size 3; here one sees {reach} rows and columns further": furthest,
        "that is the side of the grid; how far does a layer see?": furthest + 1,
        "one more layer is needed: half a layer is not enough": furthest // reach - 1,
        "half of a kernel of 5 lies to the left of its middle: a layer sees 2 columns further, not 4": -(-furthest // 4)
        - 1,
        "half of a kernel of 5 lies to the left of its middle, and the first layer is no block": -(-furthest // 4),
        "a layer sees 2 columns further, not 5": -(-furthest // 5) - 1,
        "a layer sees 2 columns further, not 5, and the first layer is no block": -(-furthest // 5),
        "that is how far columns are apart, times two: each layer crosses two of them": furthest * reach,
        "that is all positions, more than it takes: think of two columns that are furthest apart": (furthest + 1) ** 2,
        "layers add to what is seen, they do not double it": 4,
        "the first layer sees as far as each block does: it is not to be added, but taken off": layers + 1,
    }
    return compare_number(answer, layers - 1, 0, slips)


CHECKERS: dict[str, Checker] = {
    "5.1": _numbers_in_tables,
    "5.2": _mask,
    "5.3": _shift_down,
    "5.4": _blind_spots,
    "5.5": _blocks,
}
