"""The checkers of notebook 10: right answers pass, typical wrong ones are called by their name."""

import pytest
import torch

from lpvq import load_pretrained
from lpvq.course.exercises.notebook_10 import CHECKERS
from lpvq.data.loading import load


@pytest.fixture(scope="module")
def given_and_prior():
    vqvae, prior = load_pretrained("smileys-128")
    faces = load("smileys", "test", size=128, limit=12)
    surprised = int((faces.labels == 2).nonzero()[0])
    return vqvae.encode(faces.floats([surprised])), prior


def complete(codes, prior, label, seed=4):
    generator = torch.Generator().manual_seed(seed)
    return prior.generate(codes[:, :15].flatten(1), 32, labels=torch.tensor([label]), generator=generator)


def test_a_completed_face_is_checked(given_and_prior):
    codes, prior = given_and_prior
    check = CHECKERS["10.3"]
    assert check(complete(codes, prior, 0)) is None
    assert "stays surprised" in check(complete(codes, prior, 2))
    assert "codes are others" in check(complete(codes, prior, 0, seed=5))
    assert "upper 15 rows" in check(complete(codes.roll(1, 2), prior, 0))
    assert "expected the shape (1, 32, 32)" in check(codes[0])
    assert "expected a tensor" in check(codes.tolist())


@pytest.mark.parametrize(
    ("exercise", "answer", "complaint"),
    [
        ("10.1", (101, 12, 12), None),
        ("10.1", (100, 12, 12), "begin to count with the first one"),
        ("10.1", (101, 24, 24), "rows: 24 is too large by 12"),
        ("10.1", 101, "expected three numbers"),
        ("10.2", 22, None),
        ("10.2", 23, "the first layer"),
        ("10.2", 12, "too small by 10"),
        ("10.4", 48, None),
        ("10.4", 16, "three numbers"),
    ],
)
def test_answers_are_told_how_they_stand(exercise, answer, complaint):
    said = CHECKERS[exercise](answer)
    assert said is None if complaint is None else complaint in said
