"""What the models refuse, and what they take for a tensor of whole numbers."""

import math
import operator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lpvq.errors import InputError

ArrayLike = Tensor | npt.ArrayLike
"""A tensor, or what numpy makes an array of: numbers, lists of them, lists of lists, an array."""


def is_recorded(tensor: Tensor) -> bool:
    """Whether what is done with ``tensor`` is only written down now and done later: values cannot be looked at.

    ``torch.compile`` does that, and so does a GPU whose kernels are recorded, see ``lpvq.models.cuda_graphs``.
    """
    return torch.compiler.is_compiling() or (tensor.is_cuda and torch.cuda.is_current_stream_capturing())


def check_tensor(name: str, value: Any) -> None:
    """Raise ``InputError`` unless ``value`` is a tensor; ``name`` says what to call it."""
    if not isinstance(value, Tensor):
        raise InputError(f"{name} must be a tensor, got {type(value).__name__}: torch.as_tensor makes one of numbers")


def check_vectors(z: Tensor, code_dim: int) -> None:
    """Raise ``InputError`` unless ``z`` is (B, ``code_dim``, H, W), real, finite and not empty."""
    check_tensor("the vectors to quantize", z)
    if is_recorded(z):
        return
    if z.ndim != 4 or z.shape[1] != code_dim:
        raise InputError(f"expected vectors of shape (B, {code_dim}, H, W), got {tuple(z.shape)}")
    if z.numel() == 0:
        raise InputError(f"expected at least one vector, got none: the shape is {tuple(z.shape)}")
    if z.is_complex():
        raise InputError(f"the vectors to quantize must be real, got {z.dtype}")
    lowest, highest = z.detach().aminmax()
    if not (lowest.isfinite() & highest.isfinite()):
        raise InputError("the vectors to quantize hold NaN or infinity: check the images, lower the learning rate")


def check_codes(codes: Tensor, num_codes: int) -> None:
    """Raise ``InputError`` unless ``codes`` are int64 and all in 0 … ``num_codes`` − 1."""
    check_tensor("codes", codes)
    if is_recorded(codes):
        return
    if codes.dtype != torch.int64:
        raise InputError(f"codes must be int64, got {codes.dtype}")
    if codes.numel() == 0:
        return
    lowest, highest = (int(bound) for bound in codes.aminmax())
    if lowest < 0 or highest >= num_codes:
        raise InputError(f"codes must be in 0 … {num_codes - 1}, got {lowest} … {highest}")


def int64_tensor(name: str, values: ArrayLike, device: torch.device) -> Tensor:
    """Return ``values`` as an int64 tensor of the same shape on ``device``; as they are, if they are one already.

    Args:
        name: what to call them in an error.
        values: whole numbers of any integer type. Where there are none, the type does not matter: [] is a list of
            floats to numpy, and ``torch.empty(2, 0)`` a tensor of floats.
        device: where they are needed.

    Raises:
        InputError: booleans, floats, or something that is not an array of numbers at all.
    """
    tensor = values if isinstance(values, Tensor) else _from_numpy(name, values)
    if (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool) and tensor.numel():
        raise InputError(f"{name} must be whole numbers (int64), got {tensor.dtype}")
    return tensor.to(device, torch.int64)


def bool_tensor(name: str, values: ArrayLike, device: torch.device) -> Tensor:
    """Return ``values`` as a tensor of the same shape on ``device``.

    Args:
        name: what to call them in an error.
        values: booleans.
        device: where they are needed.

    Raises:
        InputError: anything but booleans.
    """
    tensor = values if isinstance(values, Tensor) else _from_numpy(name, values)
    if tensor.dtype != torch.bool:
        raise InputError(f"{name} must be bool, got {tensor.dtype}")
    return tensor.to(device)


def _from_numpy(name: str, values: npt.ArrayLike) -> Tensor:
    """A tensor of what numpy makes of ``values``; integers as int64, since torch does not know all types of numpy."""
    try:
        array = np.asarray(values)
        return torch.from_numpy(array.astype(np.int64) if array.dtype.kind in "iu" else array.copy())
    except (TypeError, ValueError, RuntimeError) as error:  # texts, None, lists of unequal lengths
        raise InputError(f"{name} must be a tensor or an array of numbers, got {values!r:.80}") from error


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """Return ``value`` as an int.

    Args:
        name: what to call it in an error.
        value: an int or an integer of numpy or torch.
        least: the smallest that makes sense.

    Raises:
        InputError: a bool, a float, a smaller number, or no number.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise InputError(f"{name} must be a whole number and at least {least}, got {value!r}")
    return number


def real_number(name: str, value: Any) -> float:
    """Return ``value`` as a float; NaN and infinity are floats too.

    Args:
        name: what to call it in an error.
        value: an int, a float, or a single number of numpy or torch.

    Raises:
        InputError: a bool, a text, or anything else that is not a number.
    """
    try:
        if isinstance(value, bool | str | bytes):
            raise TypeError("not meant as a number")
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InputError(f"{name} must be a number, got {value!r}") from error


def not_negative(name: str, value: Any) -> float:
    """Return ``value``, such as the weight of a term of a loss, as a float.

    Args:
        name: what to call it in an error.
        value: an int, a float, or a single number of numpy or torch.

    Raises:
        InputError: a negative number, NaN, infinity, or no number.
    """
    number = real_number(name, value)
    if not 0 <= number < math.inf:
        raise InputError(f"{name} must be at least 0 and finite, got {number:g}")
    return number
