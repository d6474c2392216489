"""A small classifier of images: what class, and for smileys every factor that a face was rendered from.

It classifies generated images. Distances between sets of images are measured on its features, where others take an
Inception network; so the Fréchet distance here is a "Fréchet classifier distance", comparable within this project, and
not an FID.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.data.images import ImageData
from lpvq.data.smileys import FACTORS
from lpvq.distributed import in_order
from lpvq.errors import InputError
from lpvq.models.saving import Pretrained
from lpvq.runtime import in_batches, in_eval_mode
from lpvq.training.config import TrainConfig
from lpvq.training.trainer import History, Trainer

_PIXELS_AT_ONCE = 2**18
_LARGEST = 32
_CHANNELS = (32, 64, 64, 64)


def tasks_of(data: ImageData) -> dict[str, int]:
    """Return what there is to predict about the images of a set, and among how many classes.

    For smileys each factor is a task; one of them, "mouth", is the class of the set. Other sets have the single task
    "label", their class.

    Returns:
        for the name of each task, the number of its classes.
    """
    if data.factors is None:
        return {"label": len(data.class_names)}
    return {name: len(values) for name, values in FACTORS.items()}


def targets_of(data: ImageData) -> dict[str, Tensor]:
    """Return the right answers to the tasks of ``tasks_of``: int64 (N,) each."""
    if data.factors is None:
        return {"label": data.labels}
    return {name: data.factors[name] for name in FACTORS}


def shrunk(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) at 32 × 32 pixels if they are larger, otherwise as they are."""
    return F.adaptive_avg_pool2d(images, _LARGEST) if max(images.shape[2:]) > _LARGEST else images


class Classifier(Pretrained):
    """A convolutional network with one head for each task, on features that all tasks share.

    Args:
        in_channels: C of the images.
        tasks: from ``tasks_of``.
        width: F, the number of features.
    """

    FILE = "classifier.pt"

    def __init__(self, in_channels: int, tasks: Mapping[str, int], width: int = 64) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"in_channels": in_channels, "tasks": dict(tasks), "width": width}
        self.in_channels = in_channels
        self.tasks = dict(tasks)
        layers: list[nn.Module] = []
        before = in_channels
        for index, channels in enumerate(_CHANNELS):
            # Every second layer halves height and width.
            layers += [nn.Conv2d(before, channels, 3, stride=1 + index % 2, padding=1), nn.ReLU()]
            before = channels
        # Where something is matters (a face on the left or on the right), so a few places are kept.
        # Features are made equally long, or a few loud ones would decide every distance between sets of images.
        layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * before, width), nn.LayerNorm(width)]
        self.trunk = nn.Sequential(*layers)
        self.heads = nn.ModuleDict({name: nn.Linear(width, classes) for name, classes in tasks.items()})

    @property
    def class_task(self) -> str:
        """The task that is the class of the set."""
        return "label" if "label" in self.tasks else "mouth"

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return for each task the logits of its classes, (B, classes), for ``images`` (B, C, H, W) in [0, 1]."""
        features = self._trunk(images)
        return {name: head(features) for name, head in self.heads.items()}

    def loss(self, images: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Return the cross-entropy in nats, summed over the tasks, given the right ``targets``, (B,) each."""
        logits = self(images)
        return torch.stack([F.cross_entropy(logits[name].float(), targets[name]) for name in self.tasks]).sum()

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Return the features (N, F) of any number of images (N, C, H, W), on the CPU; taken in batches."""
        return torch.cat([self._trunk(batch).float().cpu() for batch in self._batches(images)])

    @torch.inference_mode()
    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """Return for each task the most probable class of each of ``images`` (N, C, H, W): int64 (N,), on the CPU."""
        parts = [self(batch) for batch in self._batches(images)]
        return {name: torch.cat([logits[name].argmax(1).cpu() for logits in parts]) for name in self.tasks}

    def _trunk(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise InputError(f"expected images of shape (B, {self.in_channels}, H, W), got {tuple(images.shape)}")
        # Moved around zero, and into the memory layout that convolutions are faster in.
        return self.trunk((shrunk(images) - 0.5).contiguous(memory_format=torch.channels_last))

    def _batches(self, images: Tensor) -> list[Tensor]:
        device = next(self.parameters()).device
        size = images.shape[2] * images.shape[3]
        return [images[batch].to(device) for batch in in_batches(len(images), size, _PIXELS_AT_ONCE)]


def train_classifier(
    model: Classifier,
    data: ImageData,
    config: TrainConfig,
    validation: ImageData | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 10.0,
) -> History:
    """Train a classifier in place, on the device it is on. Both losses are nats, summed over its tasks.

    Args:
        model: ends with the weights that did best on ``validation``; with the last ones where there is none.
        data: the images to learn from.
        config: how long and how fast.
        validation: images to choose the best weights by, none of them in ``data``.
        checkpoint: a file to go on from if it is there, and to write the state of the training to.
        checkpoint_seconds: how much work may be lost when the process is killed.

    Returns:
        the history of the run so far, a ``Record`` for each validation.

    Raises:
        InputError: images that the model's tasks are not about, a checkpoint of another run, a loss that is not finite.
    """
    for images in (data, validation):
        if images is not None and not model.tasks.items() <= tasks_of(images).items():
            raise InputError(f"expected images with the tasks {model.tasks}, got {tasks_of(images)}")
    if config.compile:
        raise InputError("a classifier cannot be compiled: leave compile out")
    device = next(model.parameters()).device

    def loss_on(images: ImageData, indices: Tensor) -> Tensor:
        targets = {name: target[indices].to(device) for name, target in targets_of(images).items()}
        return model.loss(images.floats(indices).to(device), targets)

    def evaluate(images: ImageData) -> float:
        def of_batch(batch: Tensor) -> float:
            return loss_on(images, batch).item() * len(batch)

        with in_eval_mode(model), torch.inference_mode():
            return sum(in_order(of_batch, images.batches())) / len(images)

    def loss(indices: Tensor) -> Tensor:
        return loss_on(data, indices)

    trainer = Trainer("training classifier", model, loss, evaluate, config, data, validation)
    return trainer.train(checkpoint, checkpoint_seconds)
