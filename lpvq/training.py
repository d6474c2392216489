"""One loop that trains every model: AdamW, warm-up and decay, validation, best weights, checkpoints.

Everything random in step s depends on the seed and on s alone: the order of the data through the epoch, the rest
because torch's generator is seeded anew for each step. So a run that goes on from a checkpoint ends, bit for bit, where
an uninterrupted run ends (on the same machine, on a CPU), and no generator states need to be kept.
"""

import hashlib
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from lpvq.codes import LatentCodes
from lpvq.datasets import ImageData
from lpvq.errors import InputError
from lpvq.files import read_tensors, write_tensors
from lpvq.pixelcnn import PixelCNN
from lpvq.reader import Reader, answers_of
from lpvq.runtime import Precision, autocast, choose_precision, compiled, keep_memory, progress
from lpvq.vqvae import VQVAE

History = list[dict[str, float]]
"""One record per validation: ``step``, ``train_loss`` (mean since the last), ``valid_loss``, ``seconds`` so far."""


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast to train.

    Attributes:
        steps: number of batches.
        batch_size: images or grids in a batch (all there are, where there are fewer).
        learning_rate: the highest rate; it rises to it linearly over the first ``warmup`` share of the steps and falls
            along a half cosine to zero at the last.
        weight_decay: of AdamW.
        warmup: share of the steps, 0 … 1.
        clip_norm: longer gradients are shortened to this length.
        validations: how many times the model is judged on the validation set, evenly over the run, the end included.
        seed: decides the order of the data and all else that is random.
        precision: "float32", "bfloat16", or "auto" for bfloat16 where the device is fast at it. The quantizer and the
            losses are always in float32, and so are the weights.
        compile: whether to train a prior with ``torch.compile``: up to a tenth faster after half a minute. Not
            for a VQ-VAE: torch 2.15 compiles the gradient of its padding wrongly, and stops.
    """

    steps: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup: float = 0.05
    clip_norm: float = 1.0
    validations: int = 20
    seed: int = 0
    precision: Precision = "auto"
    compile: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        if self.steps < 1 or self.batch_size < 1 or self.validations < 1:
            raise InputError(f"steps, batch_size and validations must be at least 1, got {self}")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate must be above 0 and finite, got {self.learning_rate}")
        if self.precision not in get_args(Precision):
            raise InputError(f"precision must be one of {', '.join(get_args(Precision))}, got {self.precision!r}")

    def rate(self, step: int) -> float:
        """Return the learning rate of ``step``, counted from 0."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, self.steps - rising)))

    def validates_after(self, step: int) -> bool:
        """Whether the model is judged once ``step``, counted from 0, is done."""
        done = (step + 1) * self.validations // self.steps
        return done > step * self.validations // self.steps


def train_vqvae(
    model: VQVAE,
    data: ImageData,
    config: TrainConfig,
    validation: ImageData | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 10.0,
    until: int | None = None,
) -> History:
    """Train a VQ-VAE in place, on the device it is on.

    The loss is the mean squared error divided by the variance of the training images, plus the quantizer's loss
    (equation 3 of arXiv:1711.00937). ``valid_loss`` is MSE / variance alone.

    Args:
        model: ends with the weights that did best on ``validation``; with the last ones where there is none.
        data: the images to learn from.
        config: how long and how fast.
        validation: images to judge by, none of them in ``data``.
        checkpoint: a file to go on from if it is there, and to write the state of the training to.
        checkpoint_seconds: how much work may be lost when the process is killed. Ctrl-C loses none.
        until: stop when so many steps are done, with the weights as they are then. The next call goes on from
            ``checkpoint``, and all calls together are one run.

    Returns:
        the history of the run so far.

    Raises:
        InputError: data that does not fit, a checkpoint of another run, a loss that is not finite.
        KeyboardInterrupt: after Ctrl-C, when the step is done and the checkpoint written.
    """
    if config.compile:
        raise InputError("a VQ-VAE cannot be compiled: leave compile out")
    variance = image_variance(data)
    device = next(model.parameters()).device

    def loss(indices: Tensor) -> Tensor:
        output = model(data.floats(indices).to(device))
        return output.reconstruction_loss / variance + output.quantizer_loss

    def judge() -> float:
        return float("nan") if validation is None else reconstruction_error(model, validation) / variance

    run = _Run("training VQ-VAE", model, loss, len(data), judge, config, identity_of(model, config, data, validation))
    return run.train(checkpoint, checkpoint_seconds, until)


