"""The checkers of 00_welcome tell right answers from typical wrong ones."""

from math import log, log2

import numpy as np
import pytest
import torch
from torch import Tensor

from answers import expect, forms_of_number, forms_of_tensor
from lpvq import load_pretrained
from lpvq.course.exercises import notebook_00
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


def first_logits(label: int) -> Tensor:
    _, prior = load_pretrained()
    with torch.no_grad():
        return prior(torch.zeros(1, 8, 8, dtype=torch.int64), torch.tensor([label]))[0, :, 0, 0]


def test_0_3_sharper() -> None:
    logits = first_logits(1)
    once, right = logits.softmax(0), (2 * logits).softmax(0)
    expect(
        CHECKERS["0.3"],
        [
            *forms_of_tensor(right),
            once**2 / (once**2).sum(),
            (2 * (logits - logits.max())).exp() / (2 * (logits - logits.max())).exp().sum(),
        ],
        [
            ((logits * 0.5).softmax(0), "multiplied by the temperature"),
            (once, "temperature 1"),
            (once / 0.5, "before the softmax"),
            (once**2, "do not sum to 1"),
            (logits / 0.5, "these are logits"),
            (logits, "logits at temperature 1"),
            ((logits / 0.5).log_softmax(0), "logarithms"),
            ((logits / 0.5).exp(), "not divided by their sum"),
            ((once / 0.5).softmax(0), "twice"),
            (right[None], "expected the shape (256,), got (1, 256)"),
            (right.argmax(), "expected the shape (256,), got ()"),
            (right.flip(0), "values are wrong"),
            ((logits / 0.25).softmax(0), "values are wrong"),
            (right / log(2), "wrong"),
            (lambda: right, "expected a tensor, got a function"),
        ],
    )


@pytest.mark.parametrize(("label", "words"), [(0, "label 0"), (2, "label 2")])
def test_0_3_names_another_label(label: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With weights for which the first code depends on the label: those of the shipped prior hardly do."""
    logits = torch.randn(3, 256, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(notebook_00, "_first_logits", lambda: logits)
    assert words in str(CHECKERS["0.3"]((logits[label] / 0.5).softmax(0)))
    assert CHECKERS["0.3"]((logits[1] / 0.5).softmax(0)) is None
