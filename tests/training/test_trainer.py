"""The loop: what a step does, what a validation decides, and where a run ends that was stopped on the way."""

import json
import math
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_models import CONFIG, Numbers, Weight, make_prior, trainer_of, values_after_each_step
from torch import Tensor

from lpvq import InputError, LatentCodes, TrainConfig, train_prior
from lpvq.files import checksum, read_tensors
from lpvq.training import trainer as trainer_module
from lpvq.training.trainer import History, Trainer

FLAT = TrainConfig(steps=6, learning_rate=0.1, warmup=0.0, validations=1)


def moves(values: list[float]) -> list[float]:
    return [before - after for before, after in pairwise(values)]


# What a step does. A loss that is a number times its slope makes AdamW move it by exactly the rate, whatever the slope.


def test_each_step_moves_by_the_rate_of_that_step() -> None:
    config = TrainConfig(steps=8, learning_rate=0.1, warmup=0.5, validations=1)
    rising = [0.025, 0.05, 0.075, 0.1]
    falling = [0.1 * 0.5 * (1 + math.cos(math.pi * share)) for share in (0, 0.25, 0.5, 0.75)]
    values = values_after_each_step(config, lambda weight, _: weight.value.sum())
    assert moves(values) == pytest.approx(rising + falling, rel=1e-4)


def test_a_long_gradient_is_shortened_and_a_short_one_left_alone() -> None:
    def steep_once(weight: Weight, step: int) -> Tensor:
        return weight.value.sum() * (1000.0 if step == 1 else 1.0)

    def gentle(weight: Weight, step: int) -> Tensor:
        return weight.value.sum() * (0.1 + 0.1 * step)

    rates = [FLAT.rate(step) for step in range(6)]
    assert moves(values_after_each_step(FLAT, steep_once)) == pytest.approx(rates, rel=1e-4)
    unclipped = moves(values_after_each_step(replace(FLAT, clip_norm=math.inf), steep_once))
    assert unclipped[2] < 0.8 * rates[2], "one steep step should be remembered where nothing is clipped"
    assert values_after_each_step(FLAT, gentle) == values_after_each_step(replace(FLAT, clip_norm=math.inf), gentle)
    shorter = moves(values_after_each_step(replace(FLAT, clip_norm=0.15), gentle))
    assert shorter != moves(values_after_each_step(FLAT, gentle))


def test_weight_decay_shrinks_a_weight_that_nothing_else_moves() -> None:
    config = replace(FLAT, weight_decay=0.5)
    values = values_after_each_step(config, lambda weight, _: 0 * weight.value.sum(), start=2.0)
    expected = [2.0]
    for step in range(6):
        expected.append(expected[-1] * (1 - 0.5 * config.rate(step)))
    assert values == pytest.approx(expected, rel=1e-6)
    assert values_after_each_step(FLAT, lambda weight, _: 0 * weight.value.sum()) == [1.0] * 7


def draws(seed: int, before: int = 0) -> list[float]:
    """What torch draws in each step."""
    drawn: list[float] = []

    def loss(weight: Weight, _: int) -> Tensor:
        drawn.append(torch.rand(()).item())
        return weight.value.sum()

    torch.manual_seed(before)
    values_after_each_step(replace(FLAT, seed=seed), loss)
    return drawn


def test_each_step_draws_other_random_numbers_and_the_seed_alone_decides_which() -> None:
    first = draws(seed=0)
    assert len(set(first)) == 6
    assert draws(seed=0, before=5) == first
    assert not set(draws(seed=1)) & set(first)


def test_what_is_drawn_while_a_model_is_looked_at_changes_nothing() -> None:
    drawn: list[float] = []
    weight = Weight()

    def loss(_: Tensor) -> Tensor:
        drawn.append(torch.rand(()).item())
        return weight.value.sum()

    trainer_of(weight, FLAT, loss).train(None, 10.0, after_step=lambda *_: torch.rand(7))
    assert drawn == draws(seed=0)


def test_training_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    draws_inside = Weight()
    trainer_of(draws_inside, FLAT, lambda _: draws_inside.value.sum() * torch.rand(())).train(None, 10.0)
    assert torch.equal(torch.random.get_rng_state(), before)


