"""Other quantizers, to compare the default with: same interface, so the rest of the project takes any of them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.models.checks import check_vectors
from lpvq.models.fsq import FSQ
from lpvq.models.quantizer import Quantized, Quantizer, VectorQuantizer, nearest_codes


class GradientQuantizer(Quantizer):
    """A codebook learned by gradient: equation 3 of van den Oord et al. (2017), arXiv:1711.00937, with both terms.

    Args:
        num_codes: K.
        code_dim: D.
        commitment_weight: β, the weight of the second term.
    """

    def __init__(self, num_codes: int, code_dim: int, commitment_weight: float = 0.25) -> None:
        super().__init__()
        self.num_codes, self.code_dim = num_codes, code_dim
        self.commitment_weight = commitment_weight
        # Small at first, as in most public code: the entries grow towards the vectors that choose them.
        self.entries = nn.Parameter(torch.empty(num_codes, code_dim).uniform_(-1 / num_codes, 1 / num_codes))

    @property
    def codebook(self) -> Tensor:
        """The K entries, (K, D)."""
        return self.entries

    def forward(self, z: Tensor) -> Quantized:
        """As ``VectorQuantizer``; the loss is mean((sg[z] − e)²) + β·mean((z − sg[e])²)."""
        with torch.autocast(z.device.type, enabled=False):
            z = check_vectors(z, self.code_dim).to(self.entries.dtype).movedim(1, -1).contiguous()
            codes = nearest_codes(z.detach().view(-1, self.code_dim), self.entries.detach()).view(z.shape[:-1])
            chosen = F.embedding(codes, self.entries)
            loss = F.mse_loss(chosen, z.detach()) + self.commitment_weight * F.mse_loss(z, chosen.detach())
            vectors = z + (chosen - z).detach()
        return Quantized(vectors.movedim(-1, 1), codes, loss)


class NormalisedQuantizer(VectorQuantizer):
    """Vectors and entries of length one, so that directions alone count: Yu et al. (2021), arXiv:2110.04627, 3.2.

    The codebook is learned as that of ``VectorQuantizer``, whose arguments it takes.
    """

    @property
    def codebook(self) -> Tensor:
        """The K entries, (K, D), each of length one."""
        return F.normalize(self.code_sums, dim=1)

    def _channels_last(self, z: Tensor) -> Tensor:
        return F.normalize(super()._channels_last(z), dim=-1)


# In how many updates the weight of the rate grows to λ. With 100, one of four small models on Fashion-MNIST still ended
# with two of its eight codes; with 300 none did.
_WARM_UP = 300


class EntropyConstrainedQuantizer(VectorQuantizer):
    """Weigh distortion against rate: the code is argmin of ‖z − e‖² + λ · s · (−log p).

    A code of frequency p has a rate of −log p nats. Weighing it in, codes say less and a prior predicts them better, at
    hardly more distortion. Entropy-constrained vector quantization: Chou, Lookabaugh, Gray (1989), IEEE Transactions on
    Acoustics, Speech, and Signal Processing 37(1), 31-42. The scale s is the moving average of the squared distance to
    the nearest entry, so that λ means the same whatever the length of the vectors. In training, λ is reached step by
    step: an encoder that cannot tell images apart yet would give everything to the code that is common by chance.

    Args:
        num_codes: K.
        code_dim: D.
        rate_weight: λ, 0 or more.
        more: what else ``VectorQuantizer`` takes.
    """

    scale: Tensor
    updates: Tensor

    def __init__(self, num_codes: int, code_dim: int, rate_weight: float = 0.5, **more: Any) -> None:
        super().__init__(num_codes, code_dim, **more)
        if rate_weight < 0:
            raise InputError(f"rate_weight must be at least 0, got {rate_weight}")
        self.rate_weight = rate_weight
        self.register_buffer("scale", torch.tensor(0.0))
        self.register_buffer("updates", torch.tensor(0.0))

    def _choose(self, vectors: Tensor, codebook: Tensor) -> Tensor:
        rates = -(self.code_counts / self.code_counts.sum()).log()
        weight = self.rate_weight * (self.updates / _WARM_UP).clamp(max=1)
        return nearest_codes(vectors, codebook, weight * self.scale * rates)

    @torch.no_grad()
    def _move_codebook(self, vectors: Tensor, codes: Tensor) -> None:
        # The distance to the nearest, not to the chosen: what is chosen depends on the scale, and both would grow.
        nearest = F.embedding(nearest_codes(vectors, self.codebook), self.codebook)
        self.updates += 1
        self.scale.lerp_((vectors - nearest).square().sum(1).mean(), 1 - self.decay)
        super()._move_codebook(vectors, codes)


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
    try:
        if kind == "fsq":
            quantizer: Quantizer = FSQ(**arguments)
        elif kind in _KINDS:
            quantizer = _KINDS[kind](num_codes, code_dim, **arguments)
        else:
            raise InputError(f"quantizer {kind!r} is unknown; expected one of {', '.join([*_KINDS, 'fsq'])}")
    except TypeError as error:
        raise InputError(f"quantizer {kind!r} does not take these settings: {error}") from error
    if (quantizer.num_codes, quantizer.code_dim) != (num_codes, code_dim):
        raise InputError(
            f"these levels make {quantizer.num_codes} codes of {quantizer.code_dim} numbers, "
            f"expected {num_codes} of {code_dim}"
        )
    return quantizer
