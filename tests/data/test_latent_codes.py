"""Codes: the same each time, small on disk, refused when they are of something else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lpvq import VQVAE, InputError, LatentCodes, extract_codes
from lpvq.data.images import ImageData


def test_extraction_is_deterministic_and_learns_nothing(vqvae: VQVAE, smileys: ImageData) -> None:
    vqvae.train()
    vqvae(smileys.floats())
    before = {name: value.clone() for name, value in vqvae.state_dict().items()}
    first, second = extract_codes(vqvae, smileys), extract_codes(vqvae, smileys)
    assert torch.equal(first.codes, second.codes)
    assert vqvae.training
    assert all(torch.equal(before[name], value) for name, value in vqvae.state_dict().items())


def test_codes_come_in_the_order_of_the_images_with_what_belongs_to_them(vqvae: VQVAE, smileys: ImageData) -> None:
    codes = extract_codes(vqvae, smileys)
    assert codes.codes.shape == (96, 4, 4) and codes.grid == (4, 4) and len(codes) == 96
    assert torch.equal(codes.codes[50:51], vqvae.encode(smileys.floats([50])))
    assert torch.equal(codes.labels, smileys.labels)
    assert codes.class_names == smileys.class_names and codes.num_codes == 8 and codes.dataset == "smileys"


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
    for name in ("num_codes", "class_names", "dataset", "vqvae_checksum"):
        assert getattr(back, name) == getattr(codes, name)


def test_codes_of_another_vqvae_are_refused_by_name(vqvae: VQVAE, smileys: ImageData) -> None:
    codes = extract_codes(vqvae, smileys)
    codes.check_made_by(vqvae)
    vqvae.quantizer.code_sums += 0.01
    with pytest.raises(InputError, match="codes of smileys were made by another VQ-VAE"):
        codes.check_made_by(vqvae)


def test_damaged_and_foreign_files_are_named(codes: LatentCodes, tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    with pytest.raises(InputError, match=r"c\.npz does not exist"):
        LatentCodes.load(path)
    codes.save(path)
    content = path.read_bytes()
    for damage in (content[: len(content) // 2], b"", b"hello", content[:100] + b"x" * 50 + content[150:]):
        path.write_bytes(damage)
        with pytest.raises(InputError, match=r"c\.npz"):
            LatentCodes.load(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(InputError, match=r"c\.npz is no file of latent codes"):
        LatentCodes.load(path)
    np.savez(path, codes=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match=r"c\.npz is no file of latent codes"):
        LatentCodes.load(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(InputError, match=r"array\.npy is no file of latent codes"):
        LatentCodes.load(tmp_path / "array.npy")


def test_codes_out_of_range_are_refused_when_made_and_when_read(codes: LatentCodes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 … 4, got 0 … 7"):
        replace(codes, num_codes=5)
    codes.save(tmp_path / "c.npz")
    with np.load(tmp_path / "c.npz") as file:
        content = dict(file)
    np.savez(tmp_path / "c.npz", **{**content, "num_codes": np.int64(5)})
    with pytest.raises(InputError, match=r"c\.npz is damaged: codes must be in 0 … 4"):
        LatentCodes.load(tmp_path / "c.npz")


def test_labels_that_do_not_fit_are_refused(codes: LatentCodes) -> None:
    with pytest.raises(InputError, match="3 labels for 96 grids"):
        replace(codes, labels=codes.labels[:3])


def test_describe_knows_the_entropies_of_a_made_up_set() -> None:
    # Position 0 is always code 0, position 1 is 1 or 2 equally often; code 3 never occurs.
    grids = torch.tensor([[[0, 1]], [[0, 2]]]).repeat(10, 1, 1)
    about = LatentCodes(grids, torch.zeros(20, dtype=torch.int64), 4, ("a",), "x", "y").describe()
    assert about["usage"] == 0.75
    assert about["uniform"] == pytest.approx(np.log(4))
    assert about["unigram"] == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(4))
    assert about["unigram_per_position"] == pytest.approx(0.5 * np.log(2))
    assert about["perplexity"] == pytest.approx(np.exp(about["unigram"]))