# Batches.


def batches(count: int, config: TrainConfig) -> list[list[int]]:
    seen: list[list[int]] = []
    weight = Weight()

    def loss(indices: Tensor) -> Tensor:
        seen.append(indices.tolist())
        return weight.value.sum()

    trainer_of(weight, config, loss, count=count).train(None, 10.0)
    return seen


def test_batches_have_the_size_that_is_asked_for() -> None:
    assert [len(batch) for batch in batches(20, replace(FLAT, batch_size=6))] == [6] * 6
    assert [len(batch) for batch in batches(20, replace(FLAT, batch_size=1))] == [1] * 6
    assert [len(batch) for batch in batches(5, replace(FLAT, batch_size=6))] == [5] * 6


def test_each_epoch_goes_through_the_set_once_in_an_order_of_its_own() -> None:
    seen = batches(12, replace(FLAT, batch_size=4))
    first, second = list(chain(*seen[:3])), list(chain(*seen[3:]))
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second and list(range(12)) not in (first, second)
    assert batches(12, replace(FLAT, batch_size=4, seed=1)) != seen


def test_a_set_that_is_no_multiple_of_the_batch_leaves_a_rest_out_that_differs_by_epoch() -> None:
    seen = batches(11, replace(FLAT, batch_size=4))
    epochs = [set(chain(*seen[start : start + 2])) for start in (0, 2, 4)]
    assert all(len(epoch) == 8 for epoch in epochs)
    assert len(set(map(frozenset, epochs))) == 3


def test_empty_sets_are_refused_before_anything_trains() -> None:
    with pytest.raises(InputError, match="nothing to learn from, the set is empty"):
        trainer_of(Weight(), FLAT, count=0)
    with pytest.raises(InputError, match="the validation set is empty"):
        Trainer("training", Weight(), lambda _: None, lambda _: 0.0, FLAT, Numbers(3), Numbers(0))


# Validation, and what is kept.


def trained_with(valid_losses: list[float]) -> tuple[float, list[float], History]:
    """The weight in the end, the weights at each validation, the history."""
    weight, seen = Weight(), []

    def evaluate(data: Numbers) -> float:
        assert data.name == "validation"
        seen.append(weight.value.item())
        return valid_losses[len(seen) - 1]

    config = replace(FLAT, validations=len(valid_losses))
    history = trainer_of(weight, config, evaluate=evaluate).train(None, 10.0)
    return weight.value.item(), seen, history


def test_the_weights_that_did_best_are_kept_and_the_first_of_equals() -> None:
    for valid_losses, best in (([3.0, 1.0, 2.0], 1), ([1.0, 2.0, 3.0], 0), ([3.0, 2.0, 1.0], 2), ([2.0, 1.0, 1.0], 1)):
        weight, seen, history = trained_with(valid_losses)
        assert len(set(seen)) == 3
        assert weight == seen[best]
        assert [record["valid_loss"] for record in history] == valid_losses


def test_without_a_validation_set_the_last_weights_are_kept() -> None:
    weight, values = Weight(), []
    history = trainer_of(weight, replace(FLAT, validations=3)).train(
        None, 10.0, after_step=lambda *_: values.append(weight.value.item())
    )
    assert all(math.isnan(record["valid_loss"]) for record in history)
    assert weight.value.item() == values[-1] != values[-2]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_validation_that_is_not_finite_stops_the_training_and_spoils_nothing(loss: float, tmp_path: Path) -> None:
    losses = iter([1.0, loss])
    trainer = trainer_of(Weight(), replace(FLAT, validations=2), evaluate=lambda _: next(losses))
    expected = f"at step 6 of 6, the loss on the validation set is {loss}; the last good checkpoint is {tmp_path / 'c'}"
    with pytest.raises(InputError, match=expected):
        trainer.train(tmp_path / "c", 0.0)
    kept = read_tensors(tmp_path / "c", checked=True)
    assert kept["step"] == 5 and [record["step"] for record in kept["history"]] == [3]


