"""How long and how fast a model is trained."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Protocol, get_args

from lpvq.errors import InputError
from lpvq.runtime import Precision


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast to train.

    Attributes:
        steps: number of batches.
        batch_size: images or grids in a batch (all there are, where there are fewer).
        learning_rate: the highest rate; it rises to it linearly over the first ``warmup`` share of the steps and falls
            along a half cosine to zero at the last.
        weight_decay: of AdamW.
        warmup: share of the steps, 0 … 1.
        clip_norm: longer gradients are shortened to this length.
        validations: how many times the model is evaluated on the validation set, evenly over the run, the end included.
        seed: decides the order of the data and all else that is random.
        precision: "float32", "bfloat16", or "auto" for bfloat16 where the device is fast at it. The quantizer and the
            losses are always in float32, and so are the weights.
        compile: whether to train a prior with ``torch.compile``: up to a tenth faster after half a minute. Not
            for a VQ-VAE: torch 2.15 compiles the gradient of its padding wrongly, and stops.
    """

    steps: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup: float = 0.05
    clip_norm: float = 1.0
    validations: int = 20
    seed: int = 0
    precision: Precision = "auto"
    compile: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        if self.steps < 1 or self.batch_size < 1 or self.validations < 1:
            raise InputError(f"steps, batch_size and validations must be at least 1, got {self}")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate must be above 0 and finite, got {self.learning_rate}")
        if self.precision not in get_args(Precision):
            raise InputError(f"precision must be one of {', '.join(get_args(Precision))}, got {self.precision!r}")

    def rate(self, step: int) -> float:
        """Return the learning rate of ``step``, counted from 0."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, self.steps - rising)))

    def validates_after(self, step: int) -> bool:
        """Whether the model is evaluated once ``step``, counted from 0, is done."""
        done = (step + 1) * self.validations // self.steps
        return done > step * self.validations // self.steps


# What decides how fast a training is, and not what it is.
HOW_FAST = ("precision", "compile")


class DataSet(Protocol):
    """What a model learns from: images or codes."""

    def checksum(self) -> str:
        """Return the SHA-256 of all that the set holds."""


class Configured(Protocol):
    """A model that knows the arguments it was made with."""

    config: dict[str, Any]


def identity_of(model: Configured, config: TrainConfig, *sets: DataSet | None) -> dict[str, Any]:
    """Say what makes two training runs the same one: model, settings and data; plain values, as JSON has them.

    Args:
        model: has ``config``, the arguments that it was made with.
        config: how it is trained. What only decides how fast that is does not count.
        sets: what it learns from, and what it is validated on.
    """
    settings = {name: value for name, value in asdict(config).items() if name not in HOW_FAST}
    data = [None if data is None else data.checksum() for data in sets]
    return json.loads(json.dumps({"model": type(model).__name__, **model.config, **settings, "data_sha256": data}))
