"""Exercises of 02_vector_quantization: small numbers, so that all can be done by hand too."""

from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, compare_number, compare_tensor
from lpvq.models.quantizer import VectorQuantizer, nearest_codes

_THRESHOLD = 1.0


def _gradient(answer: Any) -> str | None:
    z, entry, target = torch.tensor([0.5, 2.5]), torch.tensor([1.0, 2.0]), torch.tensor([0.0, 2.0])
    quantizer = VectorQuantizer(1, 2, commitment_weight=0.25).eval()
    quantizer.code_sums.copy_(entry)
    z.requires_grad_()
    quantized = quantizer(z.view(1, 2, 1, 1))
    # The quantizer's loss is a mean over two numbers; the exercise asks for the sum.
    loss = (quantized.vectors.flatten() - target).square().sum() + 2 * quantized.loss
    (right,) = torch.autograd.grad(loss, z)
    commitment = 0.5 * (z.detach() - entry)
    if isinstance(answer, Tensor):
        if compare_tensor(answer, commitment) is None:
            return "this is the commitment term alone; straight-through brings the gradient at q too"
        if compare_tensor(answer, right - commitment) is None:
            return "this is what comes straight through; the commitment term pulls at z as well"
        if compare_tensor(answer, 2 * (z.detach() - target) + commitment) is None:
            return "the gradient of the first term was taken where z is; it is copied from where the entry is"
    return compare_tensor(answer, right)


def _average(answer: Any) -> str | None:
    quantizer = VectorQuantizer(1, 2, decay=0.9, restart_threshold=0)
    quantizer.code_counts.fill_(4.0)
    quantizer.code_sums.copy_(torch.tensor([[8.0, 0.0]]))
    quantizer.started.fill_(True)
    quantizer(torch.tensor([[4.0, 1.0], [2.0, 1.0]]).T.reshape(1, 2, 1, 2))
    if isinstance(answer, Tensor) and compare_tensor(answer, torch.tensor([2.1, 0.1]), 1e-3) is None:
        return "this averages the entry itself; average the count and the sum, each by itself, and divide at the end"
    return compare_tensor(answer, quantizer.codebook[0], 1e-3)


def _border(answer: Any) -> str | None:
    rates = -0.5 * 0.05 * torch.tensor([0.9, 0.1]).double().log()
    places = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    codes = nearest_codes(places[:, None], torch.tensor([[0.0], [1.0]]).double(), rates)
    border = places[codes == 0].max().item()
    if compare_number(answer, 1 - border, 1e-3) is None:
        return "the border moved the wrong way: the code that is common is the cheaper one"
    return compare_number(answer, border, 1e-3)


def _restart_far(answer: Any) -> str | None:
    if not callable(answer):
        return f"expected a function, got {type(answer).__name__}"
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(40, 2, generator=generator)
    for counts in (torch.tensor([2.0, 0.5, 8.0, 0.2, 1.5]), torch.arange(2.0, 7.0)):
        sums = counts[:, None] * torch.randn(5, 2, generator=generator)
        given = counts.clone(), sums.clone(), batch.clone()
        result = answer(*given, _THRESHOLD)
        if result is ...:
            return "the function still returns ..."
        if not isinstance(result, tuple | list) or len(result) != 2:
            return "the function should return two tensors, counts and sums"
        for name, mine, right in zip(("counts", "sums"), result, _worst_described(counts, sums, batch), strict=True):
            complaint = compare_tensor(mine, right)
            if complaint:
                return f"{name}: {complaint}"
    return None


def _worst_described(counts: Tensor, sums: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
    codebook = sums / counts[:, None]
    distances = (batch - codebook[nearest_codes(batch, codebook)]).square().sum(1)
    rare = counts < _THRESHOLD
    worst = distances.argsort(descending=True)[: int(rare.sum())]
    counts, sums = counts.clone(), sums.clone()
    counts[rare], sums[rare] = 1.0, batch[worst]
    return counts, sums


CHECKERS: dict[str, Checker] = {"2.1": _gradient, "2.2": _average, "2.3": _border, "2.4": _restart_far}
