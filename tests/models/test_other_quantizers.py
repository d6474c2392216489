"""The quantizers to compare with: what each does differently, and that the rest of the project takes any of them."""

import inspect
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lpvq import VQVAE, InputError, VectorQuantizer
from lpvq.data.images import ImageData
from lpvq.files import load_model, save_model
from lpvq.models.other_quantizers import (
    EntropyConstrainedQuantizer,
    GradientQuantizer,
    NormalisedQuantizer,
    make_quantizer,
)
from lpvq.training.trainer import TrainConfig
from lpvq.training.vqvae import train_vqvae

KINDS: list[dict[str, Any]] = [
    {"kind": "ema", "commitment_weight": 1.0, "restart_threshold": 0},
    {"kind": "gradient"},
    {"kind": "normalised"},
    {"kind": "entropy-constrained", "rate_weight": 0.3},
    {"kind": "fsq", "levels": [4, 2]},
]


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings["kind"])
def test_a_vqvae_with_any_quantizer_learns_and_survives_the_disk(
    settings: dict[str, Any], smileys: ImageData, tmp_path: Path
) -> None:
    model = VQVAE(3, 8, 2, 8, encoder_blocks=1, decoder_blocks=1, quantizer=settings)
    history = train_vqvae(model, smileys, TrainConfig(steps=30, learning_rate=1e-2, batch_size=32, validations=2))
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    images = smileys.floats()
    codes = model.encode(images)
    torch.testing.assert_close(model.decode(codes), model(images).reconstruction.clamp(0, 1))
    save_model(model, tmp_path / "model.pt")
    loaded, _ = load_model(VQVAE, tmp_path / "model.pt")
    assert torch.equal(loaded.encode(images), codes) and torch.equal(loaded.decode(codes), model.decode(codes))


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings["kind"])
def test_assigning_learns_nothing_and_agrees_with_the_call(settings: dict[str, Any]) -> None:
    quantizer = make_quantizer(8, 2, settings)
    z = torch.randn(2, 2, 3, 5)
    quantizer(z)  # the start from data, where there is one
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    codes = quantizer.assign(z)
    assert codes.shape == (2, 3, 5)
    assert all(torch.equal(before[name], value) for name, value in quantizer.state_dict().items())
    quantizer.eval()
    output = quantizer(z)
    assert torch.equal(output.codes, codes)
    torch.testing.assert_close(output.vectors, quantizer.lookup(codes))
    assert quantizer.codebook.shape == (8, 2)


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings["kind"])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_every_quantizer_computes_in_float32_or_float64(settings: dict[str, Any], kind: torch.dtype) -> None:
    expected = torch.float64 if kind == torch.float64 else torch.float32
    quantizer = make_quantizer(8, 2, settings)
    z = torch.randn(4, 2, 5, 5).to(kind)
    quantizer(z)  # the start from data, where there is one
    plain = make_quantizer(8, 2, settings)
    plain.load_state_dict(quantizer.state_dict())
    plain.eval()
    quantizer.eval().to(kind)
    output = quantizer(z)
    assert {value.dtype for value in quantizer.state_dict().values()} <= {expected, torch.bool}
    assert output.vectors.dtype == output.loss.dtype == quantizer.codebook.dtype == expected
    assert quantizer.lookup(output.codes).dtype == expected
    assert torch.equal(output.codes, plain(z.float()).codes)
    torch.testing.assert_close(output.vectors.float(), plain(z.float()).vectors)
    with torch.autocast("cpu", torch.bfloat16):
        inside = quantizer(z)
    assert inside.vectors.dtype == expected and torch.equal(inside.codes, output.codes)


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings["kind"])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_a_model_made_while_torch_makes_other_types_works_too(settings: dict[str, Any], kind: torch.dtype) -> None:
    torch.set_default_dtype(kind)
    try:
        model = VQVAE(3, 8, 2, 8, quantizer=settings)
        images = torch.rand(2, 3, 8, 8)
        assert model(images).reconstruction.dtype == images.dtype == kind
        model.eval()
        assert torch.equal(model.encode(images), model(images).codes)
    finally:
        torch.set_default_dtype(torch.float32)
    expected = torch.float64 if kind == torch.float64 else torch.float32
    assert model.quantizer.codebook.dtype == expected


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings["kind"])
def test_every_quantizer_refuses_what_is_not_there(settings: dict[str, Any]) -> None:
    quantizer = make_quantizer(8, 2, settings)
    for function in (quantizer, quantizer.assign):
        with pytest.raises(InputError, match="at least one vector"):
            function(torch.zeros(0, 2, 3, 3))
        with pytest.raises(InputError, match="NaN or infinity"):
            function(torch.full((1, 2, 3, 3), math.inf))


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings["kind"])
def test_printing_any_quantizer_shows_its_settings(settings: dict[str, Any]) -> None:
    quantizer = make_quantizer(8, 2, settings)
    shown = repr(quantizer)
    assert "num_codes=8, code_dim=2" in shown
    for name in inspect.signature(type(quantizer)).parameters:
        assert name == "more" or f"{name}={getattr(quantizer, name)}" in shown


