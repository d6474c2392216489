"""How fast: each figure is a median of several runs, taken in turns with its reference in the same process."""

import ctypes
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.models.masked import MaskedPixelCNN, OneHotQuantizer
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.quantizer import VectorQuantizer
from lpvq.models.vqvae import VQVAE
from lpvq.runtime import autocast, compiled, keep_memory, progress

NUM_CODES, BLOCKS, CHANNELS = 512, 10, 64
SAMPLED = ((8, 1), (8, 16), (8, 64), (32, 1), (32, 4), (32, 16), (32, 64))  # height and width, number of grids
KNOWING_MORE: dict[str, dict[str, Any]] = {
    "position and attention": {"position": True, "num_attentions": 2},
    "position and coarse codes": {
        "position": True,
        "coarse_vqvae": {"in_channels": 3, "num_codes": NUM_CODES, "code_dim": 16, "hidden_channels": 64},
    },
}
SAMPLED_KNOWING_MORE = ((8, 64), (32, 16))
TRAINED = (64, 128)  # number of grids
QUANTIZED = (32, 64, 64, 64)  # 131,072 vectors of 64 numbers
MEMORY_OF = (32, 64)  # as in SAMPLED
PRODUCT = 2048
UNCOUNTED = 3  # rounds before those that count: the first ones get their memory from the system
_MEGABYTE = 1e6
_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Action = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        part: the heading that it belongs under.
        what: what was measured.
        unit: of both figures: small is better in "s" and "MB", large in "GFLOP/s".
        reference: the figure of the plain way, or the most there can be; None where there is nothing to compare with.
        here: this project's figure.
    """

    part: str
    what: str
    unit: str
    reference: float | None
    here: float

    @property
    def ratio(self) -> float | None:
        """How many times better this project is than the reference."""
        if self.reference is None:
            return None
        return self.here / self.reference if self.unit == "GFLOP/s" else self.reference / self.here


def measure(runs: int) -> list[Row]:
    """Measure sampling, training, quantizer, matrix products, memory and import, all of it on the CPU.

    Args:
        runs: how many the medians are taken over, at least 1.
    """
    keep_memory()  # as training does, and for the references too: how much it helps depends on the machine
    rows: list[Row] = []
    parts = (_sampling, _prior_training, _vqvae_training, _quantizer, _sampling_memory, _import_time)
    for part in progress(parts, "measuring"):
        rows += part(runs)
    return rows + _products(runs, rows)


def about_the_machine() -> dict[str, Any]:
    """Say what must be known about this machine to compare its figures with those of another."""
    capabilities = torch.cpu.get_capabilities()
    return {
        "architecture": capabilities["architecture"],
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "bfloat16_instructions": any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16")),
        "torch": torch.__version__,
    }


def format_table(rows: list[Row]) -> str:
    """Return the rows as text, with a heading for each part."""
    lines, part = [], None
    for row in rows:
        if row.part != part:
            part = row.part
            lines += ["", f"{part:56}{'reference':>12}{'here':>12}"]
        reference = "" if row.reference is None else f"{row.reference:.4g}"
        ratio = "" if row.ratio is None else f"{row.ratio:.0%}" if row.unit == "GFLOP/s" else f"{row.ratio:.3g}×"
        lines.append(f"  {row.what:54}{reference:>12}{row.here:>12.4g} {row.unit:8}{ratio:>8}")
    return "\n".join(lines).lstrip("\n")


def _sampling(runs: int) -> list[Row]:
    """Cached against plain, for a prior as it comes and for priors that are told more."""
    rows = [_sampling_row(runs, _prior(), size, grids, "") for size, grids in SAMPLED]
    for what, options in KNOWING_MORE.items():
        rows += [_sampling_row(runs, _prior(**options), *sampled, f", {what}") for sampled in SAMPLED_KNOWING_MORE]
    return rows


def _sampling_row(runs: int, model: PixelCNN, size: int, grids: int, what: str) -> Row:
    """One of them. A plain sampler's codes all cost the same, so two are drawn and the time multiplied."""
    known = torch.ones(size, size, dtype=torch.bool)
    known.view(-1)[-2:] = False
    codes = torch.zeros(grids, size, size, dtype=torch.int64)
    side = size // model.coarse_factor
    coarse = None if model.num_coarse_codes is None else torch.zeros(grids, side, side, dtype=torch.int64)
    seconds = _in_turns(
        runs,
        plain=lambda: model.generate(codes, known=known, method="plain", coarse=coarse),
        cached=lambda: model.generate(image_size=size, batch_size=grids, coarse=coarse),
    )
    what = f"{grids} grid{'s' * (grids > 1)} of {size} × {size}{what}"
    return Row("sampling, plain and cached", what, "s", seconds["plain"] * size**2 / 2, seconds["cached"])


