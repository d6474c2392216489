"""Exercises of 03_vqvae; what needs a trained model uses the pretrained smileys."""

from functools import cache
from typing import Any

import torch
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
from lpvq.models.pretrained import load_pretrained
from lpvq.models.vqvae import VQVAE, encoder

_ORDER = torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])
_IMAGE = 64, 48  # height and width
_DOWNSAMPLE = 4


@cache
def _grid() -> list[float]:
    vqvae = VQVAE(3, num_codes=8, code_dim=2, hidden_channels=2, downsample=_DOWNSAMPLE)
    return [float(side) for side in vqvae.encode(torch.zeros(1, 3, *_IMAGE)).shape[1:]]


@checker
def _grid_of_a_tall_image(answer: Any) -> str | None:
    given, right = as_numbers(answer, "height", "width"), _grid()
    height, width = _IMAGE
    if given == right:
        return None
    slips = {
        "these are the width and the height; the height comes first": right[::-1],
        "that is the size of the image; a code stands for a square of pixels": [height, width],
        "that is the size of the square that a code stands for; how many of them fit?": [_DOWNSAMPLE, _DOWNSAMPLE],
        "downsample is the side of the square that a code stands for, not the number of its pixels": [
            height / _DOWNSAMPLE**2,
            width / _DOWNSAMPLE**2,
        ],
        "downsample is the side of the square, not how often the size is halved": [
            height / 2**_DOWNSAMPLE,
            width / 2**_DOWNSAMPLE,
        ],
        "this halves the sides once; each code stands for 4 × 4 pixels": [height / 2, width / 2],
        "this halves the sides three times; each code stands for 4 × 4 pixels": [height / 8, width / 8],
        "this is one less: squares that touch lose nothing at the border": [side - 1 for side in right],
    }
    named = [why for why, wrong in slips.items() if given == wrong]
    if named:
        return named[0]
    wrong_sides = [name for name, mine, side in zip(("height", "width"), given, right, strict=True) if mine != side]
    return f"wrong {' and '.join(wrong_sides)}: each code stands for 4 × 4 pixels"


@cache
def _rows_seen() -> int:
    three = encoder(1, code_dim=4, hidden_channels=8, downsample=8)
    for weights in three.parameters():
        weights.data.fill_(0.1)  # so that no layer is dead: then the gradient shows all that is seen
    images = torch.ones(1, 1, 64, 64, requires_grad=True)
    three(images)[:, :, 4, 4].sum().backward()
    assert images.grad is not None
    return int((images.grad.sum((0, 1, 3)) != 0).sum())


@checker
def _pixels_seen(answer: Any) -> str | None:
    seen = _rows_seen()
    slips: dict[str, float] = {
        "8 is the size of the code's own square; the windows of the layers overlap, so it sees more": 8,
        "that is how much a code sees with two layers": 10,
        "that is how much a code sees with four layers": 2 * seen + 2,
        "that is the window of a single layer": 4,
        "the windows do not multiply: neighbouring ones overlap": 4**3,
        "the windows do not add up: a row between two layers stands for several pixels": 3 * 4,
        "that is how much it would see if the windows did not overlap": 2**3 * 2,
        "that is the number of pixels in the square; how many rows does it have?": seen**2,
        "windows that are two apart cover twice their number and more: how much does the last one add?": 2 * 10,
        "windows of 4 that are one apart would cover 3 more in each layer; these are two apart": 1 + 3 * 3,
        "the last window adds 2, not 4": 2 * (2 * (2 * 1 + 4) + 4) + 4,
        "the last window adds 2, not 3": 2 * (2 * (2 * 1 + 3) + 3) + 3,
        "the last window adds 2, not 1": 2 * (2 * (2 * 1 + 1) + 1) + 1,
        "the strides have to be counted from the code on: the last layer works on the coarsest rows": 3 * 4 + 2 * 2,
    }
    return compare_number(answer, seen, 0, slips)


def _codes_and_orders() -> list[tuple[Tensor, Tensor]]:
    """Grids that are not square, and new orders; each order differs from its own inverse."""
    generator = torch.Generator().manual_seed(0)
    many = torch.randperm(30, generator=generator)
    few = torch.tensor([[[5, 2, 2, 7], [0, 1, 6, 3]]])
    return [(few, _ORDER), (torch.randint(30, (3, 5, 4), generator=generator), many)]


def _slips_of_numbers(codes: Tensor, order: Tensor) -> dict[str, Tensor]:
    new = order.argsort()
    return {
        "these are the old numbers of the entries, order[codes]; the question asks where each entry has gone to": order[
            codes
        ],
        "nothing is renumbered": codes,
        "this is done twice": new[new[codes]],
        "this is done twice, and the other way round": order[order[codes]],
        "keep the shape of the codes (B, H, W)": new[codes].flatten(),
        "this is where each entry has gone; the question asks for the new codes of the grids": new,
        "these are the old numbers of the entries, and not in the shape of the codes": order,
        "this runs from the last code to the first": new[codes.flip((1, 2))],
        "each entry has gone as far from the end as it should be from the beginning": len(order) - 1 - new[codes],
        "rows and columns are swapped": new[codes].mT,
        "codes begin with 0": new[codes] + 1,
        "codes begin with 0; these are one too small": new[codes] - 1,
        "the new codes are sorted; their places in the grid must stay": new[codes]
        .flatten()
        .sort()
        .values.view_as(codes),
    }


