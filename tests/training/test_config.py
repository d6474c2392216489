"""Settings of a training: what is accepted, what is refused by name, and what makes two trainings the same."""

import json
import math
from dataclasses import asdict, fields, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from small_models import Numbers, Weight

from lpvq import InputError, TrainConfig
from lpvq.training.config import HOW_FAST, identity_of

CONFIG = TrainConfig(steps=12)


@pytest.mark.parametrize("name", ["steps", "batch_size", "validations", "seed"])
@pytest.mark.parametrize(
    "value", [-1, 2.0, 2.5, math.nan, math.inf, "3", None, True, np.True_, np.float64(3), 2**63, [3]]
)
def test_what_is_no_whole_number_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"{name} must be a whole number, at least [01] and below 2\^63, got"):
        replace(CONFIG, **{name: value})


@pytest.mark.parametrize("name", ["steps", "batch_size", "validations"])
def test_none_at_all_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be a whole number, at least 1"):
        replace(CONFIG, **{name: 0})


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "warmup", "clip_norm"])
@pytest.mark.parametrize("value", ["0.1", None, True, np.False_, 1j, [0.1], 10**400])
def test_what_is_no_number_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{name} must be a number, got"):
        replace(CONFIG, **{name: value})


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("learning_rate", (0.0, -1e-3, math.nan, math.inf, -math.inf), "above 0 and finite"),
        ("weight_decay", (-1e-9, math.nan, math.inf), "at least 0 and finite"),
        ("warmup", (-0.01, 1.01, math.nan, math.inf), "a share of the steps, from 0 to 1"),
        ("clip_norm", (0.0, -1.0, math.nan, -math.inf), "above 0, or infinite to clip nothing"),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(name: str, values: tuple[float, ...], expected: str) -> None:
    for value in values:
        with pytest.raises(InputError, match=f"{name} must be {expected}, got {value}"):
            replace(CONFIG, **{name: value})


@pytest.mark.parametrize("precision", ["half", "", None, 16, np.float32])
def test_a_precision_that_does_not_exist_is_refused(precision: Any) -> None:
    with pytest.raises(InputError, match="precision must be one of auto, float32, bfloat16, got"):
        replace(CONFIG, precision=precision)


@pytest.mark.parametrize("compile", ["yes", 1, None])
def test_compiling_is_yes_or_no(compile: Any) -> None:
    with pytest.raises(InputError, match="compile must be True or False, got"):
        replace(CONFIG, compile=compile)


def test_numbers_of_numpy_are_the_same_settings_and_plain_json() -> None:
    plain = TrainConfig(
        steps=5, batch_size=2, learning_rate=0.5, weight_decay=0.25, warmup=0, clip_norm=2, validations=3, seed=7
    )
    numpys = TrainConfig(
        steps=np.int64(5),
        batch_size=np.uint8(2),
        learning_rate=np.float32(0.5),
        weight_decay=Fraction(1, 4),
        warmup=np.int8(0),
        clip_norm=np.float64(2),
        validations=np.int16(3),
        seed=np.uint64(7),
    )
    assert numpys == plain
    assert json.loads(json.dumps(asdict(numpys))) == asdict(plain)


def test_the_ends_of_each_range_are_accepted() -> None:
    TrainConfig(steps=1, batch_size=1, validations=1, seed=0, weight_decay=0, warmup=0, clip_norm=math.inf)
    TrainConfig(steps=2**63 - 1, seed=2**63 - 1, warmup=1.0, learning_rate=1e30)


def test_the_rate_rises_and_falls_to_zero() -> None:
    config = TrainConfig(steps=100, learning_rate=1.0, warmup=0.1)
    rates = [config.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == 1 and rates[10] == 1
    assert rates == sorted(rates[:10]) + sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.5)  # half way down
    assert 0 < rates[-1] < 1e-3


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5, 1.0])
def test_every_step_has_a_rate_above_zero_however_short_the_training(steps: int, warmup: float) -> None:
    config = TrainConfig(steps=steps, learning_rate=0.5, warmup=warmup)
    rates = [config.rate(step) for step in range(steps)]
    assert all(0 < rate <= 0.5 for rate in rates) and max(rates) == 0.5


def test_the_warm_up_is_the_share_that_is_asked_for() -> None:
    for warmup, rising in ((0.0, 1), (0.3, 3), (1.0, 10)):
        config = TrainConfig(steps=10, learning_rate=1.0, warmup=warmup)
        assert [config.rate(step) for step in range(rising)] == [(step + 1) / rising for step in range(rising)]


@pytest.mark.parametrize(
    ("steps", "validations", "expected"),
    [(12, 3, [3, 7, 11]), (10, 3, [3, 6, 9]), (5, 1, [4]), (3, 3, [0, 1, 2]), (3, 20, [0, 1, 2]), (1, 1, [0])],
)
def test_validations_are_spread_evenly_and_the_end_is_one(steps: int, validations: int, expected: list[int]) -> None:
    config = TrainConfig(steps=steps, validations=validations)
    assert [step for step in range(steps) if config.validates_after(step)] == expected


# What makes two trainings the same one.


def test_each_setting_makes_another_training_but_for_those_of_how_fast_it_is() -> None:
    others = {
        "steps": 13,
        "batch_size": 5,
        "learning_rate": 0.5,
        "muon_rate": 0.5,
        "weight_decay": 0.5,
        "warmup": 0.5,
        "clip_norm": 0.5,
        "validations": 5,
        "seed": 5,
        "precision": "float32",
        "compile": True,
        "shards": 4,
        "fast_reduce": True,
    }
    assert others.keys() == {field.name for field in fields(TrainConfig)}
    before = identity_of(Weight(), CONFIG, Numbers(3), None)
    for name, value in others.items():
        after = identity_of(Weight(), replace(CONFIG, **{name: value}), Numbers(3), None)
        assert (after == before) == (name in HOW_FAST), name


def test_another_model_another_set_and_another_validation_set_make_another_training() -> None:
    class Other(Weight):
        pass

    def identity(model: Weight, data: Numbers, validation: Numbers | None) -> str:
        return json.dumps(identity_of(model, CONFIG, data, validation))

    identities = [
        identity(Weight(), Numbers(3), None),
        identity(Weight(2.0), Numbers(3), None),
        identity(Other(), Numbers(3), None),
        identity(Weight(), Numbers(4), None),
        identity(Weight(), Numbers(3), Numbers(3)),
        identity(Weight(), Numbers(3), Numbers(4)),
    ]
    assert len(set(identities)) == 6
    assert identity(Weight(), Numbers(3), Numbers(3)) == identities[4]
