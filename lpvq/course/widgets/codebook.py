"""What a code of a grid stands for, and what another code in its place would do to the image."""

import torch
from ipywidgets import Button, IntSlider
from matplotlib.figure import Figure
from torch import Tensor

from lpvq.course.widgets.explorer import TOUCH, Corners, Explorer, Picture, Spot, own_copy
from lpvq.course.widgets.frames import Position, put_frames
from lpvq.evaluation.codes import decode_entries
from lpvq.models.vqvae import VQVAE
from lpvq.plotting import ORANGE, put_codes, put_image


def sort_by_likeness(patches: Tensor) -> Tensor:
    """Return the codes in rows, so that neighbours look alike, int64 (rows, columns); −1 where there is none.

    They are sorted along the two directions in which patches differ most: the first from the top, the second in a row.

    Args:
        patches: what the codes stand for, (K, C, s, s).
    """
    number = len(patches)
    columns = int((number - 1) ** 0.5) + 1  # about as many as rows
    flat = patches.flatten(1) - patches.flatten(1).mean(0)
    down, across = (flat @ torch.linalg.svd(flat, full_matrices=False).Vh[:2].T).T
    rows = [row[across[row].argsort(stable=True)] for row in down.argsort(stable=True).split(columns)]
    full = torch.full((len(rows), columns), -1)
    for index, row in enumerate(rows):
        full[index, : len(row)] = row
    return full


def plot_codebook(
    image: Tensor, codes: Tensor, decoded: Tensor, patches: Tensor, wall: Tensor, position: Position, other: int
) -> Figure:
    """Plot an image, a grid of codes, what it decodes to, and the codebook.

    One position of the grid is framed, dashed wherever else the same code is used, and its entry in the codebook.

    Args:
        image: (C, h · P, w · P), floats in [0, 1].
        codes: int64 (h, w).
        decoded: what they decode to.
        patches: what the codes stand for, (K, C, P, P), as from ``decode_entries``.
        wall: the codes in rows, int64, −1 for none, as from ``sort_by_likeness``.
        position: row and column.
        other: a code that is framed in the codebook too, in blue.
    """
    figure = Figure((9.6, 4.95))  # large enough for a finger to hit one of 256 entries, even on a narrow screen
    places = figure.add_gridspec(
        2, 3, width_ratios=[1, 1.6, 2.55], left=0.01, right=0.99, bottom=0.02, top=0.93, wspace=0.06, hspace=0.2
    )
    before, after = figure.add_subplot(places[0, 0]), figure.add_subplot(places[1, 0])
    grid, codebook = figure.add_subplot(places[:, 1], label="codes"), figure.add_subplot(places[:, 2], label="codebook")
    put_image(before, image, "the image")
    put_image(after, decoded, "decoded")
    put_codes(grid, codes, patches, "its codes")
    put_codes(codebook, wall.clamp(min=0), patches, "the codebook", wall >= 0)
    code, side = int(codes[position]), patches.shape[-1]
    others = [(row, column) for row, column in (codes == code).nonzero().tolist() if (row, column) != position]
    for framed, dashed in ((others, True), ([position], False)):
        put_frames(grid, framed, ORANGE, dashed=dashed)
        put_frames(after, framed, ORANGE, side, dashed)
    for entry, colour in ((other, TOUCH), (code, ORANGE)):
        put_frames(codebook, (wall == entry).nonzero().tolist(), colour)
    return figure


class CodebookExplorer(Explorer):
    """Change single codes of a grid, and see what becomes of the image.

    A click on the grid picks a position, a click on the codebook puts that entry there; the sliders do the same. In
    the codebook, entries that look alike stand together.

    Args:
        vqvae: a copy of it is used.
        images: (N, C, H, W), floats in [0, 1].
        patches: what the codes stand for, (K, C, P, P), floats in [0, 1], as from ``mean_patches``; if None, what they
            decode to among copies of themselves.

    Attributes:
        codes: the grid as it is now, int64 (h, w).
    """

    hint = "Click one of the codes, then an entry of the codebook to put it there."

    def __init__(self, vqvae: VQVAE, images: Tensor, patches: Tensor | None = None) -> None:
        self.vqvae, self.images = own_copy(vqvae), images.cpu()
        self.patches = decode_entries(self.vqvae) if patches is None else patches
        self.wall = sort_by_likeness(self.patches)
        self._encode(0)
        height, width = self.codes.shape
        last = len(self.patches) - 1
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
        """Plot the grid as it is now."""
        decoded = self.vqvae.decode(self.codes[None])[0]
        figure = plot_codebook(self.images[image], self.codes, decoded, self.patches, self.wall, (row, column), other)
        times = int((self.codes == code).sum())
        changed = int((self.codes != self._original).sum())
        return figure, (
            f"Image {image}: code {code} in row {row}, column {column}. Of {self.codes.numel()} codes, {times} are "
            f"{code} and {changed} are not the image's own. To be swapped with: code {other}."
        )

    def prepare(self, name: str) -> None:
        """A new image brings its codes, a new position its code; a new code goes into the grid."""
        values = self.values()
        if name == "image":
            self._encode(values["image"])
        if name == "code":
            self.codes[values["row"], values["column"]] = values["code"]
        self.controls["code"].value = int(self.codes[values["row"], values["column"]])

    def pick(self, kind: str, spot: Spot) -> None:
        """A click picks a position, or an entry for it."""
        if kind != "mousedown" or self.target(spot) is None:
            return
        if spot.axes == "codes":
            self.set(row=spot.row, column=spot.column)
        else:
            self.set(code=int(self.wall[spot.row, spot.column]))

    def target(self, spot: Spot) -> Corners | None:
        """The code under the mouse."""
        grid = self.codes if spot.axes == "codes" else self.wall
        row, column = spot.row, spot.column
        if not (0 <= row < grid.shape[0] and 0 <= column < grid.shape[1]) or grid[row, column] < 0:
            return None
        return row - 0.5, column - 0.5, row + 0.5, column + 0.5

    def _encode(self, image: int) -> None:
        self._original = self.vqvae.encode(self.images[image : image + 1])[0]
        self.codes = self._original.clone()

    def swap(self) -> None:
        """Exchange two codes wherever they stand."""
        code, other = (self.controls[name].value for name in ("code", "other"))
        first, second = self.codes == code, self.codes == other
        self.codes[first], self.codes[second] = other, code
        self.set(row=self.controls["row"].value)