def test_a_model_that_cannot_be_validated_any_more_names_the_step() -> None:
    def evaluate(_: Numbers) -> float:
        raise InputError("the vectors to quantize hold NaN")

    with pytest.raises(InputError, match="at step 3 of 6, the vectors to quantize hold NaN; no checkpoint was kept"):
        trainer_of(Weight(), replace(FLAT, validations=2), evaluate=evaluate).train(None, 10.0)


def test_a_record_says_what_the_training_has_come_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "time", seconds_that_pass())
    weight, steps = Weight(), iter(range(6))
    config = replace(FLAT, validations=3, precision="float32")
    trainer = trainer_of(weight, config, lambda _: weight.value.sum() * 0 + next(steps), lambda _: 0.5)
    history = trainer.train(None, math.inf)
    same = {"valid_loss": 0.5, "precision": "float32", "threads": torch.get_num_threads()}
    assert history == [
        {"step": step, "train_loss": mean, "seconds": step, **same} for step, mean in ((2, 0.5), (4, 2.5), (6, 4.5))
    ]
    assert json.loads(json.dumps(history)) == history


def seconds_that_pass() -> SimpleNamespace:
    """A clock on which each look takes a second; the training looks once when it starts and once a step."""
    now = iter(range(10**6))
    return SimpleNamespace(monotonic=lambda: float(next(now)))


# Checkpoints: when they are written, and where a run ends that goes on from one.


@pytest.mark.parametrize(
    ("seconds", "steps"), [(0, [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6]), (4.5, [5, 6]), (math.inf, [6])]
)
def test_a_checkpoint_is_written_each_time_so_many_seconds_have_passed_and_at_the_end(
    seconds: float, steps: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    monkeypatch.setattr(trainer_module, "time", seconds_that_pass())
    monkeypatch.setattr(trainer_module, "write_checkpoint", lambda _, state: written.append(state["step"]))
    trainer_of(Weight(), FLAT).train(tmp_path / "c", seconds)
    assert written == steps


@pytest.mark.parametrize("seconds", [math.nan, None, "10", True, -1])
def test_seconds_between_checkpoints_that_are_no_time_are_refused(seconds: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="checkpoint_seconds must be"):
        trainer_of(Weight(), FLAT).train(tmp_path / "c", seconds)


def test_the_seconds_of_all_sessions_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "time", seconds_that_pass())
    config = replace(FLAT, validations=6)
    for until in (2, 3):
        history = trainer_of(Weight(), config).train(tmp_path / "c", math.inf, until)
    assert [record["seconds"] for record in history] == [1, 2, 3]


def test_a_training_in_parts_ends_bit_for_bit_where_a_whole_one_ends(codes: LatentCodes, tmp_path: Path) -> None:
    whole = make_prior()
    history = train_prior(whole, codes, CONFIG, codes)
    sums = []
    for until in (1, 5, 9, 12):
        in_parts = make_prior()
        so_far = train_prior(in_parts, codes, CONFIG, codes, tmp_path / "c", until=until)
        assert not in_parts.training
        sums.append(checksum(in_parts))
    assert sums[-1] == checksum(whole) and len(set(sums)) == 4
    losses = [(record["step"], record["train_loss"], record["valid_loss"]) for record in history]
    assert losses == [(record["step"], record["train_loss"], record["valid_loss"]) for record in so_far]


def test_a_training_that_stops_early_has_the_weights_of_that_step(codes: LatentCodes, tmp_path: Path) -> None:
    sums = []
    train_prior(model := make_prior(), codes, CONFIG, codes, after_step=lambda *_: sums.append(checksum(model)))
    stopped = make_prior()
    history = train_prior(stopped, codes, CONFIG, codes, tmp_path / "c", until=7)
    assert checksum(stopped) == sums[6] and [record["step"] for record in history] == [4]


def test_more_steps_than_there_are_is_the_whole_training(tmp_path: Path) -> None:
    whole, further = Weight(), Weight()
    trainer_of(whole, FLAT).train(None, 10.0)
    assert len(trainer_of(further, FLAT).train(tmp_path / "c", 10.0, until=100)) == 1
    assert torch.equal(whole.value, further.value)