def test_each_term_of_the_gradient_quantizers_loss_has_the_gradient_of_the_paper() -> None:
    quantizer = GradientQuantizer(2, 1, commitment_weight=0.25)
    with torch.no_grad():
        quantizer.entries.copy_(torch.tensor([[0.0], [10.0]]))
    z = torch.tensor([1.0, 2.0, 7.0]).view(1, 1, 1, 3).requires_grad_()
    output = quantizer(z)
    assert output.codes.tolist() == [[[0, 0, 1]]]
    assert output.loss.item() == pytest.approx((1 + 4 + 9) / 3 * 1.25)
    output.loss.backward()
    # d/de of mean((sg[z] − e)²), and β · d/dz of mean((z − sg[e])²).
    torch.testing.assert_close(quantizer.entries.grad, torch.tensor([[-2 / 3 * (1 + 2)], [2 / 3 * 3]]))
    torch.testing.assert_close(z.grad.flatten(), 0.25 * 2 / 3 * torch.tensor([1.0, 2.0, -3.0]))
    z.grad = None
    quantizer(z).vectors.sum().backward()
    assert z.grad.flatten().tolist() == [1, 1, 1]


def test_directions_alone_count_for_the_normalised_quantizer() -> None:
    quantizer = NormalisedQuantizer(4, 3)
    z = torch.randn(8, 3, 2, 2)
    quantizer(z)
    torch.testing.assert_close(quantizer.codebook.norm(dim=1), torch.ones(4))
    lengths = torch.rand(8, 1, 2, 2) + 0.1
    assert torch.equal(quantizer.assign(z), quantizer.assign(z * lengths))
    quantizer.eval()
    torch.testing.assert_close(quantizer(z).vectors.norm(dim=1), torch.ones(8, 2, 2))


def test_the_vectors_that_are_normalised_do_not_grow_without_end() -> None:
    # The decoder's gradient is at right angles to z, so that each step makes z longer: here without end, were it not
    # for the commitment. The vectors are what is learned, and what is wanted of them changes at random.
    z = torch.nn.Parameter(torch.randn(4, 8, 4, 4))
    quantizer = NormalisedQuantizer(16, 8, commitment_weight=1.0)
    optimizer = torch.optim.SGD([z], lr=20.0)
    for _ in range(300):
        output = quantizer(z)
        loss = (output.vectors * torch.randn_like(z)).mean() + output.loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert z.norm(dim=1).mean() < 1.5


def test_the_commitment_of_a_normalised_quantizer_is_to_the_entry_itself() -> None:
    quantizer = NormalisedQuantizer(2, 2, commitment_weight=0.5).eval()
    quantizer.code_sums.copy_(torch.tensor([[1.0, 0.0], [0.0, 7.0]]))
    z = torch.tensor([3.0, 1.0]).view(1, 2, 1, 1).requires_grad_()
    output = quantizer(z)
    assert output.loss.item() == pytest.approx(0.5 * ((3 - 1) ** 2 + 1) / 2)
    output.loss.backward()
    torch.testing.assert_close(z.grad.flatten(), 0.5 * torch.tensor([2.0, 1.0]))
    z.grad = None
    output = quantizer(z)
    (output.vectors * torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)).sum().backward()
    # Straight through the choice, but not through the division by the length: at right angles to z.
    direction, length = F.normalize(z.detach().flatten(), dim=0), z.detach().norm()
    wanted = torch.tensor([1.0, 2.0])
    torch.testing.assert_close(z.grad.flatten(), (wanted - (wanted @ direction) * direction) / length)


def test_a_rare_code_has_to_be_much_nearer() -> None:
    quantizer = EntropyConstrainedQuantizer(2, 1, rate_weight=0.5).eval()
    quantizer.code_counts.copy_(torch.tensor([1.0, 3.0]))
    quantizer.code_sums.copy_(torch.tensor([[0.0], [3 * 4.0]]))  # entries at 0 and 4
    quantizer.scale.fill_(8.0)
    quantizer.updates.fill_(1000)
    # The first pays 0.5 · 8 · log 3 more, so the border moves from 2 to where x² + 4 log 3 = (4 − x)².
    border = 2 - torch.tensor(3.0).log().item() / 2
    z = torch.tensor([border - 0.01, border + 0.01, 2.1]).view(1, 1, 1, 3)
    assert quantizer.assign(z).flatten().tolist() == [0, 1, 1]
    assert VectorQuantizer.assign(quantizer, z).flatten().tolist() == [0, 1, 1]  # by way of _choose
    quantizer.updates.fill_(150)  # half of what it takes to reach λ
    z = torch.tensor([border + 0.01, (2 + border) / 2 - 0.01, (2 + border) / 2 + 0.01]).view(1, 1, 1, 3)
    assert quantizer.assign(z).flatten().tolist() == [0, 0, 1]
    quantizer.rate_weight = 0.0
    assert quantizer.assign(torch.tensor([1.99, 2.01]).view(1, 1, 1, 2)).flatten().tolist() == [0, 1]


