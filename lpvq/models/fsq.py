"""Finite scalar quantization: a codebook that nobody has to learn.

Mentzer, Minnen, Agustsson, Tschannen (2023), Finite Scalar Quantization: VQ-VAE Made Simple, arXiv:2309.15505. Each of
a few numbers is squashed into a range and rounded to one of a few levels; a code is a combination of levels.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from lpvq.errors import InputError
from lpvq.models.checks import check_codes, check_vectors, whole_number
from lpvq.models.quantizer import Quantized, Quantizer, state_type

_MOST_CODES = 2**63 - 1  # what int64 can number


class FSQ(Quantizer):
    """Round each number of a vector to one of its levels.

    The levels of a number lie evenly from −1 to 1; tanh brings it between them. (The paper shifts even numbers of
    levels such that 0 is one of them. Here none is shifted, and −1 and 1 are always levels.)

    Args:
        levels: how many levels each of the D numbers of a vector has, 2 or more; K, the number of codes, is their
            product.

    Attributes:
        counts: int64 (D,), the levels.
        steps: int64 (D,), by how much the code grows from one level to the next, for each number. A code is a number
            whose digits are the levels, the first one the lowest.
        last: (D,), the highest digit of each number, in the type that the quantizer computes in.

    There is nothing to learn and nothing to save.

    Raises:
        InputError: no levels, fewer than 2 for a number, or more codes than int64 can number.
    """

    counts: Tensor
    steps: Tensor
    last: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        try:
            self.levels = [whole_number("levels", count, least=2) for count in levels]
        except (InputError, TypeError) as error:
            raise InputError(f"levels must be whole numbers of at least 2, got {levels!r}") from error
        if not self.levels or prod(self.levels) > _MOST_CODES:
            raise InputError(f"levels must be one or more, and make fewer than 2^63 codes, got {levels!r}")
        self.num_codes = prod(self.levels)
        self.code_dim = len(self.levels)
        steps = [prod(self.levels[:index]) for index in range(len(self.levels))]
        self.register_buffer("counts", torch.tensor(self.levels), persistent=False)
        self.register_buffer("steps", torch.tensor(steps), persistent=False)
        self.register_buffer("last", (self.counts - 1).to(state_type()), persistent=False)

    @property
    def codebook(self) -> Tensor:
        """The vectors that the K codes stand for, (K, D), each number between −1 and 1."""
        return self._vectors_of(torch.arange(self.num_codes, device=self.counts.device))

    def forward(self, z: Tensor) -> Quantized:
        """Quantize a grid of vectors.

        Args:
            z: the encoder's output, (B, D, H, W).

        Returns:
            the vectors of levels, each number between −1 and 1, whose gradient goes straight through the rounding (not
            through tanh) to ``z``; their codes; and a loss of 0, since nothing has to be pulled together.

        Raises:
            InputError: ``z`` has another shape, is empty, or holds NaN or infinity.
        """
        check_vectors(z, self.code_dim)
        with torch.autocast(z.device.type, enabled=False):
            squashed = self._squash(z)  # (B, H, W, D)
            digits = squashed.round()
            vectors = self._values(squashed + (digits - squashed).detach())
            codes = (digits.long() * self.steps).sum(-1)  # (B, H, W)
        return Quantized(vectors.movedim(-1, 1), codes, vectors.new_zeros(()))

    def lookup(self, codes: Tensor) -> Tensor:
        """Return the vectors that codes stand for. They are computed: the codebook may be too large to write down.

        Args:
            codes: int64 (B, H, W).

        Returns:
            (B, D, H, W), each number between −1 and 1.

        Raises:
            InputError: a code is not in 0 … K − 1.
        """
        check_codes(codes, self.num_codes)
        return self._vectors_of(codes).movedim(-1, 1)

    def extra_repr(self) -> str:
        """What ``print`` shows between the brackets."""
        return f"levels={self.levels}, {super().extra_repr()}"

    def _squash(self, z: Tensor) -> Tensor:
        """(B, D, H, W) to (B, H, W, D), each number between 0 and its last level."""
        return (torch.tanh(z.to(self.last.dtype).movedim(1, -1)) + 1) / 2 * self.last

    def _vectors_of(self, codes: Tensor) -> Tensor:
        """The vectors (…, D) of ``codes`` (…)."""
        return self._values(codes[..., None] // self.steps % self.counts)

    def _values(self, digits: Tensor) -> Tensor:
        """Digits (…, D) as numbers between −1 and 1."""
        return 2 * digits / self.last - 1
