"""The profiles: chosen by name, changed by data set, size and seed."""

import pytest

from lpvq import InputError
from lpvq.experiments.profiles import profile_name, recipe_for


def test_the_profile_is_the_one_named_then_that_of_the_environment_then_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPVQ_PROFILE", "full")
    assert profile_name("smoke") == "smoke"
    assert profile_name() == "full"
    monkeypatch.delenv("LPVQ_PROFILE")
    assert profile_name() == "laptop"
    with pytest.raises(InputError, match="'fast' is unknown; expected one of smoke, laptop, full"):
        profile_name("fast")


def test_size_and_seed_go_into_the_recipe() -> None:
    recipe = recipe_for("smileys", "laptop", size=64, seed=5)
    assert recipe.size == 64 and recipe.vqvae.seed == recipe.prior.seed == 5
    assert recipe_for("fashion_mnist", "laptop").num_codes == 128
    assert recipe_for("smileys", "laptop", size=32) == recipe_for("smileys", "laptop")
    with pytest.raises(InputError, match="multiple of 4, got 10"):
        recipe_for("smileys", "laptop", size=10)


def test_large_images_have_a_recipe_of_their_own_in_the_laptop_profile() -> None:
    recipe = recipe_for("smileys", "laptop", size=128)
    assert (recipe.size, recipe.num_codes, recipe.prior_blocks) == (128, 512, 10)
    assert recipe_for("smileys", "laptop", size=64).num_codes == recipe_for("smileys", "laptop").num_codes
    assert recipe_for("smileys", "smoke", size=128).num_codes == recipe_for("smileys", "smoke").num_codes
