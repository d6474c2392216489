"""The VQ-VAE: images to grids of codes, and grids of codes to images.

Van den Oord, Vinyals, Kavukcuoglu (2017), Neural Discrete Representation Learning, arXiv:1711.00937.

The encoder is local on purpose: strided convolutions and nothing else, so that a code describes its own few pixels.
An encoder that sees more puts distant pixels into its codes, which are then harder to predict. The residual blocks are
in the decoder, where looking around costs the prior nothing.

For the same reason an image is continued beyond its border by the pixels at the border. Zeros there would give the same
background different codes at the border and in the middle, and a prior would have to learn where the border is.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import log2
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.models.checks import check_tensor, whole_number
from lpvq.models.other_quantizers import make_quantizer
from lpvq.models.quantizer import VectorQuantizer
from lpvq.models.saving import Pretrained
from lpvq.runtime import full_precision, in_batches

_PIXELS_AT_ONCE = 2**17  # more at once would take more memory and no less time
_MOST_BLOCKS = 1000  # more is a mistake, and would take minutes to build before anyone sees it
_CONTINUED: Literal["replicate"] = "replicate"


@dataclass(frozen=True, eq=False)
class VQVAEOutput:
    """What a call of ``VQVAE`` returns.

    Attributes:
        reconstruction: (B, C, H, W) in the type of the images; not clamped to [0, 1], so that the gradient is right at
            its ends too.
        codes: int64 (B, H / downsample, W / downsample), each in 0 … K − 1.
        reconstruction_loss: mean squared error per pixel and channel, a scalar. Divide it by the variance of the images
            (of the same scaling) to weigh it against the quantizer's loss.
        quantizer_loss: what the quantizer adds, a scalar: for a ``VectorQuantizer``, the weighted commitment term.
    """

    reconstruction: Tensor
    codes: Tensor
    reconstruction_loss: Tensor
    quantizer_loss: Tensor


torch.export.register_dataclass(VQVAEOutput, serialized_type_name="lpvq.VQVAEOutput")


class VQVAE(Pretrained):
    """Encoder, quantizer and decoder.

    Images are float32, and so is what is computed; cast as a whole (``double()``, ``to(torch.bfloat16)``), a VQ-VAE
    takes and gives images of that type. Only the quantizer never computes in less than float32.

    Args:
        in_channels: C of the images, 1 or 3 (any number works).
        num_codes: K, the size of the codebook.
        code_dim: D, the length of a codebook entry.
        hidden_channels: the width of encoder and decoder.
        downsample: how many pixels a code stands for in each direction: 2, 4 or 8.
        encoder_blocks: residual blocks at the end of the encoder, 0 or more. Each lets a code describe pixels further
            away.
        decoder_blocks: residual blocks at the start of the decoder, 0 or more.
        quantizer: the settings of another quantizer than a ``VectorQuantizer`` with its defaults: its ``kind`` ("ema",
            "gradient", "normalised", "entropy-constrained" or "fsq") and the arguments of that kind's class, see
            ``lpvq.models.other_quantizers``.

    Attributes:
        config: these arguments, in plain Python values.
        encoder: images (B, C, H, W) to vectors (B, D, H / downsample, W / downsample).
        quantizer: vectors to codes and back.
        decoder: vectors to images, not clamped.

    Raises:
        InputError: a size that is no whole number or too small, or settings that no quantizer takes.
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
        self.in_channels = whole_number("in_channels", in_channels)
        num_codes, code_dim = whole_number("num_codes", num_codes), whole_number("code_dim", code_dim)
        hidden_channels = whole_number("hidden_channels", hidden_channels)
        self.downsample = whole_number("downsample", downsample)
        if self.downsample not in (2, 4, 8):
            raise InputError(f"downsample must be 2, 4 or 8, got {downsample}")
        encoder_blocks, decoder_blocks = _blocks("encoder", encoder_blocks), _blocks("decoder", decoder_blocks)
        self.config: dict[str, Any] = {
            "in_channels": self.in_channels,
            "num_codes": num_codes,
            "code_dim": code_dim,
            "hidden_channels": hidden_channels,
            "downsample": self.downsample,
            "encoder_blocks": encoder_blocks,
            "decoder_blocks": decoder_blocks,
            "quantizer": _plain(quantizer),
        }
        self.encoder = encoder(self.in_channels, code_dim, hidden_channels, self.downsample, encoder_blocks)
        self.quantizer = make_quantizer(num_codes, code_dim, self.config["quantizer"])
        self.decoder = decoder(self.in_channels, code_dim, hidden_channels, self.downsample, decoder_blocks)

    def forward(self, images: Tensor) -> VQVAEOutput:
        """Reconstruct images; in training mode, the codebook learns from them.

        Args:
            images: float32 (or what the model was cast to) in [0, 1], (B, C, H, W); H and W are multiples of
                ``downsample``.

        Returns:
            the reconstruction, the codes and the two terms of the loss.

        Raises:
            InputError: another type, shape or range, no images, NaN or infinity.
        """
        self._check(images)
        quantized = self.quantizer(self.encoder(_channels_last(images)))
        # Autocast computes in bfloat16; what is returned has the type of the images all the same.
        reconstruction = self._decode(quantized.vectors).to(images.dtype)
        wide = torch.promote_types(images.dtype, torch.float32)  # squares are not summed in half precision
        error = F.mse_loss(reconstruction.to(wide), images.to(wide))
        return VQVAEOutput(reconstruction, quantized.codes, error, quantized.loss)

    def encode(self, images: Tensor) -> Tensor:
        """Return the codes of images, and learn nothing, whatever the mode.

        The encoder runs in full precision, whatever torch is told about products and convolutions, so that the same
        images have the same codes everywhere (autocast is obeyed). Any number will do: they are taken in batches.

        Args:
            images: float32 (or what the model was cast to) in [0, 1], (B, C, H, W); H and W are multiples of
                ``downsample``.

        Returns:
            int64 (B, H / downsample, W / downsample), each in 0 … K − 1.

        Raises:
            InputError: another type, shape or range, no images, NaN or infinity.
        """
        self._check(images)
        with full_precision():
            return self._in_batches(lambda batch: self.quantizer.assign(self.encoder(_channels_last(batch))), images)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the images that grids of codes stand for: any number of grids of any size, taken in batches.

        Args:
            codes: int64 (B, H, W), each in 0 … K − 1.

        Returns:
            float32 (or what the model was cast to) in [0, 1], (B, C, H · downsample, W · downsample).

        Raises:
            InputError: ``codes`` are not (B, H, W), not int64, out of range, or none at all.
        """
        check_tensor("codes", codes)
        if codes.ndim != 3:
            raise InputError(f"expected codes of shape (B, H, W), got {tuple(codes.shape)}")
        if not torch.compiler.is_compiling() and codes.numel() == 0:
            raise InputError(f"expected at least one code, got none: the shape is {tuple(codes.shape)}")
        pixels = self.downsample**2
        return self._in_batches(lambda batch: self._images(self.quantizer.lookup(batch)), codes, pixels)

    @contextmanager
    def one_batch(self, images: Iterable[Tensor], fast: bool = False) -> Iterator[None]:
        """Have the codebook learn from all images that are given inside as from one batch: once, at the end.

        Args:
            images: the parts of the batch, (B, C, H, W) each, all of the same size; see ``VectorQuantizer.one_batch``.
            fast: see ``lpvq.distributed.sum_in_order``.
        """
        if not isinstance(self.quantizer, VectorQuantizer):  # it learns by gradient, or not at all
            yield
            return
        vectors = (self.encoder(_channels_last(part)) for part in images)  # computed only if they are asked for
        with self.quantizer.one_batch(vectors, fast):
            yield

    def matrices(self) -> list[nn.Parameter]:
        """Return the kernels of the convolutions between features, for Muon.

        Those that touch pixels are not among them: the first of the encoder, and the last of the decoder.
        """
        kernels = [
            cast(nn.Parameter, layer.weight)
            for layer in [*self.encoder.modules(), *self.decoder.modules()]
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        ]
        return kernels[1:-1]

    def extra_repr(self) -> str:
        """What ``print`` shows before the parts."""
        return f"downsample={self.downsample}"

    def _decode(self, vectors: Tensor) -> Tensor:
        """What the decoder makes of a quantizer's vectors, which may be wider than its own type."""
        return self.decoder(vectors.to(self._type))

    def _images(self, vectors: Tensor) -> Tensor:
        """The images (B, C, H, W) of vectors, in [0, 1], in the type of the weights."""
        return self._decode(vectors).to(self._type).clamp_(0, 1)

    @property
    def _type(self) -> torch.dtype:
        """The type of images and of all weights outside the quantizer."""
        return next(self.encoder.parameters()).dtype

    def _in_batches(self, function: Callable[[Tensor], Tensor], items: Tensor, pixels: int = 1) -> Tensor:
        """Apply ``function`` to ``items``, (N, …, H, W), where each position makes or comes from ``pixels``."""
        if torch.compiler.is_compiling():  # how many there are is not known in there
            return function(items)
        size = items.shape[-2] * items.shape[-1] * pixels
        with torch.inference_mode():
            parts = [function(items[batch]) for batch in in_batches(len(items), size, _PIXELS_AT_ONCE)]
        return torch.cat(parts)  # out here, so that the result may be used in training

    def _check(self, images: Tensor) -> None:
        if torch.compiler.is_compiling():  # values cannot be looked at in there
            return
        check_tensor("images", images)
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise InputError(f"expected images of shape (B, {self.in_channels}, H, W), got {tuple(images.shape)}")
        if len(images) == 0:
            raise InputError("expected at least one image, got none")
        height, width = images.shape[2:]
        if height < 1 or width < 1 or height % self.downsample or width % self.downsample:
            raise InputError(f"height and width must be multiples of {self.downsample}, got {height} × {width}")
        if not images.is_floating_point():
            raise InputError(f"images must be floats in [0, 1], got {images.dtype}: divide by 255 first")
        if images.dtype != self._type:
            raise InputError(f"images must be {self._type} as the model, got {images.dtype}")
        lowest, highest = images.aminmax()
        if not (lowest >= 0 and highest <= 1):  # NaN fails this too
            raise InputError(f"images must be in [0, 1] and finite, got {lowest.item():.3g} … {highest.item():.3g}")


