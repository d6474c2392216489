"""What the package knows of the sets that others have published."""

import re
from urllib.parse import urlparse

import pytest
from torchvision.datasets import CIFAR10, MNIST, FashionMNIST

from lpvq.data import known_sets
from lpvq.data.catalogue import PUBLISHED_SETS
from lpvq.data.loading import load


@pytest.mark.parametrize("name", PUBLISHED_SETS)
def test_a_set_comes_by_https_alone_and_each_file_has_its_sha256(name: str) -> None:
    published = PUBLISHED_SETS[name]
    assert urlparse(published.url).scheme == "https"
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in published.sha256.values())
    assert len(set(published.sha256.values())) == len(published.sha256)
    assert len(published.class_names) == len(set(published.class_names)) == 10


def test_mnist_and_fashion_mnist_have_the_same_file_names_but_not_the_same_files() -> None:
    fashion, digits = (PUBLISHED_SETS[name].sha256 for name in known_sets.IDX_SETS)
    assert list(fashion) == list(digits) and not set(fashion.values()) & set(digits.values())


def test_files_and_classes_are_called_as_torchvision_calls_them() -> None:
    assert list(PUBLISHED_SETS["fashion_mnist"].class_names) == FashionMNIST.classes
    for name, kind in (("fashion_mnist", FashionMNIST), ("mnist", MNIST)):
        assert PUBLISHED_SETS[name].folder == f"{kind.__name__}/raw"
        assert [f"{file}.gz" for file in PUBLISHED_SETS[name].sha256] == [file for file, _ in kind.resources]
    assert PUBLISHED_SETS["cifar10"].folder == CIFAR10.base_folder and PUBLISHED_SETS["cifar10"].url == CIFAR10.url
    assert list(PUBLISHED_SETS["cifar10"].sha256) == [file for file, _ in CIFAR10.train_list + CIFAR10.test_list]


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_numbers_of_images_are_those_of_the_real_fashion_mnist(real_data: None, split: str) -> None:
    assert len(load("fashion_mnist", split)) == PUBLISHED_SETS["fashion_mnist"].number[split]
