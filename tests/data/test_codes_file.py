"""Codes on disk: what is damaged or foreign is refused by name, nothing is converted in silence, nothing is run."""

import io
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lpvq import InputError, LatentCodes

Arrays = dict[str, object]
CODES = np.arange(24).reshape(3, 2, 4) % 8
GOOD: Arrays = {
    "codes": CODES.astype(np.uint8),
    "labels": np.array([0, 1, 2]),
    "num_codes": np.array(8),
    "class_names": np.array(["a", "b", "c"]),
    "dataset": np.array("rows"),
    "vqvae_checksum": np.array("f00d"),
    "data_checksum": np.array(""),
}


class Bomb:
    """An object whose pickle runs code when it is read."""

    def __reduce__(self) -> tuple:
        return (exec, ("raise SystemExit('a pickle was run')",))


def with_code(value: float, kind: str) -> np.ndarray:
    codes = CODES.astype(kind)
    codes[1, 1, 1] = value
    return codes


def without(name: str) -> Arrays:
    return {key: value for key, value in GOOD.items() if key != name}


def header(shape: str, kind: str = "'|u1'") -> bytes:
    """The beginning of an .npy file that says what it likes."""
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


VALUES: dict[str, tuple[Arrays, str]] = {
    "fractions": ({"codes": with_code(1.5, "float64")}, "codes has the type float64.*expected whole numbers"),
    "whole numbers as floats": ({"codes": CODES.astype(np.float32)}, "codes has the type float32"),
    "half precision": ({"codes": CODES.astype(np.float16)}, "codes has the type float16"),
    "NaN": ({"codes": with_code(np.nan, "float64")}, "codes has the type float64"),
    "texts": ({"codes": CODES.astype(str)}, "codes has the type <U"),
    "bytes": ({"codes": CODES.astype("S")}, r"codes has the type \|S"),
    "complex numbers": ({"codes": CODES.astype(complex)}, "codes has the type complex128"),
    "booleans": ({"codes": CODES > 3}, "codes has the type bool"),
    "dates": ({"codes": CODES.astype("datetime64[s]")}, "codes has the type datetime64"),
    "records": ({"codes": np.zeros((3, 2, 4), [("x", "i4")])}, "codes has the type .*expected whole numbers"),
    "objects": ({"codes": CODES.astype(object)}, "codes has the type object"),
    "pickled code": ({"codes": np.array([[[Bomb()]]], dtype=object)}, "codes has the type object"),
    "pickled code as labels": ({"labels": np.array([Bomb()] * 3, dtype=object)}, "labels has the type object"),
    "pickled code as a name": ({"dataset": np.array(Bomb(), dtype=object)}, "dataset has the type object"),
    "a negative code": ({"codes": with_code(-1, "int64")}, "codes must be in 0 … 7, got -1 … 7"),
    "a code too large": ({"codes": with_code(8, "uint8")}, "codes must be in 0 … 7, got 0 … 8"),
    "a code beyond int64": ({"codes": with_code(2**64 - 1, "uint64")}, "codes must be in 0 … 7"),
    "one grid": ({"codes": CODES[0]}, r"codes has .* shape \(2, 4\), expected .* 3 axes \(N, H, W\)"),
    "four axes": ({"codes": CODES[None]}, r"codes has .* shape \(1, 3, 2, 4\), expected .* 3 axes"),
    "one code": ({"codes": np.array(3)}, r"codes has .* shape \(\), expected .* 3 axes"),
    "no grids": ({"codes": CODES[:0], "labels": np.array([], int)}, r"codes"),
    "grids of no height": ({"codes": CODES[:, :0]}, "codes"),
    "fewer labels": ({"labels": np.array([0, 1])}, "2 labels for 3 grids"),
    "more labels": ({"labels": np.array([0, 1, 2, 0])}, "4 labels for 3 grids"),
    "no labels": ({"labels": np.array([], int)}, "labels"),
    "labels as floats": ({"labels": np.array([0.0, 1.0, 2.0])}, "labels has the type float64"),
    "labels as texts": ({"labels": np.array(["0", "1", "2"])}, "labels has the type <U1"),
    "labels as booleans": ({"labels": np.array([True, False, True])}, "labels has the type bool"),
    "a column of labels": ({"labels": np.array([[0], [1], [2]])}, r"labels has .* shape \(3, 1\)"),
    "a negative label": ({"labels": np.array([0, -1, 2])}, "labels must be in 0 … 2.*got -1 … 2"),
    "a label of no class": ({"labels": np.array([0, 1, 3])}, "labels must be in 0 … 2.*got 0 … 3"),
    "fewer names than labels": ({"class_names": np.array(["a", "b"])}, "labels must be in 0 … 1"),
    "no names": ({"class_names": np.array([], "U1")}, "class_names"),
    "names as numbers": ({"class_names": np.arange(3)}, "class_names has the type int64.*expected text"),
    "names as bytes": ({"class_names": np.array([b"a", b"b", b"c"])}, r"class_names has the type \|S1"),
    "names as objects": ({"class_names": np.array(["a", "b", "c"], object)}, "class_names has the type object"),
    "one name for all": ({"class_names": np.array("abc")}, "class_names has .* shape"),
    "names that are no text": ({"class_names": np.full(3, 2**31, np.uint32).view("<U1")}, "not a file of latent codes"),
    "no codes in the codebook": ({"num_codes": np.array(0)}, "num_codes must be an int in 1 … .*, got 0"),
    "a negative codebook": ({"num_codes": np.array(-8)}, "num_codes must be .*, got -8"),
    "a codebook beyond all memory": ({"num_codes": np.array(2**62)}, "num_codes must be"),
    "half a codebook": ({"num_codes": np.array(8.0)}, "num_codes has the type float64"),
    "a codebook as text": ({"num_codes": np.array("8")}, "num_codes has the type <U1"),
    "a codebook as a boolean": ({"num_codes": np.array(True)}, "num_codes has the type bool"),
    "several codebooks": ({"num_codes": np.array([8])}, r"num_codes has .* shape \(1,\), expected .* 0 axes"),
    "a dataset without a name": ({"dataset": np.array(3)}, "dataset has the type int64"),
    "several datasets": ({"dataset": np.array(["a", "b"])}, "dataset has .* shape"),
    "a checksum as bytes": ({"vqvae_checksum": np.array(b"f00d")}, r"vqvae_checksum has the type \|S4"),
    "an array too many": ({"extra": np.zeros(3)}, "it holds .*'extra.npy'.*, expected"),
}


