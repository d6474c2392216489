"""Measure a training step with torch's own number of threads, with the fair share, and with each fixed number.

    .venv/bin/python tests/measure_threads.py

Alone on the machine; beside one and two programs that never rest; two trainings at once; and, as root on Linux, in a
control group with a quota of one processor, as if there were sixteen. It needs an otherwise idle machine and takes some
minutes. Each figure is the median of the steps of some seconds, in milliseconds.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

SECONDS = 6
GROUP = "lpvq-measured"

STEP = """
import os, sys, time
from statistics import median
import torch
from lpvq import VQVAE, threads

wish, seconds, pretended = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
if pretended:
    threads._DEFAULT = pretended
    torch.set_num_threads(pretended)
torch.manual_seed(0)
model = VQVAE(1, 128, 16, 64, decoder_blocks=4)
images = torch.rand(64, 1, 28, 28)
optimizer = torch.optim.AdamW(model.parameters(), fused=True)

def step():
    optimizer.zero_grad()
    output = model(images)
    (output.reconstruction_loss + output.quantizer_loss).backward()
    optimizer.step()

with threads.at_work() as share:
    if wish == "share":
        share.take()
    elif wish != "torch":
        torch.set_num_threads(int(wish))
    times, end, last = [], time.monotonic() + seconds, time.monotonic()
    while time.monotonic() < end:
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
        if wish == "share" and time.monotonic() - last > 1:  # as at a validation
            share.take()
            last = time.monotonic()
later = times[len(times) // 2:]
print(1000 * median(later), torch.get_num_threads())
"""
BUSY = "while True: pass"


def measure(wish: str, together: int = 1, pretended: int = 0) -> str:
    """Return the milliseconds of a step, and the threads it ended with; of several processes at once, the slowest."""
    command = [sys.executable, "-c", STEP, wish, str(SECONDS), str(pretended)]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(together)]
    results = [process.communicate()[0].split() for process in processes]
    milliseconds, threads = max((float(time), number) for time, number in results)
    return f"{milliseconds:8.0f} ({threads})"


@contextmanager
def busy(number: int) -> Iterator[None]:
    """Have so many programs at work that never rest."""
    with ExitStack() as stack:
        for _ in range(number):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
            stack.callback(process.kill)
        yield


@contextmanager
def quota_of_one() -> Iterator[None]:
    """Be in a control group that may use one processor; ``OSError`` where that cannot be set."""
    home = Path("/sys/fs/cgroup/cpu") if Path("/sys/fs/cgroup/cpu").is_dir() else Path("/sys/fs/cgroup")
    group = home / GROUP
    group.mkdir(exist_ok=True)
    if (group / "cpu.cfs_quota_us").exists():
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text("100000")
    else:
        (group / "cpu.max").write_text("100000 100000")
    try:
        (group / "cgroup.procs").write_text(str(os.getpid()))
        yield
    finally:
        (home / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


def row(name: str, **options: int) -> None:
    """Print one situation: torch's own number, the fair share, one thread, two threads."""
    cells = [measure(wish, **options) for wish in ("torch", "share", "1", "2")]
    print(f"{name:44}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def main() -> None:
    """Print the table."""
    print(f"{'a step of 64 images of 28 × 28, in ms (threads)':44}{'torch':>16}{'fair share':>16}{'1':>16}{'2':>16}")
    row("alone")
    for number in (1, 2):
        with busy(number):
            row(f"beside {number} busy program{'s' * (number > 1)}")
    row("two trainings at once, each", together=2)
    try:
        with quota_of_one():
            row("quota of one processor, as if there were 16", pretended=16)
    except OSError as error:
        print(f"no quota could be set here: {error}")


if __name__ == "__main__":
    main()
