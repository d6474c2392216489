"""The checkers of 01_images_and_compression tell right answers from typical wrong ones."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.course.exercises.notebook_01 import CHECKERS
from lpvq.data.loading import load

FACES = load("smileys", "test", limit=256).floats()


def error(restored: Tensor, images: Tensor) -> float:
    return ((restored - images).square().mean() / images.var(correction=0)).item()


def grey(images: Tensor) -> Tensor:
    return images.mean(1, keepdim=True).expand_as(images)


def quarters(size: int) -> Tensor:
    return F.interpolate(F.avg_pool2d(FACES, size), scale_factor=size)


def directions(centred: bool) -> int:
    vectors = FACES.flatten(1)
    squares = torch.linalg.svdvals(vectors - vectors.mean(0)).square()
    whole = squares.sum() if centred else (vectors - vectors.mean()).square().sum()
    return next(n for n in range(1, 257) if squares[n:].sum() / whole < 0.05)


@pytest.mark.parametrize(
    ("exercise", "answer", "complaint"),
    [
        ("1.1", error(quarters(16), FACES), None),
        ("1.1", F.mse_loss(quarters(16), FACES), "divide it by the variance"),
        ("1.1", error(quarters(32), FACES), "one colour for the whole image"),
        ("1.1", error(quarters(8), FACES), "too small"),
        ("1.2", 192, None),
        ("1.2", 96, "compare their bits"),
        ("1.2", 48, "16 levels are not 16 bits"),
        ("1.2", 24, "float32"),
        ("1.2", 64, "three colours"),
        ("1.3", lambda images: error(grey(images), images), None),
        ("1.3", lambda images: F.mse_loss(grey(images), images), "divide it by the variance"),
        ("1.3", lambda images: error(grey(images[:, :, :16]), images[:, :, :16]), "too"),
        ("1.3", lambda images: ..., "not done yet"),
        ("1.3", 0.2, "expected a function"),
        ("1.4", directions(False), None),
        ("1.4", directions(False) - 1, "one too few"),
        ("1.4", directions(True), "the mean image"),
        ("1.4", 3, "too small"),
    ],
)
def test_an_answer_is_judged(exercise: str, answer: object, complaint: str | None) -> None:
    found = CHECKERS[exercise](answer)
    assert found is None if complaint is None else complaint in str(found)
