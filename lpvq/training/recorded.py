"""The work of a training step, recorded once on a GPU and replayed in each step.

A small network keeps a GPU busy for a moment only: launching its many kernels one by one takes longer than running
them. Where each step does the same work, whatever the values, the launches can be recorded. All that is worked on then
has to stay where it is in memory.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from lpvq.models.cuda_graphs import CUDAGraphRunner

Run = Callable[[Callable[[int], None], int], None]
"""What does some work, see ``CUDAGraphRunner``."""


def recorder(device: torch.device) -> Run | None:
    """Return what records on ``device``; None on any but a GPU of NVIDIA's, where there is nothing to be gained."""
    return CUDAGraphRunner(device) if device.type == "cuda" else None


class RecordedGradients:
    """Computes a loss and its gradients.

    Args:
        loss: from the items of a batch to a scalar. Its work must not depend on their values.
        parameters: whose gradients are wanted.
        autocast: returns what the loss is computed in.
        run: does the work.
    """

    def __init__(
        self,
        loss: Callable[..., Tensor],
        parameters: Sequence[nn.Parameter],
        autocast: Callable[[], AbstractContextManager],
        run: Run,
    ) -> None:
        self._loss_of, self._autocast, self._run = loss, autocast, run
        self._parameters = list(parameters)
        self._gradients: list[Tensor | None] = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._loss = self._parameters[0].detach().new_zeros(())
        self._items: list[Tensor | None] | None = None

    def __call__(self, *items: Tensor | None) -> Tensor:
        """Give each parameter its gradient, None where the loss does not depend on it, and return the loss.

        Args:
            items: what the loss is given: of the same shapes, and None in the same places, each time.
        """
        if self._items is None:
            self._items = [None if item is None else item.clone() for item in items]
        for mine, item in zip(self._items, items, strict=True):
            if mine is not None and item is not None:
                mine.copy_(item)
        self._run(self._compute, 0)
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        return self._loss

    def _compute(self, _: int) -> None:
        assert self._items is not None
        with self._autocast():
            loss = self._loss_of(*self._items)
        found = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        self._loss.copy_(loss.detach())
        for index, gradient in enumerate(found):
            kept = self._gradients[index]
            if gradient is None or kept is None:
                self._gradients[index] = None
            else:
                kept.copy_(gradient)


class RecordedMuon:
    """Steps of Muon, which makes hundreds of small products for each matrix.

    Args:
        muon: with its highest rate.
        matrices: what it moves.
        run: does the work.
    """

    def __init__(self, muon: torch.optim.Muon, matrices: Sequence[nn.Parameter], run: Run) -> None:
        self._muon, self._matrices, self._run = muon, list(matrices), run
        self._gradients = [torch.zeros_like(matrix) for matrix in self._matrices]
        self._share = self._matrices[0].detach().new_zeros(())

    def step(self, share: float) -> None:
        """Move the matrices by their gradients; those that have none at the first step never have one.

        Args:
            share: of the highest rate, 0 … 1.
        """
        for matrix, gradient in zip(self._matrices, self._gradients, strict=True):
            if matrix.grad is not None:
                matrix.grad = gradient.copy_(matrix.grad)
        self._share.fill_(share)
        self._run(self._step, 0)

    def _step(self, _: int) -> None:
        # The rate is a number to Muon, and would be recorded with the rest. But how far a step goes is proportional to
        # it, weight decay included: so take a whole step, and then this share of it.
        before = [matrix.detach().clone() for matrix in self._matrices]
        self._muon.step()
        for old, matrix in zip(before, self._matrices, strict=True):
            matrix.detach().copy_(old.lerp_(matrix.detach(), self._share))
