"""Folders of pictures: every file is read as it is seen, classes and splits are the same each time."""

import os
import warnings

import numpy as np
import pytest
import torch
from odd_pictures import encoded
from odd_pictures import picture as picture_of
from PIL import Image

from lpvq.data import checks
from lpvq.data.folders import describe_left_out, split_folder
from lpvq.data.loading import class_names, count_images, load
from lpvq.errors import InputError


def picture(path, colour=(200, 100, 50), size=(40, 40), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)


def folder_of(path, number, class_name=""):
    for i in range(number):
        picture(path / class_name / f"{i:03}.png", (i, 2 * i, 3 * i))


def both(path, **options):
    """The images of both splits of a folder."""
    splits = [load(f"folder:{path}", split, **options) for split in ("train", "test")]
    return torch.cat([data.images for data in splits])


def test_class_subfolders_become_labels_at_any_depth(tmp_path):
    picture(tmp_path / "dogs" / "a.png", (0, 0, 0))
    picture(tmp_path / "cats" / "indoors" / "old" / "b.png", (100, 0, 0))
    picture(tmp_path / "cats" / "c.png", (200, 0, 0))
    (tmp_path / "empty").mkdir()
    train, test = (load(f"folder:{tmp_path}", split) for split in ("train", "test"))
    assert train.class_names == test.class_names == ("cats", "dogs")
    reds = [int(image[0, 0, 0]) for data in (train, test) for image in data.images]
    labels = [int(label) for data in (train, test) for label in data.labels]
    assert dict(zip(reds, labels, strict=True)) == {0: 1, 100: 0, 200: 0}
    assert train.labels.dtype == torch.int64
    assert train.name == f"folder:{tmp_path}"


def test_pictures_outside_any_subfolder_are_a_class_named_after_the_folder(tmp_path, monkeypatch):
    folder_of(tmp_path / "leaves", 3)
    assert load(f"folder:{tmp_path / 'leaves'}").class_names == ("leaves",)
    monkeypatch.chdir(tmp_path / "leaves")
    assert load("folder:.").class_names == ("leaves",)
    folder_of(tmp_path / "leaves", 1, "oak")
    assert load("folder:.").class_names == ("leaves", "oak")


def test_every_tenth_file_is_test_whatever_the_limit(tmp_path):
    folder_of(tmp_path, 25)
    train, test = (load(f"folder:{tmp_path}", split).images[:, 0, 0, 0].tolist() for split in ("train", "test"))
    assert sorted(test) == [0, 10, 20]
    assert sorted(train) == [i for i in range(25) if i % 10]
    assert load(f"folder:{tmp_path}", limit=4).images[:, 0, 0, 0].tolist() == train[:4]
    assert load(f"folder:{tmp_path}", "test", limit=2).images[:, 0, 0, 0].tolist() == test[:2]


def test_the_classes_of_a_folder_are_mixed_in_the_same_way_each_time(tmp_path):
    for name in ("a", "b"):
        folder_of(tmp_path, 30, name)
    first, again = (load(f"folder:{tmp_path}").labels.tolist() for _ in range(2))
    assert first == again != sorted(first)
    # The last ones are set aside to choose the best weights with, and must not be of one class alone.
    assert set(first[:5]) == set(first[-5:]) == {0, 1}


def test_two_pictures_make_both_splits_and_one_is_refused(tmp_path):
    folder_of(tmp_path, 2)
    assert [len(load(f"folder:{tmp_path}", split)) for split in ("train", "test")] == [1, 1]
    (tmp_path / "001.png").unlink()
    assert len(load(f"folder:{tmp_path}", "test")) == 1
    with pytest.raises(InputError, match=r"one picture.*train"):
        load(f"folder:{tmp_path}")


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "bmp", "PNG", "JPG"])
def test_every_format_is_read(tmp_path, suffix):
    for name in "ab":
        picture(tmp_path / f"{name}.{suffix}")
    image = both(tmp_path)[0]
    assert image.shape == (3, 32, 32)
    assert image.dtype == torch.uint8
    assert (image[:, 16, 16].int() - torch.tensor([200, 100, 50])).abs().max() <= 6  # JPEG and WebP lose a little


def wide_grey(folder):
    values = np.full((40, 40), 200 * 257, np.uint16)
    Image.fromarray(values).save(folder / "a.png")


