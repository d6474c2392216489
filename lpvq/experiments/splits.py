"""The images of an experiment: to learn from, to choose the best weights by, and to test on."""

import warnings
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

from lpvq import distributed
from lpvq.data.folders import HIDDEN, check_folder, describe_left_out
from lpvq.data.images import ImageData
from lpvq.data.loading import DEFAULT_SIZE, class_names, count_images, load, smileys_in_parts
from lpvq.data.prepared import LEFT_OUT, Prepared, find_prepared, prepare
from lpvq.errors import InputError
from lpvq.experiments.artefacts import ArtefactStore
from lpvq.experiments.profiles import PROFILES, Recipe, recipe_for

_NAMED = 5  # files that are left out, for each reason


class Splits:
    """The images of a data set, each split loaded when it is first asked for.

    Args:
        dataset: a name for ``lpvq.load_images``.
        recipe: says how large the images are, how many there are, and how many of the training images are held out:
            at most a tenth of them, and at least one.
        profile: whose recipe it is.
        store: where the pictures of a folder are kept once they are decoded.
    """

    def __init__(self, dataset: str, recipe: Recipe, profile: str, store: Path) -> None:
        self._store = ArtefactStore(store)
        self._dataset = dataset
        self._recipe = recipe
        self._profile = profile

    @cached_property
    def all_train(self) -> ImageData:
        """The images to learn from, and at the end those that are held out."""
        data = self._load("train", self._recipe.train_images)
        if len(data) < 2:
            raise InputError(f"{self._dataset} has {len(data)} image to learn from; expected at least 2")
        return data

    @cached_property
    def num_learning(self) -> int:
        """How many of the training images are to learn from."""
        return len(self.all_train) - self.num_held_out(len(self.all_train))

    def prior_parts(self) -> list[Callable[[], ImageData]]:
        """Return what gives the images whose codes the prior learns from, and at the end those held out, in parts.

        They are those of the VQ-VAE. Smileys have no end: there, they are as many as the recipe says, those of the
        VQ-VAE first, and are drawn part by part, as together they may take more memory than there is.
        """
        number = self._recipe.prior_images
        if number is None or self._dataset != "smileys":
            return [lambda: self.all_train]
        return smileys_in_parts("train", self._recipe.size, number)

    def num_held_out(self, available: int) -> int:
        """Return how many of so many images or grids are held out: as the recipe says, but at most a tenth."""
        return max(1, min(self._recipe.validation_images, available // 10))

    @cached_property
    def train(self) -> ImageData:
        """The images to learn from."""
        return self.all_train[: self.num_learning]

    @cached_property
    def validation(self) -> ImageData:
        """The training images that are held out to choose the best weights by."""
        return self.all_train[self.num_learning :]

    @cached_property
    def test(self) -> ImageData:
        """The images that no training sees."""
        data = self._load("test", self._recipe.test_images)
        if len(data) < 2:
            raise InputError(f"{self._dataset} has {len(data)} test image; expected at least 2, so add more images")
        return data

    @cached_property
    def train_checksum(self) -> str:
        """The checksum of all training images, those held out included."""
        return self.all_train.checksum()

    @cached_property
    def test_checksum(self) -> str:
        """The checksum of the test images."""
        return self.test.checksum()

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return class_names(self._dataset) if self.prepared is None else self.prepared.splits["train"].class_names

    @cached_property
    def prepared(self) -> Prepared | None:
        """The pictures of a folder, decoded once and kept; None for other sets."""
        kind, _, path = self._dataset.partition(":")
        if kind != "folder":
            return None
        folder, size = Path(path), self._recipe.size or DEFAULT_SIZE
        limits = {"train": self._recipe.train_images, "test": self._recipe.test_images}

        def find() -> Prepared | None:
            return find_prepared(folder, self._store.folder, size, limits, self._dataset)

        def make() -> Prepared:
            distributed.from_first(partial(prepare, folder, self._store.folder, size, limits))
            prepared = find()
            if prepared is None:
                raise InputError(f"the pictures in {folder} have changed while they were read: try again")
            return prepared

        check_folder(folder)
        prepared = self._store.find_or_make(find, make)
        if any(one.reason != HIDDEN for one in prepared.left_out):
            listed = self._store.path(LEFT_OUT)
            warnings.warn(f"{describe_left_out(prepared.left_out, folder, _NAMED)}; listed in {listed}", stacklevel=2)
        return prepared

    def _load(self, split: str, limit: int | None) -> ImageData:
        if self.prepared is not None:
            data: ImageData = self.prepared.splits[split]
            available = self.prepared.available[split] if len(data) == limit else None
        else:
            data = load(self._dataset, split, self._recipe.size, limit)
            available = count_images(self._dataset, split) if len(data) == limit else None
        if available is not None and available > len(data):
            takes_all = [name for name in PROFILES if self._takes_all(name, split, available)]
            way_out = f"; the profile {takes_all[0]} uses all" if takes_all else ""
            images = f"{len(data)} of the {available} {split} images of {self._dataset}"
            print(f"no more than {images} are used in the profile {self._profile}{way_out}", flush=True)
        return data

    def _takes_all(self, profile: str, split: str, available: int) -> bool:
        """Whether a profile uses that many images of a split."""
        recipe = recipe_for(self._dataset, profile, self._recipe.size)
        limit = recipe.train_images if split == "train" else recipe.test_images
        return limit is None or limit >= available
