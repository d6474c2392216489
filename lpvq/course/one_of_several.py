"""What each of ``Processes`` does: ``python -P one_of_several.py MEETING RANK NUMBER``.

It reads jobs from its standard input, and writes an answer to each to its standard output, until there are no more. It
is run as a file, and imports nothing of the course, which takes longer to import than a small job takes.
"""

import os
import pickle
import signal
import sys
import time
import traceback
from datetime import timedelta
from typing import BinaryIO

import cloudpickle
import torch
import torch.distributed as dist

_PATIENCE = timedelta(seconds=60)  # then a process stops waiting for another one, which may never come


def main(meeting: str, rank: int, number: int) -> None:
    """Meet the other processes at a file, and do one job after the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the stop button of a notebook means the kernel, which ends this
    jobs, answers = _own_streams()
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", store=dist.FileStore(meeting, number), rank=rank, world_size=number, timeout=_PATIENCE
    )
    while True:
        try:
            job = pickle.load(jobs)
        except EOFError:  # closed, or whoever started this is gone
            break
        is_done, answer = _do(job)
        answers.write(answer)
        answers.flush()
        if not is_done:  # the others may be waiting for this process, and hear at once that it is gone
            os._exit(1)


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """The standard input and output, which functions and libraries cannot get at any more."""
    streams = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nothing, number)
    return streams


def _do(job: bytes) -> tuple[bool, bytes]:
    """Whether a job's function has returned; and the answer: whether it has, when, and the result or the traceback."""
    try:
        function, arguments = pickle.loads(job)
        return True, cloudpickle.dumps((True, time.time(), function(*arguments)))
    except Exception:
        return False, cloudpickle.dumps((False, time.time(), traceback.format_exc()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
