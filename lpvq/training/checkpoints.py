"""The state of a training on disk: whole, checked, and of the run that goes on from it.

A checkpoint is a dictionary of plain values and tensors. Before any of it is used, all of it is checked: that the file
is as it was written, that it belongs to this run, and that a training of this model can be in this state.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lpvq.errors import InputError
from lpvq.files import read_tensors, write_tensors
from lpvq.training.config import TrainConfig
from lpvq.training.optimizers import Optimizer


class OtherDataError(InputError):
    """A checkpoint is of the same run, but the data that the run learned from have changed since."""


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training, atomically, with a checksum of itself.

    Args:
        path: of the checkpoint.
        state: ``identity`` (see ``config.identity_of``), ``precision``, ``step``, ``seconds``, ``history``, ``losses``
            since the last validation, ``best_weights``, the weights of the ``model`` and the state of the
            ``optimizer`` for each parameter.

    Raises:
        OSError: the disk is full or not writable; an older checkpoint is untouched.
    """
    write_tensors(path, state, checked=True)


def read_checkpoint(
    path: Path,
    identity: dict[str, Any],
    config: TrainConfig,
    weights: Mapping[str, Tensor],
    optimizer: Optimizer,
) -> dict[str, Any]:
    """Read what ``write_checkpoint`` wrote, and check all of it.

    Args:
        path: of the checkpoint.
        identity: of the run that wants to go on from it.
        config: of that run.
        weights: the state dict of its model; those of the checkpoint have to be of the same shapes and types.
        optimizer: of that run; what the checkpoint holds has to be what this one keeps.

    Raises:
        OtherDataError: the run is the same except for its data.
        InputError: the file is damaged, not one of ours, of another run, or holds what cannot be a state of this run.
    """
    state = _read(path, identity)
    wrong = [name for name, is_right in _FIELDS.items() if not is_right(state.get(name))]
    wrong = wrong or _misfits(state, config, weights, optimizer)
    if wrong:
        raise _impossible(path, wrong)
    return state


def steps_done(path: Path, identity: dict[str, Any]) -> int:
    """Return how many steps of a run are done; 0 where there is no checkpoint.

    Args:
        path: of the checkpoint.
        identity: of the run that wants to go on from it.

    Raises:
        OtherDataError: the run is the same except for its data.
        InputError: the file is damaged, not one of ours, or of another run.
    """
    if not path.exists():
        return 0
    step = _read(path, identity).get("step")
    if isinstance(step, int) and _is_count(step):
        return step
    raise _impossible(path, ["step"])


def _read(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """What the file holds, if it is of the run that ``identity`` says."""
    state = read_tensors(path, checked=True)
    there = state.get("identity") if isinstance(state, dict) else None
    if not isinstance(there, dict) or not _is_json(there):
        raise InputError(f"{path} is not a checkpoint of a training: delete it to start anew")
    other = [name for name in {**identity, **there} if there.get(name) != identity.get(name)]
    if other == ["data_sha256"]:
        raise OtherDataError(f"{path} belongs to a training on other data: delete it to start anew")
    if other:
        shown = [name for name in other if name != "data_sha256"]
        differences = ", ".join(f"{name} was {there.get(name)!r}, is {identity.get(name)!r}" for name in shown)
        raise InputError(f"{path} belongs to another run ({differences}): delete it to start anew")
    return state


def _impossible(path: Path, wrong: Sequence[str]) -> InputError:
    return InputError(
        f"{path} holds a state that this training cannot be in (wrong: {', '.join(wrong)}): delete it to start anew"
    )


def _misfits(
    state: dict[str, Any], config: TrainConfig, weights: Mapping[str, Tensor], optimizer: Optimizer
) -> list[str]:
    """The fields that are well formed but do not fit the others, the settings or the model."""
    step = state["step"]
    if step > config.steps:
        return ["step"]
    validated = [done + 1 for done in range(step) if config.validates_after(done)]
    since = step - (validated[-1] if validated else 0)
    fits = {
        "history": [record["step"] for record in state["history"]] == validated,
        "losses": len(state["losses"]) == since,
        "best_weights": _fit(state.get("best_weights"), weights if validated else {}),
        "model": _fit(state.get("model"), weights),
        "optimizer": _fits_optimizer(state.get("optimizer"), optimizer),
    }
    return [name for name, is_right in fits.items() if not is_right]


def _fit(tensors: Any, like: Mapping[str, Tensor]) -> bool:
    """Whether ``tensors`` are a dictionary of finite tensors with the names, shapes and types of ``like``."""
    return (
        isinstance(tensors, dict)
        and tensors.keys() == like.keys()
        and all(_is_tensor_like(tensors[name], tensor) for name, tensor in like.items())
    )


def _is_tensor_like(value: Any, like: Tensor) -> bool:
    return (
        isinstance(value, Tensor)
        and (value.shape, value.dtype, value.layout) == (like.shape, like.dtype, torch.strided)
        and bool(value.isfinite().all())
    )


def _fits_optimizer(states: Any, optimizer: Optimizer) -> bool:
    """Whether ``states`` have what is kept for parameters: nothing for those that have had no gradient yet."""
    return isinstance(states, dict) and all(
        isinstance(index, int) and 0 <= index < len(optimizer.parameters) and _fit(kept, optimizer.kept_of(index))
        for index, kept in states.items()
    )


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _is_duration(value: Any) -> bool:
    return _is_finite(value) and value >= 0


def _is_precision(value: Any) -> bool:
    return isinstance(value, str) and value in ("float32", "bfloat16")


def _is_valid_loss(value: Any) -> bool:
    return _is_finite(value) or (isinstance(value, float) and math.isnan(value))


def _is_record(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == _RECORD.keys()
        and all(is_right(value[name]) for name, is_right in _RECORD.items())
    )


def _is_list_of(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_right, value))


_RECORD: dict[str, Callable[[Any], bool]] = {
    "step": _is_count,
    "train_loss": _is_finite,
    "valid_loss": _is_valid_loss,
    "seconds": _is_duration,
    "precision": _is_precision,
    "threads": _is_count,
}
"""For each field of a ``trainer.Record``, what its value has to be."""

_FIELDS: dict[str, Callable[[Any], bool]] = {
    "precision": _is_precision,
    "step": _is_count,
    "seconds": _is_duration,
    "history": _is_list_of(_is_record),
    "losses": _is_list_of(_is_finite),
}
"""For each plain field of a checkpoint, what its value has to be; ``_misfits`` looks at the tensors."""
