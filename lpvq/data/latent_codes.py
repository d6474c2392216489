"""Grids of discrete codes: extracting them from images, keeping them on disk, describing them."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import overload

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lpvq.data.checks import check_index, check_labels, check_tensor
from lpvq.data.codes_file import read_codes_file, write_codes_file
from lpvq.data.images import ImageData
from lpvq.distributed import in_order
from lpvq.errors import InputError
from lpvq.files import checksum
from lpvq.models.checks import check_codes
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.code_usage import code_counts, entropy, perplexity, usage
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.vqvae import VQVAE
from lpvq.runtime import in_batches, progress

_POSITIONS_AT_ONCE = 2**15
_LARGEST_CODEBOOK = 2**24
_MANY = 10_000_000  # codes; from this many on, memory counts
_GRIDS_AT_ONCE = 2**12
_SMALL = (torch.uint8, torch.int16)


@dataclass(frozen=True, eq=False)
class LatentCodes(Dataset):
    """The codes of a set of images, at least one.

    For ``torch.utils.data.DataLoader`` it is a map-style data set of pairs: a grid, int64 (H, W), and its label, an
    int.

    Attributes:
        codes: int64 (N, H, W), each in 0 … ``num_codes`` − 1, on the CPU. More than ten million of them, if extracted
            or read from a file, have the type of ``small_type`` instead: ``codes[indices].long()``.
        labels: int64 (N,), indices into ``class_names``.
        num_codes: K, the size of the codebook, an int in 1 … 2²⁴.
        class_names: what the labels mean.
        dataset: the name of the set the images came from.
        vqvae_checksum: ``lpvq.files.checksum`` of the VQ-VAE that made the codes.
        data_checksum: ``ImageData.checksum`` of the images; empty where that is not known.
        coarse: the codes of the same images, shrunk; None where there is one level.

    Raises:
        InputError: a tensor of another type or number of dimensions, no grids at all, a code out of range, labels of
            another length, a label without a name.
    """

    codes: Tensor
    labels: Tensor
    num_codes: int
    class_names: tuple[str, ...]
    dataset: str
    vqvae_checksum: str
    data_checksum: str = ""
    coarse: "LatentCodes | None" = None

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        kind = self.codes.dtype if isinstance(self.codes, Tensor) and self.codes.dtype in _SMALL else torch.int64
        check_tensor("the codes", self.codes, kind, "NHW")
        if self.codes.numel() == 0:
            raise InputError(f"there are no grids of {self.dataset}, or grids without codes: {tuple(self.codes.shape)}")
        if type(self.num_codes) is not int or not 1 <= self.num_codes <= _LARGEST_CODEBOOK:
            raise InputError(f"num_codes must be an int in 1 … {_LARGEST_CODEBOOK}, got {self.num_codes!r}")
        check_codes(torch.stack(self.codes.aminmax()).long(), self.num_codes)
        check_labels(self.labels, self.class_names, len(self.codes), "grids")
        for name in ("dataset", "vqvae_checksum", "data_checksum"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} must be a text, got {getattr(self, name)!r}")
        if self.coarse is not None and len(self.coarse) != len(self):
            raise InputError(f"there are {len(self)} grids of {self.dataset}, and {len(self.coarse)} coarse ones")

    def __len__(self) -> int:
        """Return N, the number of grids."""
        return len(self.codes)

    @overload
    def __getitem__(self, items: slice) -> "LatentCodes": ...
    @overload
    def __getitem__(self, items: int) -> tuple[Tensor, int]: ...
    def __getitem__(self, items: slice | int) -> "LatentCodes | tuple[Tensor, int]":
        """Return some of the grids as a set, or one with its label.

        Args:
            items: a slice with a positive step, for a set that shares the memory of this one; or a whole number
                (Python's or numpy's), negative ones from the end, for a pair: int64 (H, W), and the label. Lists and
                tensors are refused: ``torch.utils.data.Subset`` takes them.

        Raises:
            InputError: a slice without any grids, or something that is neither a slice nor a whole number.
            IndexError: a number out of range.
        """
        if not isinstance(items, slice):
            index = check_index(items, len(self))
            return self.codes[index].long(), int(self.labels[index])
        coarse = None if self.coarse is None else self.coarse[items]
        return replace(self, codes=self.codes[items], labels=self.labels[items], coarse=coarse)

    def batches(self) -> list[Tensor]:
        """Return the indices of all grids, each once and in order, in batches of about 33,000 codes.

        For sets so large that memory counts, the batches are a quarter of that.
        """
        at_once = _POSITIONS_AT_ONCE if self.codes.dtype == torch.int64 else _POSITIONS_AT_ONCE // 4
        return in_batches(len(self), self.codes[0].numel(), at_once)

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of a grid."""
        return self.codes.shape[1], self.codes.shape[2]

    def check_made_by(self, vqvae: VQVAE) -> None:
        """Raise ``InputError`` unless ``vqvae`` is the very model that made these codes."""
        found = checksum(vqvae)
        if found != self.vqvae_checksum:
            raise InputError(
                f"the codes of {self.dataset} were made by another VQ-VAE "
                f"(checksum {self.vqvae_checksum[:12]}, this one has {found[:12]}): extract them again"
            )

    def check_fits(self, prior: PixelCNN | CoarseToFine) -> None:
        """Raise ``InputError`` unless ``prior`` is one for these codes: their codebook, their grid, their labels."""
        if self.num_codes != prior.latent_dim:
            raise InputError(
                f"the codes come from a codebook of {self.num_codes}, the prior has latent_dim={prior.latent_dim}"
            )
        if self.grid != prior.image_size:
            raise InputError(f"the codes have a grid of {self.grid}, the prior has image_size={prior.image_size}")
        known = None if self.coarse is None else (self.coarse.num_codes, self.coarse.grid)
        if isinstance(prior, PixelCNN) and prior.num_coarse_codes is not None:
            factor = prior.coarse_factor
            expected = prior.num_coarse_codes, (self.grid[0] // factor, self.grid[1] // factor)
            if known != expected:
                raise InputError(f"the prior needs coarse codes of {expected}, codebook and grid; there are {known}")
        if prior.num_classes is not None and self.labels.max() >= prior.num_classes:
            raise InputError(
                f"the codes have labels up to {int(self.labels.max())}, the prior has num_classes={prior.num_classes}"
            )

    def checksum(self) -> str:
        """Return the SHA-256 of shape, codes, K, labels and class names, 64 hexadecimal digits.

        A change of one code, coarse ones included, of one label, of a class name or of the order changes it.
        ``dataset`` and the other checksums do not count.
        """
        digest = hashlib.sha256(repr((tuple(self.codes.shape), self.num_codes, self.class_names)).encode())
        for some in self.codes.split(_GRIDS_AT_ONCE):
            digest.update(some.long().contiguous().numpy().data)
        digest.update(self.labels.contiguous().numpy().data)
        if self.coarse is not None:
            digest.update(self.coarse.checksum().encode())
        return digest.hexdigest()

    def counts(self) -> Tensor:
        """Return how often each code occurs, int64 (K,)."""
        parts = [code_counts(some.long(), self.num_codes) for some in self.codes.split(_GRIDS_AT_ONCE)]
        return torch.stack(parts).sum(0)

    def counts_per_position(self) -> Tensor:
        """Return how often each code occurs at each position of the grid, int64 (H · W, K)."""
        return torch.stack([code_counts(column.long(), self.num_codes) for column in self.codes.flatten(1).T])

    def describe(self) -> dict[str, float]:
        """Say how much of the codebook is in use, and how many nats a code carries at most.

        Returns:
            ``usage`` (share of codes that occur, 0 … 1), ``perplexity`` (1 … K), and three entropies in nats per
            code: ``uniform`` (log K), ``unigram`` (of all codes together) and ``unigram_per_position`` (of each
            position by itself, averaged; too small for sets with hardly more grids than codes).
        """
        counts = self.counts()
        return {
            "usage": usage(counts),
            "perplexity": perplexity(counts),
            "uniform": float(np.log(self.num_codes)),
            "unigram": entropy(counts),
            "unigram_per_position": float(np.mean([entropy(counts) for counts in self.counts_per_position()])),
        }

    def save(self, path: str | Path) -> None:
        """Write to an ``.npz`` file, atomically, without pickles, the codes in the smallest integer type that fits.

        Raises:
            OSError: the disk is full or not writable; a file that was there is untouched.
        """
        arrays = {
            "codes": self.codes.numpy().astype(np.min_scalar_type(self.num_codes - 1)),
            "labels": self.labels.numpy(),
            "num_codes": np.array(self.num_codes),
            "class_names": np.array(self.class_names),
            "dataset": np.array(self.dataset),
            "vqvae_checksum": np.array(self.vqvae_checksum),
            "data_checksum": np.array(self.data_checksum),
        }
        if self.coarse is not None:
            arrays |= {
                "coarse_codes": self.coarse.codes.numpy().astype(np.min_scalar_type(self.coarse.num_codes - 1)),
                "coarse_num_codes": np.array(self.coarse.num_codes),
                "coarse_vqvae_checksum": np.array(self.coarse.vqvae_checksum),
            }
        write_codes_file(path, arrays)

    @classmethod
    def load(cls, path: str | Path) -> "LatentCodes":
        """Read what ``save`` wrote. Nothing in the file is run, and nothing is converted in silence.

        Raises:
            InputError: there is no such file, or it is truncated, foreign or inconsistent.
        """
        content = read_codes_file(path)
        try:
            fine = cls(
                codes=_in_memory(content["codes"], content["num_codes"]),
                labels=torch.from_numpy(content["labels"]),
                num_codes=content["num_codes"],
                class_names=tuple(content["class_names"]),
                dataset=content["dataset"],
                vqvae_checksum=content["vqvae_checksum"],
                data_checksum=content["data_checksum"],
            )
            if "coarse_codes" not in content:
                return fine
            coarse = replace(
                fine,
                codes=_in_memory(content["coarse_codes"], content["coarse_num_codes"]),
                num_codes=content["coarse_num_codes"],
                vqvae_checksum=content["coarse_vqvae_checksum"],
            )
            return replace(fine, coarse=coarse)
        except InputError as error:
            raise InputError(f"{path} is damaged ({error}): extract the codes again") from error


def join_codes(parts: Sequence[LatentCodes]) -> LatentCodes:
    """Return the grids of several sets, at least one, of the same VQ-VAE and classes, as one set.

    What it says about the images is said about those of the first set.
    """
    coarse = [part.coarse for part in parts if part.coarse is not None]
    if len(parts) == 1:
        return parts[0]
    number = sum(len(part) for part in parts)
    codes = torch.empty(number, *parts[0].grid, dtype=small_type(number * math.prod(parts[0].grid), parts[0].num_codes))
    torch.cat([part.codes for part in parts], out=codes)
    return replace(
        parts[0],
        codes=codes,
        labels=torch.cat([part.labels for part in parts]),
        coarse=join_codes(coarse) if coarse else None,
    )


def extract_codes(
    vqvae: VQVAE, data: ImageData, coarse_vqvae: VQVAE | None = None, shrink: int | None = None
) -> LatentCodes:
    """Encode every image of a set, in order; the same VQ-VAE and images give the same codes.

    This runs on the device that the VQ-VAE is on, which learns nothing, whether it is in training mode or not.

    Args:
        vqvae: a trained one.
        data: uint8 images (N, C, H, W) with the channels that ``vqvae`` takes, H and W multiples of its ``downsample``.
        coarse_vqvae: for two levels, one trained on smaller images; on the same device.
        shrink: how many pixels in each direction are averaged into one before ``coarse_vqvae`` sees them.

    Returns:
        the codes, int64 (N, H / downsample, W / downsample) on the CPU, with what ``check_made_by`` needs to tell
        their VQ-VAE from others, and the checksum of the images; with two levels, also the coarse codes.

    Raises:
        InputError: the images have other channels, or a height or width that a VQ-VAE cannot divide into codes.
    """
    device = next(vqvae.parameters()).device
    codes, coarse = _Gathered(len(data), vqvae), None if coarse_vqvae is None else _Gathered(len(data), coarse_vqvae)

    def encode(batch: Tensor) -> tuple[Tensor, Tensor | None]:
        images = data.floats(batch).to(device)
        of_shrunk = None
        if coarse_vqvae is not None and shrink is not None:
            of_shrunk = coarse_vqvae.encode(F.avg_pool2d(images, shrink)).cpu()
        return vqvae.encode(images).cpu(), of_shrunk

    for found, of_shrunk in in_order(encode, data.batches(), partial(progress, description="extracting codes")):
        codes.add(found)
        if coarse is not None and of_shrunk is not None:
            coarse.add(of_shrunk)
    fine = LatentCodes(
        codes=codes.codes,
        labels=data.labels,
        num_codes=vqvae.quantizer.num_codes,
        class_names=data.class_names,
        dataset=data.name,
        vqvae_checksum=checksum(vqvae),
        data_checksum=data.checksum(),
    )
    if coarse_vqvae is None or coarse is None:
        return fine
    above = replace(
        fine,
        codes=coarse.codes,
        num_codes=coarse_vqvae.quantizer.num_codes,
        vqvae_checksum=checksum(coarse_vqvae),
    )
    return replace(fine, coarse=above)


class _Gathered:
    """The codes of N images, batch by batch, where they are to stay."""

    def __init__(self, number: int, vqvae: VQVAE) -> None:
        self.codes = torch.empty(0)
        self._number, self._vqvae, self._done = number, vqvae, 0

    def add(self, found: Tensor) -> None:
        """Take the codes of the next images, (B, H, W)."""
        if not self._done:
            kind = small_type(self._number * found[0].numel(), self._vqvae.quantizer.num_codes)
            self.codes = torch.empty(self._number, *found.shape[1:], dtype=kind)
        self.codes[self._done : self._done + len(found)] = found
        self._done += len(found)


def _in_memory(codes: NDArray, num_codes: int) -> Tensor:
    """Codes of a file, in the type that they are held in; where one does not fit, as int64, which is then refused."""
    kind = small_type(codes.size, num_codes)
    fits = codes.min() >= 0 and codes.max() < num_codes
    return torch.from_numpy(codes.astype(str(kind if fits else torch.int64).removeprefix("torch.")))


def small_type(number: int, num_codes: int) -> torch.dtype:
    """Return the type that so many codes of a codebook of ``num_codes`` are held in: int64 but for very many."""
    if number <= _MANY or num_codes > 2**15:
        return torch.int64
    return torch.uint8 if num_codes <= 2**8 else torch.int16
