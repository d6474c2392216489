"""Likelihoods: each baseline against its definition, and each has to move when what it measures is spoilt."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from lpvq import InputError, LatentCodes, PixelCNN
from lpvq.evaluation.prior import evaluate_prior, marginal_nll
from lpvq.training.losses import grid_nll

PIXELS = 320


def flat_prior() -> PixelCNN:
    """A prior that knows nothing: all codes equally likely."""
    model = PixelCNN(8, (4, 5), num_blocks=1, hidden_channels=4, num_classes=3)
    for parameter in model.head.parameters():
        nn.init.zeros_(parameter)
    return model


def lively_prior() -> PixelCNN:
    """A prior that finds some codes likelier than others, and differently for each label."""
    model = PixelCNN(8, (4, 5), num_blocks=1, hidden_channels=4, num_classes=3)
    nn.init.normal_(model.head[-1].weight, std=1.0)
    nn.init.normal_(model.blocks[0].label_shift.weight, std=2.0)
    return model.eval()


def test_a_prior_that_knows_nothing_is_as_good_as_uniform(codes: LatentCodes) -> None:
    result = evaluate_prior(flat_prior(), codes, codes, PIXELS)
    assert result["uniform"].bits.value == pytest.approx(3)
    for name in ("prior", "prior, label unknown", "prior, training images"):
        likelihood = result[name]
        assert likelihood.bits.value == pytest.approx(3, abs=1e-5)
        assert likelihood.bits.error == pytest.approx(0, abs=1e-5)
        assert likelihood.nats_per_grid == pytest.approx(20 * math.log(8), rel=1e-5)
        assert likelihood.bits_per_pixel == pytest.approx(3 * 20 / PIXELS, rel=1e-5)


def test_baselines_are_learned_from_the_training_codes_alone(codes: LatentCodes) -> None:
    # Training: position 0 is always 0, all others always 1. Test: everything is 1.
    train = replace(codes, codes=torch.ones_like(codes.codes))
    train.codes[:, 0, 0] = 0
    test = replace(codes, codes=torch.ones_like(codes.codes))
    result = evaluate_prior(flat_prior(), train, test, PIXELS)
    assert result["unigram"].bits.value == pytest.approx(-math.log2((96 * 19 + 1) / (96 * 20 + 8)))
    impossible, sure = -math.log2(1 / (96 + 8)), -math.log2(97 / (96 + 8))
    assert result["unigram per position"].bits.value == pytest.approx((impossible + 19 * sure) / 20)


def test_the_share_of_the_unigram_compares_two_rows_of_the_table(codes: LatentCodes) -> None:
    # One grid of a single code: its own entropy is 0, and a share of that would be anything at all.
    for test in (codes, replace(codes[:1], codes=torch.zeros(1, 4, 5, dtype=torch.int64))):
        result = evaluate_prior(lively_prior(), codes, test, PIXELS)
        expected = result["prior"].bits.value / result["unigram"].bits.value
        assert result.share_of_unigram == pytest.approx(expected)
    flat = evaluate_prior(flat_prior(), codes[:2], codes, PIXELS)
    assert flat.share_of_unigram == pytest.approx(3 / flat["unigram"].bits.value, rel=1e-5)


def test_a_codebook_of_one_code_costs_nothing(codes: LatentCodes) -> None:
    prior = PixelCNN(1, (4, 5), num_blocks=1, hidden_channels=4, num_classes=3)
    one = replace(codes, codes=torch.zeros_like(codes.codes), num_codes=1)
    result = evaluate_prior(prior, one, one, PIXELS)
    assert result["uniform"].bits.value == result["prior"].bits.value == 0 and result.share_of_unigram is None


def test_each_position_has_its_own_unigram(codes: LatentCodes) -> None:
    position = torch.arange(20).view(4, 5) % 8
    fixed = replace(codes, codes=position.expand(96, 4, 5).contiguous())
    result = evaluate_prior(flat_prior(), fixed, fixed, PIXELS)
    assert result["unigram per position"].bits.value == pytest.approx(-math.log2(97 / 104))
    assert result["unigram"].bits.value > 2.9


def test_the_gap_between_training_and_test_images_is_seen(codes: LatentCodes) -> None:
    prior = lively_prior()
    unlikely = grid_nll(prior, codes).argsort(descending=True)[:48]
    test = replace(codes, codes=codes.codes[unlikely], labels=codes.labels[unlikely])
    result = evaluate_prior(prior, codes, test, PIXELS)
    assert result["prior, training images"].bits.value < result["prior"].bits.value
    expected = grid_nll(prior, codes[:48]).mean().item()
    assert result["prior, training images"].nats_per_grid == pytest.approx(expected, rel=1e-5)


def test_without_the_label_the_likelihood_is_the_mean_over_labels(codes: LatentCodes) -> None:
    prior = lively_prior()
    by_label = torch.stack(
        [torch.exp(-grid_nll(prior, replace(codes, labels=torch.full((96,), label))).double()) for label in range(3)]
    )
    torch.testing.assert_close(marginal_nll(prior, codes), -by_label.mean(0).log())
    unlabelled = PixelCNN(8, (4, 5), num_blocks=1, hidden_channels=4).eval()
    assert torch.equal(marginal_nll(unlabelled, codes), grid_nll(unlabelled, codes))


def test_the_standard_error_shrinks_with_the_number_of_grids(codes: LatentCodes) -> None:
    prior = lively_prior()
    four_times = replace(codes, codes=codes.codes.repeat(4, 1, 1), labels=codes.labels.repeat(4))
    once, more = (evaluate_prior(prior, codes, test, PIXELS)["prior"].bits for test in (codes, four_times))
    assert once.error / more.error == pytest.approx(2)
    values = grid_nll(prior, codes).double() / 20 / math.log(2)
    assert once.error == pytest.approx(values.std(correction=0).item() / math.sqrt(96))


def test_codes_of_two_kinds_are_refused(codes: LatentCodes) -> None:
    with pytest.raises(InputError, match="another codebook or grid"):
        evaluate_prior(flat_prior(), replace(codes, num_codes=9), codes, PIXELS)
    with pytest.raises(InputError, match="latent_dim"):
        evaluate_prior(flat_prior(), codes, replace(codes, num_codes=9), PIXELS)


def test_nothing_is_not_predicted(codes: LatentCodes) -> None:
    with pytest.raises(InputError, match="grids to predict and pixels, got 96, 96 and 0"):
        evaluate_prior(flat_prior(), codes, codes, 0)
    with pytest.raises(InputError, match="no likelihood 'bigram'; expected one of uniform, unigram"):
        evaluate_prior(flat_prior(), codes, codes, PIXELS)["bigram"]
