"""Erase a part of an image, and let the prior complete it several times."""

from collections.abc import Sequence
from typing import Any

import torch
from ipywidgets import Button, Dropdown, FloatSlider, IntRangeSlider, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torchvision.utils import make_grid

from lpvq.course.drawings.notebook_07 import hide
from lpvq.course.widgets.explorer import Corners, Explorer, Picture, Spot, own_copy
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.vqvae import VQVAE
from lpvq.plotting import ORANGE, put_image

Range = tuple[int, int]

_NUMBER = 6  # completions at a time
_JOINT = 0.48  # the grey between them
_FADED = 0.75  # how much of what is erased is grey


def plot_completions(image: Tensor, known: Tensor, completions: Tensor, title: str) -> Figure:
    """Plot an image, what is erased of it, and its completions.

    Args:
        image: (C, h · P, w · P), floats in [0, 1].
        known: which codes are left, bool (h, w); the others are a rectangle.
        completions: (N, C, h · P, w · P), N even.
        title: above the completions.
    """
    figure = Figure((9.6, 4.2))
    sides = {"left": 0.01, "right": 0.99, "bottom": 0.02, "top": 0.91, "wspace": 0.04}
    columns = len(completions) // 2
    before, after = figure.subplots(1, 2, width_ratios=[2, columns], gridspec_kw=sides)
    before.set_label("image")
    put_erased(before, image, known, "drag over what to erase")
    joint = max(1, image.shape[-1] // 32)
    wall = make_grid(completions, columns, padding=joint, pad_value=_JOINT)
    put_image(after, wall[:, joint:-joint, joint:-joint], title)
    return figure


def put_erased(axis: Axes, image: Tensor, known: Tensor, title: str) -> None:
    """Plot an image (C, h · P, w · P) with what is erased framed and faded; ``known`` is bool (h, w)."""
    faded = _FADED * hide(image[None], known)[0] + (1 - _FADED) * image
    put_image(axis, faded, title)
    rows, columns = (~known).nonzero(as_tuple=True)
    if len(rows):
        side = image.shape[-1] // known.shape[-1]
        top, left = side * int(rows.min()), side * int(columns.min())
        height, width = side * (int(rows.max()) + 1) - top, side * (int(columns.max()) + 1) - left
        frame: dict[str, Any] = {"fill": False, "edgecolor": ORANGE, "linewidth": 2.5, "zorder": 11, "clip_on": False}
        axis.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, **frame))


class CompletionExplorer(Explorer):
    """Drag over the image to erase, or set rows and columns; "others" completes it anew.

    Args:
        vqvae: encodes and decodes; a copy of it is used, as of the prior.
        prior: completes.
        images: (N, C, H, W), floats in [0, 1].
        labels: of the images, int64 (N,).
        class_names: of a prior with classes.
    """

    hint = "Drag over the image: what you frame is erased and completed."
    drags = True

    def __init__(
        self,
        vqvae: VQVAE,
        prior: PixelCNN | CoarseToFine,
        images: Tensor,
        labels: Tensor,
        class_names: Sequence[str] = (),
    ) -> None:
        self.vqvae, self.prior = own_copy(vqvae), own_copy(prior)
        self.images, self.labels = images.cpu(), labels.cpu()
        self.codes = self.vqvae.encode(self.images)
        self._from: tuple[int, int] | None = None
        height, width = self.codes.shape[1:]
        classes = range(self.prior.num_classes or 0)
        names: list[tuple[str, int | None]] = [
            (class_names[label] if class_names else f"class {label}", label) for label in classes
        ]
        again = Button(description="others", layout={"width": "auto"})
        again.on_click(lambda _: self.set(seed=(self.controls["seed"].value + 1) % 100))
        own = int(self.labels[0]) if names else None
        controls = {
            "image": IntSlider(0, 0, len(images) - 1, description="image"),
            "rows": IntRangeSlider(value=(0, height // 2), min=0, max=height - 1, description="rows"),
            "columns": IntRangeSlider(value=(0, width - 1), min=0, max=width - 1, description="columns"),
            "label": Dropdown(options=names or [("none", None)], value=own, description="complete as"),
            "temperature": FloatSlider(1.0, min=0, max=2, step=0.1, description="temperature"),
            "seed": IntSlider(0, 0, 99, description="seed"),
        }
        every = list(controls.values())
        super().__init__(controls, [every[:3], [*every[3:], again]])

    def plot(  # type: ignore[override]
        self, image: int, rows: Range, columns: Range, label: int | None, temperature: float, seed: int
    ) -> Picture:
        """Complete an image six times."""
        known = torch.ones(self.codes.shape[1:], dtype=torch.bool)
        known[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = False
        drawn = self.prior.generate(
            self.codes[image].expand(_NUMBER, -1, -1),
            known=known,
            labels=None if label is None else torch.full((_NUMBER,), label),
            temperature=temperature,
            generator=torch.Generator().manual_seed(seed),
        )
        name = "" if label is None else f" as {self.controls['label'].label}"
        figure = plot_completions(self.images[image], known, self.vqvae.decode(drawn), f"completed{name}")
        return figure, (
            f"Image {image} without the codes in rows {rows[0]} to {rows[1]} and columns {columns[0]} to {columns[1]}, "
            f"and {_NUMBER} completions{name}: temperature {temperature:g}, seed {seed}."
        )

    def prepare(self, name: str) -> None:
        """Another image is completed as what it is."""
        if name == "image" and self.controls["label"].value is not None:
            self.controls["label"].value = int(self.labels[self.controls["image"].value])

    def pick(self, kind: str, spot: Spot) -> None:
        """A drag over the image frames a rectangle; what it holds is erased when the button is released."""
        here = self._code_at(spot)
        if kind == "mousedown":
            self._from = here
        if self._from is None:
            return
        (top, bottom), (left, right) = (sorted(pair) for pair in zip(self._from, here, strict=True))
        side = self._side
        self.mark("image", (side * top - 0.5, side * left - 0.5, side * (bottom + 1) - 0.5, side * (right + 1) - 0.5))
        if kind == "mouseup":
            self._from = None
            self.set(rows=(top, bottom), columns=(left, right))

    def target(self, spot: Spot) -> Corners | None:
        """The code under the mouse, where a drag would begin."""
        side = self._side
        top, left = (side * place - 0.5 for place in self._code_at(spot))
        return top, left, top + side, left + side

    @property
    def _side(self) -> int:
        """How many pixels a code stands for in each direction."""
        return self.images.shape[-1] // self.codes.shape[-1]

    def _code_at(self, spot: Spot) -> tuple[int, int]:
        """The row and the column of the code at a place of the image, or of the nearest one at its edge."""
        height, width = self.codes.shape[1:]
        row, column = spot.row // self._side, spot.column // self._side
        return min(max(row, 0), height - 1), min(max(column, 0), width - 1)
