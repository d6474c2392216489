"""Models saved and loaded by their class."""

import json
import os
from pathlib import Path

import pytest
import torch

from lpvq import VQVAE, InputError, PixelCNN
from lpvq.files import checksum, write_json, write_tensors


@pytest.mark.parametrize("place", ["new/folder", "folder.pt", "new/model.pt"])
def test_a_model_comes_back_bit_for_bit_from_a_folder_or_a_file(place: str, tmp_path: Path, vqvae: VQVAE) -> None:
    (tmp_path / "folder.pt").mkdir()  # a folder all the same
    vqvae(torch.rand(2, 3, 8, 8))
    vqvae.save_pretrained(tmp_path / place)
    names = {"model.pt", "model.json"} if place == "new/model.pt" else {"vqvae.pt", "vqvae.json"}
    home = tmp_path / "new" if place == "new/model.pt" else tmp_path / place
    assert {path.name for path in home.iterdir()} == names
    back = VQVAE.from_pretrained(tmp_path / place)
    assert checksum(back) == checksum(vqvae) and back.config == vqvae.config
    assert not back.training and vqvae.training
    assert all(parameter.requires_grad for parameter in back.parameters())


def test_priors_and_vqvaes_share_a_folder(tmp_path: Path, vqvae: VQVAE) -> None:
    prior = PixelCNN(8, (2, 3), num_blocks=1, hidden_channels=4, num_classes=2)
    for model in (vqvae, prior):
        model.save_pretrained(str(tmp_path))
    assert checksum(VQVAE.from_pretrained(str(tmp_path))) == checksum(vqvae)
    back = PixelCNN.from_pretrained(str(tmp_path))
    assert checksum(back) == checksum(prior) and back.image_size == (2, 3)


def test_settings_of_the_quantizer_are_kept(tmp_path: Path) -> None:
    settings = {"kind": "entropy-constrained", "rate_weight": 0.3, "decay": 0.9, "restart_threshold": 0.5}
    VQVAE(1, 8, 4, 8, quantizer=settings).save_pretrained(tmp_path)
    quantizer = VQVAE.from_pretrained(tmp_path).quantizer
    assert (quantizer.rate_weight, quantizer.decay, quantizer.restart_threshold) == (0.3, 0.9, 0.5)


def test_the_tilde_is_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vqvae: VQVAE) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    vqvae.save_pretrained("~/models")
    assert (tmp_path / "home" / "models" / "vqvae.pt").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert checksum(VQVAE.from_pretrained("~/models/vqvae.pt")) == checksum(vqvae)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_a_model_cast_as_a_whole_comes_back_in_its_type(kind: torch.dtype, tmp_path: Path, vqvae: VQVAE) -> None:
    images = torch.rand(2, 3, 8, 8)
    vqvae(images)
    vqvae.to(kind).save_pretrained(tmp_path)
    back = VQVAE.from_pretrained(tmp_path)
    assert checksum(back) == checksum(vqvae)
    assert torch.equal(back.encode(images.to(kind)), vqvae.encode(images.to(kind)))


def test_loading_takes_as_much_chance_as_making_a_model(tmp_path: Path, vqvae: VQVAE) -> None:
    vqvae.save_pretrained(tmp_path)
    torch.manual_seed(1)
    VQVAE(**vqvae.config)
    expected = torch.rand(3)
    torch.manual_seed(1)
    VQVAE.from_pretrained(tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_another_class_missing_files_and_files_for_folders_are_refused(tmp_path: Path, vqvae: VQVAE) -> None:
    with pytest.raises(InputError, match=r"vqvae\.json does not exist"):
        VQVAE.from_pretrained(tmp_path)
    vqvae.save_pretrained(tmp_path / "m.pt")
    with pytest.raises(InputError, match="describes 'VQVAE', expected a PixelCNN"):
        PixelCNN.from_pretrained(tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"prior\.json does not exist"):
        PixelCNN.from_pretrained(tmp_path)
    for function in (VQVAE.from_pretrained, vqvae.save_pretrained):
        with pytest.raises(InputError, match=r"m\.json is a file; expected a folder"):
            function(tmp_path / "m.json")
    (tmp_path / "m.pt").unlink()
    with pytest.raises(InputError, match=r"m\.pt does not exist"):
        VQVAE.from_pretrained(tmp_path / "m.pt")
    (tmp_path / "m.json").unlink()
    (tmp_path / "m.json").mkdir()
    with pytest.raises(InputError, match=r"m\.json cannot be read"):
        VQVAE.from_pretrained(tmp_path / "m.pt")


class Trap:
    """Unpickling this would make a folder."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("trapped",)


def test_no_pickled_code_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vqvae: VQVAE) -> None:
    monkeypatch.chdir(tmp_path)
    vqvae.save_pretrained(tmp_path)
    weights = {**vqvae.state_dict(), "encoder.0.weight": Trap()}
    about = json.loads((tmp_path / "vqvae.json").read_text())
    write_json(tmp_path / "vqvae.json", {**about, "weights_sha256": write_tensors(tmp_path / "vqvae.pt", weights)})
    with pytest.raises(InputError, match="holds no tensors that can be read"):
        VQVAE.from_pretrained(tmp_path)
    assert not (tmp_path / "trapped").exists()
