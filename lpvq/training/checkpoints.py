"""The state of a training on disk: whole, checked, and of the run that goes on from it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from lpvq.errors import InputError
from lpvq.files import read_tensors, write_tensors


class OtherDataError(InputError):
    """A checkpoint is of the same run, but what it learned from has changed since."""


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training, atomically, with a checksum of itself."""
    write_tensors(path, state, checked=True)


def read_checkpoint(path: Path, identity: dict[str, Any], steps: int) -> dict[str, Any]:
    """Read what ``write_checkpoint`` wrote.

    Args:
        path: of the checkpoint.
        identity: of the run that wants to go on from it.
        steps: of that run.

    Raises:
        OtherDataError: the run is the same but for its data.
        InputError: the file is damaged, none of ours, or of another run.
    """
    state = read_tensors(path, checked=True)
    if not isinstance(state, dict) or not isinstance(state.get("identity"), dict):
        raise InputError(f"{path} is no checkpoint of a training run: delete it to start anew")
    there = state["identity"]
    other = [name for name in {**identity, **there} if there.get(name) != identity.get(name)]
    if other == ["data_sha256"]:
        raise OtherDataError(f"{path} belongs to a training on other data")
    if other:
        differences = ", ".join(f"{name} was {there.get(name)!r}, is {identity.get(name)!r}" for name in other)
        raise InputError(f"{path} belongs to another run ({differences}): delete it to start anew")
    wrong = [name for name, is_right in _FIELDS.items() if not is_right(state.get(name))]
    if wrong or not state["step"] <= steps:
        raise InputError(
            f"{path} holds no state that a training of {steps} steps can be in "
            f"({', '.join(wrong or ['step'])}): delete it to start anew"
        )
    return state


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_record(value: Any) -> bool:
    numbers = ("step", "train_loss", "valid_loss", "seconds", "threads")
    return (
        isinstance(value, dict)
        and all(_is_number(value.get(name)) for name in numbers)
        and value.get("precision") in ("float32", "bfloat16")
    )


def _is_weights(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(tensor, Tensor) for tensor in value.values())


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "precision": lambda value: value in ("float32", "bfloat16"),
    "step": _is_count,
    "seconds": lambda value: _is_number(value) and 0 <= value < math.inf,
    "history": lambda value: isinstance(value, list) and all(map(_is_record, value)),
    "losses": lambda value: isinstance(value, list) and all(map(_is_number, value)),
    "best_loss": _is_number,
    "best_weights": _is_weights,
    "model": _is_weights,
    "optimizer": lambda value: isinstance(value, dict),
}
"""For each field of a checkpoint, what its value has to be."""
