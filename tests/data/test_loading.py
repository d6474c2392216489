"""Images in: sets that others have made, and folders of pictures."""

import gzip
import hashlib
import pickle
import struct
import warnings
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, MNIST, FashionMNIST

from lpvq import paths
from lpvq.data import known_sets
from lpvq.data.loading import load
from lpvq.errors import InputError

TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No set is on this machine and none can be downloaded."""

    def fail(self):
        raise URLError("no network")

    monkeypatch.setattr(paths, "CHECKOUT", tmp_path)
    monkeypatch.setattr(known_sets, "DEBIAN", tmp_path / "debian")
    monkeypatch.delenv("LPVQ_DATA", raising=False)
    monkeypatch.setattr(MNIST, "download", fail)
    monkeypatch.setattr(CIFAR10, "download", fail)
    return tmp_path


# All sets


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"name": "smiles"}, "'smiles'.*smileys, fashion_mnist, mnist, cifar10, folder:PATH"),
        ({"name": "folder:"}, "'folder:'"),
        ({"name": "smileys", "split": "valid"}, "'valid'.*train, test"),
        ({"name": "smileys", "size": 0}, "size.*0"),
        ({"name": "smileys", "limit": 0}, "limit.*0"),
        ({"name": "smileys", "limit": -5}, "limit.*-5"),
        ({"name": "smileys", "seed": -1}, "seed.*-1"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(wrong, expected):
    with pytest.raises(InputError, match=expected):
        load(**wrong)


def test_images_are_bytes_in_memory_and_floats_from_0_to_1_for_models():
    data = load("smileys", limit=10)
    assert len(data) == 10
    assert data.images.dtype == torch.uint8
    assert data.labels.dtype == torch.int64
    floats = data.floats()
    assert floats.dtype == torch.float32
    assert torch.equal(floats, data.images / 255)
    assert floats.max() == 1
    for some in (torch.tensor([3, 1]), [3, 1], slice(1, 4)):
        assert torch.equal(data.floats(some), floats[some])


# Fashion-MNIST and MNIST


def write_idx(folder, names=TRAIN, fill=None, number=12, zipped=False):
    """Write images (number, 28, 28), all ``fill`` or random, and labels 0 … 9, 0 …; return both."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0).integers(0, 256, (number, 28, 28))
    images = np.array(random if fill is None else np.full_like(random, fill), np.uint8)
    labels = np.array(np.arange(number) % 10, np.uint8)
    for name, values in zip(names, (images, labels), strict=True):
        header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
        content = header + values.tobytes()
        (folder / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(content) if zipped else content)
    return images, labels


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("name", "folder"), [("fashion_mnist", "FashionMNIST"), ("mnist", "MNIST")])
@pytest.mark.parametrize(("split", "names"), [("train", TRAIN), ("test", TEST)])
def test_idx_files_are_read_gzipped_or_not(nowhere, zipped, name, folder, split, names):
    images, labels = write_idx(nowhere / "data" / folder / "raw", names, zipped=zipped)
    data = load(name, split)
    assert data.images.dtype == torch.uint8
    assert data.images.shape == (12, 1, 28, 28)
    assert np.array_equal(data.images[:, 0].numpy(), images)
    assert data.labels.tolist() == labels.tolist()
    assert len(data.class_names) == 10
    assert data.name == name
    assert data.factors is None


def test_a_read_only_folder_is_enough(nowhere):
    folder = nowhere / "data" / "FashionMNIST" / "raw"
    write_idx(folder, zipped=True)
    before = sorted(nowhere.rglob("*"))
    load("fashion_mnist")
    assert sorted(nowhere.rglob("*")) == before  # nothing is unpacked, so nothing need be writable


def test_limit_keeps_the_first_and_size_resizes_with_antialiasing(nowhere):
    images, labels = write_idx(nowhere / "data" / "FashionMNIST" / "raw")
    data = load("fashion_mnist", limit=5, size=14)
    assert data.images.shape == (5, 1, 14, 14)
    assert data.labels.tolist() == labels[:5].tolist()
    # Antialiased, each pixel weighs 16 of the noise; two neighbours alone would leave its deviation at half or more.
    assert data.images.float().std() < 0.45 * images.std()
    assert load("fashion_mnist", limit=99).images.shape == (12, 1, 28, 28)


