"""The profiles: chosen by name, changed by data set, size and seed."""

from typing import Any

import numpy as np
import pytest

from lpvq import InputError
from lpvq.experiments.profiles import PROFILES, SNAPSHOTS, profile_name, recipe_for


def test_the_profile_is_the_one_named_then_that_of_the_environment_then_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPVQ_PROFILE", "full")
    assert profile_name("smoke") == "smoke"
    assert profile_name() == "full"
    monkeypatch.delenv("LPVQ_PROFILE")
    assert profile_name() == "laptop"
    with pytest.raises(InputError, match="'fast' is unknown; expected one of smoke, laptop, long, full"):
        profile_name("fast")


def test_size_and_seed_go_into_the_recipe() -> None:
    recipe = recipe_for("smileys", "laptop", size=64, seed=5)
    assert recipe.size == 64 and recipe.vqvae.seed == recipe.prior.seed == 5
    assert recipe_for("fashion_mnist", "laptop").num_codes == 128
    assert recipe_for("smileys", "laptop", size=32) == recipe_for("smileys", "laptop")
    with pytest.raises(InputError, match="multiple of 4, got 10"):
        recipe_for("smileys", "laptop", size=10)


def test_larger_images_have_recipes_of_their_own_in_the_laptop_profile() -> None:
    small, medium, large = (recipe_for("smileys", "laptop", size=size) for size in (60, 64, 96))
    assert (small.num_codes, small.levels, small.size) == (256, 1, 60)
    assert (medium.num_codes, medium.levels, medium.size) == (256, 2, 64)
    assert (large.num_codes, large.levels, large.size) == (512, 2, 96)
    assert recipe_for("smileys", "smoke", size=128).num_codes == recipe_for("smileys", "smoke").num_codes
    assert recipe_for("smileys", "smoke", size=128).levels == 1


def test_what_holds_for_smileys_does_not_hold_for_a_folder_of_pictures() -> None:
    for size in (None, 64, 128):
        smileys, pets = recipe_for("smileys", "laptop", size=size), recipe_for("folder:pets", "laptop", size=size)
        assert smileys.quantizer["rate_weight"] > pets.quantizer["rate_weight"] == 0.35
        assert smileys.prior_images is not None and pets.prior_images is None
        assert smileys.levels == pets.levels


@pytest.mark.parametrize(("size", "levels"), [(64, 2), (68, 1), (132, 1), (136, 2)])
def test_two_levels_are_the_default_only_where_the_size_can_be_halved(size: int, levels: int) -> None:
    assert recipe_for("smileys", "laptop", size=size).levels == levels
    assert recipe_for("smileys", "laptop", size=size, levels=1).levels == 1


def test_the_seed_goes_to_both_models_and_not_to_the_classifier_that_judges_them() -> None:
    recipe = recipe_for("smileys", "laptop", seed=np.int64(7))
    assert (recipe.vqvae.seed, recipe.prior.seed, recipe.classifier.seed) == (7, 7, 0)
    assert type(recipe.vqvae.seed) is int


def test_only_the_prior_is_compiled() -> None:
    recipe = recipe_for("smileys", "laptop", compile=True)
    assert (recipe.vqvae.compile, recipe.prior.compile, recipe.classifier.compile) == (False, True, False)


@pytest.mark.parametrize("size", [0, -4, 2, 32.0, "32", True])
def test_a_size_that_is_none_is_refused(size: Any) -> None:
    with pytest.raises(InputError, match=f"size must be a whole number, at least 4 and below .*, got {size!r}"):
        recipe_for("smileys", "laptop", size=size)


def test_a_size_of_numpy_is_plain_in_the_recipe() -> None:
    recipe = recipe_for("smileys", "laptop", size=np.uint8(64))
    assert recipe.size == 64 and type(recipe.size) is int


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dataset", ["smileys", "fashion_mnist", "mnist", "cifar10", "folder:pets"])
def test_every_profile_has_a_recipe_for_every_set(profile: str, dataset: str) -> None:
    recipe = recipe_for(dataset, profile)
    for training in (recipe.vqvae, recipe.prior, recipe.classifier):
        assert training.precision == "auto" and training.validations <= training.steps
    assert recipe.validation_images >= 1


def test_snapshots_are_taken_on_the_way_in_order() -> None:
    assert SNAPSHOTS[0] > 0 and SNAPSHOTS[-1] < 1 and list(SNAPSHOTS) == sorted(set(SNAPSHOTS))
    for steps in {training.steps for recipe in PROFILES.values() for training in (recipe.vqvae, recipe.prior)}:
        assert len({round(share * steps) for share in SNAPSHOTS}) == len(SNAPSHOTS)
