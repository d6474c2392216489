"""Exercises of 13_several_processes."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.course.exercises.comparing import (
    Checker,
    as_number,
    as_tensor,
    call,
    checker,
    compare_number,
    compare_tensor,
    compare_truths,
)
from lpvq.data.loading import load
from lpvq.models.quantizer import nearest_codes

_STILL_THE_SAME = {
    "momentum": True,
    "schedule": True,
    "dropout": True,
    "batch norm": False,
    "codebook": False,
    "best weights": False,
}
_PIXELS, _IMAGES, _TESTED, _BATCH, _STEPS = 16, 512, 128, 64, 300  # as in the notebook
_CODES, _DECAY, _LEAST = 128, 0.97, 1.0
_BY_ROUNDING = 0.1  # how much of a ratio may be due to a few restarts that rounding has decided differently


@checker
def _still_the_same(answer: Any) -> str | None:
    return compare_truths(
        answer, _STILL_THE_SAME, "is it made of what all have agreed on, or of what one process alone has seen?"
    )


def _patches(images: Tensor) -> Tensor:
    return F.unfold(images, 4, stride=4).mT.flatten(0, 1)  # (B · 16, 48)


def _learn(images: Tensor, share: slice) -> Tensor:
    """The entries (K, 48) that one process learns from a share of each batch, which is sorted by brightness."""
    generator = torch.Generator().manual_seed(0)
    patches = _patches(images)
    state = F.pad(patches[torch.randperm(len(patches), generator=generator)[:_CODES]], (1, 0), value=1.0)
    for step in range(_STEPS):
        batch = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(step))[:_BATCH]]
        counted = F.pad(_patches(batch[_order(batch)[share]]), (1, 0), value=1.0)
        codes = nearest_codes(counted[:, 1:], state[:, 1:] / state[:, :1])
        state.lerp_(torch.zeros_like(state).index_add_(0, codes, counted), 1 - _DECAY)
        poor = state[:, 0] < _LEAST
        state[poor] = counted[torch.randperm(len(counted), generator=generator)[: int(poor.sum())]]
    return state[:, 1:] / state[:, :1]


def _order(images: Tensor) -> Tensor:
    return images.mean(dim=(1, 2, 3)).argsort()


@cache
def errors_by_brightness() -> dict[str, float]:
    """Return how many times as large errors are if the process that sees the darker images decides alone.

    They are measured on the lighter half of the test images, on the darker half, and on all of them.
    """
    images, tested = (
        load("smileys", split, size=_PIXELS, limit=limit).floats()
        for split, limit in (("train", _IMAGES), ("test", _TESTED))
    )
    squared = []
    for share in (slice(_BATCH // 2), slice(None)):
        entries, patches = _learn(images, share), _patches(tested)
        errors = (entries[nearest_codes(patches, entries)] - patches).square().view(len(tested), -1).mean(dim=1)
        squared.append(errors[_order(tested)])
    first, both = squared
    half = _TESTED // 2
    return {
        name: (first[part].mean() / both[part].mean()).item()
        for name, part in (("light", slice(half, None)), ("dark", slice(half)), ("all", slice(None)))
    }


@checker
def _times_as_large(answer: Any) -> str | None:
    ratios = errors_by_brightness()
    right, number = ratios["light"], as_number(answer)
    slips = {
        "that is the darker half, which process 0 does see": ratios["dark"],
        "that is all of the test images; the question asks for the lighter half": ratios["all"],
        "this is the other way round: divide by the error of together": 1 / right,
        "that is the ratio of the roots; the question asks for mean squared errors": right**0.5,
        "this is in percent": 100 * right,
        "that is how much larger; the question asks how many times as large": right - 1,
    }
    if abs(number - right) > _BY_ROUNDING * right:
        for why, wrong in slips.items():
            if abs(number - wrong) <= _BY_ROUNDING / 2 * abs(wrong):
                return why
    return compare_number(number, right, _BY_ROUNDING * right)


@checker
def _merge(answer: Any) -> str | None:
    means, counts, old = _books()
    given = call(answer, means.clone(), counts.clone(), old.clone())
    sums, total = (means * counts[:, :, None]).sum(0), counts.sum(0)[:, None]
    chosen = total > 0
    right = torch.where(chosen, sums / total.clamp(min=1), old)
    everybodys = counts.sum(1, keepdim=True) / counts.sum()  # the share of a process in all vectors
    slips: Mapping[str, Tensor] = {
        "an entry that many vectors chose in one process and few in another is nearer to the first": torch.where(
            chosen, means.mean(0), old
        ),
        "an entry that many vectors chose in one process and few in another is nearer to the first, "
        "and one that nobody chose stays where it was": means.mean(0),
        "these are sums; divide them by how many vectors chose the entry in all processes": sums,
        "that divides by the number of processes; divide by the number of vectors": sums / len(means),
        "an entry that nobody chose stays where it was, it does not become zero": sums / total.clamp(min=1),
        "it counts how many vectors a process had; what counts is how many of them chose this entry": torch.where(
            chosen, (means * everybodys[:, :, None]).sum(0), old
        ),
        "that is process 0 alone": torch.where(counts[0][:, None] > 0, means[0], old),
        "that is the process with the most vectors; the others have something to say, too": means.gather(
            0, counts.argmax(0)[None, :, None].expand(1, -1, means.shape[2])
        )[0],
        "that is what it was before": old,
        "these are the counts": total.expand_as(old),
        "the sizes of the processes and the entries have been exchanged: sum over the first dimension": (
            means * counts[:, :, None]
        ).sum(1),
    }
    values = as_tensor(given)
    if values.shape == right.shape and values.double().isnan().any():
        nobody = ~chosen[:, 0]
        if not values[~nobody].double().isnan().any():
            return "an entry that nobody chose becomes 0 / 0; it should stay where it was"
    return compare_tensor(given, right, 1e-4, slips)


def _books() -> tuple[Tensor, Tensor, Tensor]:
    """What three processes have saved about five entries; entry 3 was chosen by nobody, some by one process alone."""
    generator = torch.Generator().manual_seed(13)
    means, old = torch.randn(3, 5, 2, generator=generator), torch.randn(5, 2, generator=generator)
    counts = torch.tensor([[5.0, 0.0, 1.0, 0.0, 2.0], [1.0, 7.0, 0.0, 0.0, 2.0], [3.0, 9.0, 40.0, 0.0, 0.0]])
    means[counts == 0] = 0.0
    return means, counts, old


CHECKERS: dict[str, Checker] = {"13.1": _still_the_same, "13.2": _times_as_large, "13.3": _merge}
