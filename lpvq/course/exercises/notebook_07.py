"""Exercises of 07_sampling, on a toy distribution and on the models of the workspace."""

from functools import cache
from math import log
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, as_tensor, checker, compare_number, compare_tensor, same
from lpvq.data.latent_codes import LatentCodes
from lpvq.experiments.workspace import Workspace
from lpvq.files import load_model
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.sampling import SamplingOptions, restrict_logits

_TOY = torch.tensor([0.50, 0.25, 0.15, 0.07, 0.03], dtype=torch.float64)
_UPPER_ROWS = 4  # the upper half, of exercises 7.3 and 7.4
_NEARLY = 1e-3  # of two codes with logits this close, either may be the most probable one


def _test_grids() -> tuple[PixelCNN, Tensor, Tensor]:
    """The prior of the workspace, and the first 64 test grids with their labels.

    As the notebook's first cells left them: to ask the workspace whether they still fit would draw all images again.
    """
    workspace = Workspace("smileys", device="cpu")
    prior, _ = load_model(PixelCNN, workspace.path("prior.pt"))
    codes = LatentCodes.load(workspace.path("codes_test.npz"))
    return prior, codes.codes[:64], codes.labels[:64]


def _toy(**options: float) -> Tensor:
    """The probabilities of the toy's codes under ``SamplingOptions``."""
    return restrict_logits(_TOY.log()[None], SamplingOptions(**options)).softmax(-1)[0]  # type: ignore[arg-type]


def _entropy(probabilities: Tensor) -> float:
    """In nats."""
    return torch.special.entr(probabilities).sum().item()


def _temperature_of(nats: float) -> float:
    """At which temperature the toy has this entropy."""
    low, high = 0.01, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _entropy(_toy(temperature=middle)) < nats else (low, middle)
    return low


@cache
def _temperatures() -> tuple[float, dict[str, float]]:
    whole = _entropy(_TOY)
    right = _temperature_of(whole / 2)
    return right, {
        "this is 1 / T; the logits are divided by T, so a small T makes the entropy small": 1 / right,
        "half the temperature is not half the entropy": 0.5,
        "this is half the entropy, in bits; at which temperature has the toy so much?": whole / 2 / log(2),
        "this is half the entropy, in nats; at which temperature has the toy so much?": whole / 2,
        "this is the entropy at T = 1, in bits": whole / log(2),
        "this is the entropy at T = 1, in nats": whole,
        "at this temperature half of the perplexity is left; the entropy is its logarithm": _temperature_of(
            whole - log(2)
        ),
        "at this temperature a quarter of the entropy is left": _temperature_of(whole / 4),
        "at this temperature three quarters of the entropy are left": _temperature_of(3 * whole / 4),
        "one of two entropies is in bits, the other one in nats": _temperature_of(whole / 2 * log(2)),
        "one of the entropies is in nats, the other one in bits": _temperature_of(whole / 2 / log(2)),
        "T = 1 changes nothing": 1.0,
        "this is the end of the interval: halve on": 0.01,
    }


@checker
def _half_entropy(answer: Any) -> str | None:
    right, slips = _temperatures()
    return compare_number(answer, right, 2e-3, slips)


@checker
def _all_controls(answer: Any) -> str | None:
    right = _toy(temperature=0.5, top_k=3, top_p=0.92)
    powers = _TOY.square()
    slips = {
        "top-p came too early, or one of top-k and top-p is missing": _toy(temperature=0.5, top_k=3),
        "the logits were multiplied by the temperature, not divided by it": _toy(temperature=2, top_k=3, top_p=0.92),
        "the temperature is missing": _toy(top_k=3, top_p=0.92),
        "only the temperature is there": _toy(temperature=0.5),
        "nothing is changed": _TOY,
        "what is left has to be scaled to sum to one": powers / powers.sum() * (right > 0),
        "what is left has to be scaled to sum to one, and the temperature is missing": _TOY * (right > 0),
        "the temperature is missing once codes are dropped": F.normalize(_TOY * (right > 0), p=1, dim=0),
        "the most probable code alone is left; top-p keeps the one with which 0.92 is reached": _toy(top_k=1),
        "this has the probabilities of the codes that are left; give all five": right[right > 0],
        "these are logarithms of probabilities": right.clamp(min=1e-300).log(),
    }
    complaint = compare_tensor(answer, right, slips=slips)
    if complaint is None or complaint in slips:
        return complaint
    values = as_tensor(answer)
    if values.shape == right.shape and bool((values < 0).any()) and same(values.double().softmax(0), right):
        return "these are the logits, not the probabilities: the softmax is missing"
    return complaint


@checker
@torch.no_grad()
def _moods(answer: Any) -> str | None:
    prior, codes, _ = _test_grids()
    grids, original = as_tensor(answer, "three grids of codes"), codes[0]
    if grids.shape != (3, *original.shape):
        return f"expected the shape {(3, *original.shape)}, got {tuple(grids.shape)}"
    if not bool((grids.double() == grids.long()).all()) or grids.min() < 0 or grids.max() >= prior.latent_dim:
        return f"these are no codes: a code is a whole number from 0 to {prior.latent_dim - 1}"
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
    """How many of the drawn codes are not the most probable one under a label, of each grid.

    Not compared with codes of our own: of two codes with nearly the same logit, either may win.
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


CHECKERS: dict[str, Checker] = {"7.1": _half_entropy, "7.2": _all_controls, "7.3": _moods, "7.4": _fit}
