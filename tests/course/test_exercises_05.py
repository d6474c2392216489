"""The checkers of 05_causal_convolutions tell right answers from typical wrong ones."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from answers import expect, forms_of_number, forms_of_tensor
from lpvq.course.exercises.notebook_05 import CHECKERS
from lpvq.models.gated import Stacks

MASK = torch.tensor([[1.0] * 5, [1.0] * 5, [1.0, 1.0, 0.0, 0.0, 0.0], [0.0] * 5, [0.0] * 5])
TYPE_B = MASK.clone().index_put((torch.tensor(2), torch.tensor(2)), torch.tensor(1.0))


def test_5_1_numbers_in_tables() -> None:
    expect(
        CHECKERS["5.1"],
        [*forms_of_number(349_524), (4**10 - 4) / 3, np.sum(4 ** np.arange(1, 10)), torch.tensor(349_524.0)],
        [
            (4**9, "last position alone"),
            (9 * 4**9, "four times as large"),
            (36, "different sizes"),
            (sum(4**n for n in range(9)), "an entry for each value of c1"),
            (sum(4**n for n in range(1, 9)), "the last table is missing"),
            (sum(4**n for n in range(10)), "nothing comes before"),
            (sum(4**n for n in range(1, 11)), "one table too many"),
            (4**9 - 1, "follows from the others"),
            (4**45, "not multiplied"),
            (sum(n**4 for n in range(1, 10)), "base and exponent"),
            (sum(3**n for n in range(1, 10)), "not of 3"),
            (180, "not 4 + 4"),
            (340, "2 × 2"),
            (349_520, "349520 is a little too small"),
            (0, "0 is too small"),
            ("many", "expected a number, got str"),
        ],
        secrets=["349524"],
    )


def test_5_2_mask_a() -> None:
    in_order = torch.tensor([1] * 12 + [0] * 13)
    expect(
        CHECKERS["5.2"],
        [
            *forms_of_tensor(MASK),
            MASK.bool(),
            MASK.int(),
            in_order.view(5, 5),
            MASK.numpy().astype(bool),
            np.tri(25, 25, -1)[12].reshape(5, 5),
        ],
        [
            (TYPE_B, "mask B"),
            (MASK.T, "swapped"),
            (TYPE_B.T, "swapped, and the middle"),
            (1 - TYPE_B, "comes later"),
            (1 - MASK, "and itself"),
            (torch.ones(5, 5), "everything"),
            (torch.zeros(5, 5), "it sees nothing"),
            (torch.tensor([1.0, 1, 0, 0, 0])[:, None].expand(5, 5), "nothing to the left"),
            (torch.tensor([1.0, 1, 1, 0, 0])[:, None].expand(5, 5), "not all of it"),
            (torch.ones(5, 5).tril(-1), "left of the diagonal"),
            (torch.ones(5, 5).tril(), "tril"),
            (in_order, "(5, 5)"),
            (MASK[1:4, 1:4].bool(), "3 × 3"),
            (MASK[:3], "expected the shape (5, 5), got (3, 5)"),
            (MASK[None, None], "expected the shape (5, 5), got (1, 1, 5, 5)"),
            (2 * MASK, "12 of 25 values are wrong, the first at [0, 0]"),
            ([[1, 1], [1]], "different shapes"),
            (5, "expected the shape (5, 5), got ()"),
        ],
    )


def shifted(grid: Tensor) -> Tensor:
    return F.pad(grid, (0, 0, 1, -1))


def by_rolling(grid: Tensor) -> Tensor:
    rolled = grid.roll(1, 2)
    rolled[:, :, 0] = 0
    return rolled


def by_joining(grid: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(grid[:, :, :1]), grid[:, :, :-1]], 2)


def by_matrix(grid: Tensor) -> Tensor:
    return torch.eye(grid.shape[2]).roll(1, 0).tril() @ grid


def with_arrays(grid: Tensor) -> np.ndarray:
    return np.concatenate([0 * grid.numpy()[:, :, :1], grid.numpy()[:, :, :-1]], axis=2)


def first_row_zero(grid: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(grid[:, :, :1]), grid[:, :, 1:]], 2)


def first_row_kept(grid: Tensor) -> Tensor:
    return torch.cat([grid[:, :, :1], grid[:, :, :-1]], 2)


def with_ones(grid: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(grid[:, :, :1]), grid[:, :, :-1]], 2)


def zeros_at_the_end(grid: Tensor) -> Tensor:
    return torch.cat([grid[:, :, :-1], torch.zeros_like(grid[:, :, :1])], 2)


def too_long(grid: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(grid[:, :, :1]), grid], 2)


def for_three_rows(grid: Tensor) -> Tensor:
    result = torch.zeros_like(grid)
    result[:, :, 1:3] = grid[:, :, :2]
    return result


def in_place(grid: Tensor) -> Tensor:
    return grid.copy_(shifted(grid))


def test_5_3_shift_down() -> None:
    expect(
        CHECKERS["5.3"],
        [shifted, by_rolling, by_joining, by_matrix, with_arrays, lambda grid: shifted(grid).tolist()],
        [
            (shifted(torch.ones(1, 2, 3, 4)), "expected a function, got Tensor of shape (1, 2, 3, 4)"),
            (lambda grid: ..., "not done yet"),
            (lambda: 0, "the function fails with TypeError"),
            (lambda grid: grid.roll(1, 2), "came back on top"),
            (lambda grid: grid.roll(1, 3), "the last column came back"),
            (lambda grid: F.pad(grid, (1, -1)), "to the right"),
            (lambda grid: F.pad(grid, (0, 0, -1, 1)), "moved up"),
            (lambda grid: F.pad(grid, (-1, 1)), "to the left"),
            (lambda grid: F.pad(grid, (1, -1, 1, -1)), "down and to the right"),
            (lambda grid: F.pad(grid, (0, 0, 2, -2)), "two rows"),
            (lambda grid: grid, "nothing moved"),
            (first_row_zero, "the first row is zero"),
            (first_row_kept, "still there"),
            (with_ones, "the first row holds ones"),
            (too_long, "the last row falls out"),
            (lambda grid: grid[:, :, :-1], "missing on top"),
            (zeros_at_the_end, "at the end"),
            (lambda grid: F.pad(grid, (0, 0, 0, 0, 1, -1)), "channels moved"),
            (lambda grid: shifted(grid)[0], "expected the shape (1, 2, 3, 4), got (2, 3, 4)"),
            (lambda grid: shifted(grid) * 2, "16 of 24 values are wrong, the first at [0, 0, 1, 0]"),
            (for_three_rows, "for features of shape (2, 3, 5, 4): "),
            (in_place, "make a new tensor"),
        ],
    )


def blind_spots(layers: int) -> Tensor:
    """By following the steps of a stack: what a masked layer of type B can be stepped to from what is reached."""
    counts = torch.zeros(8, 8, dtype=torch.int64)
    for position in range(64):
        reached = {divmod(position, 8)}
        seen: set[tuple[int, int]] = set()
        for layer in range(layers):
            steps = [(0, -1), (-1, -1), (-1, 0), (-1, 1), *([(0, 0)] if layer else [])]
            seen = {(r + dr, c + dc) for r, c in (seen if layer else reached) for dr, dc in steps}
            seen = {(r, c) for r, c in seen if 0 <= r < 8 and 0 <= c < 8}
        counts.view(-1)[position] = position - len(seen)
    return counts


def test_5_4_blind_spots() -> None:
    right, before = blind_spots(14), torch.arange(64).view(8, 8)
    by_wedge = [[sum(max(0, 7 - c - up) for up in range(1, r + 1)) for c in range(8)] for r in range(8)]
    only_above = (6 - torch.arange(8)).clamp(min=0).expand(8, 8) * (torch.arange(8)[:, None] > 0)
    straight = (7 - torch.arange(8)) * torch.arange(8)[:, None]
    expect(
        CHECKERS["5.4"],
        [*forms_of_tensor(right), by_wedge, right.float(), right.short().numpy()],
        [
            (right.T, "rows and columns are swapped"),
            (right.flip(1), "to the right, not to the left"),
            (before - right, "that are seen"),
            (right + 63 - before, "count the earlier ones alone"),
            (right + 64 - before, "and so is the position itself"),
            (right + 1, "not an earlier one"),
            (straight, "one more column"),
            (only_above, "just above alone"),
            (before, "some of them are seen"),
            (right.sum(), "a number for each position"),
            (right.flatten(), "(8, 8)"),
            (torch.zeros(8, 8), "two stacks"),
            (blind_spots(3), "deep enough"),
            (blind_spots(5), "deep enough"),
            (10, "expected the shape (8, 8), got ()"),
            (right - 5, "all of its values are wrong"),
            (right[:7, :7], "expected the shape (8, 8), got (7, 7)"),
            (right.flip(0), "values are wrong, the first at [0, 0]"),
        ],
    )


def test_5_5_blocks() -> None:
    expect(
        CHECKERS["5.5"],
        [*forms_of_number(15), np.ceil(31 / 2) - 1, -(-31 // 2) - 1],
        [
            (16, "before the blocks"),
            (30, "kernel_size 3"),
            (31, "layers are needed with kernel_size 3"),
            (32, "the side of the grid"),
            (14, "half a layer"),
            (7, "not 4"),
            (8, "the first layer is no block"),
            (6, "not 5"),
            (62, "times two"),
            (1024, "furthest apart"),
            (4, "do not double"),
            (17, "taken off"),
            (10, "10 is too small"),
            (15.5, "15.5 is a little too large"),
            (0, "0 is too small"),
            ([15, 16], "expected a number, got list"),
        ],
    )


def test_the_number_of_blocks_is_what_the_package_needs() -> None:
    for blocks, reaches in ((14, False), (15, True)):
        stacks = Stacks(2, blocks, 5, 4, None).double()
        stacks.embedding = stacks.head = torch.nn.Identity()  # each position by itself; the head may be dead
        vectors = torch.randn(1, 32, 32, 4, dtype=torch.float64, requires_grad=True)
        # The last position of the second row is furthest from the first of its row.
        stacks(vectors)[0, :, 1, 31].sum().backward()
        assert bool(vectors.grad[0, 1, 0].abs().sum() > 0) == reaches
