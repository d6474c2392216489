"""What a prior of grids of codes is given, whichever network it is: codes, labels, coarse codes, what is known."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.errors import InputError
from lpvq.models.checks import ArrayLike, bool_tensor, check_codes, int64_tensor, is_recorded, whole_number

ImageSize = int | Sequence[int]
"""Height and width, or one number for both."""


class GridPrior:
    """The questions that a prior asks about what it is given.

    Attributes:
        latent_dim: K, the number of distinct codes.
        image_size: height and width of the grids that it draws unless told otherwise.
        num_classes: how many labels there are; None for a model without labels.
        num_coarse_codes: how many coarse codes there are; None for a model without them.
        coarse_factor: how many codes a coarse code stands for in each direction.
        device: where the model is.
    """

    latent_dim: int
    image_size: tuple[int, int]
    num_classes: int | None
    num_coarse_codes: int | None
    coarse_factor: int

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        raise NotImplementedError

    def start(
        self,
        start_sequence: ArrayLike | None,
        image_size: ImageSize | None,
        batch_size: int | None,
        labels: ArrayLike | None,
        known: ArrayLike | None,
        coarse: ArrayLike | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the grids that ``generate`` would fill, given the same.

        Returns:
            int64 (B, H, W) with 0 where nothing is known; bool (B, H, W), True where a code is known.

        Raises:
            InputError: arguments that contradict each other, or are of another type or shape.
        """
        device = self.device
        labels = self._as_labels(labels)
        coarse = None if coarse is None else self._as_coarse(coarse)
        start = None if start_sequence is None else int64_tensor("start_sequence", start_sequence, device)
        if known is not None and (start is None or start.ndim != 3):
            raise InputError("known needs start_sequence to be full grids of shape (B, H, W)")
        if start is not None and start.ndim != (2 if known is None else 3):
            raise InputError(
                f"start_sequence must have shape (B, n), or (B, H, W) together with known; got {tuple(start.shape)}"
            )
        batch = _number_of_grids(
            {
                "start_sequence": None if start is None else len(start),
                "labels": None if labels is None else len(labels),
                "coarse": None if coarse is None else len(coarse),
                "batch_size": None if batch_size is None else whole_number("batch_size", batch_size),
            }
        )
        if known is not None and start is not None:
            return _keep_known(start, bool_tensor("known", known, device), image_size)
        size = self.image_size if coarse is None else [self.coarse_factor * side for side in coarse.shape[1:]]
        height, width = height_and_width(size if image_size is None else image_size)
        sequence = torch.empty(batch, 0, dtype=torch.int64, device=device) if start is None else start
        return _keep_first(sequence, height, width)

    def _as_labels(self, labels: ArrayLike | None) -> Tensor | None:
        """Return labels as int64 (B,) on the model's device; None for a model without classes."""
        if self.num_classes is None:
            if labels is not None:
                raise InputError("this model has no classes: leave labels out")
            return None
        if labels is None:
            raise InputError(f"this model has {self.num_classes} classes: give labels, one for each grid")
        labels = int64_tensor("labels", labels, self.device)
        if labels.ndim != 1:
            raise InputError(f"labels must have shape (B,), one for each grid, got shape {tuple(labels.shape)}")
        return labels

    def _as_coarse(self, coarse: ArrayLike | None) -> Tensor | None:
        """Return coarse codes as int64 (B, h, w) on the model's device; None for a model without them."""
        if self.num_coarse_codes is None:
            if coarse is not None:
                raise InputError("this model knows no coarse codes: leave coarse out")
            return None
        if coarse is None:
            raise InputError("this model draws codes given coarse ones: give coarse, a grid for each grid")
        coarse = int64_tensor("coarse", coarse, self.device)
        if coarse.ndim != 3:
            raise InputError(f"coarse must have shape (B, h, w), got {tuple(coarse.shape)}")
        return coarse

    def _check(self, codes: Tensor, labels: Tensor | None, coarse: Tensor | None) -> None:
        if codes.ndim != 3:
            raise InputError(f"expected codes of shape (B, H, W), got {tuple(codes.shape)}")
        if is_recorded(codes):  # sizes may be symbols in there, too
            return
        if codes.numel() == 0:
            raise InputError(f"expected at least one grid with at least one code, got shape {tuple(codes.shape)}")
        check_codes(codes, self.latent_dim)
        if coarse is not None and self.num_coarse_codes is not None:
            self._check_coarse(codes, coarse, self.num_coarse_codes)
        if labels is None or self.num_classes is None:
            return
        if labels.shape != codes.shape[:1]:
            raise InputError(f"labels must have shape ({len(codes)},), one for each grid, got {tuple(labels.shape)}")
        if labels.min() < 0 or labels.max() >= self.num_classes:
            raise InputError(
                f"labels must be in 0 … {self.num_classes - 1}, got {labels.min().item()} … {labels.max().item()}"
            )

    def _check_coarse(self, codes: Tensor, coarse: Tensor, num_coarse_codes: int) -> None:
        batch, height, width = codes.shape
        factor = self.coarse_factor
        if height % factor or width % factor or coarse.shape != (batch, height // factor, width // factor):
            raise InputError(
                f"{batch} grids of {height} × {width} need coarse codes of shape ({batch}, {height / factor:g}, "
                f"{width / factor:g}), got {tuple(coarse.shape)}"
            )
        lowest, highest = (int(bound) for bound in coarse.aminmax())
        if lowest < 0 or highest >= num_coarse_codes:
            raise InputError(f"coarse codes must be in 0 … {num_coarse_codes - 1}, got {lowest} … {highest}")


def _number_of_grids(given: dict[str, int | None]) -> int:
    """Return the number that all who name one agree on, 1 if nobody names any."""
    named = {name: number for name, number in given.items() if number is not None}
    if len(set(named.values())) > 1:
        raise InputError(f"these must agree on the number of grids: {named}")
    number = next(iter(named.values()), 1)
    if number < 1:
        raise InputError(f"the number of grids must be at least 1, got {number}")
    return number


def _keep_known(grids: Tensor, known: Tensor, image_size: ImageSize | None) -> tuple[Tensor, Tensor]:
    """Grids (B, H, W) without what is not known, and the mask for each of them."""
    batch, height, width = grids.shape
    if image_size is not None and height_and_width(image_size) != (height, width):
        raise InputError(f"start_sequence is {height} × {width}, but image_size is {image_size}")
    if known.shape not in ((height, width), grids.shape):
        raise InputError(
            f"known must have shape ({height}, {width}) or ({batch}, {height}, {width}), got {tuple(known.shape)}"
        )
    mask = known.expand(grids.shape)
    return grids.masked_fill(~mask, 0), mask


def _keep_first(sequence: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Grids that begin with the codes of ``sequence`` (B, n), and the mask for each of them."""
    batch, length = sequence.shape
    if length > height * width:
        raise InputError(f"start_sequence has {length} codes, a grid of {height} × {width} only {height * width}")
    codes = F.pad(sequence, (0, height * width - length)).view(batch, height, width)
    mask = torch.arange(height * width, device=sequence.device) < length
    return codes, mask.view(height, width).expand(codes.shape)


def height_and_width(size: ImageSize) -> tuple[int, int]:
    """Return (H, W) of a size given as one number or as a pair.

    Raises:
        InputError: anything but positive whole numbers, or more or fewer of them.
    """
    lengths = tuple(size) if isinstance(size, Sequence) else (size, size)
    try:
        height, width = (whole_number("a size", length) for length in lengths)
    except ValueError as error:  # an InputError is one too; the other comes from a number of lengths that is not two
        raise InputError(f"a size is a positive whole number or a pair of them, got {size!r}") from error
    return height, width
