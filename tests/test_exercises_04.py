"""The checkers of notebook 04: right answers pass, typical wrong ones are called by their name."""

import math

import pytest
import torch

from lpvq.exercises.notebook_04 import CHECKERS
from lpvq.quantizer import code_counts, entropy

COUNTS = torch.tensor([400, 200, 100, 100, 0, 0, 0, 0])
GRID = torch.tensor([[0, 0, 1], [3, 0, 2]])
GRID_COUNTS = torch.tensor([15.0, 7, 5, 1])


def bits_of_grid(weights):
    return -(weights / weights.sum()).log2()[GRID].sum()


def draw_by_place(table, number, height, width):
    return torch.multinomial(table.double(), number, replacement=True).T.reshape(number, height, width)


def draw_transposed(table, number, height, width):
    return torch.multinomial(table.double(), number, replacement=True).T.reshape(number, width, height).mT


def draw_anywhere(table, number, height, width):
    everywhere = table.double().sum(0).expand(height * width, -1)
    return torch.multinomial(everywhere, number, replacement=True).T.reshape(number, height, width)


def conditional(first, second, num_codes):
    pairs = entropy(code_counts(first * num_codes + second, num_codes**2))
    return (pairs - entropy(code_counts(first, num_codes))) / math.log(2)


def test_right_answers_pass():
    assert CHECKERS["4.1"](2**1.75) is None
    assert CHECKERS["4.2"](bits_of_grid(GRID_COUNTS + 1)) is None
    assert CHECKERS["4.3"](draw_by_place) is None
    assert CHECKERS["4.4"](lambda codes, k: conditional(codes[:, :-1], codes[:, 1:], k)) is None


@pytest.mark.parametrize(
    ("exercise", "answer", "complaint"),
    [
        ("4.1", 1.75, "entropy in bits"),
        ("4.1", 4, "not used equally"),
        ("4.1", math.exp(1.75), "the base is 2"),
        ("4.2", bits_of_grid(GRID_COUNTS), "add one to each count"),
        ("4.2", bits_of_grid(GRID_COUNTS + 1) * math.log(2), "these are nats"),
        ("4.2", bits_of_grid(GRID_COUNTS + 1) / 6, "per code"),
        ("4.3", torch.zeros(3), "expected a function"),
        ("4.3", lambda *_: ..., "not done yet"),
        ("4.3", lambda table, number, height, width: torch.zeros(number, width, height), "expected the shape"),
        ("4.3", draw_anywhere, "the same at each place"),
        ("4.3", draw_transposed, "keep its own row of the table"),
        ("4.4", lambda codes, k: conditional(codes[:, :, :-1], codes[:, :, 1:], k), "the one above"),
        ("4.4", lambda codes, k: math.log(2) * conditional(codes[:, :-1], codes[:, 1:], k), "these are nats"),
    ],
)
def test_wrong_answers_are_told_why(exercise, answer, complaint):
    assert complaint in CHECKERS[exercise](answer)