def test_the_scale_is_the_moving_average_of_the_distance_to_the_nearest_not_the_chosen() -> None:
    quantizer = EntropyConstrainedQuantizer(2, 1, rate_weight=5.0, restart_threshold=0, decay=0.9)
    quantizer.started.fill_(True)
    quantizer.code_counts.copy_(torch.tensor([1.0, 99.0]))
    quantizer.code_sums.copy_(torch.tensor([[0.0], [990.0]]))  # entries at 0 and 10
    quantizer.scale.fill_(4.0)
    quantizer.updates.fill_(1000)
    codes = quantizer(torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)).codes
    assert codes.flatten().tolist() == [1, 1]  # the nearest is 0, but it is rare
    assert quantizer.scale.item() == pytest.approx(0.9 * 4 + 0.1 * (1 + 9) / 2)
    assert quantizer.updates == 1001
    assert {"scale", "updates"} <= set(quantizer.state_dict())


def test_a_weight_of_zero_is_the_plain_quantizer() -> None:
    plain, weighted = VectorQuantizer(8, 4), EntropyConstrainedQuantizer(8, 4, rate_weight=0.0)
    for seed in range(3):
        z = torch.randn(4, 4, 5, 5, generator=torch.Generator().manual_seed(seed))
        outputs = []
        for quantizer in (plain, weighted):
            torch.manual_seed(seed)  # for the start and the restarts
            outputs.append(quantizer(z))
        assert torch.equal(outputs[0].codes, outputs[1].codes)
    assert torch.equal(plain.codebook, weighted.codebook)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"kind": "lattice"},
            "'lattice' is unknown; expected one of ema, gradient, normalised, entropy-constrained, fsq",
        ),
        ({"kind": "gradient", "decay": 0.9}, "'gradient' does not take these settings.*decay"),
        ({"kind": "entropy-constrained", "rate_weight": -1}, "rate_weight must be at least 0 and finite, got -1"),
        (
            {"kind": "entropy-constrained", "rate_weight": math.nan},
            "rate_weight must be at least 0 and finite",
        ),
        ({"kind": "entropy-constrained", "decay": -1}, "decay must be at least 0"),
        ({"kind": "gradient", "commitment_weight": math.nan}, "commitment_weight must be at least 0 and finite"),
        ({"kind": "ema", "num_codes": 4}, "'ema' does not take these settings.*num_codes"),
        ({"kind": ["ema"]}, r"\['ema'\] is unknown"),
        ({"kind": None}, "None is unknown"),
        ({"kind": "fsq", "levels": 8}, "levels must be"),
        ({"kind": "fsq"}, "'fsq' does not take these settings.*levels"),
        ({"kind": "fsq", "levels": [3, 3]}, "9 codes of 2 numbers, expected 8 of 2"),
    ],
)
def test_quantizers_without_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_quantizer(8, 2, settings)


@pytest.mark.parametrize("kind", ["ema", "gradient", "normalised", "entropy-constrained"])
def test_sizes_of_every_codebook_are_whole_numbers(kind: str) -> None:
    for sizes in ((0, 2), (8, -1), (8.0, 2), (8, "2"), (None, 2), (math.nan, 2)):
        with pytest.raises(InputError, match=r"num_codes|code_dim"):
            make_quantizer(*sizes, {"kind": kind})
    quantizer = make_quantizer(np.int64(8), np.int16(2), {"kind": kind})
    assert (type(quantizer.num_codes), type(quantizer.code_dim)) == (int, int)


@pytest.mark.parametrize("name", ["encoder_blocks", "decoder_blocks"])
def test_a_negative_number_of_blocks_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}.*at least 0"):
        VQVAE(3, 8, 4, 8, **{name: -1})


def test_residual_blocks_let_a_code_see_further() -> None:
    def seen(blocks: int) -> int:
        image = torch.rand(1, 1, 64, 64, requires_grad=True)
        VQVAE(1, 8, 4, 8, encoder_blocks=blocks).encoder(image)[0, :, 8, 8].sum().backward()
        return int(image.grad[0, 0, 34].ne(0).sum())

    # Two strided convolutions of 4 see 10 pixels; each 3 × 3 on the grid adds two codes of 4 pixels.
    assert [seen(blocks) for blocks in (0, 1, 2)] == [10, 18, 26]
