"""Several processes that a notebook starts: they call its functions, and torch.distributed connects them.

What torchrun does for a program, this does for a function: each process has a rank, and all of them call the same
function. A notebook's functions are in no file that a new process could import, so they are sent to it.
"""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from lpvq.environment import needs_extra
from lpvq.training.config import whole_number

Result = TypeVar("Result")

_PROGRAM = os.fspath(Path(__file__).with_name("one_of_several.py"))
# All of them are on this machine, so they need not find its name in a network, nor be let through a firewall.
_HOME = {"linux": "lo", "darwin": "lo0"}


class Processes:
    """Processes of Python with one thread each, which call the functions of a notebook together.

    The first call starts them, which takes as many seconds as importing torch, and they wait for the next call until
    ``close``. They also end with whoever started them.

    Args:
        number: how many.

    Raises:
        InputError: fewer than one.
    """

    def __init__(self, number: int) -> None:
        self.number = whole_number("number", number, 1)
        self._running: list[subprocess.Popen[bytes]] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def run(self, function: Callable[..., Result], *arguments: Any) -> list[Result]:
        """Call ``function(*arguments)`` in each process, and return what they return, in the order of their ranks.

        What the function needs from the notebook (other functions, classes, values) goes with it as it is now.
        ``torch.distributed`` is initialised in the processes. Nothing that they print is shown.

        Raises:
            RuntimeError: the function has failed in a process. All of them are ended, and the next call starts others.
        """
        with needs_extra("notebooks"):
            import cloudpickle
        job = cloudpickle.dumps((function, arguments))
        if not self._running:
            self._start()
        try:
            answers = self._ask(job)
            failed = [answer for answer in answers if not answer[0]]
            if failed:  # the one that failed first: the others have lost it
                raise RuntimeError(min(failed, key=lambda answer: answer[1])[2])
        except BaseException:
            self.close()
            raise
        return [result for _, _, result in answers]

    def close(self) -> None:
        """End the processes, whatever they do."""
        for process in self._running:
            process.kill()  # it holds nothing that could be lost
            process.wait()
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):  # what was not sent yet cannot be sent any more
                    cast(BinaryIO, stream).close()
        self._running = []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        meeting = os.path.join(self._folder.name, "meeting")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # as torchrun sets it
        if sys.platform in _HOME:
            environment.setdefault("GLOO_SOCKET_IFNAME", _HOME[sys.platform])
        for rank in range(self.number):
            command = [sys.executable, "-P", _PROGRAM, meeting, str(rank), str(self.number)]
            self._running.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            )

    def _ask(self, job: bytes) -> list[tuple[bool, float, Any]]:
        """Whether the function has returned in each process, when, and what; or what it failed with."""
        answers = []
        for rank, process in enumerate(self._running):
            with _still_there(rank):
                pickle.dump(job, cast(BinaryIO, process.stdin))
                cast(BinaryIO, process.stdin).flush()
        for rank, process in enumerate(self._running):
            with _still_there(rank):
                answers.append(pickle.load(cast(BinaryIO, process.stdout)))
        return answers


@contextmanager
def _still_there(rank: int) -> Iterator[None]:
    """Say in plain words that a process is gone."""
    try:
        yield
    except (EOFError, OSError) as error:
        raise RuntimeError(f"process {rank} has ended before it was done") from error
