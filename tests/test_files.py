"""Files: whole or not there, and never trusted."""

import hashlib
import json
import math
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lpvq import VQVAE, InputError, PixelCNN
from lpvq.files import (
    checksum,
    load_model,
    new_file,
    new_folder,
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


def test_a_folder_is_there_once_all_is_in_it(tmp_path: Path) -> None:
    for attempt in range(2):  # the second time there is an empty folder already
        with new_folder(tmp_path / "new" / "a") as unfinished:
            (unfinished / "b").write_text("c")
            assert attempt or not (tmp_path / "new" / "a").exists()
        assert (tmp_path / "new" / "a" / "b").read_text() == "c"
        (tmp_path / "new" / "a" / "b").unlink()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), InputError("no")])
def test_nothing_is_left_of_a_folder_or_a_file_that_is_not_finished(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)), new_folder(tmp_path / "a") as unfinished:
        (unfinished / "b").mkdir()
        raise error
    with pytest.raises(type(error)), new_file(tmp_path / "a") as file:
        file.write(b"b")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_and_a_file_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("c")
    for name in ("a", "a/b"):
        with pytest.raises(InputError, match="exists already"), new_folder(tmp_path / name):
            pass
    assert (tmp_path / "a" / "b").read_text() == "c"
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


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


class Holder(nn.Module):
    """A model that holds one tensor, or whatever its state dict is made to hold."""

    def __init__(self, value: Any, name: str = "value") -> None:
        super().__init__()
        self.content = {name: value}

    def state_dict(self, *_: Any, **__: Any) -> dict[str, Any]:
        return self.content


def test_the_checksum_of_float32_weights_is_that_of_numpys_bytes(vqvae: VQVAE) -> None:
    # The checksums in the files that come with the project were made so.
    digest = hashlib.sha256()
    for name, tensor in vqvae.state_dict().items():
        values = tensor.numpy()
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
        digest.update(values.tobytes())
    assert checksum(vqvae) == digest.hexdigest()


TYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.bool),
    *(torch.complex64, torch.complex128),
)


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (3, 4)])
def test_numbers_of_every_type_and_shape_have_a_checksum(kind: torch.dtype, shape: tuple[int, ...]) -> None:
    value = torch.ones(shape).to(kind)
    found = checksum(Holder(value))
    assert checksum(Holder(value.clone())) == found
    assert checksum(Holder(value, "other")) != found
    assert checksum(Holder(value.unsqueeze(0))) != found
    assert len({checksum(Holder(torch.ones(shape).to(other))) for other in TYPES}) == len(TYPES)
    if value.numel():
        assert checksum(Holder(torch.zeros(shape).to(kind))) != found


