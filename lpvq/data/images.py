"""Images in memory, with their labels."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lpvq.data.checks import check_index, check_labels, check_tensor
from lpvq.errors import InputError
from lpvq.runtime import in_batches

_PIXELS_AT_ONCE = 2**17


@dataclass(frozen=True, eq=False)
class ImageData(Dataset):
    """A set of images in memory, all of one size; at least one.

    For ``torch.utils.data.DataLoader`` it is a map-style data set of pairs: an image, float32 (C, H, W) in [0, 1],
    and its label, an int.

    Attributes:
        images: uint8 (N, C, H, W), 0 to 255, on the CPU.
        labels: int64 (N,), indices into ``class_names``.
        class_names: what the labels mean.
        name: the name that ``lpvq.data.load`` was given.
        factors: for smileys, what each was rendered from: name to a tensor (N,), see ``smileys.draw_factors``. None
            for other sets.

    Raises:
        InputError: a tensor of another type or number of dimensions, no images at all, labels or factors of another
            length, a label without a name.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    name: str
    factors: dict[str, Tensor] | None = None

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        check_tensor(f"the images of {self.name}", self.images, torch.uint8, "NCHW")
        if self.images.numel() == 0:
            raise InputError(f"{self.name} has no images, or images without pixels: {tuple(self.images.shape)}")
        check_labels(self.labels, self.class_names, len(self.images), "images")
        for name, values in (self.factors or {}).items():
            if not isinstance(values, Tensor) or values.shape != self.labels.shape:
                raise InputError(f"the factor {name} must be a tensor of {len(self)} values, one for each image")

    def __len__(self) -> int:
        """Return N, the number of images."""
        return len(self.images)

    @overload
    def __getitem__(self, items: slice) -> "ImageData": ...
    @overload
    def __getitem__(self, items: int) -> tuple[Tensor, int]: ...
    def __getitem__(self, items: slice | int) -> "ImageData | tuple[Tensor, int]":
        """Return some of the images as a set, or one with its label.

        Args:
            items: a slice with a positive step, for a set that shares the memory of this one; or a whole number
                (Python's or numpy's), negative ones from the end, for a pair: float32 (C, H, W) in [0, 1], and the
                label. Lists and tensors are refused: ``floats`` takes them, and so does ``torch.utils.data.Subset``.

        Raises:
            InputError: a slice without any images, or something that is neither a slice nor a whole number.
            IndexError: a number out of range.
        """
        if not isinstance(items, slice):
            index = check_index(items, len(self))
            return self.images[index].float().div_(255), int(self.labels[index])
        factors = self.factors and {name: values[items] for name, values in self.factors.items()}
        return replace(self, images=self.images[items], labels=self.labels[items], factors=factors)

    def floats(self, indices: Tensor | Sequence[int] | slice | None = None) -> Tensor:
        """Return images as models take them.

        Args:
            indices: which of them, in which order; None for all.

        Returns:
            float32 (B, C, H, W) in [0, 1]; a copy, never a view of ``images``.
        """
        images = self.images if indices is None else self.images[indices]
        return images.float().div_(255)

    def batches(self) -> list[Tensor]:
        """Return the indices of all images, each once and in order, in batches of about 131,000 pixels."""
        return in_batches(len(self), self.images[0, 0].numel(), _PIXELS_AT_ONCE)

    def variance(self) -> float:
        """Return the variance of all values of the images, scaled to [0, 1]: what an MSE is divided by.

        Raises:
            InputError: all values are the same.
        """
        sums = torch.zeros(2, dtype=torch.float64)
        for chunk in self._chunks():
            values = chunk.double()
            sums += torch.stack([values.sum(), values.square().sum()])
        mean, mean_square = (sums / self.images.numel()).tolist()
        variance = (mean_square - mean**2) / 255**2
        if variance <= 0:
            raise InputError(f"all pixels of {self.name} have the same value: there is nothing to learn")
        return variance

    def checksum(self) -> str:
        """Return the SHA-256 of shape, pixels, labels and class names, 64 hexadecimal digits.

        A change of one pixel, of one label, of a class name or of the order changes it. ``name`` and
        ``factors`` do not count.
        """
        digest = hashlib.sha256(repr((tuple(self.images.shape), self.class_names)).encode())
        for chunk in self._chunks():
            digest.update(chunk.contiguous().numpy().data)
        digest.update(self.labels.contiguous().numpy().data)
        return digest.hexdigest()

    def _chunks(self) -> Iterator[Tensor]:
        """Give all images, in order, a few at a time."""
        yield from self.images.split(max(1, _PIXELS_AT_ONCE // self.images[0, 0].numel()))
