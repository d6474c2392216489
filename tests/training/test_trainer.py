"""Training: it learns, it resumes bit for bit, and it stops with a clear word when it must."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lpvq import VQVAE, InputError, LatentCodes, PixelCNN, TrainConfig, runtime, train_prior, train_vqvae
from lpvq.data.images import ImageData
from lpvq.files import checksum, read_tensors, write_tensors
from lpvq.training.losses import grid_nll, reconstruction_error
from lpvq.training.trainer import Trainer

CONFIG = TrainConfig(steps=12, batch_size=16, validations=3)


def make_vqvae() -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(in_channels=3, num_codes=8, code_dim=4, hidden_channels=8)


def make_prior() -> PixelCNN:
    torch.manual_seed(0)
    return PixelCNN(8, (4, 5), num_blocks=2, hidden_channels=8, num_classes=3)


def test_the_vqvae_learns_to_reconstruct(smileys: ImageData) -> None:
    model = make_vqvae()
    before = reconstruction_error(model, smileys)
    history = train_vqvae(model, smileys, replace(CONFIG, steps=150, learning_rate=1e-2), smileys)
    after = reconstruction_error(model, smileys)
    assert after < 0.5 * before
    assert after / smileys.variance() == pytest.approx(min(record["valid_loss"] for record in history))
    assert not model.training


def test_the_prior_learns_that_rows_repeat(codes: LatentCodes) -> None:
    model = make_prior()
    history = train_prior(model, codes, replace(CONFIG, steps=150, learning_rate=1e-2), codes)
    # Four first codes of log 8 nats each are all that cannot be predicted; they are over-fitted a little.
    assert grid_nll(model, codes).mean() < 1.2 * 4 * math.log(8)
    assert history[-1]["step"] == 150
    assert [record["step"] for record in history][:2] == [50, 100]


def seen_precisions(model: PixelCNN, monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The type that the blocks compute in, at each training step from now on."""
    seen: list[torch.dtype] = []
    model.blocks[0].register_forward_hook(
        lambda block, _, output: seen.append(output[1].dtype) if block.training else 0
    )
    return seen


