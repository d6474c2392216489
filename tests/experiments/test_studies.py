"""The studies of the truth: each is carried out, kept and printed, on smileys alone; what is trained is found again."""

import json
from pathlib import Path

import pytest
import torch

from lpvq import InputError, PixelCNN, load_images
from lpvq.data import smileys
from lpvq.data.smileys import FACTORS
from lpvq.experiments import combination_study, prior_study, sampling_study, studies
from lpvq.experiments.combination_study import left_out
from lpvq.experiments.workspace import Workspace
from lpvq.files import load_model


@pytest.fixture
def workspace(tmp_path: Path, in_a_moment: None) -> Workspace:
    return Workspace(output=tmp_path)


def test_measures_are_taken_of_every_fault(workspace: Workspace) -> None:
    found = studies.study(workspace, "measures")
    assert json.loads(workspace.path("study_measures.json").read_text()) == json.loads(json.dumps(found.figures))
    assert workspace.path("study_measures.png").stat().st_size > 5000
    assert len(found.figures) == 7 * 10 and {one["faces"] for one in found.figures} == {29}
    eyes = [one for one in found.figures if one["fault"] == "one eye of another kind"]
    assert "plainly wrong" in {one["measure"] for one in eyes if one["seen_from"]}
    assert "one eye of another kind" in found.table and "Fréchet distance" in found.table


def test_priors_are_made_in_each_way_for_the_same_time(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prior_study, "_SEEDS", 2)
    seconds = dict.fromkeys(prior_study.WAYS, 1.0) | {"attention": 2.0}
    monkeypatch.setattr(prior_study, "_seconds_a_step", lambda _, way: seconds[way])
    found = studies.study(workspace, "priors")
    assert [(one["way"], one["seed"]) for one in found.figures] == [(way, seed) for way in seconds for seed in (0, 1)]
    assert {one["way"]: one["steps"] for one in found.figures} == dict.fromkeys(seconds, 6) | {"attention": 3}
    for name, way, seed in (("neither", "neither", 0), ("position-codebook-Muon-attention", list(seconds)[-1], 1)):
        prior, about = load_model(PixelCNN, workspace.path(f"studies/prior-{name}-{seed}/prior.pt"))
        options, rates = prior_study.WAYS[way]
        assert (prior.config["position"], prior.config["num_attentions"]) == (
            options["prior_position"],
            options["prior_attentions"],
        )
        assert (prior.config["code_dim"] is not None) == options["prior_codebook"]
        assert {name: about["settings"][name] for name in rates} == rates and about["settings"]["seed"] == seed
    monkeypatch.setattr(prior_study, "_seconds_a_step", None)  # what was measured is kept
    assert studies.study(workspace, "priors").figures == found.figures
    assert "nats per image" in found.table


def test_combinations_are_for_priors_of_one_level(tmp_path: Path, in_a_moment: None) -> None:
    with pytest.raises(InputError, match="add --levels 1"):
        studies.study(Workspace(output=tmp_path, size=64, levels=2), "combinations")


def test_a_step_takes_time(workspace: Workspace) -> None:
    assert prior_study._seconds_a_step(workspace, "neither") > 0


def test_ways_to_draw_differ_in_what_they_say(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling_study, "_TEMPERATURES", (0.5, 1.0))
    monkeypatch.setattr(sampling_study, "_TOP_PS", (None, 0.5))
    drawn = []
    real = sampling_study.sample

    def noted(*arguments: object, **options: object) -> object:
        drawn.append(options["options"])
        if drawn[-1].temperature == 1:  # as a perfect prior would draw
            return workspace.test_data.floats(), workspace.test_codes.codes, workspace.test_codes.labels
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(sampling_study, "sample", noted)
    found = studies.study(workspace, "sampling")
    assert [(one.temperature, one.top_p) for one in drawn] == [(0.5, None), (1.0, None), (0.5, 0.5), (1.0, 0.5)]
    assert [(one["temperature"], one["top_p"]) for one in found.figures] == [
        (one.temperature, one.top_p) for one in drawn
    ]
    for true_faces in (found.figures[1], found.figures[3]):
        assert (true_faces["true"]["value"], true_faces["wrong"]["value"]) == (1, 0)
        assert true_faces["rare"]["value"] <= 0.1 + 1 / 32  # less where many grids are alike


def test_a_prior_learns_from_what_is_not_left_out(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combination_study, "_SEEDS", 1)
    monkeypatch.setattr(combination_study, "_SHARE", 0.5)  # so that some of six images to validate on are left out
    learned = []
    training = combination_study.prior_training

    def noted(recipe: object, learning: object, validation: object, codebook: object) -> object:
        learned.append((learning, validation))
        return training(recipe, learning, validation, codebook)  # type: ignore[arg-type]

    monkeypatch.setattr(combination_study, "prior_training", noted)
    found = studies.study(workspace, "combinations")
    assert [one["way"] for one in found.figures] == ["faces", "pairs"]
    factors = workspace.all_train_data.factors
    assert factors is not None
    for (learning, validation), way in zip(learned, ("faces", "pairs"), strict=True):
        keep = ~left_out(way, 0, factors)
        assert 0 < keep[:58].sum() < 58 and 0 < keep[58:].sum() < 6
        together = torch.cat([learning.codes, validation.codes])
        assert torch.equal(together, workspace.train_codes.codes[keep])
        assert len(learning) == keep[:58].sum()
    weights = workspace.path("studies/without-pairs-0/prior.pt")
    before = weights.stat().st_mtime_ns
    again = studies.study(Workspace(output=workspace.folder.parent.parent), "combinations")
    assert json.dumps(again.figures) == json.dumps(found.figures) and weights.stat().st_mtime_ns == before


@pytest.mark.parametrize(("way", "names"), [("faces", tuple(FACTORS)), ("pairs", ("background", "skin"))])
def test_a_tenth_of_the_combinations_is_left_out(way: str, names: tuple[str, ...]) -> None:
    factors = smileys.draw_factors(20_000, 0, 0)
    out = left_out(way, 3, factors)
    assert out.double().mean() == pytest.approx(0.1, abs=0.01)
    combinations = torch.stack([factors[name] for name in names], 1)
    assert not set(map(tuple, combinations[out].tolist())) & set(map(tuple, combinations[~out].tolist()))
    assert not torch.equal(out, left_out(way, 4, factors))


@pytest.mark.parametrize("name", ["measures", "sampling", "combinations"])
def test_where_there_is_no_renderer_there_is_no_truth_to_ask(
    name: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_images("smileys", limit=32)
    monkeypatch.setattr(type(workspace), "test_data", type(data)(data.images, data.labels, data.class_names, "pets"))
    with pytest.raises(InputError, match="asks the renderer of the smileys"):
        studies.study(workspace, name)


def test_a_study_that_there_is_not_is_named(workspace: Workspace) -> None:
    with pytest.raises(
        InputError, match="study 'size' is unknown; expected one of trade-off, quantizers, priors, measures"
    ):
        studies.study(workspace, "size")
