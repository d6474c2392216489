"""Files: whole or not there, and never trusted."""

import json
import os
import resource
from collections.abc import Callable, Iterator
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
from processes import in_new_process


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


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), SystemExit(143)])
def test_nothing_is_left_of_a_write_that_fails(
    failing: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr(os, failing, fail)
        write_atomically(tmp_path / "new" / "a", b"new")
    assert list((tmp_path / "new").iterdir()) == []
    write_atomically(tmp_path / "new" / "a", b"newer")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]


@pytest.fixture
def umask() -> Iterator[Callable[[int], None]]:
    before = os.umask(0o022)
    yield lambda mask: os.umask(mask) and None
    os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o002, 0o664), (0o022, 0o644), (0o027, 0o640), (0, 0o666)])
def test_who_may_read_a_file_is_the_users_choice(
    mask: int, mode: int, tmp_path: Path, umask: Callable[[int], None], vqvae: VQVAE
) -> None:
    umask(mask)
    save_model(vqvae, tmp_path / "m.pt")
    write_tensors(tmp_path / "c", {"a": torch.ones(2)}, checked=True)
    write_atomically(tmp_path / "m.pt", b"over it")
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == dict.fromkeys(
        ["m.pt", "m.json", "c"], mode
    )


@pytest.mark.parametrize("name", ["x" * 250, "ü" * 125, "€" * 83, "😀" * 62, "x" * 246 + ".pt", ".hidden", "a b", "-"])
def test_a_name_may_be_as_long_and_strange_as_the_file_system_takes(name: str, tmp_path: Path) -> None:
    assert 1 <= len(name.encode()) <= 250
    write_atomically(tmp_path / name, b"old")
    write_atomically(tmp_path / name, b"new")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"new"


def test_a_name_that_is_too_long_is_refused_by_the_system_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the file is as it was before"):
        write_atomically(tmp_path / ("x" * 300), b"new")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "m.pt").mkdir()
    (tmp_path / "m.json").mkdir()
    for read in (read_json, read_tensors):
        for name in ("m.pt", "m.json"):
            with pytest.raises(InputError, match=rf"{name} cannot be read .*: move it away and make it anew"):
                read(tmp_path / name)
    with pytest.raises(InputError, match=r"m\.json cannot be read"):
        load_model(VQVAE, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").is_dir() and (tmp_path / "m.json").is_dir()


def test_json_that_no_program_could_read_is_named(tmp_path: Path) -> None:
    for content in (b"", b"{", b"\xff\xfe\xfd", b"[" * 100_000, b"{'a': 1}"):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(InputError, match=r"a\.json is not valid JSON .*; delete it and make it again"):
            read_json(tmp_path / "a.json")


def test_a_file_that_begins_with_its_own_checksum_is_read_only_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "c"
    write_tensors(path, {"a": torch.arange(3)}, checked=True)
    assert torch.equal(read_tensors(path, checked=True)["a"], torch.arange(3))
    content = path.read_bytes()
    assert content.startswith(b"lpvq checked ")
    for damaged in (content[:-1], content + b"x", content[1:], content.partition(b"\n")[2], b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="c is damaged or not what its first line describes"):
            read_tensors(path, checked=True)


def fill_the_disk(path: Path) -> str:
    """Write more than may be written: as on a full disk, the operating system refuses to write on."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    with pytest.raises(OSError) as refused:
        write_atomically(path, bytes(100_000))
    return str(refused.value)


def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    complaint = in_new_process(fill_the_disk, path).result
    assert "0.1 MiB could not be written, the file is as it was before" in complaint
    assert str(path) in complaint
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
