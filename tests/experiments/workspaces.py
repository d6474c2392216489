"""Small workspaces, and what they should hold: the same models, made by hand."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lpvq import VQVAE, PixelCNN, TrainConfig, extract_codes, load_images, train_prior, train_vqvae
from lpvq.experiments.workspace import Workspace
from lpvq.files import checksum
from lpvq.training.trainer import History


def make(tmp_path: Path, **options: object) -> Workspace:
    """The workspace of smileys in the profile smoke, where nothing else is said."""
    return Workspace(**{"dataset": "smileys", "profile": "smoke", "output": tmp_path, **options})


def train_by_hand(seed: int) -> tuple[dict[str, list[str]], dict[str, list[float]]]:
    """The checksums of both models after each step, and at last with the weights that did best; their validations."""
    data = load_images("smileys", "train", limit=64)
    config = TrainConfig(steps=6, batch_size=16, validations=2, seed=seed)
    sums: dict[str, list[str]] = {"vqvae": [], "prior": []}

    def look(name: str, model: VQVAE | PixelCNN, step: int, history: History) -> None:
        sums[name].append(checksum(model))

    torch.manual_seed(seed)
    vqvae = VQVAE(3, 8, 16, 16, 4, 0, 4, {"kind": "entropy-constrained", "rate_weight": 0.35})
    vqvae_history = train_vqvae(vqvae, data[:58], config, data[58:], after_step=partial(look, "vqvae", vqvae))
    codes = extract_codes(vqvae, data)
    torch.manual_seed(seed)
    prior = PixelCNN(8, (8, 8), 2, 3, hidden_channels=16, num_classes=3, code_dim=16)
    prior.set_codebook(vqvae.quantizer.codebook)
    prior_history = train_prior(prior, codes[:58], config, codes[58:], after_step=partial(look, "prior", prior))
    sums["vqvae"].append(checksum(vqvae))
    sums["prior"].append(checksum(prior))
    return sums, {"vqvae": valid_losses(vqvae_history), "prior": valid_losses(prior_history)}


def valid_losses(history: History) -> list[float]:
    """The loss at each validation."""
    return [record["valid_loss"] for record in history]


def sums_by_hand(seed: int) -> dict[str, list[str]]:
    """The checksums of ``train_by_hand``."""
    return train_by_hand(seed)[0]


def write_pets(folder: Path, number: int, seed: int) -> None:
    """Write tiny pictures of noise in two classes; another seed, other pictures of the same names."""
    random = np.random.default_rng(seed)
    for i in range(number):
        path = folder / ("cats" if i % 2 else "dogs") / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(256, size=(20, 20, 3), dtype=np.uint8)).save(path)
