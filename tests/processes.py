"""Functions run in a process of their own, without the seconds that a new interpreter needs to import torch.

One process imports everything once, computes nothing, and forks itself for each call. What is killed there is really
killed, and nothing that a function changes in its process reaches the tests.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    # Of the last two, an optimizer imports the first when it is made, and a comparison of images the second.
    ["pytest", "lpvq.cli", "lpvq.experiments.report", "torch._dynamo", "torchmetrics.functional.image"]
)


@dataclass(frozen=True)
class Finished:
    """What became of a process: its exit status, minus a signal where one killed it, and what its function returned."""

    status: int
    result: Any
    out: str
    err: str


class Running:
    """A process that has been started."""

    def __init__(self, function: Callable, *arguments: Any) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._receiver, sender = _FORKS.Pipe(duplex=False)
        self._process = _FORKS.Process(
            target=_call, args=(sender, self._folder.name, dict(os.environ), function, arguments)
        )
        self._process.start()
        sender.close()

    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.is_alive()

    def send(self, kind: int) -> None:
        """Send a signal, unless it has ended."""
        if self.is_alive():
            os.kill(self._process.pid, kind)

    def finish(self) -> Finished:
        """Wait for the end of the process."""
        try:
            result = self._receiver.recv()
        except EOFError:  # it ended before its function did
            result = None
        self._process.join()
        out, err = (
            path.read_text() if path.exists() else "" for path in (Path(self._folder.name, name) for name in _STREAMS)
        )
        self._folder.cleanup()
        return Finished(self._process.exitcode, result, out, err)


def in_new_process(function: Callable, *arguments: Any) -> Finished:
    """Call a function of a module in a process of its own, and wait for the end of it."""
    return Running(function, *arguments).finish()


_STREAMS = ("out", "err")


def _call(
    sender: Connection, folder: str, environment: dict[str, str], function: Callable, arguments: tuple[Any, ...]
) -> None:
    for number, name in enumerate(_STREAMS, 1):
        with Path(folder, name).open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(1)  # as in the tests, whatever the process that forks began with
    sender.send(function(*arguments))
