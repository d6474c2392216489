"""What the tests of training train: models of a few weights, on sets of a few items."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lpvq import VQVAE, PixelCNN, TrainConfig
from lpvq.models.saving import Pretrained
from lpvq.training.trainer import Trainer

CONFIG = TrainConfig(steps=12, batch_size=16, validations=3)


def make_vqvae() -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(in_channels=3, num_codes=8, code_dim=4, hidden_channels=8)


def make_prior() -> PixelCNN:
    torch.manual_seed(0)
    return PixelCNN(8, (4, 5), num_blocks=2, hidden_channels=8, num_classes=3)


class Weight(Pretrained):
    """A model that is one number."""

    FILE = "weight.pt"

    def __init__(self, start: float = 1.0) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"start": start}
        self.value = nn.Parameter(torch.tensor([start]))


class Numbers:
    """A set of ``count`` items that are nothing but their index."""

    def __init__(self, count: int, name: str = "numbers") -> None:
        self.count, self.name = count, name

    def __len__(self) -> int:
        return self.count

    def checksum(self) -> str:
        return f"{self.name} {self.count}"


def trainer_of(
    weight: Weight,
    config: TrainConfig,
    loss: Callable[[Tensor], Tensor] | None = None,
    evaluate: Callable[[Numbers], float] | None = None,
    count: int = 8,
) -> Trainer:
    """The training of one number; where nothing else is said, with a loss whose slope is 1 everywhere."""
    validation = None if evaluate is None else Numbers(3, "validation")
    return Trainer(
        "training a number",
        weight,
        loss or (lambda _: weight.value.sum()),
        evaluate or (lambda _: 0.0),
        config,
        Numbers(count),
        validation,
    )


def values_after_each_step(
    config: TrainConfig, loss_of: Callable[[Weight, int], Tensor], start: float = 1.0
) -> list[float]:
    """The number before the first step and after each, trained on a loss that is given the step, counted from 0."""
    weight = Weight(start)
    values = [weight.value.item()]

    def loss(_: Tensor) -> Tensor:
        return loss_of(weight, len(values) - 1)

    trainer_of(weight, config, loss).train(None, 10.0, after_step=lambda *_: values.append(weight.value.item()))
    return values
