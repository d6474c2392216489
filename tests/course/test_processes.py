"""Processes that a notebook starts: its functions reach them, and whatever happens to one of them ends all."""

import os
import signal
from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist

from lpvq import InputError, course


@pytest.fixture(scope="module")
def two() -> Iterator[course.Processes]:
    processes = course.Processes(2)
    yield processes
    processes.close()


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_functions_and_what_they_need_reach_all_processes(two: course.Processes) -> None:
    step = torch.tensor([1.0, 10.0])

    def twice(values: torch.Tensor) -> torch.Tensor:
        return 2 * values

    def add_up(values: torch.Tensor) -> tuple[int, int, int, torch.Tensor]:
        print("what a function prints must not get among the answers")
        mine = twice(values) + dist.get_rank() * step
        dist.all_reduce(mine)
        return dist.get_rank(), dist.get_world_size(), torch.get_num_threads(), mine

    zero, one = two.run(add_up, torch.ones(2))
    assert (zero[:3], one[:3]) == ((0, 2, 1), (1, 2, 1))
    assert zero[3].tolist() == one[3].tolist() == [5, 14]


def test_what_fails_first_is_what_is_said(two: course.Processes) -> None:
    def fail() -> None:
        if dist.get_rank() == 1:
            raise ValueError("no entry 7")
        dist.barrier()  # waits for a process that does not come

    running = two.run(lambda: os.getpid())
    with pytest.raises(RuntimeError, match="ValueError: no entry 7"):
        two.run(fail)
    assert not any(map(is_there, running))
    assert two.run(dist.get_rank) == [0, 1]  # of others, which have been started


def test_others_are_started_and_end_when_one_is_killed(two: course.Processes) -> None:
    running = two.run(lambda: os.getpid())
    with pytest.raises(RuntimeError, match="process 1 has ended"):
        two.run(lambda: os.kill(os.getpid(), signal.SIGKILL) if dist.get_rank() == 1 else dist.barrier())
    assert not any(map(is_there, running))
    two.close()  # there is nothing left to end


def test_whoever_is_interrupted_ends_them() -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)  # the stop button means the kernel, so this does nothing
        os.kill(os.getppid(), signal.SIGINT)
        signal.pause()

    one = course.Processes(1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        running = one.run(os.getpid)
        with pytest.raises(KeyboardInterrupt):
            one.run(interrupt)
        assert not any(map(is_there, running))
    finally:
        signal.signal(signal.SIGINT, before)
        one.close()


def test_they_end_with_the_kernel() -> None:
    two = course.Processes(2)
    two.run(os.getpid)
    for process in two._running:  # as if it had ended: nobody holds these streams any more
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    two.close()


def test_there_is_one_at_least() -> None:
    with pytest.raises(InputError, match="number must be a whole number, at least 1"):
        course.Processes(0)
