"""The checks of the exercises of notebook 06: right answers pass, typical wrong ones are told what is wrong."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lpvq import PixelCNN
from lpvq.course.exercises.notebook_06 import CHECKERS


def nats(model: PixelCNN, codes: Tensor) -> Tensor:
    everyone = torch.ones(len(codes), dtype=torch.int64)
    return torch.stack([model.nll(codes, label * everyone) for label in range(model.num_classes)], dim=1)


def parameters(channels: int, classes: int) -> int:
    return (
        (12 * channels**2 + 2 * channels) + (4 * channels**2 + 2 * channels) + 5 * channels**2 + 4 * channels * classes
    )


PER_CODE = 50.6 / 49
RIGHT: dict[str, Any] = {
    "6.1": math.log(9),
    "6.2": (PER_CODE / math.log(2), math.exp(PER_CODE)),
    "6.3": parameters,
    "6.4": lambda model, codes: (-nats(model, codes)).softmax(1),
}
WRONG: list[tuple[str, Any, str]] = [
    ("6.1", 0.9, "lets 71% pass"),
    ("6.1", -math.log(9), "lets 10% pass"),
    ("6.1", "large", "expected a number"),
    ("6.2", PER_CODE, "expected two numbers"),
    ("6.2", (PER_CODE, math.exp(PER_CODE)), "in nats per code, not in bits"),
    ("6.2", (PER_CODE * math.log(2), math.exp(PER_CODE)), "multiplied by log 2"),
    ("6.2", (50.6 / math.log(2), math.exp(PER_CODE)), "bits per grid"),
    ("6.2", (PER_CODE / math.log(2), math.exp(PER_CODE / math.log(2))), "mixed"),
    ("6.2", (PER_CODE / math.log(2), 2**PER_CODE), "perplexity: "),
    ("6.2", (1.0, math.exp(PER_CODE)), "bits per code: 1 is too small"),
    ("6.3", 98_304, "expected a function"),
    ("6.3", lambda c, n: parameters(c, n) - 4 * c * n, "table of the labels is missing"),
    ("6.3", lambda c, n: parameters(c, n) - 4 * c, "biases are missing"),
    ("6.3", lambda c, n: parameters(c, n) + 2 * c, "horizontal convolution has no bias"),
    ("6.3", lambda c, n: parameters(c, n) + c, "output has no bias"),
    ("6.3", lambda c, n: parameters(24, 5), "with 64 channels"),
    ("6.3", lambda c, n: ..., "expected a number"),
    ("6.4", 3, "expected a function"),
    ("6.4", nats, "these are nats"),
    ("6.4", lambda model, codes: -nats(model, codes), "log-likelihoods"),
    ("6.4", lambda model, codes: nats(model, codes).softmax(1), "the sign is wrong"),
    ("6.4", lambda model, codes: (-nats(model, codes)).softmax(0), "over the grids"),
    ("6.4", lambda model, codes: (-nats(model, codes) / 20).softmax(1), "use nats per grid"),
    ("6.4", lambda model, codes: (-nats(model, codes)).softmax(1).T, "one row for each grid"),
    ("6.4", lambda model, codes: (-2 * nats(model, codes)).softmax(1), "largest difference"),
]


@pytest.mark.parametrize("exercise", CHECKERS)
def test_a_right_answer_passes(exercise: str) -> None:
    assert CHECKERS[exercise](RIGHT[exercise]) is None


@pytest.mark.parametrize(("exercise", "answer", "complaint"), WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(exercise: str, answer: Any, complaint: str) -> None:
    assert complaint in str(CHECKERS[exercise](answer))


def test_a_check_leaves_the_randomness_of_the_notebook_alone() -> None:
    before = torch.random.get_rng_state()
    CHECKERS["6.4"](RIGHT["6.4"])
    assert torch.equal(torch.random.get_rng_state(), before)
