"""Keep an eye on all that a kernel has started (its memory, its processes, what it writes), and end all of it."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from lpvq.classroom.limits import Limits

_PERIOD = 0.2
_MOST_FILES = 20_000
_MOST_THREADS = 1000


class Watch(threading.Thread):
    """Looks at all that this process has started, until it is told to stop; ends all of it if it takes too much.

    Args:
        limits: what all of it together may take.
        folder: where it may write.
        too_much: called once, with what there was too much of, after everything has been ended.
    """

    def __init__(self, limits: Limits, folder: Path, too_much: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self.limits, self.folder, self.too_much = limits, folder, too_much
        self.ended = threading.Event()

    def run(self) -> None:
        """Look, again and again."""
        turn = 0
        while not self.ended.wait(_PERIOD):
            found = self._excess(turn)
            if found:
                end_all()
                self.too_much(found)
                return
            turn += 1

    def _excess(self, turn: int) -> str | None:
        processes = psutil.Process().children(recursive=True)
        if len(processes) > self.limits.processes:
            return f"more than {self.limits.processes} processes at a time"
        if sum(_about(process, "Threads") for process in processes) > _MOST_THREADS:
            return f"more than {_MOST_THREADS} threads at a time"
        most = self.limits.memory * 5 // 4
        held = sum(_about(process, "RssAnon") + _about(process, "RssShmem") for process in processes) * 1024
        held += sum(_nameless(process) for process in processes)
        if held > most and sum(map(_share, processes)) + sum(map(_nameless, processes)) > most:
            return f"more than {most / 2**30:.1f} GiB of memory in all"
        if turn % 5 == 0 and _written(self.folder) > self.limits.disk:
            return f"more than {self.limits.disk / 2**20:.0f} MiB of files"
        return None


def end_all(root: psutil.Process | None = None) -> None:
    """End all that a process, this one by default, has started, and what that started; wait until it is gone."""
    root = root or psutil.Process()
    end = time.monotonic() + 5  # for what forks faster than it can be killed
    while time.monotonic() < end:
        try:
            processes = root.children(recursive=True)
        except psutil.Error:
            return
        living = [process for process in processes if _lives(process)]
        if not living:
            return
        for process in living:
            try:
                process.kill()
            except psutil.Error:
                continue
        psutil.wait_procs(living, timeout=0.5)


def processor_seconds() -> float:
    """Return the seconds that all that this process has started has had a processor."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def is_machine_busy() -> bool:
    """Return whether more wants to run than there are processors."""
    return psutil.getloadavg()[0] > (psutil.cpu_count() or 1)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _about(process: psutil.Process, name: str) -> int:
    """A number from ``/proc/PID/status``; 0 where there is none."""
    try:
        for line in Path(f"/proc/{process.pid}/status").read_text(errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return 0


def _share(process: psutil.Process) -> int:
    """A process's memory in bytes, what it shares divided among those who share it."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return 0


def _nameless(process: psutil.Process) -> int:
    """The bytes of nameless files in memory, which count as nobody's memory."""
    total = 0
    try:
        for entry in os.scandir(f"/proc/{process.pid}/fd"):
            if os.readlink(entry.path).startswith("/memfd:"):
                total += os.stat(entry.path).st_blocks * 512
    except OSError:
        pass
    return total


def _written(folder: Path) -> int:
    """The bytes of all files below a folder; beyond any limit where there are too many files to count."""
    total = count = 0
    for here, _, names in os.walk(folder):
        for name in names:
            count += 1
            try:
                total += os.lstat(os.path.join(here, name)).st_blocks * 512
            except OSError:
                continue
        if count > _MOST_FILES:
            return 2**63
    return total
