"""Downloads: by https alone, whole or not at all, kept only if every byte is right."""

import gzip
from pathlib import Path

import pytest
from fake_sets import TEST, TRAIN, Network, archive_of, cifar_files, idx_files, publish

from lpvq import files as lpvq_files
from lpvq.data import downloading
from lpvq.data.catalogue import PUBLISHED_SETS
from lpvq.data.loading import load
from lpvq.errors import InputError


@pytest.fixture
def clothes(nowhere: Path, network: Network, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A small Fashion-MNIST that can be downloaded, all pixels 4."""
    files = {**idx_files(TRAIN, fill=4)[0], **idx_files(TEST, fill=5)[0]}
    publish(monkeypatch, "fashion_mnist", files)
    network.serve("fashion_mnist", files)
    return files


@pytest.fixture
def things(nowhere: Path, network: Network, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A small CIFAR-10 that can be downloaded."""
    files, _ = cifar_files()
    publish(monkeypatch, "cifar10", files)
    network.serve("cifar10", {**files, "batches.meta": b"not needed"})
    return files


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_set_is_downloaded_once_to_the_data_folder(nowhere: Path, network: Network, clothes: dict) -> None:
    assert load("fashion_mnist").images.unique().tolist() == [4]
    assert load("fashion_mnist", "test").images.unique().tolist() == [5]
    assert left(nowhere) == sorted([*TRAIN, *TEST])  # no archive and no temporary file
    assert len(network.asked) == 4 and (nowhere / "data" / "FashionMNIST" / "raw" / TRAIN[0]).exists()


@pytest.mark.parametrize("kind", [str, Path])
def test_a_set_is_downloaded_to_root_where_there_is_one(nowhere: Path, clothes: dict, kind: type) -> None:
    assert len(load("fashion_mnist", root=kind(nowhere / "root"))) == 12
    assert left(nowhere / "root" / "FashionMNIST") == left(nowhere) == sorted(clothes)


def test_cifar10_comes_out_of_its_archive(nowhere: Path, network: Network, things: dict) -> None:
    assert len(load("cifar10")) == 6 and len(load("cifar10", "test")) == 3
    assert left(nowhere / "data" / "cifar-10-batches-py") == left(nowhere) == sorted(things)
    assert network.asked == [PUBLISHED_SETS["cifar10"].url]


def test_only_https_is_ever_asked_for_even_after_a_failure(nowhere: Path, network: Network) -> None:
    for name in PUBLISHED_SETS:
        with pytest.raises(InputError, match="no network"):
            load(name)
    assert len(network.asked) == 3 and all(url.startswith("https://") for url in network.asked)


def test_an_answer_from_elsewhere_than_https_is_refused(nowhere: Path, network: Network, clothes: dict) -> None:
    url = PUBLISHED_SETS["fashion_mnist"].url.format(file=TRAIN[1])
    network.moved[url] = "http://mirror.example/labels.gz"
    with pytest.raises(InputError, match=r"leads to http://mirror\.example/labels\.gz, which is not https"):
        load("fashion_mnist")
    assert left(nowhere) == []
    network.moved[url] = "https://mirror.example/labels.gz"
    assert len(load("fashion_mnist")) == 12


@pytest.mark.parametrize("file", [*TRAIN, *TEST])
@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: gzip.compress(gzip.decompress(packed)[:-1] + b"\xff"),
        lambda packed: packed[:-20],
        lambda packed: b"",
        lambda packed: b"<html>not found</html>",
        lambda packed: packed[:20] + bytes(20) + packed[40:],
    ],
    ids=["another byte", "cut off", "empty", "a page", "damaged"],
)
def test_a_file_that_is_not_the_published_one_is_refused_and_nothing_is_left(
    nowhere: Path, network: Network, clothes: dict, file: str, damage
) -> None:
    url = PUBLISHED_SETS["fashion_mnist"].url.format(file=file)
    network.pages[url] = damage(network.pages[url])
    with pytest.raises(InputError, match="downloading it failed") as caught:
        load("fashion_mnist")
    assert "\n" not in str(caught.value)
    assert left(nowhere) == []


@pytest.mark.parametrize("damage", ["another byte", "a file missing", "a folder instead", "cut off", "no archive"])
def test_a_damaged_archive_is_refused_and_nothing_is_left(
    nowhere: Path, network: Network, things: dict, damage: str
) -> None:
    published = PUBLISHED_SETS["cifar10"]
    pages = {
        "another byte": archive_of({**things, "test_batch": things["test_batch"] + b"x"}, published.folder),
        "a file missing": archive_of({"test_batch": things["test_batch"]}, published.folder),
        "a folder instead": archive_of({f"{file}/inside": b"" for file in things}, published.folder),
        "cut off": network.pages[published.url][:20_000],
        "no archive": b"<html>not found</html>",
    }
    network.pages[published.url] = pages[damage]
    with pytest.raises(InputError, match="downloading it failed"):
        load("cifar10")
    assert left(nowhere) == []


def test_an_archive_writes_nowhere_but_to_its_own_folder(nowhere: Path, network: Network, things: dict) -> None:
    url = PUBLISHED_SETS["cifar10"].url
    network.pages[url] = archive_of({**things, "../../../evil": b"evil"}, PUBLISHED_SETS["cifar10"].folder)
    load("cifar10")
    assert left(nowhere) == sorted(things) and not any(nowhere.parent.rglob("evil"))


def test_a_download_that_breaks_off_leaves_nothing_and_is_tried_again(
    nowhere: Path, network: Network, clothes: dict
) -> None:
    url = PUBLISHED_SETS["fashion_mnist"].url.format(file=TEST[1])
    page = network.pages.pop(url)
    with pytest.raises(InputError, match="no network"):
        load("fashion_mnist")
    assert left(nowhere) == []
    network.pages[url] = page
    assert len(load("fashion_mnist")) == 12


def test_a_full_disk_is_named(nowhere: Path, clothes: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lpvq_files.os, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        load("fashion_mnist")
    assert left(nowhere) == []


@pytest.mark.parametrize("says_length", [True, False])
def test_a_large_file_comes_in_parts_whether_its_length_is_known_or_not(
    nowhere: Path, network: Network, clothes: dict, monkeypatch: pytest.MonkeyPatch, says_length: bool
) -> None:
    monkeypatch.setattr(downloading, "_AT_ONCE", 10)
    network.says_length = says_length
    assert load("fashion_mnist").images.unique().tolist() == [4]
