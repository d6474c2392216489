"""Losses over a whole set: the same numbers as by hand, in eval mode, whatever the batches."""

import math
from dataclasses import replace

import pytest
import torch
from small_models import make_prior

from lpvq import VQVAE, InputError, LatentCodes, PixelCNN
from lpvq.data import images as images_module
from lpvq.data import latent_codes
from lpvq.data.images import ImageData
from lpvq.files import checksum
from lpvq.models.whole_number_conversion import whole_number_prior
from lpvq.training.losses import grid_nll, reconstruction_error


def test_the_reconstruction_error_is_the_mean_over_all_pixels_of_decoded_codes(
    vqvae: VQVAE, smileys: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    vqvae.train()
    before = checksum(vqvae)
    images = smileys.floats()
    expected = (vqvae.decode(vqvae.encode(images)) - images).square().mean().item()
    assert reconstruction_error(vqvae, smileys) == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(images_module, "_PIXELS_AT_ONCE", 7 * 16 * 16)  # 96 images are no multiple of 7
    assert reconstruction_error(vqvae, smileys) == pytest.approx(expected, rel=1e-5)
    assert vqvae.training and checksum(vqvae) == before, "the codebook must not learn from what is evaluated"


def test_the_nll_of_each_grid_is_its_own_and_given_its_label(
    codes: LatentCodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    prior = make_prior().train()
    with torch.no_grad():
        expected = torch.stack([prior.nll(codes.codes[i, None], codes.labels[i, None])[0] for i in range(96)])
        wrong = prior.nll(codes.codes, (codes.labels + 1) % 3)
    assert torch.allclose(grid_nll(prior, codes), expected, rtol=1e-5)
    monkeypatch.setattr(latent_codes, "_POSITIONS_AT_ONCE", 7 * 20)
    nats = grid_nll(prior, codes)
    assert nats.shape == (96,) and torch.allclose(nats, expected, rtol=1e-5)
    assert not torch.allclose(nats, wrong, rtol=1e-3)
    assert prior.training and not nats.requires_grad and not nats.is_inference()


def test_a_prior_in_whole_numbers_has_a_nll_too(codes: LatentCodes) -> None:
    prior = make_prior().requires_grad_(False)
    whole = whole_number_prior(prior, codes.codes, codes.labels)
    assert torch.allclose(grid_nll(whole, codes), grid_nll(prior, codes), rtol=0.01)


def test_a_prior_without_classes_takes_no_labels(codes: LatentCodes) -> None:
    prior = PixelCNN(8, (4, 5), 1, hidden_channels=4)
    assert torch.equal(grid_nll(prior, codes), grid_nll(prior, replace(codes, labels=codes.labels.flip(0))))


def test_a_prior_that_knows_nothing_needs_the_logarithm_of_the_number_of_codes(codes: LatentCodes) -> None:
    prior = make_prior()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.zero_()
    assert grid_nll(prior, codes).tolist() == pytest.approx([20 * math.log(8)] * 96)


def test_empty_sets_have_no_loss(vqvae: VQVAE, smileys: ImageData, codes: LatentCodes) -> None:
    with pytest.raises(InputError, match="smileys has no images"):
        reconstruction_error(vqvae, smileys[:0])
    with pytest.raises(InputError, match="no grids of rows"):
        grid_nll(make_prior(), codes[:0])
