"""Exercises of 00_welcome, on the pretrained smileys."""

from functools import cache
from math import log2
from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, checker, compare_number, compare_tensor
from lpvq.data.loading import load
from lpvq.models.pretrained import load_pretrained

_HEIGHT, _WIDTH, _COLOURS, _BITS_OF_COLOUR = 32, 32, 3, 8
_POSITIONS, _NUM_CODES = 8 * 8, 512
_PLACE = 4, 4  # of the code that is changed


@checker
def _compression(answer: Any) -> str | None:
    numbers = _HEIGHT * _WIDTH * _COLOURS
    image, codes = numbers * _BITS_OF_COLOUR, _POSITIONS * log2(_NUM_CODES)
    slips = {
        "this compares how many numbers there are; compare their bits": numbers / _POSITIONS,
        "this is the other way round: the image has more bits than its codes": codes / image,
        "an image has three colours": image / _COLOURS / codes,
        "each colour of each pixel takes 8 bits": numbers / codes,
        "a number out of so many does not take as many bits: how many can be told apart with one bit, with two?": image
        / (_POSITIONS * _NUM_CODES),
        "this has the bits of a single code; a grid has many": image / log2(_NUM_CODES),
        "these are the bits of the image; divide them by those of its codes": image,
        "these are the bits of the codes; how many times do they go into those of the image?": codes,
        "this is how many bits are saved; wanted is a factor": image - codes,
        "this is the share that is saved; wanted is a factor": 1 - codes / image,
        "each code is written in float32 here": image / (_POSITIONS * 32),
    }
    return compare_number(answer, image / codes, 0.01, slips)


@cache
def _before_and_after() -> tuple[Tensor, Tensor, Tensor]:
    """The first test image, (3, 32, 32), its codes decoded, and these with a code changed."""
    vqvae, _ = load_pretrained()
    images = load("smileys", "test", limit=1).floats()
    codes = vqvae.encode(images)
    changed = codes.clone()
    changed[0, *_PLACE] = 0
    return images[0], vqvae.decode(codes)[0], vqvae.decode(changed)[0]


@checker
def _one_code_changed(answer: Any) -> str | None:
    image, before, after = _before_and_after()
    change = after - before
    slips = {
        "nothing has changed: are the codes changed in place, or decoded before the change?": torch.zeros(
            change.shape[1:]
        ),
        "the three colours are still there: of each pixel, take the largest": change.abs(),
        "this is the mean over the colours; take the largest": change.abs().mean(0),
        "this is the sum over the colours; take the largest": change.abs().sum(0),
        "this is the smallest of the colours; take the largest": change.abs().amin(0),
        "this is without the absolute value: what becomes darker counts too": change.amax(0),
        "this is without the absolute value, and the other way round": (-change).amax(0),
        "these are squares; take the absolute difference": change.square().amax(0),
        "compare with the decoded codes, not with the image itself": (after - image).abs().amax(0),
        "this compares the image with its reconstruction; no code is changed": (before - image).abs().amax(0),
        "this is the decoded image; how far is it from the other one?": after.amax(0),
    }
    return compare_tensor(answer, change.abs().amax(0), slips=slips)


@cache
def _first_logits() -> Tensor:
    """Of the first code, for each label, (3, 256)."""
    _, prior = load_pretrained()
    nothing_yet = torch.zeros(3, *prior.image_size, dtype=torch.int64)
    with torch.no_grad():
        return prior(nothing_yet, labels=torch.arange(3))[:, :, 0, 0]


@checker
def _sharper(answer: Any) -> str | None:
    happy, logits, surprised = _first_logits()
    probabilities = logits.softmax(0)
    slips = {
        "the logits were multiplied by the temperature; divide by it": (logits * 0.5).softmax(0),
        "this is temperature 1: divide the logits": probabilities,
        "divide before the softmax; afterwards, the sum is no longer 1": probabilities / 0.5,
        "these do not sum to 1": probabilities.square(),
        "the softmax is missing: these are logits": logits / 0.5,
        "these are logits at temperature 1": logits,
        "these are logarithms of the probabilities": (logits / 0.5).log_softmax(0),
        "these are not divided by their sum: softmax does both": (logits / 0.5).exp(),
        "this is the label 0, a happy face": (happy / 0.5).softmax(0),
        "this is the label 2, a surprised face": (surprised / 0.5).softmax(0),
        "the softmax is taken twice": (probabilities / 0.5).softmax(0),
    }
    return compare_tensor(answer, (logits / 0.5).softmax(0), slips=slips)


CHECKERS: dict[str, Checker] = {"0.1": _compression, "0.2": _one_code_changed, "0.3": _sharper}
