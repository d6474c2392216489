"""Files: whole or not there, and never trusted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lpvq import VQVAE, InputError, PixelCNN
from lpvq.files import (
    checksum,
    load_model,
    read_json,
    read_tensors,
    save_model,
    write_atomically,
    write_json,
    write_tensors,
)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "a.json", {"x": [1, 2.5, None]})
    assert read_json(tmp_path / "new" / "a.json") == {"x": [1, 2.5, None]}
    value = {"a": torch.arange(3), "b": [1.5, {"c": torch.ones(2)}]}
    write_tensors(tmp_path / "b.pt", value)
    back = read_tensors(tmp_path / "b.pt")
    assert torch.equal(back["a"], value["a"]) and back["b"][0] == 1.5


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    write_atomically(path, b"old")

    def fail(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


FILL = """
import resource, sys
from lpvq.files import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # as a full disk: the operating system refuses to write on
try:
    write_atomically(sys.argv[1], bytes(100_000))
except OSError as error:
    print(error)
"""


def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    result = subprocess.run([sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, check=True)
    assert "0.1 MiB could not be written, the file is as it was before" in result.stdout
    assert str(path) in result.stdout
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_model_is_saved_with_its_configuration(tmp_path: Path) -> None:
    model = PixelCNN(5, (3, 4), num_blocks=2, hidden_channels=4, num_classes=2)
    save_model(model, tmp_path / "prior.pt", {"seconds": 3})
    back, about = load_model(PixelCNN, tmp_path / "prior.pt")
    assert about["seconds"] == 3 and about["config"]["num_blocks"] == 2
    assert checksum(back) == checksum(model)
    assert back.image_size == (3, 4) and not back.training
    plain = torch.load(tmp_path / "prior.pt", weights_only=True)
    assert plain.keys() == model.state_dict().keys()


def test_the_checksum_changes_with_any_weight_or_buffer(vqvae: VQVAE) -> None:
    before = checksum(vqvae)
    assert checksum(vqvae) == before
    vqvae.quantizer.code_sums[0, 0] += 1e-6
    assert checksum(vqvae) != before


def test_another_kind_of_model_is_refused(tmp_path: Path, vqvae: VQVAE) -> None:
    save_model(vqvae, tmp_path / "m.pt")
    with pytest.raises(InputError, match="describes 'VQVAE', expected a PixelCNN"):
        load_model(PixelCNN, tmp_path / "m.pt")


def test_truncated_foreign_and_missing_files_are_named(tmp_path: Path, vqvae: VQVAE) -> None:
    path = tmp_path / "m.pt"
    with pytest.raises(InputError, match=r"m\.json does not exist"):
        load_model(VQVAE, path)
    save_model(vqvae, path)
    content = path.read_bytes()
    for damage in (content[:1000], b"", b"GIF89a" + content):
        path.write_bytes(damage)
        with pytest.raises(InputError, match=r"m\.pt is damaged"):
            load_model(VQVAE, path)
        with pytest.raises(InputError, match=r"m\.pt holds no tensors"):
            read_tensors(path)
    path.write_bytes(content[:2000] + bytes([content[2000] ^ 1]) + content[2001:])  # a single bit
    with pytest.raises(InputError, match=r"m\.pt is damaged"):
        load_model(VQVAE, path)
    path.unlink()
    with pytest.raises(InputError, match=r"m\.pt does not exist"):
        load_model(VQVAE, path)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        load_model(VQVAE, path)


def test_weights_that_do_not_fit_this_version_are_refused(tmp_path: Path, vqvae: VQVAE) -> None:
    path = tmp_path / "m.pt"
    save_model(vqvae, path)
    about = json.loads(path.with_suffix(".json").read_text())
    for config in ({**about["config"], "code_dim": 5}, {**about["config"], "colour": 1}):
        write_json(path.with_suffix(".json"), {**about, "config": config})
        with pytest.raises(InputError, match="does not fit this version's VQVAE"):
            load_model(VQVAE, path)


class Trap:
    """Unpickling this would run a command."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("trapped",)


def test_no_pickled_code_is_ever_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Trap()}, tmp_path / "m.pt")
    with pytest.raises(InputError, match="holds no tensors"):
        read_tensors(tmp_path / "m.pt")
    assert not (tmp_path / "trapped").exists()