def test_places_are_searched_in_the_order_of_the_design(nowhere, monkeypatch):
    places = [nowhere / "root", nowhere / "data", nowhere / "named", nowhere / "debian"]
    monkeypatch.setenv("LPVQ_DATA", str(places[2]))
    for fill in (3, 2, 1, 0):  # from the last place to the first
        write_idx(places[fill] if fill % 2 else places[fill] / "FashionMNIST" / "raw", fill=fill, zipped=fill == 3)
        root = places[0] if fill == 0 else None
        assert load("fashion_mnist", root=root).images.unique().tolist() == [fill]


def test_a_root_without_the_set_falls_back_to_the_other_places(nowhere, monkeypatch):
    monkeypatch.setenv("LPVQ_DATA", str(nowhere / "named"))
    write_idx(nowhere / "named", fill=7)
    assert load("fashion_mnist", root=nowhere / "empty").images.unique().tolist() == [7]


def test_a_folder_with_half_of_the_set_is_passed_over(nowhere):
    write_idx(nowhere / "debian", fill=9)
    write_idx(nowhere / "data", fill=1)
    (nowhere / "data" / TRAIN[1]).unlink()
    assert load("fashion_mnist").images.unique().tolist() == [9]


def test_fashion_mnist_is_never_taken_for_mnist(nowhere):
    for folder in ("data", "debian"):  # the files of both have the same names
        write_idx(nowhere / folder)
    with pytest.raises(InputError, match="mnist is in none of"):
        load("mnist")
    assert len(load("mnist", root=nowhere / "data")) == 12  # the user says that this is it


def test_the_names_of_the_clothes_are_torchvisions():
    assert list(known_sets._CLOTHES) == FashionMNIST.classes


@pytest.mark.parametrize("name", ["fashion_mnist", "mnist", "cifar10"])
def test_a_failed_download_says_what_was_tried_and_three_ways_out(nowhere, monkeypatch, name):
    monkeypatch.setenv("LPVQ_DATA", str(nowhere / "named"))
    with pytest.raises(InputError) as caught:
        load(name)
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "no network",
        nowhere / "data",
        nowhere / "named",
        "(1) set LPVQ_DATA",
        "(2) put",
        "(3) run this once",
    ):
        assert str(part) in message
    assert (str(nowhere / "debian") in message) == (name == "fashion_mnist")
    assert ("dataset-fashion-mnist" in message) == (name == "fashion_mnist")


def test_a_download_that_breaks_off_leaves_nothing(nowhere, monkeypatch):
    def break_off(self):
        write_idx(Path(self.raw_folder))
        raise ConnectionResetError("broken off")

    monkeypatch.setattr(MNIST, "download", break_off)
    with pytest.raises(InputError, match="broken off"):
        load("fashion_mnist")
    assert list((nowhere / "data").rglob("*")) == []


def test_a_download_goes_to_the_data_folder_or_to_root(nowhere, monkeypatch):
    def download(self):
        for names in (TRAIN, TEST):
            write_idx(Path(self.raw_folder), names, fill=4)
            write_idx(Path(self.raw_folder), names, fill=4, zipped=True)

    monkeypatch.setattr(MNIST, "download", download)
    assert load("fashion_mnist").images.unique().tolist() == [4]
    assert load("mnist", root=nowhere / "root").images.unique().tolist() == [4]
    for folder in (nowhere / "data" / "FashionMNIST", nowhere / "root" / "MNIST"):
        found = {path.name for path in folder.parent.rglob("*") if path.is_file()}
        assert found == {*TRAIN, *TEST}  # no archive and no temporary file is left


