"""Draw a face of your own, see its codes and what they decode to, erase a part of it, and let the prior complete it."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ipywidgets import HTML, Box, Button, Image, IntRangeSlider, IntSlider, ToggleButtons
from matplotlib.figure import Figure
from PIL import Image as PilImage
from torch import Tensor

from lpvq.course.widgets.completion import put_erased
from lpvq.course.widgets.explorer import INK, Explorer, Picture, framed, in_a_row, listen, own_copy
from lpvq.data import smileys
from lpvq.errors import InputError
from lpvq.evaluation.codes import decode_entries
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.vqvae import VQVAE
from lpvq.plotting import HIDDEN, ORANGE, put_codes, put_image

Place = tuple[int, int]
"""Row and column of a pixel."""
Range = tuple[int, int]

_DRAWN, _ENCODED, _COMPLETED = range(3)  # how far a drawing has come
_MILLISECONDS = 25  # between two messages: a stroke follows the mouse
_STREAM = 7  # of the random numbers of smileys: one that no data set is made from


def paint(canvas: npt.NDArray, start: Place, end: Place, diameter: int, colour: npt.NDArray) -> None:
    """Draw a line with a round brush into a canvas (H, W, 3), from the middle of a pixel to that of another."""
    rows, columns = np.indices(canvas.shape[:2])
    down, right = end[0] - start[0], end[1] - start[1]
    length = max(down**2 + right**2, 1)
    along = (((rows - start[0]) * down + (columns - start[1]) * right) / length).clip(0, 1)
    distance = np.hypot(rows - start[0] - along * down, columns - start[1] - along * right)
    canvas[distance < (diameter + 0.4) / 2] = colour


def plot_drawing(
    panels: Sequence[tuple[str, Tensor | None]], codes: Tensor | None, known: Tensor, patches: Tensor
) -> Figure:
    """Plot a drawing, its codes and its reconstruction, and below them its completions.

    Args:
        panels: titles and images (C, H, W), floats in [0, 1], None where there is none yet: the drawing, the
            reconstruction and the completions.
        codes: int64 (h, w), if there are any.
        known: bool (h, w): where it is False, the drawing is erased.
        patches: what the codes stand for, (K, C, s, s).
    """
    (title, image), *others = panels
    columns = max(3, len(others) - 1)
    figure = Figure((2.0 * columns, 4.45))  # not larger, so that a narrow page has room for the board
    axes = figure.subplots(
        2,
        columns,
        gridspec_kw={"left": 0.01, "right": 0.99, "bottom": 0.01, "top": 0.93, "hspace": 0.18, "wspace": 0.06},
    )
    for axis in axes.flat:
        axis.axis("off")
    assert image is not None
    put_erased(axes[0, 0], image, known, title)
    empty = torch.full_like(image, HIDDEN)
    if codes is None:
        put_image(axes[0, 1], empty, "its codes")
    else:
        put_codes(axes[0, 1], codes, patches, "its codes")
    for axis, (name, picture) in zip((axes[0, 2], *axes[1]), others, strict=False):
        put_image(axis, empty if picture is None else picture, name)
    return figure


class DrawingBoard(Explorer):
    """Draw with the mouse, a finger or the keyboard; encode the drawing, erase a part, and have it completed.

    Args:
        vqvae: encodes and decodes colour images; a copy of it is used, as of the prior.
        prior: completes; one completion for each of its classes.
        class_names: of a prior with classes.
        patches: what the codes stand for, (K, C, P, P), floats in [0, 1], as from ``mean_patches``; if None, what they
            decode to among copies of themselves.

    Attributes:
        canvas: what is drawn, floats in [0, 1], (H, W, 3).

    Raises:
        InputError: the VQ-VAE is for images of another number of channels than three.
    """

    hint = "Draw here, then encode, and erase the mouth or what you frame."

    def __init__(
        self,
        vqvae: VQVAE,
        prior: PixelCNN | CoarseToFine,
        class_names: Sequence[str] = (),
        patches: Tensor | None = None,
    ) -> None:
        if vqvae.in_channels != 3:
            raise InputError(f"a drawing has 3 channels, this VQ-VAE has {vqvae.in_channels}: give one for colours")
        self.vqvae, self.prior, self.class_names = own_copy(vqvae), own_copy(prior), class_names
        self.patches = decode_entries(self.vqvae) if patches is None else patches
        self.palette = smileys.palette()
        self.colour = "sky"
        self._faces = 0  # how many smileys the board has begun with
        self._stage = _DRAWN
        self._at: Place | None = None  # where the brush is, while a button is held
        height, width = (side * self.vqvae.downsample for side in prior.image_size)
        self.canvas = np.empty((height, width, 3), np.float32)
        self.canvas[:] = self.palette[self.colour]
        rows, columns = prior.image_size
        controls = {
            "rows": IntRangeSlider(value=_mouth(rows, 4), min=0, max=rows - 1, description="rows"),
            "columns": IntRangeSlider(value=_mouth(columns, 1), min=0, max=columns - 1, description="columns"),
            "seed": IntSlider(0, 0, 99, description="seed"),
        }
        self._make_tools(height, width)
        start = _button("plain background", self.clear), _button("start from a smiley", self.start_from_smiley)
        encode, erase = _button("encode", self.encode), _button("erase the mouth", self.erase_mouth)
        dab = _button("dab", lambda: self.dab(self._row.value, self._column.value))
        brush = in_a_row([self._brush, self._row, self._column, dab])
        above = [[*start, self._use, encode], [*self._colours.values(), erase]]  # two rows in a window of 1024 pixels
        super().__init__(controls, above, [self._board, brush], list(controls.values()))
        self.choose("dark")

    def _make_tools(self, height: int, width: int) -> None:
        """The canvas, the colours and the brush, which change no picture by themselves."""
        self._paper, self._over = Image(format="png"), HTML()
        self._over.add_class("lpvq-mark")
        self._board = Box([self._paper, self._over])
        self._board.add_class("lpvq-picture").add_class("lpvq-beside")
        self._events = listen(self._paper, self._on_canvas, True, _MILLISECONDS)
        self._colours = {name: self._colour_button(name) for name in self.palette}
        small = {"description_width": "60px"}, {"width": "auto", "flex": "1 1 190px", "max_width": "300px"}
        self._brush, self._row, self._column = (
            IntSlider(value, least, most, description=name, style=small[0], layout=small[1])
            for name, value, least, most in (
                ("brush", max(2, width // 16), 1, width // 4),
                ("row", height // 2, 0, height - 1),
                ("column", width // 2, 0, width - 1),
            )
        )
        self._use = ToggleButtons(options=["draw", "frame what to erase"])
        self._use.style.button_width = "auto"
        for control in (self._row, self._column):
            control.observe(lambda _: self._show_canvas(), "value")

    def _colour_button(self, name: str) -> Button:
        button = Button(tooltip=name, layout={"width": "30px", "height": "28px", "border": f"1px solid {INK}"})
        button.style.button_color = "#" + "".join(f"{round(255 * float(part)):02x}" for part in self.palette[name])
        button.on_click(lambda _: self.choose(name))
        return button

    # What a reader does.

    def choose(self, colour: str) -> None:
        """Draw in another colour."""
        self._colours[self.colour].remove_class("lpvq-chosen")
        self.colour = colour
        self._colours[colour].add_class("lpvq-chosen")

    def clear(self) -> None:
        """Start afresh, on a background of the chosen colour."""
        self._drawn(np.broadcast_to(self.palette[self.colour], self.canvas.shape).copy())

    def start_from_smiley(self) -> None:
        """Begin with a smiley, a different one each time."""
        factors = {name: values[-1:] for name, values in smileys.draw_factors(self._faces + 1, 0, _STREAM).items()}
        self._faces += 1
        self._drawn(smileys.draw(factors, self.canvas.shape[0])[0].movedim(0, -1).numpy().astype(np.float32) / 255)

    def dab(self, row: int, column: int) -> None:
        """Touch the canvas with the brush."""
        self.stroke((row, column), (row, column))
        self._drawn(self.canvas)

    def stroke(self, start: Place, end: Place) -> None:
        """Draw a line with the brush, from a pixel to another."""
        paint(self.canvas, start, end, self._brush.value, self.palette[self.colour])
        self._show_canvas()

    def encode(self) -> None:
        """Show the codes of the drawing, and what they decode to."""
        self._stage = _ENCODED
        self.refresh()

    def erase_mouth(self) -> None:
        """Erase where most mouths are, and complete the drawing."""
        height, width = self.prior.image_size
        self.set(rows=_mouth(height, 4), columns=_mouth(width, 1))

    def prepare(self, name: str) -> None:
        """A new rectangle to erase, or a new seed, asks for completions."""
        self._stage = _COMPLETED

    # What is shown.

    def plot(self, rows: Range, columns: Range, seed: int) -> Picture:  # type: ignore[override]
        """Plot how far the drawing has come."""
        self._show_canvas()
        image = torch.from_numpy(self.canvas).movedim(-1, 0)
        known = torch.ones(self.prior.image_size, dtype=torch.bool)
        classes = self.prior.num_classes or 3
        names = list(self.class_names) or [f"completion {number + 1}" for number in range(classes)]
        codes: Tensor | None = None
        images: list[Tensor | None] = [None] * (1 + classes)
        if self._stage >= _ENCODED:
            codes = self.vqvae.encode(image[None])[0]
            images[0] = self.vqvae.decode(codes[None])[0]
        if codes is not None and self._stage == _COMPLETED:
            known[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = False
            images[1:] = self._complete(codes, known, seed)
        panels = list(zip(("your drawing", "decoded", *names), (image, *images), strict=True))
        said = (
            "A drawing that is not encoded yet: press encode.",
            "A drawing, its codes, and what they decode to.",
            f"A drawing without the codes in rows {rows[0]} to {rows[1]} and columns {columns[0]} to {columns[1]}, "
            f"completed: {', '.join(names)} (seed {seed}).",
        )[self._stage]
        return plot_drawing(panels, codes, known, self.patches), said

    def _complete(self, codes: Tensor, known: Tensor, seed: int) -> list[Tensor]:
        """A completion for each class."""
        classes = self.prior.num_classes
        drawn = self.prior.generate(
            codes.expand(classes or 3, -1, -1),
            known=known,
            labels=None if classes is None else torch.arange(classes),
            generator=torch.Generator().manual_seed(seed),
        )
        return list(self.vqvae.decode(drawn))

    def _drawn(self, canvas: npt.NDArray) -> None:
        """The canvas has changed: what was made from it no longer belongs to it."""
        self.canvas = canvas.astype(np.float32)
        self._stage = _DRAWN
        self.refresh()

    def _show_canvas(self, frame: tuple[Range, Range] | None = None) -> None:
        """Show what is drawn, where the brush is, and what is framed, in codes: as a rule, what is erased."""
        pixels = io.BytesIO()
        PilImage.fromarray((255 * self.canvas).round().astype(np.uint8)).save(pixels, "png", compress_level=1)
        self._paper.value = pixels.getvalue()
        height, width = self.canvas.shape[:2]
        row, column = 100 / height * self._row.value, 100 / width * self._column.value
        marks = framed(column, row, column + 100 / width, row + 100 / height)
        (top, bottom), (left, right) = frame or (self.controls["rows"].value, self.controls["columns"].value)
        if frame or self._stage == _COMPLETED:
            down, across = (100 / side for side in self.prior.image_size)
            style = f"border-color: {ORANGE}"
            marks += framed(across * left, down * top, across * (right + 1), down * (bottom + 1), style)
        self._over.value = marks

    # The mouse.

    def _on_canvas(self, event: Mapping[str, Any]) -> None:
        """Draw, or frame what to erase, while a button is held."""
        kind, at = event["type"], self._pixel(event)
        held = kind == "mousedown" or (kind == "mousemove" and event["buttons"] and self._at)
        if held:
            before = self._at if self._at and kind == "mousemove" else at
            if self._use.value == "draw":
                self.stroke(before, at)
                self._at = at
            else:
                self._at = before
                self._show_canvas(self._codes_between(before, at))
        elif self._at and (kind in ("mouseup", "mouseleave") or not event["buttons"]):
            before, self._at = self._at, None
            if self._use.value == "draw":
                self._drawn(self.canvas)
            else:
                rows, columns = self._codes_between(before, at)
                self.set(rows=rows, columns=columns)

    def _pixel(self, event: Mapping[str, Any]) -> Place:
        """The pixel under the mouse, or the nearest one if the mouse has left the canvas."""
        height, width = self.canvas.shape[:2]
        row = int(height * event["relativeY"] / event["boundingRectHeight"])
        column = int(width * event["relativeX"] / event["boundingRectWidth"])
        return min(max(row, 0), height - 1), min(max(column, 0), width - 1)

    def _codes_between(self, one: Place, other: Place) -> tuple[Range, Range]:
        """The rows and columns of codes between two pixels."""
        side = self.vqvae.downsample
        rows, columns = (sorted((a // side, b // side)) for a, b in zip(one, other, strict=True))
        return (rows[0], rows[1]), (columns[0], columns[1])


def _button(text: str, act: Callable[[], None]) -> Button:
    button = Button(description=text, layout={"width": "auto"})
    button.on_click(lambda _: act())
    return button


def _mouth(side: int, first: int) -> Range:
    """From which row or column of codes to which most mouths are; ``first`` is in eighths of the side."""
    return first * side // 8, max(first * side // 8, 7 * side // 8 - 1)
