"""What checkers say of numbers, tensors and functions."""

from collections.abc import Callable, Mapping
from math import isnan
from typing import Any

from torch import Tensor

Checker = Callable[[Any], str | None]
"""From an answer to None where it is correct, or to what is wrong with it: half a sentence, without a full stop."""


def compare_number(
    answer: Any, expected: float, tolerance: float, slips: Mapping[float, str] | None = None
) -> str | None:
    """Compare a number, or a tensor or an array that holds one, with the right one.

    ``slips`` are numbers that typical mistakes lead to, and what is to be said of each.
    """
    try:
        answer = float(answer.detach() if isinstance(answer, Tensor) else answer)
    except (TypeError, ValueError, RuntimeError):
        return f"expected a number, got {type(answer).__name__}"
    if isnan(answer):
        return "it is not a number (NaN)"
    difference = answer - expected
    if abs(difference) <= tolerance:
        return None
    for wrong, why in (slips or {}).items():
        if abs(answer - wrong) <= tolerance:
            return why
    return f"{answer:g} is too {'large' if difference > 0 else 'small'} by {abs(difference):.3g}"


def compare_tensor(answer: Any, expected: Tensor, tolerance: float = 1e-5) -> str | None:
    """Compare a tensor with the right one: its shape, then its values."""
    if not isinstance(answer, Tensor):
        return f"expected a tensor, got {type(answer).__name__}"
    if answer.shape != expected.shape:
        return f"expected the shape {tuple(expected.shape)}, got {tuple(answer.shape)}"
    if answer.double().isnan().any():
        return "some of it is not a number (NaN)"
    difference = (answer.double() - expected.double()).abs().max().item()
    return None if difference <= tolerance else f"the largest difference to the right values is {difference:.3g}"
