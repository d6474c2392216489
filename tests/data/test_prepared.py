"""A folder that was prepared: the images of ``load``, decoded once, and anew when the pictures have changed."""

import os
from pathlib import Path

import pytest
import torch
from odd_pictures import encoded, picture

from lpvq.data import mapped_images, prepared
from lpvq.data.loading import load
from lpvq.data.prepared import Prepared, find_prepared, prepare
from lpvq.errors import InputError

ALL = {"train": None, "test": None}


def write(folder: Path, number: int, name: str = "cats", first: int = 0) -> None:
    for i in range(first, first + number):
        path = folder / name / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(i), "PNG"))


def found(folder: Path, store: Path, limits: dict[str, int | None] = ALL) -> Prepared:
    result = find_prepared(folder, store, 16, limits, f"folder:{folder}")
    assert result is not None
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "in", 20)
    write(tmp_path / "in", 11, "dogs", 50)
    return tmp_path / "in"


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Path:
    prepare(folder, tmp_path / "store", 16, ALL)
    return tmp_path / "store"


def test_what_was_prepared_is_what_load_gives(folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {split: load(f"folder:{folder}", split, 16) for split in ("train", "test")}
    monkeypatch.setattr(prepared, "read_all", None)  # nothing is decoded again
    for split, data in found(folder, store).splits.items():
        assert torch.equal(data.images, expected[split].images) and torch.equal(data.labels, expected[split].labels)
        assert data.class_names == expected[split].class_names and data.name == expected[split].name
        assert data.checksum() == expected[split].checksum() and data.variance() == expected[split].variance()
        assert data[1:4].checksum() == expected[split][1:4].checksum()
        assert torch.equal(data.floats([1, 0]), expected[split].floats([1, 0]))
        assert torch.equal(data[1][0], expected[split][1][0])


def test_another_name_size_or_time_of_a_file_counts(folder: Path, store: Path) -> None:
    def is_known() -> bool:
        return find_prepared(folder, store, 16, ALL, "pets") is not None

    assert is_known() and find_prepared(folder, store, 32, ALL, "pets") is None
    (folder / ".DS_Store").write_text("nobody means this")
    assert is_known()
    os.utime(folder / "cats" / "000.png", ns=(1, 1))
    assert not is_known()
    prepare(folder, store, 16, ALL)
    assert is_known() and len(list(store.glob("*.array"))) == 1
    write(folder, 1, "dogs", 90)
    assert not is_known()


def test_a_part_is_enough_until_more_is_needed(folder: Path, store: Path) -> None:
    whole = found(folder, store)
    few = found(folder, store, {"train": 5, "test": 1})
    assert torch.equal(few.splits["train"].images, whole.splits["train"].images[:5])
    assert torch.equal(few.splits["test"].images, whole.splits["test"].images[:1])
    assert few.available == {"train": 27, "test": 4}
    prepare(folder, store, 16, {"train": 5, "test": 2})
    assert torch.equal(
        found(folder, store, {"train": 3, "test": 2}).splits["test"].images, whole.splits["test"].images[:2]
    )
    assert find_prepared(folder, store, 16, {"train": 6, "test": 2}, "pets") is None
    assert find_prepared(folder, store, 16, ALL, "pets") is None


def test_sums_are_computed_once(folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = found(folder, store).splits["train"]
    before = train.checksum(), train.variance(), train[:7].checksum()
    assert len(set(before)) == 3
    monkeypatch.setattr(mapped_images.MappedImages, "_chunks", None)
    train = found(folder, store).splits["train"]
    assert (train.checksum(), train.variance(), train[:7].checksum()) == before


def test_what_was_read_does_not_stay_in_memory(folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = found(folder, store).splits["train"]
    released = []

    class Watched:
        def madvise(self, option: int) -> None:
            released.append(option)

    assert data.array is not None
    monkeypatch.setattr(data.array, "_map", Watched())
    monkeypatch.setattr(mapped_images, "_KEPT", 2 * 2**16)
    data.floats([0])
    assert not released
    data.floats([1])
    assert len(released) == 1
    data[:].checksum()
    assert len(released) > 1


def test_damaged_pictures_are_listed_and_classes_stay_right(folder: Path, tmp_path: Path) -> None:
    for name in ("cats/001.png", "cats/002.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:60])
    write(folder, 2, "rare")
    for path in sorted((folder / "rare").iterdir()):
        path.write_bytes(path.read_bytes()[:60])  # a class without any whole picture
    write(folder, 2, "one whole")
    parts = prepared.split_folder(folder)
    learned = [file.name for file in parts.files["train"] if file.name.startswith("one whole")]
    for name in learned[:1]:
        (folder / name).write_bytes((folder / name).read_bytes()[:60])
    prepare(folder, tmp_path / "store", 16, ALL)
    result = found(folder, tmp_path / "store")
    train, test = result.splits["train"], result.splits["test"]
    assert train.class_names == ("cats", "dogs", "one whole")
    assert set(train.labels.tolist()) == {0, 1, 2} and len(train) + len(test) == 31 - 2 + 2 - len(learned[:1])
    listed = (tmp_path / "store" / prepared.LEFT_OUT).read_text()
    assert all(name in listed for name in ("cats/001.png", "cats/002.png", "rare/000.png")) and "damaged" in listed


def test_too_few_pictures_are_refused_with_the_number_that_is_needed(tmp_path: Path) -> None:
    write(tmp_path / "in", 7)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    with pytest.raises(InputError, match=r"has 7 pictures, and at least 8 are needed.*a few hundred.*1 no picture"):
        prepare(tmp_path / "in", tmp_path / "store", 16, ALL)
    assert not list(tmp_path.glob("store/*"))
    write(tmp_path / "in", 1, first=7)
    prepare(tmp_path / "in", tmp_path / "store", 16, ALL)
    assert [len(data) for data in found(tmp_path / "in", tmp_path / "store").splits.values()] == [6, 2]


def test_a_full_disk_is_told_before_anything_is_read(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(prepared.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(InputError, match=r"need .* GiB in .*choose a smaller size"):
        prepare(folder, tmp_path / "store", 16, ALL)
    assert not (tmp_path / "store").exists()


def test_a_damaged_file_is_said_to_be(folder: Path, store: Path) -> None:
    (array,) = store.glob("*.array")
    array.write_bytes(array.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"array is damaged.*delete it"):
        found(folder, store)
    array.unlink()
    assert find_prepared(folder, store, 16, ALL, "pets") is None
