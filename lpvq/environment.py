"""What surrounds the process, looked at before torch is loaded: torch would answer with a crash or not at all."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lpvq.errors import InputError

_COUNT = r"0*[1-9]\d{0,3}"
_THREADS = {
    "OMP_NUM_THREADS": rf"\s*{_COUNT}\s*(,\s*{_COUNT}\s*)*",  # OpenMP takes one for each level of nested loops
    "MKL_NUM_THREADS": _COUNT,
}

_GIB = 2**30
# The GiB that it takes to draw smileys with two threads, where torch is built for CUDA. Other builds may need less.
_NEEDED = {"RLIMIT_AS": (3.5, "address space", "ulimit -v"), "RLIMIT_DATA": (1.0, "data", "ulimit -d")}
_ALL_THAT_IS_LARGE = "import torch, matplotlib.figure, PIL.Image"


def check_threads(variables: Mapping[str, str]) -> None:
    """Refuse what is not a number of threads: OpenMP and MKL would silently take a different one.

    Raises:
        InputError: one of ``variables`` is no such number.
    """
    for name, pattern in _THREADS.items():
        value = variables.get(name)
        if value is not None and not re.fullmatch(pattern, value, re.ASCII):
            raise InputError(f"{name} is {value!r}; expected a whole number from 1 to 9999: set it to one, or unset it")


def check_memory() -> None:
    """Refuse limits of the process that torch cannot be loaded in.

    Raises:
        InputError: torch could not be loaded. (It is tried in another process: some builds are small, others crash.)
    """
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    tight = []
    for name, (needed, what, command) in _NEEDED.items():
        limit = resource.getrlimit(getattr(resource, name))[0]
        if 0 <= limit < needed * _GIB:  # no limit is -1, or a very large number
            tight.append(f"{limit / _GIB:.2g} GiB of {what} ({command}; torch needs about {needed:g} GiB)")
    if tight and subprocess.run([sys.executable, "-c", _ALL_THAT_IS_LARGE], capture_output=True).returncode:
        raise InputError(f"this process may take {' and '.join(tight)}: raise the limit")


@contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Have imports that fail inside say which extra of the package brings what is missing.

    Raises:
        InputError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"this needs packages that are not installed: pip install 'lpvq[{name}]' ({error})") from error
