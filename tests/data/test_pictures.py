"""One picture out of a file: by its content, whole where its pixels are, upright; what is none says why."""

from pathlib import Path

import numpy as np
import pytest
from odd_pictures import (
    FORMATS,
    MUCH_BESIDE,
    ODD_EXIF,
    OF_ONE_COLOUR,
    encoded,
    exif,
    moving,
    picture,
    sixteen_bit_colour,
)
from PIL import Image

from lpvq.data import pictures
from lpvq.data.pictures import NoPictureError, check_is_picture, patient_pillow, read_picture, upright_size

_TURN = Image.Transpose
# What a picture must go through so that the orientations 2 … 8 undo it.
_BACK = (
    *(_TURN.FLIP_LEFT_RIGHT, _TURN.ROTATE_180, _TURN.FLIP_TOP_BOTTOM, _TURN.TRANSPOSE, _TURN.ROTATE_90),
    *(_TURN.TRANSVERSE, _TURN.ROTATE_270),
)


def read(path: Path, content: bytes, size: int = 24) -> np.ndarray:
    path.write_bytes(content)
    with patient_pillow():
        check_is_picture(path)
        return read_picture(path, size)


def close(seen: np.ndarray, expected: np.ndarray, most: float = 3.0) -> bool:
    return float(np.abs(seen.astype(float) - expected).mean()) < most


@pytest.fixture
def whole(tmp_path: Path) -> np.ndarray:
    return read(tmp_path / "whole.png", encoded(picture(1), "PNG"))


@pytest.mark.parametrize(("block", "is_turned"), ODD_EXIF.values(), ids=ODD_EXIF)
def test_odd_exif_costs_no_pixels_and_its_turn_is_kept(
    tmp_path: Path, whole: np.ndarray, block: bytes, is_turned: bool
) -> None:
    seen = read(tmp_path / "a.jpg", encoded(picture(1), "JPEG", exif=block, quality=95))
    assert close(seen, np.rot90(whole, -1) if is_turned else whole)


@pytest.mark.parametrize("make", MUCH_BESIDE.values(), ids=MUCH_BESIDE)
def test_what_stands_beside_the_pixels_costs_none_of_them(tmp_path: Path, whole: np.ndarray, make) -> None:
    assert close(read(tmp_path / "a", make()), whole)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "PSD"])
