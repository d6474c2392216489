"""The VQ-VAE: shapes, what it learns from, what it refuses."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq import VQVAE, InputError
from lpvq.models.vqvae import ResidualBlock, Upsampling


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 16, 24, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("downsample", [2, 4, 8])
def test_codes_and_images_have_the_promised_shapes(channels: int, downsample: int) -> None:
    model = VQVAE(channels, num_codes=6, code_dim=4, hidden_channels=8, downsample=downsample)
    images = torch.rand(2, channels, 16, 24)
    output = model(images)
    assert output.reconstruction.shape == images.shape
    assert output.codes.shape == (2, 16 // downsample, 24 // downsample)
    codes = model.encode(images)
    assert codes.dtype == torch.int64 and codes.shape == output.codes.shape
    decoded = model.decode(codes)
    assert decoded.shape == images.shape and decoded.dtype == torch.float32
    assert decoded.min() >= 0 and decoded.max() <= 1


def test_decoding_codes_gives_the_reconstruction(images: Tensor) -> None:
    model = VQVAE(3, 6, 4, 8).eval()
    output = model(images)
    assert torch.equal(model.encode(images), output.codes)
    torch.testing.assert_close(model.decode(output.codes), output.reconstruction.clamp(0, 1))


def test_the_reconstruction_loss_reaches_the_encoder(images: Tensor) -> None:
    model = VQVAE(3, 6, 4, 8)
    model(images).reconstruction_loss.backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.encoder.parameters()
    )


def test_encoding_learns_nothing_even_in_training_mode(images: Tensor) -> None:
    model = VQVAE(3, 6, 4, 8)
    model(images)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.encode(images)
    model.decode(model.encode(images))
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_code_depends_on_its_own_pixels_and_few_around() -> None:
    # Two strided convolutions of size 4 see 10 pixels: no more than 3 beyond the 4 that a code stands for.
    model = VQVAE(1, 6, 4, 8, downsample=4).double()
    image = torch.rand(1, 1, 32, 32, dtype=torch.float64, requires_grad=True)
    model.encoder(image)[0, :, 4, 4].sum().backward()
    rows = image.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert rows.min() == 16 - 3 and rows.max() == 19 + 3


def test_many_images_are_taken_in_batches_without_a_difference() -> None:
    model = VQVAE(1, 6, 4, 8)
    images = torch.rand(1030, 1, 8, 8)
    codes = model.encode(images)
    assert torch.equal(codes[1000:], model.encode(images[1000:]))
    torch.testing.assert_close(model.decode(codes)[1000:], model.decode(codes[1000:]))


def test_a_residual_block_leaves_its_input_alone() -> None:
    x = torch.randn(1, 4, 5, 5)
    before = x.clone()
    block = ResidualBlock(4)
    y = block(x)
    assert torch.equal(x, before)
    torch.testing.assert_close(y - x, block.layers(x))


def test_no_two_layers_share_their_weights() -> None:
    model = VQVAE(3, 6, 4, 8)
    every_mention = list(model.named_parameters(remove_duplicate=False))
    assert len(every_mention) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.rand(1, 1, 16, 16), r"\(B, 3, H, W\), got \(1, 1, 16, 16\)"),
        (torch.rand(3, 16, 16), r"\(B, 3, H, W\), got \(3, 16, 16\)"),
        (torch.rand(1, 3, 16, 18), "multiples of 4, got 16 × 18"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), "divide by 255"),
        (torch.rand(1, 3, 16, 16).double(), r"torch.float32 as the model, got torch.float64"),
        (torch.rand(1, 3, 16, 16) * 255, r"in \[0, 1\]"),
        (torch.full((1, 3, 16, 16), float("nan")), "finite"),
        (torch.full((1, 3, 16, 16), float("inf")), "finite"),
        (torch.rand(0, 3, 16, 16), "at least one image"),
    ],
)
def test_images_that_do_not_fit_are_refused_by_name(images: Tensor, message: str) -> None:
    model = VQVAE(3, 6, 4, 8)
    for function in (model, model.encode):
        with pytest.raises(InputError, match=message):
            function(images)


def test_codes_that_do_not_fit_are_refused_by_name() -> None:
    model = VQVAE(3, 6, 4, 8)
    with pytest.raises(InputError, match=r"\(B, H, W\)"):
        model.decode(torch.zeros(4, 4, dtype=torch.int64))
    with pytest.raises(InputError, match=r"0 … 5, got 0 … 6"):
        model.decode(torch.tensor([[[0, 6]]]))


def test_a_downsampling_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="2, 4 or 8, got 3"):
        VQVAE(3, 6, 4, 8, downsample=3)


def test_a_plain_background_has_the_same_code_at_the_border_as_in_the_middle(vqvae: VQVAE) -> None:
    z = vqvae.encoder(torch.full((1, 3, 16, 16), 0.3))
    torch.testing.assert_close(z, z[:, :, :1, :1].expand_as(z))


def test_a_doubling_continues_its_input_beyond_the_border() -> None:
    layer = Upsampling(2, 3)
    doubled = layer(torch.full((1, 2, 3, 4), 0.3))
    assert doubled.shape == (1, 3, 6, 8)
    tiles = doubled.unfold(2, 2, 2).unfold(3, 2, 2)
    torch.testing.assert_close(tiles, tiles[:, :, :1, :1].expand_as(tiles))
    # In the middle, it is the ordinary transposed convolution.
    x = torch.randn(1, 2, 5, 5)
    ordinary = F.conv_transpose2d(x, layer.weight, layer.bias, stride=2, padding=1)
    torch.testing.assert_close(layer(x)[:, :, 1:-1, 1:-1], ordinary[:, :, 1:-1, 1:-1])
