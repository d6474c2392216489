"""Reconstructions and patches: each figure against a computation of its own."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure as similarity

from lpvq import VQVAE, InputError
from lpvq.data.images import ImageData
from lpvq.evaluation.codes import decode_entries, evaluate_reconstruction, mean_patches


def test_the_error_is_measured_in_eval_mode_against_the_variance_of_the_same_scaling(
    vqvae: VQVAE, smileys: ImageData
) -> None:
    vqvae.train()
    counts = vqvae.quantizer.code_counts.clone()
    result = evaluate_reconstruction(vqvae, smileys)
    assert vqvae.training and torch.equal(vqvae.quantizer.code_counts, counts)
    images = smileys.floats()
    decoded = vqvae.decode(vqvae.encode(images))
    assert result.mse == pytest.approx((decoded - images).square().mean().item(), rel=1e-5)
    assert result.variance == pytest.approx(images.var().item(), rel=1e-4)
    assert result.relative_error.value == pytest.approx(result.mse / result.variance)
    by_image = (decoded - images).square().mean((1, 2, 3)) / images.var()
    assert result.relative_error.error == pytest.approx(by_image.std().item() / math.sqrt(96), rel=0.01)
    assert result.psnr == pytest.approx(-10 * math.log10(result.mse))


class _Decoding(VQVAE):
    """A VQ-VAE whose reconstructions are what the test says."""

    def __init__(self, made: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__(3, 8, 4, 8)
        self.made = made

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        self.images = images
        return torch.zeros(len(images), 4, 4, dtype=torch.int64)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return self.made(self.images)


def test_the_mean_colour_alone_has_a_relative_error_of_about_one(smileys: ImageData) -> None:
    mean = smileys.floats().mean()
    result = evaluate_reconstruction(_Decoding(lambda images: torch.full_like(images, mean)), smileys)
    assert result.relative_error.value == pytest.approx(1, abs=1e-3)


def test_error_psnr_and_similarity_get_worse_with_noise(smileys: ImageData) -> None:
    def noisy(spread: float) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda images: (images + spread * torch.randn_like(images)).clamp(0, 1)

    little, much = (evaluate_reconstruction(_Decoding(noisy(spread)), smileys) for spread in (0.01, 0.1))
    assert little.relative_error.value < much.relative_error.value
    assert little.psnr > much.psnr + 15  # a tenth of the noise is a hundredth of its square: 20 decibels, less clamping
    assert 1 > little.ssim.value > much.ssim.value + 0.05


def test_the_structural_similarity_is_that_of_each_image_with_its_own_reconstruction(smileys: ImageData) -> None:
    perfect = evaluate_reconstruction(_Decoding(lambda images: images), smileys)
    assert perfect.ssim.value == pytest.approx(1, abs=1e-5)  # float32
    assert (perfect.mse, perfect.psnr) == (0, math.inf)
    swapped = evaluate_reconstruction(_Decoding(lambda images: images.roll(1, 0)), smileys)
    assert swapped.ssim.value < 0.6
    images = smileys.floats()
    by_image = torch.stack(
        [
            similarity(one[None], other[None], data_range=1.0)
            for one, other in zip(images.roll(1, 0), images, strict=True)
        ]
    )
    # Batches may be rolled by themselves, so this many images have to fit one.
    assert len(smileys.batches()) == 1
    assert swapped.ssim.value == pytest.approx(by_image.mean().item(), rel=1e-4)
    assert swapped.ssim.error == pytest.approx(by_image.std(correction=0).item() / math.sqrt(96), rel=1e-3)


def test_what_cannot_be_compared_is_refused(vqvae: VQVAE, smileys: ImageData) -> None:
    with pytest.raises(InputError, match="has no images"):
        evaluate_reconstruction(vqvae, smileys[:0])
    with pytest.raises(InputError, match="all pixels of smileys have the same value"):
        evaluate_reconstruction(vqvae, replace(smileys, images=torch.full_like(smileys.images, 7)))
    with pytest.raises(InputError, match="SSIM needs more than 5 × 5 pixels"):
        evaluate_reconstruction(vqvae, replace(smileys, images=smileys.images[:, :, :4, :4]))


@pytest.mark.parametrize("shape", [(95, 4, 4), (97, 4, 4), (96, 3, 4), (96, 16)])
def test_patches_of_codes_of_other_images_are_refused(shape: tuple[int, ...], smileys: ImageData) -> None:
    with pytest.raises(InputError, match=r"expected codes of shape \(96, 4, 4\) for the images of smileys, got"):
        mean_patches(torch.zeros(shape, dtype=torch.int64), smileys, 4, 8)


def test_patches_of_no_images_are_refused(smileys: ImageData) -> None:
    with pytest.raises(InputError, match="smileys has no images"):
        mean_patches(torch.zeros(0, 4, 4, dtype=torch.int64), smileys[:0], 4, 8)


def test_the_patches_of_a_code_are_averaged() -> None:
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    images[0, 0, :2, 2:] = torch.tensor([[10, 20], [30, 40]])  # position (0, 1) of the first grid
    images[1, 0, 2:, :2] = torch.tensor([[30, 20], [30, 60]])  # position (1, 0) of the second
    codes = torch.zeros(2, 2, 2, dtype=torch.int64)
    codes[0, 0, 1] = codes[1, 1, 0] = 2
    data = ImageData(images, torch.zeros(2, dtype=torch.int64), ("a",), "patches")
    patches = mean_patches(codes, data, 2, 4)
    torch.testing.assert_close(patches[2, 0] * 255, torch.tensor([[20.0, 20.0], [30.0, 50.0]]))
    assert patches[0].eq(0).all() and patches[1].eq(0.5).all()


def test_patches_keep_their_channels_and_batches_make_no_difference(
    smileys: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = torch.randint(5, (96, 4, 4))
    patches = mean_patches(codes, smileys, 4, 5)
    image, row, column = (codes == 3).nonzero().T
    wanted = torch.stack(
        [
            smileys.floats()[i, :, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4]
            for i, r, c in zip(image, row, column, strict=True)
        ]
    )
    torch.testing.assert_close(patches[3], wanted.mean(0))
    monkeypatch.setattr("lpvq.data.images._PIXELS_AT_ONCE", 16 * 16 * 7)
    torch.testing.assert_close(mean_patches(codes, smileys, 4, 5), patches)


def test_an_entry_is_decoded_among_its_like(vqvae: VQVAE) -> None:
    entries = decode_entries(vqvae)
    alone = vqvae.decode(torch.full((1, 3, 3), 5))[0, :, 4:8, 4:8]
    assert entries.shape == (8, 3, 4, 4)
    assert torch.allclose(entries[5], alone, atol=1e-6)  # in a batch, sums may be rounded in another order
