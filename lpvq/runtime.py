"""Where and how things run, and how progress is shown: device, precision, memory, the one progress bar."""

import ctypes
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from html import escape
from typing import Any, Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm

from lpvq import distributed
from lpvq.errors import InputError


def choose_device(name: str | None = None) -> torch.device:
    """Return the device to compute on.

    Args:
        name: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, or None for what ``LPVQ_DEVICE`` says; where that is
            not set either, the first of CUDA, MPS and CPU that is there. Of several processes that torchrun has
            started, each has a GPU of its own, and none takes MPS, which cannot be shared.

    Raises:
        InputError: an unknown device, or one that this machine does not have.
    """
    name, of_several = name or os.environ.get("LPVQ_DEVICE"), distributed.local_rank()
    if not name:
        has_mps = torch.backends.mps.is_available() and of_several is None
        name = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
        if of_several is None:
            return torch.device(name)
    if name == "cuda" and of_several is not None:
        name = f"cuda:{of_several}"
        if of_several >= (number := torch.cuda.device_count()):
            raise InputError(
                f"torchrun has started more processes on this machine than it has GPUs ({number}): start one for each "
                "GPU, or say --device cpu"
            )
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            raise NotImplementedError(f"nothing is computed on {device.type}")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"device {name!r} cannot be used here; expected cpu, cuda or mps, as this machine has"
        ) from error
    return device


Precision = Literal["auto", "float32", "bfloat16"]
_ROUNDS = 20


def choose_precision(device: torch.device, wish: Precision = "auto") -> torch.dtype:
    """Return the type to train in: what is wished for, or bfloat16 where the device is fast at it, else float32."""
    if wish == "auto":
        wish = "bfloat16" if _fast_at_bfloat16(device.type) else "float32"
    return torch.bfloat16 if wish == "bfloat16" else torch.float32


@cache
def _fast_at_bfloat16(kind: str) -> bool:
    """Whether the device has instructions for bfloat16 and they pay off; timed once in the life of a process."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities() if kind == "cpu" else {}
    if not any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "sve_bf16")):
        return False
    # Twice as fast is usual; some processors have the instructions and are no faster. Timed in turns, the best of many:
    # what else the machine does at the moment must not decide, or two runs of the same training would differ.
    times = [(_product_seconds(torch.bfloat16), _product_seconds(torch.float32)) for _ in range(_ROUNDS)]
    bfloat16, float32 = (min(column) for column in zip(*times, strict=True))
    return bfloat16 < 0.8 * float32


def _product_seconds(kind: torch.dtype) -> float:
    """How long a matrix product takes."""
    a = torch.ones(512, 512, dtype=kind)
    started = time.perf_counter()
    a @ a
    return time.perf_counter() - started


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Return a context in which convolutions and matrix products compute in ``precision``."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == torch.bfloat16)


@contextmanager
def full_precision() -> Iterator[None]:
    """Inside, compute float32 products and convolutions in float32, whatever shortcuts torch is told to take.

    ``torch.set_float32_matmul_precision("medium")``, which many people put at the top of every notebook, lets them be
    rounded to bfloat16 or TensorFloat32, with 8 or 11 significant bits instead of 24; and convolutions on a GPU always
    are, unless torch is told not to. The settings are those of the whole process, and are put back afterwards.

    Code that is being compiled or exported is left to the settings of whoever runs it.
    """
    if torch.compiler.is_compiling():
        yield
        return
    backends: Any = torch.backends  # whose attributes mypy does not find
    operations = (backends.mkldnn.matmul, backends.mkldnn.conv, backends.cuda.matmul, backends.cudnn.conv)
    before = [operation.fp32_precision for operation in operations]
    for operation in operations:
        operation.fp32_precision = "ieee"
    try:
        yield
    finally:
        for operation, precision in zip(operations, before, strict=True):
            operation.fp32_precision = "none"  # follows what is set for all operations together
            if operation.fp32_precision != precision:
                operation.fp32_precision = precision


@cache
def keep_memory() -> None:
    """Have the process keep the memory it frees, for its next use.

    Every training step frees what the next one needs again. The GNU C library gives large blocks back to the operating
    system at once, which then clears them page by page for the next step: up to half of the time of a step on a CPU.
    Other C libraries and operating systems are left as they are.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    trim_threshold, mmap_threshold = -1, -3  # of malloc.h
    mallopt(trim_threshold, 2**31 - 1)
    # From this size on, blocks come from the system one by one. Older versions take no more than 32 MiB.
    mallopt(mmap_threshold, 2**30) or mallopt(mmap_threshold, 2**25)


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode inside, and afterwards, whatever happens, back into the mode it was in before."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def compiled(function: Callable) -> Callable:
    """Return ``function`` compiled by ``torch.compile``; as it is, with a warning, where that does not work."""
    try:
        torch.compile(torch.neg)(torch.zeros(2))
    except Exception as error:  # many kinds: no C++ compiler, no Triton, a Python it does not know
        reason = str(error).strip().splitlines()[0]
        warnings.warn(f"torch.compile does not work here ({reason}): going on without it", stacklevel=2)
        return function
    return torch.compile(function)


