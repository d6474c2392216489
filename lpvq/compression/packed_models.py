"""A whole-number prior and the decoder of a VQ-VAE as few bytes: what a file needs to be decompressed by itself.

Each weight of the decoder is a small whole number times a step, one step for each of the first index of its tensor. Of
all tensors the lowest bytes of all numbers come first, then the next ones, and LZMA makes of them what it can. What is
read is numbers alone; nothing is run.
"""

import json
import lzma
import math
import struct
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.models.vqvae import VQVAE, decoder
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.runtime import in_batches

_BITS = range(6, 17)
_NEAR = 0.5 / 255  # half of what pictures may differ by: those that were not looked at may differ a little more
_PIXELS_AT_ONCE = 2**17
_LARGEST = 2**28  # bytes of models
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 0, "pb": 0}]  # numbers have no words
_LARGEST_NUMBER, _MOST_BLOCKS = 2**20, 1000  # in a configuration
_LENGTH = struct.Struct("<I")
_WHOLE = ("|i1", "<i2", "<i4")
_STEPS = " steps"
_DECODER = ("num_codes", "in_channels", "code_dim", "hidden_channels", "downsample", "decoder_blocks")

Array = NDArray[Any]


class PictureDecoder(nn.Module):
    """The half of a VQ-VAE that makes pictures of codes.

    Args:
        num_codes: K.
        in_channels: of the pictures.
        code_dim: D, the length of a code's vector.
        hidden_channels: the width.
        downsample: how many pixels a code stands for in each direction.
        decoder_blocks: residual blocks.

    Attributes:
        vectors: what the codes stand for, (K, D).
        layers: vectors to pictures.
    """

    vectors: Tensor

    def __init__(
        self,
        num_codes: int,
        in_channels: int,
        code_dim: int,
        hidden_channels: int,
        downsample: int,
        decoder_blocks: int,
    ) -> None:
        super().__init__()
        self.in_channels, self.downsample = in_channels, downsample
        self.register_buffer("vectors", torch.zeros(num_codes, code_dim))
        self.layers = decoder(in_channels, code_dim, hidden_channels, downsample, decoder_blocks)

    @classmethod
    def of(cls, vqvae: VQVAE) -> "PictureDecoder":
        """Return that of a VQ-VAE, a copy on the CPU."""
        made = cls(**{name: vqvae.config[name] for name in _DECODER})
        codes = torch.arange(vqvae.config["num_codes"], device=next(vqvae.decoder.parameters()).device)
        made.vectors.copy_(vqvae.quantizer.lookup(codes.view(1, 1, -1))[0, :, 0].T)
        made.layers.load_state_dict(vqvae.decoder.state_dict())
        return made.requires_grad_(False).eval()

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Return the pictures (B, C, H · downsample, W · downsample), in [0, 1], of codes, int64 (B, H, W)."""
        size = codes[0].numel() * self.downsample**2
        parts = [
            self.layers(self.vectors[codes[batch]].movedim(-1, 1)).clamp_(0, 1)
            for batch in in_batches(len(codes), size, _PIXELS_AT_ONCE)
        ]
        return torch.cat(parts)


def pack_models(prior: WholeNumberPixelCNN, vqvae: VQVAE, codes: Tensor) -> bytes:
    """Return both models as bytes.

    The prior is packed as it is. The decoder gets as few bits as keep the pictures of ``codes``, before they are
    rounded, within half a shade of 255.

    Args:
        prior: of the codes.
        vqvae: that decodes them.
        codes: some of those that it will be used for, int64 (B, H, W).
    """
    exact = PictureDecoder.of(vqvae)
    pictures = exact.decode(codes)
    for bits in _BITS:
        arrays = _rounded(exact, bits)
        if (_with(exact, arrays).decode(codes) - pictures).abs().max() <= _NEAR:
            break
    arrays |= {f"prior.{name}": _narrow(tensor.cpu().numpy()) for name, tensor in prior.state_dict().items()}
    about = {
        "prior": prior.config,
        "decoder": {name: vqvae.config[name] for name in _DECODER},
        "kinds": [array.dtype.str for array in arrays.values()],
    }
    described = json.dumps(about, separators=(",", ":")).encode()
    content = _LENGTH.pack(len(described)) + described + b"".join(map(_planes, arrays.values()))
    return lzma.compress(content, lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=_FILTERS)


def unpack_models(content: bytes) -> tuple[WholeNumberPixelCNN, PictureDecoder]:
    """Return the models, in eval mode, on the CPU.

    Args:
        content: what ``pack_models`` returned.

    Raises:
        InputError: anything else.
    """
    try:
        return _unpack(content)
    # What somebody has made up makes constructors raise almost anything: sizes that overflow, texts that are no sizes.
    except Exception as error:
        raise InputError(f"its models cannot be read: {' '.join(str(error).split())}") from error


def _unpack(packed: bytes) -> tuple[WholeNumberPixelCNN, PictureDecoder]:
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LARGEST)
    content = unpacker.decompress(packed, _LARGEST)
    if not unpacker.eof or unpacker.unused_data:
        raise InputError("they do not end where they should")
    start = _LENGTH.size + _LENGTH.unpack_from(content)[0]
    about = json.loads(content[_LENGTH.size : start])
    numbers = [number for part in ("prior", "decoder") for number in about[part].values() if isinstance(number, int)]
    if max(numbers) > _LARGEST_NUMBER or about["prior"]["num_blocks"] > _MOST_BLOCKS:
        raise InputError("they are larger than any that are trained")
    with torch.device("meta"):  # no memory, so that a wrong size costs nothing
        outlines = PictureDecoder(**about["decoder"]), WholeNumberPixelCNN(**about["prior"])
    shapes = _decoder_shapes(outlines[0])
    shapes |= {f"prior.{name}": tuple(tensor.shape) for name, tensor in outlines[1].state_dict().items()}
    arrays = _arrays(content[start:], shapes, about["kinds"])
    prior = WholeNumberPixelCNN(**about["prior"])
    for name, tensor in prior.state_dict().items():
        tensor.copy_(torch.from_numpy(arrays[f"prior.{name}"]))
        if not tensor.isfinite().all():
            raise InputError(f"{name} holds NaN or infinity")
    prior.check_sums()
    return prior.eval(), _with(PictureDecoder(**about["decoder"]), arrays)


def _rounded(model: PictureDecoder, bits: int) -> dict[str, Array]:
    """The tensors of a decoder as whole numbers of so many bits and their steps; vectors such as biases as they are."""
    arrays: dict[str, Array] = {}
    for name, tensor in model.state_dict().items():
        if tensor.ndim == 1:
            arrays[name] = tensor.numpy().astype("<f4")
            continue
        steps = tensor.flatten(1).abs().amax(1).clamp(min=1e-30) / (2 ** (bits - 1) - 1)
        arrays[name + _STEPS] = steps.numpy().astype("<f4")
        arrays[name] = _narrow((tensor / steps.view(-1, *[1] * (tensor.ndim - 1))).round().short().numpy())
    return arrays


def _with(model: PictureDecoder, arrays: Mapping[str, Array]) -> PictureDecoder:
    """A copy of a decoder, with the tensors that ``_rounded`` gave."""
    made = deepcopy(model).requires_grad_(False).eval()
    for name, tensor in made.state_dict().items():
        values = torch.from_numpy(arrays[name]).to(tensor.dtype)
        if tensor.ndim > 1:
            values = values * torch.from_numpy(arrays[name + _STEPS]).view(-1, *[1] * (tensor.ndim - 1))
        tensor.copy_(values)
        if not tensor.isfinite().all():
            raise InputError(f"{name} holds NaN or infinity")
    return made


def _decoder_shapes(model: PictureDecoder) -> dict[str, tuple[int, ...]]:
    """The shapes of what ``_rounded`` gives, by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, tensor in model.state_dict().items():
        if tensor.ndim > 1:
            shapes[name + _STEPS] = (len(tensor),)
        shapes[name] = tuple(tensor.shape)
    return shapes


