"""The VQ-VAE: images to grids of codes, and grids of codes to images.

Van den Oord, Vinyals, Kavukcuoglu (2017), Neural Discrete Representation Learning, arXiv:1711.00937.

The encoder is local on purpose: strided convolutions and nothing else, so that a code describes its own few pixels.
An encoder that sees more packs the image into codes which no prior can predict: hardly less error, far more nats. The
residual blocks are in the decoder, where looking around costs the prior nothing.

For the same reason an image is continued beyond its border by the pixels at the border. Zeros there would give the same
background other codes at the border than in the middle, and a prior would have to learn where the border is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log2
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.models.other_quantizers import make_quantizer
from lpvq.models.saving import Pretrained
from lpvq.runtime import in_batches

_PIXELS_AT_ONCE = 2**17  # more at once would take more memory and no less time
_CONTINUED: Literal["replicate"] = "replicate"


@dataclass(frozen=True)
class VQVAEOutput:
    """What a call of ``VQVAE`` returns.

    Attributes:
        reconstruction: (B, C, H, W), not clamped, so that the gradient is right at the ends of [0, 1] too.
        codes: int64 (B, H / downsample, W / downsample).
        reconstruction_loss: mean squared error per pixel and channel. Divide it by the variance of the images (of the
            same scaling) to weigh it against the quantizer's loss.
        quantizer_loss: the weighted commitment term.
    """

    reconstruction: Tensor
    codes: Tensor
    reconstruction_loss: Tensor
    quantizer_loss: Tensor


class VQVAE(Pretrained):
    """Encoder, quantizer and decoder.

    Args:
        in_channels: C of the images, 1 or 3 (any number works).
        num_codes: K, the size of the codebook.
        code_dim: D, the length of a codebook entry.
        hidden_channels: the width of encoder and decoder.
        downsample: how many pixels a code stands for in each direction: 2, 4 or 8.
        encoder_blocks: residual blocks at the end of the encoder. Each lets a code describe pixels further away.
        decoder_blocks: residual blocks at the start of the decoder.
        quantizer: another than ``VectorQuantizer`` as it comes: see ``lpvq.models.other_quantizers.make_quantizer``.
    """

    FILE = "vqvae.pt"

    def __init__(
        self,
        in_channels: int,
        num_codes: int,
        code_dim: int,
        hidden_channels: int,
        downsample: int = 4,
        encoder_blocks: int = 0,
        decoder_blocks: int = 2,
        quantizer: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if downsample not in (2, 4, 8):
            raise InputError(f"downsample must be 2, 4 or 8, got {downsample}")
        if min(encoder_blocks, decoder_blocks) < 0:
            raise InputError(
                f"encoder_blocks and decoder_blocks must be at least 0, got {encoder_blocks} and {decoder_blocks}"
            )
        self.config: dict[str, Any] = {
            "in_channels": in_channels,
            "num_codes": num_codes,
            "code_dim": code_dim,
            "hidden_channels": hidden_channels,
            "downsample": downsample,
            "encoder_blocks": encoder_blocks,
            "decoder_blocks": decoder_blocks,
            "quantizer": dict(quantizer or {}),
        }
        self.in_channels = in_channels
        self.downsample = downsample
        self.encoder = encoder(in_channels, code_dim, hidden_channels, downsample, encoder_blocks)
        self.quantizer = make_quantizer(num_codes, code_dim, self.config["quantizer"])
        self.decoder = decoder(in_channels, code_dim, hidden_channels, downsample, decoder_blocks)

    def forward(self, images: Tensor) -> VQVAEOutput:
        """Reconstruct ``images``, float32 in [0, 1], (B, C, H, W); in training mode the codebook learns.

        Raises:
            InputError: another type, shape or range, NaN or infinity.
        """
        self._check(images)
        quantized = self.quantizer(self.encoder(_channels_last(images)))
        reconstruction = self.decoder(quantized.vectors)
        error = F.mse_loss(reconstruction.float(), images)
        return VQVAEOutput(reconstruction, quantized.codes, error, quantized.loss)

    def encode(self, images: Tensor) -> Tensor:
        """Return the codes, int64 (B, H / downsample, W / downsample), of ``images`` as in ``forward``.

        Nothing is learned, whatever the mode. Any number of images: they are taken in batches.
        """
        self._check(images)
        return self._in_batches(lambda batch: self.quantizer.assign(self.encoder(_channels_last(batch))), images)

    def decode(self, codes: Tensor) -> Tensor:
        """Return images, float32 in [0, 1], (B, C, H · downsample, W · downsample), for ``codes`` int64 (B, H, W).

        Any number of grids, of any size: they are taken in batches.

        Raises:
            InputError: ``codes`` are not (B, H, W), not int64 or out of range.
        """
        if codes.ndim != 3:
            raise InputError(f"expected codes of shape (B, H, W), got {tuple(codes.shape)}")
        pixels = self.downsample**2
        return self._in_batches(lambda batch: self.decoder(self.quantizer.lookup(batch)).clamp_(0, 1), codes, pixels)

    def _in_batches(self, function: Callable[[Tensor], Tensor], items: Tensor, pixels: int = 1) -> Tensor:
        """Apply ``function`` to ``items``, (N, …, H, W), where each position makes or comes from ``pixels``."""
        size = items.shape[-2] * items.shape[-1] * pixels
        with torch.inference_mode():
            parts = [function(items[batch]) for batch in in_batches(len(items), size, _PIXELS_AT_ONCE)]
        return torch.cat(parts)  # out here, so that the result may be used in training

    def _check(self, images: Tensor) -> None:
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise InputError(f"expected images of shape (B, {self.in_channels}, H, W), got {tuple(images.shape)}")
        if len(images) == 0:
            raise InputError("expected at least one image, got none")
        height, width = images.shape[2:]
        if height % self.downsample or width % self.downsample:
            raise InputError(f"height and width must be multiples of {self.downsample}, got {height} × {width}")
        if not images.is_floating_point():
            raise InputError(f"images must be floats in [0, 1], got {images.dtype}: divide by 255 first")
        if images.dtype != (expected := next(self.parameters()).dtype):
            raise InputError(f"images must be {expected} as the model, got {images.dtype}")
        lowest, highest = images.aminmax()
        if not (lowest >= 0 and highest <= 1):  # NaN fails this too
            raise InputError(f"images must be in [0, 1] and finite, got {lowest.item():.3g} … {highest.item():.3g}")


class ResidualBlock(nn.Module):
    """x + f(x), with f = ReLU, 3×3 convolution, ReLU, 1×1 convolution (section 4.1 of the paper)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),  # not in place: x itself is needed for the sum
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode=_CONTINUED),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``, (B, channels, H, W)."""
        return x + self.layers(x)


class Upsampling(nn.ConvTranspose2d):
    """A transposed convolution to twice the height and width, whose input is continued beyond its border."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        # One more row and column around the input make two more around the output, which the padding takes off.
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1 + 2)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """(B, in, H, W) to (B, out, 2H, 2W)."""
        return super().forward(F.pad(x, (1, 1, 1, 1), mode=_CONTINUED))


