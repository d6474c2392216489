"""The checkers of 04_latent_codes tell right answers from typical wrong ones."""

from math import log, log2

import pytest
import torch
from torch import Tensor

from lpvq.course.exercises.notebook_04 import CHECKERS


def by_place(table: Tensor, number: int, height: int, width: int) -> Tensor:
    return torch.multinomial(table.double(), number, replacement=True).T.reshape(number, height, width)


def by_frequency(table: Tensor, number: int, height: int, width: int) -> Tensor:
    drawn = torch.multinomial(table.sum(0).double(), number * height * width, replacement=True)
    return drawn.view(number, height, width)


def mixed_up(table: Tensor, number: int, height: int, width: int) -> Tensor:
    return torch.multinomial(table.double(), number, replacement=True).reshape(number, height, width)


def turned(table: Tensor, number: int, height: int, width: int) -> Tensor:
    return by_place(table, number, height, width).mT


def bits(codes: Tensor) -> float:
    counts = codes.flatten().unique(return_counts=True)[1]
    shares = counts.double() / counts.sum()
    return -(shares * shares.log2()).sum().item()


def given_above(codes: Tensor, num_codes: int) -> float:
    return bits(codes[:, :-1] * num_codes + codes[:, 1:]) - bits(codes[:, :-1])


def given_left(codes: Tensor, num_codes: int) -> float:
    return given_above(codes.mT, num_codes)


@pytest.mark.parametrize(
    ("exercise", "answer", "complaint"),
    [
        ("4.1", 2**1.75, None),
        ("4.1", torch.tensor(2**1.75), None),
        ("4.1", 1.75, "entropy in bits"),
        ("4.1", 1.75 * log(2), "entropy in nats"),
        ("4.1", 4, "not used equally"),
        ("4.1", 8, "too large"),
        ("4.2", 3 * 1 + 2 + 4 + log2(32 / 6), None),
        ("4.2", (3 * 1 + 2 + 4 + log2(32 / 6)) / 6, "bits per code"),
        ("4.2", (3 * 1 + 2 + 4 + log2(32 / 6)) * log(2), "these are nats"),
        ("4.2", 3 * log2(28 / 15) + log2(28 / 7) + log2(28 / 5) + log2(28), "add one to each count"),
        ("4.2", 3 * log2(28 / 16) + log2(28 / 8) + log2(28 / 6) + log2(28 / 2), "after one is added"),
        ("4.2", 13, "too large"),
        ("4.3", by_place, None),
        ("4.3", by_frequency, "the same at each place"),
        ("4.3", mixed_up, "its own row"),
        ("4.3", turned, "expected the shape"),
        ("4.3", lambda *_: ..., "not done yet"),
        ("4.3", 3, "expected a function"),
        ("4.4", given_above, None),
        ("4.4", given_left, "to the left"),
        ("4.4", lambda codes, k: given_above(codes, k) * log(2), "nats"),
        ("4.4", lambda codes, k: bits(codes[:, :-1] * k + codes[:, 1:]), "subtract that of the code above"),
        ("4.4", lambda codes, k: 0.3, "too small"),
        ("4.4", lambda codes, k: ..., "not done yet"),
    ],
)
def test_an_answer_is_judged(exercise: str, answer: object, complaint: str | None) -> None:
    found = CHECKERS[exercise](answer)
    assert found is None if complaint is None else complaint in str(found)
