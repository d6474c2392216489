"""The checkers of notebook 01: right answers pass, typical wrong ones are called by their name."""

import pytest
import torch
import torch.nn.functional as F

from lpvq.datasets import load
from lpvq.exercises.notebook_01 import CHECKERS


def relative(reconstructions, originals):
    return (reconstructions - originals).square().mean() / originals.var(correction=0)


def faces():
    return load("smileys", "test", limit=256).floats()


def quarters(patch):
    return F.interpolate(F.avg_pool2d(faces(), patch), scale_factor=patch)


def grey(pictures, dim=1):
    return pictures.mean(dim, keepdim=True).expand_as(pictures)


def directions(around):
    vectors = faces().flatten(1).double()
    squares = torch.linalg.svdvals(vectors - vectors.mean(0)).square()
    left = squares.sum() - squares.cumsum(0)
    return int((left / (vectors - around(vectors)).square().sum() >= 0.05).sum()) + 1


def test_right_answers_pass():
    assert CHECKERS["1.1"](relative(quarters(16), faces())) is None
    assert CHECKERS["1.2"](192) is None
    assert CHECKERS["1.3"](lambda pictures: relative(grey(pictures), pictures)) is None
    assert CHECKERS["1.4"](directions(lambda vectors: vectors.mean())) is None


@pytest.mark.parametrize(
    ("exercise", "answer", "complaint"),
    [
        ("1.1", lambda: (quarters(16) - faces()).square().mean(), "divide it by the variance"),
        ("1.1", lambda: relative(quarters(32), faces()), "one colour for the whole image"),
        ("1.1", lambda: relative(quarters(8), faces()), "too small"),
        ("1.2", lambda: 48, "16 levels are not 16 bits"),
        ("1.2", lambda: 64, "three colours"),
        ("1.3", lambda: 0.4, "expected a function"),
        ("1.3", lambda: lambda pictures: ..., "not done yet"),
        ("1.3", lambda: lambda pictures: relative(grey(pictures, 3), pictures), "is too"),
        ("1.3", lambda: lambda pictures: (grey(pictures) - pictures).square().mean(), "divide it by the variance"),
        ("1.4", lambda: directions(lambda vectors: vectors.mean()) - 1, "one too few"),
        ("1.4", lambda: directions(lambda vectors: vectors.mean(0)), "variance around the mean image"),
    ],
)
def test_wrong_answers_are_told_why(exercise, answer, complaint):
    assert complaint in CHECKERS[exercise](answer())
