"""Training a VQ-VAE: what it minimises, what it learns from, and that a kill loses nothing."""

import signal
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import CONFIG, make_vqvae
from torch import Tensor

from lpvq import VQVAE, InputError, train_vqvae
from lpvq.data.images import ImageData
from lpvq.data.loading import load
from lpvq.files import checksum
from lpvq.models.vqvae import VQVAEOutput
from lpvq.training import trainer
from lpvq.training.losses import reconstruction_error
from lpvq.training.trainer import History
from processes import in_new_process


def test_the_vqvae_learns_to_reconstruct(smileys: ImageData) -> None:
    model = make_vqvae()
    before = reconstruction_error(model, smileys)
    history = train_vqvae(model, smileys, replace(CONFIG, steps=150, learning_rate=1e-2), smileys)
    after = reconstruction_error(model, smileys)
    assert after < 0.5 * before
    assert after / smileys.variance() == pytest.approx(min(record["valid_loss"] for record in history))
    assert not model.training


def test_the_loss_is_the_error_over_the_variance_and_the_quantizers(smileys: ImageData) -> None:
    model = make_vqvae()
    train_vqvae(model, smileys, CONFIG)  # or the codebook would start from the batch
    model.quantizer.commitment_weight = 1000.0
    with torch.no_grad():
        output = deepcopy(model).train()(smileys.floats())
    variance = smileys.floats().double().var(correction=0).item()
    error, quantizer = output.reconstruction_loss.item() / variance, output.quantizer_loss.item()
    assert quantizer > 0.1 * error and variance < 0.5, "neither must be too small to be missed"
    once = replace(CONFIG, steps=1, validations=1, batch_size=96, precision="float32")
    [record] = train_vqvae(model, smileys, once)
    assert record["train_loss"] == pytest.approx(error + quantizer, rel=1e-4)


def test_the_quantizers_loss_teaches_the_encoder(smileys: ImageData) -> None:
    # With a heavy weight on it, vectors stay near their codes.
    distances = []
    for weight in (0.0, 10.0):
        torch.manual_seed(0)
        model = VQVAE(3, 8, 4, 8, quantizer={"kind": "ema", "commitment_weight": weight})
        train_vqvae(model, smileys, replace(CONFIG, steps=60, learning_rate=1e-2))
        with torch.no_grad():
            vectors = model.encoder(smileys.floats())
            distances.append((vectors - model.quantizer.lookup(model.quantizer.assign(vectors))).square().mean().item())
    assert distances[1] < 0.5 * distances[0]


