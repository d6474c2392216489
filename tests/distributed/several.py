"""Functions run in several processes at once, as torchrun starts them, without the seconds that torchrun takes."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.distributed as dist

from lpvq import distributed
from processes import Finished, Running


def in_processes(number: int, function: Callable, *arguments: Any, starts: int = 1) -> list[Finished]:
    """Call a function of a module in so many processes, and wait for the end of all; start them so often anew."""
    # As torchrun does, so that what the processes tell each other is there for as long as any of them lives.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    for start in range(starts):
        running = [Running(_call, start, rank, number, store.port, function, arguments) for rank in range(number)]
        finished = [process.finish() for process in running]
    return finished


def results_of(number: int, function: Callable, *arguments: Any, starts: int = 1) -> list[Any]:
    """Return what the function returned in each process; none of them may have failed."""
    finished = in_processes(number, function, *arguments, starts=starts)
    assert all(one.status == 0 for one in finished), [one.err for one in finished]
    return [one.result for one in finished]


def joined() -> AbstractContextManager[None]:
    """Be one of the processes meanwhile."""
    return distributed.joined(torch.device("cpu"))


def _call(start: int, rank: int, number: int, port: int, function: Callable, arguments: tuple[Any, ...]) -> Any:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": number, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    place["TORCHELASTIC_RESTART_COUNT"] = start
    os.environ.update({name: str(value) for name, value in place.items()}, TORCHELASTIC_USE_AGENT_STORE="True")
    return function(*arguments)
