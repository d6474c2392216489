"""The checkers of 02_vector_quantization: typical wrong answers are told from right ones."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from answers import expect, forms_of_tensor
from lpvq.course.exercises.notebook_02 import CHECKERS
from lpvq.data.loading import load
from lpvq.models.quantizer import VectorQuantizer, nearest_codes

Pair = tuple[Tensor, Tensor]


def vector(*numbers: float) -> Tensor:
    return torch.tensor(numbers)


def by_autograd() -> Tensor:
    z, entry, target = vector(0.5, 2.5).requires_grad_(), vector(1.0, 2.0), vector(0.0, 2.0)
    quantized = z + (entry - z).detach()
    ((quantized - target).square().sum() + 0.25 * (z - entry).square().sum()).backward()
    return z.grad


def test_2_1_the_gradient() -> None:
    expect(
        CHECKERS["2.1"],
        [*forms_of_tensor(vector(1.75, 0.25)), by_autograd(), (1.75, 0.25), [torch.tensor(1.75), 0.25]],
        [
            (vector(2.0, 0.0), "this is what comes straight through"),
            (vector(-0.25, 0.25), "the commitment term alone"),
            (vector(0.75, 1.25), "copied from where the entry is"),
            (vector(1.0, 1.0), "where z is, and the commitment term is missing"),
            (vector(0.875, 0.125), "half of it"),
            (vector(2.25, -0.25), "the wrong sign"),
            (vector(1.875, 0.125), "lacks the 2"),
            (vector(0.75, 0.25), "the first term lacks the 2"),
            (vector(0.25, 0.25), "β belongs to the commitment term"),
            (vector(-1.75, -0.25), "points downhill"),
            (vector(0.25, 1.75), "swapped"),
            (torch.tensor(1.125), "this is the loss"),
            (vector(0.0, 0.0), "all of its values are wrong"),
            (vector(1.75, 0.0), "1 of 2 values is wrong, at [1]"),
            (vector(1.75, 0.25)[None], "expected the shape (2,), got (1, 2)"),
            ("1.75, 0.25", "expected a tensor, got str"),
            ([1.75, ...], "still ..."),
            (vector(1.75, torch.nan), "not a number (NaN)"),
        ],
        secrets=["1.75"],
    )


def test_2_2_one_step_of_the_average() -> None:
    right = vector(7.8 / 3.8, 0.2 / 3.8)
    expect(
        CHECKERS["2.2"],
        [*forms_of_tensor(right), vector(2.0526, 0.0526), [7.8 / 3.8, 0.2 / 3.8]],
        [
            (vector(2.1, 0.1), "averages the entry itself"),
            (vector(7.8, 0.2), "divide it by the new count"),
            (vector(7.8, 0.2) / 4, "not by the old one"),
            (vector(7.8, 0.2) / 2, "the number of vectors"),
            (vector(7.5, 0.1) / 3.8, "not their mean"),
            (vector(7.8, 0.2) / 3.7, "two vectors"),
            (vector(6.2, 1.8) / 2.2, "γ belongs to"),
            (vector(14, 2) / 6, "all six vectors"),
            (vector(3.0, 1.0), "the mean of the batch"),
            (vector(2.0, 0.0), "has not moved"),
            (vector(13.2, 2.0) / 5.6, "counts with 1 − γ"),
            (vector(7.6, 0.1) / 3.8, "only one of the vectors"),
            (vector(8.6, 0.2) / 3.8, "has to fade"),
            (vector(3.8), "expected the shape (2,), got (1,)"),
            (right.flip(0), "all of its values are wrong"),
            (3.8, "expected the shape (2,), got ()"),
        ],
        secrets=["2.05", "0.05"],
    )


def lost(counts: Tensor, sums: Tensor, batch: Tensor) -> Tensor:
    codebook = sums / counts[:, None]
    return (batch - codebook[nearest_codes(batch, codebook)]).square().sum(1)


def put(counts: Tensor, sums: Tensor, rare: Tensor, vectors: Tensor, count: float = 1.0) -> Pair:
    counts, sums = counts.clone(), sums.clone()
    counts[rare], sums[rare] = count, vectors
    return counts, sums


def restart_far(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
    rare = counts < threshold
    return put(counts, sums, rare, batch[lost(counts, sums, batch).argsort(descending=True)[: int(rare.sum())]])


def by_loops(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> list[object]:
    entries = [[value / count for value in total] for count, total in zip(counts.tolist(), sums.tolist(), strict=True)]
    far = [min(sum((a - b) ** 2 for a, b in zip(v, e, strict=True)) for e in entries) for v in batch.tolist()]
    order = iter(sorted(range(len(far)), key=lambda i: -far[i]))
    new_counts, new_sums = counts.tolist(), sums.tolist()
    for i, count in enumerate(counts.tolist()):
        if count < threshold:
            new_counts[i], new_sums[i] = 1, batch[next(order)].tolist()
    return [new_counts, new_sums]


def with_arrays(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> tuple[object, object]:
    rare = counts.numpy() < threshold
    far = torch.cdist(batch.double(), (sums / counts[:, None]).double()).min(1).values.numpy()  # no square: same order
    new_counts, new_sums = counts.numpy().copy(), sums.numpy().copy()
    new_counts[rare], new_sums[rare] = 1, batch.numpy()[np.argsort(-far)[: rare.sum()]]
    return new_counts, new_sums


def with_top_k(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
    rare = counts < threshold
    return put(counts, sums, rare, batch[lost(counts, sums, batch).topk(int(rare.sum())).indices])


def in_place(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
    new_counts, new_sums = restart_far(counts, sums, batch, threshold)
    counts.copy_(new_counts)
    sums.copy_(new_sums)
    return counts, sums


def at(distances: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Pair]:
    """With another idea of far, given the batch and the codebook."""

    def restart(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
        rare = counts < threshold
        order = distances(batch, sums / counts[:, None]).argsort(descending=True)
        return put(counts, sums, rare, batch[order[: int(rare.sum())]])

    return restart


def with_rare(is_rare: Callable[[Tensor, float], Tensor]) -> Callable[..., Pair]:
    """With another idea of rare."""

    def restart(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
        rare = is_rare(counts, threshold)
        return put(counts, sums, rare, batch[lost(counts, sums, batch).argsort(descending=True)[: int(rare.sum())]])

    return restart


def then(change: Callable[[Pair, Tensor, Tensor, float], object]) -> Callable[..., object]:
    """As it should be, and then something else: given the right pair, and counts, sums and threshold of before."""
    return lambda counts, sums, batch, threshold: change(
        restart_far(counts, sums, batch, threshold), counts, sums, threshold
    )


def reversed_order(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
    rare = counts < threshold
    return put(counts, sums, rare, batch[lost(counts, sums, batch).argsort()[len(batch) - int(rare.sum()) :]])


def all_at_one(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
    return put(counts, sums, counts < threshold, batch[lost(counts, sums, batch).argmax()])


def at_random(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
    rare = counts < threshold
    return put(counts, sums, rare, batch[torch.randperm(len(batch))[: int(rare.sum())]])


def test_2_3_restart_at_the_worst_described() -> None:
    expect(
        CHECKERS["2.3"],
        [
            restart_far,
            by_loops,
            with_arrays,
            with_top_k,
            at(lambda batch, entries: torch.cdist(batch, entries).amin(1)),
        ],
        [
            (3, "expected a function, got int"),
            (lambda *_: ..., "not done yet"),
            (lambda *_: None, "returns nothing"),
            (lambda counts, *_: counts, "two tensors, counts and sums"),
            (lambda counts, sums, batch: (counts, sums), "the function fails with TypeError"),
            (lambda counts, sums, *_: (counts, sums), "nothing is restarted"),
            (with_rare(lambda counts, threshold: counts < 1.0), "the threshold that the function is given"),
            (with_rare(lambda counts, threshold: counts <= threshold), "not below it"),
            (with_rare(lambda counts, threshold: counts > threshold), "counts: "),
            (with_rare(lambda counts, threshold: counts < counts.sort().values[2]), "with the threshold"),
            (at(lambda batch, entries: -torch.cdist(batch, entries).amin(1)), "described best"),
            (at(lambda batch, entries: torch.cdist(batch, entries).amax(1)), "not to the farthest"),
            (at(lambda batch, entries: torch.cdist(batch, entries).sum(1)), "not to all of them"),
            (at(lambda batch, entries: batch.square().sum(1)), "farthest from zero"),
            (at(lambda batch, entries: torch.arange(len(batch), 0, -1)), "come first in the batch"),
            (reversed_order, "the first rare entry gets"),
            (all_at_one, "at the same vector"),
            (at_random, "sums: "),
            (then(lambda new, counts, sums, threshold: (counts, new[1])), "the counts of restarted entries become 1"),
            (then(lambda new, counts, sums, threshold: (new[0], sums)), "the sums are not"),
            (then(lambda new, counts, sums, threshold: (new[0].where(counts >= threshold, 0), new[1])), "not 0"),
            (then(lambda new, counts, sums, threshold: (new[1], new[0])), "the order is"),
            (then(lambda new, counts, sums, threshold: (new[0], new[1] / new[0][:, None])), "not entries"),
            (in_place, "made with clone()"),
        ],
    )


@pytest.mark.parametrize("restart", [restart_far, at_random])
def test_what_is_said_of_a_restart_does_not_depend_on_the_notebook(restart: Callable[..., Pair]) -> None:
    torch.manual_seed(0)
    first = CHECKERS["2.3"](restart)
    torch.manual_seed(1)
    assert CHECKERS["2.3"](restart) == first


TRUE = {"stays": True, "arrives": False, "more, further": True, "eval": False, "others": False, "its own": True}


def test_2_4_what_moves_a_codebook() -> None:
    expect(
        CHECKERS["2.4"],
        [
            TRUE,
            {name: np.bool_(value) for name, value in TRUE.items()},
            {name: torch.tensor(value) for name, value in TRUE.items()},
            {name: int(value) for name, value in TRUE.items()},
        ],
        [
            *[(TRUE | {name: not value}, "1 of 6 wrong. Ask of each") for name, value in TRUE.items()],
            (TRUE | {"stays": False, "its own": False}, "2 of 6 wrong"),
            (dict.fromkeys(TRUE, True), "they are not all alike. 3 of 6 wrong"),
            (dict.fromkeys(TRUE, False), "not all alike"),
            ({name: not value for name, value in TRUE.items()}, "6 of 6 wrong"),
            (list(TRUE.values()), "expected a dictionary with True or False for each of stays, arrives"),
            ({"stays": True}, "expected a dictionary"),
            (TRUE | {"eval": ...}, "still ..."),
            (TRUE | {"eval": "no"}, "expected True or False for 'eval', got str"),
            (True, "expected a dictionary"),
        ],
        secrets=["'stays'", "'arrives'", "'others'"],
    )


def pixels() -> Tensor:
    return load("smileys", "train", limit=60).floats().movedim(1, -1).reshape(-1, 3)


def k_means(start: Tensor, rounds: int = 12) -> Tensor:
    colours, entries = pixels(), start.clone()
    for _ in range(rounds):
        codes = nearest_codes(colours, entries)
        counts = torch.bincount(codes, minlength=len(entries))[:, None]
        sums = torch.zeros_like(entries).index_add(0, codes, colours)
        entries = torch.where(counts > 0, sums / counts.clamp(min=1), entries)
    return entries


def test_2_5_a_learned_palette() -> None:
    torch.manual_seed(0)
    colours, numbers = pixels().unique(dim=0, return_counts=True)
    frequent = colours[numbers.argsort(descending=True)[:16]]
    learned = k_means(frequent)
    picked = pixels()[torch.randperm(60 * 1024)[:16]]
    expect(
        CHECKERS["2.5"],
        [*forms_of_tensor(learned), frequent, learned.half().float(), learned.clamp(0, 1).flip(0)],
        [
            (picked, "of the colours are different"),
            (learned[:1].expand(16, 3), "only 1 of the colours are different"),
            (torch.linspace(0, 1, 16)[:, None].expand(16, 3), "these are greys"),
            (torch.rand(16, 3, generator=torch.Generator().manual_seed(0)), "which is not below 0.03"),
            (torch.cat([learned[:4], 1 + torch.rand(12, 3)]), "are ever the nearest; do rare entries restart?"),
            (255 * learned, "pixels are numbers from 0 to 1"),
            (learned.T, "each row should be a colour"),
            (learned[:8], "expected the shape (16, 3), got (8, 3)"),
            (k_means(torch.cat([frequent, frequent])), "expected the shape (16, 3), got (32, 3)"),
            (learned[:, :, None, None], "expected the shape (16, 3), got (16, 3, 1, 1)"),
            (learned.flip(1), "which is not below 0.03"),
            (torch.where(torch.arange(16)[:, None] == 3, torch.nan, learned), "(NaN) or infinite"),
            (1 - learned, "which is not below 0.03"),
            (lambda: learned, "expected a palette, (16, 3), got a function"),
            ("red", "got str"),
            (0.02, "expected the shape (16, 3), got ()"),
        ],
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_quantizer_with_restarts_learns_a_palette_from_any_start(seed: int) -> None:
    torch.manual_seed(seed)
    quantizer = VectorQuantizer(16, 3, decay=0.9)
    images = load("smileys", "train", limit=300).floats()
    for _ in range(200):
        quantizer(images[torch.randint(len(images), (8,))])
    assert CHECKERS["2.5"](quantizer.codebook) is None