def train_prior(
    model: PixelCNN,
    codes: LatentCodes,
    config: TrainConfig,
    validation: LatentCodes | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 10.0,
    until: int | None = None,
) -> History:
    """Train a prior in place on grids of codes; the losses are nats per code. The rest is as for ``train_vqvae``.

    Raises:
        InputError: the codes have another K or another grid than the model, or labels it has no class for.
    """
    check_prior_fits(model, codes)
    device = next(model.parameters()).device
    nll = compiled(model.nll) if config.compile else model.nll
    positions = math.prod(codes.grid)

    def loss(indices: Tensor) -> Tensor:
        labels = None if model.num_classes is None else codes.labels[indices].to(device)
        return nll(codes.codes[indices].to(device), labels).mean() / positions

    def judge() -> float:
        return float("nan") if validation is None else grid_nll(model, validation).mean().item() / positions

    run = _Run("training prior", model, loss, len(codes), judge, config, identity_of(model, config, codes, validation))
    return run.train(checkpoint, checkpoint_seconds, until)


def train_reader(
    model: Reader,
    data: ImageData,
    config: TrainConfig,
    validation: ImageData | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 10.0,
) -> History:
    """Train a reader in place; the losses are nats, summed over its questions. The rest is as for ``train_vqvae``."""
    if config.compile:
        raise InputError("a reader cannot be compiled: leave compile out")
    device = next(model.parameters()).device

    def loss_on(images: ImageData, indices: Tensor) -> Tensor:
        answers = {name: answer[indices].to(device) for name, answer in answers_of(images).items()}
        return model.loss(images.floats(indices).to(device), answers)

    def judge() -> float:
        if validation is None:
            return float("nan")
        model.eval()
        with torch.inference_mode():
            total = sum(loss_on(validation, batch).item() * len(batch) for batch in validation.batches())
        model.train()
        return total / len(validation)

    run = _Run(
        "training reader",
        model,
        lambda indices: loss_on(data, indices),
        len(data),
        judge,
        config,
        identity_of(model, config, data, validation),
    )
    return run.train(checkpoint, checkpoint_seconds)


def check_prior_fits(model: PixelCNN, codes: LatentCodes) -> None:
    """Raise ``InputError`` unless ``model`` is a prior for these codes: their number, their grid, their labels."""
    if codes.num_codes != model.latent_dim:
        raise InputError(
            f"the codes come from a codebook of {codes.num_codes}, the prior has latent_dim={model.latent_dim}"
        )
    if codes.grid != model.image_size:
        raise InputError(f"the codes have a grid of {codes.grid}, the prior has image_size={model.image_size}")
    if (
        model.num_classes is not None
        and len(codes)
        and not 0 <= codes.labels.min() <= codes.labels.max() < model.num_classes
    ):
        raise InputError(
            f"the codes have labels up to {int(codes.labels.max())}, the prior has num_classes={model.num_classes}"
        )


def image_variance(data: ImageData) -> float:
    """Return the variance of all values of the images, scaled to [0, 1]: what an MSE is divided by."""
    values = data.images.numel()
    sums = torch.zeros(2, dtype=torch.float64)
    for batch in data.batches():
        chunk = data.images[batch].double()
        sums += torch.stack([chunk.sum(), chunk.square().sum()])
    mean, mean_square = (sums / values).tolist()
    variance = (mean_square - mean**2) / 255**2
    if variance <= 0:
        raise InputError(f"all pixels of {data.name} have the same value: there is nothing to learn")
    return variance


