"""What the processes of these tests do."""

import hashlib
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from several import joined
from torch import Tensor

from lpvq import VQVAE, PixelCNN, TrainConfig, cli, distributed, plotting, train_prior, train_vqvae
from lpvq.data import images, latent_codes
from lpvq.data.latent_codes import LatentCodes
from lpvq.data.loading import load
from lpvq.experiments.profiles import PROFILES
from lpvq.experiments.report import Report
from lpvq.experiments.samples import sample_codes
from lpvq.experiments.workspace import Workspace
from lpvq.files import checksum, read_tensors
from lpvq.models import pixelcnn
from lpvq.models.quantizer import VectorQuantizer
from lpvq.training.trainer import Trainer
from quick import quick_recipe

CONFIG = TrainConfig(steps=8, batch_size=16, validations=2, muon_rate=1e-3, shards=4)
# Entries whose average falls below half of a fair share are moved, in nearly every step.
RESTLESS = {"kind": "entropy-constrained", "decay": 0.5, "restart_threshold": 1e9}


def small_pieces() -> Any:
    """Batches and exchanges so small that there are several of each, of both kinds."""
    return patch.multiple(distributed, _SMALL=1000, _ITEMS_AT_ONCE=2)


def whole_way(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """All that a workspace makes and measures: what must not depend on the number of processes."""
    recipe = replace(quick_recipe(), quantizer=RESTLESS, prior_images=96)
    restarted, restart = [], VectorQuantizer._restart

    def spy(quantizer: VectorQuantizer, entries: Tensor, *batch: Any) -> None:
        restarted.append(int(entries.sum()))
        restart(quantizer, entries, *batch)

    with (
        patch.dict(PROFILES, smoke=recipe),
        small_pieces(),
        patch.object(VectorQuantizer, "_restart", spy),
        patch.object(images, "_PIXELS_AT_ONCE", 2**13),
        patch.object(latent_codes, "_POSITIONS_AT_ONCE", 2**10),
        patch.object(pixelcnn, "_CACHE_BYTES", 2**19),
        patch.object(plotting, "save"),  # which takes the longest
        joined(),
    ):
        workspace = Workspace("smileys", "smoke", folder, device="cpu", **options)
        codes, _ = sample_codes(workspace, 40)
        report = Report(workspace)
        measured = [report.measure(part) for part in ("codes", "prior")]
        for figures in measured:
            del figures["seconds"]
        history = [*workspace.vqvae_about["history"], *workspace.prior_about["history"]]
        return {
            "vqvae": checksum(workspace.vqvae),
            "prior": checksum(workspace.prior),
            "losses": [(record["train_loss"], record["valid_loss"]) for record in history],
            "codes": workspace.train_codes.checksum(),
            "samples": hashlib.sha256(codes.numpy().tobytes()).hexdigest(),
            "measured": measured,
            "restarted": restarted,
        }


def train_until_told(checkpoint: Path, signals: dict[int, tuple[int, int]]) -> tuple[str, int]:
    """Train a VQ-VAE, keep every step, and send some processes signals: for steps, a process and a signal."""
    data = load("smileys", limit=64, size=16)
    torch.manual_seed(0)
    model = VQVAE(3, 8, 4, 8, quantizer=RESTLESS)
    loss = Trainer._one_step

    def one_step(trainer: Trainer, *more: Any) -> bool:
        process, kind = signals.get(trainer.step, (None, None))
        if process == distributed.rank():
            os.kill(os.getpid(), kind)
        return loss(trainer, *more)

    with patch.object(Trainer, "_one_step", one_step), joined():
        try:
            train_vqvae(model, data[:48], CONFIG, data[48:], checkpoint, checkpoint_seconds=0)
        except (SystemExit, RuntimeError) as error:
            return type(error).__name__, getattr(error, "code", 0)
    return checksum(model), read_tensors(checkpoint, checked=True)["step"]


def add_up(parts: list[list[float]]) -> list[list[float]]:
    """Add up the share of the parts (S, n) that this process has, sent whole to all and in shares."""
    with joined():
        mine = torch.tensor(parts).chunk(int(os.environ["WORLD_SIZE"]))[int(os.environ["RANK"])]
        found = [distributed.sum_in_order(mine)]
        with small_pieces():
            found.append(distributed.sum_in_order(mine.repeat(1, 5))[: len(parts[0])])
        return [total.tolist() for total in found]


def train_in_a_group_of_ones_own(seed: int) -> str:
    """Call ``train_prior`` where the user has initialised torch.distributed, with other weights in each process."""
    if int(os.environ["WORLD_SIZE"]) > 1:
        dist.init_process_group("gloo")
    torch.manual_seed(seed + int(os.environ["RANK"]))
    model = PixelCNN(8, (4, 5), num_blocks=1, hidden_channels=8)
    grids = torch.randint(8, (64, 4, 5), generator=torch.Generator().manual_seed(0))
    codes = LatentCodes(grids, torch.zeros(64, dtype=torch.int64), 8, ("a",), "random", "f00d")
    train_prior(model, codes, replace(CONFIG, steps=3))
    assert distributed.count() == 1  # nothing else is shared out that the user calls in one process alone
    return checksum(model)


def command(arguments: list[str], killed_at: int | None) -> None:
    """Run the command line; the process of rank 1 is killed at a step."""
    one_step = Trainer._one_step

    def step(trainer: Trainer, *more: Any) -> bool:
        if trainer.step == killed_at and distributed.rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return one_step(trainer, *more)

    with patch.dict(PROFILES, smoke=quick_recipe()), patch.object(Trainer, "_one_step", step):
        cli.main(arguments)
