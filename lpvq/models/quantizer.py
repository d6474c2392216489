"""From vectors to codes and back: the quantizer of a VQ-VAE.

A codebook of K vectors stands for all the vectors an encoder can produce. Quantizing replaces a vector by the nearest
entry; its index is the code. The codebook is learned by exponential moving averages of the vectors that chose each
entry (van den Oord et al. 2017, arXiv:1711.00937, appendix A.1). It starts from data, and entries that hardly anything
chooses are restarted (Dhariwal et al. 2020, arXiv:2005.00341, section 3.1).

Shapes: B grids of H × W vectors of D numbers, K codebook entries; N = B · H · W vectors in all.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.models.batch_in_parts import BatchInParts
from lpvq.models.checks import check_codes, check_vectors, not_negative, real_number, whole_number
from lpvq.runtime import full_precision

_VECTORS_AT_ONCE = 2048  # their scores fit into the cache of a processor
_SMALLEST_COUNT = 1e-6
# The threshold for a restart is at most this share of how often each is chosen if all are chosen equally often.
_FAIR_ENOUGH = 0.5
# A codebook is far from zero if the squared length of its mean is more than this share of the mean squared length of
# its entries: if it is 20 times as far from zero as the entries are from their mean. At that distance, one to a few
# vectors in a thousand get the second nearest entry, not the nearest. The codebooks of the course stay below 14 times.
_FAR = 1 - 1 / 20**2


@dataclass(frozen=True, eq=False)
class Quantized:
    """What a quantizer returns.

    Attributes:
        vectors: (B, D, H, W), what the codes stand for; in float32, in float64 if the quantizer is.
        codes: int64 (B, H, W), each in 0 … K − 1.
        loss: a scalar, what the quantizer adds to the loss that is trained on.
    """

    vectors: Tensor
    codes: Tensor
    loss: Tensor


class Quantizer(nn.Module, ABC):
    """What all quantizers have: K codes, each of which stands for a vector of D numbers.

    Called with a grid of vectors (B, D, H, W), a quantizer returns a ``Quantized``. It computes in float32, or in
    float64 after ``double()``, whatever it is given and whatever autocast says. Half precision would flip near-ties
    between entries; and a moving average in bfloat16 stands still where it should grow by less than 1/256 of itself.

    Attributes:
        num_codes: K.
        code_dim: D.
    """

    num_codes: int
    code_dim: int

    @property
    @abstractmethod
    def codebook(self) -> Tensor:
        """The K vectors, (K, D)."""

    @torch.no_grad()
    def assign(self, z: Tensor) -> Tensor:
        """Return the codes of vectors and change nothing, whatever the mode.

        Args:
            z: (B, D, H, W).

        Returns:
            int64 (B, H, W).

        Raises:
            InputError: ``z`` has another shape, is empty, or holds NaN or infinity.
        """
        return self(z).codes

    def lookup(self, codes: Tensor) -> Tensor:
        """Return the vectors that codes stand for.

        Args:
            codes: int64 (B, H, W).

        Returns:
            (B, D, H, W).

        Raises:
            InputError: a code is not in 0 … K − 1.
        """
        check_codes(codes, self.num_codes)
        return F.embedding(codes, self.codebook).movedim(-1, 1)

    def extra_repr(self) -> str:
        """What ``print`` shows between the brackets."""
        return f"num_codes={self.num_codes}, code_dim={self.code_dim}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow ``to``, ``cuda``, ``half`` and the like to any device, but never below float32."""

        def at_least_float32(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if moved.is_floating_point() and torch.finfo(moved.dtype).bits < 32:
                return tensor.to(moved.device, torch.float32)
            return moved

        return super()._apply(at_least_float32, recurse)


class VectorQuantizer(Quantizer):
    """Replace each vector of a grid by the nearest of ``num_codes`` codebook entries.

    Args:
        num_codes: K, the number of codebook entries.
        code_dim: D, the length of a vector.
        commitment_weight: β, the weight of the commitment term (equation 3 of the paper); 0 or more.
        decay: γ of the moving averages; 0.99 remembers about the last 100 batches. At least 0 and below 1.
        restart_threshold: an entry is restarted when the moving average of the number of vectors that choose it,
            per batch, falls below this, or below half of its fair share, N / K, if that is less; 0 never restarts.

    Attributes:
        code_counts: (K,), the moving average N of how many vectors of a batch choose each entry.
        code_sums: (K, D), the moving average m of their sum.
        started: a bool, whether the codebook has been set to vectors of a first batch.

    All three are buffers, so they are saved with the weights. The codebook is the quotient m / N and nothing else, so
    it cannot disagree with them. Training draws random vectors from torch's global generator (at the start and for
    restarts).

    Raises:
        InputError: a size below 1, or a setting outside its range.
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
        self.num_codes = whole_number("num_codes", num_codes)
        self.code_dim = whole_number("code_dim", code_dim)
        self.commitment_weight = not_negative("commitment_weight", commitment_weight)
        self.decay = real_number("decay", decay)
        if not 0 <= self.decay < 1:
            raise InputError(f"decay must be at least 0 and below 1, got {decay}")
        self.restart_threshold = not_negative("restart_threshold", restart_threshold)
        # Counts start at one: with zeros, the first updates would divide the sums by almost nothing.
        self.register_buffer("code_counts", torch.ones(self.num_codes, dtype=state_type()))
        self.register_buffer("code_sums", torch.randn(self.num_codes, self.code_dim, dtype=state_type()))
        self.register_buffer("started", torch.tensor(False))
        self._parts: BatchInParts | None = None

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
            InputError: ``z`` has another shape, is empty, or holds NaN or infinity.
        """
        check_vectors(z, self.code_dim)
        with torch.autocast(z.device.type, enabled=False):
            z = self._channels_last(z)  # (B, H, W, D)
            compared = self._compared(z)  # (B, H, W, D)
            flat = compared.detach().view(-1, self.code_dim)  # (N, D)
            if self.training and not self.started:
                self._start_from(flat)
            codebook = self.codebook  # (K, D)
            codes = self._choose(flat, codebook).view(z.shape[:-1])  # (B, H, W)
            chosen = F.embedding(codes, codebook)  # (B, H, W, D)
            loss = self.commitment_weight * F.mse_loss(z, chosen)
            vectors = compared + (chosen - compared).detach()
            if self.training and self._parts is not None:
                self._parts.add(flat, self._measure(flat, codes.flatten()))
            elif self.training:
                self._move_codebook(flat, codes.flatten())
        return Quantized(vectors.movedim(-1, 1), codes, loss)

    @torch.no_grad()
    def assign(self, z: Tensor) -> Tensor:
        """Return the codes of vectors and change nothing, whatever the mode.

        Args:
            z: (B, D, H, W).

        Returns:
            int64 (B, H, W).

        Raises:
            InputError: ``z`` has another shape, is empty, or holds NaN or infinity.
        """
        check_vectors(z, self.code_dim)
        with torch.autocast(z.device.type, enabled=False):
            z = self._compared(self._channels_last(z))
            return self._choose(z.view(-1, self.code_dim), self.codebook).view(z.shape[:-1])

    def extra_repr(self) -> str:
        """What ``print`` shows between the brackets."""
        return (
            f"{super().extra_repr()}, commitment_weight={self.commitment_weight}, decay={self.decay}, "
            f"restart_threshold={self.restart_threshold}"
        )

    def _choose(self, vectors: Tensor, codebook: Tensor) -> Tensor:
        """The code (N,) of each of ``vectors`` (N, D)."""
        return nearest_codes(vectors, codebook)

    def _channels_last(self, z: Tensor) -> Tensor:
        """(B, D, H, W) to (B, H, W, D), or a vector would be made of several positions; in the codebook's type."""
        return z.to(self.code_sums.dtype).movedim(1, -1).contiguous()

    def _compared(self, z: Tensor) -> Tensor:
        """What is compared with the entries and replaced by them, for vectors (B, H, W, D): the vectors themselves."""
        return z

    @contextmanager
    def one_batch(self, first: Iterable[Tensor], fast: bool = False) -> Iterator[None]:
        """Have the codebook learn from all that is quantized inside as from one batch: once, at the end.

        The parts of the batch are of the same size, and their number is a power of two. Other processes may have more
        of them, see ``lpvq.distributed``: the codebook is the same in all of them, whoever has quantized what. It moves
        by the counts and sums of all parts, and what it restarts from is drawn among all vectors, by torch's global
        generator, which has to be the same everywhere.

        Args:
            first: the parts, (B, D, H, W) each; they are looked at if the codebook has yet to start from data.
            fast: see ``distributed.sum_in_order``.
        """
        if not self.started:
            self._start_from_parts(first)
        self._parts = parts = BatchInParts(fast)
        try:
            yield
        finally:
            self._parts = None
        self._move_by(parts.measured(), parts.number_of_vectors)
        self._restart(self._hardly_chosen(parts.number_of_vectors), parts.number_of_vectors, parts.vectors_at)

    @torch.no_grad()
    def _start_from_parts(self, first: Iterable[Tensor]) -> None:
        parts = BatchInParts()
        for z in first:
            check_vectors(z, self.code_dim)
            parts.add(self._compared(self._channels_last(z)).view(-1, self.code_dim))
        every_entry = torch.ones(self.num_codes, dtype=torch.bool, device=self.code_counts.device)
        self._restart(every_entry, parts.number_of_vectors, parts.vectors_at)
        self.started.fill_(True)

    @torch.no_grad()
    def _start_from(self, vectors: Tensor) -> None:
        """Set every entry to a vector of the first batch, (N, D)."""
        every_entry = torch.ones(self.num_codes, dtype=torch.bool, device=vectors.device)
        self._restart(every_entry, len(vectors), vectors.__getitem__)
        self.started.fill_(True)

    def _move_codebook(self, vectors: Tensor, codes: Tensor) -> None:
        """One step of equations 6 to 8 of the paper, then the restarts.

        Args:
            vectors: (N, D), what was quantized.
            codes: (N,), what each vector chose.
        """
        self._move_by(self._measure(vectors, codes), len(vectors))
        self._restart(self._hardly_chosen(len(vectors)), len(vectors), vectors.__getitem__)

    @torch.no_grad()
    def _measure(self, vectors: Tensor, codes: Tensor) -> Tensor:
        """What the codebook learns from vectors (N, D) and their codes (N,): sums over the vectors, (K + K · D,).

        How many vectors chose each entry, and the sum of those that chose it.
        """
        counts = torch.bincount(codes, minlength=self.num_codes).to(self.code_counts.dtype)
        sums = torch.zeros_like(self.code_sums).index_add_(0, codes, vectors)
        return torch.cat([counts, sums.flatten()])

    @torch.no_grad()
    def _move_by(self, measured: Tensor, number: int) -> None:
        """Move the codebook by what ``_measure`` has found in a batch of so many vectors."""
        counts, sums = measured[: self.num_codes], measured[self.num_codes :].view_as(self.code_sums)
        self.code_counts.lerp_(counts, 1 - self.decay)
        self.code_sums.lerp_(sums, 1 - self.decay)
        # An entry that is never chosen keeps its place. Its count and sum shrink together, and must stop before
        # float32 cannot hold them.
        scale = (_SMALLEST_COUNT / self.code_counts).clamp(min=1)
        self.code_counts.mul_(scale)
        self.code_sums.mul_(scale[:, None])

    def _hardly_chosen(self, number: int) -> Tensor:
        """Which entries are to be restarted, (K,), where a batch has so many vectors."""
        # Where a batch has few vectors, no entry is chosen often. A threshold above the fair share would restart nearly
        # all of them in every step: the codebook would be a handful of the newest vectors, and never an average.
        fair_share = number / self.num_codes
        return self.code_counts < min(self.restart_threshold, _FAIR_ENOUGH * fair_share)

    @torch.no_grad()
    def _restart(self, entries: Tensor, number: int, vectors_at: Callable[[Tensor], Tensor]) -> None:
        """Move the ``entries`` (a mask, (K,)) to random vectors of a batch, as if each had been chosen once.

        Args:
            entries: bool (K,).
            number: how many vectors the batch has.
            vectors_at: gives those of some indices.
        """
        wanted = int(entries.sum())
        if wanted == 0:
            return
        picks = torch.randperm(number, device=entries.device)[:wanted]
        picks = picks.repeat(-(-wanted // len(picks)))[:wanted]  # a batch may have fewer vectors than are wanted
        self.code_counts[entries] = 1.0
        self.code_sums[entries] = vectors_at(picks)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *more: Any) -> None:
        """Load the buffers; ``load_state_dict`` raises what is added to the last of ``more``, a list of errors."""
        super()._load_from_state_dict(state_dict, prefix, *more)
        if not self.code_counts.is_meta and not (self.code_counts > 0).all():
            more[-1].append(f"{prefix}code_counts must all be above 0: the codebook is divided by them")


def state_type() -> torch.dtype:
    """Return the type that a quantizer is made in: torch's default type, but float32 at least."""
    return torch.promote_types(torch.get_default_dtype(), torch.float32)


def nearest_codes(vectors: Tensor, codebook: Tensor, rates: Tensor | None = None) -> Tensor:
    """Return for each vector the index of the codebook entry that is nearest to it.

    ‖z − e‖² = ‖z‖² − 2 z·e + ‖e‖², and ‖z‖² is the same for all entries: one matrix product is enough. It is done in
    chunks, so that the (N, K) scores are never all in memory, and in float32 (float64 for such vectors), whatever
    torch is told about the precision of matrix products.

    Far from zero the products are large, and their rounding is larger than what tells the entries apart. Distances stay
    the same if both sides move alike, so there the mean of the codebook is subtracted from both.

    Args:
        vectors: (N, D).
        codebook: (K, D).
        rates: (K,), what it costs to use each entry, in squared distances; None where all cost the same.

    Returns:
        int64 (N,), each in 0 … K − 1; of entries that are equally near, the first.
    """
    wide = torch.promote_types(vectors.dtype, torch.float32)
    vectors, codebook = vectors.to(wide), codebook.to(wide)
    centre = _centre(codebook)
    if centre is not None:
        codebook = codebook - centre
    costs = codebook.square().sum(1)  # (K,)
    if rates is not None:
        costs = costs + rates
    # The number of vectors is not known to a program that is exported for batches of any size.
    chunks = (vectors,) if torch.compiler.is_compiling() else vectors.split(_VECTORS_AT_ONCE)
    with torch.autocast(vectors.device.type, enabled=False), full_precision():
        return torch.cat([_cheapest(chunk if centre is None else chunk - centre, codebook, costs) for chunk in chunks])


def _cheapest(vectors: Tensor, codebook: Tensor, costs: Tensor) -> Tensor:
    """The index (N,) of the entry with the smallest cost (K,) − 2 z·e for each of ``vectors`` (N, D)."""
    return torch.addmm(costs, vectors, codebook.T, alpha=-2).argmin(1)


def _centre(codebook: Tensor) -> Tensor | None:
    """What to subtract from vectors and entries before their product, (D,); None for nothing.

    Only where it is needed: it takes time, and rounding then decides near-ties differently.
    """
    mean = codebook.mean(0)
    far = mean.square().sum() > _FAR * codebook.square().sum(1).mean()
    if torch.compiler.is_compiling():  # where values cannot decide what is done
        return torch.where(far, mean, 0)
    return mean if far else None
