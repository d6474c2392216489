"""Studies of recipes: every recipe differs in what it says, trains for the same short time, and is found again."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from lpvq import TrainConfig
from lpvq.experiments import recipe_studies, studies
from lpvq.experiments.profiles import recipe_for
from lpvq.experiments.recipe_studies import Point, Variant, quantizers, trade_off
from lpvq.experiments.workspace import Workspace
from lpvq.files import checksum
from lpvq.training.losses import grid_nll, reconstruction_error


@pytest.fixture
def workspace(tmp_path: Path, in_a_moment: None) -> Workspace:
    return Workspace(output=tmp_path)


def two(recipe: object, size: int) -> list[Variant]:
    return [Variant("default", "as it is"), Variant("codes", "4", {"num_codes": 4}, longer=2)]


@pytest.mark.parametrize("name", ["trade_off", "quantizers"])
def test_recipes_differ_from_each_other_and_from_the_default(name: str) -> None:
    recipe = recipe_for("fashion_mnist", "laptop")
    variants = getattr(recipe_studies, name)(recipe, 28)
    assert len({(variant.group, variant.name) for variant in variants}) == len(variants)
    changed = [json.dumps([dict(variant.changes), variant.longer]) for variant in variants]
    assert len(set(changed)) == len(changed)
    for variant in variants:
        same = {field: value for field, value in variant.changes.items() if asdict(recipe)[field] == value}
        assert name == "quantizers" or not same


def test_all_that_is_asked_for_is_varied() -> None:
    groups = {variant.group for variant in trade_off(recipe_for("smileys", "laptop"), 32)}
    assert groups == {
        *("default", "codes", "rate weight", "grid", "code size", "encoder width", "encoder blocks"),
        *("commitment", "restarts", "training"),
    }
    kinds = [variant.changes["quantizer"]["kind"] for variant in quantizers(recipe_for("smileys", "laptop"), 32)]
    assert kinds == ["gradient", "ema", "ema", "entropy-constrained", "normalised", "ema", "fsq"]


def test_the_weights_of_the_rate_are_those_that_the_recipe_does_not_have() -> None:
    for size, own in ((32, 1.0), (64, 0.6)):
        variants = trade_off(recipe_for("smileys", "laptop", size), size)
        weights = [
            variant.changes["quantizer"]["rate_weight"] for variant in variants if variant.group == "rate weight"
        ]
        assert weights == [weight for weight in (0.0, 0.25, 0.5, 1.0) if weight != own]


def test_grids_that_do_not_divide_the_image_are_left_out() -> None:
    names = [
        variant.name for variant in trade_off(recipe_for("fashion_mnist", "laptop"), 28) if variant.group == "grid"
    ]
    assert names == ["14 × 14"]


@pytest.mark.parametrize(("number", "levels"), [(256, [4] * 4), (128, [5] * 3), (64, [4] * 3), (32, [3] * 3)])
def test_fsq_has_about_as_many_codes(number: int, levels: list[int]) -> None:
    assert recipe_studies._levels(number) == levels


def test_a_study_measures_each_recipe_and_finds_it_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recipe_studies, "quantizers", two)
    monkeypatch.setattr(recipe_studies, "_SEEDS", 2)
    points = [Point(**point) for point in studies.study(workspace, "quantizers").figures]
    assert [(point.name, point.seed) for point in points] == [("as it is", 0), ("as it is", 1), ("4", 0), ("4", 1)]
    assert json.loads(workspace.path("study_quantizers.json").read_text()) == [asdict(point) for point in points]
    assert workspace.path("study_quantizers.png").stat().st_size > 5000
    capsys.readouterr()
    again = studies.study(Workspace(output=workspace.folder.parent.parent), "quantizers")
    assert again.figures == [asdict(point) for point in points]
    assert "training it" not in capsys.readouterr().out

    one = workspace.variation("studies/codes-4-1", 1, {"num_codes": 4, **_trainings(workspace, 0.5)})
    assert one.vqvae.quantizer.num_codes == 4
    assert points[3].error == reconstruction_error(one.vqvae, one.test_data) / one.test_data.variance()
    assert points[3].nats == grid_nll(one.prior, one.test_codes).mean().item()
    assert one.vqvae_about["settings"]["steps"] == 3 and one.vqvae_about["settings"]["seed"] == 1
    assert checksum(one.vqvae) != checksum(workspace.vqvae)


def _trainings(workspace: Workspace, share: float) -> dict[str, TrainConfig]:
    steps = round(share * workspace.recipe.vqvae.steps)
    return {name: TrainConfig(steps=steps, batch_size=16, validations=2) for name in ("vqvae", "prior")}


def test_the_table_of_a_study_shows_means_and_spreads() -> None:
    points = [
        Point("codes", "4", 0, error=0.04, nats=50.0, usage=1.0, perplexity=3.0),
        Point("codes", "4", 1, error=0.06, nats=54.0, usage=0.5, perplexity=2.0),
    ]
    table = recipe_studies._table(points)
    for text in ("0.0500 ± 0.0141", "52.0 ± 2.8", "2.5 ± 0.7", "75%", "over 2 seeds"):
        assert text in table
    alone = recipe_studies._table(points[:1])
    assert "0.0400" in alone and "±" not in alone and "seeds" not in alone


def test_a_variation_shares_the_images_and_nothing_that_was_trained(workspace: Workspace) -> None:
    images, prior, codes = workspace.test_data.images, workspace.prior, workspace.test_codes
    other = workspace.variation("other", 3, {"code_dim": 2})
    assert other.test_data.images is images
    assert other.folder == workspace.folder / "other" and other.recipe.vqvae.seed == other.recipe.prior.seed == 3
    assert other.vqvae.quantizer.code_dim == 2
    assert other.test_codes.vqvae_checksum != codes.vqvae_checksum
    assert workspace.prior is prior and workspace.recipe.code_dim == 16
    assert torch.equal(workspace.test_codes.codes, codes.codes)
