"""Ctrl-C, and a system that wants the process to end, while a model is trained."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class StopRequest:
    """Whether a signal has come; called, it stops what is running if one has."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def is_set(self) -> bool:
        """Whether to stop."""
        return self.signal is not None

    def __call__(self) -> None:
        """Raise ``KeyboardInterrupt`` after Ctrl-C, ``SystemExit`` after SIGTERM or SIGHUP; nothing otherwise."""
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)  # as shells count


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Have signals wait: Ctrl-C (SIGINT), SIGTERM as schedulers send it, SIGHUP of a terminal that is closed.

    Stopped in the middle of a step, weights would be half updated. So the loop asks between steps. A second signal of
    the same kind does what it would do without this. Signals that are ignored (``nohup``) stay so. Only the main
    thread gets any.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {kind: signal.getsignal(kind) for kind in _STOPPING}

    def note(kind: int, frame: FrameType | None) -> None:
        request.signal = kind
        signal.signal(kind, previous[signal.Signals(kind)])

    for kind, handler in previous.items():
        if handler not in (signal.SIG_IGN, None):
            signal.signal(kind, note)
    try:
        yield request
    finally:
        for kind, handler in previous.items():
            if handler is not None:
                signal.signal(kind, handler)