def refused(path: Path) -> str:
    """What the error says; that it is an InputError of one line, names the file and says what to do."""
    with pytest.raises(InputError) as caught:
        LatentCodes.load(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    assert message.endswith(("extract the codes again", "extract the codes first"))
    return message


def write_raw(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def raw(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array))
    return buffer.getvalue()


def test_the_good_file_that_all_others_are_made_from_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", **GOOD)
    codes = LatentCodes.load(tmp_path / "c.npz")
    assert torch.equal(codes.codes, torch.from_numpy(CODES)) and codes.labels.tolist() == [0, 1, 2]
    assert (codes.num_codes, codes.class_names, codes.dataset) == (8, ("a", "b", "c"), "rows")
    assert (codes.vqvae_checksum, codes.data_checksum) == ("f00d", "")


@pytest.mark.parametrize(("changes", "expected"), VALUES.values(), ids=VALUES)
def test_a_value_that_cannot_be_is_named_with_what_was_expected(tmp_path: Path, changes: Arrays, expected: str) -> None:
    np.savez(tmp_path / "c.npz", **{**GOOD, **changes})
    with pytest.raises(InputError, match=expected):
        LatentCodes.load(tmp_path / "c.npz")
    refused(tmp_path / "c.npz")


@pytest.mark.parametrize("name", GOOD)
def test_an_array_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "c.npz", **without(name))
    assert f"'{name}.npy'" in refused(tmp_path / "c.npz").partition("expected")[2]


@pytest.mark.parametrize("kind", ["<i2", ">i4", ">u2", "<u8", "|i1"])
def test_whole_numbers_of_any_size_and_byte_order_are_read(tmp_path: Path, kind: str) -> None:
    np.savez(tmp_path / "c.npz", **{**GOOD, "codes": CODES.astype(kind), "labels": np.array([2, 1, 0], kind)})
    codes = LatentCodes.load(tmp_path / "c.npz")
    assert torch.equal(codes.codes, torch.from_numpy(CODES)) and codes.labels.tolist() == [2, 1, 0]