def encoder(
    in_channels: int, code_dim: int, hidden_channels: int, downsample: int, residual_blocks: int = 0
) -> nn.Sequential:
    """Images (B, C, H, W) to vectors (B, D, H / downsample, W / downsample): one strided convolution per halving."""
    layers: list[nn.Module] = []
    channels = in_channels
    for _ in range(_halvings(downsample)):
        layers += [nn.Conv2d(channels, hidden_channels, 4, stride=2, padding=1, padding_mode=_CONTINUED), nn.ReLU()]
        channels = hidden_channels
    layers += [ResidualBlock(channels) for _ in range(residual_blocks)]
    return nn.Sequential(*layers, nn.Conv2d(channels, code_dim, 1))


def decoder(
    in_channels: int, code_dim: int, hidden_channels: int, downsample: int, residual_blocks: int = 2
) -> nn.Sequential:
    """Vectors (B, D, H, W) to images (B, C, H · downsample, W · downsample), not clamped."""
    layers: list[nn.Module] = [nn.Conv2d(code_dim, hidden_channels, 3, padding=1, padding_mode=_CONTINUED)]
    layers += [ResidualBlock(hidden_channels) for _ in range(residual_blocks)]
    channels = hidden_channels
    for _ in range(_halvings(downsample) - 1):
        layers += [nn.ReLU(), Upsampling(channels, hidden_channels)]
    layers += [nn.ReLU(), Upsampling(channels, in_channels)]
    return nn.Sequential(*layers)


def _channels_last(images: Tensor) -> Tensor:
    """The same images in the layout in memory that convolutions are faster in."""
    return images.contiguous(memory_format=torch.channels_last)


def _halvings(downsample: int) -> int:
    return int(log2(downsample))
