"""Weights rounded to few whole numbers so that the sums that they are for change little.

If each weight is rounded by itself, the error of a sum is as large as chance has it. Rounded one after another, each
can make up for those before it: what rounding one input's weight has changed is taken back, as far as possible, by the
weights of inputs that go up and down with it. The second moments of the inputs tell which do. This is GPTQ (Frantar,
Ashkboos, Hoefler, Alistarh 2023, arXiv:2210.17323); inputs are taken from the largest to the smallest.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_DAMPING = 0.01  # of the mean square of an input, added to each: inputs that hardly ever occur say little
_BLOCK = 64  # columns after which the others are told


def round_rows(weight: Tensor, step: Tensor, moments: Tensor, largest: int) -> Tensor:
    """Return whole numbers that, times the step of their row, stand for weights.

    Args:
        weight: float64 (out, in).
        step: (out,).
        moments: the mean of the products of each two inputs, float64 (in, in).
        largest: of the whole numbers.

    Returns:
        float64 (out, in).
    """
    order = moments.diagonal().argsort(descending=True)
    rest, inputs = weight[:, order].clone(), len(moments)
    damped = moments[order][:, order] + _DAMPING * moments.diagonal().mean() * torch.eye(inputs, dtype=moments.dtype)
    # The rows of this factor say how an error at one input is made up for by those after it.
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    factor = torch.linalg.cholesky(inverse, upper=True)
    rounded = torch.empty_like(rest)
    for first in range(0, inputs, _BLOCK):
        end = min(first + _BLOCK, inputs)
        errors = rest.new_empty(len(rest), end - first)
        for column in range(first, end):
            rounded[:, column] = (rest[:, column] / step).round().clamp(-largest, largest)
            error = (rest[:, column] - rounded[:, column] * step) / factor[column, column]
            rest[:, column:end] -= error[:, None] * factor[column, column:end]
            errors[:, column - first] = error
        rest[:, end:] -= errors @ factor[first:end, end:]
    return rounded[:, order.argsort()]


@contextmanager
def noting_moments(
    layers: Mapping[str, nn.Module], inputs_of: Callable[[nn.Module, Tensor], Tensor]
) -> Iterator[dict[str, Tensor]]:
    """Note the second moments of what layers are given while their models run.

    Args:
        layers: by name.
        inputs_of: from a layer and its input to the rows that its matrix is multiplied with, (N, in).

    Yields:
        sums over all rows, float64 (in, in), by name.
    """
    moments: dict[str, Tensor] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor]], None]:
        def hook(layer: nn.Module, given: tuple[Tensor]) -> None:
            rows = inputs_of(layer, given[0]).double()
            moments[name] = moments.get(name, 0) + rows.T @ rows

        return hook

    hooks = [layer.register_forward_pre_hook(note(name)) for name, layer in layers.items()]
    try:
        yield moments
    finally:
        for hook in hooks:
            hook.remove()
