"""Several processes that do the work of one: torch.distributed, started by ``torchrun``, and an order to add up in.

A sum of floats depends on its order, so what several processes add up is cut into the same parts whatever their number,
and the parts are added in pairs, pairs of pairs, and so on. Each process adds up its own parts, which make a whole
branch of that tree, and the branches of all processes are added the same way: the last bit is the same for 1, 2 or 4.

Nothing here talks to other processes except within ``together``: a function that shares out its work waits for all
others to call it too, and somebody who has started processes for another purpose calls it in one of them alone. Outside
``together``, every function does what it would do in a plain process.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from enum import Enum
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from lpvq.errors import InputError, ProcessLostError

Item = TypeVar("Item")
Result = TypeVar("Result")

_ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # what torchrun sets
_USUAL_SHARDS = 4
_ITEMS_AT_ONCE = 8  # per process, between two exchanges of results: what is found is never in memory twice
_SMALL = 2**16  # numbers that are sent to all as they are: to share out their sum would take longer
# How long a process waits for the others: the first one may be drawing pictures or reading a large folder.
_PATIENCE = timedelta(minutes=30)


class _State(Enum):
    """How a process relates to others that may be there."""

    PLAIN = "it knows of none"
    TOGETHER = "it shares out its work with them"
    APART = "it works on its share"


_state: ContextVar[_State] = ContextVar("_state", default=_State.PLAIN)
_store: dist.Store | None = None


def local_rank() -> int | None:
    """Return which of the processes of this machine this is, from 0; None where torchrun has not started it."""
    return int(os.environ["LOCAL_RANK"]) if all(name in os.environ for name in _ENVIRONMENT) else None


def usual_shards() -> int:
    """Return how many shards a batch is cut into unless told otherwise: one, or several under torchrun."""
    return 1 if local_rank() is None else _USUAL_SHARDS


def count() -> int:
    """Return how many processes share out the work that is done now; 1 where it is not shared out."""
    return dist.get_world_size() if _state.get() is _State.TOGETHER else 1


def rank() -> int:
    """Return which of ``count`` processes this is, from 0."""
    return dist.get_rank() if _state.get() is _State.TOGETHER else 0


def is_first() -> bool:
    """Whether this is the process that writes, prints and shows progress, as a plain one does."""
    return _state.get() is _State.PLAIN or dist.get_rank() == 0


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """While this lasts, be one of the processes that torchrun has started; in a plain process, do nothing.

    Args:
        device: that this process computes on: gloo is for CPUs, nccl for GPUs, each with one of its own.

    Raises:
        InputError: a device that torch.distributed cannot send from.
        ProcessLostError: the others cannot be reached.
    """
    global _store
    if local_rank() is None or int(os.environ["WORLD_SIZE"]) == 1:
        yield
        return
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"several processes compute on cpu or cuda, not on {device.type}: say --device cpu")
    backend = "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    with _reaching_others():
        store, position, number = next(iter(dist.rendezvous("env://", timeout=_PATIENCE)))
        # torchrun's store outlives what it starts again: the addresses of those that have ended are still in it.
        _store = dist.PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        dist.init_process_group(backend, store=_store, rank=position, world_size=number, timeout=_PATIENCE)
    with together():
        yield
    # Not after an error: the others may wait for this process, and it for them.
    dist.destroy_process_group()


@contextmanager
def together() -> Iterator[None]:
    """While this lasts, share out work with any other processes: all have to call the same functions."""
    there = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    with _being(_State.TOGETHER if there else _State.PLAIN):
        yield


@contextmanager
def _being(state: _State) -> Iterator[None]:
    token = _state.set(state)
    try:
        yield
    finally:
        _state.reset(token)


@contextmanager
def _reaching_others() -> Iterator[None]:
    """Say in plain words that another process is gone: gloo and nccl name a socket or a kernel."""
    try:
        yield
    except RuntimeError as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        reason = re.sub(r"^\[\S*\] ", "", line).split(". ")[0]  # without gloo's own file, and what it supposes
        raise ProcessLostError(f"another process has ended or cannot be reached any more ({reason})") from error


def is_first_to_fail() -> bool:
    """Whether no other process has asked this before: of several that end, one says why."""
    if _store is None:
        return True
    try:
        return _store.add("lpvq failed", 1) == 1
    except RuntimeError:  # whoever holds the count is gone
        return os.environ["RANK"] == "0"


def from_first(function: Callable[[], Result]) -> Result:
    """Return what ``function`` returns in the first process, in all of them; it is called in that one alone.

    Args:
        function: reads, writes or decides something. It must not share out work. What it returns is pickled.

    Raises:
        InputError: the first process raised it.
    """
    if count() == 1:
        return function()
    found: list[Any] = [None, None]
    if is_first():
        try:
            with _being(_State.APART):
                found[0] = function()
        except InputError as error:
            found[1] = error
    with _reaching_others():
        dist.broadcast_object_list(found)
    if found[1] is not None:
        raise found[1]
    return found[0]


def from_all(value: Item) -> list[Item]:
    """Return the ``value`` of each process, in their order; by then all have come this far."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    with _reaching_others():
        dist.all_gather_object(values, value)
    return values


