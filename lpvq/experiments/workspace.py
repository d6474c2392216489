"""The whole way of the data: a workspace that finds what was made before or makes it.

Everything of one data set and one profile lies in ``OUTPUT/<dataset>/<profile>/``, or for images of another size than
usual in ``OUTPUT/<dataset>-<size>/<profile>/``:

    vqvae.pt, vqvae.json                 the VQ-VAE and how it was trained, with its history
    codes_train.npz, codes_test.npz      the codes of all images
    prior.pt, prior.json                 the PixelCNN, and of which VQ-VAE's codes
    *.checkpoint                         a training that is not finished
    snapshots/                           the models as they were at some steps of their training
    classifier.pt, classifier.json       the classifier that evaluation needs
    evaluation.json, *.png               what is measured and shown
    studies/                             workspaces of the same data with other recipes
    .lock                                held by the process that is making one of these
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lpvq.data.images import ImageData
from lpvq.data.latent_codes import LatentCodes, extract_codes
from lpvq.data.loading import count_images, load
from lpvq.errors import InputError
from lpvq.evaluation.classifier import Classifier, tasks_of, train_classifier
from lpvq.experiments.artefacts import About, ArtefactStore, Model
from lpvq.experiments.profiles import PROFILES, SNAPSHOTS, profile_name, recipe_for
from lpvq.files import checksum, save_model
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.pretrained import load_pretrained_and_about
from lpvq.models.vqvae import VQVAE
from lpvq.paths import output_folder
from lpvq.runtime import choose_device
from lpvq.training.checkpoints import OtherDataError
from lpvq.training.config import HOW_FAST
from lpvq.training.prior import train_prior
from lpvq.training.trainer import AfterStep, History
from lpvq.training.vqvae import train_vqvae

# The fields of a recipe that decide about a model, beside the one of its own name.
_DECIDES = {
    "vqvae": (
        *("size", "train_images", "validation_images", "num_codes", "code_dim", "vqvae_channels", "downsample"),
        *("encoder_blocks", "decoder_blocks", "quantizer"),
    ),
    "prior": ("prior_blocks", "prior_channels", "prior_kernel"),
    "classifier": ("size", "train_images", "validation_images"),
}
_MADE = ("_vqvae_and_about", "_prior_and_about", "train_codes", "test_codes", "classifier")


class Workspace:
    """The artefacts of one data set and one profile; each is loaded if it is there and made if it is not.

    Args:
        dataset: a name for ``lpvq.load_images``.
        profile: "smoke", "laptop" or "full"; ``LPVQ_PROFILE`` or "laptop" where None.
        output: the folder that holds all workspaces; where None, see ``lpvq.paths.output_folder``.
        seed: decides the weights that training starts from, and all that is random in it.
        device: see ``lpvq.runtime.choose_device``.
        size: height and width of the images; what the recipe says where None.
        pretrained: use the weights of ``load_pretrained`` instead of training any.
        compile: train the prior with ``torch.compile``.

    Raises:
        InputError: an unknown data set, profile or device; here, or when an artefact is of another recipe.
    """

    def __init__(
        self,
        dataset: str = "smileys",
        profile: str | None = None,
        output: str | Path | None = None,
        seed: int = 0,
        device: str | None = None,
        size: int | None = None,
        pretrained: bool = False,
        compile: bool = False,
    ) -> None:
        kind, _, path = dataset.partition(":")
        folder = Path(path).expanduser().resolve()
        self.dataset = f"{kind}:{folder}" if path else dataset  # one name, however a folder is spelled
        self.profile = profile_name(profile)
        self.pretrained = pretrained
        self.recipe = recipe_for(dataset, self.profile, size, seed, compile)
        self.seed = seed
        self.device = choose_device(device)
        name = f"{kind}-{folder.name}" if path else kind
        name = name if self.recipe.size is None else f"{name}-{self.recipe.size}"
        self._shipped = load_pretrained_and_about(name) if pretrained else None
        below = f"pretrained-{self.profile}" if pretrained else self.profile
        self.artefacts = ArtefactStore(output_folder(output) / name / below)

    @property
    def folder(self) -> Path:
        """Where the artefacts are."""
        return self.artefacts.folder

    def path(self, name: str) -> Path:
        """Return where the artefact ``name`` is or will be."""
        return self.artefacts.path(name)

    def variation(self, name: str, seed: int, changes: Mapping[str, Any]) -> "Workspace":
        """Return a workspace with another recipe, in a folder ``name`` below this one's.

        Args:
            name: of the folder.
            seed: see ``Workspace``.
            changes: fields of the recipe, with their new values; none that choose other images.
        """
        other = copy(self)
        for made in _MADE:
            other.__dict__.pop(made, None)  # what this workspace has in memory; the images stay
        recipe = replace(self.recipe, **changes)
        vqvae, prior = replace(recipe.vqvae, seed=seed), replace(recipe.prior, seed=seed)
        other.recipe, other.seed = replace(recipe, vqvae=vqvae, prior=prior), seed
        other.artefacts = ArtefactStore(self.folder / name)
        return other

    # Images.

    @cached_property
    def all_train_data(self) -> ImageData:
        """The images to learn from, and at the end those that are set aside."""
        data = self._load("train", self.recipe.train_images)
        if len(data) < 2:
            raise InputError(f"{self.dataset} has {len(data)} image to learn from; expected at least 2")
        return data

    @cached_property
    def _num_learning(self) -> int:
        """How many training images are left to learn from; of a small folder, a tenth is set aside."""
        available = len(self.all_train_data)
        return available - max(1, min(self.recipe.validation_images, available // 10))

    @cached_property
    def train_data(self) -> ImageData:
        """The images to learn from."""
        return self.all_train_data[: self._num_learning]

    @cached_property
    def validation_data(self) -> ImageData:
        """The training images that are set aside to choose the best weights with."""
        return self.all_train_data[self._num_learning :]

    @cached_property
    def test_data(self) -> ImageData:
        """The images that no training sees."""
        data = self._load("test", self.recipe.test_images)
        if len(data) < 2:
            raise InputError(f"{self.dataset} has {len(data)} test image; expected at least 2, so add more images")
        return data

    @cached_property
    def train_checksum(self) -> str:
        """The checksum of all training images, those set aside included."""
        return self.all_train_data.checksum()

    @cached_property
    def test_checksum(self) -> str:
        """The checksum of the test images."""
        return self.test_data.checksum()

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.test_data.class_names

    def _load(self, split: str, limit: int | None) -> ImageData:
        data = load(self.dataset, split, self.recipe.size, limit)
        available = count_images(self.dataset, split) if len(data) == limit else None
        if available is not None and available > len(data):
            takes_all = [name for name in PROFILES if self._takes_all(name, split, available)]
            way_out = f"; the profile {takes_all[0]} uses all" if takes_all else ""
            images = f"{len(data)} of the {available} {split} images of {self.dataset}"
            print(f"no more than {images} are used in the profile {self.profile}{way_out}", flush=True)
        return data

    def _takes_all(self, profile: str, split: str, available: int) -> bool:
        """Whether a profile uses that many images of a split."""
        recipe = recipe_for(self.dataset, profile, self.recipe.size)
        limit = recipe.train_images if split == "train" else recipe.test_images
        return limit is None or limit >= available

    # Models.

    @property
    def vqvae(self) -> VQVAE:
        """The trained VQ-VAE, in eval mode, on the device."""
        return self._vqvae_and_about[0]

    @property
    def vqvae_about(self) -> About:
        """How the VQ-VAE was trained: ``settings``, ``seconds``, ``precision`` and ``history``."""
        return self._vqvae_and_about[1]

    @property
    def prior(self) -> PixelCNN:
        """The trained PixelCNN, in eval mode, on the device."""
        return self._prior_and_about[0]

    @property
    def prior_about(self) -> About:
        """How the PixelCNN was trained: ``settings``, ``seconds``, ``precision`` and ``history``."""
        return self._prior_and_about[1]

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier that generated images are judged by, trained on the training images, in eval mode."""
        return self._find_or_make(Classifier, "classifier", self._train_classifier)[0]

    @cached_property
    def _vqvae_and_about(self) -> tuple[VQVAE, About]:
        if self._shipped is None:
            return self._find_or_make(VQVAE, "vqvae", self._train_vqvae)
        vqvae, about = self._shipped[0]
        return vqvae.to(self.device), about

    @cached_property
    def _prior_and_about(self) -> tuple[PixelCNN, About]:
        if self._shipped is None:
            return self._find_or_make(PixelCNN, "prior", self._train_prior)
        prior, about = self._shipped[1]
        return prior.to(self.device), about

    def train_until(self, name: str, share: float) -> tuple[VQVAE | PixelCNN, History]:
        """Return a model as it is after a share of its training, to be looked at.

        Every training writes snapshots at the shares of ``profiles.SNAPSHOTS``, and this finds them. Where there is
        none, the training goes as far, and ``vqvae`` or ``prior`` goes on from there. If it has gone further already,
        the model is trained as far once more, beside the one that is there.

        Args:
            name: "vqvae" or "prior".
            share: of the steps of the recipe, above 0 and below 1.

        Returns:
            the model, in eval mode, on the device; its history so far.

        Raises:
            InputError: another name or share.
        """
        if name not in ("vqvae", "prior") or not 0 < share < 1:
            raise InputError(f"expected vqvae or prior and a share between 0 and 1, got {name!r} and {share}")
        kind: Any = VQVAE if name == "vqvae" else PixelCNN
        train: Any = self._train_vqvae if name == "vqvae" else self._train_prior
        snapshot = _snapshot(name, share)
        with self.artefacts.alone():
            found = self._find(kind, name, snapshot)
            if found is None and not self.path(f"{name}.json").exists():
                train(share)
                found = self._find(kind, name, snapshot)
            if found is None:
                train(share, snapshot)
                self.artefacts.discard_checkpoint(snapshot)
                found = self._find(kind, name, snapshot)
        assert found is not None, f"the training of {name} wrote no snapshot at {share}"
        return found[0], found[1]["history"]

    def _train_vqvae(self, share: float = 1.0, artefact: str = "vqvae") -> tuple[VQVAE, History]:
        recipe, data = self.recipe, self.train_data

        def make() -> VQVAE:
            return VQVAE(
                data.images.shape[1],
                recipe.num_codes,
                recipe.code_dim,
                recipe.vqvae_channels,
                recipe.downsample,
                recipe.encoder_blocks,
                recipe.decoder_blocks,
                recipe.quantizer,
            )

        def train(vqvae: VQVAE, checkpoint: Path, until: int, after_step: AfterStep) -> History:
            return train_vqvae(
                vqvae, data, recipe.vqvae, self.validation_data, checkpoint, until=until, after_step=after_step
            )

        return self._train("vqvae", make, train, recipe.vqvae.steps, share, artefact)

    def _train_prior(self, share: float = 1.0, artefact: str = "prior") -> tuple[PixelCNN, History]:
        recipe, codes = self.recipe, self.train_codes
        learning, validation = codes[: self._num_learning], codes[self._num_learning :]

        def make() -> PixelCNN:
            return PixelCNN(
                codes.num_codes,
                codes.grid,
                recipe.prior_blocks,
                recipe.prior_kernel,
                hidden_channels=recipe.prior_channels,
                num_classes=len(codes.class_names),
            )

        def train(prior: PixelCNN, checkpoint: Path, until: int, after_step: AfterStep) -> History:
            return train_prior(
                prior, learning, recipe.prior, validation, checkpoint, until=until, after_step=after_step
            )

        return self._train("prior", make, train, recipe.prior.steps, share, artefact)

    def _train_classifier(self) -> tuple[Classifier, History]:
        recipe, data = self.recipe, self.train_data

        def make() -> Classifier:
            return Classifier(data.images.shape[1], tasks_of(data))

        def train(classifier: Classifier, checkpoint: Path, *_: Any) -> History:
            return train_classifier(classifier, data, recipe.classifier, self.validation_data, checkpoint)

        return self._train("classifier", make, train, recipe.classifier.steps, 1.0, "classifier")

    def _train(
        self,
        name: str,
        make: Callable[[], Model],
        train: Callable[[Model, Path, int, AfterStep], History],
        steps: int,
        share: float,
        artefact: str,
    ) -> tuple[Model, History]:
        """Train a model for a share of its steps, and keep snapshots on the way.

        Args:
            name: of the model.
            make: makes it, as it is before training.
            train: trains it with a checkpoint, until a step, and a function to call after each.
            steps: of the whole training.
            share: of them.
            artefact: whose name the checkpoint gets.
        """
        path = self.path(f"{artefact}.checkpoint")
        how = "training goes on" if path.exists() else "training it"
        print(f"no {artefact}.pt for {self.dataset} in the profile {self.profile} yet: {how}", flush=True)
        with _seeded(self.seed):
            model = make().to(self.device)
        settings = self._settings(name)
        marks = {mark: _step(mark, steps) for mark in {*SNAPSHOTS, share} if mark < 1}

        def keep_snapshots(step: int, history: History) -> None:
            for mark, at in marks.items():
                if at == step and name != "classifier":
                    about = {"settings": settings, "history": history}
                    save_model(model, self.path(f"{_snapshot(name, mark)}.pt"), about)

        until = _step(share, steps)
        try:
            return model, train(model, path, until, keep_snapshots)
        except OtherDataError as error:
            print(f"{error}: it starts anew", flush=True)
            self.artefacts.discard_checkpoint(artefact)
            return model, train(model, path, until, keep_snapshots)

    # Codes.

    @cached_property
    def train_codes(self) -> LatentCodes:
        """The codes of all training images, those set aside included (at the end)."""
        return self._codes("train", self.all_train_data, self.train_checksum)

    @cached_property
    def test_codes(self) -> LatentCodes:
        """The codes of the test images."""
        return self._codes("test", self.test_data, self.test_checksum)

    def _codes(self, split: str, data: ImageData, data_checksum: str) -> LatentCodes:
        path, made_by = self.path(f"codes_{split}.npz"), checksum(self.vqvae)
        with self.artefacts.alone():
            if path.exists():
                codes = LatentCodes.load(path)
                if (codes.vqvae_checksum, codes.data_checksum) == (made_by, data_checksum):
                    return codes
                print(f"{path} has the codes of other images or of another VQ-VAE: they are extracted anew", flush=True)
            codes = extract_codes(self.vqvae, data)
            codes.save(path)
        return codes

    # What is found, and what is kept.

    def _settings(self, name: str) -> dict[str, Any]:
        """What decides about one of the models, as JSON has it."""
        recipe = asdict(self.recipe)
        settings = {"dataset": self.dataset, **{field: recipe[field] for field in _DECIDES[name]}, **recipe[name]}
        settings["data_checksum"] = self.train_checksum
        if name == "prior":
            settings["vqvae_checksum"] = checksum(self.vqvae)
        return {field: value for field, value in settings.items() if field not in HOW_FAST}

    def _find(self, kind: type[Model], name: str, artefact: str) -> tuple[Model, About] | None:
        return self.artefacts.find(kind, artefact, self._settings(name), self.device)

    def _find_or_make(
        self, kind: type[Model], name: str, train: Callable[[], tuple[Model, History]]
    ) -> tuple[Model, About]:
        found = self._find(kind, name, name)
        if found:
            return found
        with self.artefacts.alone():
            found = self._find(kind, name, name)
            if found:
                return found
            model, history = train()
            last = history[-1]
            about = {
                "settings": self._settings(name),
                "seconds": last["seconds"],
                "precision": last["precision"],
                "history": history,
            }
            self.artefacts.keep(model, name, about)
            return model, about


def _snapshot(name: str, share: float) -> str:
    """The artefact's name of a model at a share of its training."""
    return f"snapshots/{name}-{share:g}"


def _step(share: float, steps: int) -> int:
    """How many steps a share of the training is; at least one."""
    return max(1, round(share * steps))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Make what is random depend on ``seed`` alone, and leave torch's generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield
