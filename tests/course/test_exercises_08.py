"""The checks of the exercises of 08_fast_sampling, on right answers and on typical wrong ones."""

import pytest
import torch

from lpvq.course.exercises.notebook_08 import CHECKERS

RIGHT_TASKS = {"draw": True, "likelihood": False, "train": False, "complete": True}


def bytes_kept(batch=8, width=24, reach=2, item=4):
    return item * batch * (13 * reach * width * 128 + 12 * width * 2 * 128 + 13 * reach * 128)


def ring_step(conv, ring, column, x):
    size = ring.shape[2]
    ring[:, :, column % size] = x
    return conv(ring[:, :, [(column + 1 + place) % size for place in range(size)]])[:, :, 0]


def in_order_of_places(conv, ring, column, x):
    ring[:, :, column % ring.shape[2]] = x
    return conv(ring)[:, :, 0]


def newest_first(conv, ring, column, x):
    size = ring.shape[2]
    ring[:, :, column % size] = x
    return conv(ring[:, :, [(column - place) % size for place in range(size)]])[:, :, 0]


def one_too_late(conv, ring, column, x):
    output = ring_step(conv, ring.clone(), column, x)
    ring[:, :, (column + 1) % ring.shape[2]] = x
    return output


def writes_nothing(conv, ring, column, x):
    return ring_step(conv, ring.clone(), column, x)


def copies_all(conv, ring, column, x):
    ring.copy_(torch.cat([ring[:, :, 1:], x[:, :, None]], dim=2))
    return conv(ring)[:, :, 0]


def of_three_dimensions(conv, ring, column, x):
    return ring_step(conv, ring, column, x)[:, :, None]


def returns_nothing(conv, ring, column, x):
    ring_step(conv, ring, column, x)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("8.1", RIGHT_TASKS),
        ("8.2", 41),
        ("8.2", torch.tensor(41)),
        ("8.3", bytes_kept()),
        ("8.4", ring_step),
    ],
)
def test_right_answers_are_accepted(exercise, answer):
    assert CHECKERS[exercise](answer) is None


@pytest.mark.parametrize(
    ("exercise", "answer", "complaint"),
    [
        ("8.1", RIGHT_TASKS | {"train": True}, "1 of 4 wrong. Ask of 'train'"),
        ("8.1", RIGHT_TASKS | {"draw": False, "likelihood": True}, "2 of 4 wrong. Ask of 'draw'"),
        ("8.1", {"draw": True}, "expected a dictionary"),
        ("8.1", True, "expected a dictionary"),
        ("8.2", 21, "for kernel size 3"),
        ("8.2", 65, "a full kernel"),
        ("8.2", 31, "R = 2"),
        ("8.2", 36, "convolutions too"),
        ("8.2", 40, "too small by 1"),
        ("8.2", "41 C²", "expected a number"),
        ("8.3", bytes_kept(item=1), "how many numbers"),
        ("8.3", bytes_kept(batch=1), "for one grid"),
        ("8.3", bytes_kept(width=16), "count W columns"),
        ("8.3", bytes_kept(reach=1), "R is 2"),
        ("8.3", bytes_kept() + 1, "too large by 1"),
        ("8.3", None, "expected a number"),
        ("8.4", in_order_of_places, "from its oldest column to its newest"),
        ("8.4", newest_first, "from its oldest column to its newest"),
        ("8.4", one_too_late, "belongs at place 1"),
        ("8.4", copies_all, "at place c % 5"),
        ("8.4", writes_nothing, "belongs at place 1"),
        ("8.4", of_three_dimensions, "expected the shape (2, 3), got (2, 3, 1)"),
        ("8.4", returns_nothing, "returns nothing"),
    ],
)
def test_wrong_answers_are_told_what_is_wrong(exercise, answer, complaint):
    assert complaint in CHECKERS[exercise](answer)