def _narrow(array: Array) -> Array:
    """Whole numbers in as few bytes as they need, others in float32."""
    if array.dtype.kind == "f":
        return array.astype("<f4")
    kind = next(kind for kind in _WHOLE if np.abs(array).max(initial=0) <= np.iinfo(kind).max)
    return array.astype(kind)


def _planes(array: Array) -> bytes:
    """The lowest bytes of all numbers, then the next ones."""
    return np.ascontiguousarray(array).reshape(-1, 1).view(np.uint8).T.tobytes()


def _arrays(content: bytes, shapes: Mapping[str, tuple[int, ...]], kinds: Sequence[str]) -> dict[str, Array]:
    """What ``_planes`` made bytes of, by their names."""
    arrays: dict[str, Array] = {}
    start = 0
    for (name, shape), kind in zip(shapes.items(), kinds, strict=True):
        if kind not in (*_WHOLE, "<f4"):
            raise InputError(f"{name} is of the kind {kind!r:.20}")
        size = math.prod(shape) * np.dtype(kind).itemsize
        if start + size > len(content):
            raise InputError("they end too early")
        planes = np.frombuffer(content, np.uint8, size, start).reshape(np.dtype(kind).itemsize, -1)
        arrays[name] = planes.T.copy().view(kind).reshape(shape)
        start += size
    if start != len(content):
        raise InputError("there is more in them than numbers")
    return arrays