@torch.inference_mode()
def reconstruction_error(model: VQVAE, data: ImageData) -> float:
    """Return the mean squared error of the reconstructions of ``data``, per pixel and channel, in eval mode."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total = 0.0
    for batch in data.batches():
        images = data.floats(batch).to(device)
        errors = (model(images).reconstruction.clamp(0, 1) - images).square().sum((1, 2, 3))
        total += errors.cpu().double().sum().item()  # MPS has no float64
    model.train(was_training)
    return total / data.images.numel()


def grid_nll(model: PixelCNN, codes: LatentCodes) -> Tensor:
    """Return −log p in nats of each grid of ``codes``, given its label if the model has classes; (N,), eval mode."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    nats = []
    with torch.inference_mode():
        for batch in codes.batches():
            labels = None if model.num_classes is None else codes.labels[batch].to(device)
            nats.append(model.nll(codes.codes[batch].to(device), labels).cpu())
    model.train(was_training)
    return torch.cat(nats)


def identity_of(
    model: VQVAE | PixelCNN | Reader, config: TrainConfig, *sets: ImageData | LatentCodes | None
) -> dict[str, Any]:
    """Say what makes two training runs the same one: model, settings and data; plain values, as JSON has them."""
    digest = hashlib.sha256()
    for data in sets:
        tensors = () if data is None else (data.images if isinstance(data, ImageData) else data.codes, data.labels)
        for tensor in tensors:
            digest.update(f"{tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
    identity = {"model": type(model).__name__, **model.config, **asdict(config), "data_sha256": digest.hexdigest()}
    return json.loads(json.dumps(identity))


@dataclass
class _Run:
    """One training run: the loop, and its state on disk."""

    description: str
    model: nn.Module
    loss: Callable[[Tensor], Tensor]
    num_items: int
    judge: Callable[[], float]
    config: TrainConfig
    identity: dict[str, Any]

    def __post_init__(self) -> None:
        if self.num_items < 1:
            raise InputError(f"{self.description}: there is nothing to learn from")
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay, fused=True
        )
        self.device = next(self.model.parameters()).device
        self.precision = choose_precision(self.device, self.config.precision)
        self.step = 0
        self.seconds = 0.0
        self.epoch, self.order = -1, torch.empty(0)
        self.history: History = []
        self.losses: list[float] = []  # since the last validation
        self.best_loss = math.inf
        self.best_weights: dict[str, Tensor] = {}

    def train(self, checkpoint: str | Path | None, checkpoint_seconds: float, until: int | None = None) -> History:
        """Run the steps that are left; see ``train_vqvae``."""
        if until is not None and checkpoint is None:
            raise InputError("a training that stops early needs a checkpoint to go on from")
        end = self.config.steps if until is None else min(until, self.config.steps)
        path = None if checkpoint is None else Path(checkpoint)
        if path is not None and path.exists():
            self._load(path)
        keep_memory()
        self.model.train()
        bar = progress(None, self.description, total=self.config.steps, initial=self.step, unit="step")
        saved = started = time.monotonic()
        seconds_before = self.seconds
        devices = [parameter.device for parameter in self.model.parameters() if parameter.is_cuda][:1]
        with bar, torch.random.fork_rng(devices), _interrupts_wait() as interrupted:
            while self.step < end:
                self._one_step(path)
                now = time.monotonic()
                self.seconds = seconds_before + now - started
                if self.config.validates_after(self.step - 1):
                    self._validate()
                    bar.set_postfix(
                        loss=f"{self.history[-1]['train_loss']:.3f}", valid=f"{self.history[-1]['valid_loss']:.3f}"
                    )
                bar.update()
                last = self.step == end
                if path is not None and (last or interrupted() or now - saved >= checkpoint_seconds):
                    self._save(path)
                    saved = now
                if interrupted():
                    raise KeyboardInterrupt
        if end == self.config.steps:
            self.model.load_state_dict(self.best_weights)
        self.model.eval()
        return self.history

    def _one_step(self, path: Path | None) -> None:
        torch.manual_seed(_mix(self.config.seed, self.step))
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(self.step)
        self.optimizer.zero_grad()
        try:
            with autocast(self.device, self.precision):
                loss = self.loss(self._batch())
        except InputError as error:  # the quantizer refuses vectors that are not finite before the loss sees them
            raise self._stopped(str(error), path) from error
        loss.backward()
        length = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        if not (loss.isfinite() and length.isfinite()):
            raise self._stopped(f"the loss is {loss.item()} and its gradient {length.item()}", path)
        self.optimizer.step()
        self.losses.append(loss.item())
        self.step += 1

    def _stopped(self, reason: str, path: Path | None) -> InputError:
        saved = path is not None and path.exists()
        kept = f"the last good checkpoint is {path}" if saved else "no checkpoint was kept"
        return InputError(
            f"{self.description}: at step {self.step} of {self.config.steps}, {reason}; {kept}; begin anew with a "
            f"learning rate below {self.config.learning_rate}"
        )

    def _batch(self) -> Tensor:
        """The indices of this step: each epoch goes through the data once, in an order of its own."""
        size = min(self.config.batch_size, self.num_items)
        per_epoch = self.num_items // size
        epoch, position = divmod(self.step, per_epoch)
        if epoch != self.epoch:
            generator = torch.Generator().manual_seed(_mix(self.config.seed, -1 - epoch))
            self.epoch, self.order = epoch, torch.randperm(self.num_items, generator=generator)
        return self.order[position * size : (position + 1) * size]

    def _validate(self) -> None:
        valid_loss = self.judge()
        record = {
            "step": self.step,
            "train_loss": sum(self.losses) / len(self.losses),
            "valid_loss": valid_loss,
            "seconds": round(self.seconds, 1),
        }
        self.history.append(record)
        self.losses = []
        # Without a validation set the loss to beat is NaN, and the last weights count as the best.
        if not valid_loss >= self.best_loss:
            self.best_loss = math.inf if math.isnan(valid_loss) else valid_loss
            self.best_weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def _save(self, path: Path) -> None:
        state = {
            "identity": self.identity,
            "bfloat16": self.precision == torch.bfloat16,  # on another machine, too, the run goes on as it began
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "losses": self.losses,
            "best_loss": self.best_loss,
            "best_weights": self.best_weights,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        write_tensors(path, state)

    def _load(self, path: Path) -> None:
        state = read_tensors(path)
        if not isinstance(state, dict) or not isinstance(state.get("identity"), dict):
            raise InputError(f"{path} is no checkpoint of a training run: delete it to start anew")
        there = state["identity"]
        other = [name for name in self.identity if there.get(name) != self.identity[name]]
        if other:
            differences = ", ".join(f"{name} was {there.get(name)!r}, is {self.identity[name]!r}" for name in other)
            raise InputError(f"{path} belongs to another run ({differences}): delete it to start anew")
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.precision = torch.bfloat16 if state["bfloat16"] else torch.float32
            self.step, self.seconds = state["step"], state["seconds"]
            self.history, self.losses = state["history"], state["losses"]
            self.best_loss, self.best_weights = state["best_loss"], state["best_weights"]
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path} was written by another version ({reason}): delete it to start anew") from error


def _mix(seed: int, step: int) -> int:
    """A seed of its own for every pair of numbers."""
    return int.from_bytes(hashlib.sha256(f"{seed} {step}".encode()).digest()[:8], "little", signed=True)


@contextmanager
def _interrupts_wait() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a flag that the loop looks at between steps; a second Ctrl-C stops at once.

    An interrupt in the middle of a step would leave weights that are half updated. Only the main thread gets signals.
    """
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested.is_set
        return
    previous = signal.getsignal(signal.SIGINT)

    def request(*_: Any) -> None:
        requested.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, request)
    try:
        yield requested.is_set
    finally:
        signal.signal(signal.SIGINT, previous)
