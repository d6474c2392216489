"""Finite scalar quantization: a codebook that nobody has to learn.

Mentzer, Minnen, Agustsson, Tschannen (2023), Finite Scalar Quantization: VQ-VAE Made Simple, arXiv:2309.15505. Each of
a few numbers is squashed into a range and rounded to one of a few levels; a code is a combination of levels.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from lpvq.errors import InputError
from lpvq.models.checks import check_vectors
from lpvq.models.quantizer import Quantized, Quantizer


class FSQ(Quantizer):
    """Round each number of a vector to one of its levels; takes the place of a ``VectorQuantizer``.

    Args:
        levels: how many levels each number has, 2 or more; there are as many codes as combinations of them.
    """

    counts: Tensor
    steps: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise InputError(f"levels must be one or more numbers of at least 2, got {list(levels)}")
        self.num_codes = prod(levels)
        self.code_dim = len(levels)
        # A code is a number whose digits are the levels, the first one the least.
        steps = [prod(levels[:index]) for index in range(len(levels))]
        self.register_buffer("counts", torch.tensor(levels), persistent=False)
        self.register_buffer("steps", torch.tensor(steps), persistent=False)

    @property
    def codebook(self) -> Tensor:
        """The vectors that the K codes stand for, (K, D), each number between -1 and 1."""
        return self._values(
            torch.arange(self.num_codes, device=self.counts.device)[:, None] // self.steps % self.counts
        )

    def forward(self, z: Tensor) -> Quantized:
        """Quantize a grid of vectors, (B, D, H, W); the gradient goes straight through the rounding; the loss is 0."""
        with torch.autocast(z.device.type, enabled=False):
            squashed = self._squash(z)
            digits = squashed.round()
            vectors = self._values(squashed + (digits - squashed).detach())
            codes = (digits.long() * self.steps).sum(-1)
        return Quantized(vectors.movedim(-1, 1), codes, torch.zeros((), device=z.device))

    def _squash(self, z: Tensor) -> Tensor:
        """(B, D, H, W) to (B, H, W, D), each number between 0 and its last level."""
        z = check_vectors(z, self.code_dim).float().movedim(1, -1)
        return (torch.tanh(z) + 1) / 2 * (self.counts - 1)

    def _values(self, digits: Tensor) -> Tensor:
        return 2 * digits / (self.counts - 1) - 1
