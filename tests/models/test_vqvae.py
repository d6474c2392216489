"""The VQ-VAE: shapes, what it learns from, what it refuses."""

import io
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, export

from lpvq import VQVAE, InputError
from lpvq.models.vqvae import ResidualBlock, Upsampling, VQVAEOutput

KINDS: list[dict[str, Any]] = [
    {"kind": "ema"},
    {"kind": "gradient"},
    {"kind": "normalised"},
    {"kind": "entropy-constrained", "rate_weight": 0.3},
    {"kind": "fsq", "levels": [4, 2]},
]


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 16, 24, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def everything_in_bfloat16() -> Iterator[None]:
    """Products and convolutions of float32 may be rounded; on a CPU with instructions for bfloat16, they then are."""
    torch.set_float32_matmul_precision("medium")
    torch.backends.mkldnn.conv.fp32_precision = "bf16"
    yield
    torch.backends.mkldnn.conv.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")


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


def test_a_reconstruction_beyond_white_and_black_still_has_a_gradient(images: Tensor) -> None:
    model = VQVAE(3, 6, 4, 8).eval()
    last = model.decoder[-1].bias
    for beyond in (5.0, -5.0):
        nn.init.constant_(last, beyond)
        output = model(images)
        assert output.reconstruction.abs().min() > 1
        last.grad = None
        output.reconstruction_loss.backward()
        assert (last.grad * beyond > 1).all()


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


def test_images_have_the_same_codes_whatever_the_precision_of_products(request: pytest.FixtureRequest) -> None:
    model = VQVAE(3, 64, 16, 32).eval()
    images = torch.rand(64, 3, 32, 32)
    model.train()(images)
    expected = model.encode(images)
    request.getfixturevalue("everything_in_bfloat16")
    settings: list[str] = []  # where a CPU has no instructions for bfloat16, only they show what is asked of it
    model.encoder.register_forward_hook(lambda *_: settings.append(torch.backends.mkldnn.conv.fp32_precision))
    assert torch.equal(model.encode(images), expected)
    assert settings == ["ieee"]
    assert torch.backends.mkldnn.conv.fp32_precision == "bf16"


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings["kind"])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_a_model_cast_as_a_whole_takes_and_gives_images_of_its_type(
    settings: dict[str, Any], kind: torch.dtype, images: Tensor
) -> None:
    model = VQVAE(3, 8, 2, 8, quantizer=settings)
    model(images)
    model.to(kind)
    images = images.to(kind)
    output = model(images)
    (output.reconstruction_loss + output.quantizer_loss).backward()
    assert output.reconstruction.dtype == kind and output.codes.dtype == torch.int64
    wide = torch.float64 if kind == torch.float64 else torch.float32
    assert output.reconstruction_loss.dtype == output.quantizer_loss.dtype == wide
    expected = F.mse_loss(output.reconstruction.to(wide), images.to(wide))
    torch.testing.assert_close(output.reconstruction_loss, expected)
    model.eval()
    codes = model.encode(images)
    assert torch.equal(codes, model(images).codes)
    decoded = model.decode(codes)
    assert decoded.dtype == kind and decoded.min() >= 0 and decoded.max() <= 1
    torch.testing.assert_close(decoded, model(images).reconstruction.clamp(0, 1))
    other = torch.float32 if kind == torch.float64 else torch.float64
    for function in (model, model.encode):
        with pytest.raises(InputError, match=f"must be {kind} as the model, got {other}"):
            function(images.to(other))


def test_inside_autocast_types_are_those_outside_and_codes_are_near(images: Tensor) -> None:
    model = VQVAE(3, 6, 4, 8)
    model(images)
    model.eval()
    outside = model(images)
    with torch.autocast("cpu", torch.bfloat16):
        codes, decoded = model.encode(images), model.decode(outside.codes)
        inside = model(images)
        (inside.reconstruction_loss + inside.quantizer_loss).backward()  # after encoding: weights still have gradients
    assert decoded.dtype == inside.reconstruction.dtype == torch.float32
    assert inside.reconstruction_loss.dtype == inside.quantizer_loss.dtype == torch.float32
    assert codes.dtype == torch.int64 and (codes == outside.codes).double().mean() > 0.9
    assert torch.equal(codes, inside.codes)
    # bfloat16 has 8 significant bits: 0.4 % a product, a few of them one after the other.
    torch.testing.assert_close(decoded, model.decode(outside.codes), atol=0.02, rtol=0)
    assert all(parameter.grad is not None for parameter in model.parameters())


