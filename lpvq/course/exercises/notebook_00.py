"""Exercises of 00_welcome, on the pretrained smileys."""

from functools import cache
from math import log2
from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, call, checker, compare_number, compare_order, compare_tensor
from lpvq.data.loading import load
from lpvq.models.pretrained import load_pretrained

_HEIGHT, _WIDTH, _COLOURS, _BITS_OF_COLOUR = 32, 32, 3, 8
_POSITIONS, _NUM_CODES = 8 * 8, 512
_PLACE = 4, 4  # of the code that is changed
_SAD = 1
_TEMPERATURES = 0.5, 0.5, 3.0  # with which a function is tried
_POSSIBLE = 256  # codes of the shipped model


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
        "this is how many bits are saved; the question asks for a factor": image - codes,
        "this is the share that is saved; the question asks for a factor": 1 - codes / image,
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
        "the three colours are still there: for each pixel, take the largest": change.abs(),
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
    """The logits of the first code of a sad face, (256,)."""
    _, prior = load_pretrained()
    nothing_yet = torch.zeros(1, *prior.image_size, dtype=torch.int64)
    with torch.no_grad():
        return prior(nothing_yet, labels=torch.tensor([_SAD]))[0, :, 0, 0]


def _slips_of_temperature(logits: Tensor, temperature: float) -> dict[str, Tensor]:
    probabilities, right = logits.softmax(0), (logits / temperature).softmax(0)
    return {
        "the logits were multiplied by the temperature; divide by it": (logits * temperature).softmax(0),
        "this is temperature 1, whatever temperature it is given": probabilities,
        "is the temperature in the brackets used, or always the first one?": (logits / _TEMPERATURES[0]).softmax(0),
        "divide before the softmax; afterwards, the sum is no longer 1": probabilities / temperature,
        "these do not sum to 1": probabilities ** (1 / temperature),
        "the softmax is missing: these are logits": logits / temperature,
        "these are logits at temperature 1": logits,
        "these are logarithms of the probabilities": right.log(),
        "these are not divided by their sum: softmax does both": (logits / temperature).exp(),
        "the softmax is taken twice": (probabilities / temperature).softmax(0),
        "only the most probable code is left; that is temperature 0": (logits == logits.max()).float(),
    }


@checker
def _with_temperature(answer: Any) -> str | None:
    few = torch.tensor([2.0, -1.0, 0.5, 1.0])
    for logits, temperature in zip((_first_logits(), few, few), _TEMPERATURES, strict=True):
        given = call(answer, logits.clone(), temperature)
        right = (logits / temperature).softmax(0)
        complaint = compare_tensor(given, right, slips=_slips_of_temperature(logits, temperature))
        if complaint:
            return f"with {len(logits)} logits and the temperature {temperature:g}: {complaint}"
    return None


@cache
def _least_surprising_first() -> list[str]:
    vqvae, prior = load_pretrained()
    faces = load("smileys", "test", limit=16)
    images, labels = faces.floats(), faces.labels
    codes = vqvae.encode(images)
    asked = {
        "face": (codes, labels),
        "mirrored": (vqvae.encode(images.flip(3)), labels),
        "upside down": (vqvae.encode(images.flip(2)), labels),
        "wrong label": (codes, (labels + 1) % 3),
        "random": (torch.randint(_POSSIBLE, codes.shape, generator=torch.Generator().manual_seed(0)), labels),
    }
    with torch.no_grad():
        nats = {name: prior.nll(*grids).mean().item() for name, grids in asked.items()}
    return sorted(nats, key=lambda name: nats[name])


@checker
def _surprise(answer: Any) -> str | None:
    return compare_order(answer, _least_surprising_first(), "measure each with prior.nll")


CHECKERS: dict[str, Checker] = {
    "0.1": _compression,
    "0.2": _one_code_changed,
    "0.3": _with_temperature,
    "0.4": _surprise,
}