def _blocks(where: str, number: int) -> int:
    """A number of residual blocks as an int; ``InputError`` if it is not one."""
    number = whole_number(f"{where}_blocks", number, least=0)
    if number > _MOST_BLOCKS:
        raise InputError(f"{where}_blocks must be at most {_MOST_BLOCKS}, got {number}")
    return number


def _plain(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings as JSON would give them back: numbers of numpy become numbers, arrays and tuples become lists."""
    try:
        plain = json.loads(json.dumps(dict(settings or {}), default=lambda value: value.tolist()))
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"a quantizer's settings are names with numbers or texts, got {settings!r}") from error
    return plain


class ResidualBlock(nn.Module):
    """x + f(x), with f = ReLU, 3×3 convolution, ReLU, 1×1 convolution (section 4.1 of the paper).

    Args:
        channels: of the input, and of the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.ReLU(),  # not in place: x itself is needed for the sum
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode=_CONTINUED),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``, (B, channels, H, W)."""
        return x + self.layers(x)

    def extra_repr(self) -> str:
        """What ``print`` shows before the layers."""
        return f"channels={self.channels}"


class Upsampling(nn.ConvTranspose2d):
    """A transposed convolution to twice the height and width, whose input is continued beyond its border.

    Args:
        in_channels: channels in.
        out_channels: channels out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        # One more row and column around the input make two more around the output, which the padding takes off.
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1 + 2)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Return a tensor (B, out_channels, 2H, 2W) for ``x`` (B, in_channels, H, W)."""
        return super().forward(F.pad(x, (1, 1, 1, 1), mode=_CONTINUED))


def encoder(
    in_channels: int, code_dim: int, hidden_channels: int, downsample: int, residual_blocks: int = 0
) -> nn.Sequential:
    """Return a network from images to vectors: one strided convolution per halving.

    Args:
        in_channels: C of the images.
        code_dim: D, the length of a vector.
        hidden_channels: the width of the layers between.
        downsample: how many pixels a vector stands for in each direction: 2, 4 or 8.
        residual_blocks: how many follow the strided convolutions.

    Returns:
        (B, C, H, W) to (B, D, H / downsample, W / downsample).
    """
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
    """Return a network from vectors to images: one transposed convolution per doubling.

    Args:
        in_channels: C of the images, which this network returns.
        code_dim: D, the length of a vector.
        hidden_channels: the width of the layers between.
        downsample: how many pixels a vector stands for in each direction: 2, 4 or 8.
        residual_blocks: how many come before the transposed convolutions.

    Returns:
        (B, D, H, W) to (B, C, H · downsample, W · downsample), not clamped to [0, 1].
    """
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
    """How often a side is halved: 1, 2 or 3 times for 2, 4 or 8."""
    return int(log2(downsample))
