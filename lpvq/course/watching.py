"""A training that shows itself in a notebook: four pictures that grow sharper, the curve, and the codes in use.

It takes at most two per cent of the time, and what it leaves in the notebook is one figure.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim import Optimizer

from lpvq import plotting
from lpvq.data.latent_codes import LatentCodes
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.vqvae import VQVAE
from lpvq.runtime import in_eval_mode, progress, running_in_notebook, without_bars
from lpvq.training.interrupts import Stopped, stop_requests
from lpvq.training.losses import given
from lpvq.training.trainer import History, Record

Looks = Tensor | tuple[Tensor, Tensor]
"""Pictures (N, C, H, W), floats in [0, 1], of which the first four are shown, and the codes they were made from."""

_SHOWN = 4
_DRAWN = 16  # by a prior, to count codes
_SECONDS = 5.0  # between two pictures, at least
_SHARE = 0.02  # of the time, at most
_POINTS = 60  # of the curve

_kept: dict[str, dict[str, Any]] = {}  # by name, the loops that were stopped


class Watch:
    """Shows how a training goes, while it runs. Outside a notebook it shows nothing.

    For a training of the package, give it as ``after_step``. For a loop of your own::

        watch = course.Watch(lambda: model(images)[0], model, optimizer)
        for step in watch.steps(600, "training by hand"):
            ...
            watch.note(loss)

    Args:
        look: returns what there is to see, see ``Looks``; called without gradients and with the models in eval mode.
            None for the curve alone.
        parts: the models and optimizers that change. A loop that was stopped goes on with them as they were.

    Attributes:
        losses: as noted, including those of the steps before a stop.
    """

    def __init__(self, look: Callable[[], Looks] | None = None, *parts: nn.Module | Optimizer) -> None:
        self.look, self.parts = look, parts
        self.losses: list[float] = []
        self._step = 0
        self._curve: list[tuple[int, float]] = []
        self._handle: Any = None
        self._next = 0.0  # when it is time for a picture

    def __call__(self, step: int, history: History) -> None:
        """Look after a step of a training of the package."""
        if self._handle is None and running_in_notebook():
            _events().register("post_run_cell", self._finish)  # with the final weights of the training
        self._step = step
        self._curve = [(record["step"], _best_known(record)) for record in history]
        self._show_in_time()

    def steps(self, number: int, name: str = "training") -> Iterator[int]:
        """Count the steps of a loop, from 0 to ``number`` − 1, with a progress bar.

        Stopped, the loop ends after its step and says so. Run again with a model of the same form, it goes on there.

        Args:
            number: of steps.
            name: of the bar, and of the loop that goes on.

        Raises:
            Stopped: after Ctrl-C, or the stop button of a notebook.
        """
        first = self._go_on(name)
        steps = progress(range(first, number), name, initial=first, total=number)
        with stop_requests(("SIGINT",)) as stop:
            self._show_in_time()
            for step in steps:
                yield step
                self._step = step + 1
                if stop.is_set():
                    self._keep(name)
                    self._show(last=True)
                    raise Stopped(f"stopped at step {self._step} of {number}; run the cell again to go on")
                self._show_in_time()
        self._show(last=True)

    def note(self, loss: float | Tensor) -> None:
        """Note the loss of a step, for the curve."""
        self.losses.append(loss.item() if isinstance(loss, Tensor) else loss)

    def _keep(self, name: str) -> None:
        states = [deepcopy(part.state_dict()) for part in self.parts]
        _kept[name] = {"step": self._step, "losses": self.losses, "states": states, "random": torch.get_rng_state()}

    def _go_on(self, name: str) -> int:
        """Take up a loop that was stopped, if it is the same; return its first step."""
        kept = _kept.pop(name, None)
        if kept is None or [_form(part.state_dict()) for part in self.parts] != [_form(at) for at in kept["states"]]:
            return 0
        for part, state in zip(self.parts, kept["states"], strict=True):
            if isinstance(part, Optimizer):
                state["param_groups"] = part.state_dict()["param_groups"]  # the rate is what the cell says now
            part.load_state_dict(state)
        torch.set_rng_state(kept["random"])
        self._step, self.losses = kept["step"], kept["losses"]
        return self._step

    def _show_in_time(self) -> None:
        if running_in_notebook() and time.monotonic() >= self._next:
            is_first, started = self._handle is None, time.monotonic()
            self._show()
            now = time.monotonic()
            took = 0.0 if is_first else now - started  # the first one takes longer than those to come
            self._next = now + max(_SECONDS, took / _SHARE)

    def _show(self, last: bool = False) -> None:
        """Show how it is now; the last time, in all forms that a notebook's file needs."""
        if not running_in_notebook():
            return
        from IPython.display import display

        figure, description = plot_training(*self._look(), self._step, self._curve or _means(self.losses))
        data = plotting.complete(figure, description) if last else plotting.sharp(figure, description)
        metadata = plotting.alternative(description) if last else {}
        if self._handle is None:
            self._handle = display(data, metadata=metadata, raw=True, display_id=True)
        else:
            self._handle.update(data, metadata=metadata, raw=True)

    def _look(self) -> tuple[Tensor | None, int | None]:
        """The first four pictures, and how many codes are in use; None for what is not known."""
        if self.look is None:
            return None, None
        with ExitStack() as quietly:
            for part in self.parts:
                if isinstance(part, nn.Module):
                    quietly.enter_context(in_eval_mode(part))
            quietly.enter_context(torch.no_grad())
            quietly.enter_context(torch.random.fork_rng())  # or whatever is random in the training would change
            quietly.enter_context(without_bars())
            seen = self.look()
        pictures, codes = seen if isinstance(seen, tuple) else (seen, None)
        return pictures[:_SHOWN].clamp(0, 1).float().cpu(), None if codes is None else len(codes.unique())

    def _finish(self, *_: object) -> None:
        """Show the model at the end of the cell."""
        _events().unregister("post_run_cell", self._finish)
        self._show(last=True)


