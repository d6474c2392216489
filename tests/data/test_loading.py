"""Images in: names, numbers and limits of every set, and what is refused before any memory is taken for it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_sets import publish_folder, write_idx

from lpvq import load_images
from lpvq.data import checks
from lpvq.data.loading import class_names, count_images, load
from lpvq.errors import InputError

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "smiles"}, "'smiles'.*smileys, fashion_mnist, mnist, cifar10, folder:PATH"),
    ({"name": "Smileys"}, "'Smileys' is unknown"),
    ({"name": ""}, "'' is unknown"),
    ({"name": "folder:"}, "'folder:' is unknown"),
    ({"name": "folder"}, "'folder' is unknown"),
    ({"name": "folders:x"}, "'folders:x' is unknown"),
    ({"name": None}, "None is unknown"),
    ({"name": ["smileys"]}, r"\['smileys'\] is unknown"),
    ({"name": Path("smileys")}, "Path.*is unknown"),
    ({"split": "valid"}, "'valid'.*train, test.*to validate, set some of the train images aside"),
    ({"split": "validation"}, "'validation'.*train, test.*to validate, set some of the train images aside"),
    ({"split": "Train"}, "'Train'.*train, test"),
    ({"split": None}, "None is unknown.*train, test"),
    ({"split": 0}, "0 is unknown.*train, test"),
    ({"size": 0}, "size must be at least 1, got 0"),
    ({"size": -32}, "size must be at least 1, got -32"),
    ({"size": 32.0}, "size must be a whole number, got 32.0"),
    ({"size": 32.5}, "size must be a whole number, got 32.5"),
    ({"size": np.float32(32)}, "size must be a whole number"),
    ({"size": "32"}, "size must be a whole number, got '32'"),
    ({"size": True}, "size must be a whole number, got True"),
    ({"size": np.True_}, "size must be a whole number"),
    ({"size": torch.tensor(True)}, "size must be a whole number"),
    ({"size": (32, 32)}, r"size must be a whole number, got \(32, 32\)"),
    ({"size": 100_000}, "size must be at most 4096, got 100000"),
    ({"size": 100_000, "limit": 1}, "size must be at most 4096, got 100000"),
    ({"size": 10**30}, "size must be at most 4096"),
    ({"limit": 0}, "limit must be at least 1, got 0"),
    ({"limit": -5}, "limit must be at least 1, got -5"),
    ({"limit": 10.0}, "limit must be a whole number, got 10.0"),
    ({"limit": "10"}, "limit must be a whole number, got '10'"),
    ({"limit": False}, "limit must be a whole number, got False"),
    ({"limit": [10]}, r"limit must be a whole number, got \[10\]"),
    ({"limit": 10**12}, "1000000000000 images of 32 × 32 pixels need .* GiB of memory"),
    ({"limit": 10**30}, "images of 32 × 32 pixels need .* GiB of memory"),
    ({"seed": -1}, "seed must be at least 0, got -1"),
    ({"seed": 1.0}, "seed must be a whole number, got 1.0"),
    ({"seed": "1"}, "seed must be a whole number, got '1'"),
    ({"seed": None}, "seed must be a whole number, got None"),
    ({"seed": True}, "seed must be a whole number, got True"),
    ({"root": 3}, "root must be the path of a folder, got 3"),
    ({"root": b"data"}, "root must be the path of a folder, got b'data'"),
]


@pytest.mark.parametrize(("wrong", "expected"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_value_is_named_with_what_was_expected(wrong: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        load_images(**{"name": "smileys", **wrong})


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint16, torch.tensor])
def test_whole_numbers_of_numpy_and_torch_are_as_good_as_pythons(kind: Any) -> None:
    data = load_images("smileys", size=kind(20), limit=kind(7), seed=kind(3))
    same = load_images("smileys", size=20, limit=7, seed=3)
    assert torch.equal(data.images, same.images) and data.images.shape == (7, 3, 20, 20)


def test_the_smallest_images_are_one_pixel() -> None:
    assert load("smileys", size=1, limit=2).images.shape == (2, 3, 1, 1)


def test_more_than_the_memory_holds_is_refused_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "memory", lambda: 2**34)
    with pytest.raises(InputError, match=r"20000 images of 4096 × 4096 pixels need 937\.5 GiB of memory.*limit"):
        load("smileys", size=4096)
    monkeypatch.setattr(checks, "memory", lambda: 10 * 3 * 32**2)
    assert len(load("smileys", limit=10)) == 10
    for more in ({"limit": 11}, {"limit": 10, "size": 33}):
        with pytest.raises(InputError, match=r"need .* GiB of memory, and this machine has"):
            load("smileys", **more)


def test_a_set_that_would_not_fit_once_resized_is_refused(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(nowhere / "data")
    publish_folder(monkeypatch, "fashion_mnist", nowhere / "data")
    monkeypatch.setattr(checks, "memory", lambda: 12 * 28**2)
    assert load("fashion_mnist").images.shape == (12, 1, 28, 28)
    with pytest.raises(InputError, match="12 images of 64 × 64 pixels need"):
        load("fashion_mnist", size=64)


def test_the_machine_has_some_memory() -> None:
    assert checks.memory() > 2**28


def test_images_are_bytes_with_int64_labels() -> None:
    data = load("smileys", limit=10)
    assert len(data) == 10
    assert data.images.dtype == torch.uint8 and data.images.max() == 255
    assert data.labels.dtype == torch.int64


def test_limit_keeps_the_first_and_size_resizes_with_antialiasing(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = write_idx(nowhere / "data" / "FashionMNIST" / "raw")
    publish_folder(monkeypatch, "fashion_mnist", nowhere / "data" / "FashionMNIST" / "raw")
    data = load("fashion_mnist", limit=5, size=14)
    assert data.images.shape == (5, 1, 14, 14)
    assert data.labels.tolist() == labels[:5].tolist()
    # Antialiased, each pixel weighs 16 of the noise; two neighbours alone would leave its deviation at half or more.
    assert data.images.float().std() < 0.45 * images.std()
    assert np.array_equal(load("fashion_mnist", limit=5).images[:, 0], images[:5])
    assert load("fashion_mnist", limit=99).images.shape == (12, 1, 28, 28)


def test_classes_are_named_without_loading_anything(nowhere: Path) -> None:
    assert class_names("smileys") == ("happy", "sad", "surprised")
    assert class_names("mnist") == tuple("0123456789") and class_names("fashion_mnist")[-1] == "Ankle boot"
    with pytest.raises(InputError, match="is unknown"):
        class_names("smiles")


def test_sets_are_counted_without_being_loaded(nowhere: Path) -> None:
    for name, train in (("fashion_mnist", 60_000), ("mnist", 60_000), ("cifar10", 50_000)):
        assert (count_images(name), count_images(name, "test")) == (train, 10_000)
    assert count_images("smileys") is None  # there are as many as asked for
    for wrong in ({"name": "smiles"}, {"name": "smileys", "split": "validation"}):
        with pytest.raises(InputError, match="is unknown"):
            count_images(**wrong)
