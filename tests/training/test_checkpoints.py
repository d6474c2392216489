"""Checkpoints: what is damaged, foreign or of another run is refused by name, and changes nothing."""

import math
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import CONFIG, make_prior

from lpvq import InputError, LatentCodes, PixelCNN, TrainConfig, train_prior
from lpvq.files import checksum, read_tensors, write_tensors
from lpvq.training.checkpoints import OtherDataError, steps_done
from lpvq.training.config import identity_of

State = dict[str, Any]
STEPS = 7  # of 12, with a validation after the fourth


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a training that has done 7 of 12 steps."""
    path = tmp_path_factory.mktemp("written") / "c"
    train_prior(make_prior(), rows(), CONFIG, rows()[:16], path, until=STEPS)
    return path


def rows() -> LatentCodes:
    """The fixture ``codes``, for fixtures of wider scope."""
    codes = torch.randint(8, (96, 4, 1), generator=torch.Generator().manual_seed(0)).expand(96, 4, 5).contiguous()
    return LatentCodes(codes, torch.arange(96) % 3, 8, ("a", "b", "c"), "rows", "f00d")


def go_on(path: Path, model: PixelCNN | None = None, config: TrainConfig = CONFIG, **sets: LatentCodes) -> None:
    given = {"codes": rows(), "validation": rows()[:16], **sets}
    train_prior(model or make_prior(), given["codes"], config, given["validation"], path)


def refuse(path: Path, expected: str, error: type[InputError] = InputError) -> None:
    """The file is refused with a message that names it and says what to do; it and the model stay as they are."""
    model = make_prior()
    weights, content = checksum(model), path.read_bytes() if path.is_file() else None
    with pytest.raises(InputError, match=expected) as caught:
        go_on(path, model)
    assert type(caught.value) is error
    assert str(path) in str(caught.value) and ("delete it" in str(caught.value) or "make it" in str(caught.value))
    assert checksum(model) == weights and model.training
    assert (path.read_bytes() if path.is_file() else None) == content


# The file.


@pytest.mark.parametrize("share", [number / 20 for number in range(20)])
def test_a_truncated_file_is_refused_wherever_it_ends(written: Path, tmp_path: Path, share: float) -> None:
    content = written.read_bytes()
    (tmp_path / "c").write_bytes(content[: int(share * len(content))])
    refuse(tmp_path / "c", "is damaged")


@pytest.mark.parametrize("number", range(30))
def test_a_flipped_bit_is_refused_wherever_it_is(written: Path, tmp_path: Path, number: int) -> None:
    content, chance = bytearray(written.read_bytes()), random.Random(number)
    # The first line is the checksum, the rest what it is of.
    place = number if number < 10 else chance.randrange(len(content))
    content[place] ^= 1 << chance.randrange(8)
    (tmp_path / "c").write_bytes(content)
    refuse(tmp_path / "c", "is damaged")


class Trap:
    """Unpickling this would make a folder."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("trapped",)