def in_batches(number: int, size: int, at_once: int) -> list[Tensor]:
    """Share out ``number`` items of ``size`` numbers each: their indices, in batches of about ``at_once`` numbers."""
    return list(torch.arange(number).split(max(1, at_once // size)))


def running_in_notebook() -> bool:
    """Whether what is printed goes to a notebook."""
    return type(sys.stdout).__module__.startswith("ipykernel")


class _PageBar(tqdm):
    """A progress bar as wide as a notebook's page: HTML that is replaced as it moves."""

    def __init__(self, *items: Any, **options: Any) -> None:
        super().__init__(*items, gui=True, **options)  # tqdm itself writes nothing
        self._handle: Any = None
        if not self.disable:
            self.display()

    def display(self, *_: Any, **__: Any) -> None:
        """Show how far it is."""
        from IPython.display import display

        data = {"text/html": self._as_html(), "text/plain": str(self)}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def close(self) -> None:
        """Show where it ended."""
        if not self.disable:
            super().close()
            self.display()

    def _as_html(self) -> str:
        now = self.format_dict
        done, total = now["n"], now["total"]
        left = (total - done) * now["elapsed"] / max(1, done - now["initial"]) if total else 0
        times = f"{tqdm.format_interval(now['elapsed'])}" + (f", {tqdm.format_interval(left)} left" if left else "")
        said = [f"{done:,.0f} of {total:,.0f}" if total else f"{done:,.0f}", times, now["postfix"]]
        name, numbers = escape(now["prefix"].removesuffix(": ")), escape(" · ".join(part for part in said if part))
        return (
            '<div style="display: flex; gap: 1em; align-items: center">'
            f"<span>{name}</span>"
            f'<progress value="{done}" max="{total or max(done, 1)}" style="flex: 1; min-width: 4em"></progress>'
            f'<span style="font-variant-numeric: tabular-nums">{numbers}</span></div>'
        )


_has_bars: ContextVar[bool] = ContextVar("_has_bars", default=True)


@contextmanager
def without_bars() -> Iterator[None]:
    """Show no progress bar for what begins inside: an outer one stands for all of it, or none is wanted."""
    token = _has_bars.set(False)
    try:
        yield
    finally:
        _has_bars.reset(token)


def progress(items: Iterable | None, description: str, least: int = 0, **options: Any) -> tqdm:
    """Wrap ``items`` in the progress bar that every loop of the package shows.

    It is text in a terminal and HTML in a notebook, without widgets: GitHub draws no notebook that is saved with them.
    Where the output is neither (a log, a test), nothing is shown.

    Args:
        items: what to loop over; None for a bar that is moved by hand and has ``total`` among its ``options``.
        description: what the loop does.
        least: loops of fewer turns show no bar. It is not a time: what a notebook shows must not depend on the machine.
        options: more for ``tqdm``.
    """
    in_notebook = running_in_notebook()
    total = options.get("total")
    turns = len(items) if isinstance(items, Sized) else least if total is None else total
    return (_PageBar if in_notebook else tqdm)(
        items,
        desc=description,
        disable=turns < least
        or not (_has_bars.get() and distributed.is_first())
        or not (in_notebook or sys.stderr.isatty()),
        ncols=88,
        mininterval=0.3,
        **options,
    )
