"""Exercises of 05_causal_convolutions."""

from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, compare_number, compare_tensor
from lpvq.models.causal import VerticalConv


def _is(answer: Any, other: Tensor) -> bool:
    return compare_tensor(answer, other) is None


def _numbers_in_tables(answer: Any) -> str | None:
    codes, positions = 4, 9
    if compare_number(answer, codes**positions, 0.5) is None:
        return "that is the table of the last position alone; the other eight positions have one each as well"
    return compare_number(answer, sum(codes**known for known in range(1, positions + 1)), 0.5)


def _mask(answer: Any) -> str | None:
    places = torch.arange(25).view(5, 5)
    expected = places < 12  # before the middle, in reading order
    if _is(answer, places <= 12):
        return "the middle is 1, which is mask B: in mask A a position does not see itself"
    if _is(answer, expected.T):
        return "rows and columns are swapped: it sees columns to the left before it sees rows above"
    if _is(answer, places > 12):
        return "it sees what comes later instead of what comes before"
    return compare_tensor(answer, expected)


def _shift_down(answer: Any) -> str | None:
    example = torch.arange(1.0, 25.0).view(1, 2, 3, 4)
    expected = torch.zeros_like(example)
    expected[:, :, 1:] = example[:, :, :-1]
    right, up = torch.zeros_like(example), torch.zeros_like(example)
    right[..., 1:], up[:, :, :-1] = example[..., :-1], example[:, :, 1:]
    if _is(answer, example.roll(1, 2)):
        return "the last row came back on top, where there should be zeros: the first row would see the last one"
    if _is(answer, right):
        return "everything moved to the right: dimension 3 are the columns, dimension 2 are the rows"
    if _is(answer, up):
        return "everything moved up, so that a row would see the row below it"
    return compare_tensor(answer, expected)


def _blind_spots(answer: Any) -> str | None:
    rows, columns, above = torch.meshgrid(torch.arange(8), torch.arange(8), torch.arange(1, 8), indexing="ij")
    # In the row ``above`` by so many, the furthest column that is seen is as many to the right.
    unseen = (7 - columns - above).clamp(min=0) * (above <= rows)
    expected = unseen.sum(2)
    complaint = compare_tensor(answer, expected, 0.5)
    if complaint is None or not isinstance(answer, Tensor) or answer.shape != expected.shape:
        return complaint
    difference = answer.double() - expected
    row, column = divmod(int(difference.abs().flatten().argmax()), 8)
    off = float(difference[row, column])
    hint = "; is the stack deep enough to cross the grid?" if (difference >= 0).all() else ""
    return f"at row {row}, column {column}, {float(answer[row, column]):g} is off by {off:+g}{hint}"


def _blocks(answer: Any) -> str | None:
    furthest = 31  # rows, or columns, from one side of the grid to the other
    reach = VerticalConv(1, 1, kernel_size=5).reach
    layers = -(-furthest // reach)
    if compare_number(answer, layers, 0) is None:
        return f"{layers} layers see enough, but the first of them stands before the blocks"
    if compare_number(answer, furthest - 1, 0) is None:
        return f"that many are needed with kernel_size 3; here a layer sees {reach} rows and columns further"
    return compare_number(answer, layers - 1, 0)


CHECKERS: dict[str, Checker] = {
    "5.1": _numbers_in_tables,
    "5.2": _mask,
    "5.3": _shift_down,
    "5.4": _blind_spots,
    "5.5": _blocks,
}
