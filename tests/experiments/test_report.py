"""The report: every part measured once, kept, measured again when a model changes, and printed."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock, Timeout
from PIL import Image

from lpvq import InputError, LatentCodes, plotting
from lpvq.data.loading import load
from lpvq.evaluation.distances import nearest_neighbours
from lpvq.evaluation.estimates import Estimate
from lpvq.evaluation.face_quality import true_threshold
from lpvq.evaluation.nearest_face import find_nearest_faces
from lpvq.evaluation.source import SourceEntropy, source_entropy
from lpvq.experiments import report, tables
from lpvq.experiments.report import Report
from lpvq.experiments.samples import sample
from lpvq.experiments.workspace import Workspace
from lpvq.files import write_json
from lpvq.models.sampling import SamplingOptions

PICTURES = {
    "codes": ["evaluation_codes.png"],
    "prior": ["evaluation_prior.png"],
    "samples": ["evaluation_samples.png", "evaluation_neighbours.png"],
    "truth": ["evaluation_truth.png", "evaluation_faces.png"],
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

    for name in ("evaluate_samples", "evaluate_memorisation", "evaluate_repeated_grids", "evaluate_factors"):
        noted(name)
    # Codes that are not used equally often, so that their frequencies can be told from uniform ones.
    monkeypatch.setattr(LatentCodes, "counts", lambda self: torch.tensor([9, 1, 0, 0, 0, 0, 0, 0]))
    decoded = []
    decode = workspace.vqvae.decode
    monkeypatch.setattr(workspace.vqvae, "decode", lambda codes: decoded.append(codes) or decode(codes))
    rows = []
    plot_rows = plotting.plot_rows
    monkeypatch.setattr(plotting, "plot_rows", lambda *given: rows.append(given[0]) or plot_rows(*given))
    measured = Report(workspace)
    measured.measure("samples")
    measured.measure("truth")

    classifier, test, train = workspace.classifier, workspace.test_data, workspace.train_data
    reconstructed, drawn, unigram, uniform, trained, *_ = decoded
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
    in_pixels, in_features = seen["evaluate_memorisation"]
    for given, form in ((in_pixels, lambda some: some.flatten(1)), (in_features, classifier.features)):
        for distances, some in zip(given, (held_out, samples), strict=True):
            assert torch.equal(distances, nearest_neighbours(form(some), form(decode(trained)))[0])

    searched = decode(trained)  # the neighbours that are shown are those that were searched
    assert all((searched == image).flatten(1).all(1).any() for shown in rows[0][1:] for image in shown)

    ((grids, test_grids, training_grids),) = seen["evaluate_repeated_grids"]
    assert torch.equal(grids, drawn) and torch.equal(test_grids, workspace.test_codes.codes)
    assert torch.equal(training_grids, trained)

    ((_, in_samples, in_reconstructions, fresh),) = seen["evaluate_factors"]
    # A classifier that has learned for a moment finds the same in all images, so equal predictions would say nothing.
    assert in_samples is measured._sets["prior samples"].predictions
    assert in_reconstructions is measured._sets["reconstructions"].predictions
    for predictions, some in ((in_samples, samples), (in_reconstructions, held_out)):
        assert all(torch.equal(answer, classifier.predict(some)[name]) for name, answer in predictions.items())
    assert len(fresh) == 5 and all(len(predictions["eyes"]) == 32 for predictions in fresh)


def test_faces_are_measured_beside_their_reconstructions_at_several_temperatures(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    measure = report.evaluate_faces
    monkeypatch.setattr(report, "evaluate_faces", lambda *some: given.append(some) or measure(*some))
    measured = Report(workspace)
    figures = measured.measure("truth")["faces"]
    ((reconstructed, sets),) = given
    codes = workspace.test_codes.codes
    expected = {"true faces": workspace.test_data.floats(), "reconstructions": workspace.vqvae.decode(codes)}
    for temperature in (1.0, 0.9, 0.8):
        images, _, _ = sample(workspace, 32, options=SamplingOptions(temperature))
        expected[f"samples, T = {temperature:g}"] = images
    assert list(sets) == list(expected) == [one["name"] for one in figures["sets"]]
    for name, images in expected.items():
        assert torch.equal(sets[name][0], images), name
        assert torch.equal(sets[name][1].errors, find_nearest_faces(images).errors), name
    assert reconstructed is sets["reconstructions"][1]
    assert figures["threshold"] == true_threshold(reconstructed)
    true_faces = figures["sets"][0]
    assert (true_faces["true"]["value"], true_faces["wrong"]["value"]) == (1, 0)


def test_the_prior_is_above_the_source_by_the_difference_of_their_nats(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SourceEntropy(8.0, Estimate(4.0, 0.3), parts=2, coverage=0.9)
    monkeypatch.setattr(report, "source_entropy", lambda *_: source)
    figures = Report(workspace).measure("prior")
    prior = next(one for one in figures["likelihoods"] if one["name"] == "prior")
    found = figures["source"]
    assert found["nats"] == {"value": 12.0, "error": 0.3} and (found["parts"], found["coverage"]) == (2, 0.9)
    assert found["prior_above"]["value"] == pytest.approx(prior["nats_per_grid"] - 12)
    error = prior["bits"]["error"] * 64 * log(2)
    assert found["prior_above"]["error"] == pytest.approx((error**2 + 0.3**2) ** 0.5)
    assert "source, at most" in tables.format_part("prior", figures)


def test_the_source_is_that_of_the_codebook_at_hand(workspace: Workspace) -> None:
    found = Report(workspace).measure("prior")["source"]
    expected = source_entropy(workspace.vqvae, 32, faces=20, shifts=32)
    assert found["shifts"] == asdict(expected.shifts)


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


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often each part was measured, by stand-ins that take no time."""
    counts = dict.fromkeys(PICTURES, 0)

    def stand_in(part: str) -> Callable[[Report], tuple[dict, dict]]:
        def measure(_: Report) -> tuple[dict, dict]:
            counts[part] += 1
            return {"count": counts[part]}, {}

        return measure

    for part in PICTURES:
        monkeypatch.setattr(Report, f"_{part}", stand_in(part))
    return counts


