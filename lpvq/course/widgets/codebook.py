"""What a code of a grid stands for, and what another one in its place would do to the image."""

import torch
from ipywidgets import Button, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from lpvq.course.widgets.explorer import Explorer, Picture, Spot, own_copy
from lpvq.models.vqvae import VQVAE
from lpvq.plotting import ORANGE, put_codes, put_image

Position = tuple[int, int]

_AROUND = 3  # an entry is decoded in the midst of its like, so that its patch has no border


def decode_entries(vqvae: VQVAE) -> Tensor:
    """Return what each entry of the codebook decodes to in the midst of its like, (K, C, P, P), P pixels per code."""
    grids = torch.arange(vqvae.quantizer.num_codes)[:, None, None].expand(-1, _AROUND, _AROUND)
    images = vqvae.decode(grids)
    side = images.shape[-1] // _AROUND
    return images[:, :, side : 2 * side, side : 2 * side]


def plot_codebook(image: Tensor, codes: Tensor, decoded: Tensor, entries: Tensor, position: Position) -> Figure:
    """Plot an image, a grid of codes, what it decodes to, and the codebook.

    One position of the grid is framed, dashed wherever else the same code is used, and its entry in the codebook.

    Args:
        image: (C, h · P, w · P), floats in [0, 1].
        codes: int64 (h, w).
        decoded: what they decode to.
        entries: a patch for each code, (K, C, P, P), as from ``decode_entries``.
        position: row and column.
    """
    figure = Figure((9.6, 2.7))
    axes = figure.subplots(1, 4, gridspec_kw={"left": 0.01, "right": 0.99, "bottom": 0.01, "top": 0.91, "wspace": 0.06})
    before, grid, after, codebook = axes
    put_image(before, image, "the image")
    put_codes(grid, codes, len(entries), "its codes, as they are now")
    put_image(after, decoded, "decoded")
    columns = _columns(len(entries))
    put_image(codebook, _in_rows(entries, columns), "the codebook")
    side = entries.shape[-1]
    code = int(codes[position])
    for row, column in (codes == code).nonzero().tolist():
        dashed = (row, column) != position
        _put_frame(grid, row, column, 1, dashed)
        _put_frame(after, row, column, side, dashed)
    _put_frame(codebook, *divmod(code, columns), side)
    grid.set_label("codes")
    codebook.set_label("codebook")
    return figure


def _columns(entries: int) -> int:
    """How many entries stand in a row of the codebook: about as many as there are rows."""
    return int((entries - 1) ** 0.5) + 1


def _in_rows(entries: Tensor, columns: int) -> Tensor:
    """Patches (K, C, P, P) in rows, as one image; white where the last row is not full."""
    number, channels, side, _ = entries.shape
    rows = -(-number // columns)
    full = torch.ones(rows * columns, channels, side, side)
    full[:number] = entries
    return full.view(rows, columns, channels, side, side).permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)


def _put_frame(axis: Axes, row: int, column: int, side: int, dashed: bool = False) -> None:
    """Frame a square of ``side`` × ``side`` pixels; a white line below makes it show on any ground."""
    corner = (column * side - 0.5, row * side - 0.5)
    width = 1.0 if dashed else 2.0
    for colour, thickness, line in (("white", 2 * width, "-"), (ORANGE, width, "--" if dashed else "-")):
        axis.add_patch(
            Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=thickness, linestyle=line, zorder=5)
        )


class CodebookExplorer(Explorer):
    """Change single codes of a grid, and see what becomes of the image.

    A click on the grid picks a position, a click on the codebook puts that entry there; the sliders do the same.

    Args:
        vqvae: a copy of it is used.
        images: (N, C, H, W), floats in [0, 1].

    Attributes:
        codes: the grid as it is now, int64 (h, w).
    """

    def __init__(self, vqvae: VQVAE, images: Tensor) -> None:
        self.vqvae, self.images = own_copy(vqvae), images.cpu()
        self.entries = decode_entries(self.vqvae)
        self._encode(0)
        height, width = self.codes.shape
        last = len(self.entries) - 1
        swap, reset = (Button(description=text, layout={"width": "auto"}) for text in ("swap these two", "as it was"))
        swap.on_click(lambda _: self.swap())
        reset.on_click(lambda _: self.set(image=self.controls["image"].value))
        controls = {
            "image": IntSlider(0, 0, len(images) - 1, description="image"),
            "row": IntSlider(height // 2, 0, height - 1, description="row"),
            "column": IntSlider(width // 2, 0, width - 1, description="column"),
            "code": IntSlider(int(self.codes[height // 2, width // 2]), 0, last, description="code there"),
            "other": IntSlider(0, 0, last, description="another"),
        }
        one, two = list(controls.values())[:3], list(controls.values())[3:]
        super().__init__(controls, [one, [*two, swap, reset]])

    def plot(self, image: int, row: int, column: int, code: int, other: int) -> Picture:  # type: ignore[override]
        """Plot what the grid is now."""
        decoded = self.vqvae.decode(self.codes[None])[0]
        figure = plot_codebook(self.images[image], self.codes, decoded, self.entries, (row, column))
        times = int((self.codes == code).sum())
        changed = int((self.codes != self._original).sum())
        return figure, (
            f"Image {image}: code {code} in row {row}, column {column}. Of {self.codes.numel()} codes, {times} are "
            f"{code} and {changed} are not the image's own. To be swapped with: code {other}."
        )

    def prepare(self, name: str) -> None:
        """Another image brings its codes, another position its code; another code goes into the grid."""
        values = self.values()
        if name == "image":
            self._encode(values["image"])
        if name == "code":
            self.codes[values["row"], values["column"]] = values["code"]
        self.controls["code"].value = int(self.codes[values["row"], values["column"]])

    def pick(self, kind: str, spot: Spot) -> None:
        """A click picks a position, or an entry for it."""
        if kind != "mousedown":
            return
        if spot.axes == "codes":
            self.set(row=spot.row, column=spot.column)
            return
        side, columns = self.entries.shape[-1], _columns(len(self.entries))
        code = (spot.row // side) * columns + spot.column // side
        if code < len(self.entries):
            self.set(code=code)

    def _encode(self, image: int) -> None:
        self._original = self.vqvae.encode(self.images[image : image + 1])[0]
        self.codes = self._original.clone()

    def swap(self) -> None:
        """Exchange two codes wherever they stand."""
        code, other = (self.controls[name].value for name in ("code", "other"))
        first, second = self.codes == code, self.codes == other
        self.codes[first], self.codes[second] = other, code
        self.set(row=self.controls["row"].value)
