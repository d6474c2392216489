"""Sets that others have made: found wherever they may lie, and only if their content is the published one."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_sets import TEST, TRAIN, cifar_files, idx_files, plain, publish, publish_folder, write_idx

from lpvq.data.catalogue import PUBLISHED_SETS
from lpvq.data.loading import load
from lpvq.errors import InputError


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("name", "folder"), [("fashion_mnist", "FashionMNIST"), ("mnist", "MNIST")])
@pytest.mark.parametrize(("split", "names"), [("train", TRAIN), ("test", TEST)])
def test_idx_files_are_read_gzipped_or_not(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool, name: str, folder: str, split: str, names: tuple
) -> None:
    home = nowhere / "data" / folder / "raw"
    images, labels = write_idx(home, names, zipped=zipped)
    publish_folder(monkeypatch, name, home)
    data = load(name, split)
    assert data.images.dtype == torch.uint8
    assert data.images.shape == (12, 1, 28, 28)
    assert np.array_equal(data.images[:, 0].numpy(), images)
    assert data.labels.tolist() == labels.tolist()
    assert len(data.class_names) == 10
    assert data.name == name
    assert data.factors is None


def test_a_read_only_folder_is_enough(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = nowhere / "data" / "FashionMNIST" / "raw"
    write_idx(folder, zipped=True)
    publish_folder(monkeypatch, "fashion_mnist", folder)
    before = sorted(nowhere.rglob("*"))
    load("fashion_mnist")
    assert sorted(nowhere.rglob("*")) == before  # nothing is unpacked, so nothing need be writable


def test_each_split_has_files_of_its_own(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = nowhere / "data" / "FashionMNIST" / "raw"
    write_idx(folder, TRAIN, fill=1)
    write_idx(folder, TEST, fill=2)
    publish_folder(monkeypatch, "fashion_mnist", folder)
    assert load("fashion_mnist", "train").images.unique().tolist() == [1]
    assert load("fashion_mnist", "test").images.unique().tolist() == [2]


def test_places_are_searched_in_the_order_of_the_design(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [nowhere / "root", nowhere / "data", nowhere / "named", nowhere / "debian"]
    monkeypatch.setenv("LPVQ_DATA", str(places[2]))
    for fill in (3, 2, 1, 0):  # from the last place to the first
        folder = places[fill] if fill % 2 else places[fill] / "FashionMNIST" / "raw"
        write_idx(folder, fill=fill, zipped=fill == 3)
        publish_folder(monkeypatch, "fashion_mnist", folder)
        root = places[0] if fill == 0 else None
        assert load("fashion_mnist", root=root).images.unique().tolist() == [fill]


@pytest.mark.parametrize("kind", [str, Path])
def test_a_root_without_the_set_falls_back_to_the_other_places(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    monkeypatch.setenv("LPVQ_DATA", str(nowhere / "named"))
    write_idx(nowhere / "named", fill=7)
    publish_folder(monkeypatch, "fashion_mnist", nowhere / "named")
    assert load("fashion_mnist", root=kind(nowhere / "empty")).images.unique().tolist() == [7]


def test_a_folder_with_half_of_the_set_is_passed_over(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(nowhere / "data", fill=1)
    (nowhere / "data" / TRAIN[1]).unlink()
    write_idx(nowhere / "debian", fill=9)
    publish_folder(monkeypatch, "fashion_mnist", nowhere / "debian")
    assert load("fashion_mnist").images.unique().tolist() == [9]


def test_fashion_mnist_is_never_taken_for_mnist(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("data", "debian"):  # the files of both have the same names
        write_idx(nowhere / folder)
    publish_folder(monkeypatch, "fashion_mnist", nowhere / "data")
    with pytest.raises(InputError, match="mnist is in none of"):
        load("mnist")
    # The user says that this is it, but it is not.
    with pytest.raises(InputError, match=f"{TRAIN[0]} is damaged or not of mnist"):
        load("mnist", root=nowhere / "data")
    publish_folder(monkeypatch, "mnist", nowhere / "data")
    assert len(load("mnist", root=nowhere / "data")) == 12


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("place", ["FashionMNIST/raw", "."])
def test_another_set_with_the_same_file_names_is_refused_with_a_way_out(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool, place: str
) -> None:
    """KMNIST, EMNIST and others are made as replacements of MNIST: same names, same shapes, other pictures."""
    publish(monkeypatch, "fashion_mnist", idx_files(fill=1)[0])
    folder = nowhere / "data" / place
    write_idx(folder, fill=2, zipped=zipped)
    with pytest.raises(InputError) as caught:
        load("fashion_mnist")
    message = str(caught.value)
    for part in (
        str(folder / TRAIN[0]),
        "SHA-256",
        "expected",
        "move it away",
        "get fashion_mnist again",
        "folder:PATH",
    ):
        assert part in message
    assert "\n" not in message


def test_one_label_that_was_changed_is_noticed(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(nowhere / "data")
    publish_folder(monkeypatch, "fashion_mnist", nowhere / "data")
    path = nowhere / "data" / TRAIN[1]
    path.write_bytes(path.read_bytes()[:-1] + b"\x05")
    with pytest.raises(InputError, match=path.name):
        load("fashion_mnist")


@pytest.mark.parametrize("name", PUBLISHED_SETS)
def test_a_failed_download_says_what_was_tried_and_three_ways_out(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("LPVQ_DATA", str(nowhere / "named"))
    with pytest.raises(InputError) as caught:
        load(name)
    message = str(caught.value)
    assert "\n" not in message
    home = nowhere / "data" / PUBLISHED_SETS[name].folder
    for part in ("no network", home, nowhere / "named", "(1) set LPVQ_DATA", f"(2) put its files under {home}"):
        assert str(part) in message
    assert "(3) run this once" in message
    assert (str(nowhere / "debian") in message) == (name == "fashion_mnist")
    assert ("dataset-fashion-mnist" in message) == (name == "fashion_mnist")


def _cut(path: Path) -> None:
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
        lambda path: path.write_bytes(plain(path)[:2] + b"\x09" + plain(path)[3:]),
        lambda path: path.write_bytes(gzip.compress(gzip.compress(plain(path)))),
    ],
    ids=["truncated", "empty", "header only", "foreign", "too long", "signed bytes", "gzipped twice"],
)
def test_a_truncated_or_foreign_idx_file_is_named(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool, which: int, damage: Callable[[Path], object]
) -> None:
    write_idx(nowhere / "data", zipped=zipped)
    publish_folder(monkeypatch, "fashion_mnist", nowhere / "data")
    path = nowhere / "data" / (TRAIN[which] + (".gz" if zipped else ""))
    damage(path)
    with pytest.raises(InputError, match=path.name):
        load("fashion_mnist")


def test_a_file_that_may_not_be_read_is_named(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(nowhere / "data")
    publish_folder(monkeypatch, "fashion_mnist", nowhere / "data")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(InputError, match=f"{TRAIN[0]} cannot be read .*Permission denied"):
        load("fashion_mnist")


def test_the_real_fashion_mnist_is_whole(real_data: None) -> None:
    train, test = load("fashion_mnist"), load("fashion_mnist", split="test")
    assert train.images.shape == (60_000, 1, 28, 28)
    assert test.images.shape == (10_000, 1, 28, 28)
    assert train.labels.bincount().tolist() == [6_000] * 10
    assert test.labels.bincount().tolist() == [1_000] * 10
    assert train.class_names[train.labels[0]] == "Ankle boot"
    assert abs(train.images.float().mean() / 255 - 0.2860) < 0.0001  # the mean that everyone normalises by


# CIFAR-10


@pytest.fixture
def small_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, dict]]:
    """A CIFAR-10 of two batches, of 4 and 2 images, and 3 test images."""
    folder = tmp_path / "cifar" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    files, batches = cifar_files()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    publish(monkeypatch, "cifar10", files)
    return folder, batches


@pytest.mark.parametrize(("split", "names"), [("train", ["data_batch_1", "data_batch_2"]), ("test", ["test_batch"])])
def test_cifar10_is_found_and_read(
    nowhere: Path, small_cifar10: tuple, monkeypatch: pytest.MonkeyPatch, split: str, names: list[str]
) -> None:
    folder, batches = small_cifar10
    monkeypatch.setenv("LPVQ_DATA", str(folder.parent))
    data = load("cifar10", split)
    pixels = np.concatenate([batches[name]["data"] for name in names])
    assert np.array_equal(data.images.numpy(), pixels.reshape(-1, 3, 32, 32))
    assert data.labels.tolist() == [label for name in names for label in batches[name]["labels"]]
    assert data.labels.dtype == torch.int64
    assert data.class_names[:3] == ("airplane", "automobile", "bird") and data.name == "cifar10"
    assert load("cifar10", split, limit=2, size=16).images.shape == (2, 3, 16, 16)


def test_a_cifar10_that_python_2_has_pickled_is_read(
    nowhere: Path, small_cifar10: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published batches are of this kind: texts are bytes, and numpy has its old names."""
    folder, batches = small_cifar10
    pixels = batches["test_batch"]["data"]
    old = (
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x03M\x00"
        b"\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T\x00\x24\x00\x00" + pixels.tobytes() + b"tbU\x06labels](K\x00K\x01K\x02eu."
    )
    (folder / "test_batch").write_bytes(old)
    publish_folder(monkeypatch, "cifar10", folder)
    data = load("cifar10", "test", root=folder.parent)
    assert np.array_equal(data.images.numpy(), pixels.reshape(-1, 3, 32, 32)) and data.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["data_batch_1", "data_batch_2", "test_batch"])
def test_a_damaged_cifar10_is_refused_without_running_its_pickles(
    nowhere: Path, small_cifar10: tuple, name: str
) -> None:
    folder, _ = small_cifar10
    (folder / name).write_bytes(b"cos\nabort\n(tR.")  # a pickle that would end this process
    with pytest.raises(InputError, match=f"{name} is damaged or not of cifar10"):
        load("cifar10", "test" if name == "test_batch" else "train", root=folder.parent)