def test_codes_that_lie_in_memory_in_another_order_are_the_same_afterwards(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", **{**GOOD, "codes": np.asfortranarray(CODES)})
    assert torch.equal(LatentCodes.load(tmp_path / "c.npz").codes, torch.from_numpy(CODES))
    codes = LatentCodes.load(tmp_path / "c.npz")
    turned = LatentCodes(codes.codes.permute(0, 2, 1), codes.labels, 8, codes.class_names, "turned", "")
    turned.save(tmp_path / "t.npz")
    assert torch.equal(LatentCodes.load(tmp_path / "t.npz").codes, turned.codes)


@pytest.fixture
def content(tmp_path: Path, codes: LatentCodes) -> bytes:
    codes.save(tmp_path / "c.npz")
    return (tmp_path / "c.npz").read_bytes()


def archive(*members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in members:
            file.writestr(name, b"hello")
    return buffer.getvalue()


FOREIGN: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda content: b"",
    "text": lambda content: b"hello",
    "half": lambda content: content[: len(content) // 2],
    "all but one byte": lambda content: content[:-1],
    "the first byte missing": lambda content: content[1:],
    "twice": lambda content: content[: len(content) // 2] * 2,
    "zeros": lambda content: bytes(len(content)),
    "zeros in the middle": lambda content: content[:200] + bytes(300) + content[500:],
    "a pickle": lambda content: pickle.dumps(Bomb()),
    "an array": lambda content: raw(CODES),
    "an enormous array": lambda content: header("(1000000000000,)"),
    "an empty archive": lambda content: archive(),
    "another archive": lambda content: archive("codes.txt"),
    "arrays that are none": lambda content: archive(*(f"{name}.npy" for name in GOOD)),
    "names without their ending": lambda content: archive(*GOOD),
    "codes twice": lambda content: archive(*(f"{name}.npy" for name in [*GOOD, "codes"])),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("damage", FOREIGN.values(), ids=FOREIGN)
def test_a_damaged_or_foreign_file_is_named(tmp_path: Path, content: bytes, damage: Callable[[bytes], bytes]) -> None:
    (tmp_path / "d.npz").write_bytes(damage(content))
    assert "not a file of latent codes" in refused(tmp_path / "d.npz")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "missing.npz")
    assert "not a file of latent codes" in refused(tmp_path)


def test_a_bit_that_flips_anywhere_is_noticed_or_harmless(tmp_path: Path, content: bytes, codes: LatentCodes) -> None:
    harmless = 0
    for at in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[at] ^= 1 << (at % 8)
        (tmp_path / "f.npz").write_bytes(flipped)
        try:
            read = LatentCodes.load(tmp_path / "f.npz")
        except InputError:
            continue
        harmless += 1  # a date or an attribute in the archive's own table
        assert torch.equal(read.codes, codes.codes) and read.checksum() == codes.checksum()
        assert (read.dataset, read.vqvae_checksum) == (codes.dataset, codes.vqvae_checksum)
    assert harmless < len(content) / 7 / 2


HEADERS = {
    "a gigabyte": header("(1000, 1000, 1000)"),
    "an enormous shape": header("(1000000, 1000, 1000)"),
    "an enormous shape of large numbers": header("(1000000, 1000, 1000)", "'<i8'"),
    "a shape beyond 64 bits": header("(10000000000000000000000000, 1, 1)"),
    "a negative axis": header("(-1, 2, 4)") + bytes(24),
    "two negative axes": header("(-3, -2, 4)") + bytes(24),
    "too few values": header("(3, 2, 4)") + bytes(23),
    "too many values": header("(3, 2, 4)") + bytes(25),
    "no values": header("(3, 2, 4)"),
    "an empty axis": header("(0, 2, 4)"),
    "a shape that is no tuple": header("[3, 2, 4]") + bytes(24),
    "a type that is none": header("(3, 2, 4)", "'nonsense'") + bytes(24),
    "a type of no size": header("(3, 2, 4)", "'<U0'") + bytes(24),
    "a header that is code": header("exit()") + bytes(24),
    "a header that ends early": header("(3, 2, 4)")[:40],
    "another version": b"\x93NUMPY\x02\x00" + header("(3, 2, 4)")[8:] + bytes(24),
    "a version to come": b"\x93NUMPY\x09\x00" + header("(3, 2, 4)")[8:] + bytes(24),
    "nothing": b"",
}


@pytest.mark.parametrize("codes_file", HEADERS.values(), ids=HEADERS)
def test_what_a_header_claims_is_checked_before_memory_is_taken_for_it(tmp_path: Path, codes_file: bytes) -> None:
    members = {f"{name}.npy": raw(value) for name, value in GOOD.items()}
    write_raw(tmp_path / "c.npz", {**members, "codes.npy": codes_file})
    tracemalloc.start()
    try:
        assert "not a file of latent codes" in refused(tmp_path / "c.npz")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2**20


def test_an_archive_that_unpacks_to_more_than_any_codes_need_is_not_unpacked(tmp_path: Path) -> None:
    members = {f"{name}.npy": raw(value) for name, value in GOOD.items() if name != "codes"}
    write_raw(tmp_path / "c.npz", {**members, "codes.npy": header("(3, 1073741824, 1)")})
    # What the archive's own table says is enough: nothing of the size itself has to be written here.
    content = bytearray((tmp_path / "c.npz").read_bytes())
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"codes.npy"))
    content[entry + 24 : entry + 28] = struct.pack("<I", 3 * 2**30)
    (tmp_path / "c.npz").write_bytes(content)
    assert "codes takes 3.0 GiB, expected at most 1" in refused(tmp_path / "c.npz")
