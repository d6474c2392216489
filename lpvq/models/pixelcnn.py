"""The gated PixelCNN: a distribution over grids of codes, one code after another.

    p(codes) = ∏ p(code i | the codes before i in raster order)

Van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks, arXiv:1601.06759. The network that
gives the factors is in ``lpvq.models.gated``; ``lpvq.models.cached_sampler`` runs it one code at a time.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.distributed import count, in_order
from lpvq.errors import InputError
from lpvq.models.cached_sampler import CachedSampler, cache_bytes
from lpvq.models.checks import ArrayLike, int64_tensor, whole_number
from lpvq.models.gated import Stacks
from lpvq.models.grid_prior import GridPrior, ImageSize, height_and_width
from lpvq.models.sampling import FullForwardSampler, GridSampler, SamplingOptions, sample_grid
from lpvq.models.saving import Pretrained
from lpvq.models.vqvae import VQVAE
from lpvq.runtime import autocast, full_precision, in_eval_mode, progress

# Grids are drawn in parts whose caches together stay below this. More would not be faster.
_CACHE_BYTES = 128 * 2**20


_OPTIONS = ("position", "num_attentions", "code_dim")


class PixelCNN(Stacks, GridPrior, Pretrained):
    """A gated PixelCNN over grids of codes.

    Codes and labels are int64; they are also taken in any other integer type, as arrays of numpy and as lists.

    Args:
        latent_dim: K, the number of distinct codes.
        image_size: height and width of the grids, or one number for both: what ``generate`` draws unless told
            otherwise. The model itself takes grids of any size.
        num_blocks: number of gated blocks. Each lets a position see ``kernel_size // 2`` rows further.
        kernel_size: odd, at least 3.
        hidden_channels: C, the width of both stacks.
        num_classes: for a model of p(codes | label); None for p(codes).
        position: whether the blocks are told where in the grid a position is. Otherwise only the border tells.
        num_attentions: how many of the blocks are followed by a layer of attention to all rows above.
        code_dim: D, for a model that knows the vectors of the codebook and so which codes are alike; ``set_codebook``
            gives them. None for one to which codes are nothing but numbers.
        coarse_vqvae: for a model of p(codes | coarse codes), the VQ-VAE of these: the model keeps a copy, which is not
            trained, and is told what it decodes them to. Or its configuration, for one with random weights; None for a
            model without coarse codes.
        coarse_factor: how many codes a coarse code stands for in each direction.

    Raises:
        InputError: a number that is not whole or too small, an even ``kernel_size``, or more attentions than blocks.
    """

    FILE = "prior.pt"

    def __init__(
        self,
        latent_dim: int = 512,
        image_size: ImageSize = 32,
        num_blocks: int = 10,
        kernel_size: int = 3,
        hidden_channels: int = 64,
        num_classes: int | None = None,
        position: bool = False,
        num_attentions: int = 0,
        code_dim: int | None = None,
        coarse_vqvae: VQVAE | Mapping[str, Any] | None = None,
        coarse_factor: int = 4,
    ) -> None:
        coarse = _as_vqvae(coarse_vqvae)
        config: dict[str, Any] = {
            "latent_dim": whole_number("latent_dim", latent_dim),
            "image_size": height_and_width(image_size),
            "num_blocks": whole_number("num_blocks", num_blocks),
            "kernel_size": whole_number("kernel_size", kernel_size, least=3),
            "hidden_channels": whole_number("hidden_channels", hidden_channels),
            "num_classes": None if num_classes is None else whole_number("num_classes", num_classes),
            "position": bool(position),
            "num_attentions": whole_number("num_attentions", num_attentions, least=0),
            "code_dim": None if code_dim is None else whole_number("code_dim", code_dim),
            "coarse_vqvae": None if coarse is None else deepcopy(coarse.config),
            "coarse_factor": whole_number("coarse_factor", coarse_factor),
        }
        if config["kernel_size"] % 2 == 0:
            raise InputError(f"kernel_size must be odd, got {kernel_size}")
        if config["num_attentions"] > config["num_blocks"]:
            raise InputError(f"there cannot be more attentions than blocks, got {num_attentions} and {num_blocks}")
        settings = {name: value for name, value in config.items() if name != "image_size"}
        super().__init__(**{**settings, "coarse_vqvae": coarse})
        self.config = config
        self.latent_dim: int = config["latent_dim"]
        self.image_size: tuple[int, int] = config["image_size"]
        self.num_classes: int | None = config["num_classes"]
        self.num_blocks: int = config["num_blocks"]
        self.num_coarse_codes: int | None = None if coarse is None else config["coarse_vqvae"]["num_codes"]
        self.coarse_factor: int = config["coarse_factor"]

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.embedding.weight.device

    def extra_repr(self) -> str:
        """Return what the model was made with, for a printed model; of the options, only those that are set."""
        without = {"coarse_vqvae", *(name for name in _OPTIONS if not self.config[name])}  # a part, printed as such
        without |= set() if self.num_coarse_codes else {"coarse_factor"}
        return ", ".join(f"{name}={value!r}" for name, value in self.config.items() if name not in without)

    def forward(
        self,
        codes: ArrayLike,
        labels: ArrayLike | None = None,
        coarse: ArrayLike | None = None,
        return_nll: bool = False,
    ) -> Tensor:
        """Return logits (B, K, H, W) for each code given the codes before it (and the label).

        Args:
            codes: int64 (B, H, W) in 0 … K − 1.
            labels: int64 (B,) in 0 … num_classes − 1; for a model with classes, and only for one.
            coarse: int64 (B, H / coarse_factor, W / coarse_factor) in 0 … num_coarse_codes − 1; for a model with coarse
                codes, and only for one.
            return_nll: return −log p(codes | labels) in nats per grid instead, (B,), as ``nll`` does. What wraps a
                model (``DistributedDataParallel``, ``torch.compile``) sees only calls of the model itself; so it is
                trained by ``wrapper(codes, labels, return_nll=True)``.

        Raises:
            InputError: no codes, or codes or labels of another type, shape or range.
        """
        codes = int64_tensor("codes", codes, self.device)
        labels = self._as_labels(labels)
        coarse = self._as_coarse(coarse)
        self._check(codes, labels, coarse)
        logits = super().forward(codes, labels, coarse)
        return _nats_per_grid(logits, codes) if return_nll else logits

    def nll(self, codes: ArrayLike, labels: ArrayLike | None = None, coarse: ArrayLike | None = None) -> Tensor:
        """Return −log p(codes | labels), the negative log-likelihood of whole grids, in nats.

        Args:
            codes: int64 (B, H, W) in 0 … K − 1.
            labels: int64 (B,) in 0 … num_classes − 1; for a model with classes, and only for one.
            coarse: coarse codes, see ``forward``; for a model with them, and only for one.

        Returns:
            nats per grid (B,): the sum over its positions; in the precision of the model, but at least float32.

        Raises:
            InputError: no codes, or codes or labels of another type, shape or range.
        """
        return self(codes, labels, coarse, return_nll=True)

    def generate(
        self,
        start_sequence: ArrayLike | None = None,
        image_size: ImageSize | None = None,
        batch_size: int | None = None,
        labels: ArrayLike | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        known: ArrayLike | None = None,
        generator: torch.Generator | None = None,
        method: Literal["cached", "plain"] = "cached",
        coarse: ArrayLike | None = None,
    ) -> Tensor:
        """Draw grids of codes, int64 (B, H, W), on the model's device.

        Args:
            start_sequence: the first codes in raster order, (B, n), kept as given; or, with ``known``, full grids
                (B, H, W).
            image_size: height and width to draw, or one number for both; the model's own where None.
            batch_size: B; where None, that of ``start_sequence`` or ``labels``, or 1.
            labels: int64 (B,) in 0 … num_classes − 1; for a model with classes, and only for one.
            temperature: the logits are divided by it. 1 keeps the model's distribution, less sharpens it; 0 takes the
                most probable code.
            top_k: draw from the ``top_k`` most probable codes only; from all where None.
            top_p: draw only from the smallest set of most probable codes that together have at least this probability,
                after temperature and top-k; from all where None.
            known: bool (H, W) or (B, H, W): these codes of ``start_sequence`` stay, the rest is drawn. What stands
                where nothing is known is never looked at; it may be −1.
            generator: the source of randomness, on the model's device; torch's global one where None.
            method: "cached" keeps what earlier steps computed and draws a grid at about the cost of one forward pass;
                "plain" is one forward pass per code. Both draw the same from the same noise, up to rounding.
            coarse: coarse codes of the grids to draw, see ``forward``; for a model with them, and only for one.

        Each position of each grid has one random number, whatever is known and however the grids are shared out.
        Any number of grids will do: they are drawn in parts, so that memory stays bounded; the bar says in how many.
        Everything is computed in float32 at least, also inside ``torch.autocast`` and for a model in half precision:
        the codes are those that the same weights in float32 give.

        Raises:
            InputError: arguments that contradict each other, are out of range or of another type or shape; a generator
                of another kind of device; a model whose logits are no distribution, because its weights are not finite.
            KeyboardInterrupt: after Ctrl-C; the model is as it was before.
        """
        options = SamplingOptions(temperature, top_k, top_p)
        if method not in ("cached", "plain"):
            raise InputError(f"method must be 'cached' or 'plain', got {method!r}")
        device = self.device
        _check_generator(generator, device)
        codes, mask = self.start(start_sequence, image_size, batch_size, labels, known, coarse)
        labels, coarse = self._as_labels(labels), self._as_coarse(coarse)
        self._check(codes, labels, coarse)
        model = _without_half_precision(self)
        # The grids and the noise are made outside of inference mode, so the caller may use the codes for training too.
        uniform = torch.rand(codes.shape, generator=generator, device=device, dtype=model.embedding.weight.dtype)
        with in_eval_mode(model), torch.inference_mode(), autocast(device, torch.float32), full_precision():
            model._sample(codes, mask, labels, coarse, options, uniform, method)
        return codes

    def _sample(
        self,
        codes: Tensor,
        mask: Tensor,
        labels: Tensor | None,
        coarse: Tensor | None,
        options: SamplingOptions,
        uniform: Tensor,
        method: str,
    ) -> None:
        """Fill the grids in place, part by part; the parts are the same, whichever process draws them."""
        size = max(1, _CACHE_BYTES // cache_bytes(self, codes.shape[1:]))
        parts = [slice(first, first + size) for first in range(0, len(codes), size)]
        draws = sum(int((~mask[part]).any(dim=0).sum()) for part in parts) // count()
        description = "drawing codes" if len(parts) == 1 else f"drawing codes in {len(parts)} parts"
        with progress(None, description, total=draws, least=256) as bar:

            def draw(part: slice) -> Tensor:
                label, above = (None if given is None else given[part] for given in (labels, coarse))
                sampler: GridSampler = (
                    CachedSampler(self, label, len(codes[part]), codes.shape[1:], above)
                    if method == "cached"
                    else FullForwardSampler(self, label, above)
                )
                for _ in sample_grid(sampler, codes[part], mask[part], options, uniform[part]):
                    bar.update()
                return codes[part].cpu().clone()

            for part, drawn in zip(parts, in_order(draw, parts), strict=True):
                codes[part] = drawn.to(codes.device)

    def without_codebook(self) -> "PixelCNN":
        """Return a model that gives the same logits and is told no codebook.

        What the codebook's vectors add to the embedding and to the weights of the logits is the same for all grids, so
        it can be added once and for all: the vectors help only as long as a model is trained.
        """
        plain = deepcopy(self)
        if self.codebook_input is None:
            return plain
        with torch.no_grad():
            plain.embedding.weight.copy_(self.code_vectors())
            cast(Tensor, plain.head[-1].weight).copy_(self.logit_weights()[:, :, None, None])
        plain.codebook_input = plain.codebook_output = None
        del plain.codebook
        plain.config["code_dim"] = None
        return plain

    def matrices(self) -> list[nn.Parameter]:
        """Return the weights of the hidden layers that are matrices or kernels of convolutions, for Muon.

        Those that touch codes are not among them: the embedding, the head, and what the codebook's vectors go through.
        """
        outside = {*self.head, self.codebook_input, self.codebook_output}
        return [
            cast(nn.Parameter, layer.weight)
            for layer in self.modules()
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer not in outside and layer.weight.requires_grad
        ]


def _as_vqvae(given: VQVAE | Mapping[str, Any] | None) -> VQVAE | None:
    """A VQ-VAE of the configuration that was given, or what was given."""
    if given is None or isinstance(given, VQVAE):
        return given
    try:
        return VQVAE(**given)
    except TypeError as error:
        raise InputError(f"coarse_vqvae must be a VQVAE or the configuration of one, got {given!r}") from error


def _nats_per_grid(logits: Tensor, codes: Tensor) -> Tensor:
    """−log p (B,) of codes (B, H, W) under logits (B, K, H, W), at least float32."""
    by_position = logits.movedim(1, -1).flatten(0, 2)  # (B·H·W, K); no copy: the channels are last in memory
    at_least_float32 = by_position.to(torch.promote_types(logits.dtype, torch.float32))
    nats = F.cross_entropy(at_least_float32, codes.flatten(), reduction="none")
    return nats.view(codes.shape[0], -1).sum(1)


def _without_half_precision(model: PixelCNN) -> PixelCNN:
    """The model itself, or a copy of it in float32 if it is in half precision."""
    return model if model.embedding.weight.dtype in (torch.float32, torch.float64) else deepcopy(model).float()


def _check_generator(generator: torch.Generator | None, device: torch.device) -> None:
    if generator is None:
        return
    if not isinstance(generator, torch.Generator):
        raise InputError(
            f"generator must be a torch.Generator, such as torch.Generator().manual_seed(0), got {generator!r}"
        )
    # Not the number of the device: torch takes a generator of any GPU for any other.
    if generator.device.type != device.type:
        raise InputError(
            f"the generator is on {generator.device}, the model on {device}: use torch.Generator({device.type!r})"
        )
