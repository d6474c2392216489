"""Codes and labels to bytes and back, with the frequencies that a whole-number prior gives.

The order is the file's, not the machine's: images in groups, of a group first all labels, then the first code of each,
the second of each, and so on. How many of a group go through the model at a time is up to whoever packs or unpacks.
"""

import numpy as np
import torch
from torch import Tensor

from lpvq.compression.rans import SCALE_BITS, Decoder, Encoder, Whole
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.runtime import full_precision, progress

GROUP = 256
"""How many images are coded side by side."""

_IMAGES_PER_LANE, _LARGEST_LANES = 1024, 64  # a lane costs six bytes


def lanes_for(number: int) -> int:
    """Return how many states a coder of so many images has."""
    return max(1, min(_LARGEST_LANES, number // _IMAGES_PER_LANE))


def label_frequencies(counts: Whole) -> Whole:
    """Return what each label gets of 2²², int64; 0 for labels that do not occur.

    Args:
        counts: how often each occurs, (classes,); their sum below 2³².
    """
    present = counts > 0
    total = 2**SCALE_BITS
    sizes = np.where(present, counts * (total - int(present.sum())) // counts.sum() + 1, 0)
    sizes[counts.argmax()] += total - sizes.sum()
    return sizes


@torch.inference_mode()
def pack(model: WholeNumberPixelCNN, codes: Tensor, labels: Tensor, counts: Whole, batch_size: int = GROUP) -> bytes:
    """Return grids of codes and their labels as bytes.

    Args:
        model: gives the frequencies.
        codes: int64 (N, H, W), or of a smaller type.
        labels: int64 (N,).
        counts: how often each label occurs, (classes,).
        batch_size: how many grids go through the model at a time.
    """
    encoder = Encoder(lanes_for(len(codes)))
    sizes = label_frequencies(counts)
    starts = sizes.cumsum() - sizes
    groups = [slice(first, first + GROUP) for first in range(0, len(codes), GROUP)]
    for group in progress(groups[::-1], "compressing", least=4):  # what is coded last comes off first
        some, label = codes[group].long(), labels[group]
        parts = [
            model.intervals(grids, given if model.num_classes else None)
            for grids, given in zip(some.split(batch_size), label.split(batch_size), strict=True)
        ]
        start, size = (torch.cat(part).flatten(1).T.cpu().numpy() for part in zip(*parts, strict=True))  # (H · W, n)
        for position in reversed(range(len(size))):
            encoder.push_many(start[position], size[position])
        encoder.push_many(starts[label.numpy()], sizes[label.numpy()])
    return encoder.content()


@torch.inference_mode()
def unpack(
    model: WholeNumberPixelCNN,
    content: bytes,
    number: int,
    counts: Whole,
    batch_size: int = GROUP,
    method: str = "cached",
) -> tuple[Tensor, Tensor]:
    """Return the codes, int64 (N, H, W), and labels, int64 (N,), that were packed.

    Args:
        model: the one that they were packed with.
        content: what ``pack`` returned.
        number: N.
        counts: as to ``pack``.
        batch_size: how many grids go through the model at a time.
        method: "cached" or "plain".

    Raises:
        InputError: content that was not packed so.
    """
    decoder = Decoder(content, lanes_for(number))
    ends = label_frequencies(counts).cumsum()
    codes = torch.zeros(number, *model.image_size, dtype=torch.int64)
    labels = torch.zeros(number, dtype=torch.int64)
    groups = [slice(first, first + GROUP) for first in range(0, number, GROUP)]
    with full_precision():
        for group in progress(groups, "decompressing", least=4):
            some = codes[group]
            labels[group] = torch.from_numpy(decoder.symbols(np.tile(ends, (len(some), 1))))
            _unpack_group(model, decoder, some, labels[group], batch_size, method)
    decoder.finish()
    return codes, labels


def _unpack_group(
    model: WholeNumberPixelCNN, decoder: Decoder, codes: Tensor, labels: Tensor, batch_size: int, method: str
) -> None:
    """Fill the grids of a group, int64 (n, H, W), in place."""
    grids = codes.to(model.device).split(batch_size)
    label = labels.to(model.device).split(batch_size) if model.num_classes else [None] * len(grids)
    size = codes.shape[1:]
    samplers = [model.sampler(given, len(some), size, method) for some, given in zip(grids, label, strict=True)]
    for row in range(size[0]):
        for sampler, some in zip(samplers, grids, strict=True):
            sampler.begin_row(some, row)
        for column in range(size[1]):
            logits = [sampler.logits_at(some, row, column) for sampler, some in zip(samplers, grids, strict=True)]
            ends = [model.frequencies(some).cumsum(-1).long().cpu() for some in logits]
            codes[:, row, column] = torch.from_numpy(decoder.symbols(torch.cat(ends).numpy()))
            for some, now in zip(grids, codes.split(batch_size), strict=True):
                some[:, row, column] = now[:, row, column].to(some.device)
