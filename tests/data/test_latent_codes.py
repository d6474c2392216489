"""Codes: the same each time, small on disk, refused when they are of something else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from lpvq import VQVAE, InputError, LatentCodes, PixelCNN, extract_codes
from lpvq.data import images, latent_codes
from lpvq.data.images import ImageData
from lpvq.data.latent_codes import join_codes
from lpvq.files import checksum
from lpvq.training.losses import grid_nll


@pytest.fixture
def vqvae(vqvae: VQVAE, smileys: ImageData) -> VQVAE:
    """One whose codebook has begun with vectors of the images: else all images would have the same codes."""
    vqvae.train()
    for _ in range(2):
        vqvae(smileys.floats())
    assert len(extract_codes(vqvae, smileys).codes.unique(dim=0)) > 48
    return vqvae


def test_extraction_is_deterministic_and_learns_nothing(vqvae: VQVAE, smileys: ImageData) -> None:
    before = {name: value.clone() for name, value in vqvae.state_dict().items()}
    first, second = extract_codes(vqvae, smileys), extract_codes(vqvae, smileys)
    assert torch.equal(first.codes, second.codes)
    assert vqvae.training
    assert all(torch.equal(before[name], value) for name, value in vqvae.state_dict().items())
    assert torch.equal(extract_codes(vqvae.eval(), smileys).codes, first.codes) and not vqvae.training


def test_codes_come_in_the_order_of_the_images_with_what_belongs_to_them(vqvae: VQVAE, smileys: ImageData) -> None:
    codes = extract_codes(vqvae, smileys)
    assert codes.codes.shape == (96, 4, 4) and codes.grid == (4, 4) and len(codes) == 96
    assert torch.equal(codes.codes[50:51], vqvae.encode(smileys.floats([50])))
    assert torch.equal(codes.labels, smileys.labels)
    assert codes.class_names == smileys.class_names and codes.num_codes == 8 and codes.dataset == "smileys"
    assert codes.vqvae_checksum == checksum(vqvae) and codes.data_checksum == smileys.checksum()


def test_codes_of_many_batches_are_in_the_order_of_the_images(
    vqvae: VQVAE, smileys: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = extract_codes(vqvae, smileys)
    monkeypatch.setattr(images, "_PIXELS_AT_ONCE", 10 * 16**2)
    assert len(smileys.batches()) == 10
    assert torch.equal(extract_codes(vqvae, smileys).codes, whole.codes)


def test_codes_of_no_images_are_refused_in_words(vqvae: VQVAE, smileys: ImageData) -> None:
    with pytest.raises(InputError, match="smileys has no images"):
        extract_codes(vqvae, smileys[96:])


@pytest.mark.parametrize(("num_codes", "kind"), [(8, np.uint8), (256, np.uint8), (257, np.uint16), (65_537, np.uint32)])
def test_codes_are_saved_in_the_smallest_type_without_pickles(
    codes: LatentCodes, tmp_path: Path, num_codes: int, kind: type
) -> None:
    codes = replace(codes, num_codes=num_codes)
    codes.codes[0, 0, 0] = num_codes - 1
    codes.save(tmp_path / "c.npz")
    with np.load(tmp_path / "c.npz", allow_pickle=False) as file:
        assert file["codes"].dtype == kind
    back = LatentCodes.load(tmp_path / "c.npz")
    assert torch.equal(back.codes, codes.codes) and back.codes.dtype == torch.int64
    assert torch.equal(back.labels, codes.labels) and back.labels.dtype == torch.int64
    for name in ("num_codes", "class_names", "dataset", "vqvae_checksum", "data_checksum"):
        assert getattr(back, name) == getattr(codes, name)


def test_codes_of_another_vqvae_are_refused_by_name(vqvae: VQVAE, smileys: ImageData) -> None:
    codes = extract_codes(vqvae, smileys)
    codes.check_made_by(vqvae)
    vqvae.quantizer.code_sums += 0.01
    with pytest.raises(InputError, match="codes of smileys were made by another VQ-VAE"):
        codes.check_made_by(vqvae)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "floats": ({"codes": torch.zeros(2, 4, 5)}, r"codes must be .*int64.* \(N, H, W\).*got torch.float32"),
    "int32": ({"codes": torch.zeros(2, 4, 5, dtype=torch.int32)}, "int64.*got torch.int32"),
    "booleans": ({"codes": torch.zeros(2, 4, 5, dtype=torch.bool)}, "int64.*got torch.bool"),
    "one grid": ({"codes": torch.zeros(4, 5, dtype=torch.int64)}, r"\(N, H, W\).*got torch.int64 and \(4, 5\)"),
    "images": ({"codes": torch.zeros(96, 1, 4, 5, dtype=torch.int64)}, r"got torch.int64 and \(96, 1, 4, 5\)"),
    "an array": ({"codes": np.zeros((96, 4, 5), int)}, "codes must be a tensor.*got a ndarray"),
    "another device": ({"codes": torch.zeros(96, 4, 5, dtype=torch.int64, device="meta")}, "on the CPU.*on meta"),
    "no grids": ({"codes": torch.zeros(0, 4, 5, dtype=torch.int64)}, r"no grids of rows.*\(0, 4, 5\)"),
    "no width": ({"codes": torch.zeros(96, 4, 0, dtype=torch.int64)}, r"grids without codes: \(96, 4, 0\)"),
    "a code too large": ({"num_codes": 5}, "codes must be in 0 … 4, got 0 … 7"),
    "a negative code": ({"codes": torch.full((96, 4, 5), -1)}, "codes must be in 0 … 7, got -1 … -1"),
    "no codebook": ({"num_codes": 0}, "num_codes must be an int in 1 … 16777216, got 0"),
    "a negative codebook": ({"num_codes": -8}, "num_codes must be an int in 1 .*, got -8"),
    "half a codebook": ({"num_codes": 8.0}, "num_codes must be an int in 1 .*, got 8.0"),
    "a codebook as text": ({"num_codes": "8"}, "num_codes must be an int in 1 .*, got '8'"),
    "a codebook as a boolean": ({"num_codes": True}, "num_codes must be an int in 1 .*, got True"),
    "numpy's number": ({"num_codes": np.int64(8)}, "num_codes must be an int"),
    "a codebook beyond all memory": ({"num_codes": 2**40}, "num_codes must be an int in 1 … 16777216"),
    "fewer labels": ({"labels": torch.arange(3)}, "3 labels for 96 grids"),
    "float labels": ({"labels": torch.zeros(96)}, "labels must be .*int64.*got torch.float32"),
    "a negative label": ({"labels": torch.full((96,), -1)}, "labels must be in 0 … 2.*got -1 … -1"),
    "a label without a name": ({"class_names": ("a", "b")}, "labels must be in 0 … 1.*got 0 … 2"),
    "a list of names": ({"class_names": ["a", "b", "c"]}, "class_names must be a tuple of texts"),
    "a dataset without a name": ({"dataset": None}, "dataset must be a text, got None"),
    "a checksum as bytes": ({"vqvae_checksum": b"f00d"}, "vqvae_checksum must be a text, got b'f00d'"),
    "no checksum": ({"data_checksum": None}, "data_checksum must be a text, got None"),
}


@pytest.mark.parametrize(("changes", "expected"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused_when_the_set_is_made(
    codes: LatentCodes, changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        replace(codes, **changes)


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, torch.tensor])
def test_an_index_gives_a_grid_with_its_label_whatever_kind_of_whole_number_it_is(
    codes: LatentCodes, kind: Any
) -> None:
    grid, label = codes[kind(7)]
    assert torch.equal(grid, codes.codes[7]) and type(label) is int and label == 1
    assert torch.equal(codes[-96][0], codes.codes[0])


@pytest.mark.parametrize("index", [96, -97, np.int64(96)])
def test_an_index_out_of_range_is_an_index_error_as_torch_expects(codes: LatentCodes, index: Any) -> None:
    with pytest.raises(IndexError, match="out of range for a set of 96"):
        codes[index]


@pytest.mark.parametrize("items", [[0, 1], torch.tensor([0, 1]), np.array([3, 4]), 1.0, "1", None, True], ids=str)
def test_anything_else_is_refused_with_what_takes_it(codes: LatentCodes, items: Any) -> None:
    with pytest.raises(InputError, match=r"whole number or a slice.*torch\.utils\.data\.Subset"):
        codes[items]


def test_a_slice_is_a_set_and_a_slice_of_nothing_is_refused(codes: LatentCodes) -> None:
    part = codes[10:20]
    assert torch.equal(part.codes, codes.codes[10:20]) and torch.equal(part.labels, codes.labels[10:20])
    assert part.codes.data_ptr() == codes.codes[10].data_ptr() and part.dataset == "rows"
    with pytest.raises(InputError, match="no grids of rows"):
        codes[96:]


@pytest.mark.parametrize("shuffle", [False, True])
def test_torchs_loader_gives_every_grid_once_with_its_label(codes: LatentCodes, shuffle: bool) -> None:
    numbered = replace(codes, codes=torch.arange(96)[:, None, None].expand(96, 4, 5), num_codes=96)
    loader = DataLoader(numbered, batch_size=40, shuffle=shuffle, generator=torch.Generator().manual_seed(1))
    batches = list(loader)
    assert [len(grids) for grids, _ in batches] == [40, 40, 16]
    grids, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    order = grids[:, 0, 0].tolist()
    assert grids.shape == (96, 4, 5) and grids.dtype == labels.dtype == torch.int64
    assert sorted(order) == list(range(96)) and (order == sorted(order)) != shuffle
    assert labels.tolist() == [number % 3 for number in order]


@pytest.mark.parametrize("side", [1, 32, 200])
def test_batches_have_every_grid_once_and_in_order_whatever_the_size(side: int) -> None:
    number = 40_000 if side == 1 else 70
    grids = torch.zeros(number, side, side, dtype=torch.int64)
    batches = LatentCodes(grids, torch.zeros(number, dtype=torch.int64), 2, ("a",), "zeros", "").batches()
    assert torch.cat(batches).tolist() == list(range(number))
    assert max(len(batch) for batch in batches) * side**2 <= max(2**15, side**2)


def test_codes_that_a_prior_was_not_made_for_are_refused_by_name(codes: LatentCodes) -> None:
    codes.check_fits(PixelCNN(8, (4, 5), 1, num_classes=3))
    codes.check_fits(PixelCNN(8, (4, 5), 1))
    with pytest.raises(InputError, match="codebook of 8, the prior has latent_dim=9"):
        codes.check_fits(PixelCNN(9, (4, 5), 1))
    with pytest.raises(InputError, match=r"grid of \(4, 5\), the prior has image_size=\(5, 4\)"):
        codes.check_fits(PixelCNN(8, (5, 4), 1))
    with pytest.raises(InputError, match="labels up to 2, the prior has num_classes=2"):
        codes.check_fits(PixelCNN(8, (4, 5), 1, num_classes=2))


def test_the_checksum_of_another_set_is_another_one(codes: LatentCodes) -> None:
    copy = replace(codes, codes=codes.codes.clone(), labels=codes.labels.clone(), dataset="a copy", vqvae_checksum="")
    assert copy.checksum() == codes.checksum()
    changed = codes.codes.clone()
    changed[95, 3, 4] = (changed[95, 3, 4] + 1) % 8
    for change in (
        {"codes": changed},
        {"codes": codes.codes.flip(0)},
        {"codes": codes.codes.transpose(1, 2)},
        {"labels": codes.labels.roll(1)},
        {"num_codes": 9},
        {"class_names": ("a", "b", "d")},
    ):
        assert replace(codes, **change).checksum() != codes.checksum()


def test_two_levels_are_the_codes_of_the_images_and_of_the_shrunken_images(
    vqvae: VQVAE, smileys: ImageData, tmp_path: Path
) -> None:
    coarse_vqvae = VQVAE(in_channels=3, num_codes=5, code_dim=4, hidden_channels=8)
    for _ in range(2):  # so that images differ in their codes
        coarse_vqvae(smileys.floats())
    both = extract_codes(vqvae, smileys, coarse_vqvae, 2)
    assert torch.equal(both.codes, extract_codes(vqvae, smileys).codes)
    shrunken = smileys.floats().view(96, 3, 8, 2, 8, 2).mean((3, 5))
    assert torch.equal(both.coarse.codes, coarse_vqvae.encode(shrunken)) and both.coarse.num_codes == 5
    assert not torch.equal(both.coarse.codes, coarse_vqvae.encode(smileys.floats()[:, :, ::2, ::2]))
    assert both.coarse.vqvae_checksum == checksum(coarse_vqvae)
    assert both.checksum() != replace(both, coarse=None).checksum()
    both.save(tmp_path / "both.npz")
    read = LatentCodes.load(tmp_path / "both.npz")
    assert read.checksum() == both.checksum() and read.coarse.vqvae_checksum == both.coarse.vqvae_checksum
    part = both[3:5]
    assert torch.equal(part.coarse.codes, both.coarse.codes[3:5]) and torch.equal(part.coarse.labels, part.labels)
    with pytest.raises(InputError, match="there are 96 grids of smileys, and 95 coarse ones"):
        replace(both, coarse=both.coarse[1:])


def test_sets_are_joined_with_both_levels(vqvae: VQVAE, smileys: ImageData) -> None:
    both = extract_codes(vqvae, smileys, vqvae, 2)
    joined = join_codes([both[:40], both[40:41], both[41:]])
    assert joined.checksum() == both.checksum()
    assert join_codes([replace(both, coarse=None)]).coarse is None


def test_a_prior_of_fine_codes_needs_coarse_ones_that_fit(vqvae: VQVAE, smileys: ImageData) -> None:
    both = extract_codes(vqvae, smileys, vqvae, 2)
    prior = PixelCNN(8, 4, 1, hidden_channels=4, num_classes=3, coarse_vqvae=vqvae, coarse_factor=2)
    both.check_fits(prior)
    for other in (replace(both, coarse=None), replace(both, coarse=replace(both.coarse, num_codes=9))):
        with pytest.raises(InputError, match="the prior needs coarse codes"):
            other.check_fits(prior)


@pytest.mark.parametrize("missing", ["coarse_codes", "coarse_num_codes", "coarse_vqvae_checksum"])
def test_a_file_with_half_of_a_level_is_refused(vqvae: VQVAE, smileys: ImageData, missing: str, tmp_path: Path) -> None:
    extract_codes(vqvae, smileys, vqvae, 2).save(tmp_path / "both.npz")
    arrays = {name: value for name, value in np.load(tmp_path / "both.npz").items() if name != missing}
    np.savez(tmp_path / "half.npz", **arrays)
    with pytest.raises(InputError, match=r"expected .*coarse_codes"):
        LatentCodes.load(tmp_path / "half.npz")


def test_describe_knows_the_entropies_of_a_made_up_set() -> None:
    # Position 0 is always code 0, position 1 is 1 or 2 equally often; code 3 never occurs.
    grids = torch.tensor([[[0, 1]], [[0, 2]]]).repeat(10, 1, 1)
    about = LatentCodes(grids, torch.zeros(20, dtype=torch.int64), 4, ("a",), "x", "y").describe()
    assert about["usage"] == 0.75
    assert about["uniform"] == pytest.approx(np.log(4))
    assert about["unigram"] == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(4))
    assert about["unigram_per_position"] == pytest.approx(0.5 * np.log(2))
    assert about["perplexity"] == pytest.approx(np.exp(about["unigram"]))


def test_very_many_codes_take_less_memory_and_are_the_same(
    vqvae: VQVAE, smileys: ImageData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usual = extract_codes(vqvae, smileys)
    monkeypatch.setattr(latent_codes, "_MANY", usual.codes.numel() - 1)
    small = extract_codes(vqvae, smileys)
    small.save(tmp_path / "codes.npz")
    assert torch.equal(small[90:].codes, small.codes[90:])  # a part is held as the whole
    for codes in (small, LatentCodes.load(tmp_path / "codes.npz"), join_codes([small[:5], small[5:]])):
        assert codes.codes.dtype == torch.uint8 and torch.equal(codes.codes.long(), usual.codes)
        assert codes.checksum() == usual.checksum() and codes.describe() == usual.describe()
        assert codes[3][0].dtype == torch.int64
    prior = PixelCNN(8, small.grid, 1, hidden_channels=4, num_classes=3)
    assert torch.equal(grid_nll(prior, small), grid_nll(prior, usual))
    assert latent_codes.small_type(10**8, 512) == torch.int16 and latent_codes.small_type(10, 512) == torch.int64
