"""What a network knows before any code: where a position is, and a sketch of the image."""

import pytest
import torch

from lpvq import VQVAE
from lpvq.models.contexts import COARSE_FEATURES, POSITION_CHANNELS, CoarseFeatures, position_features


def test_no_two_positions_of_a_large_grid_have_the_same_features() -> None:
    features = position_features(64, 64, torch.zeros(1))[0].flatten(1).T  # (4096, P)
    assert features.abs().max() <= 1
    distances = torch.cdist(features, features).fill_diagonal_(torch.inf)
    assert distances.min() > 0.5


def test_a_position_has_the_same_features_in_grids_of_any_size() -> None:
    small, large = position_features(3, 5, torch.zeros(1)), position_features(9, 7, torch.zeros(1))
    assert small.shape == (1, POSITION_CHANNELS, 3, 5)
    assert torch.equal(small, large[:, :, :3, :5])
    rows, columns = large[0].chunk(2)
    assert torch.equal(rows, rows[:, :, :1].expand_as(rows)) and torch.equal(columns, columns[:, :1].expand_as(columns))


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16])
def test_features_have_the_type_that_is_needed(kind: torch.dtype) -> None:
    assert position_features(2, 2, torch.zeros(1, dtype=kind)).dtype == kind


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_each_coarse_code_is_told_in_its_own_part_of_the_grid(factor: int) -> None:
    torch.manual_seed(0)
    features = CoarseFeatures(VQVAE(3, 7, 2, 4, decoder_blocks=0), factor)
    codes = torch.randint(7, (2, 12, 13))
    made = features(codes)
    assert made.shape == (2, COARSE_FEATURES, 12 * factor, 13 * factor)
    other = codes.clone()
    other[:, 0, 0] = (other[:, 0, 0] + 1) % 7
    changed = (features(other) != made).any(1)  # (B, 12 factor, 13 factor)
    assert changed[:, :factor, :factor].any(2).any(1).all()
    # The decoder carries it no further than three codes, and the convolutions four positions.
    reach = 4 * factor + 4
    assert not changed[:, reach:].any() and not changed[:, :, reach:].any()
