"""One loop that trains every model: warm-up and decay, validation, best weights, checkpoints.

Everything random in step s depends on the seed and on s alone: the order of the data by way of the epoch, the rest
because torch's generator is seeded anew for each step. So a run that goes on from a checkpoint ends, bit for bit, where
an uninterrupted run ends (on the same machine, on a CPU), and no generator states need to be kept.

Where torch.distributed is initialised, all processes train one model together: each computes some shards of a batch,
and all take the same step. The first one writes.
"""

import hashlib
import io
import math
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any, Generic, Literal, TypedDict, TypeVar

import torch
from torch import Tensor, nn

from lpvq import distributed
from lpvq.errors import InputError
from lpvq.files import checksum
from lpvq.models.saving import Pretrained
from lpvq.runtime import autocast, choose_precision, keep_memory, progress, running_in_notebook
from lpvq.threads import at_work
from lpvq.training.checkpoints import read_checkpoint, write_checkpoint
from lpvq.training.config import DataSet, TrainConfig, identity_of, real_number, whole_number
from lpvq.training.interrupts import Stopped, StopRequest, stop_requests
from lpvq.training.optimizers import Optimizer
from lpvq.training.recorded import RecordedGradients, recorder
from lpvq.training.shards import OneBatch, Shards


class Record(TypedDict):
    """How far a training has come at one validation.

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
"""Called after each step with the number of steps done and the history so far; it must leave the model unchanged."""

Data = TypeVar("Data", bound=DataSet)

_PRECISIONS: dict[torch.dtype, Literal["float32", "bfloat16"]] = {
    torch.float32: "float32",
    torch.bfloat16: "bfloat16",
}

_stopped: dict[str, Any] = {}
"""The state of the last training that was stopped in a notebook and had no checkpoint."""


class Trainer(Generic[Data]):
    """One training run: the loop, and its state on disk. It knows a loss and no model.

    Args:
        description: of the training, for the progress bar and for complaints.
        model: whose parameters are trained.
        loss: from the indices of a batch, int64 (B,), to a scalar with a gradient; or from what ``fetch`` returns.
        evaluate: from the validation set to the loss on it, in eval mode.
        config: how long and how fast.
        data: what there is to learn from.
        validation: what to choose the best weights by; None to keep the last ones.
        matrices: the parameters that Muon moves if ``config`` asks for it.
        fetch: from the indices of a batch to its items, on the device, for a loss whose work does not depend on their
            values: on a GPU it is recorded once, and replayed. None for any other loss.
        one_batch: what is entered for each step whose batch is cut into shards, with the indices of those that this
            process computes.

    Raises:
        InputError: one of the sets is empty.
    """

    def __init__(
        self,
        description: str,
        model: Pretrained,
        loss: Callable[..., Tensor],
        evaluate: Callable[[Data], float],
        config: TrainConfig,
        data: Data,
        validation: Data | None,
        matrices: Sequence[nn.Parameter] = (),
        fetch: Callable[[Tensor], tuple[Tensor | None, ...]] | None = None,
        one_batch: OneBatch = lambda _: nullcontext(),
    ) -> None:
        if len(data) == 0:
            raise InputError(f"{description}: there is nothing to learn from, the set is empty")
        if validation is not None and len(validation) == 0:
            raise InputError(f"{description}: the validation set is empty; leave it out, and the last weights are kept")
        self.description = description
        self.model = model
        self.loss, self.fetch = loss, fetch
        self.evaluate = evaluate
        self.config = config
        self.one_batch = one_batch
        self.num_items = len(data)
        self.validation = validation
        self.identity = identity_of(model, config, data, validation)
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = Optimizer(self.parameters, matrices, config)
        self.device = self.parameters[0].device
        self.precision = choose_precision(self.device, config.precision)
        self.step = 0
        self.seconds = 0.0
        self.epoch, self.order = -1, torch.empty(0)
        self.history: History = []
        self.losses: list[float] = []  # since the last validation
        run = recorder(self.device)
        self.recorded = (
            RecordedGradients(self.loss, self.parameters, lambda: autocast(self.device, self.precision), run)
            if run is not None and fetch is not None and not config.compile
            else None
        )
        self.best_weights: dict[str, Tensor] = {}

    def train(
        self,
        checkpoint: str | Path | None,
        checkpoint_seconds: float,
        until: int | None = None,
        after_step: AfterStep | None = None,
    ) -> History:
        """Run the steps that are left.

        Args:
            checkpoint: a file to go on from if it is there, and to write the state of the training to; None for none.
            checkpoint_seconds: how much work may be lost when the process is killed, 0 or more.
            until: stop when this many steps are done, 1 or more; None for all.
            after_step: called after each step.

        Returns:
            the history of the run so far.

        Raises:
            InputError: a checkpoint that is damaged, of another run, or further than ``until``; a loss that is not
                finite.
            Stopped: after Ctrl-C, when the step is done and the checkpoint written. In a notebook a training without
                a checkpoint is kept in memory, and goes on when the same one is run again.
            SystemExit: the same after SIGTERM or SIGHUP, or where another of several processes was told to stop.
            ProcessLostError: another of several processes has ended.
        """
        with distributed.together():
            return self._train(checkpoint, checkpoint_seconds, until, after_step)

    def _train(
        self, checkpoint: str | Path | None, checkpoint_seconds: float, until: int | None, after_step: AfterStep | None
    ) -> History:
        path = None if checkpoint is None else Path(checkpoint)
        end = self._end(until, path)
        if not real_number("checkpoint_seconds", checkpoint_seconds) >= 0:
            raise InputError(f"checkpoint_seconds must be 0 or more, got {checkpoint_seconds}")
        self.shards = Shards(self.description, self.config, min(self.config.batch_size, self.num_items))
        if distributed.count() > 1:
            self._begin_together(path, end)
        elif path is not None and path.exists():
            self._load(path, end)
        elif path is None and self._was_stopped():
            self._restore(_stopped)
            _stopped.clear()
        keep_memory()
        was_training = self.model.training
        try:
            self.model.train()
            self._run(end, path, checkpoint_seconds, after_step)
        except BaseException:
            self.model.train(was_training)
            raise
        if end == self.config.steps:
            self.model.load_state_dict(self.best_weights)
        self.model.eval()
        return self.history

    def _end(self, until: int | None, path: Path | None) -> int:
        """How many steps are done when this call ends."""
        if until is None:
            return self.config.steps
        if path is None:
            raise InputError("a training that stops early needs a checkpoint to go on from")
        return min(whole_number("until", until, 1), self.config.steps)

    def _run(self, end: int, path: Path | None, checkpoint_seconds: float, after_step: AfterStep | None) -> None:
        bar = progress(None, self.description, total=self.config.steps, initial=self.step, unit="step")
        saved = started = time.monotonic()
        seconds_before = self.seconds
        gpus = [self.device] if self.device.type == "cuda" else []
        with bar, torch.random.fork_rng(gpus), at_work() as share, stop_requests() as stop_if_asked:
            if distributed.count() == 1:  # with several processes, torchrun has said how many threads each has
                share.take()
            while self.step < end:
                somebody_asked = self._one_step(path, stop_if_asked)
                now = time.monotonic()
                self.seconds = seconds_before + now - started
                if self.config.validates_after(self.step - 1):
                    self._validate(path)
                    if distributed.count() == 1:
                        share.take()  # what else the machine does may have changed
                    record = self.history[-1]
                    bar.set_postfix(loss=f"{record['train_loss']:.3f}", valid=f"{record['valid_loss']:.3f}")
                bar.update()
                if after_step is not None:
                    after_step(self.step, self.history)
                last = self.step == end
                stopping = somebody_asked if distributed.count() > 1 else stop_if_asked.is_set()
                if path is not None and (last or stopping or now - saved >= checkpoint_seconds):
                    self._save(path)
                    saved = now
                if distributed.count() > 1:
                    if stopping or last:
                        # Until the first has written: if another ended earlier, torchrun would end it.
                        distributed.from_all(None)
                    if not (stopping or last):
                        continue  # of a signal that has come meanwhile, the others are told in the next step
                    if stopping and not stop_if_asked.is_set():
                        stop_if_asked.note(signal.SIGTERM, None)
                try:
                    stop_if_asked()
                except KeyboardInterrupt:
                    raise self._stop(path) from None

    def _one_step(self, path: Path | None, stop_if_asked: StopRequest) -> bool:
        """Take a step; return whether any of several processes has been asked to stop."""
        self._seed()
        self.optimizer.zero_grad()
        somebody_asked = False
        try:
            if self.config.shards == 1:
                loss = self._add_gradients(self._batch())
            else:
                loss, somebody_asked = self.shards.add_gradients(
                    self._batch(),
                    self._loss_on,
                    self.parameters,
                    autocast(self.device, self.precision),
                    self.one_batch,
                    self._seed,
                    stop_if_asked.is_set(),
                )
        except InputError as error:  # the quantizer refuses vectors that are not finite before the loss sees them
            raise self._diverged(str(error), path) from error
        length = nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        if not (loss.isfinite() and length.isfinite()):
            raise self._diverged(f"the loss is {loss.item()} and its gradient {length.item()}", path)
        self.optimizer.step(self.config.share_of_rate(self.step))
        self.losses.append(loss.item())
        self.step += 1
        return somebody_asked

    def _add_gradients(self, batch: Tensor) -> Tensor:
        if self.recorded is not None and self.fetch is not None:
            return self.recorded(*self.fetch(batch))
        with autocast(self.device, self.precision):
            loss = self._loss_on(batch)
        loss.backward()
        return loss

    def _loss_on(self, batch: Tensor) -> Tensor:
        return self.loss(batch) if self.fetch is None else self.loss(*self.fetch(batch))

    def _seed(self, *shard: int) -> None:
        """Seed all that is random in this step, or in one shard of it."""
        torch.manual_seed(_mix(self.config.seed, self.step, *shard))

    def _diverged(self, reason: str, path: Path | None) -> InputError:
        saved = path is not None and path.exists()
        kept = f"the last good checkpoint is {path}" if saved else "no checkpoint was kept"
        return InputError(
            f"{self.description}: at step {self.step} of {self.config.steps}, {reason}; {kept}; begin anew with a "
            f"learning rate below {self.config.learning_rate}"
        )

    def _batch(self) -> Tensor:
        """The indices of this step: each epoch goes through the data once, in an order of its own."""
        size = self.shards.batch_size
        per_epoch = self.num_items // size
        epoch, position = divmod(self.step, per_epoch)
        if epoch != self.epoch:
            generator = torch.Generator().manual_seed(_mix(self.config.seed, -1 - epoch))
            self.epoch, self.order = epoch, torch.randperm(self.num_items, generator=generator)
        return self.order[position * size : (position + 1) * size]

    def _validate(self, path: Path | None) -> None:
        valid_loss = self._valid_loss(path)
        if len(set(distributed.from_all(checksum(self.model) if distributed.count() > 1 else ""))) > 1:
            raise InputError(
                f"{self.description}: at step {self.step} the processes have come to different weights; all need the "
                "same kind of processor, the same version of torch and the same number of threads"
            )
        # Without a validation set all losses are NaN, none is as good as another, and the last weights are the best.
        is_best = not any(earlier["valid_loss"] <= valid_loss for earlier in self.history)
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
        if is_best:
            self.best_weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def _valid_loss(self, path: Path | None) -> float:
        if self.validation is None:
            return math.nan
        try:
            valid_loss = self.evaluate(self.validation)
        except InputError as error:
            raise self._diverged(str(error), path) from error
        if not math.isfinite(valid_loss):
            raise self._diverged(f"the loss on the validation set is {valid_loss}", path)
        return valid_loss

    def _stop(self, path: Path | None) -> Stopped:
        """What stops a training that can go on."""
        at = f"stopped at step {self.step} of {self.config.steps}"
        if not running_in_notebook():
            return Stopped(at)
        if path is None:
            _stopped.update(deepcopy(self._state()))
        return Stopped(f"{at}; run the cell again to go on")

    def _was_stopped(self) -> bool:
        """Whether the training that was stopped last is this one."""
        return _stopped.get("identity") == self.identity and self.config.precision in ("auto", _stopped["precision"])

    def _state(self) -> dict[str, Any]:
        """All that a training needs to go on."""
        return {
            "identity": self.identity,
            "precision": _PRECISIONS[self.precision],  # on another machine, too, the run goes on in it
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "losses": self.losses,
            "best_weights": self.best_weights,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state(),
        }

    def _begin_together(self, path: Path | None, end: int) -> None:
        """Have all processes begin with what the first one has, or with the checkpoint that it finds."""
        settings = distributed.from_all(self.identity)
        if any(other != settings[0] for other in settings):
            raise InputError(f"{self.description}: all processes need the same model, settings and data")

        def state() -> bytes:
            if path is not None and path.exists():
                self._load(path, end)
            buffer = io.BytesIO()
            torch.save(self._state(), buffer)
            return buffer.getvalue()

        found = distributed.from_first(state)
        if not distributed.is_first():
            self._restore(torch.load(io.BytesIO(found), map_location="cpu", weights_only=True))

    def _save(self, path: Path) -> None:
        if distributed.is_first():
            write_checkpoint(path, self._state())

    def _load(self, path: Path, end: int) -> None:
        """Go on from a checkpoint. It is checked as a whole first, so that a bad one changes nothing."""
        state = read_checkpoint(path, self.identity, self.config, self.model.state_dict(), self.optimizer)
        wish = self.config.precision
        if wish not in ("auto", state["precision"]):
            raise InputError(f"{path} was trained in {state['precision']}, not in {wish}: delete it to start anew")
        if state["step"] > end:
            raise InputError(f"{path} has done {state['step']} steps, more than until={end}: delete it to start anew")
        self._restore(state)

    def _restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state(state["optimizer"])
        self.precision = torch.bfloat16 if state["precision"] == "bfloat16" else torch.float32
        self.step, self.seconds = state["step"], state["seconds"]
        self.history, self.losses, self.best_weights = state["history"], state["losses"], state["best_weights"]


def _mix(*numbers: int) -> int:
    """A seed of its own for all these numbers together."""
    text = " ".join(map(str, numbers))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little", signed=True)
