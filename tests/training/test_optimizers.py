"""AdamW and Muon as one: who moves what, by how much, and that a state is whole."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_models import CONFIG, make_prior, make_vqvae
from torch import nn

from lpvq import InputError, LatentCodes, PixelCNN, train_prior, train_vqvae
from lpvq.data.images import ImageData
from lpvq.files import checksum
from lpvq.training.config import TrainConfig
from lpvq.training.optimizers import Optimizer

MUON = replace(CONFIG, learning_rate=0.01, muon_rate=0.02, precision="float32")


def moved(shape: tuple[int, ...], config: TrainConfig, share: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix and a bias with random gradients: by how much one step moves them."""
    torch.manual_seed(0)
    matrix, bias = nn.Parameter(torch.randn(shape)), nn.Parameter(torch.randn(shape[0]))
    before = matrix.detach().clone(), bias.detach().clone()
    optimizer = Optimizer([matrix, bias], [matrix], config)
    matrix.grad, bias.grad = torch.randn(shape), torch.randn(shape[0])
    optimizer.step(share)
    return matrix.detach() - before[0], bias.detach() - before[1]


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (6, 5, 2, 3)])
def test_muon_moves_in_all_directions_of_a_matrix_alike(shape: tuple[int, ...]) -> None:
    step, _ = moved(shape, MUON)
    sizes = torch.linalg.svdvals(step.flatten(1)) / (MUON.muon_rate * 0.2 * math.sqrt(max(step.flatten(1).shape)))
    # The iteration stops when they are all near 1; the random gradient's own are from 0.3 to 5.
    assert sizes.min() > 0.5 and sizes.max() < 1.5


def test_without_muon_all_is_adamw() -> None:
    for step in moved((4, 5), replace(MUON, muon_rate=0.0)):
        assert step.abs().flatten().tolist() == pytest.approx([0.01] * step.numel(), rel=1e-4)


def test_what_is_no_matrix_is_moved_by_adamw() -> None:
    _, step = moved((4, 5), MUON)
    assert step.abs().tolist() == pytest.approx([0.01] * 4, rel=1e-4)


def test_both_rates_follow_the_share() -> None:
    for whole, half in zip(moved((4, 5), MUON), moved((4, 5), MUON, share=0.5), strict=True):
        torch.testing.assert_close(half, whole / 2, rtol=1e-3, atol=0)


def test_weight_decay_shrinks_matrices_too() -> None:
    decayed, plain = moved((4, 5), replace(MUON, weight_decay=0.5))[0], moved((4, 5), MUON)[0]
    torch.manual_seed(0)
    torch.testing.assert_close(decayed - plain, -0.02 * 0.5 * torch.randn(4, 5), rtol=1e-2, atol=1e-5)


def test_a_training_with_muon_in_parts_ends_bit_for_bit_where_a_whole_one_ends(
    codes: LatentCodes, tmp_path: Path
) -> None:
    whole, parts = make_prior(), make_prior()
    train_prior(whole, codes, MUON)
    for until in (5, 12):
        train_prior(parts, codes, MUON, checkpoint=tmp_path / "c", until=until)
    assert checksum(whole) == checksum(parts)
    other = make_prior()
    train_prior(other, codes, replace(MUON, muon_rate=0.03))
    assert checksum(other) != checksum(whole)


def test_a_checkpoint_of_adamw_is_no_state_of_muon(codes: LatentCodes, tmp_path: Path) -> None:
    train_prior(make_prior(), codes, MUON, checkpoint=tmp_path / "c", until=5)
    with pytest.raises(InputError, match=r"muon_rate was 0\.02, is 0\.0"):
        train_prior(make_prior(), codes, replace(MUON, muon_rate=0.0), checkpoint=tmp_path / "c")


def test_what_needs_no_gradient_is_not_trained(codes: LatentCodes) -> None:
    prior: PixelCNN = make_prior()
    prior.head.requires_grad_(False)
    before = {name: value.clone() for name, value in prior.state_dict().items()}
    train_prior(prior, codes, MUON)
    changed = {name for name, value in prior.state_dict().items() if not torch.equal(value, before[name])}
    assert "blocks.0.link.weight" in changed and not any(name.startswith("head") for name in changed)


def test_muon_moves_what_is_between_features_of_a_vqvae(smileys: ImageData) -> None:
    vqvae = make_vqvae()
    assert [tuple(matrix.shape[:2]) for matrix in vqvae.matrices()] == [
        *[(8, 8), (4, 8)],  # of the encoder, without the one that sees pixels
        *[(8, 4), (8, 8), (8, 8), (8, 8), (8, 8), (8, 8)],  # of the decoder, without the one that makes pixels
    ]
    after = []
    for rate in (0.0, 0.02, 0.03):
        vqvae = make_vqvae()
        train_vqvae(vqvae, smileys, replace(MUON, muon_rate=rate))
        after.append(checksum(vqvae))
    assert len(set(after)) == 3
