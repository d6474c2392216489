"""Exercises of 02_vector_quantization: small numbers, so that all can be done by hand too."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import (
    Checker,
    Complaint,
    as_tensor,
    call,
    checker,
    compare_tensor,
    compare_truths,
    same,
)
from lpvq.data.loading import load
from lpvq.models.quantizer import VectorQuantizer, nearest_codes

Pair = tuple[Tensor, Tensor]

_COLOURS, _GOOD_PALETTE = 16, 0.03


@cache
def _gradient_and_slips() -> tuple[Tensor, dict[str, Tensor]]:
    z, entry, target, beta = torch.tensor([0.5, 2.5]), torch.tensor([1.0, 2.0]), torch.tensor([0.0, 2.0]), 0.25
    quantizer = VectorQuantizer(1, 2, commitment_weight=beta).eval()
    quantizer.code_sums.copy_(entry)
    at_z = z.clone().requires_grad_()
    quantized = quantizer(at_z.view(1, 2, 1, 1))
    # The quantizer's loss is a mean over two numbers; the exercise asks for the sum.
    loss = (quantized.vectors.flatten() - target).square().sum() + 2 * quantized.loss
    (right,) = torch.autograd.grad(loss, at_z)
    straight, commitment = 2 * (entry - target), 2 * beta * (z - entry)
    return right, {
        "this is the commitment term alone; straight-through brings the gradient at q too": commitment,
        "this is what comes straight through; the commitment term pulls at z as well": straight,
        "the gradient of the first term was taken where z is; it is copied from where the entry is": 2 * (z - target)
        + commitment,
        "the first term was taken where z is, and the commitment term is missing": 2 * (z - target),
        "this is half of it: the derivative of x² is 2 x, and mse_loss takes a mean instead of a sum": right / 2,
        "the commitment term has the wrong sign: it pulls z to the entry": straight - commitment,
        "the commitment term is weighted with β": straight + 2 * (z - entry),
        "the commitment term lacks the 2 of the derivative": straight + beta * (z - entry),
        "the first term lacks the 2 of the derivative": straight / 2 + commitment,
        "β belongs to the commitment term alone": beta * straight + commitment,
        "this points downhill; the gradient points uphill": -right,
        "the two numbers are swapped": right.flip(0),
        "this is the loss; its gradient has two numbers": loss.detach(),
    }


@checker
def _gradient(answer: Any) -> str | None:
    right, slips = _gradient_and_slips()
    return compare_tensor(answer, right, 1e-4, slips)


@cache
def _average_and_slips() -> tuple[Tensor, dict[str, Tensor]]:
    count, total, batch, gamma = 4.0, torch.tensor([8.0, 0.0]), torch.tensor([[4.0, 1.0], [2.0, 1.0]]), 0.9
    quantizer = VectorQuantizer(1, 2, decay=gamma, restart_threshold=0)
    quantizer.code_counts.fill_(count)
    quantizer.code_sums.copy_(total[None])
    quantizer.started.fill_(True)
    quantizer(batch.T.reshape(1, 2, 1, 2))
    new, old = 1 - gamma, gamma
    new_count, new_sum = old * count + new * 2, old * total + new * batch.sum(0)
    return quantizer.codebook[0].clone(), {
        "this averages the entry itself; average the count and the sum, each by itself, and divide at the end": old
        * (total / count)
        + new * batch.mean(0),
        "this is the new sum; divide it by the new count": new_sum,
        "divide by the new count, not by the old one": new_sum / count,
        "divide by the new count, not by the number of vectors": new_sum / 2,
        "the sum takes in the sum of both vectors, not their mean": (old * total + new * batch.mean(0)) / new_count,
        "two vectors have chosen it, not one": new_sum / (old * count + new),
        "γ belongs to what was there before, and 1 − γ to the batch": (new * total + old * batch.sum(0))
        / (new * count + old * 2),
        "this is the mean of all six vectors; what was there before should fade": (total + batch.sum(0)) / (count + 2),
        "this is the mean of the batch; what was there before counts too": batch.mean(0),
        "the entry has not moved": total / count,
        "the batch counts with 1 − γ": (old * total + batch.sum(0)) / (old * count + 2),
        "what was there before fades, too": (total + new * batch.sum(0)) / (count + new * 2),
        "the sum has to fade as the count does": (total + new * batch.sum(0)) / new_count,
        "only one of the vectors is in the sum": (old * total + new * batch[0]) / new_count,
        "only the second of the vectors is in the sum": (old * total + new * batch[1]) / new_count,
    }


@checker
def _average(answer: Any) -> str | None:
    right, slips = _average_and_slips()
    return compare_tensor(answer, right, 1e-3, slips)


@cache
def _restarts() -> list[tuple[Tensor, Tensor, Tensor, float]]:
    """Counts, sums, batch and threshold; some counts are just at the threshold, and once none is below it."""
    generator = torch.Generator().manual_seed(0)
    cases = []
    for threshold, counts in (
        (1.0, [2.0, 0.5, 8.0, 0.25, 1.5, 1.0, 0.75, 4.0]),
        (0.5, [0.5, 0.25, 2.0, 0.75, 0.125, 0.375, 1.0]),
        (3.0, [1.0, 2.0, 8.0, 3.0, 0.5, 2.5, 9.0, 4.0]),
        (1.0, [2.0, 3.0, 4.0, 5.0, 1.0]),
    ):
        entries = 2 * torch.randn(len(counts), 2, generator=generator) + torch.tensor([4.0, 0.0])
        batch = 2 * torch.randn(40, 2, generator=generator) + 1
        cases.append((torch.tensor(counts), torch.tensor(counts)[:, None] * entries, batch, threshold))
    return cases


def _far(counts: Tensor, sums: Tensor, batch: Tensor) -> Tensor:
    """The squared distance of each vector to its nearest entry, (N,)."""
    codebook = sums / counts[:, None]
    return (batch - codebook[nearest_codes(batch, codebook)]).square().sum(1)


def _placed(counts: Tensor, sums: Tensor, rare: Tensor, vectors: Tensor, count: float = 1.0) -> Pair:
    """Put the first of the vectors, as many as are needed, in place of rare entries."""
    counts, sums = counts.clone(), sums.clone()
    counts[rare], sums[rare] = count, vectors[: int(rare.sum())]
    return counts, sums


def _farthest_first(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> Pair:
    worst = batch[_far(counts, sums, batch).argsort(descending=True)]
    return _placed(counts, sums, counts < threshold, worst)


def _slips_of_restarts(counts: Tensor, sums: Tensor, batch: Tensor, threshold: float) -> dict[str, Pair]:
    far, rare = _far(counts, sums, batch), counts < threshold
    worst = batch[far.argsort(descending=True)]
    number, codebook = int(rare.sum()), sums / counts[:, None]
    pairs = torch.cdist(batch, codebook)  # (N, K)

    def at(distances: Tensor) -> Pair:
        return _placed(counts, sums, rare, batch[distances.argsort(descending=True)])

    right = at(far)
    return {
        "nothing is restarted": (counts, sums),
        "a count that equals the threshold is not below it": _placed(counts, sums, counts <= threshold, worst),
        "is the threshold that the function is given used?": _placed(counts, sums, counts < 1, worst),
        "these are the vectors that are described best; take those that are farthest away": at(-far),
        "the first rare entry gets the vector that is farthest away, and so on": _placed(
            counts, sums, rare, worst[:number].flip(0)
        ),
        "all restarted entries stand at the same vector": _placed(counts, sums, rare, worst[:1].expand(number, -1)),
        "this takes the vectors that come first in the batch": _placed(counts, sums, rare, batch),
        "this takes the vectors that are farthest from zero": at(batch.square().sum(1)),
        "measure the distance to the nearest entry, not to all of them": at(pairs.sum(1)),
        "measure the distance to the nearest entry, not to the farthest": at(pairs.amax(1)),
        "measure the distance to the nearest of all entries, not only of those that stay": at(
            pairs[:, ~rare].amin(1) if bool((~rare).any()) else far
        ),
        "measure the distance to the nearest of all entries, not only of the rare ones": at(
            pairs[:, rare].amin(1) if number else far
        ),
        "the entries are the sums divided by the counts": at(torch.cdist(batch, sums).amin(1)),
        "a restarted entry has the count 1, not 0": (right[0].where(~rare, 0.0), right[1]),
        "a restarted entry has the count 1, not the threshold": (right[0].where(~rare, threshold), right[1]),
        "the counts of restarted entries become 1": (counts, right[1]),
        "the counts are new, the sums are not": (right[0], sums),
        "the sum of a restarted entry is the vector itself, since its count is 1": (
            right[0],
            torch.where(rare[:, None], right[1] * counts[:, None], sums),
        ),
        "return sums, not entries": (right[0], right[1] / right[0][:, None]),
        "the order is: counts, then sums": (right[1], right[0]),
    }


@checker
def _restart_far(answer: Any) -> str | None:
    for counts, sums, batch, threshold in _restarts():
        given = counts.clone(), sums.clone(), batch.clone()
        made = _pair(call(answer, *given, threshold, seed=0))
        right = _farthest_first(counts, sums, batch, threshold)
        if not _same_pairs(made, right):
            slips = _slips_of_restarts(counts, sums, batch, threshold)
            named = [why for why, wrong in slips.items() if _same_pairs(made, wrong)]
            complaints = [
                f"{name}: {complaint}"
                for name, mine, expected in zip(("counts", "sums"), made, right, strict=True)
                if (complaint := compare_tensor(mine, expected))
            ]
            return f"with the threshold {threshold:g}, {[*named, *complaints][0]}"
        for name, after, before in zip(("counts", "sums", "batch"), given, (counts, sums, batch), strict=True):
            if not torch.equal(after, before):
                return f"the function changes the {name} that it is given; change a copy, made with clone()"
    return None


def _pair(result: Any) -> Pair:
    try:
        counts, sums = result
    except (TypeError, ValueError):
        raise Complaint("the function should return two tensors, counts and sums") from None
    return as_tensor(counts), as_tensor(sums)


def _same_pairs(made: Pair, right: Pair) -> bool:
    return all(same(mine, other) for mine, other in zip(made, right, strict=True))


def _after(number: int, threshold: float = 0, is_training: bool = True, count: float = 4) -> VectorQuantizer:
    """Return a quantizer of two entries, at (0, 0) and (4, 0), after a batch of so many vectors at (0.5, 0)."""
    quantizer = VectorQuantizer(2, 2, decay=0.9, restart_threshold=threshold).train(is_training)
    quantizer.code_counts.copy_(torch.tensor([4.0, count]))
    quantizer.code_sums.copy_(torch.tensor([[0.0, 0.0], [4 * count, 0.0]]))
    quantizer.started.fill_(True)
    quantizer(torch.tensor([0.5, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, number))
    return quantizer


@cache
def _what_is_true() -> dict[str, bool]:
    few, many, restarted = _after(2), _after(4), _after(2, threshold=1, count=0.5)
    here = torch.tensor([0.5, 0.0])
    unmoved = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    return {
        "stays": same(few.codebook[1], unmoved[1]),
        "arrives": same(few.codebook[0], here),
        "more, further": bool(many.codebook[0, 0] > few.codebook[0, 0]),
        "eval": not same(_after(2, is_training=False).codebook, unmoved),
        "others": not same(restarted.codebook[0], few.codebook[0]),
        "its own": int(restarted.assign(here.view(1, 2, 1, 1))) == 1,
    }


@checker
def _sentences(answer: Any) -> str | None:
    return compare_truths(answer, _what_is_true(), "what becomes of the count, of the sum, and of their quotient?")


@cache
def _colours_of_faces() -> Tensor:
    """The pixels of some test faces, (N, 3)."""
    return load("smileys", "test", limit=100).floats().movedim(1, -1).reshape(-1, 3)


def error_of_palette(palette: Tensor) -> float:
    """Return the error of painting test faces in the colours of a palette (K, 3)."""
    colours = _colours_of_faces()
    painted = palette[nearest_codes(colours, palette)]
    return ((painted - colours).square().mean() / colours.var(correction=0)).item()


@checker
def _palette(answer: Any) -> str | None:
    palette = as_tensor(answer, "a palette, (16, 3)").float()
    if palette.shape == (3, _COLOURS):
        return f"each row should be a colour, (16, 3); got {(3, _COLOURS)}"
    if palette.shape != (_COLOURS, 3):
        return f"expected the shape {(_COLOURS, 3)}, got {tuple(palette.shape)}"
    if not palette.isfinite().all():
        return "some of it is not a number (NaN) or infinite: does an entry that nothing chooses keep its place?"
    if palette.max() > 2:
        return "these colours go beyond 1: pixels are numbers from 0 to 1, so entries should be, too"
    error, different = error_of_palette(palette), len(palette.unique(dim=0))
    if error < _GOOD_PALETTE:
        return None
    told = f"the error is {error:.3f}, which is not below {_GOOD_PALETTE}"
    if bool((palette == palette[:, :1]).all()):
        return f"{told}: these are greys"
    if different < _COLOURS:
        return f"{told}: only {different} of the colours are different"
    used = len(nearest_codes(_colours_of_faces(), palette).unique())
    if used < _COLOURS - 2:
        return f"{told}: only {used} of the colours are ever the nearest; do rare entries restart?"
    return f"{told}: has the palette seen enough batches?"


CHECKERS: dict[str, Checker] = {
    "2.1": _gradient,
    "2.2": _average,
    "2.3": _restart_far,
    "2.4": _sentences,
    "2.5": _palette,
}
