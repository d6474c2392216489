"""The whole path of the data: a workspace that finds what was made before or makes it.

Everything of one data set and one profile lies in ``OUTPUT/<dataset>/<profile>/``, or for images of an unusual size in
``OUTPUT/<dataset>-<size>/<profile>/``:

    vqvae.pt, vqvae.json                 the VQ-VAE and how it was trained, with its history
    codes_train.npz, codes_test.npz      the codes of all images
    prior.pt, prior.json                 the PixelCNN, and whose codes it has learned
    fine.pt, fine.json                   with two levels, the PixelCNN of the fine codes in its place; the coarse ones
                                         and their prior are those of the workspace of a smaller size
    *.checkpoint                         a training that is not finished
    snapshots/                           the models as they were at some steps of their training
    whole_number_prior.pt, .json         the prior in whole numbers, for compression
    classifier.pt, classifier.json       the classifier that evaluation needs
    evaluation.json, *.png               what is measured and shown
    studies/                             workspaces of the same data with other recipes
    ../pictures/                         the pictures of a folder, decoded, for all profiles
    .lock                                held by the process that is making one of these
"""

import json
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lpvq import distributed
from lpvq.data.folders import readable
from lpvq.data.images import ImageData
from lpvq.data.latent_codes import LatentCodes, extract_codes, join_codes
from lpvq.data.prepared import Prepared, read_about
from lpvq.errors import InputError
from lpvq.evaluation.classifier import Classifier
from lpvq.experiments.artefacts import About, ArtefactStore
from lpvq.experiments.profiles import SNAPSHOTS, coarse_size, profile_name, recipe_for
from lpvq.experiments.splits import Splits
from lpvq.experiments.trainings import Training, classifier_training, prior_training, vqvae_training
from lpvq.files import checksum
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.pretrained import load_pretrained_and_about, load_whole_number_prior
from lpvq.models.saving import Pretrained
from lpvq.models.vqvae import VQVAE
from lpvq.models.whole_number_conversion import whole_number_prior
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.paths import output_folder
from lpvq.runtime import choose_device, progress, without_bars
from lpvq.training.checkpoints import OtherDataError, steps_done
from lpvq.training.config import HOW_FAST, TrainConfig, real_number
from lpvq.training.trainer import AfterStep, History

_KINDS: dict[str, type[Pretrained]] = {"vqvae": VQVAE, "prior": PixelCNN, "fine": PixelCNN, "classifier": Classifier}
# The fields of a recipe that decide what a model is, besides the one of its own name.
_DECIDES = {
    "vqvae": (
        *("size", "train_images", "validation_images", "num_codes", "code_dim", "vqvae_channels", "downsample"),
        *("encoder_blocks", "decoder_blocks", "quantizer"),
    ),
    "prior": (
        *("prior_images", "prior_blocks", "prior_channels", "prior_kernel"),
        *("prior_position", "prior_codebook", "prior_attentions"),
    ),
    "classifier": ("size", "train_images", "validation_images"),
}
_DECIDES["fine"] = _DECIDES["prior"]
_HOW_MADE = {*HOW_FAST, "shards"}  # what is no reason to make a model again if it changes
_PICTURES = "pictures"
_WHOLE = "whole_number_prior"
MEASURED_ON = 512
"""How many of the training images tell how large the features of a prior become."""

_OF_IMAGES = {"size", "train_images", "test_images", "validation_images", "levels"}


