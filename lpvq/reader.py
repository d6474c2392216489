"""A small classifier that reads images: what class, and for smileys every factor that a face was drawn from.

It judges generated images. Its features are what distances between sets of images are measured on, where others take
an Inception network; so the Fréchet distance here is a "Fréchet classifier distance", comparable within this project
and no FID.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.datasets import ImageData
from lpvq.errors import InputError
from lpvq.runtime import in_batches
from lpvq.smileys import FACTORS

_PIXELS_AT_ONCE = 2**18
_LARGEST = 32
_CHANNELS = (32, 64, 64, 64)


def questions_of(data: ImageData) -> dict[str, int]:
    """Return what there is to read in the images of a set, and how many answers each question has.

    The factors of smileys, among which is the class; of other sets the class, called "label".
    """
    if data.factors is None:
        return {"label": len(data.class_names)}
    return {name: len(values) for name, values in FACTORS.items()}


def answers_of(data: ImageData) -> dict[str, Tensor]:
    """Return the right answers to ``questions_of``: int64 (N,) each."""
    if data.factors is None:
        return {"label": data.labels}
    return {name: data.factors[name] for name in FACTORS}


def shrunk(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) at 32 × 32 pixels if they are larger, else as they are."""
    return F.adaptive_avg_pool2d(images, _LARGEST) if max(images.shape[2:]) > _LARGEST else images


class Reader(nn.Module):
    """A convolutional network with one answer per question.

    Args:
        in_channels: C of the images.
        questions: from ``questions_of``.
        width: F, the number of features.
    """

    def __init__(self, in_channels: int, questions: Mapping[str, int], width: int = 64) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"in_channels": in_channels, "questions": dict(questions), "width": width}
        self.in_channels = in_channels
        self.questions = dict(questions)
        layers: list[nn.Module] = []
        before = in_channels
        for index, channels in enumerate(_CHANNELS):
            # Every second layer halves height and width.
            layers += [nn.Conv2d(before, channels, 3, stride=1 + index % 2, padding=1), nn.ReLU()]
            before = channels
        # Where something is matters (a face on the left or on the right), so a few places are kept.
        # Features of one length, or a few loud ones would decide every distance between sets of images.
        layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * before, width), nn.LayerNorm(width)]
        self.trunk = nn.Sequential(*layers)
        self.heads = nn.ModuleDict({name: nn.Linear(width, answers) for name, answers in questions.items()})

    @property
    def class_question(self) -> str:
        """The question whose answer is the class."""
        return "label" if "label" in self.questions else "mouth"

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return for each question the logits of its answers, (B, answers), for ``images`` (B, C, H, W) in [0, 1]."""
        features = self._trunk(images)
        return {name: head(features) for name, head in self.heads.items()}

    def loss(self, images: Tensor, answers: Mapping[str, Tensor]) -> Tensor:
        """Return the cross-entropy in nats, summed over the questions, for right ``answers`` (B,) each."""
        logits = self(images)
        return torch.stack([F.cross_entropy(logits[name].float(), answers[name]) for name in self.questions]).sum()

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Return the features (N, F) of any number of images (N, C, H, W), on the CPU; taken in batches."""
        return torch.cat([self._trunk(batch).float().cpu() for batch in self._batches(images)])

    @torch.inference_mode()
    def read(self, images: Tensor) -> dict[str, Tensor]:
        """Return the most probable answer to each question, int64 (N,) each, on the CPU; images as ``features``."""
        parts = [self(batch) for batch in self._batches(images)]
        return {name: torch.cat([logits[name].argmax(1).cpu() for logits in parts]) for name in self.questions}

    def _trunk(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise InputError(f"expected images of shape (B, {self.in_channels}, H, W), got {tuple(images.shape)}")
        # Around zero, and in the layout in memory that convolutions are faster in.
        return self.trunk((shrunk(images) - 0.5).contiguous(memory_format=torch.channels_last))

    def _batches(self, images: Tensor) -> list[Tensor]:
        device = next(self.parameters()).device
        size = images.shape[2] * images.shape[3]
        return [images[batch].to(device) for batch in in_batches(len(images), size, _PIXELS_AT_ONCE)]