def _prior_training(runs: int) -> list[Row]:
    part = "training step of the prior, 8 × 8, plain and here"
    rows = []
    for grids in TRAINED:
        steps = {}
        for name, kind in _PRECISIONS.items():
            steps[name] = _prior_step(_prior(), grids, kind)
            steps[f"{name}, compiled"] = _prior_step(_prior(), grids, kind, compiled)
        seconds = _in_turns(runs, plain=_plain_step(grids), **steps)
        rows += [Row(part, f"{grids} grids, {name}", "s", seconds["plain"], seconds[name]) for name in steps]
    return rows


def _vqvae_training(runs: int) -> list[Row]:
    images = torch.rand(64, 3, 32, 32)
    steps = {}
    for name, quantizer in (("one-hot", OneHotQuantizer), ("here", VectorQuantizer)):
        for precision, kind in _PRECISIONS.items():
            model = VQVAE(3, NUM_CODES, 64, CHANNELS)
            model.quantizer = quantizer(NUM_CODES, 64)
            steps[f"{name}, {precision}"] = _vqvae_step(model, images, kind)
    seconds = _in_turns(runs, **steps)
    part = "training step of the VQ-VAE, one-hot and here"
    return [
        Row(part, f"64 images, {name}", "s", seconds[f"one-hot, {name}"], seconds[f"here, {name}"])
        for name in _PRECISIONS
    ]


@torch.no_grad()
def _quantizer(runs: int) -> list[Row]:
    z = torch.randn(QUANTIZED)
    fast, plain = VectorQuantizer(NUM_CODES, 64, restart_threshold=0), OneHotQuantizer(NUM_CODES, 64)
    seconds = _in_turns(runs, plain=lambda: plain(z), fast=lambda: fast(z))
    part, what = "quantizer in training, one-hot and here", f"{z.numel() // 64:,} vectors"
    rows = [Row(part, f"{what}, time", "s", seconds["plain"], seconds["fast"])]
    if _memory_can_be_measured():
        reference, here = _peak_memory(lambda: plain(z)), _peak_memory(lambda: fast(z))
        rows.append(Row(part, f"{what}, peak memory", "MB", reference, here))
    return rows


def _sampling_memory(_: int) -> list[Row]:
    if not _memory_can_be_measured():
        return []
    model, (size, grids) = _prior(), MEMORY_OF
    memory = _peak_memory(lambda: model.generate(image_size=size, batch_size=grids))
    return [Row("memory", f"sampling {grids} grids of {size} × {size}, above the model", "MB", None, memory)]


def _import_time(runs: int) -> list[Row]:
    command = [sys.executable, "-c", "import lpvq"]
    seconds = _in_turns(runs, lpvq=lambda: subprocess.run(command, check=True))
    return [Row("import", "a new process that imports lpvq", "s", None, seconds["lpvq"])]