class Encoding(nn.Module):
    def __init__(self, model: VQVAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model.encode(images)


class Decoding(Encoding):
    def forward(self, codes: Tensor) -> Tensor:
        return self.model.decode(codes)


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings["kind"])
def test_an_exported_model_gives_the_same_for_batches_of_another_size(settings: dict[str, Any]) -> None:
    model = VQVAE(3, 8, 2, 8, quantizer=settings)
    images, others = torch.rand(3, 3, 16, 16), torch.rand(5, 3, 16, 16)
    model(images)
    model.eval()
    whole = export(model, (images,), dynamic_shapes=({0: Dim("batch", min=2)},)).module()
    found, expected = whole(others), model(others)
    assert isinstance(found, VQVAEOutput)
    assert torch.equal(found.codes, expected.codes)
    for name in ("reconstruction", "reconstruction_loss", "quantizer_loss"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))
    for module, given, other in (
        (Encoding(model), images, others),
        (Decoding(model), model.encode(images), expected.codes),
    ):
        part = export(module.eval(), (given,), dynamic_shapes=({0: Dim("batch", min=2)},)).module()
        torch.testing.assert_close(part(other), module(other))


def test_an_exported_model_survives_the_disk_and_vectors_far_from_zero() -> None:
    model = VQVAE(3, 64, 4, 8)
    nn.init.constant_(model.encoder[-1].bias, 1000.0)
    images = torch.rand(8, 3, 16, 16)
    model(images)
    model.eval()
    file = io.BytesIO()
    torch.export.save(export(model, (images,)), file)
    file.seek(0)
    assert torch.equal(torch.export.load(file).module()(images).codes, model(images).codes)


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
        (torch.rand(1, 3, 16, 16).numpy(), "images must be a tensor, got ndarray"),
        (torch.rand(2, 3, 0, 16), "multiples of 4, got 0 × 16"),
        (torch.rand(2, 3, 16, 0), "multiples of 4, got 16 × 0"),
        (torch.full((1, 3, 16, 16), -1e-3), r"in \[0, 1\]"),
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
    with pytest.raises(InputError, match="codes must be a tensor, got list"):
        model.decode([[[0, 1]]])
    with pytest.raises(InputError, match=r"int64, got torch\.int32"):
        model.decode(torch.zeros(1, 4, 4, dtype=torch.int32))
    for shape in ((0, 4, 4), (2, 0, 4), (2, 4, 0)):
        with pytest.raises(InputError, match="at least one code"):
            model.decode(torch.zeros(shape, dtype=torch.int64))


ARGUMENTS: dict[str, Any] = {"in_channels": 3, "num_codes": 6, "code_dim": 4, "hidden_channels": 8}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ARGUMENTS for value in (0, -1, 2.0, math.nan, None, "3", True, [3])),
        *(("downsample", value) for value in (0, 3, 16, -4, 4.0, "4", None)),
        *((name, value) for name in ("encoder_blocks", "decoder_blocks") for value in (-1, 0.5, None, 10**9)),
        *(("quantizer", value) for value in ({"kind": 3}, {"kind": "ema", "decay": {}}, {1}, {"kind": {1}})),
    ],
)
def test_sizes_without_sense_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match="quantizer|decay" if name == "quantizer" else name):
        VQVAE(**{**ARGUMENTS, name: value})


def test_a_configuration_holds_plain_values_whatever_it_was_given() -> None:
    levels = np.array([4, 2])
    model = VQVAE(
        *(np.int64(3), np.int32(8), torch.tensor(2), np.uint8(8)),
        downsample=np.int64(2),
        encoder_blocks=np.int64(0),
        decoder_blocks=np.int64(1),
        quantizer={"kind": "fsq", "levels": levels},
    )
    expected = {
        **{"in_channels": 3, "num_codes": 8, "code_dim": 2, "hidden_channels": 8, "downsample": 2},
        **{"encoder_blocks": 0, "decoder_blocks": 1, "quantizer": {"kind": "fsq", "levels": [4, 2]}},
    }
    assert model.config == expected and json.loads(json.dumps(model.config)) == expected
    assert model(torch.rand(1, 3, 4, 4)).codes.shape == (1, 2, 2)
    weight = np.float32(0.5)
    settings = VQVAE(3, 8, 2, 8, quantizer={"commitment_weight": weight, "decay": np.float64(0.5)}).config["quantizer"]
    assert json.dumps(settings) == '{"commitment_weight": 0.5, "decay": 0.5}'


def test_printing_a_model_shows_its_parts_with_their_settings() -> None:
    shown = repr(VQVAE(3, 6, 4, 8, downsample=8))
    for part in ("downsample=8", "channels=8", "num_codes=6, code_dim=4, commitment_weight=0.25"):
        assert part in shown


def test_outputs_can_be_compared_and_kept_in_sets(images: Tensor) -> None:
    model = VQVAE(3, 6, 4, 8).eval()
    outputs = [model(images), model(images)]
    assert outputs[0] == outputs[0] and outputs[0] != outputs[1]
    assert len(set(outputs)) == 2


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
