"""Exercises of 11_coarse_to_fine."""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.course.exercises.comparing import (
    Checker,
    as_numbers,
    call,
    checker,
    compare_number,
    compare_tensor,
)
from lpvq.data.loading import load
from lpvq.evaluation.nearest_face import find_nearest_faces
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.pretrained import load_pretrained
from lpvq.models.vqvae import VQVAE

_EMPTY, _ROWS = 0.6, 8
_FACES, _HAPPY, _SAD, _SURPRISED = 12, 0, 1, 2
_DRAWN = 30


@checker
def _late(answer: Any) -> str | None:
    right = _EMPTY**_ROWS
    slips = {
        "rows count from 0: eight rows lie above row 8": _EMPTY ** (_ROWS - 1),
        "row 8 itself need not be empty": _EMPTY ** (_ROWS + 1),
        "that is the share that has begun before row 8": 1 - right,
        "that is the share that begins in row 8; later rows count too": right * (1 - _EMPTY),
        "0.6 is the probability that a row stays empty, not that the face begins": (1 - _EMPTY) ** _ROWS,
        "0.6 is the probability that a row stays empty, and eight rows lie above row 8": (1 - _EMPTY) ** (_ROWS - 1),
        "that is the probability that one row stays empty; how many have to?": _EMPTY,
        "that is the probability that a face begins in a row": 1 - _EMPTY,
        "probabilities of one row after the other are multiplied, not added": _EMPTY * _ROWS,
        "each row multiplies; nothing is divided": _EMPTY / _ROWS,
        "this is the share of faces that begin in one given row of eight": 1 / _ROWS,
        "this is in percent": 100 * right,
        "the exponent is the number of rows, and its base is 0.6": _ROWS**_EMPTY,
        "that is the share that begins after row 8; row 8 counts too": _EMPTY ** (_ROWS + 1),
    }
    return compare_number(answer, right, 1e-3, slips)


@checker
def _deal(answer: Any) -> str | None:
    for side, channels, height, width in ((2, 3, 3, 5), (4, 3, 2, 3), (3, 2, 4, 1)):
        shape = 2, channels, height * side, width * side
        picture = torch.arange(2.0 * channels * side**2 * height * width).view(shape)
        given = call(answer, picture.clone(), side)
        complaint = compare_tensor(given, F.pixel_unshuffle(picture, side), slips=_slips_of_dealing(picture, side))
        if complaint:
            return f"with a picture {tuple(picture.shape)} and side {side}: {complaint}"
    return None


def _slips_of_dealing(picture: Tensor, side: int) -> dict[str, Tensor]:
    batch, channels, full_height, full_width = picture.shape
    height, width = full_height // side, full_width // side
    squares = picture.view(batch, channels, height, side, width, side)  # (B, C, h, i, w, j)

    def dealt(*order: int) -> Tensor:
        return squares.permute(0, *order).reshape(batch, -1, height, width)

    return {
        "rows and columns inside a square are swapped": dealt(1, 5, 3, 2, 4),
        "the channels of the picture come first in the order of the new ones, then rows, then columns": dealt(
            3, 5, 1, 2, 4
        ),
        "the channels of the picture come first in the order of the new ones, then rows, and columns last": dealt(
            5, 3, 1, 2, 4
        ),
        "the channels of the picture come first in the order of the new ones, not between rows and columns": dealt(
            3, 1, 5, 2, 4
        ),
        "pixels of a square belong to one position: permute before the last reshape": picture.reshape(
            batch, -1, height, width
        ),
        "a position has the pixels of a square, not those that lie h and w apart": picture.view(
            batch, channels, side, height, side, width
        )
        .permute(0, 1, 2, 4, 3, 5)
        .reshape(batch, -1, height, width),
        "rows and columns of the positions are swapped": F.pixel_unshuffle(picture, side).mT,
        "channel, row and column of the square become one dimension": F.pixel_unshuffle(picture, side).unflatten(
            1, (channels, side, side)
        ),
        "this is the mean of each square; sort its pixels": F.avg_pool2d(picture, side),
        "this is one pixel of each square; take all": picture[:, :, ::side, ::side],
        "the squares run backwards": F.pixel_unshuffle(picture.flip((2, 3)), side).flip((2, 3)),
        "nothing is sorted": picture,
    }


