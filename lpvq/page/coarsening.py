"""A prior in whole numbers with weights that take fewer bits, and nearly the same probabilities."""

from typing import cast

import torch
from torch import Tensor

from lpvq.models.exact_sums import FINE, ExactLinear, scaled
from lpvq.models.whole_number import Layer
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.page.rounding import noting_moments, round_rows

# How many steps the root mean square of a row is. Measured one kind at a time on the shipped prior: what gives the
# logits must be finest, then what adds to the horizontal features; the large matrices matter least.
_FINENESS = {
    "vertical_input": 5,
    "horizontal_input": 12,
    "vertical": 4.8,
    "link": 4,
    "horizontal": 4.5,
    "output": 14,
    "query": 20,
    "key_value": 14,
    "inner": 40,
    "outer": 64,
}
_SHIFT_STEP = 4  # of what labels and places add before a gate, in its unit
_VECTOR_STEP = 2  # of the codes' vectors


@torch.no_grad()
def coarsen(model: WholeNumberPixelCNN, codes: Tensor, labels: Tensor | None) -> None:
    """Round the weights of a prior in place; it stays exact.

    Args:
        model: in float32, on the CPU.
        codes: grids like those that it is for, int64 (B, H, W).
        labels: their labels, int64 (B,), for a prior with classes.
    """
    matrices = {name: layer for name, layer in model.named_modules() if isinstance(layer, ExactLinear)}
    with noting_moments(matrices, lambda _, given: given.flatten(0, -2)) as moments:
        for some in torch.arange(len(codes)).split(64):
            model(codes[some], None if labels is None else labels[some])
    for name, layer in matrices.items():
        _coarsen(layer, _FINENESS[name.split(".")[-1]], moments.get(name))
    model.vectors.copy_((model.vectors / _VECTOR_STEP).round() * _VECTOR_STEP)
    for block in cast(list[Layer], list(model.layers)):
        for table in (block.label_shifts, block.row_shifts, block.column_shifts):
            if table is not None:
                table.copy_((table / _SHIFT_STEP).round() * _SHIFT_STEP)
    model.check_sums()


def _coarsen(layer: ExactLinear, fineness: float, moments: Tensor | None) -> None:
    """Round the weights of a matrix to larger steps, powers of two; each by itself where no moments are known."""
    weight = scaled(layer.weight.double(), layer.exponent[:, None])
    wanted = (weight.square().mean(1).sqrt() / fineness).log2().round()
    exponent = torch.maximum(wanted, layer.exponent.double()).clamp(-100, 100)
    step = scaled(torch.ones_like(exponent), exponent.to(torch.int8))
    rounded = (weight / step[:, None]).round() if moments is None else round_rows(weight, step, moments, FINE)
    bias = layer.bias
    if bias is not None:
        own = step.clamp(max=0.5).float()
        bias = (bias / own).round() * own
    layer.keep(rounded, exponent, bias)
