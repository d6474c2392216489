"""The checkers of 03_vqvae: right answers pass, typical wrong ones are called what they are."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from answers import expect, forms_of_number, forms_of_numbers, forms_of_tensor
from lpvq import VQVAE
from lpvq.course.exercises.notebook_03 import CHECKERS
from lpvq.data.images import ImageData
from lpvq.data.loading import load
from lpvq.models.pretrained import load_pretrained
from lpvq.training.losses import reconstruction_error


def test_3_1_the_grid() -> None:
    expect(
        CHECKERS["3.1"],
        [*forms_of_numbers(16, 12), torch.Size([16, 12]), np.array([16, 12]), (torch.tensor(16), np.int64(12))],
        [
            ((12, 16), "the height comes first"),
            ((64, 48), "the size of the image"),
            ((4, 4), "how many of them fit"),
            ((4, 3), "not the number of its pixels"),
            ((32, 24), "halves the sides once"),
            ((8, 6), "three times"),
            ((15, 11), "one less"),
            ((16, 48), "wrong width"),
            ((15, 12), "wrong height"),
            ((17, 13), "wrong height and width: each code stands for 4 × 4 pixels"),
            (16, "expected two numbers (height, width), got a single one"),
            (192, "expected two numbers"),
            ((1, 16, 12), "expected two numbers (height, width), got 3"),
            ((16, ...), "still ..."),
            ("16, 12", "expected two numbers (height, width), got str"),
            ({16, 12}, "got set"),
        ],
        secrets=["16"],
    )


def test_3_2_the_pixels_seen() -> None:
    rows = 1
    for _ in range(3):
        rows = 4 + 2 * (rows - 1)
    expect(
        CHECKERS["3.2"],
        [*forms_of_number(22), rows, np.int64(22)],
        [
            (8, "own square"),
            (10, "with two layers"),
            (46, "with four layers"),
            (4, "a single layer"),
            (64, "do not multiply"),
            (12, "do not add up"),
            (16, "did not overlap"),
            (484, "how many rows"),
            (20, "the last one add"),
            (36, "not 4"),
            (29, "not 3"),
            (15, "not 1"),
            (21, "21 is a little too small"),
            (24, "24 is too large"),
            ("a few", "expected a number, got str"),
            ((22, 22), "expected a number"),
        ],
        secrets=["22"],
    )


def renumber(codes: Tensor, order: Tensor) -> Tensor:
    return order.argsort()[codes]


def by_search(codes: Tensor, order: Tensor) -> list[object]:
    return [[[order.tolist().index(code) for code in row] for row in grid] for grid in codes.tolist()]


def by_scatter(codes: Tensor, order: Tensor) -> Tensor:
    return torch.empty_like(order).scatter(0, order, torch.arange(len(order)))[codes]


def with_arrays(codes: Tensor, order: Tensor) -> np.ndarray:
    return np.argsort(order.numpy())[codes.numpy()]


def by_comparing(codes: Tensor, order: Tensor) -> Tensor:
    return (codes[..., None] == order).float().argmax(-1).float()


def in_place(codes: Tensor, order: Tensor) -> Tensor:
    return codes.copy_(renumber(codes, order))


def of_eight(codes: Tensor, order: Tensor) -> Tensor:
    return renumber(codes, order[:8])


def test_3_3_new_numbers() -> None:
    expect(
        CHECKERS["3.3"],
        [renumber, by_search, by_scatter, with_arrays, by_comparing],
        [
            (renumber(torch.arange(8).view(1, 2, 4), torch.arange(8)), "expected a function, got Tensor of shape"),
            (None, "expected a function, got None"),
            (lambda codes, order: ..., "not done yet"),
            (lambda codes: codes, "the function fails with TypeError"),
            (lambda codes, order: order[codes], "old numbers of the entries, order[codes]"),
            (lambda codes, order: codes, "nothing is renumbered"),
            (lambda codes, order: renumber(renumber(codes, order), order), "done twice"),
            (lambda codes, order: order[order[codes]], "twice, and the other way round"),
            (lambda codes, order: renumber(codes, order).flatten(), "keep the shape"),
            (lambda codes, order: order.argsort(), "where each entry has gone"),
            (lambda codes, order: order, "not in the shape of the codes"),
            (lambda codes, order: renumber(codes.flip((1, 2)), order), "from the last code"),
            (lambda codes, order: order.argsort(descending=True)[codes], "values are wrong"),
            (lambda codes, order: len(order) - 1 - renumber(codes, order), "from the end"),
            (lambda codes, order: renumber(codes, order).mT, "rows and columns are swapped"),
            (lambda codes, order: renumber(codes, order) + 1, "begin with 0"),
            (lambda codes, order: renumber(codes, order)[0], "expected the shape (1, 2, 4), got (2, 4)"),
            (lambda codes, order: renumber(codes, order).flatten().sort().values.view_as(codes), "are sorted"),
            (lambda codes, order: torch.where(codes == 5, 0, renumber(codes, order)), "1 of 8 values is wrong"),
            (of_eight, "the function fails with IndexError"),
            (in_place, "make a new tensor"),
        ],
    )


@cache
def decoded() -> tuple[VQVAE, ImageData, Tensor]:
    """The model, a hundred images, and what comes of them without the quantizer."""
    vqvae, _ = load_pretrained()
    images = load("smileys", "test", limit=100)
    with torch.no_grad():
        return vqvae, images, vqvae.decoder(vqvae.encoder(images.floats()))


def test_3_4_without_the_quantizer() -> None:
    vqvae, images, raw = decoded()
    pixels, variance, clamped = images.floats(), images.variance(), raw.clamp(0, 1)
    mse = (clamped - pixels).square().mean()
    with_codes, from_codes = reconstruction_error(vqvae, images), vqvae.decode(vqvae.encode(pixels))
    halves = [(clamped[half] - pixels[half]).square().mean().item() for half in (slice(0, 50), slice(50, 100))]
    of_each = (clamped - pixels).square().mean((1, 2, 3)) / pixels.var((1, 2, 3))
    expect(
        CHECKERS["3.4"],
        [
            *forms_of_number((mse / variance).item()),
            mse / pixels.var(),
            sum(halves) / 2 / variance,
            ((clamped - pixels) ** 2).numpy().mean() / pixels.numpy().var(),
        ],
        [
            (with_codes / variance, "with the quantizer"),
            (with_codes, "the mean squared error with the quantizer"),
            (mse, "divide it by the variance"),
            ((raw - pixels).square().mean() / variance, "clamped"),
            ((clamped - from_codes).square().mean() / variance, "with the images themselves"),
            (with_codes / variance - mse / variance, "what the quantizer adds"),
            (mse / variance**0.5, "not by the standard deviation"),
            ((mse / variance) ** 0.5, "the root"),
            (1 - mse / variance, "the share that is described"),
            ((clamped - pixels).abs().mean() / variance, "square the differences"),
            (of_each.mean(), "not each image by its own"),
            ((clamped - pixels).double().square().sum() / variance, "not their sum"),
            (1.0, "too large"),
            (0.0, "0 is too small"),
            (clamped, "expected a number, got Tensor of shape (100, 3, 32, 32)"),
            (lambda: mse, "expected a number, got a function"),
        ],
    )


def changed(value: Tensor | None = None, kept: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """The image, its codes decoded, and for each position the images with a code replaced, (64, 3, 32, 32)."""
    vqvae, images, _ = decoded()
    codes = vqvae.encode(images.floats([0]))
    grids, many = codes.clone(), []
    for row in range(8):
        for column in range(8):
            grids = grids if kept else codes.clone()
            grids[0, row, column] = codes[0, 0, 0] if value is None else value
            many.append(grids.clone())
    return images.floats([0]), vqvae.decode(codes), vqvae.decode(torch.cat(many))


def test_3_5_which_codes_matter() -> None:
    image, original, erased = changed()
    change = (erased - original).square()
    right = change.mean((1, 2, 3)).view(8, 8)
    zero, kept = (changed(**how)[2] - original for how in ({"value": torch.tensor(0)}, {"kept": True}))
    expect(
        CHECKERS["3.5"],
        [
            *forms_of_tensor(right),
            change.double().numpy().reshape(64, -1).mean(1).reshape(8, 8),
            torch.stack([torch.nn.functional.mse_loss(one, original[0]) for one in erased]).view(8, 8),
        ],
        [
            (right.T, "rows and columns"),
            (change.sum((1, 2, 3)).view(8, 8), "the sum over the image"),
            (change.sum(1).mean((1, 2)).view(8, 8), "the sum over the colours"),
            ((erased - original).abs().mean((1, 2, 3)).view(8, 8), "square the changes"),
            (right.sqrt(), "the root"),
            (change.amax((1, 2, 3)).view(8, 8), "the largest change"),
            (change.mean((2, 3)).view(8, 8, 3), "the colours are still there"),
            ((erased - image).square().mean((1, 2, 3)).view(8, 8), "not with the image itself"),
            (kept.square().mean((1, 2, 3)).view(8, 8), "stay replaced"),
            (zero.square().mean((1, 2, 3)).view(8, 8), "by the code 0"),
            (torch.zeros(8, 8), "nothing changes"),
            (right / right.sum(), "these are shares"),
            (1000 * right, "in thousandths"),
            (2 * right, "values are wrong, the first at ["),
            (right.flatten(), "(8, 8)"),
            (right[:7], "expected the shape (8, 8), got (7, 8)"),
            (right.mean(), "expected the shape (8, 8), got ()"),
        ],
    )
