"""Evaluation: each figure against a computation of its own."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from lpvq import VQVAE, InputError, LatentCodes, PixelCNN
from lpvq.datasets import ImageData
from lpvq.evaluation import judge_prior, judge_reconstruction


def flat_prior() -> PixelCNN:
    """A prior that knows nothing: all codes equally likely."""
    model = PixelCNN(8, (4, 5), num_blocks=1, hidden_channels=4, num_classes=3)
    for parameter in model.head.parameters():
        nn.init.zeros_(parameter)
    return model


def test_the_error_is_measured_in_eval_mode_against_the_variance_of_the_same_scaling(
    vqvae: VQVAE, smileys: ImageData
) -> None:
    vqvae.train()
    counts = vqvae.quantizer.code_counts.clone()
    result = judge_reconstruction(vqvae, smileys)
    assert vqvae.training and torch.equal(vqvae.quantizer.code_counts, counts)
    images = smileys.floats()
    decoded = vqvae.decode(vqvae.encode(images))
    assert result.mse == pytest.approx((decoded - images).square().mean().item(), rel=1e-5)
    assert result.variance == pytest.approx(images.var().item(), rel=1e-4)
    assert result.relative_error == result.mse / result.variance


def test_the_mean_colour_alone_has_a_relative_error_of_about_one(vqvae: VQVAE, smileys: ImageData) -> None:
    class Mean(VQVAE):
        def forward(self, images: torch.Tensor):
            return replace(super().forward(images), reconstruction=torch.full_like(images, smileys.floats().mean()))

    model = Mean(3, 8, 4, 8)
    assert judge_reconstruction(model, smileys).relative_error == pytest.approx(1, abs=1e-3)


def test_a_prior_that_knows_nothing_is_as_good_as_uniform(codes: LatentCodes) -> None:
    result = judge_prior(flat_prior(), codes, codes)
    assert result.uniform == 3
    assert result.prior == pytest.approx(3, abs=1e-5) and result.prior_error == pytest.approx(0, abs=1e-5)
    assert result.nats_per_grid == pytest.approx(20 * math.log(8), rel=1e-5)
    assert result.share_of_unigram_entropy == pytest.approx(3 / result.unigram_entropy, rel=1e-5)


def test_baselines_are_learned_from_the_training_codes_alone(codes: LatentCodes) -> None:
    # Training: position 0 is always 0, all others always 1. Test: everything is 1.
    train = replace(codes, codes=torch.ones_like(codes.codes))
    train.codes[:, 0, 0] = 0
    test = replace(codes, codes=torch.ones_like(codes.codes))
    result = judge_prior(flat_prior(), train, test)
    assert result.unigram == pytest.approx(-math.log2((96 * 19 + 1) / (96 * 20 + 8)))
    impossible, sure = -math.log2(1 / (96 + 8)), -math.log2(97 / (96 + 8))
    assert result.unigram_per_position == pytest.approx((impossible + 19 * sure) / 20)
    assert result.unigram_entropy == 0


def test_the_standard_error_shrinks_with_the_number_of_grids(codes: LatentCodes) -> None:
    prior = PixelCNN(8, (4, 5), num_blocks=1, hidden_channels=4, num_classes=3)
    nn.init.normal_(prior.head[-1].weight, std=1.0)
    four_times = replace(codes, codes=codes.codes.repeat(4, 1, 1), labels=codes.labels.repeat(4))
    ratio = judge_prior(prior, codes, codes).prior_error / judge_prior(prior, codes, four_times).prior_error
    assert ratio == pytest.approx(2, rel=0.02)  # √4, but for the division by N − 1


def test_codes_of_two_kinds_are_refused(codes: LatentCodes) -> None:
    with pytest.raises(InputError, match="another codebook or grid"):
        judge_prior(flat_prior(), replace(codes, num_codes=9), codes)
    with pytest.raises(InputError, match="latent_dim"):
        judge_prior(flat_prior(), codes, replace(codes, num_codes=9))
