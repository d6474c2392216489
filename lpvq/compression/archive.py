"""Images to a file the size of their likelihood, and back: the VQ-VAE's codes, packed with a whole-number prior.

Images come and go in blocks, so that memory does not grow with their number.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from lpvq.compression.file_format import FINGERPRINT, Header, Reader, Writer
from lpvq.compression.packed_models import PictureDecoder, pack_models, unpack_models
from lpvq.compression.packing import GROUP, class_counts, pack, unpack
from lpvq.errors import InputError
from lpvq.files import checksum, new_file
from lpvq.lettering import same_name
from lpvq.models.vqvae import VQVAE
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.runtime import progress

_CODES_IN_BLOCK, _PIXELS_AT_ONCE = 2**20, 2**24
_LOOKED_AT = 512  # grids by which the bits of a decoder are chosen

Part = tuple[Tensor, Tensor]
"""Some images, uint8 (B, C, H, W), or their codes, int64 (B, H, W); and their classes, int64 (B,)."""


@dataclass(frozen=True)
class Models:
    """What images are compressed and decompressed with.

    Attributes:
        prior: of codes.
        decoder: codes to pictures; a whole VQ-VAE to compress any.
        class_names: what the labels of the prior mean.
        name: of both models, in words.
    """

    prior: WholeNumberPixelCNN
    decoder: VQVAE | PictureDecoder
    class_names: tuple[str, ...]
    name: str

    def fingerprint(self) -> bytes:
        """Return a few bytes that differ for other models."""
        return sha256((checksum(self.prior) + checksum(self.decoder)).encode()).digest()[:FINGERPRINT]


def compress(
    path: str | Path,
    parts: Iterable[Part],
    class_names: Sequence[str],
    models: Models,
    with_model: bool = False,
    number: int | None = None,
    batch_size: int = GROUP,
) -> int:
    """Write images to a file, atomically, and return how many there were.

    Args:
        path: of the file.
        parts: the images, any number at a time, as the VQ-VAE takes them; grey ones are made coloured for it, and
            coloured ones grey.
        class_names: what their classes mean. The prior is told the label of the same name, or its first label where it
            knows none.
        models: to compress with.
        with_model: write the prior and the decoder too, so that nothing else is needed to read the file.
        number: how many images there will be, for the progress bar; None where that is not known.
        batch_size: how many grids go through the prior at a time; the file is the same for any number.

    Raises:
        InputError: no images, or of another size than those that the models were trained on.
        OSError: the disk is full or not writable.
    """
    blocks = _in_blocks(_encoded(parts, models))
    first = next(blocks, None)
    if first is None:
        raise InputError("there are no images to compress")
    prior, vqvae = models.prior, models.decoder
    known = [same_name(name) for name in models.class_names]
    labels = [known.index(name) if name in known else 0 for name in map(same_name, class_names)]
    packed = pack_models(prior, vqvae, first[0][:_LOOKED_AT]) if with_model and isinstance(vqvae, VQVAE) else b""
    sizes = vqvae.in_channels, vqvae.downsample, prior.image_size
    header = Header(models.fingerprint(), *sizes, tuple(labels), models.name, tuple(class_names), packed)
    done = 0
    with new_file(path) as file, progress(None, "compressing", least=GROUP, total=number, unit="image") as bar:
        writer = Writer(file, header)
        for codes, classes in chain([first], blocks):
            writer.block(
                class_counts(classes, len(labels)), pack(prior, codes, classes, labels, batch_size, bar.update)
            )
            done += len(codes)
        writer.finish()
    return done


def models_for(reader: Reader, models: Models | None) -> Models:
    """Return what a file is decompressed with: what it holds itself, or ``models``.

    Raises:
        InputError: it holds none, and ``models`` are missing or not those that it was compressed with; or what it holds
            is damaged.
    """
    header = reader.header
    if header.models:
        try:
            models = Models(*unpack_models(header.models), class_names=(), name=header.made_by)
        except InputError as error:
            raise reader.damaged(error) from error
    elif models is None or models.fingerprint() != header.fingerprint:
        others = "" if models is None else f", not by these of {models.name}"
        raise InputError(
            f"{reader.path} was compressed by the models of {header.made_by} (fingerprint "
            f"{header.fingerprint.hex()}){others}: choose them, or have it compressed anew with its models inside"
        )
    prior, decoder = models.prior, models.decoder
    sizes = decoder.in_channels, decoder.downsample, prior.image_size
    told = prior.num_classes is None or max(header.labels) < prior.num_classes
    if sizes != (header.channels, header.downsample, header.grid) or not told:
        raise reader.damaged("its sizes are not those of its models")
    return models


def read_codes(reader: Reader, models: Models, batch_size: int = GROUP, method: str = "cached") -> Iterator[Part]:
    """Give the codes in a file, with their classes, block after block.

    Args:
        reader: of the file.
        models: what ``models_for`` returned.
        batch_size: how many grids go through the prior at a time.
        method: "cached" or "plain", with the same result.

    Raises:
        InputError: the file is damaged.
    """
    height, width = models.prior.image_size
    total = sum(int(block.counts.sum()) for block in reader.blocks)
    with progress(None, "decompressing", least=GROUP, total=total, unit="image") as bar:
        for block in reader.blocks:
            if not 0 < block.counts.sum() <= max(GROUP, _CODES_IN_BLOCK // (height * width)):
                raise reader.damaged(f"a block has {block.counts.sum()} images")
            try:
                yield unpack(
                    models.prior,
                    reader.content(block),
                    block.counts,
                    reader.header.labels,
                    batch_size,
                    method,
                    bar.update,
                )
            except InputError as error:
                raise reader.damaged(error) from error


def read_images(reader: Reader, models: Models, batch_size: int = GROUP, method: str = "cached") -> Iterator[Part]:
    """Give the images in a file, uint8 (B, C, H, W), with their classes, some at a time; arguments: see ``read_codes``.

    Raises:
        InputError: the file is damaged.
    """
    device = next(models.decoder.parameters()).device
    for codes, classes in read_codes(reader, models, batch_size, method):
        at_once = max(1, min(GROUP, _PIXELS_AT_ONCE // (codes[0].numel() * models.decoder.downsample**2)))
        for some, own in zip(codes.split(at_once), classes.split(at_once), strict=True):
            yield models.decoder.decode(some.to(device)).mul(255).round().byte().cpu(), own


def _encoded(parts: Iterable[Part], models: Models) -> Iterator[Part]:
    """Give codes and classes for images and classes, as they come."""
    vqvae = models.decoder
    assert isinstance(vqvae, VQVAE)
    device = next(vqvae.parameters()).device
    for images, classes in parts:
        for some, own in zip(images.split(GROUP), classes.split(GROUP), strict=True):
            floats = some.to(device).float() / 255
            if vqvae.in_channels == 1:
                floats = floats.mean(1, keepdim=True)
            codes = vqvae.encode(floats.expand(-1, vqvae.in_channels, -1, -1)).cpu()
            if codes.shape[1:] != models.prior.image_size:
                height, width = (side * vqvae.downsample for side in models.prior.image_size)
                raise InputError(
                    f"the images have {some.shape[2]} × {some.shape[3]} pixels, the models take {height} × {width}"
                )
            yield codes, own


def _in_blocks(parts: Iterable[Part]) -> Iterator[Part]:
    """Join parts, and share them out into blocks of the size that a file has."""
    waiting: list[Part] = []
    number = 0
    for part in parts:
        waiting.append(part)
        number += len(part[0])
        most = max(GROUP, _CODES_IN_BLOCK // part[0][0].numel())
        while number >= most:
            codes, classes = _joined(waiting)
            yield codes[:most], classes[:most]
            waiting, number = [(codes[most:], classes[most:])], number - most
    if number:
        yield _joined(waiting)


def _joined(parts: Sequence[Part]) -> Part:
    codes, classes = zip(*parts, strict=True)
    return torch.cat(codes), torch.cat(classes)