def test_a_format_is_known_by_its_content_and_a_missing_last_byte_is_no_loss(
    tmp_path: Path, whole: np.ndarray, kind: str
) -> None:
    options = {"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {}
    content = encoded(picture(1), kind, **options)
    for name in ("a.png", "a", "a.txt", "a.jpg.download"):
        assert close(read(tmp_path / name, content), whole, 9)
    assert close(read(tmp_path / "cut", content[:-1]), whole, 9)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_half_a_picture_is_none(tmp_path: Path, kind: str) -> None:
    content = encoded(picture(1, (300, 240)), kind)
    (tmp_path / "half").write_bytes(content[: len(content) // 2])
    with patient_pillow(), pytest.raises(NoPictureError) as refused:
        read_picture(tmp_path / "half", 24)
    assert str(refused.value) in ("damaged", "no picture")


NONE = {
    "empty": (b"", "empty"),
    "text": (b"hello\n", "no picture"),
    "a table": (b"a,b\n1,2\n", "no picture"),
    "zeros": (bytes(5000), "no picture"),
    "noise": (np.random.default_rng(0).bytes(5000), "no picture"),
    "a document": (b"%PDF-1.4 ...", "a PDF document"),
    "an archive": (b"PK\3\4" + bytes(99), "an archive or a document"),
    "a program for a printer": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
    "a drawing": (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG, a drawing without pixels"),
    "a page that says 404": (b"\n<!DOCTYPE html><html>", "a web page"),
    "a film": (b"\0\0\0\x18ftypisom" + bytes(99), "a film"),
    "a raw photograph": (b"\0\0\0\x18ftypcrx " + bytes(99), "a raw photograph, to be developed first"),
    "an older one": (b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "a raw photograph, to be developed first"),
    "a successor of JPEG": (b"\xff\x0a" + bytes(99), "JPEG XL, which Pillow cannot read"),
    "a stand-in": (
        b"version https://git-lfs.github.com/spec/v1\n",
        "a stand-in of Git LFS: git lfs pull brings the picture",
    ),
    "no pixels": (b"P5\n0 0\n255\n", "no picture"),
    "a picture of a phone": (b"\0\0\0\x18ftypheic" + bytes(99), "HEIC, which needs: pip install pillow-heif"),
    "what looks like Targa": (encoded(picture(1), "TGA"), "no picture"),
}


@pytest.mark.parametrize(("content", "reason"), NONE.values(), ids=NONE)
def test_what_is_no_picture_says_why(tmp_path: Path, content: bytes, reason: str, monkeypatch) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with patient_pillow():
        monkeypatch.setattr(pictures, "find_spec", lambda _: None)
        for look in (check_is_picture, lambda path: read_picture(path, 8)):
            with pytest.raises(NoPictureError) as refused:
                look(tmp_path / "a.png")
            assert str(refused.value) == reason


def test_a_targa_picture_that_ends_like_one_is_read(tmp_path: Path, whole: np.ndarray) -> None:
    assert close(read(tmp_path / "a.tga", encoded(picture(1), "TGA")), whole)


def test_modes_that_are_rare_keep_their_colours(tmp_path: Path) -> None:
    grey = np.linspace(0, 1, 40 * 40, dtype=np.float32).reshape(40, 40)
    ramps = {
        "floats": Image.fromarray(grey),
        "floats to 255": Image.fromarray(grey * 255),
        "32 bits": Image.fromarray((grey * 65535).astype(np.int32)),
        "16 bits": Image.fromarray((grey * 65535).astype(np.uint16)),
        "below zero": Image.fromarray(grey - 2),
    }
    for image in ramps.values():
        seen = read(tmp_path / "a.tiff", encoded(image, "TIFF"), 40)
        assert close(seen[..., 0], grey * 255, 1)
    for mode in ("CMYK", "LAB", "YCbCr"):
        seen = read(tmp_path / "a.tiff", encoded(Image.new("RGB", (40, 40), (200, 100, 50)).convert(mode), "TIFF"))
        assert close(seen[12, 12], np.array([200, 100, 50]), 6)
    assert close(read(tmp_path / "a.png", sixteen_bit_colour())[12, 12], np.array([200, 100, 50]), 1)


@pytest.mark.parametrize(("name", "make", "colour"), OF_ONE_COLOUR.values(), ids=OF_ONE_COLOUR)
def test_rare_kinds_have_the_colour_that_is_seen(tmp_path: Path, name: str, make, colour) -> None:
    assert np.abs(read(tmp_path / name, make(), 8).astype(int) - colour).max() <= 2


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "TIFF", "GIF", "MPO"])
def test_of_several_pictures_in_a_file_the_first_counts(tmp_path: Path, whole: np.ndarray, kind: str) -> None:
    assert close(read(tmp_path / "a", moving(kind, picture(1), picture(2), picture(3))), whole, 4)


@pytest.mark.parametrize(("turn", "back"), list(enumerate(_BACK, 2)))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_every_turn_is_undone_in_other_formats_too(tmp_path: Path, whole: np.ndarray, kind: str, turn, back) -> None:
    how = {"tiffinfo": {0x0112: turn}} if kind == "TIFF" else {"exif": exif((0x0112, 3, 1, bytes([turn, 0, 0, 0])))}
    assert close(read(tmp_path / "a", encoded(picture(1).transpose(back), kind, **how)), whole, 4)
    with patient_pillow():
        assert upright_size(tmp_path / "a") == picture(1).size


def test_heic_is_read_where_the_plug_in_is(tmp_path: Path, whole: np.ndarray) -> None:
    pytest.importorskip("pillow_heif")
    with patient_pillow():
        content = encoded(picture(1), "HEIF", quality=95)
    assert close(read(tmp_path / "a.HEIC", content), whole) and close(read(tmp_path / "a.jpg", content), whole)
    (tmp_path / "half.heic").write_bytes(content[: len(content) // 2])
    with patient_pillow(), pytest.raises(NoPictureError, match="damaged"):
        read_picture(tmp_path / "half.heic", 24)


def test_200_megapixels_are_decoded_small_and_no_warning_is_given(tmp_path: Path) -> None:
    Image.new("L", (16320, 12240), 77).save(tmp_path / "a.jpg", quality=60)
    seen = read(tmp_path / "b.jpg", (tmp_path / "a.jpg").read_bytes())
    assert close(seen, np.array(77))


def test_what_no_memory_can_decode_is_refused_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "memory", lambda: 2**14)
    (tmp_path / "a.png").write_bytes(encoded(picture(1), "PNG"))
    with patient_pillow(), pytest.raises(NoPictureError, match="memory"):
        read_picture(tmp_path / "a.png", 8)


def test_the_size_of_a_picture_is_as_it_is_seen(tmp_path: Path) -> None:
    turned = exif((0x0112, 3, 1, b"\6\0\0\0"))
    (tmp_path / "a.jpg").write_bytes(encoded(picture(1, (60, 20)), "JPEG", exif=turned))
    (tmp_path / "b.png").write_bytes(encoded(picture(1, (60, 20)), "PNG"))
    with patient_pillow():
        assert upright_size(tmp_path / "a.jpg") == (20, 60)
        assert upright_size(tmp_path / "b.png") == (60, 20)


def test_pillows_limit_is_as_it_was_afterwards() -> None:
    before = Image.MAX_IMAGE_PIXELS
    with patient_pillow():
        assert Image.MAX_IMAGE_PIXELS is None
    assert before == Image.MAX_IMAGE_PIXELS
