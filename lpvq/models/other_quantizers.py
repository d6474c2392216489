"""Other quantizers, to compare the default with: same interface, so the rest of the project takes any of them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.models.checks import check_vectors, not_negative, whole_number
from lpvq.models.fsq import FSQ
from lpvq.models.quantizer import Quantized, Quantizer, VectorQuantizer, nearest_codes, state_type


class GradientQuantizer(Quantizer):
    """A codebook learned by gradient: equation 3 of van den Oord et al. (2017), arXiv:1711.00937, with both terms.

    Args:
        num_codes: K, the number of codebook entries.
        code_dim: D, the length of a vector.
        commitment_weight: β, the weight of the second term, which pulls the vectors towards the entries; 0 or more.

    Attributes:
        entries: the codebook, a parameter (K, D).

    Raises:
        InputError: a size below 1, or a weight that is negative or not finite.
    """

    def __init__(self, num_codes: int, code_dim: int, commitment_weight: float = 0.25) -> None:
        super().__init__()
        self.num_codes = whole_number("num_codes", num_codes)
        self.code_dim = whole_number("code_dim", code_dim)
        self.commitment_weight = not_negative("commitment_weight", commitment_weight)
        # Small at first, as in most public code: the entries grow towards the vectors that choose them.
        bound = 1 / self.num_codes
        entries = torch.empty(self.num_codes, self.code_dim, dtype=state_type())
        self.entries = nn.Parameter(entries.uniform_(-bound, bound))

    @property
    def codebook(self) -> Tensor:
        """The K entries, (K, D)."""
        return self.entries

    def forward(self, z: Tensor) -> Quantized:
        """Quantize a grid of vectors.

        Args:
            z: the encoder's output, (B, D, H, W).

        Returns:
            the chosen entries, whose gradient goes straight through to ``z``; their codes; the loss
            mean((sg[z] − e)²) + β·mean((z − sg[e])²), by whose first term the entries learn.

        Raises:
            InputError: ``z`` has another shape, is empty, or holds NaN or infinity.
        """
        check_vectors(z, self.code_dim)
        with torch.autocast(z.device.type, enabled=False):
            z = z.to(self.entries.dtype).movedim(1, -1).contiguous()  # (B, H, W, D)
            codes = nearest_codes(z.detach().view(-1, self.code_dim), self.entries.detach()).view(z.shape[:-1])
            chosen = F.embedding(codes, self.entries)  # (B, H, W, D)
            loss = F.mse_loss(chosen, z.detach()) + self.commitment_weight * F.mse_loss(z, chosen.detach())
            vectors = z + (chosen - z).detach()
        return Quantized(vectors.movedim(-1, 1), codes, loss)

    def extra_repr(self) -> str:
        """What ``print`` shows between the brackets."""
        return f"{super().extra_repr()}, commitment_weight={self.commitment_weight}"


class NormalisedQuantizer(VectorQuantizer):
    """Vectors and entries of length one, so that directions alone count: Yu et al. (2021), arXiv:2110.04627, 3.2.

    The codebook is learned by moving averages of normalised vectors, starts from data, and entries that hardly anything
    chooses are restarted.

    The commitment term is β·mean((z − sg[e])²) for the vectors ``z`` as the encoder gives them. Any loss of normalised
    vectors has a gradient at right angles to ``z``, along which every step makes ``z`` longer and the next gradient
    smaller (Salimans and Kingma 2016, arXiv:1602.07868, 2.1, on weights). This term pulls the length back to at most 1.

    Args:
        num_codes: K, the number of codebook entries.
        code_dim: D, the length of a vector.
        commitment_weight: β, the weight of the commitment term; 0 or more.
        decay: γ of the moving averages; at least 0 and below 1.
        restart_threshold: an entry is restarted when the moving average of the number of vectors that choose it,
            per batch, falls below this, or below half of its fair share, N / K, if that is less; 0 never restarts.

    Raises:
        InputError: a size below 1, or a setting outside its range.
    """

    @property
    def codebook(self) -> Tensor:
        """The K entries, (K, D), each of length one."""
        return F.normalize(self.code_sums, dim=1)

    def _compared(self, z: Tensor) -> Tensor:
        """The directions of vectors (B, H, W, D)."""
        return F.normalize(z, dim=-1)


# In how many updates the weight of the rate grows to λ. With 100, one of four small models on Fashion-MNIST still ended
# with two of its eight codes; with 300 none did.
_WARM_UP = 300


class EntropyConstrainedQuantizer(VectorQuantizer):
    """Weigh the rate against the distortion: the code is argmin of ‖z − e‖² + λ · s · (−log p).

    The *distortion* is the squared distance to the entry. The *rate* is what it costs to name the entry: −log p nats,
    for a code of frequency p. λ says how much distortion a nat is worth. At 0 the nearest entry is chosen; the larger
    λ, the more often a common entry takes the place of a rare one that is nearer. Codes then say less, and a prior
    predicts them better, at hardly more distortion. Entropy-constrained vector quantization: Chou, Lookabaugh, Gray
    (1989), IEEE Transactions on Acoustics, Speech, and Signal Processing 37(1), 31-42.

    The scale s is the moving average of the squared distance to the nearest entry, so that λ means the same whatever
    the length of the vectors. In training, λ is reached step by step: an encoder that cannot tell images apart yet
    would give everything to the code that is common by chance.

    Args:
        num_codes: K, the number of codebook entries.
        code_dim: D, the length of a vector.
        rate_weight: λ, 0 or more.
        more: ``commitment_weight``, ``decay`` and ``restart_threshold``, which mean what they mean for a
            ``VectorQuantizer``.

    Attributes:
        scale: s, a buffer.
        updates: how many updates the codebook has had, a buffer; λ is reached after 300.

    Raises:
        InputError: a size below 1, or a setting outside its range.
    """

    scale: Tensor
    updates: Tensor

    def __init__(self, num_codes: int, code_dim: int, rate_weight: float = 0.5, **more: Any) -> None:
        super().__init__(num_codes, code_dim, **more)
        self.rate_weight = not_negative("rate_weight", rate_weight)
        self.register_buffer("scale", torch.zeros((), dtype=state_type()))
        self.register_buffer("updates", torch.zeros((), dtype=state_type()))

    def extra_repr(self) -> str:
        """What ``print`` shows between the brackets."""
        return f"{super().extra_repr()}, rate_weight={self.rate_weight}"

    def _choose(self, vectors: Tensor, codebook: Tensor) -> Tensor:
        """The code (N,) with the least distortion and rate for each of ``vectors`` (N, D)."""
        return nearest_codes(vectors, codebook, self.rates())

    def rates(self) -> Tensor:
        """Return what it costs to choose each entry, in squared distances, (K,)."""
        nats = -(self.code_counts / self.code_counts.sum()).log()
        reached = self.rate_weight * (self.updates / _WARM_UP).clamp(max=1)
        return reached * self.scale * nats

    @torch.no_grad()
    def _measure(self, vectors: Tensor, codes: Tensor) -> Tensor:
        # The distance to the nearest, not to the chosen: what is chosen depends on the scale, and both would grow.
        nearest = F.embedding(nearest_codes(vectors, self.codebook), self.codebook)  # (N, D)
        distances = (vectors - nearest).square().sum(1)  # (N,)
        return torch.cat([super()._measure(vectors, codes), distances.sum()[None]])

    @torch.no_grad()
    def _move_by(self, measured: Tensor, number: int) -> None:
        self.updates += 1
        self.scale.lerp_(measured[-1] / number, 1 - self.decay)
        super()._move_by(measured[:-1], number)


_KINDS: dict[str, Callable[..., Quantizer]] = {
    "ema": VectorQuantizer,
    "gradient": GradientQuantizer,
    "normalised": NormalisedQuantizer,
    "entropy-constrained": EntropyConstrainedQuantizer,
}


def make_quantizer(num_codes: int, code_dim: int, settings: Mapping[str, Any]) -> Quantizer:
    """Make a quantizer.

    Args:
        num_codes: K.
        code_dim: D.
        settings: ``kind`` ("ema", which is the default, "gradient", "normalised", "entropy-constrained" or "fsq") and
            the arguments of that kind's class.

    Raises:
        InputError: an unknown kind, arguments that it does not take, or levels that do not make K and D.
    """
    kind = settings.get("kind", "ema")
    arguments = {name: value for name, value in settings.items() if name != "kind"}
    if kind not in (*_KINDS, "fsq"):
        raise InputError(f"quantizer {kind!r} is unknown; expected one of {', '.join([*_KINDS, 'fsq'])}")
    try:
        quantizer = FSQ(**arguments) if kind == "fsq" else _KINDS[kind](num_codes, code_dim, **arguments)
    except TypeError as error:
        raise InputError(f"quantizer {kind!r} does not take these settings: {error}") from error
    if (quantizer.num_codes, quantizer.code_dim) != (num_codes, code_dim):
        raise InputError(
            f"these levels make {quantizer.num_codes} codes of {quantizer.code_dim} numbers, "
            f"expected {num_codes} of {code_dim}"
        )
    return quantizer
