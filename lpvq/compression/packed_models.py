"""A whole-number prior and the decoder of a VQ-VAE as few bytes: what a file needs to be decompressed by itself.

Each weight of the decoder is a small whole number times a step, one step for each first index of its tensor. The lowest
bytes of all numbers of all tensors come first, then the next ones, and LZMA makes of them what it can. What is read is
numbers alone; nothing is run.
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

from lpvq.compression.packing import GROUP
from lpvq.errors import InputError
from lpvq.lettering import on_one_line
from lpvq.models.checks import whole_number
from lpvq.models.vqvae import VQVAE, decoder
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.models.whole_number_sampler import cache_bytes
from lpvq.runtime import in_batches

_BITS = range(6, 17)
_NEAR = 0.5 / 255  # half of what pictures may differ by: those that were not looked at may differ a little more
_PIXELS_AT_ONCE = 2**17
_LARGEST = 2**28  # bytes of models
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 0, "pb": 0}]  # numbers have no words
_LARGEST_CACHE = 2**33  # bytes, to decompress a group
# The smallest and the largest that numbers of a configuration may be: far more than in any that is trained, and not so
# much that memory runs out on what comes from someone else.
_RANGES = {
    "latent_dim": (1, 2**16),
    "num_blocks": (1, 200),
    "kernel_size": (3, 31),
    "num_classes": (1, 2**16),
    "num_attentions": (0, 200),
    "num_codes": (1, 2**16),
    "in_channels": (1, 3),
    "code_dim": (1, 2**10),
    "hidden_channels": (1, 2**10),
    "downsample": (2, 8),
    "decoder_blocks": (0, 200),
}
_LARGEST_GRID = 2**14  # codes
_LENGTH = struct.Struct("<I")
_WHOLE = ("|i1", "<i2", "<i4")
_STEPS = " steps"
_DECODER = ("num_codes", "in_channels", "code_dim", "hidden_channels", "downsample", "decoder_blocks")

Array = NDArray[Any]


class PictureDecoder(nn.Module):
    """The half of a VQ-VAE that turns codes into pictures.

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
        """Return a copy of a VQ-VAE's decoder, on the CPU."""
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
        codes: some of those that the decoder will be used for, int64 (B, H, W).

    Raises:
        InputError: models too large to be read from a file.
    """
    described = {name: vqvae.config[name] for name in _DECODER}
    _check_sizes(prior.config, described)
    _check_cache(prior)
    exact = PictureDecoder.of(vqvae)
    pictures = exact.decode(codes)
    for bits in _BITS:
        arrays = _rounded(exact, bits)
        if (_with(exact, arrays).decode(codes) - pictures).abs().max() <= _NEAR:
            break
    arrays |= {f"prior.{name}": _narrow(tensor.cpu().numpy()) for name, tensor in prior.state_dict().items()}
    about = {
        "prior": prior.config,
        "decoder": described,
        "kinds": [array.dtype.str for array in arrays.values()],
    }
    text = json.dumps(about, separators=(",", ":")).encode()
    content = _LENGTH.pack(len(text)) + text + b"".join(map(_planes, arrays.values()))
    return lzma.compress(content, lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=_FILTERS)


def unpack_models(content: bytes) -> tuple[WholeNumberPixelCNN, PictureDecoder]:
    """Return the models, in eval mode, on the CPU.

    Args:
        content: what ``pack_models`` returned.

    Raises:
        InputError: ``content`` is anything else.
    """
    try:
        return _unpack(content)
    # What somebody has made up can make constructors raise almost anything: sizes overflow, or texts stand for sizes.
    except Exception as error:
        raise InputError(f"its models cannot be read: {on_one_line(str(error))}") from error


def _unpack(packed: bytes) -> tuple[WholeNumberPixelCNN, PictureDecoder]:
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LARGEST)
    content = unpacker.decompress(packed, _LARGEST)
    if not unpacker.eof or unpacker.unused_data:
        raise InputError("they do not end where they should")
    start = _LENGTH.size + _LENGTH.unpack_from(content)[0]
    about = json.loads(content[_LENGTH.size : start])
    _check_sizes(about["prior"], about["decoder"])
    with torch.device("meta"):  # no memory, so that a wrong size costs nothing
        outlines = PictureDecoder(**about["decoder"]), WholeNumberPixelCNN(**about["prior"])
    _check_cache(outlines[1])
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


def _check_sizes(prior: Mapping[str, Any], picture: Mapping[str, Any]) -> None:
    """Raise ``InputError`` for configurations of a prior and a decoder that no models in a file have."""
    for name, value in (*prior.items(), *picture.items()):
        if name == "image_size":
            height, width = (whole_number(name, side) for side in value)
            if height * width > _LARGEST_GRID:
                raise InputError(f"grids of {height} × {width} codes are too large")
        elif name == "position":
            if not isinstance(value, bool):
                raise InputError(f"position must be true or false, got {value!r:.20}")
        elif name != "num_classes" or value is not None:
            least, most = _RANGES[name]
            if whole_number(name, value, least) > most:
                raise InputError(f"{name} must be {most} at most, got {value!r:.20}")
    usual = prior["kernel_size"] % 2 and picture["in_channels"] in (1, 3) and picture["downsample"] in (2, 4, 8)
    if not usual or prior["num_attentions"] > prior["num_blocks"]:
        raise InputError("there are no models of such sizes")
    if prior["latent_dim"] > picture["num_codes"]:
        raise InputError(f"the decoder knows {picture['num_codes']} of {prior['latent_dim']} codes")


def _check_cache(prior: WholeNumberPixelCNN) -> None:
    """Raise ``InputError`` for a prior that takes too much memory to decompress with."""
    if GROUP * cache_bytes(prior, prior.image_size) > _LARGEST_CACHE:
        raise InputError(f"to decompress {GROUP} images side by side would take too much memory")


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
