"""The classifier: its tasks, that it learns, and that it predicts the same in any batch."""

import pytest
import torch

from lpvq import InputError
from lpvq.data.images import ImageData
from lpvq.data.loading import load
from lpvq.data.smileys import FACTORS
from lpvq.evaluation import classifier
from lpvq.evaluation.classifier import Classifier, targets_of, tasks_of, train_classifier
from lpvq.training.trainer import TrainConfig


@pytest.fixture
def plain(smileys: ImageData) -> ImageData:
    """The same images without their factors, as other sets come."""
    return ImageData(smileys.images, smileys.labels, smileys.class_names, "plain")


def test_all_factors_of_smileys_are_asked_and_the_class_of_others(smileys: ImageData, plain: ImageData) -> None:
    assert tasks_of(smileys) == {name: len(values) for name, values in FACTORS.items()}
    assert tasks_of(plain) == {"label": 3}
    assert torch.equal(targets_of(plain)["label"], plain.labels)
    assert torch.equal(targets_of(smileys)["mouth"], smileys.labels)
    assert all(torch.equal(targets_of(smileys)[name], smileys.factors[name]) for name in FACTORS)
    assert Classifier(3, tasks_of(smileys)).class_task == "mouth"
    assert Classifier(3, tasks_of(plain)).class_task == "label"


def test_the_loss_is_the_sum_of_the_cross_entropies(smileys: ImageData) -> None:
    model = Classifier(3, tasks_of(smileys), width=8)
    images, targets = smileys.floats(), targets_of(smileys)
    expected = sum(
        -model(images)[name].log_softmax(1)[torch.arange(len(images)), targets[name]].mean() for name in FACTORS
    )
    torch.testing.assert_close(model.loss(images, targets), expected)


def test_it_learns_to_predict(tmp_path) -> None:
    data, unseen = load("smileys", limit=600), load("smileys", "test", limit=200)
    model = Classifier(3, tasks_of(data), width=32)
    config = TrainConfig(steps=150, batch_size=64, learning_rate=4e-3, validations=3)
    history = train_classifier(model, data[:500], config, data[500:], tmp_path / "checkpoint")
    assert history[-1]["valid_loss"] < history[0]["valid_loss"]
    predictions = model.predict(unseen.floats())
    shares = {name: (predictions[name] == unseen.factors[name]).float().mean().item() for name in FACTORS}
    assert shares["background"] > 0.9 and shares["skin"] > 0.9  # by colour; places and mouths take longer
    assert all(share > 1 / len(FACTORS[name]) for name, share in shares.items())


def test_the_validation_loss_is_that_of_the_whole_set(smileys: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpvq.data.images._PIXELS_AT_ONCE", 16 * 16 * 7)  # batches of 7, the last one smaller
    model = Classifier(3, tasks_of(smileys), width=8)
    history = train_classifier(model, smileys, TrainConfig(steps=2, batch_size=8, validations=1), smileys)
    with torch.inference_mode():
        expected = model.loss(smileys.floats(), targets_of(smileys)).item()
    assert history[-1]["valid_loss"] == pytest.approx(expected, rel=1e-4)


def test_batches_make_no_difference(smileys: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Classifier(3, tasks_of(smileys), width=8).eval()
    images = smileys.floats()
    features, predictions = model.features(images), model.predict(images)
    assert features.shape == (96, 8) and features.dtype == torch.float32
    monkeypatch.setattr(classifier, "_PIXELS_AT_ONCE", 16 * 16 * 5)
    torch.testing.assert_close(model.features(images), features)
    assert all(torch.equal(model.predict(images)[name], answer) for name, answer in predictions.items())


def test_large_images_are_shrunk_first(plain: ImageData) -> None:
    model = Classifier(3, {"label": 3}, width=8).eval()
    images = torch.rand(2, 3, 32, 32)
    enlarged = images.repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(model.features(enlarged), model.features(images))


def test_what_cannot_be_classified_or_trained_is_refused(smileys: ImageData) -> None:
    model = Classifier(3, {"mouth": 3})
    with pytest.raises(InputError, match=r"expected images of shape \(B, 3, H, W\), got \(2, 1, 8, 8\)"):
        model.predict(torch.rand(2, 1, 8, 8))
    with pytest.raises(InputError, match="cannot be compiled"):
        train_classifier(model, smileys, TrainConfig(steps=1, compile=True))
    plain_data = ImageData(smileys.images, smileys.labels, smileys.class_names, "plain")
    with pytest.raises(InputError, match=r"expected images with the tasks {'mouth': 3}, got {'label': 3}"):
        train_classifier(model, plain_data, TrainConfig(steps=1))


def test_of_no_images_there_is_nothing_to_say(smileys: ImageData) -> None:
    model = Classifier(3, {"mouth": 3}, width=8)
    assert (
        model.features(smileys.floats()[:0]).shape == (0, 8)
        and model.predict(smileys.floats()[:0])["mouth"].numel() == 0
    )
