"""What a notebook that nobody has read may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a notebook may take.

    Attributes:
        cell_seconds: the longest a cell may run; then it is interrupted, and the next one runs.
        seconds: the longest the whole notebook may run; then it is stopped.
        memory: bytes of a process; when it reaches them, Python raises MemoryError. Enforced on Linux only, as is a
            limit of a quarter more for all processes of the notebook together.
        output: characters that are kept of what a cell shows.
        all_output: characters that are kept of what all cells show together.
        processes: how many may be there at a time.
        disk: bytes that may be written.
    """

    cell_seconds: int = 30
    seconds: int = 240
    memory: int = 4 * 2**30
    output: int = 500_000
    all_output: int = 10_000_000
    processes: int = 64
    disk: int = 2**28
