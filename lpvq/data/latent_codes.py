"""Grids of discrete codes: extracting them from images, keeping them on disk, describing them."""

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lpvq.data.images import ImageData
from lpvq.errors import InputError
from lpvq.files import checksum, write_atomically
from lpvq.models.checks import check_codes
from lpvq.models.code_usage import code_counts, entropy, perplexity, usage
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.vqvae import VQVAE
from lpvq.runtime import in_batches, in_eval_mode, progress

_POSITIONS_AT_ONCE = 2**15


@dataclass(frozen=True, eq=False)
class LatentCodes(Dataset):
    """The codes of a set of images.

    For ``torch.utils.data.DataLoader`` it is a data set of pairs: a grid, int64 (H, W), and its label. Sliced, it is
    the codes of some of the images.

    Attributes:
        codes: int64 (N, H, W), each in 0 … ``num_codes`` − 1.
        labels: int64 (N,), the classes of the images.
        num_codes: K, the size of the codebook.
        class_names: one name per class.
        dataset: the name of the set the images came from.
        vqvae_checksum: ``lpvq.files.checksum`` of the VQ-VAE that made the codes.
        data_checksum: ``ImageData.checksum`` of the images; empty where that is not known.
    """

    codes: Tensor
    labels: Tensor
    num_codes: int
    class_names: tuple[str, ...]
    dataset: str
    vqvae_checksum: str
    data_checksum: str = ""

    def __post_init__(self) -> None:
        """Refuse codes that no codebook of ``num_codes`` entries has, and labels that do not fit."""
        if self.codes.ndim != 3:
            raise InputError(f"expected codes of shape (N, H, W), got {tuple(self.codes.shape)}")
        check_codes(self.codes, self.num_codes)
        if self.labels.shape != self.codes.shape[:1]:
            raise InputError(f"expected one label per grid, got {len(self.labels)} labels for {len(self.codes)} grids")

    def __len__(self) -> int:
        """Return N, the number of grids."""
        return len(self.codes)

    @overload
    def __getitem__(self, items: slice) -> "LatentCodes": ...
    @overload
    def __getitem__(self, items: int) -> tuple[Tensor, int]: ...
    def __getitem__(self, items: slice | int) -> "LatentCodes | tuple[Tensor, int]":
        """Return some of the grids as a set, or one with its label."""
        if not isinstance(items, slice):
            return self.codes[items], int(self.labels[items])
        return replace(self, codes=self.codes[items], labels=self.labels[items])

    def batches(self) -> list[Tensor]:
        """Return the indices of all grids, in order, in batches that are small whatever the size of a grid."""
        return in_batches(len(self), self.codes[:1].numel(), _POSITIONS_AT_ONCE)

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

    def check_fits(self, prior: PixelCNN) -> None:
        """Raise ``InputError`` unless ``prior`` is one for these codes: their number, their grid, their labels."""
        if self.num_codes != prior.latent_dim:
            raise InputError(
                f"the codes come from a codebook of {self.num_codes}, the prior has latent_dim={prior.latent_dim}"
            )
        if self.grid != prior.image_size:
            raise InputError(f"the codes have a grid of {self.grid}, the prior has image_size={prior.image_size}")
        if (
            prior.num_classes is not None
            and len(self)
            and not 0 <= self.labels.min() <= self.labels.max() < prior.num_classes
        ):
            raise InputError(
                f"the codes have labels up to {int(self.labels.max())}, the prior has num_classes={prior.num_classes}"
            )

    def checksum(self) -> str:
        """Return the SHA-256 of codes and labels: another set has another one."""
        digest = hashlib.sha256(repr((tuple(self.codes.shape), self.num_codes, self.class_names)).encode())
        digest.update(self.codes.contiguous().numpy().data)
        digest.update(self.labels.contiguous().numpy().data)
        return digest.hexdigest()

    def describe(self) -> dict[str, float]:
        """Say how much of the codebook is in use, and how many nats a code carries at most.

        Returns:
            ``usage`` (share of codes that occur, 0 … 1), ``perplexity`` (1 … K), and three entropies in nats per
            code: ``uniform`` (log K), ``unigram`` (of all codes together) and ``unigram_per_position`` (of each
            position by itself, averaged; too small for sets with few more grids than codes).
        """
        counts = code_counts(self.codes, self.num_codes)
        positions = self.codes.flatten(1).T
        return {
            "usage": usage(counts),
            "perplexity": perplexity(counts),
            "uniform": float(np.log(self.num_codes)),
            "unigram": entropy(counts),
            "unigram_per_position": float(
                np.mean([entropy(code_counts(codes, self.num_codes)) for codes in positions])
            ),
        }

    def save(self, path: str | Path) -> None:
        """Write to an ``.npz`` file, atomically, without pickles, the codes in the smallest integer type that fits."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            codes=self.codes.numpy().astype(np.min_scalar_type(self.num_codes - 1)),
            labels=self.labels.numpy(),
            num_codes=np.int64(self.num_codes),
            class_names=np.array(self.class_names),
            dataset=np.array(self.dataset),
            vqvae_checksum=np.array(self.vqvae_checksum),
            data_checksum=np.array(self.data_checksum),
        )
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> "LatentCodes":
        """Read what ``save`` wrote.

        Raises:
            InputError: there is no such file, or it is truncated, foreign or inconsistent.
        """
        path = Path(path)
        try:
            # np.load would leave a file open that it cannot read.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                return cls(
                    codes=torch.from_numpy(file["codes"].astype(np.int64)),
                    labels=torch.from_numpy(file["labels"].astype(np.int64)),
                    num_codes=int(file["num_codes"]),
                    class_names=tuple(str(name) for name in file["class_names"]),
                    dataset=str(file["dataset"]),
                    vqvae_checksum=str(file["vqvae_checksum"]),
                    data_checksum=str(file["data_checksum"]),
                )
        except FileNotFoundError:
            raise InputError(f"{path} does not exist: extract the codes first") from None
        except InputError as error:
            raise InputError(f"{path} is damaged: {error}") from error
        except Exception as error:  # a damaged archive raises many kinds: of zip, of zlib, RuntimeError, ValueError
            raise InputError(f"{path} is no file of latent codes ({error}): extract the codes again") from error


def extract_codes(vqvae: VQVAE, data: ImageData) -> LatentCodes:
    """Encode every image of ``data``, in order; the same VQ-VAE and images give the same codes."""
    device = next(vqvae.parameters()).device
    with in_eval_mode(vqvae):
        batches = progress(data.batches(), "extracting codes")
        codes = [vqvae.encode(data.floats(batch).to(device)).cpu() for batch in batches]
    return LatentCodes(
        codes=torch.cat(codes),
        labels=data.labels,
        num_codes=vqvae.quantizer.num_codes,
        class_names=data.class_names,
        dataset=data.name,
        vqvae_checksum=checksum(vqvae),
        data_checksum=data.checksum(),
    )
