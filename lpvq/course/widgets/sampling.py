"""How a grid is drawn code by code: the grid so far, its image, and what the prior expects next."""

from typing import Any

import torch
import torch.nn.functional as F
from ipywidgets import Dropdown, FloatSlider, IntSlider, Play, jslink
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lpvq.course.drawings.notebook_07 import hide, put_partial_codes
from lpvq.course.widgets.explorer import Explorer, Picture, own_copy
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.sampling import SamplingOptions, restrict_logits
from lpvq.models.vqvae import VQVAE
from lpvq.plotting import BLUE, ORANGE, put_image

_MOST = 10  # so many codes have a bar of their own
_MILLISECONDS = 400  # from one code to the next, when it plays


def plot_step(codes: Tensor, image: Tensor, step: int, expected: Tensor, drawn_from: Tensor) -> Figure:
    """Plot a grid of which ``step`` codes are drawn, its image, and the probabilities of the next code.

    Args:
        codes: the whole grid, int64 (h, w).
        image: what the codes so far decode to, (C, h · P, w · P), floats in [0, 1].
        step: 0 … h · w.
        expected: by the prior, for the next code, (K,); for the last one, if all are drawn.
        drawn_from: what temperature, top-k and top-p make of it, (K,).
    """
    figure = Figure((9.6, 3.2))
    sides = {"left": 0.01, "right": 0.99, "bottom": 0.2, "top": 0.86, "wspace": 0.08}
    axes = figure.subplots(1, 3, width_ratios=[1, 1, 2], gridspec_kw=sides)
    present = (torch.arange(codes.numel()) < step).view(codes.shape)
    put_partial_codes(axes[0], codes, present, len(expected))
    row, column = divmod(min(step, codes.numel() - 1), codes.shape[1])
    axes[0].plot(column, row, "s", markersize=13, markerfacecolor="none", markeredgecolor=ORANGE, markeredgewidth=2)
    axes[0].set_title(f"{step} of {codes.numel()} codes", fontsize=10)
    put_image(axes[1], hide(image[None], present)[0])
    axes[1].set_title("decoded", fontsize=10)
    axes[2].set_position([0.6, 0.2, 0.39, 0.66])  # room for the numbers at its left
    _put_expected(axes[2], expected, drawn_from, int(codes.flatten()[min(step, codes.numel() - 1)]))
    return figure


def _put_expected(axis: Axes, expected: Tensor, drawn_from: Tensor, drawn: int) -> None:
    """Bars for the most probable codes and for all others together; an arrow at the one that is drawn."""
    most = min(_MOST, len(expected))
    codes = expected.topk(most).indices
    for place, (probabilities, colour) in enumerate(((expected, "#BBBBBB"), (drawn_from, BLUE))):
        shown = torch.cat([probabilities[codes], (1 - probabilities[codes].sum()).clamp(min=0)[None]])
        label = ("the prior", "drawn from")[place]
        axis.bar([bar + 0.4 * place - 0.2 for bar in range(most + 1)], shown.tolist(), 0.4, color=colour, label=label)
    axis.set_xticks(range(most + 1), [*map(str, codes.tolist()), "others"], rotation=45, fontsize=9)
    there = codes.tolist().index(drawn) if drawn in codes.tolist() else most
    axis.annotate(
        f"{drawn}",
        (there, 1.0),
        (there, 1.1),
        ha="center",
        fontsize=10,
        color=ORANGE,
        arrowprops={"arrowstyle": "-|>", "color": ORANGE},
        annotation_clip=False,
    )
    axis.set_ylim(0, 1)
    axis.set_ylabel("probability")
    axis.set_xlabel("the next code (arrow: the one that is drawn)")
    axis.legend(fontsize=9, loc="upper right", frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


class SamplingPlayer(Explorer):
    """Watch a grid being drawn, code by code, with the controls of ``PixelCNN.generate``.

    Args:
        vqvae: decodes the grids; a copy of it is used, as of the prior.
        prior: draws them; of one that draws two levels, the fine grid is watched.
        class_names: of a prior with classes.
    """

    def __init__(self, vqvae: VQVAE, prior: PixelCNN | CoarseToFine, class_names: tuple[str, ...] = ()) -> None:
        coarse_prior, fine_prior = (
            (prior.coarse_prior, prior.fine_prior) if isinstance(prior, CoarseToFine) else (None, prior)
        )
        self.vqvae, self.prior = own_copy(vqvae), own_copy(fine_prior)
        self.coarse_prior = None if coarse_prior is None else own_copy(coarse_prior)
        self.class_names = class_names
        classes: list[tuple[str, int | None]] = [(name, label) for label, name in enumerate(class_names)]
        height, width = prior.image_size
        last = height * width
        step = IntSlider(last // 3, 0, last, description="codes")
        play = Play(value=last // 3, min=0, max=last, interval=_MILLISECONDS)
        self._link = jslink((play, "value"), (step, "value"))
        controls = {
            "step": step,
            "seed": IntSlider(0, 0, 99, description="seed"),
            "label": Dropdown(options=classes or [("none", None)], description="class"),
            "temperature": FloatSlider(1.0, min=0, max=3, step=0.1, description="temperature"),
            "top_k": IntSlider(prior.latent_dim, 1, prior.latent_dim, description="top-k"),
            "top_p": FloatSlider(1.0, min=0.05, max=1, step=0.05, description="top-p"),
        }
        others = list(controls.values())[1:]
        super().__init__(controls, [[play, step, *others[:2]], others[2:]])

    @torch.inference_mode()
    def plot(  # type: ignore[override]
        self, step: int, seed: int, label: int | None, temperature: float, top_k: int, top_p: float
    ) -> Picture:
        """Plot the grid of these settings after ``step`` codes."""
        options = SamplingOptions(temperature, top_k, top_p)
        labels = None if label is None else torch.tensor([label])
        how: dict[str, Any] = {"labels": labels, "temperature": temperature, "top_k": top_k, "top_p": top_p}
        generator = torch.Generator().manual_seed(seed)
        coarse = None if self.coarse_prior is None else self.coarse_prior.generate(**how, generator=generator)
        codes = self.prior.generate(**how, coarse=coarse, generator=generator)
        next_one = min(step, codes.numel() - 1)
        logits = self.prior(codes, labels, coarse).flatten(2)[:, :, next_one]
        expected = logits.softmax(-1)[0]
        drawn_from = _probabilities(logits, options)
        so_far = torch.where((torch.arange(codes.numel()) < step).view(codes.shape), codes, codes[:, :1, :1])
        figure = plot_step(codes[0], self.vqvae.decode(so_far)[0], step, expected, drawn_from)
        drawn = int(codes.flatten()[next_one])
        name = "" if label is None else f"{self.class_names[label]}, "
        which = "The next" if step < codes.numel() else "The last"
        return figure, (
            f"{step} of {codes.numel()} codes, {name}seed {seed}, temperature {temperature:g}, top-k {top_k}, "
            f"top-p {top_p:g}. {which} code is {drawn}, to which the prior gives a probability of "
            f"{float(expected[drawn]):.2f}."
        )


def _probabilities(logits: Tensor, options: SamplingOptions) -> Tensor:
    """What is drawn from, (K,), for logits (1, K)."""
    if options.temperature == 0:
        return F.one_hot(logits[0].argmax(), logits.shape[-1]).float()
    return restrict_logits(logits, options).softmax(-1)[0]
