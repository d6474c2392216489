"""One loop that trains every model: AdamW, warm-up and decay, validation, best weights, checkpoints.

Everything random in step s depends on the seed and on s alone: the order of the data through the epoch, the rest
because torch's generator is seeded anew for each step. So a run that goes on from a checkpoint ends, bit for bit, where
an uninterrupted run ends (on the same machine, on a CPU), and no generator states need to be kept.
"""

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypedDict

import torch
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.runtime import autocast, choose_precision, keep_memory, progress
from lpvq.threads import at_work
from lpvq.training.checkpoints import read_checkpoint, write_checkpoint
from lpvq.training.config import TrainConfig
from lpvq.training.interrupts import stop_requests


class Record(TypedDict):
    """What a training has come to at one validation.

    Attributes:
        step: how many steps are done.
        train_loss: the mean of the training loss since the last validation.
        valid_loss: the loss on the validation set; NaN where there is none.
        seconds: of training so far, all sessions together.
        precision: what the model computes in: "float32" or "bfloat16".
        threads: how many threads compute, see ``lpvq.threads``.
    """

    step: int
    train_loss: float
    valid_loss: float
    seconds: float
    precision: str
    threads: int


History = list[Record]
"""One record for each validation."""

AfterStep = Callable[[int, History], None]
"""Called after each step with the number of steps done and the history so far; it must leave the model as it is."""

_PRECISIONS: dict[torch.dtype, Literal["float32", "bfloat16"]] = {
    torch.float32: "float32",
    torch.bfloat16: "bfloat16",
}


class Trainer:
    """One training run: the loop, and its state on disk. It knows a loss and no model.

    Args:
        description: of the progress bar and of complaints.
        model: whose parameters are trained.
        loss: from the indices of a batch, int64 (B,), to a scalar.
        num_items: how many items there are to learn from.
        evaluate: gives the loss on the validation set; NaN where there is none.
        config: how long and how fast.
        identity: what makes this run the same as that of a checkpoint, as JSON has it.

    Raises:
        InputError: there is nothing to learn from.
    """

    def __init__(
        self,
        description: str,
        model: nn.Module,
        loss: Callable[[Tensor], Tensor],
        num_items: int,
        evaluate: Callable[[], float],
        config: TrainConfig,
        identity: dict[str, Any],
    ) -> None:
        if num_items < 1:
            raise InputError(f"{description}: there is nothing to learn from")
        self.description = description
        self.model = model
        self.loss = loss
        self.num_items = num_items
        self.evaluate = evaluate
        self.config = config
        self.identity = identity
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.device = next(model.parameters()).device
        self.precision = choose_precision(self.device, config.precision)
        self.step = 0
        self.seconds = 0.0
        self.epoch, self.order = -1, torch.empty(0)
        self.history: History = []
        self.losses: list[float] = []  # since the last validation
        self.best_loss = math.inf
        self.best_weights: dict[str, Tensor] = {}

    def train(
        self,
        checkpoint: str | Path | None,
        checkpoint_seconds: float,
        until: int | None = None,
        after_step: AfterStep | None = None,
    ) -> History:
        """Run the steps that are left; see ``lpvq.train_vqvae`` for the arguments."""
        if until is not None and checkpoint is None:
            raise InputError("a training that stops early needs a checkpoint to go on from")
        end = self.config.steps if until is None else min(until, self.config.steps)
        path = None if checkpoint is None else Path(checkpoint)
        if path is not None and path.exists():
            self._load(path)
        keep_memory()
        was_training = self.model.training
        self.model.train()
        bar = progress(None, self.description, total=self.config.steps, initial=self.step, unit="step")
        saved = started = time.monotonic()
        seconds_before = self.seconds
        devices = [parameter.device for parameter in self.model.parameters() if parameter.is_cuda][:1]
        try:
            with bar, torch.random.fork_rng(devices), at_work() as share, stop_requests() as stop_if_asked:
                share.take()
                while self.step < end:
                    self._one_step(path)
                    now = time.monotonic()
                    self.seconds = seconds_before + now - started
                    if self.config.validates_after(self.step - 1):
                        self._validate()
                        share.take()  # what else the machine does may have changed
                        record = self.history[-1]
                        bar.set_postfix(loss=f"{record['train_loss']:.3f}", valid=f"{record['valid_loss']:.3f}")
                    bar.update()
                    if after_step is not None:
                        after_step(self.step, self.history)
                    last = self.step == end
                    if path is not None and (last or stop_if_asked.is_set() or now - saved >= checkpoint_seconds):
                        self._save(path)
                        saved = now
                    stop_if_asked()
        except BaseException:
            self.model.train(was_training)
            raise
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
        valid_loss = self.evaluate()
        self.history.append(
            Record(
                step=self.step,
                train_loss=sum(self.losses) / len(self.losses),
                valid_loss=valid_loss,
                seconds=round(self.seconds, 1),
                precision=_PRECISIONS[self.precision],
                threads=torch.get_num_threads(),
            )
        )
        self.losses = []
        # Without a validation set the loss to beat is NaN, and the last weights count as the best.
        if not valid_loss >= self.best_loss:
            self.best_loss = math.inf if math.isnan(valid_loss) else valid_loss
            self.best_weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def _save(self, path: Path) -> None:
        state = {
            "identity": self.identity,
            "precision": _PRECISIONS[self.precision],  # on another machine, too, the run goes on as it began
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "losses": self.losses,
            "best_loss": self.best_loss,
            "best_weights": self.best_weights,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        write_checkpoint(path, state)

    def _load(self, path: Path) -> None:
        state = read_checkpoint(path, self.identity, self.config.steps)
        wish = self.config.precision
        if wish not in ("auto", state["precision"]):
            raise InputError(f"{path} was trained in {state['precision']}, not in {wish}: delete it to start anew")
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path} was written by another version ({reason}): delete it to start anew") from error
        self.precision = torch.bfloat16 if state["precision"] == "bfloat16" else torch.float32
        self.step, self.seconds = state["step"], state["seconds"]
        self.history, self.losses = state["history"], state["losses"]
        self.best_loss, self.best_weights = state["best_loss"], state["best_weights"]


def _mix(seed: int, step: int) -> int:
    """A seed of its own for every pair of numbers."""
    return int.from_bytes(hashlib.sha256(f"{seed} {step}".encode()).digest()[:8], "little", signed=True)
