"""Codes and classes to bytes and back, with the frequencies that a whole-number prior gives.

The order is the file's, not the machine's: images come in groups, and in a group first all classes, then the first code
of each image, the second of each, and so on. How many of a group go through the model at a time is up to whoever packs
or unpacks.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from lpvq.compression.rans import SCALE_BITS, Decoder, Encoder, Whole
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.runtime import full_precision

GROUP = 256
"""How many images are coded side by side."""

_CODES_PER_LANE, _LARGEST_LANES = 2**16, 64  # a lane costs eight bytes


def _nothing(number: int) -> None:
    """For a caller who wants to know nothing."""


def lanes_for(codes: int) -> int:
    """Return how many states a coder of so many codes has."""
    return max(1, min(_LARGEST_LANES, codes // _CODES_PER_LANE))


def class_frequencies(counts: Whole) -> Whole:
    """Return what each class gets of 2²², int64; 0 for classes that do not occur.

    Args:
        counts: how often each occurs, (classes,); their sum below 2³², and at least 1.
    """
    present = counts > 0
    total = 2**SCALE_BITS
    sizes = np.where(present, counts * (total - int(present.sum())) // counts.sum() + 1, 0)
    sizes[counts.argmax()] += total - sizes.sum()
    return sizes


@torch.inference_mode()
def pack(
    model: WholeNumberPixelCNN,
    codes: Tensor,
    classes: Tensor,
    labels: Sequence[int],
    batch_size: int = GROUP,
    packed: Callable[[int], object] = _nothing,
) -> bytes:
    """Return grids of codes and their classes as bytes.

    Args:
        model: gives the frequencies.
        codes: int64 (N, H, W), or of a smaller type.
        classes: of the images, int64 (N,).
        labels: what the model is told for each class, in 0 … num_classes − 1; without meaning for one without classes.
        batch_size: how many grids go through the model at a time.
        packed: called with the number of images that have been packed since the last call.
    """
    encoder = Encoder(lanes_for(codes.numel()))
    sizes = class_frequencies(class_counts(classes, len(labels)))
    starts = sizes.cumsum() - sizes
    groups = [slice(first, first + GROUP) for first in range(0, len(codes), GROUP)]
    for group in groups[::-1]:  # what is coded last comes off first
        some, own = codes[group].long(), classes[group]
        parts = [
            model.intervals(grids, given)
            for grids, given in zip(*_to_model(model, some, own, labels, batch_size), strict=True)
        ]
        start, size = (torch.cat(part).flatten(1).T.cpu().numpy() for part in zip(*parts, strict=True))  # (H · W, n)
        for position in reversed(range(len(size))):
            encoder.push_many(start[position], size[position])
        encoder.push_many(starts[own.numpy()], sizes[own.numpy()])
        packed(len(some))
    return encoder.content()


@torch.inference_mode()
def unpack(
    model: WholeNumberPixelCNN,
    content: bytes,
    counts: Whole,
    labels: Sequence[int],
    batch_size: int = GROUP,
    method: str = "cached",
    unpacked: Callable[[int], object] = _nothing,
) -> tuple[Tensor, Tensor]:
    """Return the codes, int64 (N, H, W), and classes, int64 (N,), that were packed.

    Args:
        model: the one that they were packed with.
        content: what ``pack`` returned.
        counts: how many images there are of each class, (classes,).
        labels: as for ``pack``.
        batch_size: how many grids go through the model at a time.
        method: "cached" or "plain".
        unpacked: called with the number of images that have been unpacked since the last call.

    Raises:
        InputError: content that was not packed in this way.
    """
    number = int(counts.sum())
    codes = torch.zeros(number, *model.image_size, dtype=torch.int64)
    classes = torch.zeros(number, dtype=torch.int64)
    decoder = Decoder(content, lanes_for(codes.numel()))
    ends = class_frequencies(counts).cumsum()
    with full_precision():
        for some, own in zip(codes.split(GROUP), classes.split(GROUP), strict=True):
            own.copy_(torch.from_numpy(decoder.symbols(np.tile(ends, (len(own), 1)))))
            _unpack_group(model, decoder, some, *_to_model(model, some, own, labels, batch_size), method)
            unpacked(len(some))
    decoder.finish()
    return codes, classes


def class_counts(classes: Tensor, number: int) -> Whole:
    """Return how many images there are of each of so many classes, int64 (classes,)."""
    return torch.bincount(classes, minlength=number).numpy()


def _to_model(
    model: WholeNumberPixelCNN, codes: Tensor, classes: Tensor, labels: Sequence[int], batch_size: int
) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
    """Grids and labels in batches, on the model's device."""
    grids = codes.to(model.device).split(batch_size)
    if model.num_classes is None:
        return grids, [None] * len(grids)
    return grids, torch.tensor(labels)[classes].to(model.device).split(batch_size)


def _unpack_group(
    model: WholeNumberPixelCNN,
    decoder: Decoder,
    codes: Tensor,
    grids: Sequence[Tensor],
    labels: Sequence[Tensor | None],
    method: str,
) -> None:
    """Fill the codes of a group in place, int64 (n, H, W), and ``grids``, the same in batches on the model's device."""
    size = codes.shape[1:]
    samplers = [model.sampler(given, len(some), size, method) for some, given in zip(grids, labels, strict=True)]
    for row in range(size[0]):
        for sampler, some in zip(samplers, grids, strict=True):
            sampler.begin_row(some, row)
        for column in range(size[1]):
            logits = [sampler.logits_at(some, row, column) for sampler, some in zip(samplers, grids, strict=True)]
            ends = [model.frequencies(some).cumsum(-1).long().cpu() for some in logits]
            codes[:, row, column] = torch.from_numpy(decoder.symbols(torch.cat(ends).numpy()))
            for some, now in zip(grids, codes.split([len(some) for some in grids]), strict=True):
                some[:, row, column] = now[:, row, column].to(some.device)
