"""How long and how fast a model is trained, and what makes two trainings the same one."""

import json
import math
import operator
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, Protocol, get_args

from lpvq.errors import InputError
from lpvq.models.saving import Pretrained
from lpvq.runtime import Precision


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast to train. Numbers may be Python's or numpy's.

    Attributes:
        steps: number of batches, 1 or more.
        batch_size: images or grids in a batch, 1 or more (all there are, where there are fewer).
        learning_rate: the highest rate, above 0; it rises to it linearly over the first ``warmup`` share of the steps
            and falls along a half cosine to zero at the last (Loshchilov and Hutter 2017, arXiv:1608.03983).
        muon_rate: the highest rate of Muon, which then moves the matrices of hidden layers instead of AdamW, see
            ``lpvq.training.optimizers``; it rises and falls in the same way. 0 for AdamW alone.
        weight_decay: of AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), 0 or more: in each step, each weight is
            also made smaller by this times the rate of the step, as a share of itself.
        warmup: share of the steps, 0 … 1.
        clip_norm: a gradient whose length over all weights is more than this is shortened to it. Above 0;
            ``math.inf`` shortens none.
        validations: how many times the model is evaluated on the validation set, evenly over the run, the end included;
            after every step if there are more validations than steps.
        seed: 0 … 2⁶³ − 1; decides the order of the data and everything else that is random.
        precision: "float32", "bfloat16", or "auto" for bfloat16 where the device is fast at it. The quantizer and the
            losses are always in float32, and so are the weights.
        compile: whether to train a prior with ``torch.compile``: up to a tenth faster after half a minute. Not
            for a VQ-VAE: torch 2.15 compiles the gradient of its padding wrongly, and stops.
        shards: how many parts of the same size a batch is cut into, a power of two. Each is computed alone, and the
            results are added in a fixed order, so that this many processes, or any number that divides it, train the
            same model, see ``lpvq.distributed``. A model trained with another number differs in the last bits.
        fast_reduce: whether several processes may each take its parts of a batch as one, and add up in the order that
            is fastest. Then their number changes the last bits.

    Raises:
        InputError: a value of another type or range.
    """

    steps: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    muon_rate: float = 0.0
    weight_decay: float = 0.0
    warmup: float = 0.05
    clip_norm: float = 1.0
    validations: int = 20
    seed: int = 0
    precision: Precision = "auto"
    compile: bool = False
    shards: int = 1
    fast_reduce: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot train; make Python's own numbers of numpy's, as JSON needs them."""
        for name, least in (("steps", 1), ("batch_size", 1), ("validations", 1), ("seed", 0), ("shards", 1)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        for name in ("learning_rate", "muon_rate", "weight_decay", "warmup", "clip_norm"):
            object.__setattr__(self, name, real_number(name, getattr(self, name)))
        rate, decay, warmup, norm = self.learning_rate, self.weight_decay, self.warmup, self.clip_norm
        _require(0 < rate < math.inf, f"learning_rate must be above 0 and finite, got {rate}")
        _require(0 <= self.muon_rate < math.inf, f"muon_rate must be at least 0 and finite, got {self.muon_rate}")
        _require(0 <= decay < math.inf, f"weight_decay must be at least 0 and finite, got {decay}")
        _require(0 <= warmup <= 1, f"warmup must be a share of the steps, from 0 to 1, got {warmup}")
        _require(norm > 0, f"clip_norm must be above 0, or infinite to clip nothing, got {norm}")
        known = get_args(Precision)
        _require(self.precision in known, f"precision must be one of {', '.join(known)}, got {self.precision!r}")
        for name in ("compile", "fast_reduce"):
            _require(
                isinstance(getattr(self, name), bool), f"{name} must be True or False, got {getattr(self, name)!r}"
            )
        shards = self.shards
        _require(shards & (shards - 1) == 0, f"shards must be a power of two, such as 1, 2, 4 or 8, got {shards}")

    def rate(self, step: int) -> float:
        """Return the learning rate of ``step``, counted from 0."""
        return self.learning_rate * self.share_of_rate(step)

    def share_of_rate(self, step: int) -> float:
        """Return what share of its highest value a rate has at ``step``, counted from 0."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, self.steps - rising)))

    def validates_after(self, step: int) -> bool:
        """Whether the model is evaluated once ``step``, counted from 0, is done."""
        done = (step + 1) * self.validations // self.steps
        return done > step * self.validations // self.steps


def _require(is_right: bool, otherwise: str) -> None:
    if not is_right:
        raise InputError(otherwise)


def whole_number(name: str, value: Any, least: int) -> int:
    """Return a setting as an int; ``InputError`` if it is not a whole number, below ``least``, or 2⁶³ or more."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not least <= number < 2**63:
        raise InputError(f"{name} must be a whole number, at least {least} and below 2^63, got {value!r}")
    return number


def real_number(name: str, value: Any) -> float:
    """Return a setting as a float, which may be infinite or NaN; ``InputError`` if it is not a number."""
    try:
        if type(value) is not bool and isinstance(value, Real):
            return float(value)
    except OverflowError:  # a whole number beyond the largest float
        pass
    raise InputError(f"{name} must be a number, got {value!r}")


# What decides how fast a training is, and not what comes of it.
HOW_FAST = ("precision", "compile", "fast_reduce")


class DataSet(Protocol):
    """What a model learns from or is validated on: images or codes."""

    def __len__(self) -> int:
        """Return how many items there are."""

    def checksum(self) -> str:
        """Return the SHA-256 of all that the set holds."""


def identity_of(model: Pretrained, config: TrainConfig, data: DataSet, validation: DataSet | None) -> dict[str, Any]:
    """Say what makes two trainings the same one: model, settings and data; plain values, as JSON has them.

    Args:
        model: its class and the arguments that it was made with count; its weights do not.
        config: how it is trained. What only decides how fast that is does not count.
        data: what it learns from.
        validation: what it is validated on, if anything.
    """
    settings = {name: value for name, value in asdict(config).items() if name not in HOW_FAST}
    if config.shards == 1:  # as it was before there were any
        del settings["shards"]
    sums = [data.checksum(), None if validation is None else validation.checksum()]
    return json.loads(json.dumps({"model": type(model).__name__, **model.config, **settings, "data_sha256": sums}))
