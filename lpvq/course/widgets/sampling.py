"""How a grid is drawn code by code: the grid so far, its image, and which codes could come next."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from ipywidgets import Button, Dropdown, FloatSlider, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lpvq.course.drawings.notebook_07 import hide
from lpvq.course.widgets.explorer import TOUCH, Corners, Explorer, Picture, Spot, own_copy, play_along
from lpvq.course.widgets.frames import put_frames
from lpvq.evaluation.codes import decode_entries
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.sampling import SamplingOptions, restrict_logits
from lpvq.models.vqvae import VQVAE
from lpvq.plotting import ORANGE, put_codes, put_image

_MOST = 10  # candidates that are shown
_MILLISECONDS = 400  # from one picture to the next, when it plays
_PICTURES = 64  # this many at most, when a grid is played from its first code to its last


class Candidates(NamedTuple):
    """The codes that could come next.

    Attributes:
        codes: the most probable first, at most ten; the one that is drawn is among them.
        expected: their probabilities by the prior.
        drawn_from: what temperature, top-k and top-p make of these probabilities.
        drawn: which of them is drawn.
    """

    codes: list[int]
    expected: list[float]
    drawn_from: list[float]
    drawn: int


def find_candidates(logits: Tensor, drawn: int, options: SamplingOptions) -> Candidates:
    """Return the candidates for a code.

    Args:
        logits: of the prior, (K,).
        drawn: the code that is drawn.
        options: how it is drawn.
    """
    expected = logits.softmax(-1)
    if options.temperature == 0:
        drawn_from = F.one_hot(logits.argmax(), len(logits)).float()
    else:
        drawn_from = restrict_logits(logits[None], options).softmax(-1)[0]
    codes = expected.topk(min(_MOST, len(expected))).indices.tolist()
    if drawn not in codes:
        codes[-1] = drawn
    return Candidates(codes, expected[codes].tolist(), drawn_from[codes].tolist(), codes.index(drawn))


def plot_step(
    codes: Tensor,
    so_far: Tensor,
    ending: Tensor,
    step: int,
    candidates: Candidates,
    chosen: int,
    written: Sequence[int],
    patches: Tensor,
) -> Figure:
    """Plot a grid of which ``step`` codes are drawn, its image so far and in the end, and the candidates for the next.

    Args:
        codes: the whole grid, int64 (h, w).
        so_far: what the codes so far decode to, (C, h · P, w · P), floats in [0, 1].
        ending: what all of them decode to.
        step: 0 … h · w.
        candidates: for the next code; for the last one, if all are drawn.
        chosen: which of them is framed in blue.
        written: positions whose code a reader has written, in raster order, 0 … h · w − 1.
        patches: what the codes stand for, (K, C, P, P).
    """
    figure = Figure((9.6, 4.75))
    sides = {"left": 0.01, "right": 0.99, "bottom": 0.36, "top": 0.93, "wspace": 0.04}
    grid, image, end = figure.subplots(1, 3, gridspec_kw=sides)
    grid.set_label("codes")
    present = (torch.arange(codes.numel()) < step).view(codes.shape)
    put_codes(grid, codes, patches, f"{step} of {codes.numel()} codes", present)
    width = codes.shape[1]
    put_frames(grid, [divmod(position, width) for position in written if position < step], TOUCH)
    put_frames(grid, [divmod(min(step, codes.numel() - 1), width)], ORANGE)
    put_image(image, hide(so_far[None], present)[0], "decoded so far")
    put_image(end, ending, "how it will end")
    below = figure.add_axes((0.01, 0.02, 0.98, 0.255), label="candidates")
    _put_candidates(below, candidates, chosen, patches)
    which = "next" if step < codes.numel() else "last"
    below.set_title(f"candidates for the {which} code, with their probabilities")
    return figure


def _put_candidates(axis: Axes, candidates: Candidates, chosen: int, patches: Tensor) -> None:
    """The patches of the candidates in a row, the one that is drawn in orange, and below each its probability."""
    put_codes(axis, torch.tensor([candidates.codes]), patches)
    for place in range(len(candidates.codes)):
        before, after = candidates.expected[place], candidates.drawn_from[place]
        text = _percent(before) if abs(after - before) < 0.0005 else f"{_percent(before)} → {_percent(after)}"
        axis.text(place, 0.68, text, ha="center", va="center", fontsize=11)
    put_frames(axis, [(0, chosen)], TOUCH)
    put_frames(axis, [(0, candidates.drawn)], ORANGE)
    axis.set(xlim=(-0.55, _MOST - 0.45), ylim=(0.86, -0.55))


def _percent(probability: float) -> str:
    """Whole per cent, with tenths where there are few."""
    return f"{100 * probability:.0f} %" if probability >= 0.0995 or probability == 0 else f"{100 * probability:.1f} %"


class SamplingPlayer(Explorer):
    """Watch a grid being drawn, code by code, and write another code in the place of one that was drawn.

    The controls are those of ``PixelCNN.generate``. What follows a code that was written is drawn anew from the same
    random numbers.

    Args:
        vqvae: decodes the grids; a copy of it is used, as of the prior.
        prior: draws them; if it draws two levels, the fine grid is watched.
        class_names: of a prior with classes.
        patches: what the codes stand for, (K, C, P, P), floats in [0, 1], as from ``mean_patches``; if None, what they
            decode to among copies of themselves.

    Attributes:
        codes: the whole grid, int64 (h, w), even what is not shown yet.
    """

    hint = "Click another candidate to write it, and see the rest drawn anew. Click a code of the grid to go there."

    def __init__(
        self,
        vqvae: VQVAE,
        prior: PixelCNN | CoarseToFine,
        class_names: Sequence[str] = (),
        patches: Tensor | None = None,
    ) -> None:
        coarse_prior, fine_prior = (
            (prior.coarse_prior, prior.fine_prior) if isinstance(prior, CoarseToFine) else (None, prior)
        )
        self.vqvae, self.prior = own_copy(vqvae), own_copy(fine_prior)
        self.coarse_prior = None if coarse_prior is None else own_copy(coarse_prior)
        self.patches = decode_entries(self.vqvae) if patches is None else patches
        self._drawn: tuple[Tensor, Tensor] | None = None  # the grid, and the logits of each position (h · w, K)
        self._written: list[int] = []
        classes: list[tuple[str, int | None]] = [(name, label) for label, name in enumerate(class_names)]
        height, width = prior.image_size
        last, candidates = height * width, min(_MOST, prior.latent_dim)
        step = IntSlider(last // 3, 0, last, description="codes")
        controls = {
            "step": step,
            "candidate": IntSlider(1, 1, candidates, description="candidate"),
            "seed": IntSlider(0, 0, 99, description="seed"),
            "label": Dropdown(options=classes or [("none", None)], description="class"),
            "temperature": FloatSlider(1.0, min=0, max=3, step=0.1, description="temperature"),
            "top_k": IntSlider(prior.latent_dim, 1, prior.latent_dim, description="top-k"),
            "top_p": FloatSlider(1.0, min=0.05, max=1, step=0.05, description="top-p"),
        }
        write, reset = (Button(description=text, layout={"width": "auto"}) for text in ("write it", "as it was drawn"))
        write.on_click(lambda _: self.write(self.candidates().codes[self.controls["candidate"].value - 1]))
        reset.on_click(lambda _: self.set(seed=self.controls["seed"].value))
        play = play_along(step, _MILLISECONDS, -(-last // _PICTURES))
        every = list(controls.values())
        super().__init__(controls, [[play, *every[:2], write], [*every[2:4], reset], every[4:]])

    @property
    def codes(self) -> Tensor:
        """The whole grid, int64 (h, w), even what is not shown yet."""
        return self._draw()[0]

    def plot(self, step: int, candidate: int, label: int | None, **how: Any) -> Picture:  # type: ignore[override]
        """Plot the grid of these settings after ``step`` codes."""
        codes, candidates = self.codes, self.candidates()
        so_far = torch.where((torch.arange(codes.numel()) < step).view(codes.shape), codes, codes[:1, :1])
        image, ending = self.vqvae.decode(torch.stack([so_far, codes]))
        figure = plot_step(codes, image, ending, step, candidates, candidate - 1, self._written, self.patches)
        name = "" if label is None else f"{self.controls['label'].label}, "
        which = "The next" if step < codes.numel() else "The last"
        drawn = candidates.drawn
        written = f" Written by hand: {len(self._written)}." if self._written else ""
        return figure, (
            f"{step} of {codes.numel()} codes, {name}seed {how['seed']}, temperature {how['temperature']:g}, "
            f"top-k {how['top_k']}, top-p {how['top_p']:g}. {which} code is {candidates.codes[drawn]}, to which the "
            f"prior gives a probability of {candidates.expected[drawn]:.2f}.{written}"
        )

    def prepare(self, name: str) -> None:
        """New settings draw a new grid; a new place has its own candidates."""
        if name not in ("step", "candidate"):
            self._drawn, self._written = None, []
        if name != "candidate":
            self.controls["candidate"].value = 1

    def candidates(self) -> Candidates:
        """Return what could be at the next position, or at the last if all are drawn."""
        codes, logits = self._draw()
        position = self._position()
        return find_candidates(logits[position], int(codes.flatten()[position]), SamplingOptions(**self._how()))

    def write(self, code: int) -> None:
        """Write a code at the next position, and draw what follows it anew, from the same random numbers."""
        position = self._position()
        self._drawn = self._draw_from([*self.codes.flatten()[:position].tolist(), code])
        self._written = [earlier for earlier in self._written if earlier < position] + [position]
        self.set(step=position + 1)

    def pick(self, kind: str, spot: Spot) -> None:
        """A click on a candidate writes it; a click on the grid goes there."""
        if kind != "mousedown" or self.target(spot) is None:
            return
        if spot.axes == "candidates":
            self.write(self.candidates().codes[spot.column])
        else:
            self.set(step=spot.row * self.codes.shape[1] + spot.column)

    def target(self, spot: Spot) -> Corners | None:
        """The candidate, or the position of the grid, under the mouse."""
        row, column = spot.row, spot.column
        if spot.axes == "candidates":
            row, height, width = 0, 1, len(self.candidates().codes)
        else:
            height, width = self.codes.shape
        there = 0 <= row < height and 0 <= column < width
        return (row - 0.5, column - 0.5, row + 0.5, column + 0.5) if there else None

    def _position(self) -> int:
        """The position whose code is the next one, or the last."""
        return min(self.controls["step"].value, self.codes.numel() - 1)

    def _how(self) -> dict[str, Any]:
        """Temperature, top-k and top-p."""
        return {name: self.controls[name].value for name in ("temperature", "top_k", "top_p")}

    def _draw(self) -> tuple[Tensor, Tensor]:
        """The grid of these settings, (h, w), and the logits of all positions, (h · w, K); drawn once."""
        if self._drawn is None:
            self._drawn = self._draw_from([])
        return self._drawn

    @torch.inference_mode()
    def _draw_from(self, start: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The same for a grid that begins with the codes ``start``."""
        label = self.controls["label"].value
        generator = torch.Generator().manual_seed(self.controls["seed"].value)
        labels = None if label is None else torch.tensor([label])
        how: dict[str, Any] = {**self._how(), "labels": labels, "generator": generator}
        coarse = None if self.coarse_prior is None else self.coarse_prior.generate(**how)
        codes = self.prior.generate(torch.tensor([list(start)], dtype=torch.int64), coarse=coarse, **how)
        return codes[0], self.prior(codes, labels, coarse).flatten(2)[0].T