def _products(runs: int, rows: list[Row]) -> list[Row]:
    """The most this machine computes, in large matrix products, and how much of that the training above reaches.

    Torch has two libraries for them, and on some processors the one for convolutions is twice as fast.
    """
    part = "matrix products: what the machine can do, and training"
    operations = 2 * PRODUCT**3
    matrices = {name: torch.ones(PRODUCT, PRODUCT, dtype=kind) for name, kind in _PRECISIONS.items()}
    products = {f"{name}, product": lambda a=a: a @ a for name, a in matrices.items()}
    convolutions = {f"{name}, convolution": _product_by_convolution(a) for name, a in matrices.items()}
    seconds = _in_turns(runs, **products, **convolutions)
    results = []
    for name in _PRECISIONS:
        most = operations / min(seconds[f"{name}, product"], seconds[f"{name}, convolution"]) / 1e9
        results.append(Row(part, f"{name}, {PRODUCT} × {PRODUCT}", "GFLOP/s", None, most))
        step = next(row.here for row in rows if row.what == f"{TRAINED[0]} grids, {name}")
        reached = _step_operations(TRAINED[0]) / step / 1e9
        results.append(Row(part, f"{name}, training step of {TRAINED[0]} grids", "GFLOP/s", most, reached))
    return results


def _product_by_convolution(matrix: Tensor) -> Action:
    """The product of a square matrix with itself: a row is what a 1 × 1 kernel sees at a position of 4 × 4 grids."""
    x = matrix.view(-1, 4, 4, len(matrix)).movedim(-1, 1)
    kernel = matrix.T[:, :, None, None].contiguous(memory_format=torch.channels_last)
    return lambda: F.conv2d(x, kernel)


def _step_operations(grids: int) -> int:
    """Multiplications and additions in a training step of the prior: forward, and twice as many backward."""
    of_a_position = (21 * BLOCKS + 4 + 4) * CHANNELS**2 + 4 * CHANNELS * NUM_CODES  # blocks, input and head; output
    return 3 * 2 * of_a_position * grids * 8 * 8


def _prior(**options: Any) -> PixelCNN:
    return PixelCNN(NUM_CODES, 8, BLOCKS, hidden_channels=CHANNELS, **options)


def _plain_step(grids: int) -> Action:
    """A step as most public code has it: masked kernels, float32, AdamW as it comes."""
    model = MaskedPixelCNN(_prior())
    codes = torch.randint(NUM_CODES, (grids, 8, 8))
    optimizer = torch.optim.AdamW(model.parameters())
    return _step(model, optimizer, lambda: F.cross_entropy(model(codes), codes), torch.float32)


def _prior_step(
    model: PixelCNN, grids: int, precision: torch.dtype, made_fast: Callable[[Callable], Callable] = lambda nll: nll
) -> Action:
    """The step of ``train_prior``."""
    codes = torch.randint(NUM_CODES, (grids, 8, 8))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    nll = made_fast(model.nll)
    return _step(model, optimizer, lambda: nll(codes).mean() / 64, precision)


def _vqvae_step(model: VQVAE, images: Tensor, precision: torch.dtype) -> Action:
    """The step of ``train_vqvae``."""

    def loss() -> Tensor:
        output = model(images)
        return output.reconstruction_loss + output.quantizer_loss

    return _step(model, torch.optim.AdamW(model.parameters(), fused=True), loss, precision)


def _step(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor], precision: torch.dtype
) -> Action:
    def step() -> None:
        optimizer.zero_grad()
        with autocast(torch.device("cpu"), precision):
            value = loss()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def _in_turns(runs: int, **actions: Action) -> dict[str, float]:
    """The median seconds of each action over ``runs`` rounds, after those that are not counted."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(UNCOUNTED + runs):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - started)
    return {name: median(measured[UNCOUNTED:]) for name, measured in times.items()}


def _memory_can_be_measured() -> bool:
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")


def _peak_memory(action: Action) -> float:
    """The most memory in MB that the process takes while ``action`` runs, above what it had."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not hide what is taken now
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
    before = _status("VmRSS")
    action()
    return (_status("VmHWM") - before) / _MEGABYTE


def _status(name: str) -> int:
    """A figure of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))
