"""What the data refuse: impossible numbers, tensors that do not fit, more images than the memory holds."""

import operator
import os
from typing import Any

import torch
from torch import Tensor

from lpvq.errors import InputError


def check_whole(what: str, value: Any, least: int, most: int | None = None) -> int:
    """Return a whole number as an int, whether it is Python's, numpy's or a tensor of one.

    Args:
        what: its name, for the message.
        value: the number; fractions, texts and booleans are refused.
        least: the smallest that is allowed.
        most: the largest that is allowed; None for no bound.

    Raises:
        InputError: it is not a whole number, or out of bounds.
    """
    number = _as_int(value)
    if number is None:
        raise InputError(f"{what} must be a whole number, got {value!r}")
    if number < least:
        raise InputError(f"{what} must be at least {least}, got {number}")
    if most is not None and number > most:
        raise InputError(f"{what} must be at most {most}, got {number}")
    return number


def check_index(index: Any, length: int) -> int:
    """Return an index into a set as an int, −``length`` … ``length`` − 1.

    Raises:
        InputError: it is not a whole number.
        IndexError: there is nothing at this index, which is how Python ends a loop over a set.
    """
    number = _as_int(index)
    if number is None:
        raise InputError(
            f"a set is indexed by a whole number or a slice, got {index!r}; "
            "for others use torch.utils.data.Subset(data, indices)"
        )
    if not -length <= number < length:
        raise IndexError(f"index {number} is out of range for a set of {length}")
    return number


def _as_int(value: Any) -> int | None:
    """Return a whole number as an int; None for all else, booleans included."""
    if isinstance(value, bool) or (isinstance(value, Tensor) and value.dtype == torch.bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def check_tensor(what: str, value: Any, dtype: torch.dtype, axes: str) -> None:
    """Raise ``InputError`` unless ``value`` is a tensor on the CPU, of this type, with these axes.

    Args:
        what: its name, for the message.
        value: what should be a tensor.
        dtype: its type.
        axes: a letter for each axis, such as ``"NCHW"``.
    """
    shape = f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
    expected = f"{what} must be a tensor of {dtype} and shape {shape} on the CPU"
    if not isinstance(value, Tensor):
        raise InputError(f"{expected}, got a {type(value).__name__}")
    if value.dtype != dtype or value.ndim != len(axes) or value.device.type != "cpu":
        raise InputError(f"{expected}, got {value.dtype} and {tuple(value.shape)} on {value.device}")


def check_labels(labels: Any, class_names: Any, number: int, what: str) -> None:
    """Raise ``InputError`` unless each item of a set has a label, and each label a name.

    Args:
        labels: int64 (N,), indices into ``class_names``.
        class_names: a tuple of texts.
        number: N.
        what: "images" or "grids", for the message.
    """
    check_tensor("labels", labels, torch.int64, "N")
    if len(labels) != number:
        raise InputError(f"expected as many labels as {what}, got {len(labels)} labels for {number} {what}")
    if not isinstance(class_names, tuple) or not all(isinstance(name, str) for name in class_names):
        raise InputError(f"class_names must be a tuple of texts, got {class_names!r}")
    lowest, highest = (int(bound) for bound in labels.aminmax())
    if lowest < 0 or highest >= len(class_names):
        raise InputError(
            f"labels must be in 0 … {len(class_names) - 1}, an index into the {len(class_names)} class names, "
            f"got {lowest} … {highest}"
        )


def check_memory(number: int, channels: int, size: int) -> None:
    """Raise ``InputError`` where the images of a set, a byte for each value, are more than the machine's memory."""
    needed, there = number * channels * size**2, memory()
    if needed > there:
        raise InputError(
            f"{number} images of {size} × {size} pixels need {needed / 2**30:.1f} GiB of memory, and this machine has "
            f"{there / 2**30:.1f}: choose a smaller size, or fewer images with limit"
        )


def memory() -> int:
    """Return the bytes of memory that this machine has; where the system does not say, more than any set needs."""
    if not hasattr(os, "sysconf"):
        return 2**63
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
