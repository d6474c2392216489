"""How many threads to compute with: the process's fair share of the machine, and no more.

Torch starts as many threads as the machine has processors, whatever the process may use, and threads that wait for each
other do not rest: they spin. Where the processors are shared (a container with a quota, other programs, a class that
trains at the same time), more threads than there are free processors make a step several times slower, not faster.

The sums in a matrix product are split among the threads, so a different number of threads changes the last bits of a
result. If you need the same weights on a busy machine, set ``OMP_NUM_THREADS``, which is never overruled.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from typing import NamedTuple

import torch

_USERS_OWN = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_DEFAULT = torch.get_num_threads()
_SECONDS = 0.1  # spent looking at what the machine does; it counts in hundredths of a second
_SURELY = 0.4  # how much of a processor has to be free beyond a whole number for one more thread: somewhat over half
_RUNNING = "lpvq-trainings"
_SPENT, _STARTED = (11, 12), 19  # columns of /proc/PROCESS/stat, counted from the state: user and system time; start


def usable_processors(root: Path = Path("/")) -> int:
    """Return how many processors this process may use: its affinity, and the quotas of its control groups.

    Args:
        root: of the file system, where ``proc`` and ``sys`` are.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(allowed, _quota(root))))


def _quota(root: Path) -> float:
    """The processors that control groups (version 1 or 2) grant this process, outer ones included; ∞: no limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return inf
    limits = [inf]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in ("", "unified") if not controllers else ("cpu", controllers):
            home = root / "sys/fs/cgroup" / mount
            below = home / path.lstrip("/")
            # In a container, the path may be the one outside it, and the group itself may be mounted at the top.
            limits += [_limit(group) for group in (home, below, *below.parents) if group.is_relative_to(home)]
    return min(limits)


def _limit(group: Path) -> float:
    """The processors that one control group grants."""
    try:
        if (group / "cpu.max").exists():
            granted, period = (group / "cpu.max").read_text().split()
        else:
            granted = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return int(granted) / int(period) if int(granted) > 0 else inf
    except (OSError, ValueError):  # there is none, or it says "max"
        return inf


class _Moment(NamedTuple):
    """What the machine has done until now.

    Attributes:
        time: in seconds.
        busy: seconds that the processors which this process may use have worked, added up.
        ours: how many of these seconds went to trainings of this project, by process.
    """

    time: float
    busy: float
    ours: dict[int, float]


class FairShare:
    """Sets torch's threads to this process's fair share of the machine, each time it is asked to.

    The share is what other programs leave of the processors that the process may use, divided by the trainings of this
    project that are at work on the machine. A number of threads that the user has set stays.
    """

    def __init__(self) -> None:
        self._before: _Moment | None = None
        self._set = torch.get_num_threads()

    def take(self, say: bool = False) -> int:
        """Set the number of threads and return it.

        Args:
            say: print a line if there are fewer threads than processors that the process may use.
        """
        if is_the_users_own() or torch.get_num_threads() not in (_DEFAULT, self._set):
            return torch.get_num_threads()
        usable = usable_processors()
        processes = sorted({os.getpid(), *_at_work()})
        elsewhere = self._busy_elsewhere(processes)
        threads = min(_DEFAULT, fair_share(usable, elsewhere, len(processes)))
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
        self._set = threads
        if say and threads < min(_DEFAULT, usable):
            print(f"computing with {threads} of {usable} processors: the others are busy", flush=True)
        elif say and usable < _DEFAULT:
            print(f"computing with {threads} threads, for as many processors as may be used here", flush=True)
        return threads

    def _busy_elsewhere(self, processes: Sequence[int]) -> float:
        """How many processors other programs have kept busy since the last call; 0 where that cannot be told."""
        before = self._before
        if before is None:
            before = _look(processes)
            time.sleep(_SECONDS)
        now = self._before = _look(processes)
        seconds = now.time - before.time
        if seconds <= 0:
            return 0.0
        ours = sum(spent - before.ours.get(process, spent) for process, spent in now.ours.items())
        return max(0.0, now.busy - before.busy - ours) / seconds


def fair_share(usable: int, busy_elsewhere: float, trainings: int) -> int:
    """Return how many threads a training should have.

    Args:
        usable: processors that it may use.
        busy_elsewhere: how many of them other programs keep busy, on average.
        trainings: of this project, this one included, that share the rest.
    """
    return max(1, int((usable - busy_elsewhere) / trainings + _SURELY))


def is_the_users_own() -> bool:
    """Whether the user has said how many threads there are to be."""
    return any(os.environ.get(name) for name in _USERS_OWN)


def _look(processes: Sequence[int]) -> _Moment:
    return _Moment(time.monotonic(), _busy_seconds(), {process: _spent_seconds(process) for process in processes})


def _busy_seconds(root: Path = Path("/")) -> float:
    """Seconds that the usable processors have worked since the machine started, added up; 0 where that is unknown."""
    try:
        lines = (root / "proc/stat").read_text().splitlines()
    except OSError:
        return 0.0
    usable = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    ticks = 0
    for line in lines:
        name, *columns = line.split()
        if name in usable:
            user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = map(int, columns[:8])
            ticks += user + system + interrupts + soft_interrupts + stolen
            # Programs of a lower priority give way, unless this one is of a lower priority itself.
            ticks += nice if os.getpriority(os.PRIO_PROCESS, 0) > 0 else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _spent_seconds(process: int, root: Path = Path("/")) -> float:
    """Seconds of processor time that a process has taken so far; 0 if it does not exist."""
    columns = _columns_of(process, root)
    return sum(int(columns[place]) for place in _SPENT) / os.sysconf("SC_CLK_TCK") if columns else 0.0


# Each training has a file that is named after its process and the moment that the process started, so that a later
# process of the same number is not taken for it. On Linux only: elsewhere nobody can be asked what the others do.


@contextmanager
def at_work() -> Iterator[FairShare]:
    """Inside, be known as a training to all others of this project on the machine; yield what gives it its share."""
    mine = _folder() / _name_of(os.getpid())
    try:
        mine.touch()
    except OSError:  # nobody will know of it, and that is all
        yield FairShare()
        return
    try:
        yield FairShare()
    finally:
        mine.unlink(missing_ok=True)


def _at_work() -> set[int]:
    """The processes of the trainings that are at work on this machine."""
    processes = set()
    for path in _folder().glob("*-*"):
        number = path.name.partition("-")[0]
        if number.isdecimal() and path.name == _name_of(int(number)):
            processes.add(int(number))
        else:  # of a process that was killed
            with suppress(OSError):
                path.unlink()
    return processes


def _name_of(process: int, root: Path = Path("/")) -> str:
    columns = _columns_of(process, root)
    return f"{process}-{columns[_STARTED] if columns else 'gone'}"


def _columns_of(process: int, root: Path) -> list[str]:
    """What Linux says about a process, from its state on; nothing about one that is not there."""
    try:
        return (root / f"proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / _RUNNING
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o1777)  # for all users, like the folder that it is in
    return folder
