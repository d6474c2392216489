"""Exercises of 10_your_own_images."""

from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, compare_number
from lpvq.data.loading import load
from lpvq.models.pretrained import load_pretrained

_PICTURES, _SIZE, _DOWNSAMPLE = 1003, 96, 8


def _numbers(answer: Any) -> str | None:
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        return f"expected three numbers (pictures, rows, columns), got {answer!r}"
    pictures, *grid = answer
    if pictures == _PICTURES // 10:
        return "the first picture of each ten is kept for testing: begin to count with the first one"
    for what, number, expected in (
        ("pictures", pictures, len(range(0, _PICTURES, 10))),
        ("rows", grid[0], _SIZE // _DOWNSAMPLE),
        ("columns", grid[1], _SIZE // _DOWNSAMPLE),
    ):
        complaint = compare_number(number, expected, 0)
        if complaint:
            return f"{what}: {complaint}"
    return None


def _blocks(answer: Any) -> str | None:
    # The first layer looks one position to the left, and so does each block: together 23 positions.
    complaint = compare_number(answer, 22, 0)
    if complaint and compare_number(answer, 23, 0) is None:
        return "the first layer looks one position to the left, too"
    return complaint


def _happy(answer: Any) -> str | None:
    if not isinstance(answer, Tensor):
        return f"expected a tensor, got {type(answer).__name__}"
    if answer.shape != (1, 32, 32):
        return f"expected the shape (1, 32, 32), got {tuple(answer.shape)}"
    vqvae, prior = load_pretrained("smileys-128")
    faces = load("smileys", "test", size=128, limit=12)
    surprised = int((faces.labels == 2).nonzero()[0])
    given = vqvae.encode(faces.floats([surprised]))[:, :15]
    answer = answer.cpu()
    if not torch.equal(answer[:, :15], given):
        return "the upper 15 rows are not the codes of the first surprised face"

    def completed(label: int) -> Tensor:
        generator = torch.Generator().manual_seed(4)
        return prior.generate(given.flatten(1), image_size=32, labels=torch.tensor([label]), generator=generator)

    if torch.equal(answer, completed(0)):
        return None
    if torch.equal(answer, completed(2)):
        return "this face stays surprised: the label decides about the mouth"
    different = int((answer != completed(0)).sum())
    return f"{different} codes are others than with the label 0 and a generator that starts at seed 4"


def _fewer(answer: Any) -> str | None:
    complaint = compare_number(answer, 3 * 128 * 128 / (32 * 32), 0.01)
    if complaint and compare_number(answer, 128 * 128 / (32 * 32), 0.01) is None:
        return "each pixel has three numbers"
    return complaint


CHECKERS: dict[str, Checker] = {"10.1": _numbers, "10.2": _blocks, "10.3": _happy, "10.4": _fewer}
