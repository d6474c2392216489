"""The checkers of 01_images_and_compression tell right answers from typical wrong ones."""

from collections.abc import Callable
from functools import cache
from math import log2

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from answers import expect, forms_of_number
from lpvq.course.exercises.notebook_01 import CHECKERS
from lpvq.data.loading import load


@cache
def faces() -> Tensor:
    return load("smileys", "test", limit=256).floats()


def error(restored: Tensor, images: Tensor) -> float:
    return ((restored - images).square().mean() / images.var(correction=0)).item()


def squares(size: int, **how: str) -> Tensor:
    return F.interpolate(F.avg_pool2d(faces(), size), scale_factor=size, **how)


def by_loops() -> float:
    painted = faces().numpy().copy()
    for rows in (slice(0, 16), slice(16, 32)):
        for columns in (slice(0, 16), slice(16, 32)):
            painted[:, :, rows, columns] = painted[:, :, rows, columns].mean((2, 3), keepdims=True)
    return float(((painted - faces().numpy()) ** 2).mean() / faces().numpy().var())


def test_1_1_quarters() -> None:
    images, painted = faces(), squares(16)
    right, mse = error(painted, images), F.mse_loss(painted, images)
    per_image = (painted - images).square().mean((1, 2, 3)) / images.var((1, 2, 3), correction=0)
    expect(
        CHECKERS["1.1"],
        [*forms_of_number(right), by_loops(), F.mse_loss(painted, images) / images.var(), round(right, 4)],
        [
            (mse, "divide it by the variance"),
            (mse / images.std(), "not by the standard deviation"),
            (right**0.5, "the root"),
            (1 - right, "the share that is described"),
            (per_image.mean(), "not each image by its own"),
            (mse / images.var(0).mean(), "not around the mean image"),
            ((painted - images).square().sum() / images.var(correction=0), "not their sum"),
            (error(squares(16, mode="bilinear"), images), "soft transitions"),
            (error(squares(16, mode="bicubic"), images), "soft transitions"),
            (error(squares(32), images), "one colour for the whole image"),
            (error(squares(8), images), "sixteen squares"),
            (error(squares(2), images), "16 × 16 squares"),
            (error(F.interpolate(images[:, :, ::16, ::16], scale_factor=16), images), "one pixel of each quarter"),
            (error(squares(16).mean(1, keepdim=True), images), "a grey"),
            (error(F.interpolate(F.max_pool2d(images, 16), scale_factor=16), images), "too large"),
            (error(squares(4), images), "too small"),
            (painted, "expected a number, got Tensor of shape (256, 3, 32, 32)"),
            (per_image, "expected a number, got Tensor of shape (256,)"),
        ],
    )


def test_1_2_times_fewer() -> None:
    expect(
        CHECKERS["1.2"],
        [*forms_of_number(192), 32 * 32 * 3 * 8 / 32 / log2(16), 24576 // 128],
        [
            (96, "compare their bits"),
            (48, "16 levels are not 16 bits"),
            (24, "count the bits of both"),
            (64, "three colours"),
            (1 / 192, "the other way round"),
            (32 * 32 * 3 * 8, "the bits of the image"),
            (128, "the bits of the latents"),
            (24576 / 4, "there are 32 latents"),
            (24576 / 16, "for all latents together"),
            (24576 / (32 * 5), "with fewer bits"),
            (24576 / (32 * 3), "with more bits"),
            (1 - 1 / 192, "the share that is saved"),
            (24576 - 128, "how many bits are saved"),
            (200, "200 is a little too large"),
            (3072, "3072 is too large"),
            (True, "expected a number, got True or False"),
        ],
        secrets=["192"],
    )


def grey(images: Tensor) -> Tensor:
    return images.mean(1, keepdim=True).expand_as(images)


def of(greys: Callable[[Tensor], Tensor]) -> Callable[[Tensor], float]:
    """The reader's function with another idea of grey."""
    return lambda images: error(greys(images), images)


def with_arrays(images: Tensor) -> np.floating:
    pixels = images.double().numpy()
    grey = pixels.mean(axis=1, keepdims=True)
    return ((pixels - grey) ** 2).mean() / pixels.var()


def by_variance_within(images: Tensor) -> Tensor:
    """The error is the variance of the colours of a pixel."""
    return (images.var(1, correction=0).mean() / images.var()).requires_grad_()


def test_1_3_grey_error() -> None:
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    images = faces()
    expect(
        CHECKERS["1.3"],
        [
            of(grey),
            of(lambda images: images.mean(1, keepdim=True)),  # spread over the colours by broadcasting
            with_arrays,
            by_variance_within,
            lambda images: [error(grey(images), images)],
        ],
        [
            (0.2, "expected a function, got float"),
            (error(grey(images), images), "expected a function"),
            (lambda images: ..., "not done yet"),
            (lambda images: None, "returns nothing"),
            (lambda images: grey(images), "expected a number, got Tensor"),
            (lambda: 0.2, "the function fails with TypeError"),
            (lambda images: F.mse_loss(grey(images), images), "divide it by the variance"),
            (lambda images: error(grey(images), images) ** 0.5, "the root"),
            (lambda images: error(grey(faces()), faces()), "those in the brackets"),
            (of(lambda images: (images * weights).sum(1, keepdim=True)), "as an eye does"),
            (of(lambda images: images.mean((1, 2, 3), keepdim=True)), "one grey for the whole image"),
            (of(lambda images: images.mean((2, 3), keepdim=True)), "one colour for the whole image"),
            (of(lambda images: images.mean(0, keepdim=True)), "the mean over the images"),
            (of(lambda images: images.mean(2, keepdim=True)), "over a column"),
            (of(lambda images: images.amax(1, keepdim=True)), "the brightest"),
            (of(lambda images: images[:, :1]), "the first of the three"),
            (of(lambda images: images.sum(1, keepdim=True)), "the sum of the three"),
            (lambda images: error(grey(images[:, :, :16]), images[:, :, :16]), "too"),
            (lambda images: error(grey(images), images) * 256 / len(images), "for images of shape (8, 3, 32, 20)"),
        ],
    )


def squared_singular_values(centred: bool = True) -> Tensor:
    vectors = faces().flatten(1).double()
    vectors = vectors - centred * vectors.mean(0)
    return torch.linalg.eigvalsh(vectors @ vectors.T).flip(0).clamp(min=0)  # faster than by svd


def needed(values: Tensor, whole: float) -> int:
    return next(n for n in range(1, 257) if values[n:].sum() / whole < 0.05)


def test_1_4_number_of_directions() -> None:
    values, raw = squared_singular_values(), squared_singular_values(centred=False)
    whole = float((faces().double() - faces().double().mean()).square().sum())
    right = needed(values, whole)
    around_mean_image = needed(values, float(values.sum()))
    unsquared = needed(values.sqrt(), float(values.sqrt().sum()))
    assert len({right, around_mean_image, unsquared, right - 1, right + 1}) == 5
    expect(
        CHECKERS["1.4"],
        [*forms_of_number(right), np.int32(right)],
        [
            (right - 1, "the error is not below 0.05"),
            (right + 1, "fewer directions are enough"),
            (around_mean_image, "around one grey"),
            (unsquared, "have to be squared"),
            (needed(raw, float(raw.sum())), ""),  # without the mean image
            (1, "so many describe 5 %"),
            (0, "too small"),
            (256, "too large"),
            (2 * right, "too large"),
            (3072, "too large"),
            (0.05, "too small"),
            (values, "expected a number, got Tensor"),
            ("many", "expected a number, got str"),
        ],
        secrets=[f" {right} "],
    )
