"""Training a prior: what it minimises, what it learns from, in which precision, and that a kill loses nothing."""

import math
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import CONFIG, make_prior
from torch import Tensor

from lpvq import InputError, LatentCodes, PixelCNN, TrainConfig, runtime, train_prior
from lpvq.files import checksum, read_tensors
from lpvq.training import trainer
from lpvq.training.losses import grid_nll
from processes import in_new_process

FLOAT32 = replace(CONFIG, precision="float32")


def test_the_prior_learns_that_rows_repeat(codes: LatentCodes) -> None:
    model = make_prior()
    history = train_prior(model, codes, replace(CONFIG, steps=150, learning_rate=1e-2), codes)
    # Four first codes of log 8 nats each are all that cannot be predicted; they are over-fitted a little.
    assert grid_nll(model, codes).mean() < 1.2 * 4 * math.log(8)
    assert [record["step"] for record in history] == [50, 100, 150]


def test_both_losses_are_nats_per_code(codes: LatentCodes) -> None:
    model = make_prior()
    before = grid_nll(model, codes).mean().item() / 20
    once = replace(FLOAT32, steps=1, validations=1, batch_size=96)
    [record] = train_prior(model, codes, once, codes[:50])
    assert record["train_loss"] == pytest.approx(before, rel=1e-5)
    assert record["valid_loss"] == pytest.approx(grid_nll(model, codes[:50]).mean().item() / 20, rel=1e-5)


def test_the_prior_learns_what_the_labels_say(codes: LatentCodes) -> None:
    # Every grid is full of its label: with the label, nothing is left to predict.
    full = replace(codes, codes=codes.labels[:, None, None].expand(96, 4, 5).contiguous())
    model = make_prior()
    train_prior(model, full, replace(CONFIG, steps=60, learning_rate=3e-2))
    told = grid_nll(model, full).mean()
    told_wrong = grid_nll(model, replace(full, labels=(full.labels + 1) % 3)).mean()
    assert told < 0.5 * math.log(3) < math.log(3) < told_wrong


class Watched(PixelCNN):
    """Notes which grids it is shown, by their first code, while it is trained and while it is not."""

    def nll(self, codes: Tensor, labels: Tensor | None = None, coarse: Tensor | None = None) -> Tensor:
        seen = self.__dict__.setdefault("seen", {True: [], False: []})
        seen[self.training] += codes[:, 0, 0].tolist()
        return super().nll(codes, labels)


def test_grids_are_learned_from_or_validated_on_and_never_both(codes: LatentCodes) -> None:
    numbered = torch.arange(96).view(96, 1, 1).expand(96, 4, 5).contiguous()
    data = LatentCodes(numbered, codes.labels, 96, codes.class_names, "numbers", "")
    model = Watched(96, (4, 5), num_blocks=1, hidden_channels=4, num_classes=3)
    train_prior(model, data[:64], TrainConfig(steps=8, batch_size=16, validations=2), data[64:])
    assert sorted(model.seen[True]) == sorted([*range(64)] * 2)  # 8 batches of 16 are two epochs
    assert model.seen[False] == [*range(64, 96)] * 2


# Precision.


def seen_precisions(model: PixelCNN) -> list[torch.dtype]:
    """The type that the blocks compute in, at each training step from now on."""
    seen: list[torch.dtype] = []

    def note(block: torch.nn.Module, _: object, output: tuple[Tensor, Tensor]) -> None:
        if block.training:
            seen.append(output[1].dtype)

    model.blocks[0].register_forward_hook(note)
    return seen


