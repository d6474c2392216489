"""What is trained is what the recipe says: the same as by hand, with nothing of the workspace."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from workspaces import make, train_by_hand, valid_losses

from lpvq import PixelCNN, extract_codes, load_images, train_prior
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


def test_a_fine_prior_is_trained_as_the_recipe_says(tmp_path: Path) -> None:
    made = make(tmp_path, size=64, levels=2)
    changes = {"prior_position": True, "prior_codebook": True, "prior_attentions": 1, "prior_images": 80}
    training = replace(made.recipe.prior, muon_rate=0.02)
    made.recipe = made._splits._recipe = replace(made.recipe, prior=training, **changes)
    vqvae, coarse_vqvae, prior = made.vqvae, made.coarse.vqvae, made.prior
    # By hand: 80 faces, of which 8 are held out, their codes at both sizes, a PixelCNN of some given the others.
    codes = extract_codes(vqvae, load_images("smileys", "train", size=64, limit=80), coarse_vqvae, 2)
    torch.manual_seed(0)
    fine = PixelCNN(8, (16, 16), 2, 3, 16, 3, True, 1, 16, coarse_vqvae=coarse_vqvae, coarse_factor=2)
    fine.set_codebook(vqvae.quantizer.codebook)
    history = train_prior(fine, codes[:72], training, codes[72:])
    assert checksum(prior.fine_prior) == checksum(fine)
    assert valid_losses(made.prior_about["history"]) == valid_losses(history)
    assert checksum(prior.coarse_prior) == checksum(make(tmp_path).prior)


def test_one_classifier_judges_the_images_of_all_seeds(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    judges = {checksum(make(tmp_path / str(seed), seed=seed).classifier) for seed in (0, 1)}
    assert len(judges) == 1
    assert torch.equal(torch.random.get_rng_state(), before)
