"""The checks of the exercises of 08_fast_sampling, on right answers and on typical wrong ones."""

import numpy as np
import torch

from answers import expect, forms_of_number, forms_of_tensor
from lpvq.course.exercises.notebook_08 import CHECKERS, positions_run_through
from lpvq.models.pixelcnn import PixelCNN
from written import CACHE, of_notebook

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
            ({name: not helps for name, helps in RIGHT_TASKS.items()}, "4 of 4 wrong"),
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


def positions(*masks):
    """For n = 0 … 7 and each mask, how many positions lie at or left of a wanted code in its row."""
    counts = []
    for is_known in masks:
        grids = [[[is_known(row, column, n) for column in range(8)] for row in range(8)] for n in range(8)]
        counts.append([sum(max((c + 1 for c in range(8) if not row[c]), default=0) for row in grid) for grid in grids])
    return torch.tensor(counts)


def above(row, column, n):
    return row < n


def left(row, column, n):
    return column < n


def at_the_right(row, column, n):
    return column >= 8 - n


def test_8_2_the_cost_of_a_completion():
    right = positions(above, left, at_the_right)
    wanted = torch.tensor([8 * (8 - n) for n in range(8)]).expand(3, 8)
    drawn = positions(lambda *x: not above(*x), lambda *x: not left(*x), lambda *x: not at_the_right(*x))
    one_more = positions(*[lambda r, c, n, known=known: known(r, c, n + 1) for known in (above, left, at_the_right)])
    expect(
        CHECKERS["8.2"],
        [*forms_of_tensor(right), right.int(), [list(map(float, row)) for row in right]],
        [
            (torch.full((3, 8), 64), "the vertical convolution"),
            (wanted, "of the wanted codes alone"),
            (wanted * 64, "that plain sampling computes"),
            (torch.full((3, 8), 4096), "all positions for each code"),
            (drawn, "the other way round"),
            (one_more, "not from 1 to 8"),
            (right.T, "rows and columns are swapped"),
            (right[[0, 2, 1]], "the order is: upper rows, left"),
            (right[[1, 0, 2]], "the order is: upper rows, then left"),
            (right.flip(1), "not from 7 to 0"),
            (64 - right, "that are skipped"),
            (right / 64, "these are shares"),
            (right + wanted, "sums of both"),
            (right[:2], "expected the shape (3, 8), got (2, 8)"),
            (right[:, 1:], "expected the shape (3, 8), got (3, 7)"),
            (right + (right == 24), "values are wrong"),
            (64, "expected the shape (3, 8), got ()"),
            (lambda n: right[:, n], "got a function"),
        ],
    )


def test_8_2_is_what_the_cache_of_the_notebook_computes():
    found = of_notebook("08_fast_sampling", *CACHE, "sample_grids", "count_positions")
    model = PixelCNN(5, (8, 8), num_blocks=1, hidden_channels=4, num_classes=3)
    known = torch.rand(8, 8, generator=torch.Generator().manual_seed(0)) < 0.7
    steps = found.GridCache(model, torch.tensor([0]), 1, 8)
    start, u = torch.zeros(1, 8, 8, dtype=torch.int64), torch.full((1, 8, 8), 0.5)
    horizontal = {"horizontal": model.blocks[0].horizontal.conv}
    with torch.no_grad():
        counted = found.count_positions(horizontal, lambda: found.sample_grids(steps, u, start, known))
    assert counted["horizontal"] == positions_run_through(known)


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
