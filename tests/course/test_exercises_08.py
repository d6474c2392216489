"""The checks of the exercises of 08_fast_sampling, on right answers and on typical wrong ones."""

import numpy as np
import torch

from answers import expect, forms_of_number
from lpvq.course.exercises.notebook_08 import CHECKERS

RIGHT_TASKS = {"draw": True, "likelihood": False, "train": False, "complete": True}


def test_8_1_where_a_cache_helps():
    expect(
        CHECKERS["8.1"],
        [
            RIGHT_TASKS,
            {name: np.bool_(helps) for name, helps in RIGHT_TASKS.items()},
            {name: torch.tensor(helps) for name, helps in RIGHT_TASKS.items()},
            {name: int(helps) for name, helps in RIGHT_TASKS.items()},
            dict(reversed(RIGHT_TASKS.items())),
            {name: np.array([helps]) for name, helps in RIGHT_TASKS.items()},
        ],
        [
            (RIGHT_TASKS | {"train": True}, "1 of 4 wrong. Ask of each: does a step"),
            (RIGHT_TASKS | {"likelihood": True}, "1 of 4 wrong"),
            (RIGHT_TASKS | {"complete": False}, "1 of 4 wrong"),
            (RIGHT_TASKS | {"draw": False, "likelihood": True}, "2 of 4 wrong"),
            (RIGHT_TASKS | {"train": np.bool_(True)}, "1 of 4 wrong"),
            (dict.fromkeys(RIGHT_TASKS, True), "not all alike"),
            (dict.fromkeys(RIGHT_TASKS, False), "not all alike"),
            ({name: not helps for name, helps in RIGHT_TASKS.items()}, "codes that are already drawn"),
            ({"draw": True}, "expected a dictionary with True or False for each of draw, likelihood"),
            (RIGHT_TASKS | {"other": True}, "expected a dictionary"),
            (True, "expected a dictionary"),
            ([True, False, False, True], "expected a dictionary"),
            (RIGHT_TASKS | {"draw": "yes"}, "expected True or False for 'draw', got str"),
            (RIGHT_TASKS | {"draw": ...}, "still ..."),
            (RIGHT_TASKS | {"draw": None}, "expected True or False for 'draw', got None"),
            (RIGHT_TASKS | {"train": 2}, "expected True or False for 'train', got 2"),
        ],
        secrets=["Ask of '"],
    )


def test_8_2_the_cost_of_a_kernel():
    expect(
        CHECKERS["8.2"],
        [*forms_of_number(41), 2 * 3 * 5 + 4 + 2 * 3 + 1, np.int16(41)],
        [
            (21, "for kernel size 3"),
            (65, "a full kernel"),
            (31, "the vertical kernel sees R rows above"),
            (39, "the horizontal kernel sees R columns"),
            (29, "see R rows and columns"),
            (36, "the link and the output"),
            (37, "the link is a convolution"),
            (40, "the output is a convolution"),
            (35, ""),
            (11, "the vertical kernel is missing"),
            (23, "2 C outputs"),
            (42, "after the gate"),
            (21 * 25 / 9, "the kernel's area"),
            (45, "45 is too large"),
            (0, "0 is too small"),
            ("41 C²", "expected a number, got str"),
        ],
        secrets=["41"],
    )


def bytes_kept(batch=8, width=24, reach=2, item=4, layers=13, blocks=12, links=2):
    return item * batch * (layers * reach * width * 128 + blocks * width * links * 128 + layers * reach * 128)


def test_8_3_the_bytes_of_a_cache():
    expect(
        CHECKERS["8.3"],
        [*forms_of_number(bytes_kept()), np.prod([32, 128]) * (26 * 25 + 24 * 24), torch.tensor(bytes_kept())],
        [
            (bytes_kept(item=1), "how many numbers"),
            (bytes_kept(batch=1), "for one grid"),
            (bytes_kept(batch=1, item=1), "how many numbers one grid takes"),
            (8 * bytes_kept(), "bits"),
            (bytes_kept() / 1024, "KiB"),
            (bytes_kept(item=8), "not 8"),
            (bytes_kept(width=16), "count W columns"),
            (bytes_kept(reach=1), "R is 2"),
            (bytes_kept(reach=5), "half of the kernel"),
            (bytes_kept(reach=3), "not R + 1"),
            (bytes_kept(layers=12), "the first layer keeps"),
            (bytes_kept(links=0), "what the links give"),
            (bytes_kept(links=1), "2 C features"),
            (bytes_kept(blocks=13), "has no link"),
            (bytes_kept(layers=0), "too small"),
            (bytes_kept() + 1, "a little too large"),
            (None, "expected a number, got None"),
        ],
        secrets=[str(bytes_kept())],
    )


def ring_step(conv, ring, column, x):
    size = ring.shape[2]
    ring[:, :, column % size] = x
    return conv(ring[:, :, [(column + 1 + place) % size for place in range(size)]])[:, :, 0]


