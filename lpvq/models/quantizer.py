"""From vectors to codes and back: the quantizer of a VQ-VAE.

A codebook of K vectors stands for all the vectors an encoder can produce. Quantizing replaces a vector by the nearest
entry; its index is the code. The codebook is learned by exponential moving averages of the vectors that chose each
entry (van den Oord et al. 2017, arXiv:1711.00937, appendix A.1), starts from data, and entries that hardly anything
chooses are restarted (Dhariwal et al. 2020, arXiv:2005.00341, section 3.1).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.models.checks import check_codes, check_vectors

_VECTORS_AT_ONCE = 2048  # their scores fit into the cache of a processor
_SMALLEST_COUNT = 1e-6


@dataclass(frozen=True)
class Quantized:
    """What a quantizer returns: ``vectors`` (B, D, H, W), ``codes`` int64 (B, H, W), ``loss`` a scalar."""

    vectors: Tensor
    codes: Tensor
    loss: Tensor


class Quantizer(nn.Module, ABC):
    """What all quantizers have: K codes, each of which stands for a vector of D numbers.

    Called with a grid of vectors (B, D, H, W), a quantizer returns a ``Quantized``.
    """

    num_codes: int
    code_dim: int

    @property
    @abstractmethod
    def codebook(self) -> Tensor:
        """The K vectors, (K, D)."""

    @torch.no_grad()
    def assign(self, z: Tensor) -> Tensor:
        """Return the codes (B, H, W) of ``z`` (B, D, H, W) and change nothing, whatever the mode."""
        return self(z).codes

    def lookup(self, codes: Tensor) -> Tensor:
        """Return the vectors (B, D, H, W) that ``codes`` (B, H, W) stand for.

        Raises:
            InputError: a code is not in 0 … K − 1.
        """
        check_codes(codes, self.num_codes)
        return F.embedding(codes, self.codebook).movedim(-1, 1)


class VectorQuantizer(Quantizer):
    """Replace each vector of a grid by the nearest of ``num_codes`` codebook entries.

    Args:
        num_codes: K, the number of codebook entries.
        code_dim: D, the length of a vector.
        commitment_weight: β, the weight of the commitment term (equation 3 of the paper).
        decay: γ of the moving averages; 0.99 remembers about the last 100 batches.
        restart_threshold: an entry is restarted when the moving average of the number of vectors that choose it,
            per batch, falls below this; 0 never restarts.

    All state is in buffers, so it is saved with the weights: ``code_counts`` (K,) and ``code_sums`` (K, D) are the
    moving averages N and m of the paper. The codebook is their quotient and nothing else, so the three cannot
    disagree. Training draws random vectors from torch's global generator (at the start and for restarts).
    """

    code_counts: Tensor
    code_sums: Tensor
    started: Tensor

    def __init__(
        self,
        num_codes: int,
        code_dim: int,
        commitment_weight: float = 0.25,
        decay: float = 0.99,
        restart_threshold: float = 1.0,
    ) -> None:
        super().__init__()
        if num_codes < 1 or code_dim < 1:
            raise InputError(f"num_codes and code_dim must be at least 1, got {num_codes} and {code_dim}")
        if not 0 <= decay < 1:
            raise InputError(f"decay must be at least 0 and below 1, got {decay}")
        self.num_codes = num_codes
        self.code_dim = code_dim
        self.commitment_weight = commitment_weight
        self.decay = decay
        self.restart_threshold = restart_threshold
        # Counts start at one: with zeros, the first updates would divide the sums by almost nothing.
        self.register_buffer("code_counts", torch.ones(num_codes))
        self.register_buffer("code_sums", torch.randn(num_codes, code_dim))
        self.register_buffer("started", torch.tensor(False))

    @property
    def codebook(self) -> Tensor:
        """The K entries, (K, D)."""
        return self.code_sums / self.code_counts[:, None]

    def forward(self, z: Tensor) -> Quantized:
        """Quantize a grid of vectors; in training mode, also move the codebook afterwards.

        Args:
            z: the encoder's output, (B, D, H, W).

        Returns:
            the chosen entries, whose gradient goes straight through to ``z``; their codes; the commitment loss
            β·mean((z − sg[e])²), the only loss this quantizer needs.

        Raises:
            InputError: ``z`` has another shape or holds NaN or infinity.
        """
        # Half precision would flip near-ties between entries, so the quantizer always works in float32.
        with torch.autocast(z.device.type, enabled=False):
            z = self._channels_last(z)
            flat = z.detach().view(-1, self.code_dim)
            if self.training and not self.started:
                self._start_from(flat)
            codebook = self.codebook
            codes = self._choose(flat, codebook).view(z.shape[:-1])
            chosen = F.embedding(codes, codebook)
            loss = self.commitment_weight * F.mse_loss(z, chosen)
            vectors = z + (chosen - z).detach()
            if self.training:
                self._move_codebook(flat, codes.flatten())
        return Quantized(vectors.movedim(-1, 1), codes, loss)

    @torch.no_grad()
    def assign(self, z: Tensor) -> Tensor:
        """Return the codes (B, H, W) of ``z`` (B, D, H, W) and change nothing, whatever the mode."""
        with torch.autocast(z.device.type, enabled=False):
            z = self._channels_last(z)
            return self._choose(z.view(-1, self.code_dim), self.codebook).view(z.shape[:-1])

    def _choose(self, vectors: Tensor, codebook: Tensor) -> Tensor:
        """The code (N,) of each of ``vectors`` (N, D)."""
        return nearest_codes(vectors, codebook)

    def _channels_last(self, z: Tensor) -> Tensor:
        """(B, D, H, W) to (B, H, W, D), or a vector would be made of several positions; in the codebook's type."""
        return check_vectors(z, self.code_dim).to(self.code_sums.dtype).movedim(1, -1).contiguous()

    @torch.no_grad()
    def _start_from(self, vectors: Tensor) -> None:
        """Set every entry to a vector of the first batch."""
        self._restart(torch.ones(self.num_codes, dtype=torch.bool, device=vectors.device), vectors)
        self.started.fill_(True)

    @torch.no_grad()
    def _move_codebook(self, vectors: Tensor, codes: Tensor) -> None:
        """One step of equations 6 to 8 of the paper, then the restarts.

        Args:
            vectors: (N, D), what was quantized.
            codes: (N,), what each vector chose.
        """
        counts = torch.bincount(codes, minlength=self.num_codes).to(self.code_counts.dtype)
        sums = torch.zeros_like(self.code_sums).index_add_(0, codes, vectors)
        self.code_counts.lerp_(counts, 1 - self.decay)
        self.code_sums.lerp_(sums, 1 - self.decay)
        # An entry that is never chosen keeps its place. Its count and sum shrink together, and must stop before
        # float32 cannot hold them.
        scale = (_SMALLEST_COUNT / self.code_counts).clamp(min=1)
        self.code_counts.mul_(scale)
        self.code_sums.mul_(scale[:, None])
        self._restart(self.code_counts < self.restart_threshold, vectors)

    def _restart(self, entries: Tensor, vectors: Tensor) -> None:
        """Move the ``entries`` (a mask, (K,)) to random vectors of a batch, as if each had been chosen once."""
        wanted = int(entries.sum())
        if wanted == 0:
            return
        picks = torch.randperm(len(vectors), device=vectors.device)[:wanted]
        picks = picks.repeat(-(-wanted // len(picks)))[:wanted]  # a batch may have fewer vectors than are wanted
        self.code_counts[entries] = 1.0
        self.code_sums[entries] = vectors[picks]


def nearest_codes(vectors: Tensor, codebook: Tensor, rates: Tensor | None = None) -> Tensor:
    """Return the index (N,) of the codebook entry (K, D) nearest to each of ``vectors`` (N, D).

    ‖z − e‖² = ‖z‖² − 2 z·e + ‖e‖², and ‖z‖² is the same for all entries: one matrix product is enough. It is done in
    chunks, so that the (N, K) scores are never all in memory.

    Args:
        vectors: (N, D).
        codebook: (K, D).
        rates: (K,), what it costs to use each entry, in squared distances; None where all cost the same.
    """
    lengths = codebook.square().sum(1)
    if rates is not None:
        lengths = lengths + rates
    chunks = vectors.split(_VECTORS_AT_ONCE)
    return torch.cat([torch.addmm(lengths, chunk, codebook.T, alpha=-2).argmin(1) for chunk in chunks])