def test_a_training_that_is_further_already_is_refused_and_stays(tmp_path: Path) -> None:
    trainer_of(Weight(), FLAT).train(tmp_path / "c", 10.0, until=4)
    content, weight = (tmp_path / "c").read_bytes(), Weight()
    with pytest.raises(InputError, match=r"c has done 4 steps, more than until=3"):
        trainer_of(weight, FLAT).train(tmp_path / "c", 10.0, until=3)
    assert weight.value.item() == 1.0 and (tmp_path / "c").read_bytes() == content


@pytest.mark.parametrize("until", [0, -1, 2.0, 2.5, math.nan, "2", True])
def test_a_step_to_stop_at_that_is_none_is_refused(until: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="until must be a whole number, at least 1"):
        trainer_of(Weight(), FLAT).train(tmp_path / "c", 10.0, until)
    assert not (tmp_path / "c").exists()


def test_a_training_in_parts_needs_a_checkpoint() -> None:
    with pytest.raises(InputError, match="stops early needs a checkpoint"):
        trainer_of(Weight(), FLAT).train(None, 10.0, until=3)


def test_a_look_after_each_step_sees_the_step_the_weights_and_the_history(tmp_path: Path) -> None:
    weight, seen = Weight(), []
    config = replace(FLAT, validations=2)

    def look(step: int, history: History) -> None:
        seen.append((step, weight.value.item(), len(history)))

    trainer_of(weight, config).train(tmp_path / "c", 10.0, 4, look)
    trainer_of(weight, config).train(tmp_path / "c", 10.0, None, look)
    assert [(step, records) for step, _, records in seen] == [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (6, 2)]
    assert [value for _, value, _ in seen] == values_after_each_step(FLAT, lambda weight, _: weight.value.sum())[1:]


# What goes wrong.


def test_a_loss_that_is_not_finite_stops_and_names_the_step_and_the_checkpoint(tmp_path: Path) -> None:
    weight, path = Weight(), tmp_path / "c"
    steps = iter(range(100))
    trainer = trainer_of(weight, FLAT, lambda _: weight.value.sum() * (math.nan if next(steps) == 3 else 1))
    expected = rf"training a number: at step 3 of 6, the loss is nan .*last good checkpoint is {path}; .*rate below 0.1"
    with pytest.raises(InputError, match=expected):
        trainer.train(path, 0.0)
    assert read_tensors(path, checked=True)["step"] == 3
    assert weight.value.isfinite().all()
    with pytest.raises(InputError, match="no checkpoint was kept"):
        trainer_of(weight, FLAT, lambda _: weight.value.sum() * math.inf).train(None, 10.0)


def test_a_gradient_that_is_not_finite_stops_as_well() -> None:
    weight = Weight(0.0)
    with pytest.raises(InputError, match=r"at step 0 of 6, the loss is 0.0 and its gradient inf"):
        trainer_of(weight, FLAT, lambda _: weight.value.sqrt().sum()).train(None, 10.0)
    assert weight.value.item() == 0.0


@pytest.mark.parametrize("was_training", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_whatever_stops_a_training_leaves_the_model_in_the_mode_it_was_in(
    was_training: bool, error: type[BaseException], codes: LatentCodes
) -> None:
    model = make_prior().train(was_training)

    def stop(step: int, _: History) -> None:
        assert model.training
        if step == 5:
            raise error

    with pytest.raises(error):
        train_prior(model, codes, CONFIG, codes, after_step=stop)
    assert {module.training for module in model.modules()} == {was_training}


def test_a_model_is_trained_in_training_mode_and_validated_and_returned_in_eval_mode(codes: LatentCodes) -> None:
    model, modes = make_prior().eval(), []
    model.register_forward_hook(lambda *_: modes.append(model.training))
    train_prior(model, codes, CONFIG, codes[:16])
    assert modes == [*[True] * 4, False] * 3
    assert not model.training


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first, again = Weight(), Weight()
    history = trainer_of(first, FLAT).train(tmp_path / "c", 10.0)
    steps: list[int] = []
    found = trainer_of(again, FLAT).train(tmp_path / "c", 10.0, after_step=lambda step, _: steps.append(step))
    assert not steps and len(found) == len(history) == 1
    assert found[0]["train_loss"] == history[0]["train_loss"] and torch.equal(first.value, again.value)