def test_what_a_part_depends_on_has_it_measured_anew_and_nothing_else_does(
    workspace: Workspace, times: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured_now() -> set[str]:
        before = dict(times)
        for part in PICTURES:
            assert Report(workspace).measure(part) == {"count": times[part]}
        return {part for part in PICTURES if times[part] > before[part]}

    def weight(parameter: torch.Tensor) -> None:
        with torch.no_grad():
            parameter += 1

    def pixel(split: str, data: str) -> None:
        splits = vars(workspace._splits)
        images = splits[data].images.clone()
        images[-1, 0, 0, 0] ^= 255  # of an image that is held out: it has codes too
        splits[data] = replace(splits[data], images=images)
        for cached in (f"{split}_checksum", "train"):
            splits.pop(cached, None)

    def fewer() -> None:
        workspace.recipe = replace(workspace.recipe, sampled_images=16)

    assert measured_now() == set(PICTURES) and measured_now() == set()
    changes: dict[str, tuple[Callable[[], object], set[str]]] = {
        "VQ-VAE": (lambda: weight(next(workspace.vqvae.parameters())), {"codes", "prior", "samples", "truth"}),
        "prior": (lambda: weight(workspace.prior.head[-1].bias), {"prior", "samples", "truth"}),
        "classifier": (lambda: weight(workspace.classifier.heads["mouth"].bias), {"samples", "truth"}),
        "training images": (lambda: pixel("train", "all_train"), {"codes", "prior", "samples"}),
        "test images": (lambda: pixel("test", "test"), {"codes", "prior", "samples", "truth"}),
        "seed": (lambda: setattr(workspace, "seed", 1), {"samples", "truth"}),
        "number of images": (fewer, {"prior", "samples", "truth"}),
        "Inception": (lambda: monkeypatch.setattr(report, "inception_weights", Path), {"samples"}),
        "profile": (lambda: setattr(workspace, "profile", "laptop"), set()),
        "time of training": (lambda: workspace.vqvae_about.update(seconds=9e9), set()),
        "another training": (lambda: setattr(workspace, "recipe", replace(workspace.recipe, prior_blocks=9)), set()),
    }
    for name, (change, parts) in changes.items():
        change()
        assert (name, measured_now()) == (name, parts)
        assert (name, measured_now()) == (name, set())


def test_figures_that_another_process_writes_meanwhile_are_kept(
    workspace: Workspace, times: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Workspace(output=workspace.folder.parent.parent)

    def while_another_measures(_: Report) -> tuple[dict, dict]:
        Report(other).measure("prior")
        return {"count": 1}, {}

    monkeypatch.setattr(Report, "_codes", while_another_measures)
    Report(workspace).measure("codes")
    assert set(json.loads(workspace.path("evaluation.json").read_text())) == {"codes", "prior"}


def test_no_other_process_writes_figures_while_they_are_merged(
    workspace: Workspace, times: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def noted(path: Path, value: object) -> None:
        with pytest.raises(Timeout):  # as another process would find it
            FileLock(workspace.path(".lock")).acquire(blocking=False)
        held.append(path.name)
        write_json(path, value)

    workspace.prior  # noqa: B018
    monkeypatch.setattr(report, "write_json", noted)
    Report(workspace).measure("codes")
    assert held == ["evaluation.json"]


def test_true_faces_are_rendered_anew_from_seeds_that_no_other_set_has(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    predict = workspace.classifier.predict
    monkeypatch.setattr(workspace.classifier, "predict", lambda images: seen.append(images) or predict(images))
    Report(workspace).measure("truth")
    fresh = [images for images in seen if any(torch.equal(images, faces(seed)) for seed in range(1, 6))]
    assert len(fresh) == 5
    known = torch.cat([workspace.test_data.floats(), workspace.all_train_data.floats()])
    together = torch.cat([*fresh, known]).flatten(1)
    assert len(together.unique(dim=0)) == len(together), "a face was rendered twice"


def faces(seed: int) -> torch.Tensor:
    return load("smileys", "test", limit=32, seed=seed).floats()


def test_sets_without_factors_have_no_truth(tmp_path: Path, in_a_moment: None) -> None:
    for number in range(14):
        folder = tmp_path / "pets" / ("cats" if number % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(256, size=(40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    measured = Report(Workspace(f"folder:{tmp_path / 'pets'}", output=tmp_path / "out"))
    assert measured.parts == ("codes", "prior", "samples")
    assert measured.measure("codes")["test_codes"]["usage"] > 0
    with pytest.raises(InputError, match=r"from 6 images on.* has 4 to compare"):
        measured.measure("samples")


def test_a_damaged_file_of_figures_is_named(workspace: Workspace) -> None:
    Report(workspace).measure("codes")
    workspace.path("evaluation.json").write_text("{")
    with pytest.raises(InputError, match=r"evaluation\.json is not valid JSON"):
        Report(workspace).measure("codes")


ENTRY = {"of": {}, "pictures": ["a.png"], "figures": {}}


@pytest.mark.parametrize(
    "content",
    [
        *([], None, "codes", 3),
        *({"codes": entry} for entry in ([], None, "x", {})),
        *({"codes": {key: value for key, value in ENTRY.items() if key != left_out}} for left_out in ENTRY),
        *({"codes": {**ENTRY, key: value}} for key in ENTRY for value in (None, 3, "x")),
        {"codes": {**ENTRY, "pictures": [3]}},
        {"prior": {**ENTRY, "figures": []}},  # of a part that is not asked for
    ],
)
def test_figures_of_another_form_are_a_damaged_file(content: object, workspace: Workspace) -> None:
    workspace.folder.mkdir(parents=True)
    path = workspace.path("evaluation.json")
    path.write_text(json.dumps(content))
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"evaluation\.json is damaged; delete it"):
        Report(workspace)._known()
    assert path.read_bytes() == before


def test_pictures_of_a_part_that_was_not_measured_are_not_there(workspace: Workspace) -> None:
    with pytest.raises(InputError, match=r"evaluation\.json has no part 'codes': measure it first"):
        Report(workspace).pictures("codes")


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
