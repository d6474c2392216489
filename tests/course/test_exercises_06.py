"""The checks of the exercises of notebook 06: right answers pass, typical wrong ones are told what is wrong."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from answers import expect, forms_of_number, forms_of_numbers
from lpvq import PixelCNN
from lpvq.course.exercises.notebook_06 import CHECKERS
from lpvq.models.gated import GatedBlock


def test_6_1_the_gate_that_lets_most_pass() -> None:
    expect(
        CHECKERS["6.1"],
        [*forms_of_number(math.log(9)), 2.2, torch.logit(torch.tensor(0.9)), -np.log(1 / 0.9 - 1)],
        [
            (-math.log(9), "the sign is wrong"),
            (0.9, "that is the share"),
            (1 / (1 + math.exp(-0.9)), "the sigmoid of 0.9"),
            (9, "the odds"),
            (1 / 9, "the other way round"),
            (math.log10(9), "not that to the base 10"),
            (math.log2(9), "not that to the base 2"),
            (math.atanh(0.9), "tanh(b)"),
            (math.log(0.9), "exp(b) = 0.9"),
            (-math.log(0.9), "exp(−b) = 0.9"),
            (-math.log(0.1), "leaves the 1 of the sigmoid out"),
            (math.log(0.1), "exp(b) = 0.1"),
            (0, "lets 50.0% pass"),
            (2, "lets 88.1% pass"),
            (-1e6, "lets 0.0% pass"),
            ("large", "expected a number, got str"),
            (float("inf"), "infinite"),
            (float("nan"), "not a number"),
        ],
        secrets=["2.19", "2.2"],
    )


PER_CODE = 50.6 / 49


def test_6_2_units() -> None:
    bits, perplexity = PER_CODE / math.log(2), math.exp(PER_CODE)
    expect(
        CHECKERS["6.2"],
        [
            *forms_of_numbers(bits, perplexity),
            (bits, 2**bits),
            (np.log2(np.exp(PER_CODE)), np.float64(2.81)),
            (1.49, 2.81),
        ],
        [
            (PER_CODE, "expected two numbers (bits per code, perplexity), got a single one"),
            ((PER_CODE, perplexity), "in nats per code, not in bits"),
            ((PER_CODE * math.log(2), perplexity), "multiplied by log 2"),
            ((50.6 / math.log(2), perplexity), "bits per grid"),
            ((50.6, perplexity), "nats per grid"),
            ((PER_CODE / math.log10(2), perplexity), "not that to the base 10"),
            ((perplexity, bits), "comes second"),
            ((50.6 / 7 / math.log(2), perplexity), "7 × 7"),
            ((2**PER_CODE, perplexity), "2 to the power of the nats"),
            ((bits, math.exp(bits)), "mixed here"),
            ((bits, 2**PER_CODE), "perplexity: it is e to the power"),
            ((bits, math.exp(-PER_CODE)), "fewer than one"),
            ((bits, math.exp(50.6)), "the whole grid"),
            ((bits, bits), "the bits again"),
            ((bits, PER_CODE), "the nats; raise"),
            ((1.0, perplexity), "bits per code: 1 is too small"),
            ((bits, 3), "perplexity: 3 is too large"),
            ((bits, float("nan")), "perplexity: it is not a number"),
            ((bits, perplexity, 0), "got 3"),
            ("1.49, 2.81", "got str"),
        ],
        secrets=["1.48", "1.49", "2.80", "2.81"],
    )


def parameters(channels: int, classes: int) -> int:
    return (
        (12 * channels**2 + 2 * channels) + (4 * channels**2 + 2 * channels) + 5 * channels**2 + 4 * channels * classes
    )


def off_by(difference: Callable[[int, int], float]) -> Callable[[int, int], float]:
    return lambda channels, classes: parameters(channels, classes) + difference(channels, classes)


def test_6_3_parameters() -> None:
    expect(
        CHECKERS["6.3"],
        [
            parameters,
            lambda c, n: 21 * c**2 + 4 * c * (n + 1),
            lambda c, n: torch.tensor(float(parameters(c, n)), requires_grad=True),
            lambda c, n: np.array([parameters(c, n)]),
            lambda channels, num_classes: sum(p.numel() for p in GatedBlock(channels, 3, num_classes).parameters()),
        ],
        [
            (98_304, "expected a function, got int"),
            (lambda c, n: ..., "not done yet"),
            (lambda c: parameters(c, 3), "the function fails with TypeError"),
            (lambda c, n: parameters(64, 3), "too large"),
            (lambda c, n: parameters(c, 5), "with 64 channels and 3 classes"),
            (off_by(lambda c, n: -4 * c * n), "table of the labels is missing"),
            (off_by(lambda c, n: -2 * c * n), "both gates"),
            (off_by(lambda c, n: -3 * c * n), "both halves of both gates"),
            (off_by(lambda c, n: 4 * c), "no convolution"),
            (off_by(lambda c, n: -4 * c), "the biases are missing"),
            (off_by(lambda c, n: -4 * c - 4 * c * n), "the biases and the table"),
            (off_by(lambda c, n: 2 * c), "horizontal convolution has no bias"),
            (off_by(lambda c, n: c), "output has no bias"),
            (off_by(lambda c, n: 3 * c), "have no bias"),
            (off_by(lambda c, n: 6 * c**2), "two rows, not three"),
            (off_by(lambda c, n: 2 * c**2), "two columns, not three"),
            (off_by(lambda c, n: 8 * c**2), "nothing that comes later"),
            (off_by(lambda c, n: -6 * c**2 - c), "the vertical convolution has two halves"),
            (off_by(lambda c, n: -(4 * c**2) - 2 * c), "the link is missing"),
            (off_by(lambda c, n: -(c**2)), "output is missing"),
            (off_by(lambda c, n: 1), "a little too large"),
        ],
    )


def nats(model: PixelCNN, codes: Tensor) -> Tensor:
    everyone = torch.ones(len(codes), dtype=torch.int64)
    return torch.stack([model.nll(codes, label * everyone) for label in range(model.num_classes)], dim=1)


def probabilities(model: PixelCNN, codes: Tensor) -> Tensor:
    return (-nats(model, codes)).softmax(1)


@torch.no_grad()
def with_numpy(model: PixelCNN, codes: Tensor) -> list[list[float]]:
    logs = -nats(model, codes).double().numpy()
    shares = np.exp(logs - logs.max(1, keepdims=True))
    return (shares / shares.sum(1, keepdims=True)).tolist()


def one_grid_at_a_time(model: PixelCNN, codes: Tensor) -> list[Tensor]:
    return [probabilities(model, codes[i : i + 1])[0] for i in range(len(codes))]


def all_at_once(model: PixelCNN, codes: Tensor) -> Tensor:
    labels = torch.arange(model.num_classes).repeat_interleave(len(codes))
    costs = model.nll(codes.repeat(model.num_classes, 1, 1), labels).view(model.num_classes, -1)
    return (-costs - torch.logsumexp(-costs, 0)).exp().T.numpy(force=True)


def exponentials_over_their_sum(model: PixelCNN, codes: Tensor) -> Tensor:
    shares = (-nats(model, codes)).exp()
    return shares / shares.sum(1, keepdim=True)


def in_double_precision(model: PixelCNN, codes: Tensor) -> Tensor:
    shares = (-nats(model.double(), codes)).exp()
    return shares / shares.sum(1, keepdim=True)


def with_an_epsilon(model: PixelCNN, codes: Tensor) -> Tensor:
    shares = (-nats(model, codes)).exp()
    return shares / (shares.sum(1, keepdim=True) + 1e-30)


def of_three_classes(model: PixelCNN, codes: Tensor) -> Tensor:
    everyone = torch.ones(len(codes), dtype=torch.int64)
    return (-torch.stack([model.nll(codes, label * everyone) for label in range(3)], dim=1)).softmax(1)


def test_6_4_label_probabilities() -> None:
    expect(
        CHECKERS["6.4"],
        [
            probabilities,
            with_numpy,
            one_grid_at_a_time,
            all_at_once,
            lambda model, codes: probabilities(model, codes).double(),
        ],
        [
            (3, "expected a function, got int"),
            (lambda model, codes: ..., "not done yet"),
            (lambda model: 0, "the function fails with TypeError"),
            (exponentials_over_their_sum, "with so many nats, exp(−nats) is 0"),
            (in_double_precision, "with so many nats, exp(−nats) is 0"),
            (with_an_epsilon, "with so many nats, exp(−nats) is 0"),
            (of_three_classes, "a model with 5 classes: expected the shape (4, 5), got (4, 3)"),
            (nats, "these are nats"),
            (lambda model, codes: -nats(model, codes), "log-likelihoods"),
            (lambda model, codes: probabilities(model, codes).log(), "logarithms of the probabilities"),
            (lambda model, codes: nats(model, codes).softmax(1), "the sign is wrong"),
            (lambda model, codes: (-nats(model, codes)).softmax(0), "over the grids"),
            (lambda model, codes: (-nats(model, codes) / 20).softmax(1), "use nats per grid"),
            (lambda model, codes: (-nats(model, codes) / math.log(2)).softmax(1), "not bits"),
            (lambda model, codes: (-nats(model, codes)).sigmoid(), "sigmoid"),
            (lambda model, codes: nats(model, codes) / nats(model, codes).sum(1, keepdim=True), "their exponentials"),
            (lambda model, codes: probabilities(model, codes).argmax(1), "the best labels"),
            (lambda model, codes: probabilities(model, codes).max(1).values, "of the best labels"),
            (lambda model, codes: probabilities(model, codes).mean(0), "expected the shape (7, 3), got (3,)"),
            (lambda model, codes: probabilities(model, codes).T, "one row for each grid"),
            (lambda model, codes: probabilities(model, codes).squeeze(0), "expected the shape (1, 3), got (3,)"),
            (lambda model, codes: (-2 * nats(model, codes)).softmax(1), "wrong"),
        ],
    )


def test_a_function_may_spoil_the_model_that_it_is_given() -> None:
    def spoil(model: PixelCNN, codes: Tensor) -> Tensor:
        right = probabilities(model, codes)
        for weights in model.parameters():
            weights.data.zero_()
        codes.zero_()
        return right

    assert CHECKERS["6.4"](spoil) is None
    assert CHECKERS["6.4"](probabilities) is None
