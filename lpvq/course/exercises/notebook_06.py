"""Exercises of 06_gated_pixelcnn, on a small model of its own."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, compare_number, compare_tensor
from lpvq.models.gated import GatedBlock, gate
from lpvq.models.pixelcnn import PixelCNN


def _opening(answer: Any) -> str | None:
    """The b that lets 90 % of tanh(a) pass: asked of the gate itself."""
    complaint = compare_number(answer, math.log(9), 0.01)
    if complaint is None or complaint.startswith("expected"):
        return complaint
    passes = gate(torch.tensor([[1.0, float(answer)]])).item() / math.tanh(1)
    return f"with b = {float(answer):g} the gate lets {passes:.0%} pass"


def _units(answer: Any) -> str | None:
    if not isinstance(answer, Sequence | Tensor) or isinstance(answer, str) or len(answer) != 2:
        return "expected two numbers: (bits per code, perplexity)"
    nats = 50.6 / 49
    bits, effective = float(answer[0]), float(answer[1])
    if abs(bits - nats) < 0.01:
        return "the first number is in nats per code, not in bits: divide by log 2"
    if abs(bits - nats * math.log(2)) < 0.01:
        return "the first number was multiplied by log 2; a bit is smaller than a nat, so there are more of them"
    if abs(bits - 50.6 / math.log(2)) < 0.5:
        return "the first number is bits per grid, not per code"
    complaint = compare_number(bits, nats / math.log(2), 0.01)
    if complaint:
        return f"bits per code: {complaint}"
    if abs(effective - math.exp(bits)) < 0.05:
        return "the perplexity is e to the power of the nats, or 2 to the power of the bits; these are mixed here"
    complaint = compare_number(effective, math.exp(nats), 0.02)
    return f"perplexity: {complaint}" if complaint else None


def _parameters(answer: Any) -> str | None:
    if not callable(answer):
        return f"expected a function of channels and num_classes, got {type(answer).__name__}"
    for channels, num_classes in ((24, 5), (64, 3)):
        block = GatedBlock(channels, 3, num_classes)
        sizes = {name: parameter.numel() for name, parameter in block.named_parameters()}
        expected = sum(sizes.values())
        given = answer(channels, num_classes)
        complaint = compare_number(given, expected, 0.5)
        if complaint is None:
            continue
        named: dict[float, str] = {
            -sizes["label_shift.weight"]: "the table of the labels is missing",
            -sum(size for name, size in sizes.items() if name.endswith("bias")): "the biases are missing",
            2 * channels: "the horizontal convolution has no bias of its own",
            channels: "the 1×1 output has no bias",
            3 * channels: "the horizontal convolution and the 1×1 output have no bias",
        }
        difference = 0.0 if complaint.startswith("expected") else float(given) - expected
        hint = f" ({named[difference]})" if difference in named else ""
        return f"with {channels} channels and {num_classes} classes: {complaint}{hint}"
    return None


def _label_probabilities(answer: Any) -> str | None:
    if not callable(answer):
        return f"expected a function of a model and codes, got {type(answer).__name__}"
    model, codes = _opinionated_model()
    with torch.no_grad():
        given = answer(model, codes)
        nats = torch.stack([model.nll(codes, torch.full((len(codes),), label)) for label in range(3)], dim=1)
    expected = (-nats).softmax(1)
    complaint = compare_tensor(given, expected, 1e-3)
    if complaint is None or not isinstance(given, Tensor):
        return complaint
    if given.shape == expected.T.shape:
        return f"{complaint}: one row for each grid, one column for each label"
    wrong = {
        "these are nats, not probabilities": nats,
        "these are log-likelihoods, not probabilities": -nats,
        "the sign is wrong: a label under which the grid costs fewer nats is more probable": nats.softmax(1),
        "the softmax goes over the grids; it belongs over the labels": (-nats).softmax(0),
        "use nats per grid: nats per code make all labels nearly equal": (-nats / codes[0].numel()).softmax(1),
    }
    named = [name for name, other in wrong.items() if compare_tensor(given, other, 1e-3) is None]
    return named[0] if named else complaint


def _opinionated_model() -> tuple[PixelCNN, Tensor]:
    """A small model, far from uniform, with 3 classes, and grids of 4 × 5 codes for it; always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PixelCNN(latent_dim=6, image_size=(4, 5), num_blocks=2, hidden_channels=8, num_classes=3).eval()
        codes = torch.randint(6, (7, 4, 5))
    with torch.no_grad():
        list(model.head.parameters())[-2].mul_(8)  # the weight of the last convolution
    return model, codes


CHECKERS: dict[str, Checker] = {
    "6.1": _opening,
    "6.2": _units,
    "6.3": _parameters,
    "6.4": _label_probabilities,
}
