"""What is trained is what the recipe says: the same as by hand, with nothing of the workspace."""

from pathlib import Path

import pytest
import torch
from workspaces import make, train_by_hand, valid_losses

from lpvq.files import checksum

pytestmark = pytest.mark.usefixtures("in_a_moment")


@pytest.mark.parametrize("seed", [0, 1])
def test_the_models_are_those_that_the_recipe_says_trained_by_hand(seed: int, tmp_path: Path) -> None:
    sums, losses = train_by_hand(seed)
    made = make(tmp_path, seed=seed)
    assert checksum(made.vqvae) == sums["vqvae"][-1]
    assert checksum(made.prior) == sums["prior"][-1]
    # The best weights may be those of the last step whatever they are chosen by, so what they are chosen by counts too.
    assert valid_losses(made.vqvae_about["history"]) == losses["vqvae"]
    assert valid_losses(made.prior_about["history"]) == losses["prior"]


def test_one_classifier_judges_the_images_of_all_seeds(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    judges = {checksum(make(tmp_path / str(seed), seed=seed).classifier) for seed in (0, 1)}
    assert len(judges) == 1
    assert torch.equal(torch.random.get_rng_state(), before)