@pytest.mark.parametrize("fast", [True, False])
def test_bfloat16_is_used_where_it_is_fast_and_float32_elsewhere(
    codes: LatentCodes, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    monkeypatch.setattr(runtime, "_fast_at_bfloat16", lambda kind: fast)
    model = make_prior()
    seen = seen_precisions(model, monkeypatch)
    train_prior(model, codes, replace(CONFIG, steps=2, validations=1))
    assert seen == [torch.bfloat16 if fast else torch.float32] * 2
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("wish", ["bfloat16", "float32"])
def test_a_precision_that_is_asked_for_is_used(codes: LatentCodes, monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    model = make_prior()
    seen = seen_precisions(model, monkeypatch)
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


def test_quantizer_and_loss_stay_in_float32_beside_bfloat16(smileys: ImageData) -> None:
    model = make_vqvae()
    seen = []
    model.quantizer.register_forward_hook(lambda _, given, output: seen.append((given[0].dtype, output.vectors.dtype)))
    model.register_forward_hook(lambda *call: seen.append(call[-1].reconstruction_loss.dtype))
    train_vqvae(model, smileys, replace(CONFIG, steps=1, validations=1, precision="bfloat16"))
    assert seen[:2] == [(torch.bfloat16, torch.float32), torch.float32]


def test_a_run_goes_on_in_the_precision_it_began_in(
    codes: LatentCodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_prior()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runtime, "_fast_at_bfloat16", lambda kind: True)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_validate", interrupt)
        train_prior(model, codes, CONFIG, checkpoint=tmp_path / "c", checkpoint_seconds=0)
    monkeypatch.setattr(runtime, "_fast_at_bfloat16", lambda kind: False)
    model = make_prior()
    seen = seen_precisions(model, monkeypatch)
    train_prior(model, codes, CONFIG, checkpoint=tmp_path / "c")
    assert set(seen) == {torch.bfloat16} and 0 < len(seen) < 12


def test_compiling_is_asked_for_and_changes_nothing(codes: LatentCodes, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def noted(function: Callable) -> Callable:
        compiled.append(function)
        return function

    monkeypatch.setattr("lpvq.training.prior.compiled", noted)
    for compile in (False, True):
        train_prior(make_prior(), codes, replace(CONFIG, compile=compile))
        assert len(compiled) == compile


def test_a_vqvae_is_not_compiled(smileys: ImageData) -> None:
    with pytest.raises(InputError, match="a VQ-VAE cannot be compiled"):
        train_vqvae(make_vqvae(), smileys, replace(CONFIG, compile=True))


def test_a_precision_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="precision must be one of auto, float32, bfloat16, got 'half'"):
        replace(CONFIG, precision="half")


def test_the_history_is_plain_json(codes: LatentCodes) -> None:
    history = train_prior(make_prior(), codes, CONFIG, codes)
    assert json.loads(json.dumps(history)) == history
    assert [record["step"] for record in history] == [4, 8, 12]


def test_the_best_weights_are_kept_not_the_last(smileys: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = []

    def worse_each_time(model: VQVAE, data: ImageData) -> float:
        judged.append(checksum(model))
        return float(len(judged))

    monkeypatch.setattr("lpvq.training.vqvae.reconstruction_error", worse_each_time)
    train_vqvae(model := make_vqvae(), smileys, CONFIG, smileys)
    assert len(set(judged)) == 3
    assert checksum(model) == judged[0]


def test_without_a_validation_set_the_last_weights_are_kept(codes: LatentCodes) -> None:
    history = train_prior(model := make_prior(), codes, CONFIG)
    assert all(math.isnan(record["valid_loss"]) for record in history)
    other = make_prior()
    train_prior(other, codes, replace(CONFIG, validations=1))
    assert checksum(model) == checksum(other)


def test_the_rate_rises_and_falls_to_zero() -> None:
    config = TrainConfig(steps=100, learning_rate=1.0, warmup=0.1)
    rates = [config.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == 1 and rates[10] == 1
    assert rates == sorted(rates[:10]) + sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 1e-3


def test_each_epoch_sees_every_item_once_in_its_own_order(codes: LatentCodes) -> None:
    class Counting(PixelCNN):
        seen: list[int]

        def nll(self, codes: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
            self.seen += codes[:, 0, 0].tolist()
            return super().nll(codes, labels)

    numbered = torch.arange(96).view(96, 1, 1).expand(96, 4, 5).contiguous()
    data = LatentCodes(numbered, codes.labels, 96, codes.class_names, "numbers", "")
    model = Counting(96, (4, 5), num_blocks=1, hidden_channels=4, num_classes=3)
    model.seen = []
    train_prior(model, data, TrainConfig(steps=12, batch_size=16))
    first, second = model.seen[:96], model.seen[96:]
    assert sorted(first) == sorted(second) == list(range(96))
    assert first != second and first != list(range(96))


def test_training_leaves_the_global_generator_alone(codes: LatentCodes) -> None:
    before = torch.random.get_rng_state()
    train_prior(make_prior(), codes, CONFIG)
    make_prior()
    torch.manual_seed(0)
    model = make_prior()
    torch.random.set_rng_state(before)
    train_prior(model, codes, CONFIG)
    assert torch.equal(torch.random.get_rng_state(), before)


RUN = """
import sys, torch
from lpvq import *
from lpvq.data.loading import load
from lpvq.files import checksum, read_tensors, write_tensors
from lpvq.training.trainer import Trainer

kind, checkpoint, kill_at = sys.argv[1], sys.argv[2] or None, int(sys.argv[3])
save = Trainer._save
def save_and_kill(run, path):
    save(run, path)
    if run.step == kill_at:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
Trainer._save = save_and_kill
torch.manual_seed(0)
config = TrainConfig(steps=12, batch_size=16, validations=3)
data = load("smileys", limit=64, size=16)
vqvae = VQVAE(3, 8, 4, 8)
if kind == "vqvae":
    history = train_vqvae(vqvae, data, config, data, checkpoint, checkpoint_seconds=0)
    print(checksum(vqvae))
else:
    codes = extract_codes(vqvae, data)
    prior = PixelCNN(8, 4, num_blocks=2, hidden_channels=8, num_classes=3)
    history = train_prior(prior, codes, config, codes, checkpoint, checkpoint_seconds=0)
    print(checksum(prior))
print([(record["step"], record["train_loss"], record["valid_loss"]) for record in history])
"""


def run_training(kind: str, checkpoint: Path | str, kill_at: int = -1) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, kind, str(checkpoint), str(kill_at)], capture_output=True, text=True
    )


@pytest.mark.parametrize("kind", ["vqvae", "prior"])
def test_killed_and_resumed_training_ends_bit_for_bit_where_an_uninterrupted_one_ends(
    kind: str, tmp_path: Path
) -> None:
    uninterrupted = run_training(kind, "")
    assert uninterrupted.returncode == 0, uninterrupted.stderr
    for kill_at in (3, 9):  # in the middle of an epoch, before and after a validation
        assert run_training(kind, tmp_path / "c", kill_at).returncode == -signal.SIGKILL
    assert run_training(kind, tmp_path / "c").stdout == uninterrupted.stdout
    assert run_training(kind, tmp_path / "c").stdout == uninterrupted.stdout  # and a finished one is not trained again


def test_ctrl_c_finishes_the_step_and_keeps_it(codes: LatentCodes, tmp_path: Path) -> None:
    class Interrupted(PixelCNN):
        calls = 0

        def nll(self, codes: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
            self.calls += 1
            if self.calls == 5:
                os.kill(os.getpid(), signal.SIGINT)
            return super().nll(codes, labels)

    before = signal.getsignal(signal.SIGINT)
    torch.manual_seed(0)
    model = Interrupted(8, (4, 5), num_blocks=2, hidden_channels=8, num_classes=3)
    with pytest.raises(KeyboardInterrupt):
        train_prior(model, codes, CONFIG, checkpoint=tmp_path / "c")
    assert read_tensors(tmp_path / "c", checked=True)["step"] == 5
    train_prior(model, codes, CONFIG, checkpoint=tmp_path / "c")
    assert model.calls == 12
    uninterrupted = make_prior()
    train_prior(uninterrupted, codes, CONFIG)
    assert checksum(model) == checksum(uninterrupted)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_checkpoint_of_another_run_is_refused_by_name(codes: LatentCodes, tmp_path: Path) -> None:
    path = tmp_path / "c"
    train_prior(make_prior(), codes, CONFIG, checkpoint=path)
    with pytest.raises(InputError, match=r"belongs to another run \(learning_rate was 0.001, is 0.002\)"):
        train_prior(make_prior(), codes, replace(CONFIG, learning_rate=0.002), checkpoint=path)
    other = replace(codes, codes=codes.codes.flip(0))
    with pytest.raises(InputError, match="belongs to a training on other data"):
        train_prior(make_prior(), other, CONFIG, checkpoint=path)
    with pytest.raises(InputError, match="belongs to a training on other data"):
        train_prior(make_prior(), replace(codes, labels=codes.labels.flip(0)), CONFIG, checkpoint=path)
    with pytest.raises(InputError, match="belongs to a training on other data"):
        train_prior(make_prior(), codes, CONFIG, codes, checkpoint=path)
    with pytest.raises(InputError, match="num_blocks was 2, is 3"):
        train_prior(PixelCNN(8, (4, 5), 3, hidden_channels=8, num_classes=3), codes, CONFIG, checkpoint=path)


def test_a_damaged_checkpoint_is_refused_and_left_where_it_is(codes: LatentCodes, tmp_path: Path) -> None:
    path = tmp_path / "c"
    train_prior(make_prior(), codes, CONFIG, checkpoint=path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is damaged"):
        train_prior(make_prior(), codes, CONFIG, checkpoint=path)
    assert path.read_bytes() == content[: len(content) // 2]
    for foreign in ({"a": 1}, {"identity": 5}, [1]):
        write_tensors(path, foreign, checked=True)
        with pytest.raises(InputError, match="is no checkpoint"):
            train_prior(make_prior(), codes, CONFIG, checkpoint=path)


def test_a_loss_that_is_not_finite_stops_and_names_the_step_and_the_checkpoint(
    codes: LatentCodes, tmp_path: Path
) -> None:
    class Diverging(PixelCNN):
        calls = 0

        def nll(self, codes: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
            self.calls += 1
            return super().nll(codes, labels) * (math.nan if self.calls == 7 else 1)

    path = tmp_path / "c"
    model = Diverging(8, (4, 5), num_blocks=1, hidden_channels=4, num_classes=3)
    with pytest.raises(InputError, match=rf"at step 6 of 12, the loss is nan .*last good checkpoint is {path}"):
        train_prior(model, codes, CONFIG, checkpoint=path, checkpoint_seconds=0)
    assert read_tensors(path, checked=True)["step"] == 6
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    with pytest.raises(InputError, match="no checkpoint was kept"):
        model.calls = 0
        train_prior(model, codes, CONFIG)


def test_a_vqvae_that_diverges_names_the_step_too(smileys: ImageData, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"VQ-VAE: at step \d+ of 12, .*with a learning rate below 1e\+30"):
        train_vqvae(make_vqvae(), smileys, replace(CONFIG, learning_rate=1e30), checkpoint=tmp_path / "c")


def test_codes_that_do_not_fit_the_prior_are_refused_by_name(codes: LatentCodes) -> None:
    for prior, message in [
        (PixelCNN(9, (4, 5), 1, hidden_channels=4), "codebook of 8, the prior has latent_dim=9"),
        (PixelCNN(8, (5, 4), 1, hidden_channels=4), r"grid of \(4, 5\), the prior has image_size=\(5, 4\)"),
        (PixelCNN(8, (4, 5), 1, hidden_channels=4, num_classes=2), "labels up to 2, the prior has num_classes=2"),
    ]:
        with pytest.raises(InputError, match=message):
            train_prior(prior, codes, CONFIG)


def test_images_without_any_variance_are_refused(smileys: ImageData) -> None:
    grey = replace(smileys, images=torch.full_like(smileys.images, 128))
    with pytest.raises(InputError, match="nothing to learn"):
        train_vqvae(make_vqvae(), grey, CONFIG)


def test_the_variance_is_that_of_images_between_0_and_1(smileys: ImageData) -> None:
    assert smileys.variance() == pytest.approx(smileys.floats().double().var(correction=0).item(), rel=1e-6)


@pytest.mark.parametrize(
    "settings", [{"steps": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"learning_rate": math.nan}]
)
def test_settings_that_cannot_train_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        replace(CONFIG, **settings)


def test_a_set_smaller_than_a_batch_trains(smileys: ImageData) -> None:
    assert len(train_vqvae(make_vqvae(), smileys[:3], CONFIG)) == 3


def test_a_training_in_parts_needs_a_checkpoint(codes: LatentCodes) -> None:
    with pytest.raises(InputError, match="stops early needs a checkpoint"):
        train_prior(make_prior(), codes, CONFIG, until=3)
