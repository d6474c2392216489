"""A batch of vectors that comes in parts, and perhaps in several processes: what a codebook asks of it."""

import torch
from torch import Tensor

from lpvq import distributed


class BatchInParts:
    """The parts of a batch that this process has; their number and their size are the same in all processes.

    Args:
        fast: see ``distributed.sum_in_order``.
    """

    def __init__(self, fast: bool = False) -> None:
        self._fast = fast
        self._vectors: list[Tensor] = []
        self._measured: list[Tensor] = []

    def add(self, vectors: Tensor, measured: Tensor | None = None) -> None:
        """Take the next part, vectors (N, D), and what was measured on them."""
        self._vectors.append(vectors)
        if measured is not None:
            self._measured.append(measured)

    def measured(self) -> Tensor:
        """Return the sum over the parts of all processes."""
        return distributed.sum_in_order(self._measured, self._fast)

    @property
    def number_of_vectors(self) -> int:
        """How many the batch has, in all processes together."""
        return distributed.count() * sum(len(part) for part in self._vectors)

    def vectors_at(self, indices: Tensor) -> Tensor:
        """Return some vectors of the batch, (n, D), in all processes.

        Args:
            indices: in 0 … ``number_of_vectors`` − 1, int64 (n,).
        """
        mine = torch.cat(self._vectors)
        places = indices - distributed.rank() * len(mine)
        is_here = (places >= 0) & (places < len(mine))
        # One process has a vector, and all others add zeros to it. So does this one: −0 becomes 0 in one process, too.
        found = mine.new_zeros(len(indices), mine.shape[1])
        found[is_here] += mine[places[is_here]]
        return distributed.sum_in_order([found], self._fast)