def test_both_losses_are_measured_by_the_variance_of_the_images_to_learn_from(smileys: ImageData) -> None:
    pale = replace(smileys, images=smileys.images // 4 + 96)
    history = train_vqvae(model := make_vqvae(), smileys, replace(CONFIG, validations=1), pale)
    assert history[0]["valid_loss"] == pytest.approx(reconstruction_error(model, pale) / smileys.variance())


class Watched(VQVAE):
    """Notes which images it is shown, by the value of their first pixel, while it is trained and while it is not."""

    def forward(self, images: Tensor) -> VQVAEOutput:
        seen = self.__dict__.setdefault("seen", {True: [], False: []})
        seen[self.training] += (images[:, 0, 0, 0] * 255).round().int().tolist()
        return super().forward(images)


def test_images_are_learned_from_or_validated_on_and_never_both(smileys: ImageData) -> None:
    images = smileys.images.clone()
    images[:, 0, 0, 0] = torch.arange(96)
    numbered = replace(smileys, images=images)
    model = Watched(3, 8, 4, 8)
    train_vqvae(model, numbered[:64], replace(CONFIG, steps=8, validations=2), numbered[64:])
    assert sorted(model.seen[True]) == sorted([*range(64)] * 2)  # 8 batches of 16 are two epochs
    assert model.seen[False] == [*range(64, 96)] * 2


def test_the_best_weights_are_those_of_the_best_validation(smileys: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = []

    def worse_each_time(model: VQVAE, data: ImageData) -> float:
        assert data is smileys
        judged.append(checksum(model))
        return float(len(judged))

    monkeypatch.setattr("lpvq.training.vqvae.reconstruction_error", worse_each_time)
    train_vqvae(model := make_vqvae(), smileys, CONFIG, smileys)
    assert len(set(judged)) == 3
    assert checksum(model) == judged[0]


def test_quantizer_and_loss_stay_in_float32_beside_bfloat16(smileys: ImageData) -> None:
    model = make_vqvae()
    seen = []
    model.quantizer.register_forward_hook(lambda _, given, output: seen.append((given[0].dtype, output.vectors.dtype)))
    model.register_forward_hook(lambda *call: seen.append(call[-1].reconstruction_loss.dtype))
    [record] = train_vqvae(model, smileys, replace(CONFIG, steps=1, validations=1, precision="bfloat16"))
    assert seen[:2] == [(torch.bfloat16, torch.float32), torch.float32]
    assert record["precision"] == "bfloat16"


def test_a_vqvae_is_not_compiled(smileys: ImageData) -> None:
    with pytest.raises(InputError, match="a VQ-VAE cannot be compiled"):
        train_vqvae(make_vqvae(), smileys, replace(CONFIG, compile=True))


def test_a_vqvae_that_diverges_names_the_step(smileys: ImageData, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"VQ-VAE: at step \d+ of 12, .*with a learning rate below 1e\+30"):
        train_vqvae(make_vqvae(), smileys, replace(CONFIG, learning_rate=1e30), checkpoint=tmp_path / "c")


def test_a_vqvae_that_diverges_in_the_last_step_is_not_kept(smileys: ImageData) -> None:
    with pytest.raises(InputError, match=r"VQ-VAE: at step 1 of 1, .*with a learning rate below 1e\+30"):
        train_vqvae(make_vqvae(), smileys, replace(CONFIG, steps=1, learning_rate=1e30), smileys)


def grey(data: ImageData) -> ImageData:
    return replace(data, images=data.images[:, :1].contiguous())


@pytest.mark.parametrize(
    ("learn", "validate", "message"),
    [
        (grey, None, r"expected images of shape \(B, 3, H, W\), got \(1, 1, 16, 16\)"),
        (lambda data: data, grey, r"expected images of shape \(B, 3, H, W\), got \(1, 1, 16, 16\)"),
        (lambda data: data, lambda _: load("smileys", limit=3, size=18), "multiples of 4, got 18 × 18"),
        (lambda data: replace(data, images=torch.full_like(data.images, 128)), None, "nothing to learn"),
        (lambda data: data[:0], None, None),
        (lambda data: data, lambda data: data[:0], None),
    ],
)
def test_images_that_cannot_be_trained_on_are_refused_before_anything_is_trained(
    learn: Callable, validate: Callable | None, message: str | None, smileys: ImageData, tmp_path: Path
) -> None:
    steps: list[int] = []
    model = make_vqvae()
    before = checksum(model)
    with pytest.raises(InputError, match=message) as refused:
        train_vqvae(
            model,
            learn(smileys),
            CONFIG,
            None if validate is None else validate(smileys),
            tmp_path / "c",
            after_step=lambda step, _: steps.append(step),
        )
    assert "learning rate" not in str(refused.value)
    assert not steps and not (tmp_path / "c").exists()
    assert checksum(model) == before and model.training


def test_a_set_smaller_than_a_batch_trains(smileys: ImageData) -> None:
    assert len(train_vqvae(make_vqvae(), smileys[:3], CONFIG)) == 3


def train_and_die(checkpoint: Path | None, kill_at: int) -> tuple[str, list[Any]]:
    """Train a VQ-VAE on smileys, keeping each step, and be killed once ``kill_at`` is kept."""
    write = trainer.write_checkpoint

    def write_and_die(path: Path, state: dict[str, Any]) -> None:
        write(path, state)
        if state["step"] == kill_at:
            signal.raise_signal(signal.SIGKILL)

    trainer.write_checkpoint = write_and_die
    data = load("smileys", limit=64, size=16)
    model = make_vqvae()
    config = replace(CONFIG, precision="float32")  # which each process would find out for itself
    history: History = train_vqvae(model, data, config, data, checkpoint, checkpoint_seconds=0)
    return checksum(model), [(record["step"], record["train_loss"], record["valid_loss"]) for record in history]


def test_killed_and_resumed_training_ends_bit_for_bit_where_an_uninterrupted_one_ends(tmp_path: Path) -> None:
    uninterrupted = in_new_process(train_and_die, None, -1)
    assert uninterrupted.status == 0, uninterrupted.err
    for kill_at in (3, 4, 9):  # in the middle of an epoch, with a validation, and before the next one
        assert in_new_process(train_and_die, tmp_path / "c", kill_at).status == -signal.SIGKILL
    for _ in range(2):  # and a finished one is not trained again
        assert in_new_process(train_and_die, tmp_path / "c", -1).result == uninterrupted.result
