"""Images in memory, with their labels."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lpvq.errors import InputError
from lpvq.runtime import in_batches

_PIXELS_AT_ONCE = 2**17


@dataclass(frozen=True, eq=False)
class ImageData(Dataset):
    """A set of images in memory, all of one size.

    For ``torch.utils.data.DataLoader`` it is a data set of pairs: an image, float32 in [0, 1], (C, H, W), and its
    label. Sliced, it is a set of some of the images.

    Attributes:
        images: uint8 (N, C, H, W), 0 to 255.
        labels: int64 (N,), indices into ``class_names``.
        class_names: what the labels mean.
        name: the name that ``load`` was given.
        factors: for smileys, what each was rendered from: name to a tensor (N,), see ``smileys.draw_factors``.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    name: str
    factors: dict[str, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, items: slice) -> "ImageData": ...
    @overload
    def __getitem__(self, items: int) -> tuple[Tensor, int]: ...
    def __getitem__(self, items: slice | int) -> "ImageData | tuple[Tensor, int]":
        """Return some of the images as a set, or one with its label."""
        if not isinstance(items, slice):
            return self.images[items].float().div_(255), int(self.labels[items])
        factors = self.factors and {name: values[items] for name, values in self.factors.items()}
        return replace(self, images=self.images[items], labels=self.labels[items], factors=factors)

    def floats(self, indices: Tensor | Sequence[int] | slice | None = None) -> Tensor:
        """Return images as models take them, float32 (B, C, H, W) in [0, 1]: all, or those at ``indices``."""
        images = self.images if indices is None else self.images[indices]
        return images.float().div_(255)

    def batches(self) -> list[Tensor]:
        """Return the indices of all images, in order, in batches that are small whatever the size of an image."""
        return in_batches(len(self), self.images[:1, 0].numel(), _PIXELS_AT_ONCE)

    def variance(self) -> float:
        """Return the variance of all values of the images, scaled to [0, 1]: what an MSE is divided by.

        Raises:
            InputError: there are no images, or all values are the same.
        """
        if len(self) == 0:
            raise InputError(f"{self.name} has no images")
        sums = torch.zeros(2, dtype=torch.float64)
        for batch in self.batches():
            chunk = self.images[batch].double()
            sums += torch.stack([chunk.sum(), chunk.square().sum()])
        mean, mean_square = (sums / self.images.numel()).tolist()
        variance = (mean_square - mean**2) / 255**2
        if variance <= 0:
            raise InputError(f"all pixels of {self.name} have the same value: there is nothing to learn")
        return variance

    def checksum(self) -> str:
        """Return the SHA-256 of pixels, labels and the names of the classes: another set has another one."""
        digest = hashlib.sha256(repr((tuple(self.images.shape), self.class_names)).encode())
        digest.update(self.images.contiguous().numpy().data)
        digest.update(self.labels.contiguous().numpy().data)
        return digest.hexdigest()