def _plain(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def _cut(path):
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:6]),
        lambda path: path.write_text("<html>not found</html>"),
        lambda path: path.write_bytes(path.read_bytes() + b"more"),
        lambda path: path.write_bytes(_plain(path)[:2] + b"\x09" + _plain(path)[3:]),
    ],
    ids=["truncated", "empty", "header only", "foreign", "too long", "signed bytes"],
)
def test_a_truncated_or_foreign_idx_file_is_named(nowhere, zipped, which, damage):
    write_idx(nowhere / "data", zipped=zipped)
    path = nowhere / "data" / (TRAIN[which] + (".gz" if zipped else ""))
    damage(path)
    with pytest.raises(InputError, match=path.name):
        load("fashion_mnist")


def test_images_and_labels_that_do_not_belong_together_are_refused(nowhere):
    folder = nowhere / "data"
    write_idx(folder, number=12)
    write_idx(folder, (TEST[0], TRAIN[1]), number=11)
    with pytest.raises(InputError, match=r"12 images.*11 labels"):
        load("fashion_mnist")
    write_idx(folder, number=12)
    content = (folder / TRAIN[1]).read_bytes()
    (folder / TRAIN[1]).write_bytes(content[:-1] + b"\x0a")
    with pytest.raises(InputError, match="labels up to 10"):
        load("fashion_mnist")


def test_the_real_fashion_mnist_is_whole(real_data):
    train, test = load("fashion_mnist"), load("fashion_mnist", split="test")
    assert train.images.shape == (60_000, 1, 28, 28)
    assert test.images.shape == (10_000, 1, 28, 28)
    assert train.labels.bincount().tolist() == [6_000] * 10
    assert test.labels.bincount().tolist() == [1_000] * 10
    assert train.class_names[train.labels[0]] == "Ankle boot"
    assert abs(train.images.float().mean() / 255 - 0.2860) < 0.0001  # the mean that everyone normalises by


# CIFAR-10


@pytest.fixture
def small_cifar10(tmp_path, monkeypatch):
    """A CIFAR-10 of two batches, of 4 and 3 images, whose checksums torchvision takes for the right ones."""
    folder = tmp_path / "cifar" / CIFAR10.base_folder
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)

    def write(name, value):
        (folder / name).write_bytes(pickle.dumps(value))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    def batch(number):
        return {"data": random.integers(0, 256, (number, 3072), np.uint8), "labels": list(range(number))}

    batches, names = {"data_batch_1": batch(4), "test_batch": batch(3)}, list("abcd")
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", write("data_batch_1", batches["data_batch_1"])]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", write("test_batch", batches["test_batch"])]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": write("batches.meta", {"label_names": names})}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    return folder, batches


@pytest.mark.parametrize(("split", "batch"), [("train", "data_batch_1"), ("test", "test_batch")])
def test_cifar10_is_found_and_read(nowhere, small_cifar10, monkeypatch, split, batch):
    folder, batches = small_cifar10
    monkeypatch.setenv("LPVQ_DATA", str(folder.parent))
    data = load("cifar10", split)
    assert np.array_equal(data.images.numpy(), batches[batch]["data"].reshape(-1, 3, 32, 32))
    assert data.labels.tolist() == batches[batch]["labels"]
    assert data.labels.dtype == torch.int64
    assert data.class_names == ("a", "b", "c", "d")
    assert load("cifar10", split, limit=2, size=16).images.shape == (2, 3, 16, 16)


def test_a_damaged_cifar10_is_refused_without_running_its_pickles(nowhere, small_cifar10):
    folder, _ = small_cifar10
    (folder / "test_batch").write_bytes(b"cos\nabort\n(tR.")  # a pickle that would end this process
    with pytest.raises(InputError, match=f"{CIFAR10.base_folder}.*damaged"):
        load("cifar10", root=folder.parent)


# Folders


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
    assert "5 of 13 pictures" in message  # bad1.png is in the test split
    assert sum(f"bad{i}.png" in message for i in (0, 2, 3, 4)) + ("cut.jpg" in message) == 3 and "…" in message
    assert caught[0].filename == __file__
    assert sorted(data.images[:, 0, 0, 0].tolist()) == list(range(1, 9))
    assert len(data.labels) == 8


def test_a_folder_of_unreadable_files_is_an_error(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"1 of 1 pictures.*b\.png"):
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
    with pytest.raises(InputError, match=r"no pictures.*png"):
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
