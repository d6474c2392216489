"""The checks of the exercises of notebook 06: right answers pass, typical wrong ones are told what is wrong."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from answers import expect, forms_of_numbers, forms_of_tensor
from lpvq import PixelCNN
from lpvq.course.exercises.notebook_06 import CHECKERS
from lpvq.data.loading import load
from lpvq.models.causal import HorizontalConv
from lpvq.models.gated import GatedBlock, gate
from lpvq.models.pretrained import load_pretrained

LEAKS = {
    "late link": False,
    "vertical residual": False,
    "type B first": True,
    "wide head": True,
    "map of labels": False,
    "batch norm": True,
}


def test_6_1_what_leaks() -> None:
    expect(
        CHECKERS["6.1"],
        [
            LEAKS,
            {name: np.bool_(value) for name, value in LEAKS.items()},
            {name: torch.tensor([value]) for name, value in LEAKS.items()},
            {name: int(value) for name, value in reversed(LEAKS.items())},
        ],
        [
            *[(LEAKS | {name: not value}, "1 of 6 wrong. Ask of each") for name, value in LEAKS.items()],
            (LEAKS | {"batch norm": False, "map of labels": True}, "2 of 6 wrong"),
            (dict.fromkeys(LEAKS, True), "not all alike. 3 of 6 wrong"),
            (dict.fromkeys(LEAKS, False), "not all alike"),
            ({name: not value for name, value in LEAKS.items()}, "6 of 6 wrong"),
            ({"wide head": True}, "expected a dictionary with True or False for each of late link"),
            (["wide head", "type B first", "batch norm"], "expected a dictionary"),
            (LEAKS | {"wide head": "leaks"}, "expected True or False for 'wide head', got str"),
            (LEAKS | {"wide head": ...}, "still ..."),
        ],
        secrets=["'batch norm' leaks"],
    )


class Changed(PixelCNN):
    """The package's model with a change that has a name."""

    def __init__(self, change: str) -> None:
        super().__init__(6, (5, 7), num_blocks=3, hidden_channels=8, num_classes=3)
        self.change = change
        if change == "type B first":
            self.horizontal_input = HorizontalConv(8, 8, kernel_size=3, mask_type="B")
        if change == "wide head":
            self.head = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 6, 3, padding=1))
        if change == "batch norm":
            self.head = nn.Sequential(nn.BatchNorm2d(8), *self.head)
        if change == "late link":
            for block in self.blocks:
                block.link = nn.Conv2d(8, 16, 1)
        self.maps = torch.randn(3, 16, 5, 7)

    def forward(self, embedded: Tensor, labels: Tensor) -> Tensor:
        """Embedded codes (B, C, H, W) to logits, by the blocks of notebook 06."""
        v, h = self.vertical_input(embedded), self.horizontal_input(embedded)
        shift = self.maps[labels] if self.change == "map of labels" else 0
        for block in self.blocks:
            features = block.vertical(v) + shift
            linked = block.link(gate(features) if self.change == "late link" else features)
            v = gate(features) + (v if self.change == "vertical residual" else 0)
            h = h + block.output(gate(block.horizontal(h) + linked + shift))
        return self.head(h)


@pytest.mark.parametrize(("change", "leaks"), LEAKS.items())
def test_a_change_leaks_or_not_by_gradient(change: str, leaks: bool) -> None:
    torch.manual_seed(0)
    model = Changed(change).double()
    model.maps = model.maps.double()
    seen_later = False
    for position in range(35):
        embedded = torch.randn(1, 8, 5, 7, dtype=torch.float64, requires_grad=True)
        model(embedded, torch.tensor([1])).flatten(2)[0, :, position].sum().backward()
        seen_later |= bool(embedded.grad.abs().sum(1).flatten()[position:].any())
    assert seen_later == leaks


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
            (
                lambda model, codes: nats(model, codes) / nats(model, codes).sum(1, keepdim=True),
                "exponentials of the nats",
            ),
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


def test_6_5_a_surer_prior() -> None:
    vqvae, prior = load_pretrained()
    faces = load("smileys", "test", limit=40)
    codes, temperatures = vqvae.encode(faces.floats()), (0.5, 0.8, 1, 1.3, 2)
    with torch.no_grad():
        logits, mistaken = prior(codes, faces.labels), prior(codes, (faces.labels + 1) % 3)

    def cost(logits: Tensor) -> float:
        return F.cross_entropy(logits, codes).item() * 64

    right = torch.tensor([cost(logits / temperature) for temperature in temperatures])
    by_hand = [-(logits / t).log_softmax(1).gather(1, codes[:, None]).sum((1, 2, 3)).mean() for t in temperatures]
    assert right.argmin() == 2  # or the exercise would say something else
    expect(
        CHECKERS["6.5"],
        [*forms_of_tensor(right), by_hand, right.double().round(decimals=2), [round(x, 2) for x in right.tolist()]],
        [
            ([cost(logits * temperature) for temperature in temperatures], "multiplied by T"),
            ([cost(logits)] * 5, "T changes nothing"),
            ([cost(logits) / temperature for temperature in temperatures], "divided after it"),
            (right / 64, "nats per code"),
            (right / math.log(2), "these are bits; "),
            (right / 64 / math.log(2), "bits per code"),
            (right * 40, "the sum over the grids"),
            (-right, "the sign"),
            (right.flip(0), "the other order"),
            ([cost(mistaken / temperature) for temperature in temperatures], "wrong labels"),
            ((right / 64).exp(), "perplexities"),
            ([torch.special.entr((logits / t).softmax(1)).sum() / 40 for t in temperatures], "the entropy"),
            (right[2], "expected the shape (5,), got ()"),
            (right[:4], "expected the shape (5,), got (4,)"),
            (right + torch.tensor([0, 0, 0, 0, 1]), "1 of 5 values is wrong, at [4]"),
            (lambda temperature: right, "got a function"),
            ({0.5: 20}, "expected a tensor, got dict"),
        ],
    )
