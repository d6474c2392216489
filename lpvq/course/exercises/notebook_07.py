"""Exercises of 07_sampling, on a toy distribution and on the models of the workspace."""

from functools import cache
from math import log
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.course.exercises.comparing import (
    Checker,
    as_numbers,
    as_tensor,
    call,
    checker,
    compare_tensor,
    same,
)
from lpvq.data.latent_codes import LatentCodes
from lpvq.experiments.workspace import Workspace
from lpvq.files import load_model
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.sampling import SamplingOptions, restrict_logits

_TOY = torch.tensor([0.50, 0.25, 0.15, 0.07, 0.03], dtype=torch.float64)
_UPPER_ROWS = 4  # the upper half, of exercises 7.3 and 7.4
_NEARLY = 1e-3  # of two codes with logits this close, either may be the more probable one


def _test_grids() -> tuple[PixelCNN, Tensor, Tensor]:
    """The prior of the workspace, and the first 64 test grids with their labels.

    They are as the notebook's first cells left them: asking the workspace if they still fit would draw all images
    again.
    """
    workspace = Workspace("smileys", device="cpu")
    prior, _ = load_model(PixelCNN, workspace.path("prior.pt"))
    codes = LatentCodes.load(workspace.path("codes_test.npz"))
    return prior, codes.codes[:64], codes.labels[:64]


def _cases_of_min_p() -> list[tuple[Tensor, float]]:
    """Logits (B, K) and a share each; no probability is just at its threshold."""
    some = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return [(_TOY.log()[None], 0.2), (some, 0.1), (some, 1.0), (some - 5, 0.3)]


def _slips_of_min_p(logits: Tensor, share: float) -> dict[str, Tensor]:
    """Which codes stay, bool (B, K), by slips."""
    probabilities = logits.softmax(1)
    best = probabilities.amax(1, keepdim=True)
    ranks = (logits[:, None] > logits[:, :, None]).sum(2)  # how many codes are more probable
    summed = torch.zeros_like(logits).scatter(
        1, logits.argsort(1, descending=True), probabilities.sort(1, descending=True).values.cumsum(1)
    )
    return {
        "all codes stay": torch.ones_like(logits, dtype=torch.bool),
        "the share is of the most probable code's probability; here it is the probability itself": probabilities
        >= share,
        "each row has a most probable code of its own": probabilities >= share * probabilities.max(),
        "the share is one of probabilities, not of logits": logits >= share * logits.amax(1, keepdim=True),
        "these are the codes that should go": probabilities < share * best,
        "the most probable code must stay: take ≥, not >": (probabilities >= share * best) & (ranks > 0),
        "only the most probable code stays": ranks == 0,
        "a code stays if it has at least the share; here it must have at most 1 − share": probabilities
        >= (1 - share) * best,
        "this is top-p: it adds probabilities up": (summed - probabilities) < share,
        "the share is taken off the largest probability; multiply by it": probabilities >= best - share,
        "this compares with the mean of the probabilities": probabilities
        >= share * probabilities.mean(1, keepdim=True),
    }


@checker
def _min_p(answer: Any) -> str | None:
    for logits, share in _cases_of_min_p():
        given = logits.clone()
        result = as_tensor(call(answer, given, share)).double()
        kept = logits.softmax(1) >= share * logits.softmax(1).amax(1, keepdim=True)
        where = f"with logits of shape {tuple(logits.shape)} and the share {share:g}"
        if result.shape != logits.shape:
            return f"{where}: expected the shape {tuple(logits.shape)}, got {tuple(result.shape)}"
        if complaint := _of_kept(result, logits, kept, share):
            return f"{where}: {complaint}"
        if not torch.equal(given, logits):
            return "the function changes what it is given; make a new tensor"
    return None


def _of_kept(result: Tensor, logits: Tensor, kept: Tensor, share: float) -> str | None:
    """Compare what a function returns with the logits of the codes that stay."""
    if result.isnan().any():
        return "some of it is not a number (NaN)"
    right = logits.masked_fill(~kept, -torch.inf).softmax(1)
    if same(result.softmax(1), right) and bool((result[~kept] == -torch.inf).all()):
        return None
    if same(result, right):
        return "these are probabilities; return logits"
    if same(result, logits.softmax(1) * kept):
        return "these are probabilities, and do not sum to 1; return logits"
    if not result.isneginf().any() and bool((result[~kept] == 0).all()) and not kept.all():
        return "a logit of 0 is no probability of 0: put −∞ for the codes that do not stay"
    stays = result > -1e3
    if torch.equal(stays, kept):
        return "the right codes stay, but their logits are changed"
    for why, wrong in _slips_of_min_p(logits, share).items():
        if torch.equal(stays, wrong):
            return why
    return f"of {kept.numel()} codes, {int((stays != kept).sum())} stay that should go, or go that should stay"


def _left(*steps: tuple[str, float]) -> float:
    """How many of the toy's codes are left after some steps, each the name of one of ``SamplingOptions``."""
    logits = _TOY.log()[None]
    for name, value in steps:
        logits = restrict_logits(logits, SamplingOptions(**{name: value}))  # type: ignore[arg-type]
    return float(logits.isfinite().sum())


@cache
def _codes_left() -> list[float]:
    cold, hot, p = ("temperature", 0.5), ("temperature", 2.0), ("top_p", 0.85)
    return [
        _left(cold, ("top_k", 3), p),
        _left(p, cold),
        _left(hot, p),
        _left(p, ("top_k", 2), hot),
    ]