@pytest.mark.parametrize("fast", [True, False])
def test_bfloat16_is_used_where_it_is_fast_and_float32_elsewhere(
    codes: LatentCodes, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    monkeypatch.setattr(runtime, "_fast_at_bfloat16", lambda kind: fast)
    seen = seen_precisions(model := make_prior())
    history = train_prior(model, codes, replace(CONFIG, steps=2, validations=1))
    assert seen == [torch.bfloat16 if fast else torch.float32] * 2
    assert [record["precision"] for record in history] == ["bfloat16" if fast else "float32"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("wish", ["bfloat16", "float32"])
def test_a_precision_that_is_asked_for_is_used(codes: LatentCodes, wish: str) -> None:
    seen = seen_precisions(model := make_prior())
    train_prior(model, codes, replace(CONFIG, steps=2, validations=1, precision=wish))
    assert seen == [getattr(torch, wish)] * 2


def test_the_likelihood_in_bfloat16_is_that_in_float32(codes: LatentCodes) -> None:
    nats = {}
    for precision in ("bfloat16", "float32"):
        model = make_prior()
        config = replace(CONFIG, steps=150, learning_rate=1e-2, precision=precision)
        train_prior(model, codes, config, codes)
        nats[precision] = grid_nll(model, codes).mean().item()
    # 96 grids, two paths of training that rounding drives apart: a few per cent, not half a per cent as over real sets.
    assert nats["bfloat16"] == pytest.approx(nats["float32"], rel=0.05)


@pytest.mark.parametrize(("fast", "kind"), [(True, "bfloat16"), (False, "float32")])
def test_a_run_goes_on_in_the_precision_it_began_in_and_says_so(
    codes: LatentCodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool, kind: str
) -> None:
    monkeypatch.setattr(runtime, "_fast_at_bfloat16", lambda _: fast)
    whole = make_prior()
    train_prior(whole, codes, CONFIG, codes)
    train_prior(make_prior(), codes, CONFIG, codes, tmp_path / "c", until=6)
    monkeypatch.setattr(runtime, "_fast_at_bfloat16", lambda _: not fast)
    seen = seen_precisions(model := make_prior())
    history = train_prior(model, codes, CONFIG, codes, tmp_path / "c")
    assert seen == [getattr(torch, kind)] * 6
    assert [record["precision"] for record in history] == [kind] * 3
    assert checksum(model) == checksum(whole)


@pytest.mark.parametrize(("began", "wish"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_another_precision_than_a_run_began_in_is_refused_by_name(
    codes: LatentCodes, tmp_path: Path, began: str, wish: str
) -> None:
    train_prior(make_prior(), codes, replace(CONFIG, precision=began), codes, tmp_path / "c", until=6)
    content, model = (tmp_path / "c").read_bytes(), make_prior()
    before = checksum(model)
    with pytest.raises(InputError, match=rf"c was trained in {began}, not in {wish}: delete it to start anew"):
        train_prior(model, codes, replace(CONFIG, precision=wish), codes, tmp_path / "c")
    assert checksum(model) == before and (tmp_path / "c").read_bytes() == content
    for same in ("auto", began):
        history = train_prior(make_prior(), codes, replace(CONFIG, precision=same), codes, tmp_path / "c")
        assert {record["precision"] for record in history} == {began}


# Compiling.


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Callable]:
    """What is compiled; here, it is noted and left as it is."""
    noted: list[Callable] = []

    def note(function: Callable) -> Callable:
        noted.append(function)
        return function

    monkeypatch.setattr("lpvq.training.prior.compiled", note)
    return noted


def test_compiling_is_asked_for_and_changes_nothing(codes: LatentCodes, compilations: list[Callable]) -> None:
    sums = set()
    for compile in (False, True):
        train_prior(model := make_prior(), codes, replace(CONFIG, compile=compile))
        assert len(compilations) == compile
        sums.add(checksum(model))
    assert len(sums) == 1


@pytest.mark.parametrize("began", [True, False])
def test_a_run_goes_on_with_or_without_compiling(
    codes: LatentCodes, compilations: list[Callable], tmp_path: Path, began: bool
) -> None:
    train_prior(make_prior(), codes, replace(CONFIG, compile=began), codes, tmp_path / "c", until=5)
    train_prior(model := make_prior(), codes, replace(CONFIG, compile=not began), codes, tmp_path / "c")
    assert len(compilations) == 1
    train_prior(whole := make_prior(), codes, CONFIG, codes)
    assert checksum(model) == checksum(whole)


# What does not fit, and kills.


@pytest.mark.parametrize("as_validation", [False, True])
@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (lambda: PixelCNN(9, (4, 5), 1, hidden_channels=4), "codebook of 8, the prior has latent_dim=9"),
        (lambda: PixelCNN(8, (5, 4), 1, hidden_channels=4), r"grid of \(4, 5\), the prior has image_size=\(5, 4\)"),
        (lambda: PixelCNN(8, (4, 5), 1, hidden_channels=4, num_classes=2), "labels up to 2, .* has num_classes=2"),
    ],
)
def test_codes_that_do_not_fit_the_prior_are_refused_by_name(
    prior: Callable[[], PixelCNN], message: str, as_validation: bool, codes: LatentCodes
) -> None:
    model = prior()
    fitting = LatentCodes(
        torch.zeros(4, *model.image_size, dtype=torch.int64), torch.zeros(4).long(), model.latent_dim, ("a",), "x", ""
    )
    steps: list[int] = []
    with pytest.raises(InputError, match=message):
        sets = (fitting, CONFIG, codes) if as_validation else (codes, CONFIG)
        train_prior(model, *sets, after_step=lambda step, _: steps.append(step))
    assert not steps


def test_empty_sets_are_refused(codes: LatentCodes) -> None:
    with pytest.raises(InputError):
        train_prior(make_prior(), codes[:0], CONFIG)
    with pytest.raises(InputError):
        train_prior(make_prior(), codes, CONFIG, codes[:0])


def train_and_die(checkpoint: Path | None, kill_at: int) -> tuple[str, list[Any]]:
    """Train a prior on repeating rows, keeping each step, and be killed once ``kill_at`` is kept."""
    write = trainer.write_checkpoint

    def write_and_die(path: Path, state: dict[str, Any]) -> None:
        write(path, state)
        if state["step"] == kill_at:
            signal.raise_signal(signal.SIGKILL)

    trainer.write_checkpoint = write_and_die
    rows = torch.randint(8, (64, 4, 1), generator=torch.Generator().manual_seed(0)).expand(64, 4, 5).contiguous()
    data = LatentCodes(rows, torch.arange(64) % 3, 8, ("a", "b", "c"), "rows", "")
    model = make_prior()
    history = train_prior(model, data, FLOAT32, data[:20], checkpoint, checkpoint_seconds=0)
    return checksum(model), [(record["step"], record["train_loss"], record["valid_loss"]) for record in history]


def test_killed_and_resumed_training_ends_bit_for_bit_where_an_uninterrupted_one_ends(tmp_path: Path) -> None:
    uninterrupted = in_new_process(train_and_die, None, -1)
    assert uninterrupted.status == 0, uninterrupted.err
    for kill_at in (3, 4, 9):  # in the middle of an epoch, with a validation, and before the next one
        assert in_new_process(train_and_die, tmp_path / "c", kill_at).status == -signal.SIGKILL
    assert read_tensors(tmp_path / "c", checked=True)["step"] == 9
    for _ in range(2):  # and a finished one is not trained again
        assert in_new_process(train_and_die, tmp_path / "c", -1).result == uninterrupted.result