def test_the_checksum_does_not_depend_on_how_numbers_lie_in_memory() -> None:
    value = torch.randn(4, 6)
    expected = checksum(Holder(value))
    for same in (value.T.contiguous().T, torch.randn(4, 12)[:, ::2].copy_(value), nn.Parameter(value)):
        assert checksum(Holder(same)) == expected
    channels_last = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    assert checksum(Holder(channels_last)) == checksum(Holder(channels_last.contiguous()))
    turned = torch.randn(3, dtype=torch.complex64)
    assert checksum(Holder(turned.conj())) == checksum(Holder(turned.conj().resolve_conj()))
    assert checksum(Holder(turned.conj())) != checksum(Holder(turned))
    assert checksum(Holder(turned.conj().imag)) == checksum(Holder(-turned.imag))
    assert checksum(Holder(torch.tensor([2.0]).expand(3))) == checksum(Holder(torch.full((3,), 2.0)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.ones(2, device="meta"), "value has no checksum: it is float32, not a plain tensor"),
        (torch.eye(2).to_sparse(), "not a plain tensor"),
        ("text", "it is str"),
        (None, "it is NoneType"),
    ],
)
def test_what_is_no_plain_tensor_has_no_checksum(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checksum(Holder(value))


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


def without(content: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != name}


def change(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    """A description in which one argument of the model is another."""
    return lambda about: {**about, "config": {**about["config"], name: value}}


DESCRIPTIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    **{f"no {name}": lambda about, name=name: without(about, name) for name in ("model", "config", "weights_sha256")},
    **{
        f"no {name}": lambda about, name=name: {**about, "config": without(about["config"], name)}
        for name in ("in_channels", "num_codes", "code_dim", "hidden_channels", "downsample", "quantizer")
    },
    **{
        f"{name} is {value!r:.20}": change(name, value)
        for name in ("in_channels", "num_codes", "code_dim", "hidden_channels", "downsample", "decoder_blocks")
        for value in (None, "3", 3.5, -1, 10**6, 10**12, 10**30, math.nan, math.inf, True, [3], {"a": 1})
    },
    **{
        f"quantizer is {value!r:.60}": change("quantizer", value)
        for value in (
            *("ema", 3, ["kind"], {"kind": "gradient"}, {"kind": "lattice"}, {"kind": None}, {"kind": ["ema"]}),
            *({"kind": "ema", "decay": math.nan}, {"kind": "ema", "decay": "0.9"}, {"kind": "ema", "colour": 1}),
            *({"kind": "fsq", "levels": [2, 2]}, {"kind": "fsq", "levels": [2] * 99}, {"kind": "ema", "num_codes": 8}),
            *({"kind": "entropy-constrained"}, {"kind": "ema", "decay": [[[[]]]]}, {"": 1}),
        )
    },
    "another model": lambda about: {**about, "model": "PixelCNN"},
    "another model's configuration": lambda about: {**about, "config": PixelCNN(8, 4, 1, 3, 4).config},
    "an unknown argument": change("colour", 1),
    "a name that is no text": lambda about: {**about, "model": ["VQVAE"]},
    "a configuration that is a list": lambda about: {**about, "config": list(about["config"].items())},
    "a configuration that is a text": lambda about: {**about, "config": "VQVAE"},
    "a configuration of nothing": lambda about: {**about, "config": {}},
    "a checksum that is a number": lambda about: {**about, "weights_sha256": 5},
    "a checksum that is null": lambda about: {**about, "weights_sha256": None},
    "another checksum": lambda about: {**about, "weights_sha256": "0" * 64},
    "half a checksum": lambda about: {**about, "weights_sha256": about["weights_sha256"][:32]},
    "a list": lambda about: [about],
    "nothing": lambda about: None,
    "a number": lambda about: math.nan,
    "a text": lambda about: "VQVAE",
}


@pytest.mark.parametrize("damage", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_no_damaged_description_gives_a_model(damage: Callable, tmp_path: Path) -> None:
    model = VQVAE(3, 8, 4, 8, downsample=2, quantizer={"decay": 0.9})
    save_model(model, tmp_path / "m.pt", {"seconds": 3})
    about = json.loads((tmp_path / "m.json").read_text())
    assert checksum(load_model(VQVAE, tmp_path / "m.pt")[0]) == checksum(model)
    # Where "quantizer" is left out, its defaults fit these weights: that is how files from before it are read.
    damaged = damage(about)
    write_json(tmp_path / "m.json", damaged)
    if damage is DESCRIPTIONS["no quantizer"]:
        assert load_model(VQVAE, tmp_path / "m.pt")[0].quantizer.decay == 0.99
        return
    with pytest.raises(InputError, match=r"m\.(json|pt)"):
        load_model(VQVAE, tmp_path / "m.pt")


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 100_000, b'{"model": ' * 50_000, b"\xff\xfe", b"9" * 5000, b"\0"])
def test_a_description_that_is_no_json_is_refused(text: bytes, tmp_path: Path, vqvae: VQVAE) -> None:
    save_model(vqvae, tmp_path / "m.pt")
    (tmp_path / "m.json").write_bytes(text)
    with pytest.raises(InputError, match=r"m\.json"):
        load_model(VQVAE, tmp_path / "m.pt")


NAME = "encoder.0.weight"
BUFFER = "quantizer.code_counts"


def with_value(value: float, name: str = NAME) -> Callable[[dict[str, Tensor]], Any]:
    """Weights in which one number is another."""

    def changed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        tensor = weights[name].clone()
        tensor.view(-1)[0] = value
        return {**weights, name: tensor}

    return changed


def with_tensor(function: Callable[[Tensor], Any], name: str = NAME) -> Callable[[dict[str, Tensor]], Any]:
    """Weights in which one tensor is another."""
    return lambda weights: {**weights, name: function(weights[name])}


