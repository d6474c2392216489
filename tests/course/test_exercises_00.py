"""The checkers of 00_welcome tell right answers from typical wrong ones."""

from math import exp, log2

import numpy as np
import torch
from torch import Tensor

from answers import expect, forms_of_number, forms_of_tensor
from lpvq import load_pretrained
from lpvq.course.exercises.notebook_00 import CHECKERS
from lpvq.data.loading import load


def test_0_1_compression() -> None:
    image, codes = 32 * 32 * 3 * 8, 8 * 8 * 9
    expect(
        CHECKERS["0.1"],
        [*forms_of_number(image / codes), np.float32(42.667), (32 / 8) ** 2 * 3 * 8 / log2(512)],
        [
            (codes / image, "the other way round"),
            (image / codes / 3, "three colours"),
            (image / 8 / codes, "8 bits"),
            (image / (64 * 512), "does not take as many bits"),
            (image / 9, "a grid has many"),
            (3072 / 64, "compare their bits"),
            (image, "bits of the image"),
            (codes, "bits of the codes"),
            (image - codes, "how many bits are saved"),
            (1 - codes / image, "the share that is saved"),
            (image / (64 * 32), "float32"),
            (0, "0 is too small"),
            (44, "a little too large"),
            (float("inf"), "infinite"),
            ("48", "expected a number, got str"),
            ((image, codes), "expected a number, got tuple"),
            (None, "expected a number, got None"),
        ],
        secrets=["42.", "43 "],
    )


def decoded(row: int = 4, column: int = 4, code: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """The first test image, its codes decoded, and with one of them changed, (1, 3, 32, 32) each."""
    vqvae, _ = load_pretrained()
    image = load("smileys", "test", limit=1).floats()
    codes = vqvae.encode(image)
    changed = codes.clone()
    changed[:, row, column] = code
    return image, vqvae.decode(codes), vqvae.decode(changed)


def test_0_2_one_code_changed() -> None:
    image, before, after = decoded()
    change = (after - before)[0]
    right = change.abs().max(0).values
    expect(
        CHECKERS["0.2"],
        [*forms_of_tensor(right), torch.maximum(change, -change).amax(0), np.abs(change.numpy()).max(axis=0)],
        [
            (torch.zeros(32, 32), "nothing has changed"),
            (change.abs(), "three colours are still there"),
            (change.abs().mean(0), "the mean over the colours"),
            (change.abs().sum(0), "the sum over the colours"),
            (change.abs().amin(0), "the smallest of the colours"),
            (change.amax(0), "without the absolute value"),
            ((-change).amax(0), "the other way round"),
            (change.square().amax(0), "squares"),
            ((after - image).abs().amax((0, 1)), "not with the image itself"),
            ((before - image).abs().amax((0, 1)), "no code is changed"),
            (after.amax((0, 1)), "how far is it from the other one"),
            (right[None], "expected the shape (32, 32), got (1, 32, 32)"),
            (right.max(), "expected the shape (32, 32), got ()"),
            (right.T, "values are wrong, the first at ["),
            (decoded(row=3, column=3)[2].sub(before).abs().amax((0, 1)), "wrong"),
            (100 * right + 1, "all of its values are wrong"),
            (right.log(), "wrong"),
            (torch.full_like(right, torch.nan), "not a number"),
            ("white", "expected a tensor, got str"),
        ],
    )


def sharpened(logits: Tensor, temperature: float) -> Tensor:
    return (logits / temperature).softmax(0)


def by_powers(logits: Tensor, temperature: float) -> np.ndarray:
    powers = np.exp(logits.double().numpy() - float(logits.max())) ** (1 / temperature)
    return powers / powers.sum()


def by_loop(logits: Tensor, temperature: float) -> list[float]:
    shares = [exp((logit - float(logits.max())) / temperature) for logit in logits.tolist()]
    return [share / sum(shares) for share in shares]


def test_0_3_with_temperature() -> None:
    expect(
        CHECKERS["0.3"],
        [
            sharpened,
            by_powers,
            by_loop,
            lambda logits, temperature: torch.distributions.Categorical(logits=logits / temperature).probs,
            lambda logits, temperature: (logits.softmax(0).log() / temperature).softmax(0).requires_grad_(),
        ],
        [
            (sharpened(torch.ones(4), 0.5), "expected a function, got Tensor of shape (4,)"),
            (lambda logits, temperature: ..., "not done yet"),
            (lambda logits: logits.softmax(0), "the function fails with TypeError"),
            (lambda logits, temperature: (logits * temperature).softmax(0), "multiplied by the temperature"),
            (lambda logits, temperature: logits.softmax(0), "temperature 1"),
            (lambda logits, temperature: (logits / 0.5).softmax(0), "the temperature in the brackets"),
            (lambda logits, temperature: logits.softmax(0) / temperature, "before the softmax"),
            (lambda logits, temperature: logits.softmax(0) ** (1 / temperature), "do not sum to 1"),
            (lambda logits, temperature: logits / temperature, "these are logits"),
            (lambda logits, temperature: logits, "logits at temperature 1"),
            (lambda logits, temperature: (logits / temperature).log_softmax(0), "logarithms"),
            (lambda logits, temperature: (logits / temperature).exp(), "not divided by their sum"),
            (lambda logits, temperature: (logits.softmax(0) / temperature).softmax(0), "twice"),
            (lambda logits, temperature: (logits - temperature).softmax(0), "this is temperature 1"),
            (lambda logits, temperature: (logits == logits.max()).float(), "temperature 0"),
            (lambda logits, temperature: sharpened(logits, temperature)[None], "expected the shape (256,)"),
            (lambda logits, temperature: sharpened(logits, temperature).argmax(), "expected the shape (256,), got ()"),
            (lambda logits, temperature: sharpened(logits, temperature).flip(0), "values are wrong"),
        ],
    )


def test_0_4_what_surprises_the_prior() -> None:
    right = [
        "face",
        "mirrored",
        "wrong label",
        "upside down",
        "random",
    ]  # where each costs far more than the one before
    expect(
        CHECKERS["0.4"],
        [right, tuple(right), np.array(right), {name: 0.0 for name in right}, [np.str_(name) for name in right]],
        [
            (right[::-1], "the other way round"),
            (["mirrored", "face", *right[2:]], "two neighbours"),
            (["face", "wrong label", "mirrored", *right[3:]], "two neighbours"),
            ([*right[:3], "random", "upside down"], "two neighbours"),
            (["face", "upside down", "wrong label", "mirrored", "random"], "3 of 5 stand in their places"),
            (["face", "mirrored", "random", "wrong label", "upside down"], "2 of 5 stand in their places"),
            (["random", "face", "mirrored", "wrong label", "upside down"], "0 of 5 stand in their places"),
            (right[:4], "each of the 5 names once, got 4"),
            ([*right, "face"], "each of the 5 names once, got 6, 5 of them different"),
            (["face"] * 5, "got 5, 1 of them different"),
            ([*right[:4], "noise"], "'noise' is not one of the names"),
            ([0, 1, 2, 3, 4], "'0' is not one of the names"),
            ("face", "expected a list of the 5 names in order, got str"),
            (set(right), "got set"),
            (None, "got None"),
            (0.4, "got float"),
        ],
        secrets=["face, mirrored, wrong"],
    )
