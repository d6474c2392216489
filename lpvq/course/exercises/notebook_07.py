"""Exercises of 07_sampling, on a toy distribution and on the models of the workspace."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, compare_number, compare_tensor
from lpvq.data.latent_codes import LatentCodes
from lpvq.experiments.workspace import Workspace
from lpvq.files import load_model
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.sampling import SamplingOptions, restrict_logits

_TOY = torch.tensor([0.50, 0.25, 0.15, 0.07, 0.03], dtype=torch.float64)
_UPPER_ROWS = 4  # the upper half, of exercises 7.3 and 7.4


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


def _half_entropy(answer: Any) -> str | None:
    half = torch.special.entr(_TOY).sum() / 2
    low, high = 0.01, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if torch.special.entr(_toy(temperature=middle)).sum() < half else (low, middle)
    complaint = compare_number(answer, low, 2e-3)
    if complaint and compare_number(answer, 1 / low, 5e-3) is None:
        return f"{complaint}: this is 1 / T; the logits are divided by T, so a small T makes the entropy small"
    return complaint


def _all_controls(answer: Any) -> str | None:
    expected = _toy(temperature=0.5, top_k=3, top_p=0.92)
    wrong = {
        "top-p came too early, or top-k is missing": _toy(temperature=0.5, top_k=3),
        "the logits were multiplied by the temperature, not divided by it": _toy(temperature=2, top_k=3, top_p=0.92),
    }
    complaint = compare_tensor(answer, expected)
    if complaint is None or not isinstance(answer, Tensor) or answer.shape != expected.shape:
        return complaint
    if (answer < 0).any() and compare_tensor(answer.softmax(0), expected) is None:
        return f"{complaint}: these are the logits, not the probabilities"
    return _with_reason(complaint, answer, wrong, 1e-5)


def _with_reason(complaint: str, answer: Any, wrong: dict[str, Tensor], tolerance: float) -> str:
    """Add to a complaint the reason that leads to just this answer, if there is one."""
    reasons = [reason for reason, values in wrong.items() if compare_tensor(answer, values, tolerance) is None]
    return ": ".join([complaint, *reasons[:1]])


@torch.no_grad()
def _moods(answer: Any) -> str | None:
    prior, codes, _ = _test_grids()
    wanted = codes[:1].expand(3, -1, -1)
    if not isinstance(answer, Tensor) or answer.shape != wanted.shape:
        return compare_tensor(answer, wanted)
    if answer.dtype != torch.int64:
        return f"codes are int64, these are {answer.dtype}"
    kept = codes[0, :_UPPER_ROWS]
    changed = (answer[:, :_UPPER_ROWS] != kept).sum().item()
    if changed:
        return f"{changed} of the given codes have changed; the upper four rows must stay as they are"
    logits = prior(answer, torch.arange(3))
    # Not compared with codes of our own: of two codes with nearly the same logit, either may win.
    missed = logits.amax(1) - logits.gather(1, answer[:, None])[:, 0]
    wrong = (missed[:, _UPPER_ROWS:] > 1e-3).sum((1, 2)).tolist()
    if not any(wrong):
        return None
    return f"for the labels 0, 1, 2, {wrong} of the 32 drawn codes are not the most probable one"


@torch.no_grad()
def _fit(answer: Any) -> str | None:
    prior, codes, labels = _test_grids()
    joined = torch.cat([codes[:, :_UPPER_ROWS], codes[:1, _UPPER_ROWS:].expand(len(codes), -1, -1)], 1)
    nats = F.cross_entropy(prior(joined, labels[:1].expand(len(joined))), joined, reduction="none")
    expected = nats[:, _UPPER_ROWS:].sum((1, 2))
    complaint = compare_tensor(answer, expected, 1e-2)
    wrong = {
        "these are the nats of the whole grid": nats.sum((1, 2)),
        "these are the nats of the upper half": nats[:, :_UPPER_ROWS].sum((1, 2)),
        "this is the mean over the codes of the half, not their sum": nats[:, _UPPER_ROWS:].mean((1, 2)),
    }
    return complaint and _with_reason(complaint, answer, wrong, 1e-2)


CHECKERS: dict[str, Checker] = {"7.1": _half_entropy, "7.2": _all_controls, "7.3": _moods, "7.4": _fit}
