"""Images in memory: what does not fit together is refused, torch's loaders take it, every pixel counts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset

from lpvq import InputError
from lpvq.data.images import ImageData

PIXELS = torch.arange(5 * 3 * 4 * 2).reshape(5, 3, 4, 2).to(torch.uint8)


@pytest.fixture
def data() -> ImageData:
    factors = {"size": torch.arange(5), "dx": torch.linspace(-1, 1, 5, dtype=torch.float64)}
    return ImageData(PIXELS.clone(), torch.tensor([0, 1, 2, 1, 0]), ("a", "b", "c"), "five", factors)


def other(value: int) -> torch.Tensor:
    return torch.tensor([0, 1, value, 1, 0])


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "floats": ({"images": PIXELS / 255}, r"images of five must be .*uint8.* \(N, C, H, W\).*got torch.float32"),
    "int64": ({"images": PIXELS.long()}, "uint8.*got torch.int64"),
    "int8": ({"images": PIXELS.to(torch.int8)}, "uint8.*got torch.int8"),
    "booleans": ({"images": PIXELS > 0}, "uint8.*got torch.bool"),
    "no axis for channels": ({"images": PIXELS[:, 0]}, r"got torch.uint8 and \(5, 4, 2\)"),
    "one image": ({"images": PIXELS[0]}, r"got torch.uint8 and \(3, 4, 2\)"),
    "an axis too many": ({"images": PIXELS[None]}, r"got torch.uint8 and \(1, 5, 3, 4, 2\)"),
    "an array": ({"images": PIXELS.numpy()}, "must be a tensor.*got a ndarray"),
    "a list": ({"images": [PIXELS]}, "must be a tensor.*got a list"),
    "nothing": ({"images": None}, "must be a tensor.*got a NoneType"),
    "another device": ({"images": PIXELS.to("meta")}, "on the CPU, got .* on meta"),
    "no images": ({"images": PIXELS[:0], "labels": torch.zeros(0, dtype=torch.int64)}, r"five has no images.*\(0, 3"),
    "no channels": ({"images": PIXELS[:, :0]}, r"images without pixels: \(5, 0, 4, 2\)"),
    "no height": ({"images": PIXELS[:, :, :0]}, r"images without pixels: \(5, 3, 0, 2\)"),
    "fewer labels": ({"labels": other(2)[:4]}, "4 labels for 5 images"),
    "more labels": ({"labels": torch.zeros(6, dtype=torch.int64)}, "6 labels for 5 images"),
    "no labels": ({"labels": torch.zeros(0, dtype=torch.int64)}, "0 labels for 5 images"),
    "int32 labels": ({"labels": other(2).int()}, r"labels must be .*int64.* \(N,\).*got torch.int32"),
    "float labels": ({"labels": other(2).float()}, "int64.*got torch.float32"),
    "boolean labels": ({"labels": other(2) > 0}, "int64.*got torch.bool"),
    "a column of labels": ({"labels": other(2)[:, None]}, r"\(5, 1\)"),
    "a list of labels": ({"labels": [0, 1, 2, 1, 0]}, "labels must be a tensor.*got a list"),
    "a negative label": ({"labels": other(-1)}, "labels must be in 0 … 2.*got -1 … 1"),
    "a label without a name": ({"labels": other(3)}, "labels must be in 0 … 2.*got 0 … 3"),
    "fewer names": ({"class_names": ("a", "b")}, "labels must be in 0 … 1.*2 class names.*got 0 … 2"),
    "no names": ({"class_names": ()}, "0 class names"),
    "a list of names": ({"class_names": ["a", "b", "c"]}, "class_names must be a tuple of texts"),
    "one text": ({"class_names": "abc"}, "class_names must be a tuple of texts, got 'abc'"),
    "numbers as names": ({"class_names": (0, 1, 2)}, "class_names must be a tuple of texts"),
    "fewer factors": ({"factors": {"size": torch.arange(4)}}, "factor size must be a tensor of 5 values"),
    "more factors": ({"factors": {"dx": torch.zeros(6)}}, "factor dx must be a tensor of 5 values"),
    "a factor of two columns": ({"factors": {"dx": torch.zeros(5, 2)}}, "factor dx must be a tensor of 5 values"),
    "a factor as a list": ({"factors": {"dx": [0.0] * 5}}, "factor dx must be a tensor of 5 values"),
}


@pytest.mark.parametrize(("changes", "expected"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused_when_the_set_is_made(
    data: ImageData, changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        replace(data, **changes)


def test_images_are_bytes_in_memory_and_floats_from_0_to_1_for_models(data: ImageData) -> None:
    floats = data.floats()
    assert floats.dtype == torch.float32
    assert torch.equal(floats, PIXELS / 255)
    for some in (torch.tensor([3, 1]), [3, 1], slice(1, 4)):
        assert torch.equal(data.floats(some), floats[some])
    floats.zero_()
    assert torch.equal(data.images, PIXELS)


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.uint8, torch.tensor])
def test_an_index_gives_an_image_with_its_label_whatever_kind_of_whole_number_it_is(data: ImageData, kind: Any) -> None:
    for index in range(5):
        image, label = data[kind(index)]
        assert image.dtype == torch.float32 and torch.equal(image, PIXELS[index] / 255)
        assert type(label) is int and label == data.labels[index]


def test_negative_indices_count_from_the_end(data: ImageData) -> None:
    assert torch.equal(data[-1][0], data[4][0]) and torch.equal(data[np.int64(-5)][0], data[0][0])


@pytest.mark.parametrize("index", [5, -6, 10**12, np.int64(5), torch.tensor(5)])
def test_an_index_out_of_range_is_an_index_error_as_torch_expects(data: ImageData, index: Any) -> None:
    with pytest.raises(IndexError, match="out of range for a set of 5"):
        data[index]


def test_a_set_can_be_looped_over(data: ImageData) -> None:
    assert [label for _, label in data] == [0, 1, 2, 1, 0]


@pytest.mark.parametrize(
    "items",
    [[0, 1], (0, 1), [1], torch.tensor([0, 1]), np.array([0, 1]), 1.0, "1", None, True, ..., torch.tensor(True), {1}],
    ids=str,
)
def test_anything_else_is_refused_with_what_takes_it(data: ImageData, items: Any) -> None:
    with pytest.raises(InputError, match=r"whole number or a slice.*torch\.utils\.data\.Subset"):
        data[items]


def test_a_slice_is_a_set_that_shares_the_memory(data: ImageData) -> None:
    part = data[1:4]
    assert isinstance(part, ImageData) and len(part) == 3 and part.name == "five"
    assert torch.equal(part.images, PIXELS[1:4]) and part.labels.tolist() == [1, 2, 1]
    assert part.factors["size"].tolist() == [1, 2, 3] and part.factors["dx"].tolist() == [-0.5, 0, 0.5]
    assert part.images.data_ptr() == data.images[1].data_ptr()
    assert data[::2].labels.tolist() == [0, 2, 0] and data[-2:].labels.tolist() == [1, 0]
    assert replace(data, factors=None)[:2].factors is None


def test_a_slice_of_nothing_is_refused(data: ImageData) -> None:
    for nothing in (data, data[1:3]):
        with pytest.raises(InputError, match="five has no images"):
            nothing[7:]


@pytest.mark.parametrize("shuffle", [False, True])
def test_torchs_loader_gives_every_image_once_with_its_label(data: ImageData, shuffle: bool) -> None:
    loader = DataLoader(data, batch_size=2, shuffle=shuffle, generator=torch.Generator().manual_seed(1))
    batches = list(loader)
    assert [len(labels) for _, labels in batches] == [2, 2, 1]
    images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    assert images.dtype == torch.float32 and images.shape == (5, 3, 4, 2) and labels.dtype == torch.int64
    order = [int((images[i] == data.floats()).flatten(1).all(1).nonzero()) for i in range(5)]
    assert sorted(order) == [0, 1, 2, 3, 4] and (order == sorted(order)) != shuffle
    assert labels.tolist() == data.labels[order].tolist()


def test_torchs_subset_takes_a_list_of_indices(data: ImageData) -> None:
    images, labels = next(iter(DataLoader(Subset(data, [3, 1]), batch_size=2)))
    assert torch.equal(images, data.floats([3, 1])) and labels.tolist() == [1, 1]


@pytest.mark.parametrize("side", [1, 16, 300, 400])
def test_batches_have_every_image_once_and_in_order_whatever_the_size(side: int) -> None:
    number = 3000 if side == 1 else 1000 if side == 16 else 5
    images = torch.zeros(number, 1, side, side, dtype=torch.uint8)
    data = ImageData(images, torch.zeros(number, dtype=torch.int64), ("a",), "squares")
    batches = data.batches()
    assert torch.cat(batches).tolist() == list(range(number))
    assert max(len(batch) for batch in batches) * side**2 <= max(2**17, side**2)


def test_the_variance_is_that_of_all_values_together(data: ImageData) -> None:
    assert data.variance() == pytest.approx((PIXELS / 255).double().var(correction=0).item(), rel=1e-6)
    flat = replace(data, images=torch.full_like(PIXELS, 77))
    with pytest.raises(InputError, match="all pixels of five have the same value"):
        flat.variance()


def test_the_checksum_of_a_copy_is_the_same(data: ImageData) -> None:
    sha256 = data.checksum()
    assert len(sha256) == 64 and data.checksum() == sha256
    copy = ImageData(data.images.clone(), data.labels.clone(), ("a", "b", "c"), "a copy")
    assert copy.checksum() == sha256
    turned = replace(data, images=PIXELS.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2))  # other strides
    assert turned.checksum() == sha256
    assert data[1:4].checksum() == replace(data[1:4], images=PIXELS[1:4].clone()).checksum()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: {"images": data.images.bitwise_xor(torch.arange(120).eq(119).view_as(data.images))},
        lambda data: {"labels": other(0)},
        lambda data: {"class_names": ("a", "b", "d")},
        lambda data: {"class_names": ("a", "b", "c", "d")},
        lambda data: {"class_names": ("b", "a", "c")},
        lambda data: {"images": data.images.flip(0)},
        lambda data: {"labels": data.labels.roll(1)},
        lambda data: {"images": data.images.flip(1)},
        lambda data: {"images": data.images.transpose(2, 3)},
        lambda data: {"images": data.images.reshape(5, 3, 2, 4)},
        lambda data: {"images": data.images[:4], "labels": data.labels[:4], "factors": None},
    ],
    ids=["pixel", "label", "name", "more-names", "names", "order", "labels", "channels", "turned", "shape", "fewer"],
)
def test_the_checksum_of_another_set_is_another_one(data: ImageData, change: Any) -> None:
    changed = replace(data, **change(data))
    assert changed.checksum() != data.checksum()