def test_other_files_are_refused(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c"
    monkeypatch.chdir(tmp_path)
    for content in (b"", b"\n", b"lpvq checked ", b"GIF89a", written.read_bytes() + b"more"):
        path.write_bytes(content)
        refuse(path, "is damaged")
    torch.save({"a": torch.ones(2)}, path)  # of some other program
    refuse(path, "is damaged")
    torch.save(read_tensors(written, checked=True), path)  # without its checksum, as long ago
    refuse(path, "is damaged")
    torch.save({"a": Trap()}, path)
    refuse(path, "is damaged")
    write_tensors(path, {"identity": {}, "model": Trap()}, checked=True)
    refuse(path, "holds no tensors that can be read")
    assert not (tmp_path / "trapped").exists()
    path.unlink()
    path.mkdir()
    refuse(path, "cannot be read")
    assert path.is_dir()


@pytest.mark.parametrize(
    "foreign",
    [
        {"a": 1},
        {"identity": 5},
        {"identity": None},
        {"identity": {"model": torch.ones(3)}},
        {"identity": {("a", "b"): 1}},
        [1],
        [],
        None,
        torch.ones(3),
    ],
    ids=str,
)
def test_whole_files_that_are_no_checkpoints_are_refused(foreign: Any, tmp_path: Path) -> None:
    write_tensors(tmp_path / "c", foreign, checked=True)
    refuse(tmp_path / "c", "is not a checkpoint of a training")


# What it holds.


def change(state: State, name: str, value: Any) -> State:
    return {**state, name: value}


def in_record(number: int, **fields: Any) -> Callable[[State], State]:
    def damage(state: State) -> State:
        history = [dict(record) for record in state["history"]]
        history[number].update(fields)
        return change(state, "history", history)

    return damage


def in_weights(name: str, alter: Callable[[torch.Tensor], Any]) -> Callable[[State], State]:
    """Alter one tensor of ``model`` or ``best_weights``."""

    def damage(state: State) -> State:
        weights = dict(state[name])
        first = next(iter(weights))
        return change(state, name, {**weights, first: alter(weights[first])})

    return damage


def in_optimizer(name: str, alter: Callable[[torch.Tensor], Any]) -> Callable[[State], State]:
    """Alter one tensor of what the optimizer keeps of the third weight."""

    def damage(state: State) -> State:
        kept = {index: dict(entry) for index, entry in state["optimizer"].items()}
        kept[2][name] = alter(kept[2][name])
        return change(state, "optimizer", kept)

    return damage


def one_is_nan(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clone().index_fill_(0, torch.tensor([0]), math.nan) if tensor.ndim else tensor * math.nan


ALTERED: list[Callable[[torch.Tensor], Any]] = [
    one_is_nan,
    lambda tensor: tensor * math.inf,
    lambda tensor: tensor.double(),
    lambda tensor: tensor.half(),
    lambda tensor: tensor[None],
    lambda tensor: tensor.flatten()[:0],
    lambda tensor: tensor.to_sparse(),
    lambda tensor: tensor.tolist(),
    lambda tensor: None,
]
PLAIN: dict[str, list[Any]] = {
    "precision": ["float64", "auto", "", None, 32, torch.tensor(1.0), ["float32"]],
    "step": [-1, 13, 2**70, 7.0, "7", None, True, torch.tensor(7), math.nan],
    "seconds": [-0.1, math.nan, math.inf, "1", None, True, torch.tensor(1.0)],
    "history": [None, {}, "x", [None], [[]], [{}], 3],
    "losses": [None, {}, [None], ["1"], [math.nan], [math.inf], [True], [1.0] * 2, [1.0] * 4, [], torch.ones(3)],
    "best_weights": [None, {}, [], "x"],
    "model": [None, {}, [], "x"],
    "optimizer": [None, [], "x", {"state": {}, "param_groups": []}, {99: {}}, {-1: {}}, {0: {}}, {0: None}],
}
RECORDS: dict[str, list[Any]] = {
    "step": [5, -4, 4.0, None, True],
    "train_loss": [math.nan, math.inf, "1", None],
    "valid_loss": [math.inf, -math.inf, "1", None, True],
    "seconds": [-1.0, math.nan, None],
    "precision": ["half", None],
    "threads": [-1, 1.5, None],
    "more": [1],
}
CASES: dict[str, tuple[Callable[[State], State], str]] = {
    **{
        f"{name} is {value!r:.40}": (lambda state, name=name, value=value: change(state, name, value), name)
        for name, values in PLAIN.items()
        for value in values
    },
    **{
        f"{name} is missing": (lambda state, name=name: {key: state[key] for key in state if key != name}, name)
        for name in PLAIN
    },
    **{
        f"{name} of a record is {value!r}": (in_record(0, **{name: value}), "history")
        for name, values in RECORDS.items()
        for value in values
    },
    "a record is missing": (lambda state: change(state, "history", []), "history"),
    "a record is there twice": (lambda state: change(state, "history", state["history"] * 2), "history"),
    "the step is another": (lambda state: change(state, "step", 6), "losses"),
    "the step is of before the validation": (lambda state: change(state, "step", 3), "history"),
    **{
        f"{name} altered {number}": (in_weights(name, alter), name)
        for name in ("model", "best_weights")
        for number, alter in enumerate(ALTERED)
    },
    **{
        f"{name} of the optimizer altered {number}": (in_optimizer(name, alter), "optimizer")
        for name in ("exp_avg", "exp_avg_sq")
        for number, alter in enumerate(ALTERED)
    },
    "step of the optimizer is a number": (in_optimizer("step", lambda _: 7.0), "optimizer"),
    "step of the optimizer is NaN": (in_optimizer("step", one_is_nan), "optimizer"),
    "weights swapped": (
        lambda state: change(state, "model", dict(zip(state["model"], reversed(state["model"].values()), strict=True))),
        "model",
    ),
    "a weight more": (lambda state: change(state, "model", {**state["model"], "more": torch.ones(2)}), "model"),
}


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize("case", CASES)
def test_a_state_that_no_training_can_be_in_is_refused_by_the_name_of_its_field(
    case: str, written: Path, tmp_path: Path
) -> None:
    damage, name = CASES[case]
    write_tensors(tmp_path / "c", damage(read_tensors(written, checked=True)), checked=True)
    refuse(tmp_path / "c", rf"holds a state that this training cannot be in \(wrong: [a-z_, ]*\b{name}\b")


def test_the_optimizer_of_another_model_is_refused(written: Path, tmp_path: Path) -> None:
    other = PixelCNN(8, (4, 5), num_blocks=2, hidden_channels=4, num_classes=3)
    train_prior(other, rows(), CONFIG, rows()[:16], tmp_path / "other", until=STEPS)
    theirs = read_tensors(tmp_path / "other", checked=True)
    state = {**read_tensors(written, checked=True), "optimizer": theirs["optimizer"]}
    write_tensors(tmp_path / "c", state, checked=True)
    refuse(tmp_path / "c", r"\(wrong: optimizer\)")


def test_a_checkpoint_is_gone_on_from_as_it_is(written: Path, tmp_path: Path) -> None:
    # What the tests above damage is right before: it is the damage that is refused.
    write_tensors(tmp_path / "c", read_tensors(written, checked=True), checked=True)
    go_on(tmp_path / "c", model := make_prior())
    whole = make_prior()
    train_prior(whole, rows(), CONFIG, rows()[:16])
    assert checksum(model) == checksum(whole)


# Another run.


def test_a_checkpoint_of_another_run_is_refused_by_name(written: Path) -> None:
    with pytest.raises(InputError, match=r"belongs to another run \(learning_rate was 0.001, is 0.002\): delete it"):
        go_on(written, config=replace(CONFIG, learning_rate=0.002))
    with pytest.raises(InputError, match="num_blocks was 2, is 3"):
        go_on(written, PixelCNN(8, (4, 5), 3, hidden_channels=8, num_classes=3))
    with pytest.raises(InputError, match=r"\(seed was 0, is 1\)"):  # not the checksums too, which say nobody anything
        go_on(written, config=replace(CONFIG, seed=1), codes=rows()[:50])


@pytest.mark.parametrize("what", ["codes", "labels", "validation"])
def test_a_checkpoint_of_the_same_run_on_other_data_has_an_error_of_its_own(what: str, written: Path) -> None:
    codes = rows()
    other: dict[str, LatentCodes] = {
        "codes": {"codes": replace(codes, codes=codes.codes.flip(0))},
        "labels": {"codes": replace(codes, labels=codes.labels.flip(0))},
        "validation": {"validation": codes[1:17]},
    }[what]
    with pytest.raises(OtherDataError, match="c belongs to a training on other data: delete it to start anew"):
        go_on(written, **other)


def test_how_many_steps_are_done_can_be_asked_without_the_model(written: Path, tmp_path: Path) -> None:
    identity = identity_of(make_prior(), CONFIG, rows(), rows()[:16])
    assert steps_done(written, identity) == STEPS
    assert steps_done(tmp_path / "none", identity) == 0
    with pytest.raises(OtherDataError):
        steps_done(written, identity_of(make_prior(), CONFIG, rows(), None))
    with pytest.raises(InputError, match="another run"):
        steps_done(written, {**identity, "seed": 1})
    write_tensors(tmp_path / "c", {**read_tensors(written, checked=True), "step": "7"}, checked=True)
    with pytest.raises(InputError, match=r"\(wrong: step\)"):
        steps_done(tmp_path / "c", identity)
