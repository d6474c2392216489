"""The checkers of 02_vector_quantization: typical wrong answers are told from right ones."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lpvq.course.exercises.notebook_02 import CHECKERS
from lpvq.models.quantizer import nearest_codes

Pair = tuple[Tensor, Tensor]


def restart_far(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
    codebook = sums / counts[:, None]
    lost = (batch - codebook[nearest_codes(batch, codebook)]).square().sum(1)
    rare = counts < threshold
    counts, sums = counts.clone(), sums.clone()
    counts[rare], sums[rare] = 1.0, batch[lost.argsort(descending=True)[: int(rare.sum())]]
    return counts, sums


def sums_only(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
    return counts, restart_far(counts, sums, batch, threshold)[1]


def counts_only(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
    return restart_far(counts, sums, batch, threshold)[0], sums


def nearest_first(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
    codebook = sums / counts[:, None]
    lost = (batch - codebook[nearest_codes(batch, codebook)]).square().sum(1)
    rare = counts < threshold
    counts, sums = counts.clone(), sums.clone()
    counts[rare], sums[rare] = 1.0, batch[lost.argsort()[: int(rare.sum())]]
    return counts, sums


def always_two(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
    """As restart_far with two rare entries, whatever the threshold."""
    return restart_far(counts, sums, batch, counts.sort().values[2].item())


def vector(*numbers: float) -> Tensor:
    return torch.tensor(numbers)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("2.1", vector(1.75, 0.25)),
        ("2.2", vector(7.8 / 3.8, 0.2 / 3.8)),
        ("2.3", 0.5275),
        ("2.3", torch.tensor(0.5275)),
        ("2.4", restart_far),
    ],
)
def test_right_answers_are_correct(exercise: str, answer: object) -> None:
    assert CHECKERS[exercise](answer) is None


@pytest.mark.parametrize(
    ("exercise", "answer", "complaint"),
    [
        ("2.1", vector(2.0, 0.0), "this is what comes straight through"),
        ("2.1", vector(-0.25, 0.25), "the commitment term alone"),
        ("2.1", vector(0.75, 1.25), "copied from where the entry is"),
        ("2.1", vector(0.0, 0.0), "largest difference to the right values is 1.75"),
        ("2.1", [1.75, 0.25], "expected a tensor, got list"),
        ("2.2", vector(2.1, 0.1), "averages the entry itself"),
        ("2.2", vector(7.8, 0.2), "largest difference"),
        ("2.2", vector(3.8), "expected the shape (2,), got (1,)"),
        ("2.3", 0.4725, "the wrong way"),
        ("2.3", 0.5, "too small by 0.0275"),
        ("2.4", 3, "expected a function, got int"),
        ("2.4", lambda *_: ..., "still returns ..."),
        ("2.4", lambda counts, *_: counts, "two tensors, counts and sums"),
        ("2.4", sums_only, "counts: "),
        ("2.4", counts_only, "sums: "),
        ("2.4", nearest_first, "sums: "),
        ("2.4", always_two, "counts: "),
    ],
)
def test_wrong_answers_are_told_what_is_wrong(exercise: str, answer: object, complaint: str) -> None:
    assert complaint in str(CHECKERS[exercise](answer))


@pytest.mark.parametrize("restart", [restart_far, sums_only])
def test_the_restart_may_not_rely_on_what_the_notebook_made(restart: Callable[..., Pair]) -> None:
    torch.manual_seed(0)
    first = CHECKERS["2.4"](restart)
    torch.manual_seed(1)
    assert CHECKERS["2.4"](restart) == first