def with_roll(conv, ring, column, x):
    ring[..., column % 5] = x
    return conv(torch.roll(ring, -(column % 5) - 1, 2)).squeeze(2)


def with_two_slices(conv, ring, column, x):
    newest = column % ring.shape[2]
    ring[:, :, newest].copy_(x)
    return conv(torch.cat([ring[:, :, newest + 1 :], ring[:, :, : newest + 1]], 2)).flatten(1)


def by_hand(conv, ring, column, x):
    ring[:, :, column % 5] = x
    output = conv.bias + sum(ring[:, :, (column - back) % 5] @ conv.weight[:, :, 4 - back].T for back in range(5))
    return output.float().numpy()


def as_lists(conv, ring, column, x):
    return ring_step(conv, ring, column, x).tolist()


def in_order_of_places(conv, ring, column, x):
    ring[:, :, column % ring.shape[2]] = x
    return conv(ring)[:, :, 0]


def newest_first(conv, ring, column, x):
    size = ring.shape[2]
    ring[:, :, column % size] = x
    return conv(ring[:, :, [(column - place) % size for place in range(size)]])[:, :, 0]


def from_the_newest_on(conv, ring, column, x):
    ring[:, :, column % 5] = x
    return conv(ring.roll(-column, 2))[:, :, 0]


def one_too_late(conv, ring, column, x):
    output = ring_step(conv, ring.clone(), column, x)
    ring[:, :, (column + 1) % ring.shape[2]] = x
    return output


def writes_nothing(conv, ring, column, x):
    return ring_step(conv, ring.clone(), column, x)


def another_ring(conv, ring, column, x):
    ring = torch.cat([ring[:, :, 1:], x[:, :, None]], dim=2)
    return conv(ring)[:, :, 0]


def copies_all(conv, ring, column, x):
    ring.copy_(torch.cat([ring[:, :, 1:], x[:, :, None]], dim=2))
    return conv(ring)[:, :, 0]


def writes_afterwards(conv, ring, column, x):
    output = conv(ring.roll(-(column + 1), 2))[:, :, 0]
    ring[:, :, column % 5] = x
    return output


def without_bias(conv, ring, column, x):
    return ring_step(conv, ring, column, x) - conv.bias


def sees_one_column(conv, ring, column, x):
    ring.zero_()
    return ring_step(conv, ring, column, x)


def always_at_the_first_place(conv, ring, column, x):
    ring[:, :, 0] = x
    return conv(ring.roll(-1, 2))[:, :, 0]


def without_modulo(conv, ring, column, x):
    ring[:, :, column] = x
    return conv(ring.roll(-(column + 1), 2))[:, :, 0]


def of_three_dimensions(conv, ring, column, x):
    return ring_step(conv, ring, column, x)[:, :, None]


def of_the_channels_in(conv, ring, column, x):
    return ring_step(conv, ring, column, x)[:, : x.shape[1]]


def turned(conv, ring, column, x):
    return ring_step(conv, ring, column, x).T


def returns_nothing(conv, ring, column, x):
    ring_step(conv, ring, column, x)


def returns_the_ring(conv, ring, column, x):
    ring_step(conv, ring, column, x)
    return ring


def test_8_4_the_ring():
    expect(
        CHECKERS["8.4"],
        [ring_step, with_roll, with_two_slices, by_hand, as_lists],
        [
            (5, "expected a function, got int"),
            (lambda *_: ..., "not done yet"),
            (returns_nothing, "returns nothing"),
            (in_order_of_places, "from its oldest column to its newest (column 0)"),
            (newest_first, "from its oldest column to its newest (column 0)"),
            (from_the_newest_on, "from its oldest column to its newest"),
            (one_too_late, "at place c % 5, and leave"),
            (copies_all, "the outputs are right, but the ring is not"),
            (writes_nothing, "nothing is written into the ring"),
            (another_ring, "nothing is written into the ring"),
            (writes_afterwards, "before the convolution"),
            (without_bias, "the bias is missing (column 0)"),
            (sees_one_column, "the new column alone"),
            (always_at_the_first_place, "at place c % 5"),
            (without_modulo, "the function fails with IndexError"),
            (of_three_dimensions, "expected the shape (2, 4), got (2, 4, 1)"),
            (of_the_channels_in, "expected the shape (2, 4), got (2, 3)"),
            (turned, "expected the shape (2, 4), got (4, 2)"),
            (returns_the_ring, "expected the shape (2, 4), got (2, 3, 5)"),
            (lambda conv, ring, column, x: 2 * ring_step(conv, ring, column, x), "wrong (column 0); the ring itself"),
            (lambda conv, ring, x: ring, "the function fails with TypeError"),
        ],
    )


def test_8_4_says_nothing_of_the_ring_where_the_shape_is_wrong():
    assert CHECKERS["8.4"](of_three_dimensions) == "expected the shape (2, 4), got (2, 4, 1)"