@checker
def _renumber(answer: Any) -> str | None:
    for codes, order in _codes_and_orders():
        given = codes.clone(), order.clone()
        right = order.argsort()[codes]
        complaint = compare_tensor(call(answer, *given), right, 0, _slips_of_numbers(codes, order))
        if complaint:
            return f"for codes of shape {tuple(codes.shape)} and {len(order)} entries: {complaint}"
        if not (torch.equal(given[0], codes) and torch.equal(given[1], order)):
            return "the function changes what it is given; make a new tensor"
    return None


@cache
def _errors() -> tuple[float, dict[str, float]]:
    """The error without the quantizer, and what comes of slips."""
    vqvae, _ = load_pretrained()
    images = load("smileys", "test", limit=100)
    pixels, variance = images.floats(), images.variance()
    with torch.no_grad():
        z = vqvae.encoder(pixels)
        decoded = vqvae.decoder(z)
        from_codes = vqvae.decoder(vqvae.quantizer.lookup(vqvae.quantizer.assign(z))).clamp(0, 1)

    def mse(reconstructions: Tensor) -> float:
        return float((reconstructions - pixels).square().mean())

    clamped = decoded.clamp(0, 1)
    right = mse(clamped) / variance
    of_each = (clamped - pixels).square().mean((1, 2, 3)) / pixels.var((1, 2, 3), correction=0)
    return right, {
        "this is the error with the quantizer: give the decoder what the encoder returns": mse(from_codes) / variance,
        "this is the mean squared error with the quantizer; leave it out, and divide by the variance": mse(from_codes),
        "this is the mean squared error: divide it by the variance of the images": mse(clamped),
        "the decoded images should be clamped to [0, 1]": mse(decoded) / variance,
        "this is the mean squared error, of images that are not clamped": mse(decoded),
        "this compares with the images from codes; compare with the images themselves": mse(
            from_codes - clamped + pixels
        )
        / variance,
        "this is what the quantizer adds; the question asks for the error without it": (mse(from_codes) - mse(clamped))
        / variance,
        "divide by the variance, not by the standard deviation": mse(clamped) / variance**0.5,
        "this is the root; leave the squares as they are": right**0.5,
        "this is the share that is described; the error is the rest": 1 - right,
        "square the differences": float((clamped - pixels).abs().mean()) / variance,
        "divide by the variance of all images together, not each image by its own": float(of_each.mean()),
        "take the mean of the squares, not their sum": right * pixels.numel(),
        "images are floats from 0 to 1 here, not bytes up to 255": mse(clamped) * 255**2 / variance,
    }


@checker
def _without_the_quantizer(answer: Any) -> str | None:
    right, slips = _errors()
    return compare_number(answer, right, 2e-3 * right, slips)


@cache
def _importance_and_slips() -> tuple[Tensor, dict[str, Tensor]]:
    vqvae, _ = load_pretrained()
    image = load("smileys", "test", limit=1).floats()
    codes = vqvae.encode(image)
    height, width = codes.shape[1:]
    places = torch.arange(height * width)

    def decoded(value: Tensor | int, kept: bool = False) -> Tensor:
        """For each position, the images (H · W, 3, …) with a code replaced there, or there and before."""
        changed = codes.flatten().expand(len(places), -1).clone()
        replaced = places <= places[:, None] if kept else places == places[:, None]
        return vqvae.decode(torch.where(replaced, value, changed).view(-1, height, width))

    def grid(changes: Tensor) -> Tensor:
        return changes.unflatten(0, (height, width))

    original, corner = vqvae.decode(codes), codes[0, 0, 0]
    erased = decoded(corner)
    squares = (erased - original).square()
    right = grid(squares.mean((1, 2, 3)))
    return right, {
        "rows and columns are swapped": right.T,
        "this is the sum over the image; take the mean": grid(squares.sum((1, 2, 3))),
        "this is the sum over the colours, and the mean over the pixels; take the mean over all": grid(
            squares.sum(1).mean((1, 2))
        ),
        "square the changes": grid((erased - original).abs().mean((1, 2, 3))),
        "this is the root; leave the squares as they are": right.sqrt(),
        "this is the largest change; take the mean": grid(squares.amax((1, 2, 3))),
        "the colours are still there: take the mean over them, too": grid(squares.mean((2, 3))),
        "compare with the decoded codes, not with the image itself": grid((erased - image).square().mean((1, 2, 3))),
        "codes that were replaced stay replaced: copy the codes for each position": grid(
            (decoded(corner, kept=True) - original).square().mean((1, 2, 3))
        ),
        "codes are replaced by the code 0; take that of the upper left corner": grid(
            (decoded(0) - original).square().mean((1, 2, 3))
        ),
        "codes are replaced by that of the lower right corner; take the upper left one": grid(
            (decoded(codes[0, -1, -1]) - original).square().mean((1, 2, 3))
        ),
        "this is in order, but not in the shape (8, 8)": right.flatten(),
        "nothing changes: is the replaced code in the grid that is decoded?": torch.zeros_like(right),
        "divided by their sum, these are shares; the question asks for the changes": right / right.sum(),
        "this is in thousandths": 1000 * right,
    }


@checker
def _importance(answer: Any) -> str | None:
    right, slips = _importance_and_slips()
    return compare_tensor(answer, right, 1e-6, slips)


CHECKERS: dict[str, Checker] = {
    "3.1": _grid_of_a_tall_image,
    "3.2": _pixels_seen,
    "3.3": _renumber,
    "3.4": _without_the_quantizer,
    "3.5": _importance,
}
