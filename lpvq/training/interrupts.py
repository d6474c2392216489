"""Ctrl-C, and a system that wants the process to end, while a model is trained."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
_Handler = Callable[[int, FrameType | None], Any] | int | None


class Stopped(KeyboardInterrupt):
    """A training that the user has stopped between two steps. A notebook shows these words, and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class StopRequest:
    """Whether a signal has come that should stop what is running; if so, calling this stops it."""

    def __init__(self) -> None:
        self._signal: int | None = None
        self._handler: _Handler = None

    def note(self, number: int, handler: _Handler) -> None:
        """Remember that a signal has come, and what would have handled it."""
        self._signal, self._handler = number, handler

    def is_set(self) -> bool:
        """Whether to stop."""
        return self._signal is not None

    def __call__(self) -> None:
        """Do what the signal that has come asks for, or nothing if none has come.

        Raises:
            KeyboardInterrupt: after Ctrl-C.
            SystemExit: after SIGTERM or SIGHUP, with the status 128 + signal, as shells have it.
        """
        if self._signal is None:
            return
        if callable(self._handler):
            self._handler(self._signal, None)  # Python's own raises KeyboardInterrupt after Ctrl-C
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self._signal)


@contextmanager
def stop_requests(names: Sequence[str] = _STOPPING) -> Iterator[StopRequest]:
    """Make signals wait: Ctrl-C (SIGINT), SIGTERM as schedulers send it, SIGHUP when a terminal is closed.

    Stopped in the middle of a step, weights would be half updated. So the loop asks between steps. A second signal of
    the same kind does what it would do without this. Signals that are ignored (``nohup``) stay so. Only the main
    thread gets any.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    kinds = [getattr(signal, name) for name in names if hasattr(signal, name)]
    previous: dict[int, _Handler] = {kind: signal.getsignal(kind) for kind in kinds}

    def note(number: int, frame: FrameType | None) -> None:
        request.note(number, previous[number])
        signal.signal(number, previous[number])

    for kind, handler in previous.items():
        if handler not in (signal.SIG_IGN, None):  # None: one that was not installed from Python
            signal.signal(kind, note)
    try:
        yield request
    finally:
        for kind, handler in previous.items():
            if signal.getsignal(kind) is note:  # what a handler has installed by now stays
                signal.signal(kind, handler)