def transparent_palette(folder):
    image = Image.new("P", (40, 40), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(folder / "a.png", transparency=1)


MODES = {
    "grey": (lambda f: picture(f / "a.png", 77, mode="L"), (77, 77, 77)),
    "black and white": (lambda f: picture(f / "a.png", 1, mode="1"), (255, 255, 255)),
    "16 bits": (wide_grey, (200, 200, 200)),
    "palette": (lambda f: Image.new("RGB", (40, 40), (9, 8, 7)).quantize().save(f / "a.png"), (9, 8, 7)),
    "transparent palette": (transparent_palette, (255, 255, 255)),
    "opaque": (lambda f: picture(f / "a.png", (9, 8, 7, 255), mode="RGBA"), (9, 8, 7)),
    "half transparent": (lambda f: picture(f / "a.png", (0, 100, 200, 128), mode="RGBA"), (127, 177, 227)),
    "grey, half transparent": (lambda f: picture(f / "a.png", (100, 128), mode="LA"), (177, 177, 177)),
    "transparent, WebP": (lambda f: picture(f / "a.webp", (0, 0, 0, 0), mode="RGBA", lossless=True), (255, 255, 255)),
    "for print": (lambda f: picture(f / "a.jpg", (0, 0, 0, 0), mode="CMYK"), (255, 255, 255)),
}


@pytest.mark.parametrize(("write", "expected"), MODES.values(), ids=MODES)
def test_every_mode_becomes_red_green_and_blue_over_white(tmp_path, write, expected):
    write(tmp_path)
    image = load(f"folder:{tmp_path}", "test").images[0]
    assert image.shape == (3, 32, 32)
    assert (image[:, 16, 16].int() - torch.tensor(expected)).abs().max() <= 1


def test_16_bits_keep_their_shades(tmp_path):
    values = np.linspace(0, 65535, 32 * 32).reshape(32, 32).round().astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    image = load(f"folder:{tmp_path}", "test").images[0, 0]
    assert torch.equal(image, torch.from_numpy((values / 257).round().astype(np.uint8)))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_rotated_pictures_are_turned_upright(tmp_path, suffix):
    image = Image.new("RGB", (40, 40), "white")
    image.paste("black", (0, 0, 40, 20))  # the upper half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise to be seen: what is stored on top belongs on the right
    image.save(tmp_path / f"a.{suffix}", exif=exif)
    seen = load(f"folder:{tmp_path}", "test").images[0].float()
    assert seen[:, :, 18:].mean() < 5
    assert seen[:, :, :14].mean() > 250


@pytest.mark.parametrize("size", [(90, 30), (30, 90)])
def test_the_square_in_the_middle_is_kept(tmp_path, size):
    image = Image.new("RGB", size, "red")
    left, top = (size[0] - 30) // 2, (size[1] - 30) // 2
    image.paste("blue", (left, top, left + 30, top + 30))
    image.save(tmp_path / "a.png")
    image = load(f"folder:{tmp_path}", "test", size=30).images[0]
    assert (image == torch.tensor([0, 0, 255], dtype=torch.uint8)[:, None, None]).all()


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures_are_made_smaller_with_antialiasing(tmp_path, suffix):
    """A fine chessboard becomes grey; single pixels picked from it would be black or white."""
    board = (np.indices((512, 512)).sum(0) // 3 % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / f"a.{suffix}")
    image = load(f"folder:{tmp_path}", "test", size=16).images[0].float()
    assert (image - 127.5).abs().max() < 20


@pytest.mark.parametrize("shape", [(600, 300), (300, 600)])
def test_a_large_jpeg_keeps_the_detail_that_the_size_can_show(tmp_path, shape):
    """A JPEG may be decoded smaller than it is, but no smaller than needed: stripes of four pixels of 32 stay sharp."""
    stripes = np.broadcast_to(np.arange(shape[1]) // 37 % 2 * 255, shape).astype(np.uint8)
    for suffix in ("jpg", "png"):
        Image.fromarray(stripes).save(tmp_path / f"a.{suffix}")
    jpeg, png = both(tmp_path).float()
    assert jpeg.std() > 100
    assert (jpeg - png).abs().mean() < 5


def test_a_small_picture_is_enlarged_and_size_is_kept(tmp_path):
    picture(tmp_path / "a.png", size=(5, 4))
    assert load(f"folder:{tmp_path}", "test", size=24).images.shape == (1, 3, 24, 24)


def test_unreadable_files_are_counted_and_named_in_one_warning(tmp_path):
    folder_of(tmp_path, 9)
    for i in range(5):
        (tmp_path / f"bad{i}.png").write_bytes(b"no picture")
    cut = tmp_path / "cut.jpg"
    picture(cut, size=(200, 200))
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.warns(UserWarning) as caught:
        data = load(f"folder:{tmp_path}")
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "5 no picture (bad0.png, bad1.png, bad2.png, bad3.png, bad4.png)" in message
    assert "6 files" in message and "1 damaged (cut.jpg: cut off" in message
    assert caught[0].filename == __file__
    assert sorted(data.images[:, 0, 0, 0].tolist()) == [1, 2, 3, 5, 6, 7]
    assert len(data.labels) == 6


def test_a_folder_of_unreadable_files_is_an_error(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"2 no picture \(a\.png, b\.png\)"):
        load(f"folder:{tmp_path}")


def test_readable_folders_give_no_warning(tmp_path):
    folder_of(tmp_path, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(f"folder:{tmp_path}")


def test_an_empty_or_missing_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"missing.*does not exist"):
        load(f"folder:{tmp_path / 'missing'}")
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(InputError, match=r"no pictures.*notes\.txt"):
        load(f"folder:{tmp_path}")


def test_hidden_files_and_folders_are_no_pictures(tmp_path):
    folder_of(tmp_path, 2)
    folder_of(tmp_path, 3, ".ipynb_checkpoints")
    (tmp_path / "._000.png").write_bytes(b"what other systems leave behind")
    assert len(both(tmp_path)) == 2
    assert load(f"folder:{tmp_path}").class_names == (tmp_path.name,)


def test_the_home_folder_may_be_written_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder_of(tmp_path / "pictures", 2)
    assert len(load("folder:~/pictures")) == 1


def test_the_classes_of_a_folder_are_those_of_what_it_is_loaded_as(tmp_path):
    for name in ("sea", "hills", "a town"):
        folder_of(tmp_path / "places" / name, 12)
    expected = load(f"folder:{tmp_path / 'places'}").class_names
    (tmp_path / "places" / "sea" / "bad.png").write_bytes(b"no picture")
    assert class_names(f"folder:{tmp_path / 'places'}") == expected == ("a town", "hills", "sea")


def test_a_folder_is_counted_without_being_read(tmp_path):
    folder_of(tmp_path, 25)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    assert [count_images(f"folder:{tmp_path}", split) for split in ("train", "test")] == [22, 3]
    with pytest.raises(InputError, match="does not exist"):
        count_images(f"folder:{tmp_path / 'missing'}")


def test_more_pictures_than_the_memory_holds_are_refused_before_any_is_read(tmp_path, monkeypatch):
    folder_of(tmp_path, 21)
    monkeypatch.setattr(checks, "memory", lambda: 2**20)
    with pytest.raises(InputError, match=r"18 images of 256 × 256 pixels need .* GiB of memory"):
        load(f"folder:{tmp_path}", size=256)
    assert len(load(f"folder:{tmp_path}", size=256, limit=4)) == 4
    assert len(load(f"folder:{tmp_path}", size=32)) == 18


def test_other_pictures_under_the_same_names_are_another_set(tmp_path):
    folder_of(tmp_path / "pets", 12, "cats")
    before = load(f"folder:{tmp_path / 'pets'}")
    assert load(f"folder:{tmp_path / 'pets'}").checksum() == before.checksum()
    folder_of(tmp_path / "copies", 12, "cats")
    assert load(f"folder:{tmp_path / 'copies'}").checksum() == before.checksum()
    picture(tmp_path / "pets" / "cats" / "005.png", (1, 2, 3))
    assert load(f"folder:{tmp_path / 'pets'}").checksum() != before.checksum()
    (tmp_path / "copies" / "cats").rename(tmp_path / "copies" / "dogs")
    assert load(f"folder:{tmp_path / 'copies'}").checksum() != before.checksum()


# Links, names, and files of every kind.


def test_links_are_followed_and_loops_survived(tmp_path):
    folder_of(tmp_path / "store", 3, "cats")
    folder_of(tmp_path / "in", 3, "owls")
    (tmp_path / "in" / "cats").symlink_to(tmp_path / "store" / "cats")
    (tmp_path / "in" / "tigers").symlink_to(tmp_path / "store" / "cats")
    (tmp_path / "in" / "owls" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "owls" / "one.png").symlink_to(tmp_path / "store" / "cats" / "001.png")
    (tmp_path / "in" / "owls" / "gone.png").symlink_to(tmp_path / "nothing")
    with pytest.warns(UserWarning, match=r"a link to nothing \(owls/gone\.png\).*is read already \(owls/up\)"):
        data = load(f"folder:{tmp_path / 'in'}")
    assert data.class_names == ("cats", "owls", "tigers")
    parts = split_folder(tmp_path / "in")
    assert sum(map(len, parts.files.values())) == 10


@pytest.mark.parametrize("number", [8, 9, 10, 15, 19])
def test_of_few_pictures_every_fourth_is_tested(tmp_path, number):
    folder_of(tmp_path, number)
    parts = split_folder(tmp_path).files
    assert [file.name for file in sorted(parts["test"], key=lambda file: file.name)] == [
        f"{i:03}.png" for i in range(0, number, 4)
    ]
    assert len(parts["train"]) + len(parts["test"]) == number


def test_the_only_picture_of_a_class_is_learned_from(tmp_path):
    for name in "abcdefghij":
        folder_of(tmp_path, 1, name)
    folder_of(tmp_path, 30, "many")
    parts = split_folder(tmp_path)
    assert {parts.labels[file.name] for file in parts.files["train"]} == set(range(11))
    assert len(parts.files["test"]) == 3
    for name in "abcdefghij":
        (tmp_path / "alone" / name).mkdir(parents=True)
        (tmp_path / name / "000.png").rename(tmp_path / "alone" / name / "a.png")
    assert len(split_folder(tmp_path / "alone").files["test"]) == 3  # where all are alone, some have to be tested


NAMES = [
    "café",
    "cafe\u0301",
    "under $5",
    "$5_to_$10",
    r"$\up$ 10",
    "a\nb",
    "猫",
    "बिल्ली",
    "😀 faces",
    "50% {x}",
    "a^b_c",
    " ",
]


def test_classes_of_all_names_are_kept_apart(tmp_path):
    for name in NAMES:
        folder_of(tmp_path, 2, name)
    for raw in (b"caf\xe9", b"\x93quoted\x94", b"\xff\xfe\x81"):
        folder_of(tmp_path, 2, os.fsdecode(raw))
    (tmp_path / os.fsdecode(b"br\xfbl\xe9.png")).write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="brûlé.png"):
        data = load(f"folder:{tmp_path}")
    assert len(data.class_names) == len(NAMES) + 3 and set(NAMES) < set(data.class_names)
    assert "café (2)" in data.class_names and "“quoted”" in data.class_names
    for name in data.class_names:
        name.encode()
    data.checksum()


def write_25_kinds(folder, number):
    """Write ``number`` files of 25 kinds in five classes; return the names of those that hold pictures."""
    good = [
        *(("jpg", "JPEG"), ("jfif", "JPEG"), ("jpe", "JPEG"), ("JPG", "JPEG"), ("png", "PNG"), ("gif", "GIF")),
        *(("webp", "WEBP"), ("bmp", "BMP"), ("tif", "TIFF"), ("avif", "AVIF"), ("jp2", "JPEG2000"), ("ppm", "PPM")),
        *(("ico", "ICO"), ("sgi", "SGI"), ("png", "JPEG"), ("download", "PNG")),
    ]
    bad = [
        *(("txt", b"notes"), ("json", b"{}"), ("heic", b"\0\0\0\x18ftypheic" + bytes(9)), ("mp4", bytes(20))),
        *(("svg", b"<svg/>"), ("png", b""), ("jpg", b"no picture"), ("pdf", b"%PDF-1.4"), ("zip", b"PK\3\4")),
    ]
    pictures = set()
    contents = [encoded(picture_of(seed), kind) for seed, (_, kind) in enumerate(good)]
    for i in range(number):
        path = folder / f"class {i % 5}" / f"{i:04}"
        path.parent.mkdir(parents=True, exist_ok=True)
        which = i % (len(good) + len(bad))
        ending, content = (good[which][0], contents[which]) if which < len(good) else bad[which - len(good)]
        path = path.with_suffix(f".{ending}")
        path.write_bytes(content)
        if which < len(good):
            pictures.add(path.relative_to(folder).as_posix())
    return pictures


def test_a_thousand_files_of_25_kinds_are_read_or_named(tmp_path):
    pictures = write_25_kinds(tmp_path, 1000)
    parts = split_folder(tmp_path)
    read = {file.name for files in parts.files.values() for file in files}
    assert read == pictures and len(read) == 640
    assert len(parts.left_out) == 360 and not read & {one.name for one in parts.left_out}
    assert parts.class_names == tuple(f"class {i}" for i in range(5))
    assert all(parts.class_names[parts.labels[name]] == name.split("/")[0] for name in read)
    described = describe_left_out(parts.left_out, tmp_path, 1000)
    assert all(one.name in described for one in parts.left_out)
    with pytest.warns(UserWarning, match="360 files"):
        assert len(load(f"folder:{tmp_path}", size=8)) == 576


def test_what_systems_leave_behind_is_no_class_and_no_warning(tmp_path):
    folder_of(tmp_path / "cats", 12)
    for name in ("cats/Thumbs.db", "desktop.ini", "__MACOSX/cats/000.png", "@eaDir/000.png", "$RECYCLE.BIN/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"nobody means this")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(f"folder:{tmp_path}", size=8).class_names == ("cats",)
    assert len(split_folder(tmp_path).left_out) == 5


def test_classes_that_differ_by_case_are_two_and_one_inside_another_is_part_of_it(tmp_path):
    for name in ("Cats", "cats", "cats/dogs", "dogs"):
        folder_of(tmp_path / name, 4)
    assert load(f"folder:{tmp_path}", size=8).class_names == ("Cats", "cats", "dogs")
    parts = split_folder(tmp_path)
    assert all(parts.class_names[label] == name.split("/")[0] for name, label in parts.labels.items())


def test_names_that_spoil_a_line_are_read_and_those_too_long_are_named(tmp_path, monkeypatch):
    folder_of(tmp_path, 10, "a")
    for name in ("new\nline", os.fsdecode(b"s\xff\xfe"), "l" * 250, "-rf", "*", "\x1b[31m", "\u202egnp"):
        picture(tmp_path / "a" / f"{name}.png")
    (tmp_path / "a" / "\x1b[31m\nbad.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path / "a")
    for _ in range(30):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    parts = split_folder(tmp_path)
    assert sum(map(len, parts.files.values())) == 17
    assert sorted(one.reason for one in parts.left_out) == ["file name too long", "no picture"]
    assert describe_left_out(parts.left_out, tmp_path).isprintable()


def test_what_the_reader_may_not_open_is_named(tmp_path, monkeypatch):
    folder_of(tmp_path, 10, "a")
    folder_of(tmp_path, 2, "closed")

    def scandir(path):
        if str(path).endswith(closed):
            raise PermissionError(13, "Permission denied")
        return os_scandir(path)

    os_scandir, closed = os.scandir, "closed"
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.warns(UserWarning, match=r"1 permission denied \(closed/\)"):
        load(f"folder:{tmp_path}", size=8)
    closed = tmp_path.name
    with pytest.raises(InputError, match="cannot be read: permission denied"):
        load(f"folder:{tmp_path}")


def test_a_pipe_is_not_waited_for_and_a_file_or_an_archive_is_no_folder(tmp_path):
    folder_of(tmp_path / "in", 2)
    os.mkfifo(tmp_path / "in" / "pipe.png")
    (tmp_path / "in" / "zero.png").symlink_to("/dev/zero")
    with pytest.warns(UserWarning, match=r"2 no file but a pipe or a device \(pipe\.png, zero\.png\)"):
        load(f"folder:{tmp_path / 'in'}")
    with pytest.raises(InputError, match="is a file: name the folder it is in"):
        load(f"folder:{tmp_path / 'in' / '000.png'}")
    (tmp_path / "cats.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"cats.zip' is a file: unpack it"):
        load(f"folder:{tmp_path / 'cats.zip'}")


def test_a_name_that_is_none_is_answered_with_one_that_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path / "pics", 2)
    with pytest.raises(InputError, match="'pics' is unknown; it is a folder: write folder:pics"):
        load("pics")
    for wrong, right in (("smiley", "smileys"), ("Fashion-MNIST", "fashion_mnist"), ("CIFAR-10", "cifar10")):
        with pytest.raises(InputError, match=f"did you mean {right}"):
            load(wrong)