@checker
def _how_many_are_left(answer: Any) -> str | None:
    names = ("1", "2", "3", "4")
    given, right = as_numbers(answer, *names), _codes_left()
    if given == right:
        return None
    slips = {
        "the code that crosses p stays, too": [1, 2, 3, 2],
        "the logits were multiplied by the temperature; divide by it": [3, 3, 2, 2],
        "these are the codes that are dropped": [len(_TOY) - left for left in right],
        "in the first, p is reached earlier, because the temperature has made the first codes likelier": [3, 3, 4, 2],
        "in the second, top-p sees the probabilities as they are, before the temperature": [2, 2, 4, 2],
        "in the third, it takes more codes to reach p, because the temperature has made all more alike": [2, 3, 3, 2],
        "in the last, top-k drops one more": [2, 3, 4, 3],
        "top-p has not been applied": [3, 5, 5, 2],
        "here the temperature comes first everywhere": [2, 2, 4, 2],
    }
    named = [why for why, wrong in slips.items() if given == wrong]
    if named:
        return named[0]
    if any(not 1 <= left <= len(_TOY) or left != int(left) for left in given):
        return f"there are {len(_TOY)} codes, and at least one always stays"
    wrong = [name for name, mine, left in zip(names, given, right, strict=True) if mine != left]
    return f"{len(wrong)} of 4 wrong: run your functions, one after the other, and count what is finite"


@checker
@torch.no_grad()
def _moods(answer: Any) -> str | None:
    prior, codes, _ = _test_grids()
    grids, original = as_tensor(answer, "three grids of codes"), codes[0]
    if grids.shape != (3, *original.shape):
        return f"expected the shape {(3, *original.shape)}, got {tuple(grids.shape)}"
    if not bool((grids.double() == grids.long()).all()) or grids.min() < 0 or grids.max() >= prior.latent_dim:
        return f"these are not codes: a code is a whole number from 0 to {prior.latent_dim - 1}"
    grids = grids.long()
    changed = int((grids[:, :_UPPER_ROWS] != original[:_UPPER_ROWS]).sum())
    lower_kept = bool((grids[:, _UPPER_ROWS:] == original[_UPPER_ROWS:]).all())
    if changed and lower_kept:
        return "these keep the lower four rows; keep the upper four, and draw the rest"
    if changed:
        return f"{changed} of the given codes have changed; the upper four rows must stay as they are"
    missed = torch.stack([_missed(prior, grids, label) for label in range(3)])  # (3 labels, 3 grids)
    if not missed.diagonal().any():
        return None
    if lower_kept:
        return "the lower half is that of the image itself; draw it"
    if not missed.amin(0).any():  # each of the grids is right for some label
        together = bool((missed == 0).all(1).any())
        return "all three have the same label" if together else "the labels are in another order than 0, 1, 2"
    return (
        f"for the labels 0, 1, 2, {missed.diagonal().tolist()} of the 32 drawn codes are not the most probable one: "
        "are they drawn greedily, each given all codes before it?"
    )


def _missed(prior: PixelCNN, grids: Tensor, label: int) -> Tensor:
    """How many of each grid's drawn codes are not the most probable one under a label.

    They are not compared with codes of our own: of two codes with nearly the same logit, either may win.
    """
    logits = prior(grids, torch.full((len(grids),), label))
    below = logits.amax(1) - logits.gather(1, grids[:, None])[:, 0]
    return (below[:, _UPPER_ROWS:] > _NEARLY).sum((1, 2))


@checker
@torch.no_grad()
def _fit(answer: Any) -> str | None:
    prior, codes, labels = _test_grids()

    def nats_of(grids: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(prior(grids, labels), grids, reduction="none")

    same_label = labels[:1].expand(len(codes))
    joined = torch.cat([codes[:, :_UPPER_ROWS], codes[:1, _UPPER_ROWS:].expand(len(codes), -1, -1)], 1)
    nats = nats_of(joined, same_label)
    lower = nats[:, _UPPER_ROWS:]
    right = lower.sum((1, 2))
    if compare_tensor(answer, right, 1e-2) is None:
        return None
    turned = torch.cat([codes[:1, :_UPPER_ROWS].expand(len(codes), -1, -1), codes[:, _UPPER_ROWS:]], 1)
    slips = {
        "these are the nats of the whole grid": nats.sum((1, 2)),
        "these are the nats of the upper half": nats[:, :_UPPER_ROWS].sum((1, 2)),
        "this is the mean over the codes of the half, not their sum": lower.mean((1, 2)),
        "this is the mean over all codes; take the sum over the lower half": nats.mean((1, 2)),
        "these are the nats of each code; take their sum over the half": lower,
        "these are the nats of each code of the grid; take their sum over the lower half": nats,
        "these are the nats of each row; take their sum": lower.sum(2),
        "these are log-probabilities; nats are minus these": -right,
        "these are bits; a nat is −log p by the natural logarithm": right / log(2),
        "each grid has its own label here; the label is always that of the first test image": nats_of(joined, labels)[
            :, _UPPER_ROWS:
        ].sum((1, 2)),
        "these are the test grids themselves; the lower half is always that of the first": nats_of(codes, labels)[
            :, _UPPER_ROWS:
        ].sum((1, 2)),
        "here the upper half is always that of the first, and the lower one changes": nats_of(turned, same_label)[
            :, _UPPER_ROWS:
        ].sum((1, 2)),
        "these are probabilities; nats are −log of them": (-right).exp(),
    }
    return compare_tensor(answer, right, 1e-2, slips)


CHECKERS: dict[str, Checker] = {"7.1": _min_p, "7.2": _how_many_are_left, "7.3": _moods, "7.4": _fit}
