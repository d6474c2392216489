"""Signals while a model is trained: the step is finished and kept, and the handlers are as before afterwards."""

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import Weight, trainer_of
from torch import Tensor

from lpvq import TrainConfig
from lpvq.files import read_tensors
from lpvq.training import trainer
from lpvq.training.interrupts import Stopped, stop_requests
from lpvq.training.trainer import History
from processes import in_new_process

CONFIG = TrainConfig(steps=12, learning_rate=0.1, validations=2)
KINDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Outcome:
    """What a training in a process of its own came to."""

    raised: str | None
    status: Any
    handlers: list[str]
    calls: list[int]
    value: float


def train(path: Path, signals: dict[int, list[int]], handlers: dict[int, str]) -> Outcome:
    """Train a number, and send signals to this process in the middle of some steps, counted from 0."""
    calls: list[int] = []

    def of_the_user(number: int, _: object) -> None:
        calls.append(number)

    def that_ignores_the_next(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    known: dict[str, Any] = {
        "ignored": signal.SIG_IGN,
        "default": signal.SIG_DFL,
        "user": of_the_user,
        "once": that_ignores_the_next,
        "python": signal.default_int_handler,
    }
    for kind in KINDS:
        signal.signal(kind, known[handlers.get(kind, "python" if kind == signal.SIGINT else "default")])

    weight = Weight()
    training = trainer_of(weight, CONFIG, lambda _: weight.value.sum())

    def loss(_: Tensor) -> Tensor:
        for kind in signals.get(training.step, []):
            signal.raise_signal(kind)
        return weight.value.sum() * torch.rand(())

    training.loss = loss
    raised = status = None
    try:
        training.train(path, 1e9)
    except BaseException as error:
        raised, status = type(error).__name__, getattr(error, "code", None)
    after = [next(name for name, value in known.items() if value == signal.getsignal(kind)) for kind in KINDS]
    return Outcome(raised, status, after, calls, weight.value.item())


def run(path: Path, signals: dict[int, list[int]] | None = None, handlers: dict[int, str] | None = None) -> Outcome:
    finished = in_new_process(train, path, signals or {}, handlers or {})
    assert finished.status == 0, finished.err
    return finished.result


BEFORE = ["python", "default", "default"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_in_mid_step_finishes_the_step_keeps_it_and_stops(kind: int, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    assert (whole.raised, whole.handlers) == (None, BEFORE)
    stopped = run(tmp_path / "c", {5: [kind]})
    expected = ("Stopped", None) if kind == signal.SIGINT else ("SystemExit", 128 + kind)
    assert (stopped.raised, stopped.status, stopped.handlers) == (*expected, BEFORE)
    assert read_tensors(tmp_path / "c", checked=True)["step"] == 6
    again = run(tmp_path / "c", {9: [kind]})
    assert again.raised == expected[0] and read_tensors(tmp_path / "c", checked=True)["step"] == 10
    assert run(tmp_path / "c").value == whole.value


def test_a_signal_in_the_last_step_stops_too_and_the_next_run_only_ends(tmp_path: Path) -> None:
    assert run(tmp_path / "c", {11: [signal.SIGTERM]}).status == 143
    assert read_tensors(tmp_path / "c", checked=True)["step"] == 12
    assert run(tmp_path / "c").value == run(tmp_path / "whole").value


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_kills_at_once(kind: int, tmp_path: Path) -> None:
    finished = in_new_process(train, tmp_path / "c", {5: [kind, kind]}, {})
    assert finished.status == -kind
    assert not (tmp_path / "c").exists()


def test_a_second_ctrl_c_does_not_wait_for_the_step(tmp_path: Path) -> None:
    stopped = run(tmp_path / "c", {5: [signal.SIGINT, signal.SIGINT]})
    assert (stopped.raised, stopped.handlers) == ("KeyboardInterrupt", BEFORE)
    assert not (tmp_path / "c").exists()


def test_signals_of_two_kinds_stop_as_the_last_one_says(tmp_path: Path) -> None:
    assert run(tmp_path / "c", {5: [signal.SIGINT, signal.SIGTERM]}).status == 143
    assert read_tensors(tmp_path / "c", checked=True)["step"] == 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_that_is_ignored_stays_so(kind: int, tmp_path: Path) -> None:
    outcome = run(tmp_path / "c", {5: [kind, kind]}, {kind: "ignored"})
    assert outcome.raised is None and outcome.handlers[KINDS.index(kind)] == "ignored"
    assert read_tensors(tmp_path / "c", checked=True)["step"] == 12


@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_of_the_users_is_called_once_when_the_step_is_kept(kind: int, tmp_path: Path) -> None:
    outcome = run(tmp_path / "c", {5: [kind]}, {kind: "user"})
    assert outcome.calls == [kind] and outcome.raised == ("Stopped" if kind == signal.SIGINT else "SystemExit")
    assert outcome.handlers[KINDS.index(kind)] == "user"
    assert read_tensors(tmp_path / "c", checked=True)["step"] == 6


def test_what_a_handler_has_installed_is_not_taken_back(tmp_path: Path) -> None:
    # The command line ignores Ctrl-C from the first one on; taken back, the next one would end in a traceback.
    for times, raised in ((1, "Stopped"), (2, "KeyboardInterrupt")):  # the second one does not wait
        outcome = run(tmp_path / f"c{times}", {5: [signal.SIGINT] * times}, {signal.SIGINT: "once"})
        assert outcome.handlers[0] == "ignored" and outcome.raised == raised


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a cell can be run again."""
    monkeypatch.setattr(trainer, "running_in_notebook", lambda: True)
    monkeypatch.setattr(trainer, "_stopped", {})


def train_here(stop_after: int | None = None, config: TrainConfig = CONFIG) -> tuple[float, list[int]]:
    """Train a new number without a checkpoint; return it, and which steps were done."""
    weight, steps = Weight(), list[int]()

    def after_step(step: int, _: History) -> None:
        steps.append(step)
        if step == stop_after:
            signal.raise_signal(signal.SIGINT)

    def loss(_: Tensor) -> Tensor:
        return weight.value.sum() * torch.rand(())

    trainer_of(weight, config, loss).train(None, 1e9, after_step=after_step)
    return weight.value.item(), steps


def test_without_a_checkpoint_a_cell_that_is_run_again_goes_on(notebook: None) -> None:
    value, _ = train_here()
    with pytest.raises(Stopped, match=r"^stopped at step 5 of 12; run the cell again to go on$"):
        train_here(stop_after=5)
    with pytest.raises(Stopped):
        train_here(stop_after=9)
    assert train_here() == (value, [10, 11, 12])
    assert train_here() == (value, list(range(1, 13)))  # it was taken up once


@pytest.mark.parametrize("other", [replace(CONFIG, seed=1), replace(CONFIG, precision="float32")])
def test_another_training_begins_anew(other: TrainConfig, notebook: None) -> None:
    with pytest.raises(Stopped):
        train_here(5, replace(CONFIG, precision="bfloat16"))
    assert train_here(config=other)[1] == list(range(1, 13))


def test_outside_of_a_notebook_nothing_is_kept_in_memory() -> None:
    with pytest.raises(Stopped, match=r"^stopped at step 5 of 12$"):
        train_here(stop_after=5)
    assert train_here()[1] == list(range(1, 13))


def handlers() -> list[Any]:
    return [signal.getsignal(kind) for kind in KINDS]


def test_nothing_is_installed_outside_the_main_thread() -> None:
    before, inside = handlers(), []
    weight = Weight()

    def loss(_: Tensor) -> Tensor:
        inside.append(handlers())
        return weight.value.sum()

    thread = threading.Thread(target=trainer_of(weight, CONFIG, loss).train, args=(None, 10.0))
    thread.start()
    thread.join()
    assert inside == [before] * 12


def test_handlers_are_there_again_whatever_ends_the_training() -> None:
    before = handlers()
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), stop_requests():
            assert not set(map(id, handlers())) & set(map(id, before))
            raise error
        assert handlers() == before


def test_where_a_kind_of_signal_does_not_exist_the_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGHUP")  # as on Windows
    with stop_requests() as stop_if_asked:
        signal.raise_signal(signal.SIGINT)
        assert stop_if_asked.is_set()
        with pytest.raises(KeyboardInterrupt):
            stop_if_asked()


def test_a_handler_that_is_not_pythons_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable = signal.getsignal
    installed: list[int] = []
    monkeypatch.setattr(signal, "getsignal", lambda kind: None if kind == signal.SIGTERM else real(kind))
    monkeypatch.setattr(signal, "signal", lambda kind, _: installed.append(kind))
    with stop_requests():
        pass
    assert installed and signal.SIGTERM not in installed


def test_a_training_inside_another_stops_both() -> None:
    with stop_requests() as outer:
        with pytest.raises(KeyboardInterrupt), stop_requests() as inner:
            signal.raise_signal(signal.SIGINT)
            assert inner.is_set() and not outer.is_set()
            inner()
        assert outer.is_set()
        with pytest.raises(KeyboardInterrupt):
            outer()
