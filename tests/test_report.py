"""The report: every part measured once, kept, measured again when a model changes, and printed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lpvq import InputError, report, tables
from lpvq.pipeline import Workspace
from lpvq.report import Report

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
    judge = Report(workspace)
    assert judge.parts == tuple(PICTURES)
    for part in judge.parts:
        figures = judge.measure(part)
        kept = json.loads(workspace.path("evaluation.json").read_text(), parse_constant=pytest.fail)
        assert kept[part]["figures"] == figures
        assert [path.name for path in judge.pictures(part)] == PICTURES[part]
        for path in judge.pictures(part):
            with Image.open(path) as picture:
                assert picture.info["Description"] and np.asarray(picture).std() > 0
        table = tables.format_part(part, figures)
        assert max(len(line) for line in table.splitlines()[:2]) < 110 and "nan" not in table
    sets = kept["samples"]["figures"]["sets"]
    assert [one["name"] for one in sets] == [
        "test",
        "reconstructions",
        "prior samples",
        "unigram codes",
        "uniform codes",
    ]
    assert all(one["number"] == 32 for one in sets)
    assert [one["step"] is None for one in sets] == [True, False, False, False, False]
    assert [one["accuracy"] is None for one in sets] == [False, False, False, True, True]


def test_what_was_measured_is_not_measured_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Report(workspace).parts
    first = [Report(workspace).measure(part) for part in parts]
    before = workspace.path("evaluation.json").read_bytes()
    with monkeypatch.context() as patch:
        for name in ("judge_reconstruction", "judge_prior", "judge_sets", "judge_truth"):
            patch.setattr(report, name, lambda *_: pytest.fail("measured again"))
        again = [Report(Workspace(output=workspace.folder.parent.parent)).measure(part) for part in parts]
    assert again == first and workspace.path("evaluation.json").read_bytes() == before


def test_a_part_is_measured_again_when_its_picture_or_its_model_is_another(workspace: Workspace) -> None:
    judge = Report(workspace)
    codes, prior = judge.measure("codes"), judge.measure("prior")
    workspace.path("evaluation_prior.png").unlink()
    assert judge.measure("prior") == prior
    assert workspace.path("evaluation_prior.png").exists()
    with torch.no_grad():
        workspace.prior.head[-1].bias += torch.linspace(-1, 1, 8)
    assert judge.measure("prior")["rungs"] != prior["rungs"]
    assert judge.measure("codes") == codes  # the VQ-VAE is the same
    kept = json.loads(workspace.path("evaluation.json").read_text())
    assert set(kept) == {"codes", "prior"}


def test_sets_without_factors_have_no_truth(tmp_path: Path, in_a_moment: None) -> None:
    for number in range(14):
        folder = tmp_path / "pets" / ("cats" if number % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(256, size=(40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    judge = Report(Workspace(f"folder:{tmp_path / 'pets'}", output=tmp_path / "out"))
    assert judge.parts == ("codes", "prior", "samples")
    assert judge.measure("codes")["test_codes"]["usage"] > 0
    with pytest.raises(InputError, match=r"from 6 images on.* has 2 to compare"):
        judge.measure("samples")


def test_a_damaged_file_of_figures_is_named(workspace: Workspace) -> None:
    Report(workspace).measure("codes")
    workspace.path("evaluation.json").write_text("{")
    with pytest.raises(InputError, match=r"evaluation\.json is not valid JSON"):
        Report(workspace).measure("codes")


def test_the_reader_is_kept_and_pretrained_models_get_one_too(workspace: Workspace, tmp_path: Path) -> None:
    reader = workspace.reader
    assert not reader.training and workspace.path("reader.pt").exists()
    again = Workspace(output=tmp_path).reader
    images = workspace.test_data.floats()
    assert torch.equal(again.features(images), reader.features(images))
    pretrained = Workspace(output=tmp_path, pretrained=True)
    assert pretrained.reader.questions["mouth"] == 3
    assert Workspace(output=tmp_path, pretrained=True).reader is not None and pretrained.path("reader.pt").exists()
