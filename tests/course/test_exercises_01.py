"""The checkers of 01_images_and_compression tell right answers from typical wrong ones."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from answers import expect, forms_of_number, forms_of_tensor
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


def test_1_2_what_is_lost() -> None:
    right = ["codes", "pca", "grey", "quarters", "mean image"]
    expect(
        CHECKERS["1.2"],
        [right, tuple(right), np.array(right), dict.fromkeys(right, 0), [np.str_(name) for name in right]],
        [
            (right[::-1], "the other way round"),
            (["codes", "grey", "pca", "quarters", "mean image"], "two neighbours"),
            (["codes", "pca", "quarters", "grey", "mean image"], "two neighbours"),
            ([*right[:3], "mean image", "quarters"], "two neighbours"),
            (["codes", "grey", "quarters", "pca", "mean image"], "2 of 5 stand in their places"),
            (["mean image", "pca", "grey", "quarters", "codes"], "3 of 5 stand in their places"),
            (["pca", "grey", "quarters", "mean image", "codes"], "0 of 5 stand in their places"),
            (right[1:], "each of the 5 names once, got 4"),
            ([*right, *right], "each of the 5 names once, got 10"),
            ([*right[:4], "codes"], "got 5, 4 of them different"),
            ([*right[:4], "mean"], "'mean' is not one of the names"),
            ([0.005, 0.18, 0.46, 0.58, 0.84], "'0.005' is not one of the names"),
            ("codes, pca", "expected a list of the 5 names in order, got str"),
            (0.005, "got float"),
            (set(right), "got set"),
        ],
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


def test_1_5_a_face_that_moves() -> None:
    images, shifts = faces(), [0, 1, 2, 4, 8]
    right = torch.tensor([error(images.roll(shift, 3), images) for shift in shifts])
    by_hand = [error(torch.cat([images[..., 32 - k :], images[..., : 32 - k]], 3), images) for k in shifts]
    of_rows = torch.tensor([error(images.roll(shift, 2), images) for shift in shifts])
    with_zeros = [error(F.pad(images, (shift, -shift)), images) for shift in shifts]
    step_by_step = [error(images.roll(shift, 3), images) for shift in (0, 1, 3, 7, 15)]
    expect(
        CHECKERS["1.5"],
        [
            *forms_of_tensor(right),
            by_hand,
            [round(value, 3) for value in right.tolist()],
            [error(images.roll(-shift, 3), images) for shift in shifts],  # to the left it is the same
        ],
        [
            (right * images.var(), "divide them by the variance"),
            (right * images.std(), "not by the standard deviation"),
            (right.sqrt(), "the roots"),
            (of_rows, "down or up"),
            ([error(images.roll(shift, 1), images) for shift in shifts], "along the colours"),
            ([error(images.roll(shift), images) for shift in shifts], "without a dimension"),
            ([error(images.roll(shift, 0), images) for shift in shifts], "for the next one"),
            (with_zeros, "zeros come in"),
            (step_by_step, "moved on from the one before"),
            (100 * right, "in percent"),
            (right.flip(0), "the other order"),
            (1 - right, "the shares that are described"),
            ([error(images[1:2].roll(shift, 3), images[1:2]) for shift in shifts], "this is one face"),
            (right[1:], "expected the shape (5,), got (4,)"),
            (right.sum(), "expected the shape (5,), got ()"),
            (images, "expected the shape (5,), got (256, 3, 32, 32)"),
            (right + torch.tensor([0, 0, 0.1, 0, 0]), "1 of 5 values is wrong, at [2]"),
            ("far", "expected a tensor, got str"),
        ],
    )
