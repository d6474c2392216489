"""Exercises of 00_welcome, on the pretrained smileys."""

import math
from typing import Any

import torch

from lpvq.course.exercises.comparing import Checker, compare_number, compare_tensor
from lpvq.data.loading import load
from lpvq.models.pretrained import load_pretrained


def _compression(answer: Any) -> str | None:
    vqvae, prior = load_pretrained()
    height, width = prior.image_size
    pixels = height * width * vqvae.downsample**2
    return compare_number(answer, pixels * vqvae.in_channels * 8 / (height * width * math.log2(prior.latent_dim)), 0.5)


def _one_code_changed(answer: Any) -> str | None:
    vqvae, _ = load_pretrained()
    codes = vqvae.encode(load("smileys", "test", limit=1).floats())
    changed = codes.clone()
    changed[0, 4, 4] = 0
    return compare_tensor(answer, (vqvae.decode(changed) - vqvae.decode(codes)).abs().amax((0, 1)))


def _sharper(answer: Any) -> str | None:
    _, prior = load_pretrained()
    nothing_yet = torch.zeros(1, *prior.image_size, dtype=torch.int64)
    with torch.no_grad():
        logits = prior(nothing_yet, labels=torch.tensor([1]))[0, :, 0, 0]
    return compare_tensor(answer, (logits / 0.5).softmax(0))


CHECKERS: dict[str, Checker] = {"0.1": _compression, "0.2": _one_code_changed, "0.3": _sharper}
