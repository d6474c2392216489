"""Where things run and how progress is shown: the device and the one progress bar."""

import os
import sys
from collections.abc import Iterable, Sized
from typing import Any

import torch
from tqdm import tqdm

from lpvq.errors import InputError


def choose_device(name: str | None = None) -> torch.device:
    """Return the device to compute on.

    Args:
        name: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, or None for what ``LPVQ_DEVICE`` says; where that is
            not set either, the first of CUDA, MPS and CPU that is there.

    Raises:
        InputError: an unknown device, or one that this machine does not have.
    """
    name = name or os.environ.get("LPVQ_DEVICE")
    if not name:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
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


def autocast(device: torch.device) -> torch.autocast:
    """Return a context in which training computes in bfloat16, on devices that are fast at it; float32 elsewhere."""
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        fast = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    else:
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def running_in_notebook() -> bool:
    """Whether what is printed goes to a notebook."""
    return type(sys.stdout).__module__.startswith("ipykernel")


def progress(items: Iterable | None, description: str, least: int = 0, **options: Any) -> tqdm:
    """Wrap ``items`` in the progress bar that every loop of the package shows.

    It is plain text in a terminal and in JupyterLab alike: a notebook saved with widgets cannot be drawn by GitHub.
    Where the output is neither (a log, a test), nothing is shown.

    Args:
        items: what to loop over; None for a bar that is moved by hand and has ``total`` among its ``options``.
        description: what the loop does.
        least: loops of fewer turns show no bar. Not a time: what a notebook shows must not depend on the machine.
        options: more for ``tqdm``.
    """
    in_notebook = running_in_notebook()
    stream = sys.stdout if in_notebook else sys.stderr  # JupyterLab paints stderr as if it were an error
    turns = options["total"] if items is None else len(items) if isinstance(items, Sized) else least
    return tqdm(
        items,
        desc=description,
        file=stream,
        disable=turns < least or not (in_notebook or stream.isatty()),
        ncols=88,
        mininterval=0.3,
        **options,
    )