WEIGHTS: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "NaN": (with_value(math.nan), rf"{NAME} holds NaN or infinity"),
    "infinity": (with_value(math.inf), rf"{NAME} holds NaN or infinity"),
    "minus infinity": (with_value(-math.inf, "decoder.0.bias"), r"decoder\.0\.bias holds NaN or infinity"),
    "NaN in a buffer": (with_value(math.nan, BUFFER), rf"{BUFFER} holds NaN"),
    "a count of zero": (with_value(0.0, BUFFER), rf"{BUFFER} must all be above 0"),
    "a negative count": (with_value(-2.0, BUFFER), rf"{BUFFER} must all be above 0"),
    "NaN in half precision": (
        lambda weights: with_value(math.nan)(VQVAE(3, 8, 4, 8).to(torch.bfloat16).state_dict()),
        rf"{NAME} holds NaN or infinity",
    ),
    "a tensor too few": (lambda weights: without(weights, NAME), f"other tensors.*{NAME}"),
    "a tensor too many": (lambda weights: {**weights, "more": torch.ones(1)}, "other tensors.*more"),
    "another name": (lambda weights: {**without(weights, NAME), "encoder.0.weights": weights[NAME]}, "other tensors"),
    "a name that is a number": (lambda weights: {**without(weights, NAME), 3: weights[NAME]}, "other tensors.*3"),
    "no tensors": (lambda weights: {}, "other tensors"),
    "more dimensions": (with_tensor(lambda t: t[None]), "shape"),
    "fewer dimensions": (with_tensor(torch.flatten), "shape"),
    "another order": (with_tensor(lambda t: t.transpose(0, 1)), "shape"),
    "a number for a vector": (with_tensor(lambda t: t.sum(), "encoder.0.bias"), "shape"),
    "an empty tensor": (with_tensor(lambda t: t[:0]), "shape"),
    "whole numbers": (with_tensor(Tensor.long), "int64"),
    "whole numbers in a buffer": (with_tensor(Tensor.int, BUFFER), "int32"),
    "float64": (with_tensor(Tensor.double, "decoder.0.bias"), "float64"),
    "half precision in a buffer": (with_tensor(Tensor.half, BUFFER), "float16"),
    "float8": (with_tensor(lambda t: t.to(torch.float8_e4m3fn)), "float8"),
    "complex": (with_tensor(lambda t: t.to(torch.complex64)), "complex64"),
    "a float for a bool": (with_tensor(Tensor.float, "quantizer.started"), "float32"),
    "a sparse tensor": (with_tensor(Tensor.to_sparse), f"{NAME} is no plain tensor|Validating sparse"),
    "a tensor without values": (with_tensor(lambda t: t.to("meta")), "no plain tensor"),
    "a list for a tensor": (with_tensor(Tensor.tolist), f"{NAME} is no plain tensor"),
    "a number for a tensor": (with_tensor(lambda t: 3), "no plain tensor"),
    "a text for a tensor": (with_tensor(lambda t: "weights"), "no plain tensor"),
    "nothing for a tensor": (with_tensor(lambda t: None, BUFFER), "no plain tensor"),
    "a list": (lambda weights: list(weights.values()), "list"),
    "pairs": (lambda weights: list(weights.items()), "list"),
    "a tensor": (lambda weights: weights[NAME], "Tensor"),
    "a text": (lambda weights: "weights", "str"),
    "nothing": (lambda weights: None, "NoneType"),
    "one more folder": (lambda weights: {"state_dict": weights}, "other tensors"),
    "a prior": (lambda weights: PixelCNN(8, 4, 1, 3, 4).state_dict(), "other tensors"),
}


@pytest.mark.parametrize(("damage", "message"), WEIGHTS.values(), ids=WEIGHTS)
def test_no_damaged_weights_give_a_model(damage: Callable, message: str, tmp_path: Path, vqvae: VQVAE) -> None:
    path = tmp_path / "m.pt"
    save_model(vqvae, path)
    about = json.loads(path.with_suffix(".json").read_text())
    sha256 = write_tensors(path, damage(dict(vqvae.state_dict())))  # so the checksum finds nothing wrong
    write_json(path.with_suffix(".json"), {**about, "weights_sha256": sha256})
    with pytest.raises(InputError, match=rf"m\.pt (does not fit|holds no tensors).*({message})"):
        load_model(VQVAE, path)


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("checked", [True, False])
def test_flipped_bits_and_missing_ends_are_found(place: float, checked: bool, tmp_path: Path, vqvae: VQVAE) -> None:
    path = tmp_path / "m.pt"
    save_model(vqvae, path)
    about, content = json.loads(path.with_suffix(".json").read_text()), path.read_bytes()
    position = int(place * len(content))
    flipped = content[:position] + bytes([content[position] ^ 64]) + content[position + 1 :]
    for damaged in (flipped, content[:position]):
        path.write_bytes(damaged)
        if not checked:  # as if the damage had been done before the checksum was taken
            write_json(path.with_suffix(".json"), {**about, "weights_sha256": hashlib.sha256(damaged).hexdigest()})
        try:
            load_model(VQVAE, path)
        except InputError as error:
            assert "m.pt" in str(error)
        else:  # a number that is finite, but another
            assert damaged is flipped and not checked


def test_a_configuration_that_does_not_fit_takes_no_memory(tmp_path: Path, vqvae: VQVAE) -> None:
    save_model(vqvae, tmp_path / "m.pt")
    about = json.loads((tmp_path / "m.json").read_text())
    write_json(tmp_path / "m.json", change("num_codes", 10**13)(about))  # 160 TB
    with pytest.raises(InputError, match=r"code_counts is .*expected .*\(10000000000000,\)"):
        load_model(VQVAE, tmp_path / "m.pt")


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