@cache
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


@cache
def _costs() -> tuple[float, float]:
    """The costs given the faces' own coarse grids, and given those of the next faces."""
    prior, _, codes, labels = large_faces()
    coarse = prior.coarsen(codes)
    own, other = (nats_given(prior, codes, labels, given) for given in (coarse, coarse.roll(-1, 0)))
    return own, other


@cache
def _slips_of_costs() -> tuple[dict[str, float], dict[str, float]]:
    """Slips in the cost given the own grid, and in that given the next one's."""
    prior, _, codes, labels = large_faces()
    coarse, (own, other) = prior.coarsen(codes), _costs()
    with torch.no_grad():
        coarse_alone = prior.coarse_prior.nll(coarse, labels).mean().item()
    positions = codes[0].numel()
    always = {
        "that is the sum over the faces; take their mean": float(len(codes)),
        "these are nats per code; the question is for the whole grid": 1 / positions,
        "these are bits": 1.4427,
        "the sign is wrong": -1.0,
    }
    return (
        {why: own * factor for why, factor in always.items()}
        | {
            "that includes what the coarse grid costs": own + coarse_alone,
            "that is what the coarse grid costs": coarse_alone,
        },
        {why: other * factor for why, factor in always.items()}
        | {
            "that is the grid of the face before, not after": nats_given(prior, codes, labels, coarse.roll(1, 0)),
            "the labels stay: only the coarse grids are those of the next face": nats_given(
                prior, codes, labels.roll(-1), coarse.roll(-1, 0)
            ),
            "that is each face's own grid again": own,
            "all faces have the coarse grid of the first here": nats_given(
                prior, codes, labels, coarse[:1].expand_as(coarse)
            ),
            "this is by how much it costs more; the question asks for the cost itself": other - own,
            "this is how many times as much it costs; the question asks for the cost itself": other / own,
        },
    )


@checker
def _told(answer: Any) -> str | None:
    given = as_numbers(answer, "with the own coarse grid", "with the next one's")
    right = _costs()
    if all(abs(mine - cost) <= _within(cost) for mine, cost in zip(given, right, strict=True)):
        return None
    if all(abs(mine - cost) <= _within(cost) for mine, cost in zip(given, reversed(right), strict=True)):
        return "the order is: own grid first"
    for what, mine, cost, slips in zip(("own grid", "next one's grid"), given, right, _slips_of_costs(), strict=True):
        complaint = compare_number(mine, cost, _within(cost), slips)
        if complaint:
            return f"{what}: {complaint}"
    return None


def _within(cost: float) -> float:
    return 0.01 * cost


@cache
def _mouths() -> Tensor:
    """The mouths where the coarse grid is of a sad face and the fine prior is told "happy", (30,)."""
    prior, vqvae, codes, labels = large_faces()
    coarse = prior.coarsen(codes[labels == _SAD][:1]).expand(_DRAWN, -1, -1)
    told = torch.full((_DRAWN,), _HAPPY)
    drawn = prior.fine_prior.generate(labels=told, coarse=coarse, generator=torch.Generator().manual_seed(4))
    return find_nearest_faces(vqvae.decode(drawn)).factors["mouth"]


def sad_mouths() -> float:
    """Return the share of mouths that are sad where the coarse grid is of a sad face and the label is happy."""
    return (_mouths() == _SAD).float().mean().item()


@checker
def _who_decides(answer: Any) -> str | None:
    right = sad_mouths()
    share = 1 / _DRAWN
    slips = {
        "that is the share that is not sad": 1 - right,
        "this is how many are sad; the question asks for their share of the 30": right * _DRAWN,
        "this is in percent; the question asks for a share, from 0 to 1": right * 100,
        "that is the share of happy mouths": (_mouths() == _HAPPY).float().mean().item(),
        "that is the share of surprised mouths": (_mouths() == _SURPRISED).float().mean().item(),
        "this is the mean of the labels; the question asks how many of them are 1": _mouths().float().mean().item(),
        "a third would be chance; draw, and count": 1 / 3,
    }
    return compare_number(answer, right, 1.02 * share, slips)  # rounding may make it one face more or less


CHECKERS: dict[str, Checker] = {"11.1": _late, "11.2": _deal, "11.3": _told, "11.4": _who_decides}