class Workspace:
    """The artefacts of one data set and one profile; each is loaded if it is there and made if it is not.

    Args:
        dataset: a name for ``lpvq.load_images``.
        profile: "smoke", "laptop", "long" or "full"; ``LPVQ_PROFILE`` or "laptop" where None.
        output: the folder that holds all workspaces; where None, ``LPVQ_OUTPUT``, or ``output/`` of the checkout or of
            the working folder.
        seed: 0 … 2⁶³ − 1; decides the weights that the training of VQ-VAE and PixelCNN starts from, and all that is
            random in it.
        device: "cpu", "cuda", "cuda:1" or "mps"; where None, ``LPVQ_DEVICE``, or the fastest that is there.
        size: height and width of the images in pixels; what the recipe says where None.
        pretrained: use the weights that come with the project instead of training any.
        compile: train the prior with ``torch.compile``.
        levels: 1, or 2 for a prior that draws coarse codes first; what the recipe says where None.
        shards: how many parts the batches of a training are cut into, see ``TrainConfig``; where None, 1, or 4 in a
            process that torchrun has started. A model that is there is used, whatever it was trained with.
        fast_reduce: see there.

    Attributes:
        coarse: with two levels, the workspace of the same images, smaller, whose codes are the coarse ones; else None.
        watch: what to show of a training while it runs: from this workspace, the model and what it is validated on to
            an ``AfterStep``; None for nothing.
        offer: what to say before a model is trained from nothing to its end; None for nothing.

    Raises:
        InputError: an unknown data set, profile or device, a number that is not a size or a seed. Asking for an
            artefact raises it too, if what is kept is damaged or of another recipe.
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
        levels: int | None = None,
        shards: int | None = None,
        fast_reduce: bool = False,
    ) -> None:
        kind, _, path = dataset.partition(":")
        folder = Path(path).expanduser().resolve()
        self.dataset = f"{kind}:{folder}" if path else dataset  # one name, however a folder is spelled
        self.profile = profile_name(profile)
        self.pretrained = pretrained
        shards = distributed.usual_shards() if shards is None else shards
        self.recipe = recipe_for(dataset, self.profile, size, seed, compile, levels, shards, fast_reduce)
        self.seed = self.recipe.vqvae.seed
        self.device = choose_device(device)
        name = f"{kind}-{folder.name}" if path else kind
        name = name if self.recipe.size is None else f"{name}-{self.recipe.size}"
        home = _home(output_folder(output) / name, folder) if path else output_folder(output) / name
        self._shipped = load_pretrained_and_about(name) if pretrained else None
        if self._shipped is not None:
            levels = 2 if isinstance(self._shipped[1][0], CoarseToFine) else 1
            self.recipe = replace(self.recipe, levels=levels)
        below = f"pretrained-{self.profile}" if pretrained else self.profile
        self.artefacts = ArtefactStore(home / below)
        self._splits = Splits(self.dataset, self.recipe, self.profile, home / _PICTURES)
        self.watch: Callable[[Workspace, Any, ImageData | LatentCodes], AfterStep | None] | None = None
        self.offer: str | None = None
        self.coarse: Workspace | None = None
        if self.recipe.levels == 2:
            smaller = coarse_size(self.recipe.size, self.recipe.downsample)
            self.coarse = Workspace(
                dataset, profile, output, seed, device, smaller, pretrained, compile, 1, shards, fast_reduce
            )

    @property
    def folder(self) -> Path:
        """Where the artefacts are."""
        return self.artefacts.folder

    def path(self, name: str) -> Path:
        """Return where the artefact ``name`` is or will be."""
        return self.artefacts.path(name)

    @property
    def settings(self) -> dict[str, Any]:
        """What a picture says about the models that made it."""
        return {
            "dataset": readable(self.dataset),
            "size": self.recipe.size,
            "profile": self.profile,
            "pretrained": self.pretrained,
            "seed": self.seed,
        }

    @property
    def prepared(self) -> Prepared | None:
        """The pictures of a folder as they were read, and what was left out; None for other sets."""
        return self._splits.prepared

    def variation(self, name: str, seed: int, changes: Mapping[str, Any]) -> "Workspace":
        """Return a workspace with another recipe, in a folder ``name`` below this one's.

        The images are the same, and are in memory only once. No model is shared.

        Args:
            name: of the folder.
            seed: decides all that is random in the trainings, 0 … 2⁶³ − 1.
            changes: fields of the recipe, with their new values; none that choose other images.

        Raises:
            InputError: a field that chooses other images.
        """
        if of_images := sorted(_OF_IMAGES & changes.keys()):
            raise InputError(f"a variation has the same images, so it cannot change {', '.join(of_images)}")
        other = copy(self)
        for made in [name for name in vars(self) if isinstance(getattr(Workspace, name, None), cached_property)]:
            del other.__dict__[made]
        recipe = replace(self.recipe, **changes)
        vqvae, prior = replace(recipe.vqvae, seed=seed), replace(recipe.prior, seed=seed)
        other.recipe, other.seed = replace(recipe, vqvae=vqvae, prior=prior), seed
        other.artefacts = ArtefactStore(self.folder / name)
        other.pretrained, other._shipped = False, None  # those weights are of another recipe
        return other

    # Images.

    @property
    def all_train_data(self) -> ImageData:
        """The images to learn from, and at the end those that are held out."""
        return self._splits.all_train

    @property
    def train_data(self) -> ImageData:
        """The images to learn from."""
        return self._splits.train

    @property
    def validation_data(self) -> ImageData:
        """The training images that are held out to choose the best weights by."""
        return self._splits.validation

    @property
    def test_data(self) -> ImageData:
        """The images that no training sees."""
        return self._splits.test

    def num_held_out(self, available: int) -> int:
        """Return how many of so many images or grids are held out, at the end of them."""
        return self._splits.num_held_out(available)

    @property
    def train_checksum(self) -> str:
        """The checksum of all training images, those held out included."""
        return self._splits.train_checksum

    @property
    def test_checksum(self) -> str:
        """The checksum of the test images."""
        return self._splits.test_checksum

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self._splits.class_names

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
    def prior(self) -> PixelCNN | CoarseToFine:
        """The trained prior, in eval mode, on the device."""
        return self._prior_and_about[0]

    @cached_property
    def whole_number_prior(self) -> WholeNumberPixelCNN:
        """The prior in whole numbers, on the device: made once from the prior as it is now, and kept.

        For the weights that come with the project, it comes with them.

        Raises:
            InputError: the prior has two levels.
        """
        prior = self.prior
        if not isinstance(prior, PixelCNN):
            instead = "train one of one level, with --levels 1" if self.pretrained else "choose --levels 1"
            raise InputError(f"a prior of two levels cannot be turned into whole numbers: {instead}")
        device = self.device if self.device.type != "mps" else torch.device("cpu")  # MPS has no float64
        if self._shipped is not None:
            return load_whole_number_prior(self.folder.parent.name, prior).to(device)
        settings = {"dataset": self.dataset, "prior_checksum": checksum(prior), "measured_on": MEASURED_ON}

        def find() -> WholeNumberPixelCNN | None:
            found = self.artefacts.find(WholeNumberPixelCNN, _WHOLE, settings, device)
            return None if found is None else found[0]

        def make() -> WholeNumberPixelCNN:
            model = in_whole_numbers(prior, self.vqvae, self.all_train_data)
            self.artefacts.keep(model, _WHOLE, settings, [])
            return model.to(device)

        return self.artefacts.find_or_make(find, make)

    def is_trained(self) -> bool:
        """Whether there are models already."""
        return self.pretrained or all(self.artefacts.has(name) for name in ("vqvae", self._prior_name))

    @property
    def prior_about(self) -> About:
        """How the PixelCNN was trained, as ``vqvae_about``; with two levels, that of the fine codes."""
        return self._prior_and_about[1]

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier that generated images are judged by, trained on the training images, in eval mode.

        It is the same one for every seed of a workspace.
        """
        return self._find_or_train("classifier")[0]

    @cached_property
    def _vqvae_and_about(self) -> tuple[VQVAE, About]:
        return self._find_or_train("vqvae") if self._shipped is None else self._on_device(*self._shipped[0])

    @cached_property
    def _prior_and_about(self) -> tuple[PixelCNN | CoarseToFine, About]:
        if self._shipped is not None:
            return self._on_device(*self._shipped[1])
        prior, about = self._find_or_train(self._prior_name)
        if self.coarse is None:
            return prior, about
        coarse_prior = self.coarse.prior
        assert isinstance(coarse_prior, PixelCNN)  # of a workspace of one level
        return CoarseToFine(coarse_prior, self.vqvae, prior).eval(), about

    @property
    def _prior_name(self) -> str:
        return "prior" if self.coarse is None else "fine"

    def _on_device(self, model: Any, about: About) -> tuple[Any, About]:
        return model.to(self.device), about

    def train_until(self, name: str, share: float) -> tuple[VQVAE | PixelCNN, History]:
        """Return a model as it is after a share of its training, to be looked at.

        Every training writes snapshots at the shares of ``profiles.SNAPSHOTS``, and this finds them. Where there is
        none, the training goes that far, and ``vqvae`` or ``prior`` goes on from there. If it has already gone further,
        the model is trained that far once more, beside the one that is there.

        Args:
            name: "vqvae" or "prior".
            share: of the steps of the recipe, above 0 and below 1.

        Returns:
            the model, in eval mode, on the device; its history so far.

        Raises:
            InputError: another name or share; a workspace of ``pretrained`` weights, which have no snapshots; a
                snapshot that is damaged or of another recipe.
        """
        share = real_number("share", share)
        if name not in ("vqvae", "prior") or not 0 < share < 1:
            raise InputError(f"expected vqvae or prior and a share between 0 and 1, got {name!r} and {share}")
        if self.pretrained:
            raise InputError("the weights that come with the project have no snapshots: leave pretrained out")
        model, about = self._find_or_train(self._prior_name if name == "prior" else name, share)
        return model, about["history"]

    def _find_or_train(self, name: str, share: float = 1.0) -> tuple[Any, About]:
        artefact = name if share == 1 else _snapshot(name, share)
        settings = self._settings(name)  # here, because it asks for the models that this one depends on

        def find() -> tuple[Any, About] | None:
            return self._find(name, artefact, settings)

        def train() -> tuple[Any, About]:
            model, history = self._train(name, share)
            return model, self.artefacts.keep(model, artefact, self._described(name), history)

        return self.artefacts.find_or_make(find, train)

    def _find(self, name: str, artefact: str, settings: Mapping[str, Any]) -> tuple[Any, About] | None:
        return self.artefacts.find(_KINDS[name], artefact, settings, self.device)

    def _settings(self, name: str) -> dict[str, Any]:
        """What decides what one of the models is, as JSON has it."""
        recipe = asdict(self.recipe)
        training = recipe["prior" if name == "fine" else name]
        settings = {"dataset": self.dataset, **{field: recipe[field] for field in _DECIDES[name]}, **training}
        settings["data_checksum"] = self._splits.train_checksum
        if name in ("prior", "fine"):
            settings["vqvae_checksum"] = checksum(self.vqvae)  # as it is now, computed in a hundredth of a second
        if name == "fine" and self.coarse is not None:
            settings["coarse_vqvae_checksum"] = checksum(self.coarse.vqvae)
        return json.loads(json.dumps({key: value for key, value in settings.items() if key not in _HOW_MADE}))

    def _described(self, name: str) -> dict[str, Any]:
        """The same, with how the batches of its training were shared out, if they were."""
        training = self._config(name)
        shared = {"shards": training.shards, "fast_reduce": training.fast_reduce} if training.shards > 1 else {}
        return self._settings(name) | shared

    def _config(self, name: str) -> TrainConfig:
        return getattr(self.recipe, "prior" if name == "fine" else name)

    # Training.

    def _training(self, name: str) -> Training:
        if name == "vqvae":
            return vqvae_training(self.recipe, self._splits)
        if name in ("prior", "fine"):
            codes = self.train_codes
            learning = len(codes) - self._splits.num_held_out(len(codes))
            codebook, coarse = self.vqvae.quantizer.codebook, None if self.coarse is None else self.coarse.vqvae
            return prior_training(self.recipe, codes[:learning], codes[learning:], codebook, coarse)
        return classifier_training(self.recipe, self._splits)

    def _train(self, name: str, share: float) -> tuple[Any, History]:
        """Train a model for a share of its steps, and keep snapshots on the way."""
        training = self._training(name)
        steps = training.config.steps
        until = _step(share, steps)
        model = training.new_model(self.device)
        identity = training.identity(model)
        # The training that is kept goes on, unless it is past this share.
        settings = self._settings(name)
        is_past = share < 1 and distributed.from_first(
            lambda: self._find(name, name, settings) is not None or self._steps_done(name, identity) > until
        )
        artefact = _snapshot(name, share) if is_past else name
        marks = () if is_past or name == "classifier" else SNAPSHOTS
        self._announce(artefact, distributed.from_first(lambda: self._steps_done(artefact, identity)))
        if self.offer and until == steps and name != "classifier" and not self.path(f"{artefact}.checkpoint").exists():
            print(self.offer, flush=True)
        shown, there = steps * training.config.batch_size, len(training.data)
        if self.prepared is not None and shown < there:
            print(f"in the profile {self.profile} it is shown {shown:,} of {there:,} pictures", flush=True)
        watch = self.watch and self.watch(self, model, training.validation)

        def after_step(step: int, history: History) -> None:
            if watch:
                watch(step, history)
            for mark in marks:
                if step == _step(mark, steps):
                    self.artefacts.keep(model, _snapshot(name, mark), self._described(name), history)

        checkpoint = self.path(f"{artefact}.checkpoint")
        return model, training.run(model, checkpoint=checkpoint, until=until, after_step=after_step)

    def _steps_done(self, artefact: str, identity: dict[str, Any]) -> int:
        """How many steps of a training are done; what was done on other data is discarded."""
        try:
            return steps_done(self.path(f"{artefact}.checkpoint"), identity)
        except OtherDataError:
            path = self.path(f"{artefact}.checkpoint")
            print(f"{path} is of other images or codes than there are now: it is discarded", flush=True)
            self.artefacts.discard_checkpoint(artefact)
            return 0

    def _announce(self, artefact: str, steps_done: int) -> None:
        """Say what is trained, and why."""
        why = f"no {artefact}.pt for {self.dataset} in the profile {self.profile} yet"
        if self.artefacts.has(artefact):
            why = f"{self.path(artefact)}.pt was made from other images or codes than there are now"
        print(f"{why}: {'training goes on' if steps_done else 'training it'}", flush=True)

    # Codes.

    @cached_property
    def train_codes(self) -> LatentCodes:
        """The codes that the prior learns from, and at the end those that are held out.

        The first are those of ``train_data``, as many as there are.
        """
        # The shipped prior has already learned from others.
        parts = self._splits.prior_parts if self._shipped is None else lambda: [lambda: self.all_train_data]
        number = self.recipe.prior_images if self._shipped is None else None
        return self._codes("train", parts, self._splits.train_checksum, number)

    @cached_property
    def test_codes(self) -> LatentCodes:
        """The codes of the test images."""
        return self._codes("test", lambda: [lambda: self.test_data], self._splits.test_checksum)

    def _codes(
        self,
        split: str,
        parts: Callable[[], Sequence[Callable[[], ImageData]]],
        data_checksum: str,
        number: int | None = None,
    ) -> LatentCodes:
        path = self.path(f"codes_{split}.npz")
        coarse = None if self.coarse is None else self.coarse.vqvae
        made_by = checksum(self.vqvae), None if coarse is None else checksum(coarse)

        def find() -> LatentCodes | None:
            codes = LatentCodes.load(path) if path.exists() else None
            fits = codes is not None and codes.data_checksum == data_checksum and _made_by(codes) == made_by
            return codes if codes is not None and fits and number in (None, len(codes)) else None

        def extract() -> LatentCodes:
            if path.exists():
                print(f"{path} has the codes of other images or of another VQ-VAE: they are extracted anew", flush=True)
            codes = replace(self._extract_all(parts(), coarse, number), data_checksum=data_checksum)
            codes.save(path)
            return codes

        return self.artefacts.find_or_make(find, extract)

    def _extract_all(
        self, parts: Sequence[Callable[[], ImageData]], coarse: VQVAE | None, number: int | None
    ) -> LatentCodes:
        """The codes of all parts; for smileys, whose ``number`` is known, with one bar."""
        if number is None:
            return join_codes([self._extract(part(), coarse) for part in parts])
        found = []
        with progress(None, "drawing images and extracting codes", total=number) as bar, without_bars():
            for codes in distributed.in_order(lambda part: self._extract(part(), coarse), parts):
                found.append(codes)
                bar.update(len(codes))
        return join_codes(found)

    def _extract(self, images: ImageData, coarse: VQVAE | None) -> LatentCodes:
        if coarse is None:
            return extract_codes(self.vqvae, images)
        assert self.recipe.size is not None  # or there would be no coarse size
        return extract_codes(
            self.vqvae, images, coarse, self.recipe.size // coarse_size(self.recipe.size, self.recipe.downsample)
        )


