"""Exercises of 11_coarse_to_fine."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, compare_number, compare_tensor
from lpvq.data.loading import load
from lpvq.evaluation.nearest_face import find_nearest_faces
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.pretrained import load_pretrained
from lpvq.models.vqvae import VQVAE

_EMPTY, _ROWS = 0.6, 8
_FACES, _SAD = 12, 1


def _late(answer: Any) -> str | None:
    hints: dict[float, str] = {
        _EMPTY ** (_ROWS - 1): "rows count from 0: eight rows lie above row 8",
        _EMPTY ** (_ROWS + 1): "row 8 itself need not be empty",
        1 - _EMPTY**_ROWS: "that is the share that has begun before row 8",
        _EMPTY**_ROWS * (1 - _EMPTY): "that is the share that begins in row 8; later rows count too",
    }
    return compare_number(answer, _EMPTY**_ROWS, 1e-3, hints)


def _deal(answer: Any) -> str | None:
    if not callable(answer):
        return f"expected a function, got {type(answer).__name__}"
    for side, height, width in ((2, 3, 5), (4, 2, 3)):
        picture = torch.arange(2.0 * 3 * side**2 * height * width).view(2, 3, height * side, width * side)
        expected, given = F.pixel_unshuffle(picture, side), answer(picture, side)
        complaint = compare_tensor(given, expected)
        if complaint is None:
            continue
        squares = expected.unflatten(1, (3, side, side))
        if compare_tensor(given, squares.transpose(2, 3).flatten(1, 3)) is None:
            return "rows and columns inside of a square are swapped"
        if compare_tensor(given, squares.permute(0, 2, 3, 1, 4, 5).flatten(1, 3)) is None:
            return "the channels of the picture come first in the order of the new ones, then rows, then columns"
        return f"with side {side}: {complaint}"
    return None


def large_faces() -> tuple[CoarseToFine, VQVAE, Tensor, Tensor]:
    """Return the shipped prior and VQ-VAE of large faces, the codes of some test faces, and their labels."""
    vqvae, prior = load_pretrained("smileys-128")
    assert isinstance(prior, CoarseToFine)
    faces = load("smileys", "test", size=128, limit=_FACES)
    return prior, vqvae, vqvae.encode(faces.floats()), faces.labels


def nats_given(prior: CoarseToFine, codes: Tensor, labels: Tensor, coarse: Tensor) -> float:
    """Return what the fine codes cost on average, given coarse ones."""
    with torch.no_grad():
        return prior.fine_prior.nll(codes, labels, coarse).mean().item()


def _told(answer: Any) -> str | None:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return f"expected two numbers (with the own coarse grid, with the next one's), got {type(answer).__name__}"
    prior, _, codes, labels = large_faces()
    coarse = prior.coarsen(codes)
    own, other = (nats_given(prior, codes, labels, given) for given in (coarse, coarse.roll(-1, 0)))
    if compare_number(answer[0], other, 0.01 * other) is None:
        return "the order is: own grid first"
    slips = {nats_given(prior, codes, labels, coarse.roll(1, 0)): "that is the grid of the face before, not after"}
    for what, number, expected in (("own grid", answer[0], own), ("next one's grid", answer[1], other)):
        complaint = compare_number(number, expected, 0.01 * expected, slips)
        if complaint:
            return f"{what}: {complaint}"
    return None


def sad_mouths(number: int = 30) -> float:
    """Return how many mouths are sad where the coarse grid is of a sad face and the fine prior is told "happy"."""
    prior, vqvae, codes, labels = large_faces()
    coarse = prior.coarsen(codes[labels == _SAD][:1]).expand(number, -1, -1)
    told = torch.zeros(number, dtype=torch.int64)
    drawn = prior.fine_prior.generate(labels=told, coarse=coarse, generator=torch.Generator().manual_seed(4))
    return (find_nearest_faces(vqvae.decode(drawn)).factors["mouth"] == _SAD).float().mean().item()


def _who_decides(answer: Any) -> str | None:
    expected = sad_mouths()
    return compare_number(answer, expected, 0.034, {1 - expected: "that is the share that is not sad"})


CHECKERS: dict[str, Checker] = {"11.1": _late, "11.2": _deal, "11.3": _told, "11.4": _who_decides}
