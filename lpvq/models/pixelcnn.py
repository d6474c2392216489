"""The gated PixelCNN: a distribution over grids of codes, one code after another.

    p(codes) = ∏ p(code i | the codes before i in raster order)

Van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks, arXiv:1601.06759. The network that
gives the factors is in ``lpvq.models.gated``; ``lpvq.models.cached_sampler`` runs it one code at a time.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.errors import InputError
from lpvq.models.cached_sampler import CachedSampler, cache_bytes
from lpvq.models.checks import check_codes
from lpvq.models.gated import Stacks
from lpvq.models.sampling import FullForwardSampler, GridSampler, SamplingOptions, sample_grid
from lpvq.models.saving import Pretrained
from lpvq.runtime import in_eval_mode, progress

ImageSize = int | tuple[int, int]
# Grids are drawn in parts whose caches together stay below this. More would not be faster.
_CACHE_BYTES = 128 * 2**20


class PixelCNN(Stacks, Pretrained):
    """A gated PixelCNN over grids of codes.

    Args:
        latent_dim: K, the number of distinct codes.
        image_size: height and width of the grids, or one number for both: what ``generate`` draws unless told
            otherwise. The model itself takes grids of any size.
        num_blocks: number of gated blocks. Each lets a position see ``kernel_size // 2`` rows further.
        kernel_size: odd, at least 3.
        hidden_channels: C, the width of both stacks.
        num_classes: for a model of p(codes | label); None for p(codes).
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
    ) -> None:
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise InputError(f"kernel_size must be odd and at least 3, got {kernel_size}")
        if min(latent_dim, num_blocks, hidden_channels, 1 if num_classes is None else num_classes) < 1:
            raise InputError(
                "latent_dim, num_blocks, hidden_channels and num_classes must be at least 1, "
                f"got {latent_dim}, {num_blocks}, {hidden_channels} and {num_classes}"
            )
        super().__init__(latent_dim, num_blocks, kernel_size, hidden_channels, num_classes)
        self.latent_dim = latent_dim
        self.image_size = height_and_width(image_size)
        self.num_classes = num_classes
        self.config: dict[str, Any] = {
            "latent_dim": latent_dim,
            "image_size": self.image_size,
            "num_blocks": num_blocks,
            "kernel_size": kernel_size,
            "hidden_channels": hidden_channels,
            "num_classes": num_classes,
        }

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (B, K, H, W) for each code given the codes before it (and the label).

        Args:
            codes: int64 (B, H, W) in 0 … K − 1.
            labels: int64 (B,) in 0 … num_classes − 1; for a model with classes, and only for one.

        Raises:
            InputError: codes or labels of another type, shape or range.
        """
        self._check(codes, labels)
        return super().forward(codes, labels)

    def nll(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return −log p(codes | labels) in nats per grid, float32 (B,); arguments as for ``forward``."""
        logits = self(codes, labels)
        by_position = logits.movedim(1, -1).reshape(-1, self.latent_dim)  # no copy: the channels are last in memory
        nats = F.cross_entropy(by_position.float(), codes.flatten(), reduction="none")
        return nats.view(len(codes), -1).sum(1)

    def generate(
        self,
        start_sequence: Tensor | None = None,
        image_size: ImageSize | None = None,
        batch_size: int | None = None,
        labels: Tensor | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        known: Tensor | None = None,
        generator: torch.Generator | None = None,
        method: Literal["cached", "plain"] = "cached",
    ) -> Tensor:
        """Draw grids of codes, int64 (B, H, W).

        Args:
            start_sequence: the first codes in raster order, (B, n), kept as given; or, with ``known``, full grids
                (B, H, W).
            image_size: height and width to draw, or one number for both; the model's own where None.
            batch_size: B; where None, that of ``start_sequence`` or ``labels``, or 1.
            labels: int64 (B,), for a model with classes.
            temperature: see ``SamplingOptions``, as for ``top_k`` and ``top_p``.
            top_k: only the most probable codes.
            top_p: only the most probable codes that together reach this probability.
            known: bool (H, W) or (B, H, W): these codes of ``start_sequence`` stay, the rest is drawn. What stands
                where nothing is known is never looked at; it may be −1.
            generator: the source of randomness, on the model's device; torch's global one where None.
            method: "cached" keeps what earlier steps computed and draws a grid at about the cost of one forward pass;
                "plain" is one forward pass per code. Both draw the same from the same noise, up to rounding.

        Each position of each grid has one random number, whatever is known and however the grids are shared out.
        Any number of grids: they are drawn in parts, so that memory stays bounded, and the bar says in how many.

        Raises:
            InputError: arguments that contradict each other, are out of range or of another shape.
            KeyboardInterrupt: after Ctrl-C; the model is as it was before.
        """
        options = SamplingOptions(temperature, top_k, top_p)
        if method not in ("cached", "plain"):
            raise InputError(f"method must be 'cached' or 'plain', got {method!r}")
        labels = None if labels is None else labels.to(self.embedding.weight.device)
        codes, mask = self._start(start_sequence, image_size, batch_size, labels, known)
        self._check(codes, labels)
        weight = self.embedding.weight
        # The grids and the noise are made outside of inference mode, so the caller may use the codes for training too.
        uniform = torch.rand(codes.shape, generator=generator, device=weight.device, dtype=weight.dtype)
        with in_eval_mode(self), torch.inference_mode():
            self._sample(codes, mask, labels, options, uniform, method)
        return codes

    def _sample(
        self,
        codes: Tensor,
        mask: Tensor,
        labels: Tensor | None,
        options: SamplingOptions,
        uniform: Tensor,
        method: str,
    ) -> None:
        """Fill the grids in place, part by part."""
        size = max(1, _CACHE_BYTES // cache_bytes(self, codes.shape[2]))
        parts = [slice(first, first + size) for first in range(0, len(codes), size)]
        draws = sum(int((~mask[part]).any(dim=0).sum()) for part in parts)
        description = "drawing codes" if len(parts) == 1 else f"drawing codes in {len(parts)} parts"
        with progress(None, description, total=draws, least=256) as bar:
            for part in parts:
                given = None if labels is None else labels[part]
                sampler: GridSampler = (
                    CachedSampler(self, given, len(codes[part]), codes.shape[2])
                    if method == "cached"
                    else FullForwardSampler(self, given)
                )
                for _ in sample_grid(sampler, codes[part], mask[part], options, uniform[part]):
                    bar.update()

    def _start(
        self,
        start_sequence: Tensor | None,
        image_size: ImageSize | None,
        batch_size: int | None,
        labels: Tensor | None,
        known: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return the grids to fill, (B, H, W) with 0 where nothing is known, and the mask of what is known."""
        if known is not None and (start_sequence is None or start_sequence.ndim != 3):
            raise InputError("known needs start_sequence to be full grids of shape (B, H, W)")
        if start_sequence is not None and start_sequence.ndim != (2 if known is None else 3):
            raise InputError(
                "start_sequence must have shape (B, n), or (B, H, W) together with known; "
                f"got {tuple(start_sequence.shape)}"
            )
        batch = _number_of_grids(
            {
                "start_sequence": None if start_sequence is None else len(start_sequence),
                "labels": None if labels is None else len(labels),
                "batch_size": batch_size,
            }
        )
        device = self.embedding.weight.device
        if known is not None and start_sequence is not None:
            return _keep_known(start_sequence.to(device), known.to(device), image_size)
        height, width = self.image_size if image_size is None else height_and_width(image_size)
        sequence = torch.empty(batch, 0, dtype=torch.int64) if start_sequence is None else start_sequence
        return _keep_first(sequence.to(device), height, width)

    def _check(self, codes: Tensor, labels: Tensor | None) -> None:
        if torch.compiler.is_compiling():  # values cannot be looked at in there
            return
        if codes.ndim != 3:
            raise InputError(f"expected codes of shape (B, H, W), got {tuple(codes.shape)}")
        check_codes(codes, self.latent_dim)
        if self.num_classes is None:
            if labels is not None:
                raise InputError("this model has no classes: leave labels out")
            return
        if labels is None:
            raise InputError(f"this model draws given a label: give labels of shape ({len(codes)},)")
        if labels.dtype != torch.int64 or labels.shape != codes.shape[:1]:
            raise InputError(
                f"labels must be int64 of shape ({len(codes)},), got {labels.dtype} of shape {tuple(labels.shape)}"
            )
        if labels.numel() and (labels.min() < 0 or labels.max() >= self.num_classes):
            raise InputError(
                f"labels must be in 0 … {self.num_classes - 1}, got {labels.min().item()} … {labels.max().item()}"
            )


def _number_of_grids(given: dict[str, int | None]) -> int:
    """Return the number that all who name one agree on, 1 if nobody does."""
    named = {name: number for name, number in given.items() if number is not None}
    if len(set(named.values())) > 1:
        raise InputError(f"these must agree on the number of grids: {named}")
    number = next(iter(named.values()), 1)
    if number < 1:
        raise InputError(f"the number of grids must be at least 1, got {number}")
    return number


def _keep_known(grids: Tensor, known: Tensor, image_size: ImageSize | None) -> tuple[Tensor, Tensor]:
    """Grids (B, H, W) without what is not known, and the mask for each of them."""
    batch, height, width = grids.shape
    if image_size is not None and height_and_width(image_size) != (height, width):
        raise InputError(f"start_sequence is {height} × {width}, but image_size is {image_size}")
    if known.dtype != torch.bool or known.shape not in ((height, width), grids.shape):
        raise InputError(
            f"known must be bool of shape ({height}, {width}) or ({batch}, {height}, {width}), "
            f"got {known.dtype} of shape {tuple(known.shape)}"
        )
    mask = known.expand(grids.shape)
    return grids.masked_fill(~mask, 0), mask


def _keep_first(sequence: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Grids that begin with the codes of ``sequence`` (B, n), and the mask for each of them."""
    batch, length = sequence.shape
    if length > height * width:
        raise InputError(f"start_sequence has {length} codes, a grid of {height} × {width} only {height * width}")
    codes = F.pad(sequence, (0, height * width - length)).view(batch, height, width)
    mask = torch.arange(height * width, device=sequence.device) < length
    return codes, mask.view(height, width).expand(codes.shape)


def height_and_width(size: ImageSize) -> tuple[int, int]:
    """Return (H, W) of a size given as one number or as a pair; ``InputError`` if not positive whole numbers."""
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(length, int) and length >= 1 for length in pair):
        raise InputError(f"a size is a positive whole number or a pair of them, got {size!r}")
    return pair
