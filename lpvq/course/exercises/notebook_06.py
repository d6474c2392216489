"""Exercises of 06_gated_pixelcnn, on small models of its own, and on the pretrained smileys."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from math import exp, log, log10
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.course.exercises.comparing import (
    Checker,
    as_number,
    as_numbers,
    as_tensor,
    call,
    checker,
    compare_number,
    compare_tensor,
    compare_truths,
    own_random_numbers,
)
from lpvq.data.loading import load
from lpvq.models.gated import GatedBlock
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.pretrained import load_pretrained

_NATS, _POSITIONS = 50.6, 7 * 7
_LEAKS = {  # found by gradient, in tests/course/test_exercises_06.py
    "late link": False,
    "vertical residual": False,
    "type B first": True,
    "wide head": True,
    "map of labels": False,
    "batch norm": True,
}
_TEMPERATURES = 0.5, 0.8, 1.0, 1.3, 2.0


@checker
def _leaks(answer: Any) -> str | None:
    return compare_truths(answer, _LEAKS, "by which path could a code reach its own position, or one before it?")


@checker
def _units(answer: Any) -> str | None:
    bits, effective = as_numbers(answer, "bits per code", "perplexity")
    nats = _NATS / _POSITIONS
    right, perplexity = nats / log(2), exp(nats)
    slips = {
        "this is in nats per code, not in bits: divide by log 2": nats,
        "the nats are multiplied by log 2 here; a bit is smaller than a nat, so there are more of them": nats * log(2),
        "these are bits per grid, not per code": _NATS / log(2),
        "these are nats per grid": _NATS,
        "take the natural logarithm of 2 for the unit, not that to the base 10": nats / log10(2),
        "this is the perplexity; it comes second": perplexity,
        "a grid has as many codes as positions, 7 × 7": _NATS / 7 / log(2),
        "these are 2 to the power of the nats; how many bits are they?": 2**nats,
    }
    complaint = compare_number(bits, right, 0.01, slips)
    if complaint:
        return f"bits per code: {complaint}"
    slips = {
        "it is e to the power of the nats, or 2 to the power of the bits; these are mixed here": exp(right),
        "it is e to the power of the nats, or 2 to the power of the bits; these are mixed": 2**nats,
        "the sign is wrong: that would be fewer than one code": exp(-nats),
        "that is for the whole grid; take the nats per code": exp(_NATS),
        "those are the bits again; raise 2 to their power": right,
        "those are the nats; raise e to their power": nats,
        "that is the square of the nats": nats**2,
        "that is the square of the bits; raise 2 to their power": right**2,
    }
    complaint = compare_number(effective, perplexity, 0.02, slips)
    return f"perplexity: {complaint}" if complaint else None


@checker
def _parameters(answer: Any) -> str | None:
    for channels, num_classes in ((22, 5), (64, 3), (7, 11)):
        given = as_number(call(answer, channels, num_classes))
        right, slips = _numbers_of_parameters(channels, num_classes)
        complaint = compare_number(given, right, 0.5, slips)
        if complaint:
            return f"with {channels} channels and {num_classes} classes: {complaint}"
    return None


def _numbers_of_parameters(channels: int, num_classes: int) -> tuple[int, dict[str, float]]:
    """The right number, and what comes of forgetting a part or taking it to be larger."""
    block = GatedBlock(channels, 3, num_classes)
    sizes = {name: parameter.numel() for name, parameter in block.named_parameters()}
    right, table = sum(sizes.values()), sizes["label_shift.weight"]
    vertical, horizontal = sizes["vertical.conv.weight"], sizes["horizontal.conv.weight"]
    link, output = sizes["link.weight"], sizes["output.weight"]
    biases = sum(size for name, size in sizes.items() if name.endswith("bias"))
    off = {
        "the table of the labels is missing": -table,
        "the table of the labels holds shifts for both gates, the vertical one and the horizontal one": -table / 2,
        "the table of the labels shifts both halves of both gates": -3 * table / 4,
        "the table of the labels is no convolution: it holds some numbers for each label": 4 * channels,
        "the biases are missing": -biases,
        "the biases and the table of the labels are missing": -biases - table,
        "the bias of the link is missing": -sizes["link.bias"],
        "a bias has as many numbers as there are channels that come out": -biases / 2,
        "the horizontal convolution has no bias of its own": 2 * channels,
        "the 1×1 output has no bias": channels,
        "the horizontal convolution and the 1×1 output have no bias": 3 * channels,
        "the vertical convolution sees two rows, not three": vertical / 2,
        "the horizontal convolution sees two columns, not three": horizontal / 2,
        "the kernels are smaller than 3 × 3 and 1 × 3: they see nothing that comes later": vertical / 2
        + horizontal / 2,
        "the horizontal convolution sees one row; its kernel is 1 × 2": 3.5 * horizontal,
        "the vertical convolution has two halves, one for each side of the gate": -vertical / 2
        - sizes["vertical.conv.bias"] / 2,
        "the horizontal convolution has two halves, one for each side of the gate": -horizontal / 2,
        "the link takes both halves of the vertical features": -link / 2,
        "the link takes and gives both halves": -3 * link / 4 - sizes["link.bias"] / 2,
        "the link is missing": -link - sizes["link.bias"],
        "the 1×1 output is missing": -output,
        "the 1×1 output comes after the gate, where one half is left": output,
        "the vertical convolution has an output of its own only in the horizontal stack": output + channels,
    }
    return right, {why: right + difference for why, difference in off.items()}


@checker
def _label_probabilities(answer: Any) -> str | None:
    for model, codes in _models():
        nats = _nats(model, codes)
        given = as_tensor(call(answer, deepcopy(model), codes.clone()))
        complaint = compare_tensor(given, (-nats).softmax(1), 1e-3, _slips_of_probabilities(nats, codes))
        if complaint is None:
            continue
        if given.double().isnan().any() or bool((given == 0).all()):
            complaint += ": with so many nats, exp(−nats) is 0, and so is the sum of all"
        if given.shape == nats.T.shape and given.shape != nats.shape:
            complaint += ": one row for each grid, one column for each label"
        return f"for codes of shape {tuple(codes.shape)} and a model with {model.num_classes} classes: {complaint}"
    return None


def _slips_of_probabilities(nats: Tensor, codes: Tensor) -> dict[str, Tensor]:
    right = (-nats).softmax(1)
    return {
        "these are nats, not probabilities": nats,
        "these are log-likelihoods, not probabilities": -nats,
        "these are logarithms of the probabilities": (-nats).log_softmax(1),
        "the sign is wrong: a label under which the grid costs fewer nats is more probable": nats.softmax(1),
        "the softmax goes over the grids; it belongs over the labels": (-nats).softmax(0),
        "use nats per grid: nats per code make all labels nearly equal": (-nats / codes[0].numel()).softmax(1),
        "softmax takes nats, not bits": (-nats / log(2)).softmax(1),
        "a sigmoid knows nothing of the other labels; divide exponentials by their sum": (-nats).sigmoid(),
        "divide the exponentials of the nats by their sum, not the nats": nats / nats.sum(1, keepdim=True),
        "these are the best labels; the question asks for the probabilities of all": right.argmax(1),
        "these are the probabilities of the best labels; the question asks for those of all": right.amax(1),
        "this is 1 for the best label; the question asks for the probabilities": (
            right == right.amax(1, keepdim=True)
        ).float(),
        "these are not divided by their sum": (nats.amin(1, keepdim=True) - nats).exp(),
        "the labels run backwards": right.flip(1),
        "the softmax is taken twice": right.softmax(1),
    }


@torch.no_grad()
def _nats(model: PixelCNN, codes: Tensor) -> Tensor:
    """The nats of each grid under each label, (B, classes)."""
    assert model.num_classes is not None
    return torch.stack([model.nll(codes, torch.full((len(codes),), y)) for y in range(model.num_classes)], dim=1)


@cache
def _models() -> list[tuple[PixelCNN, Tensor]]:
    """Small models, far from uniform, of 3 and of 5 classes, and grids of codes for them; always the same.

    The grids of the second are so large that the exponential of their nats is 0 even in double precision.
    """
    small = _model_and_codes(num_codes=6, image_size=(4, 5), num_classes=3, number=7)
    large = _model_and_codes(num_codes=32, image_size=(18, 16), num_classes=5, number=4)
    return [small, (small[0], small[1][:1]), large]


def _model_and_codes(
    num_codes: int, image_size: tuple[int, int], num_classes: int, number: int
) -> tuple[PixelCNN, Tensor]:
    with own_random_numbers(seed=0):
        model = PixelCNN(num_codes, image_size, num_blocks=2, hidden_channels=8, num_classes=num_classes).eval()
        codes = torch.randint(num_codes, (number, *image_size))
    with torch.no_grad():
        list(model.head.parameters())[-2].mul_(8)  # the weight of the last convolution
    return model, codes


@cache
@torch.no_grad()
def _costs_by_temperature() -> tuple[Tensor, dict[str, Tensor]]:
    """Nats per grid of forty test faces, for each temperature, and what becomes of them by slips."""
    vqvae, prior = load_pretrained()
    faces = load("smileys", "test", limit=40)
    codes, labels = vqvae.encode(faces.floats()), faces.labels
    assert isinstance(prior, PixelCNN)
    logits = prior(codes, labels)

    def cost(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits, codes, reduction="none").sum((1, 2)).mean()

    def costs(of: Callable[[float], Tensor]) -> Tensor:
        return torch.stack([cost(of(temperature)) for temperature in _TEMPERATURES])

    right = costs(lambda temperature: logits / temperature)
    positions = codes[0].numel()
    return right, {
        "the logits are multiplied by T; divide by it": costs(lambda temperature: logits * temperature),
        "T changes nothing here: divide the logits by it, before the softmax": costs(lambda temperature: logits),
        "divide the logits, before the softmax; here the logarithms are divided after it": torch.stack(
            [cost(logits) / temperature for temperature in _TEMPERATURES]
        ),
        "these are nats per code; the question is for the whole grid": right / positions,
        "these are bits; a nat is −log p by the natural logarithm": right / log(2),
        "these are bits per code; the question is for nats, and the whole grid": right / positions / log(2),
        "this is the sum over the grids; take their mean": right * len(codes),
        "the sign is wrong: a cost is −log p": -right,
        "this is the other order; begin with T = 0.5": right.flip(0),
        "these are with wrong labels: each grid has its own": _with_labels(prior, codes, (labels + 1) % 3),
        "each grid has its own label; here all are happy": _with_labels(prior, codes, torch.zeros_like(labels)),
        "this is the entropy that the prior expects, not what the codes cost": torch.stack(
            [
                torch.special.entr((logits / temperature).softmax(1)).sum((1, 2, 3)).mean()
                for temperature in _TEMPERATURES
            ]
        ),
        "these are perplexities; the question asks for nats per grid": (right / positions).exp(),
    }


def _with_labels(prior: PixelCNN, codes: Tensor, labels: Tensor) -> Tensor:
    logits = prior(codes, labels)
    costs = [F.cross_entropy(logits / temperature, codes) * codes[0].numel() for temperature in _TEMPERATURES]
    return torch.stack(costs)


@checker
def _temperatures(answer: Any) -> str | None:
    right, slips = _costs_by_temperature()
    return compare_tensor(answer, right, 0.02, slips)


CHECKERS: dict[str, Checker] = {
    "6.1": _leaks,
    "6.2": _units,
    "6.3": _parameters,
    "6.4": _label_probabilities,
    "6.5": _temperatures,
}
