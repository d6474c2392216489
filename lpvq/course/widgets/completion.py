"""Erase a part of an image, and let the prior complete it several times."""

import torch
from ipywidgets import Button, FloatSlider, IntRangeSlider, IntSlider
from matplotlib.figure import Figure
from torch import Tensor

from lpvq.course.drawings.notebook_07 import hide
from lpvq.course.widgets.explorer import Explorer, Picture, Spot, own_copy
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.vqvae import VQVAE
from lpvq.plotting import put_image

Range = tuple[int, int]

_NUMBER = 6  # completions at a time


def plot_completions(image: Tensor, known: Tensor, completions: Tensor) -> Figure:
    """Plot an image, what is left of it, and its completions.

    Args:
        image: (C, h · P, w · P), floats in [0, 1].
        known: which codes are left, bool (h, w).
        completions: (N, C, h · P, w · P), N even.
    """
    half = len(completions) // 2
    figure = Figure((9.6, 2.75))
    sides = {"left": 0.01, "right": 0.99, "bottom": 0.01, "top": 0.91, "wspace": 0.08, "hspace": 0.08}
    places = figure.add_gridspec(2, 4 + half, **sides)
    before, left = figure.add_subplot(places[:, :2]), figure.add_subplot(places[:, 2:4])
    put_image(before, image, "drag here to erase")
    put_image(left, hide(image[None], known)[0], "what is left")
    for axis in (before, left):
        axis.set_label("image")
    for index, completion in enumerate(completions):
        row, column = divmod(index, half)
        title = "completed" if index == half // 2 else ""
        put_image(figure.add_subplot(places[row, 4 + column]), completion, title)
    return figure


class CompletionExplorer(Explorer):
    """Drag over the image to erase, or set rows and columns; "others" completes it anew.

    Args:
        vqvae: encodes and decodes; a copy of it is used, as of the prior.
        prior: completes.
        images: (N, C, H, W), floats in [0, 1].
        labels: of the images, int64 (N,).
    """

    def __init__(self, vqvae: VQVAE, prior: PixelCNN | CoarseToFine, images: Tensor, labels: Tensor) -> None:
        self.vqvae, self.prior = own_copy(vqvae), own_copy(prior)
        self.images, self.labels = images.cpu(), labels.cpu()
        self.codes = self.vqvae.encode(self.images)
        self._from: tuple[int, int] | None = None
        height, width = self.codes.shape[1:]
        again = Button(description="others", layout={"width": "auto"})
        again.on_click(lambda _: self.set(seed=(self.controls["seed"].value + 1) % 100))
        rows = IntRangeSlider(value=(0, height // 2), min=0, max=height - 1, description="rows")
        columns = IntRangeSlider(value=(0, width - 1), min=0, max=width - 1, description="columns")
        controls = {
            "image": IntSlider(0, 0, len(images) - 1, description="image"),
            "rows": rows,
            "columns": columns,
            "temperature": FloatSlider(1.0, min=0, max=2, step=0.1, description="temperature"),
            "seed": IntSlider(0, 0, 99, description="seed"),
        }
        every = list(controls.values())
        super().__init__(controls, [every[:3], [*every[3:], again]])

    def plot(self, image: int, rows: Range, columns: Range, temperature: float, seed: int) -> Picture:  # type: ignore[override]
        """Complete an image six times."""
        known = torch.ones(self.codes.shape[1:], dtype=torch.bool)
        known[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = False
        drawn = self.prior.generate(
            self.codes[image].expand(_NUMBER, -1, -1),
            known=known,
            labels=None if self.prior.num_classes is None else self.labels[image].expand(_NUMBER),
            temperature=temperature,
            generator=torch.Generator().manual_seed(seed),
        )
        figure = plot_completions(self.images[image], known, self.vqvae.decode(drawn))
        return figure, (
            f"Image {image} without the codes in rows {rows[0]} to {rows[1]} and columns {columns[0]} to {columns[1]}, "
            f"and {_NUMBER} completions: temperature {temperature:g}, seed {seed}."
        )

    def pick(self, kind: str, spot: Spot) -> None:
        """A drag over the image erases a rectangle."""
        side = self.images.shape[-1] // self.codes.shape[-1]
        height, width = self.codes.shape[1:]
        row, column = min(max(spot.row // side, 0), height - 1), min(max(spot.column // side, 0), width - 1)
        if kind == "mousedown":
            self._from = row, column
        if self._from is None:
            return
        rows = min(row, self._from[0]), max(row, self._from[0])
        columns = min(column, self._from[1]), max(column, self._from[1])
        if (rows, columns) != (self.controls["rows"].value, self.controls["columns"].value):
            self.set(rows=rows, columns=columns)
        if kind == "mouseup":
            self._from = None