def watch_vqvae(vqvae: VQVAE, images: Tensor) -> Watch:
    """Return what shows how a VQ-VAE learns to reconstruct images (N, C, H, W), floats in [0, 1]."""

    def look() -> Looks:
        codes = vqvae.encode(images.to(next(vqvae.parameters()).device))
        return vqvae.decode(codes[:_SHOWN]), codes

    return Watch(look, vqvae)


def watch_prior(prior: PixelCNN, vqvae: VQVAE, codes: LatentCodes) -> Watch:
    """Return what shows how a prior learns to draw.

    Args:
        prior: what is trained; it draws from the same random numbers each time.
        vqvae: decodes.
        codes: what is drawn has the first of their labels, and of their coarse codes if the prior takes any.
    """
    device = next(prior.parameters()).device
    _, labels, coarse = given(prior, codes, torch.arange(_DRAWN) % len(codes), device)

    def look() -> Looks:
        generator = torch.Generator(device).manual_seed(0)
        drawn = prior.generate(batch_size=_DRAWN, labels=labels, coarse=coarse, generator=generator)
        return vqvae.decode(drawn[:_SHOWN]), drawn

    return Watch(look, prior)


def plot_training(
    pictures: Tensor | None, codes_in_use: int | None, step: int, curve: Sequence[tuple[int, float]]
) -> tuple[Figure, str]:
    """Plot pictures (N, C, H, W) beside the curve; return the figure and what it shows in words."""
    said = f"after {step:,} {'step' if step == 1 else 'steps'}"
    if codes_in_use is not None:
        said += f", {codes_in_use} codes in use"
    width = 4.8 if pictures is None else 9.6
    # A layout found anew each time would cost as much as the rest. At the right is room for half an axis number.
    sides = {"right": 1 - 0.25 / width, "bottom": 0.22, "top": 0.89}
    if pictures is None:
        figure = Figure((width, 2.1))
        axis = figure.subplots(gridspec_kw={"left": 0.14, **sides})
        axis.set_title(said, fontsize=10)
    else:
        # Only here: importing torchvision takes as long as torch itself, and every notebook begins with this package.
        from torchvision.utils import make_grid

        figure = Figure((width, 2.1))
        seen, axis = figure.subplots(1, 2, width_ratios=[3, 1.35], gridspec_kw={"left": 0.005, "wspace": 0.15, **sides})
        joint = max(1, pictures.shape[-1] // 32)
        wall = make_grid(pictures, len(pictures), padding=joint, pad_value=1)
        plotting.put_image(seen, wall[:, joint:-joint, joint:-joint], said)
    axis.plot([at for at, _ in curve], [loss for _, loss in curve], color=plotting.BLUE, marker=".")
    axis.set(xlabel="step", ylabel="loss")
    axis.grid(alpha=0.3)
    axis.locator_params(axis="x", nbins=5)  # numbers of five digits have room, too
    if not curve:
        axis.set(xticks=[], yticks=[])
    what = "Training" if pictures is None else "Pictures that a model makes in training"
    loss = f", and the loss, now {curve[-1][1]:.3g}" if curve else ""
    return figure, f"{what}, {said}{loss}."


def _events() -> Any:
    """What IPython tells about the cells that run."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    return shell.events


def _form(state: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The names in a model's state, and the shapes; for an optimizer, that there are groups."""
    return [(name, getattr(value, "shape", None)) for name, value in state.items()]


def _best_known(record: Record) -> float:
    """The validation loss; the training loss, where there is no validation."""
    return record["train_loss"] if math.isnan(record["valid_loss"]) else record["valid_loss"]


def _means(losses: Sequence[float]) -> list[tuple[int, float]]:
    """The curve of the losses of all steps, each point the mean of some."""
    size = -(-len(losses) // _POINTS) or 1
    parts = [losses[first : first + size] for first in range(0, len(losses), size)]
    return [(min((index + 1) * size, len(losses)), sum(part) / len(part)) for index, part in enumerate(parts)]
