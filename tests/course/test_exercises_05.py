"""The checkers of 05_causal_convolutions tell right answers from typical wrong ones."""

import re

import pytest
import torch
from torch import Tensor

from lpvq.course.exercises.notebook_05 import CHECKERS
from lpvq.models.gated import Stacks

EXAMPLE = torch.arange(1.0, 25.0).view(1, 2, 3, 4)
MASK = torch.tensor([[1.0] * 5, [1.0] * 5, [1.0, 1.0, 0.0, 0.0, 0.0], [0.0] * 5, [0.0] * 5])
TYPE_B = MASK.clone().index_put((torch.tensor(2), torch.tensor(2)), torch.tensor(1.0))


def shifted(grid: Tensor) -> Tensor:
    return torch.nn.functional.pad(grid, (0, 0, 1, -1))


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


@pytest.mark.parametrize(
    ("exercise", "answer", "complaint"),
    [
        ("5.1", 349_524, None),
        ("5.1", 4**9, "last position alone"),
        ("5.1", 9 * 4**9, "too large"),
        ("5.2", MASK, None),
        ("5.2", MASK.bool(), None),
        ("5.2", TYPE_B, "mask B"),
        ("5.2", MASK.T, "swapped"),
        ("5.2", 1 - TYPE_B, "comes later"),
        ("5.2", MASK[:3], r"shape \(5, 5\)"),
        ("5.3", shifted(EXAMPLE), None),
        ("5.3", EXAMPLE.roll(1, 2), "came back on top"),
        ("5.3", torch.nn.functional.pad(EXAMPLE, (1, -1)), "to the right"),
        ("5.3", torch.nn.functional.pad(EXAMPLE, (0, 0, -1, 1)), "moved up"),
        ("5.3", EXAMPLE, "largest difference"),
        ("5.4", blind_spots(14), None),
        ("5.4", blind_spots(14).float(), None),
        ("5.4", blind_spots(3), "deep enough"),
        ("5.4", blind_spots(14).T, "is off by"),
        ("5.4", 10, "expected a tensor"),
        ("5.5", 15, None),
        ("5.5", 16, "before the blocks"),
        ("5.5", 30, "kernel_size 3"),
        ("5.5", 7, "too small by 8"),
    ],
)
def test_an_answer_is_judged(exercise: str, answer: object, complaint: str | None) -> None:
    said = CHECKERS[exercise](answer)
    if complaint is None:
        assert said is None
    else:
        assert said is not None
        assert re.search(complaint, said), said


def test_the_number_of_blocks_is_what_the_package_needs() -> None:
    for blocks, reaches in ((14, False), (15, True)):
        stacks = Stacks(2, blocks, 5, 4, None).double()
        stacks.embedding = stacks.head = torch.nn.Identity()  # each position by itself; the head may be dead
        vectors = torch.randn(1, 32, 32, 4, dtype=torch.float64, requires_grad=True)
        # The last position of the second row is furthest from the first of its row.
        stacks(vectors)[0, :, 1, 31].sum().backward()
        assert bool(vectors.grad[0, 1, 0].abs().sum() > 0) == reaches
