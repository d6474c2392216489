"""Exercises of 03_vqvae; what needs a trained model uses the pretrained smileys."""

from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, compare_number, compare_tensor
from lpvq.data.loading import load
from lpvq.models.pretrained import load_pretrained
from lpvq.models.vqvae import VQVAE, encoder

_ORDER = torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])


def _grid_of_a_tall_image(answer: Any) -> str | None:
    codes = VQVAE(3, num_codes=8, code_dim=2, hidden_channels=2).encode(torch.zeros(1, 3, 64, 48))
    expected = tuple(codes.shape[1:])
    try:
        answer = tuple(answer)
    except TypeError:
        return f"expected two numbers, (height, width), got {type(answer).__name__}"
    if answer == expected:
        return None
    if answer == expected[::-1]:
        return "these are the width and the height; the height comes first"
    return f"expected another height and width than {answer}: each code stands for 4 × 4 pixels"


def _pixels_seen(answer: Any) -> str | None:
    images = torch.rand(4, 1, 64, 64, requires_grad=True)
    encoder(1, code_dim=4, hidden_channels=8, downsample=8)(images)[:, :, 4, 4].abs().sum().backward()
    assert images.grad is not None
    seen = int((images.grad.abs().sum((0, 1, 3)) > 0).sum())
    if answer == 8:
        return "8 is the size of the code's own square; the windows of the layers overlap, so it sees more"
    return compare_number(answer, seen, 0)


def _renumbered(answer: Any) -> str | None:
    codes = torch.arange(8).view(1, 2, 4)
    if isinstance(answer, Tensor) and torch.equal(answer, _ORDER[codes]):
        return "these are the old numbers of the entries, order[codes]; wanted is where each entry has gone to"
    return compare_tensor(answer, _ORDER.argsort()[codes], 0)


def _without_the_quantizer(answer: Any) -> str | None:
    vqvae, _ = load_pretrained()
    images = load("smileys", "test", limit=100)
    pixels, variance = images.floats(), images.variance()
    with torch.no_grad():
        z = vqvae.encoder(pixels)
        errors = [
            float((vqvae.decoder(vectors).clamp(0, 1) - pixels).square().mean())
            for vectors in (z, vqvae.quantizer.lookup(vqvae.quantizer.assign(z)))
        ]
    without, with_codes = (error / variance for error in errors)
    complaint = compare_number(answer, without, 1e-4)
    if complaint and not compare_number(answer, with_codes, 1e-4):
        return "this is the error with the quantizer: give the decoder what the encoder returns"
    if complaint and not compare_number(answer, errors[0], 1e-4):
        return "this is the mean squared error: divide it by the variance of the images"
    return complaint


def _importance(answer: Any) -> str | None:
    vqvae, _ = load_pretrained()
    codes = vqvae.encode(load("smileys", "test", limit=1).floats())
    height, width = codes.shape[1:]
    original, expected = vqvae.decode(codes), torch.zeros(height, width)
    for row in range(height):
        for column in range(width):
            changed = codes.clone()
            changed[0, row, column] = codes[0, 0, 0]
            expected[row, column] = (vqvae.decode(changed) - original).square().mean()
    complaint = compare_tensor(answer, expected, 1e-6)
    if complaint and isinstance(answer, Tensor) and not compare_tensor(answer, expected.T, 1e-6):
        return "rows and columns are swapped"
    return complaint


CHECKERS: dict[str, Checker] = {
    "3.1": _grid_of_a_tall_image,
    "3.2": _pixels_seen,
    "3.3": _renumbered,
    "3.4": _without_the_quantizer,
    "3.5": _importance,
}
