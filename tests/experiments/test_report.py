"""The report: every part measured once, kept, measured again when a model changes, and printed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lpvq import InputError
from lpvq.experiments import report, tables
from lpvq.experiments.report import Report
from lpvq.experiments.workspace import Workspace

PICTURES = {
    "codes": ["evaluation_codes.png"],
    "prior": ["evaluation_prior.png"],
    "samples": ["evaluation_samples.png", "evaluation_neighbours.png"],
    "truth": ["evaluation_truth.png"],
}


@pytest.fixture
def workspace(tmp_path: Path, in_a_moment: None) -> Workspace:
    return Workspace(output=tmp_path)


def test_all_parts_are_measured_kept_drawn_and_printed(workspace: Workspace) -> None:
    measured = Report(workspace)
    assert measured.parts == tuple(PICTURES)
    for part in measured.parts:
        figures = measured.measure(part)
        kept = json.loads(workspace.path("evaluation.json").read_text(), parse_constant=pytest.fail)
        assert kept[part]["figures"] == figures
        assert [path.name for path in measured.pictures(part)] == PICTURES[part]
        for path in measured.pictures(part):
            with Image.open(path) as picture:
                assert picture.info["Description"] and np.asarray(picture).std() > 0
        table = tables.format_part(part, figures)
        assert max(len(line) for line in table.splitlines()[:2]) < 110 and "nan" not in table
    sets = kept["samples"]["figures"]["sets"]
    assert [quality["name"] for quality in sets] == [
        "test",
        "reconstructions",
        "prior samples",
        "unigram codes",
        "uniform codes",
    ]
    assert all(quality["number"] == 32 for quality in sets)
    assert [quality["step"] is None for quality in sets] == [True, False, False, False, False]
    assert [quality["accuracy"] is None for quality in sets] == [False, False, False, True, True]


def test_each_set_is_what_its_name_says(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[tuple]] = {}

    def noted(name: str) -> None:
        measure = getattr(report, name)
        monkeypatch.setattr(report, name, lambda *given: seen.setdefault(name, []).append(given) or measure(*given))

    for name in ("evaluate_samples", "nearest_training_images", "evaluate_factors"):
        noted(name)
    # Codes that are not used equally often, so that their frequencies can be told from uniform ones.
    monkeypatch.setattr(report, "code_counts", lambda codes, num_codes: torch.tensor([9, 1, 0, 0, 0, 0, 0, 0]))
    decoded = []
    decode = workspace.vqvae.decode
    monkeypatch.setattr(workspace.vqvae, "decode", lambda codes: decoded.append(codes) or decode(codes))
    measured = Report(workspace)
    measured.measure("samples")
    measured.measure("truth")

    classifier, test, train = workspace.classifier, workspace.test_data, workspace.train_data
    drawn, reconstructed, unigram, uniform, trained = decoded
    assert torch.equal(reconstructed, workspace.test_codes.codes)
    assert unigram.max() == 1 and 0.8 < (unigram == 0).float().mean() < 1
    assert uniform.unique().tolist() == list(range(8))

    ((real, sets, correct),) = seen["evaluate_samples"]
    assert torch.equal(real, classifier.features(train[:32].floats()))
    images = dict(zip(list(sets), [test.floats(), *map(decode, (reconstructed, drawn, unigram, uniform))], strict=True))
    assert all(torch.equal(sets[name], classifier.features(some)) for name, some in images.items())
    labels = {"test": test.labels, "reconstructions": test.labels, "prior samples": torch.arange(32) % 3}
    assert correct.keys() == labels.keys()
    assert all(
        torch.equal(correct[name], classifier.predict(images[name])["mouth"] == of) for name, of in labels.items()
    )

    samples, held_out = images["prior samples"], images["reconstructions"]
    assert torch.equal(trained, workspace.train_codes.codes[: len(train)])
    in_pixels, in_features = seen["nearest_training_images"]
    for given, form in ((in_pixels, lambda some: some.flatten(1)), (in_features, classifier.features)):
        assert all(torch.equal(a, form(b)) for a, b in zip(given, (samples, decode(trained), held_out), strict=True))

    ((_, in_samples, in_reconstructions, fresh),) = seen["evaluate_factors"]
    # A classifier that has learned for a moment finds the same in all images, so equal predictions would say nothing.
    assert in_samples is measured._sets["prior samples"].predictions
    assert in_reconstructions is measured._sets["reconstructions"].predictions
    for predictions, some in ((in_samples, samples), (in_reconstructions, held_out)):
        assert all(torch.equal(answer, classifier.predict(some)[name]) for name, answer in predictions.items())
    assert len(fresh) == 5 and all(len(one["eyes"]) == 32 for one in fresh)


def test_what_was_measured_is_not_measured_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Report(workspace).parts
    first = [Report(workspace).measure(part) for part in parts]
    before = workspace.path("evaluation.json").read_bytes()
    with monkeypatch.context() as patch:
        for name in ("evaluate_reconstruction", "evaluate_prior", "evaluate_samples", "evaluate_factors"):
            patch.setattr(report, name, lambda *_: pytest.fail("measured again"))
        again = [Report(Workspace(output=workspace.folder.parent.parent)).measure(part) for part in parts]
    assert again == first and workspace.path("evaluation.json").read_bytes() == before


def test_a_part_is_measured_again_when_its_picture_or_its_model_is_another(workspace: Workspace) -> None:
    measured = Report(workspace)
    codes, prior = measured.measure("codes"), measured.measure("prior")
    workspace.path("evaluation_prior.png").unlink()
    assert measured.measure("prior") == prior
    assert workspace.path("evaluation_prior.png").exists()
    with torch.no_grad():
        workspace.prior.head[-1].bias += torch.linspace(-1, 1, 8)
    assert measured.measure("prior")["likelihoods"] != prior["likelihoods"]
    assert measured.measure("codes") == codes  # the VQ-VAE is the same
    kept = json.loads(workspace.path("evaluation.json").read_text())
    assert set(kept) == {"codes", "prior"}


def test_sets_without_factors_have_no_truth(tmp_path: Path, in_a_moment: None) -> None:
    for number in range(14):
        folder = tmp_path / "pets" / ("cats" if number % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(256, size=(40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    measured = Report(Workspace(f"folder:{tmp_path / 'pets'}", output=tmp_path / "out"))
    assert measured.parts == ("codes", "prior", "samples")
    assert measured.measure("codes")["test_codes"]["usage"] > 0
    with pytest.raises(InputError, match=r"from 6 images on.* has 2 to compare"):
        measured.measure("samples")


def test_a_damaged_file_of_figures_is_named(workspace: Workspace) -> None:
    Report(workspace).measure("codes")
    workspace.path("evaluation.json").write_text("{")
    with pytest.raises(InputError, match=r"evaluation\.json is not valid JSON"):
        Report(workspace).measure("codes")


def test_the_classifier_is_kept_and_pretrained_models_get_one_too(workspace: Workspace, tmp_path: Path) -> None:
    classifier = workspace.classifier
    assert not classifier.training and workspace.path("classifier.pt").exists()
    again = Workspace(output=tmp_path).classifier
    images = workspace.test_data.floats()
    assert torch.equal(again.features(images), classifier.features(images))
    pretrained = Workspace(output=tmp_path, pretrained=True)
    assert pretrained.classifier.tasks["mouth"] == 3
    assert (
        Workspace(output=tmp_path, pretrained=True).classifier is not None and pretrained.path("classifier.pt").exists()
    )