def in_order(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    watched: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> Iterator[Result]:
    """Give ``function(item)`` for each item, in order, whichever process has computed it.

    All processes need all results, and have to ask for all of them.

    Args:
        function: returns numbers, or tensors on the CPU that are no part of larger ones: results are pickled.
        items: the same in all processes.
        watched: wraps what is looped over, in a progress bar.
    """
    number = count()
    if number == 1:
        yield from map(function, watched(items))
        return
    step = number * _ITEMS_AT_ONCE
    for some in watched([items[first : first + step] for first in range(0, len(items), step)]):
        bounds = [len(some) * process // number for process in (rank(), rank() + 1)]
        with _being(_State.APART):
            found = [function(item) for item in some[slice(*bounds)]]
        for results in from_all(found):
            yield from results


def sum_in_order(parts: Iterable[Tensor], fast: bool = False) -> Tensor:
    """Return the sum of the parts of all processes; the same, to the last bit, however many share them.

    Args:
        parts: of this process, of one shape; their number is a power of two, and the same in all processes.
        fast: let torch.distributed choose the order: about half the time, but different last bits.
    """
    total = _in_pairs(parts)
    if count() == 1:
        return total
    with _reaching_others():
        return _fast_sum(total) if fast else _sum_of_all(total.flatten()).view(total.shape)


def _in_pairs(parts: Iterable[Tensor]) -> Tensor:
    """Add up parts in pairs, pairs of pairs and so on, as they come: few are in memory at a time."""
    waiting: list[tuple[int, Tensor]] = []  # sums, and of how many parts they are
    for part in parts:
        size = 1
        while waiting and waiting[-1][0] == size:
            part = waiting.pop()[1] + part
            size *= 2
        waiting.append((size, part))
    if len(waiting) != 1:
        raise ValueError("the number of parts must be a power of two")
    return waiting[0][1]


def _fast_sum(mine: Tensor) -> Tensor:
    """The sum of the tensors of all processes, in place, in whatever order."""
    dist.all_reduce(mine)
    return mine


def _sum_of_all(mine: Tensor) -> Tensor:
    """The sum of a vector of each process, (n,): each adds up a share of it for all."""
    number, length = count(), len(mine)
    if length <= _SMALL:
        all_of_them = mine.new_empty(number * length)
        dist.all_gather_into_tensor(all_of_them, mine)
        return _in_pairs(all_of_them.view(number, length))
    padded = F.pad(mine, (0, -length % number))
    received = torch.empty_like(padded)
    dist.all_to_all_single(received, padded)
    dist.all_gather_into_tensor(padded, _in_pairs(received.view(number, -1)))
    return padded[:length]