def _home(folder: Path, pictures: Path) -> Path:
    """Return where the artefacts of a folder of pictures lie; two of the same last name each have a place."""
    number, home = 1, folder
    while (about := read_about(home / _PICTURES)) is not None and about["folder"] != str(pictures):
        number += 1
        home = folder.with_name(f"{folder.name}-{number}")
    return home


def _made_by(codes: LatentCodes) -> tuple[str, str | None]:
    """The checksums of the VQ-VAEs that made the fine and the coarse codes."""
    return codes.vqvae_checksum, None if codes.coarse is None else codes.coarse.vqvae_checksum


def _snapshot(name: str, share: float) -> str:
    """The artefact's name of a model at a share of its training."""
    return f"snapshots/{name}-{share}"


def _step(share: float, steps: int) -> int:
    """How many steps a share of the training is: at least one, and fewer than all of them unless the share is all."""
    return steps if share == 1 else max(1, min(steps - 1, round(share * steps)))


def in_whole_numbers(prior: PixelCNN, vqvae: VQVAE, images: ImageData) -> WholeNumberPixelCNN:
    """Return a prior in whole numbers, on the CPU, measured on the first ``MEASURED_ON`` of the training images."""
    codes = extract_codes(vqvae, images[:MEASURED_ON])
    return whole_number_prior(prior, codes.codes, None if prior.num_classes is None else codes.labels)
