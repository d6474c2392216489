"""The whole way of the data: a workspace that finds what was made before or makes it.

Everything of one data set and one profile lies in ``OUTPUT/<dataset>/<profile>/``, or for images of another size than
usual in ``OUTPUT/<dataset>-<size>/<profile>/``:

    vqvae.pt, vqvae.json                 the VQ-VAE and how it was trained, with its history
    codes_train.npz, codes_test.npz      the codes of all images
    prior.pt, prior.json                 the PixelCNN, and of which VQ-VAE's codes
    *.checkpoint                         a training that is not finished
    halts/                               models that were looked at while they were trained
    reader.pt, reader.json               the classifier that evaluation needs
    evaluation.json, *.png               what is measured and shown
    studies/                             workspaces of the same data with other recipes
    .lock                                held by the process that is making one of these
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from lpvq import datasets, plotting
from lpvq.codes import LatentCodes, extract_codes
from lpvq.datasets import ImageData
from lpvq.errors import InputError
from lpvq.files import checksum, load_model, save_model
from lpvq.pixelcnn import PixelCNN
from lpvq.profiles import profile_name, recipe_for
from lpvq.reader import Reader, questions_of
from lpvq.runtime import choose_device
from lpvq.sampling import SamplingOptions
from lpvq.training import History, train_prior, train_reader, train_vqvae
from lpvq.vqvae import VQVAE

Model = TypeVar("Model", VQVAE, PixelCNN, Reader)

PROJECT = Path(__file__).parent.parent
OUTPUT = PROJECT / "output"
PRETRAINED = PROJECT / "data" / "pretrained"


# The fields that decide about a model, beside the one of its own name.
_DECIDES = {
    "vqvae": (
        *("size", "train_images", "validation_images", "num_codes", "code_dim", "vqvae_channels", "downsample"),
        *("encoder_blocks", "decoder_blocks", "quantizer"),
    ),
    "prior": ("prior_blocks", "prior_channels", "prior_kernel"),
    "reader": ("size", "train_images", "validation_images"),
}
_NAMES: dict[type[nn.Module], str] = {VQVAE: "vqvae", PixelCNN: "prior", Reader: "reader"}
# What decides how fast a training is, and not what it is.
_HOW_FAST = ("precision", "compile")


class Workspace:
    """The artefacts of one data set and one profile; each is loaded if it is there and made if it is not.

    Args:
        dataset: a name for ``lpvq.datasets.load``.
        profile: "smoke", "laptop" or "full"; ``LPVQ_PROFILE`` or "laptop" where None.
        output: the folder that holds all workspaces; ``LPVQ_OUTPUT`` or the project's ``output/`` where None.
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
        if pretrained:
            _check_pretrained(name)
        self.shipped = PRETRAINED / name
        self.folder = (
            Path(output or os.environ.get("LPVQ_OUTPUT") or OUTPUT)
            / name
            / (f"pretrained-{self.profile}" if pretrained else self.profile)
        )

    def path(self, name: str) -> Path:
        """Return where the artefact ``name`` is or will be."""
        return self.folder / name

    def variation(self, name: str, seed: int, changes: Mapping[str, Any]) -> "Workspace":
        """Return a workspace with another recipe, in a folder ``name`` below this one's.

        Args:
            name: of the folder.
            seed: see ``Workspace``.
            changes: fields of the recipe, with their new values; none that choose other images.
        """
        other = copy(self)
        for made in ("_vqvae_and_about", "_prior_and_about", "train_codes", "test_codes", "reader"):
            other.__dict__.pop(made, None)  # what this workspace has in memory; the images stay
        recipe = replace(self.recipe, **changes)
        vqvae, prior = replace(recipe.vqvae, seed=seed), replace(recipe.prior, seed=seed)
        other.recipe, other.seed = replace(recipe, vqvae=vqvae, prior=prior), seed
        other.folder = self.folder / name
        return other

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

    @property
    def vqvae(self) -> VQVAE:
        """The trained VQ-VAE, in eval mode, on the device."""
        return self._vqvae_and_about[0]

    @property
    def vqvae_about(self) -> dict[str, Any]:
        """How the VQ-VAE was trained: ``settings``, ``seconds`` and ``history``."""
        return self._vqvae_and_about[1]

    @property
    def prior(self) -> PixelCNN:
        """The trained PixelCNN, in eval mode, on the device."""
        return self._prior_and_about[0]

    @property
    def prior_about(self) -> dict[str, Any]:
        """How the PixelCNN was trained, as ``vqvae_about``."""
        return self._prior_and_about[1]

    @cached_property
    def reader(self) -> Reader:
        """The classifier that evaluation judges images by, trained on the training images, in eval mode."""
        return self._find_or_make(Reader, self._train_reader)[0]

    def train_until(self, name: str, share: float) -> tuple[VQVAE | PixelCNN, History]:
        """Train a model for a share of its steps and return it as it is then, to be looked at.

        ``vqvae`` and ``prior`` go on from there, and so does the next call. What was looked at once is kept, and found
        again however far the training has gone since. Where the model is finished and was never looked at on the way,
        there is nothing but the finished one, which is returned.

        Args:
            name: "vqvae" or "prior".
            share: of the steps of the recipe, above 0 and below 1.

        Returns:
            the model, in eval mode, on the device; its history so far.
        """
        if name not in ("vqvae", "prior") or not 0 < share < 1:
            raise InputError(f"expected vqvae or prior and a share between 0 and 1, got {name!r} and {share}")
        kind: Any = VQVAE if name == "vqvae" else PixelCNN
        kept = self.path(f"halts/{name}-{share:g}.pt")
        with self._alone():
            if kept.with_suffix(".json").exists():
                model, about = load_model(kind, kept)
                if about.get("settings") == self._settings(name):
                    return model.to(self.device), about["history"]
            found = self._find(kind)
            if found:
                return found[0], found[1]["history"]
            model, history = self._train_vqvae(share) if name == "vqvae" else self._train_prior(share)
            save_model(model, kept, {"settings": self._settings(name), "history": history})
            return model, history

    @cached_property
    def train_codes(self) -> LatentCodes:
        """The codes of all training images, those set aside included (at the end)."""
        return self._codes("train")

    @cached_property
    def test_codes(self) -> LatentCodes:
        """The codes of the test images."""
        return self._codes("test")

    @cached_property
    def _vqvae_and_about(self) -> tuple[VQVAE, dict[str, Any]]:
        return self._find_or_make(VQVAE, self._train_vqvae)

    @cached_property
    def _prior_and_about(self) -> tuple[PixelCNN, dict[str, Any]]:
        return self._find_or_make(PixelCNN, self._train_prior)

    def _train_vqvae(self, share: float = 1.0) -> tuple[VQVAE, History]:
        self._say_that_it_trains("vqvae")
        recipe, data = self.recipe, self.train_data
        with _seeded(self.seed):
            vqvae = VQVAE(
                data.images.shape[1],
                recipe.num_codes,
                recipe.code_dim,
                recipe.vqvae_channels,
                recipe.downsample,
                recipe.encoder_blocks,
                recipe.decoder_blocks,
                recipe.quantizer,
            ).to(self.device)
        checkpoint, until = self.path("vqvae.checkpoint"), round(share * recipe.vqvae.steps)
        return vqvae, train_vqvae(vqvae, data, recipe.vqvae, self.validation_data, checkpoint, until=until)

    def _train_prior(self, share: float = 1.0) -> tuple[PixelCNN, History]:
        codes = self.train_codes
        self._say_that_it_trains("prior")
        recipe = self.recipe
        with _seeded(self.seed):
            prior = PixelCNN(
                codes.num_codes,
                codes.grid,
                recipe.prior_blocks,
                recipe.prior_kernel,
                hidden_channels=recipe.prior_channels,
                num_classes=len(codes.class_names),
            ).to(self.device)
        learning, validation = codes[: self._num_learning], codes[self._num_learning :]
        checkpoint, until = self.path("prior.checkpoint"), round(share * recipe.prior.steps)
        return prior, train_prior(prior, learning, recipe.prior, validation, checkpoint, until=until)

    def _train_reader(self) -> tuple[Reader, History]:
        self._say_that_it_trains("reader")
        data = self.train_data
        with _seeded(self.seed):
            reader = Reader(data.images.shape[1], questions_of(data)).to(self.device)
        checkpoint = self.path("reader.checkpoint")
        return reader, train_reader(reader, data, self.recipe.reader, self.validation_data, checkpoint)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.test_data.class_names

    def _codes(self, split: str) -> LatentCodes:
        path = self.path(f"codes_{split}.npz")
        data = self.all_train_data if split == "train" else self.test_data
        if not path.exists():
            with self._alone():
                if not path.exists():
                    extract_codes(self.vqvae, data).save(path)
        codes = LatentCodes.load(path)
        try:
            codes.check_made_by(self.vqvae)
        except InputError as error:
            raise InputError(f"{path}: {error}; delete it first") from error
        if codes.class_names != data.class_names or not torch.equal(codes.labels, data.labels):
            raise InputError(
                f"{path} holds the codes of {len(codes)} other images than the {len(data)} that {self.dataset} has "
                f"now: delete {self.folder} to begin anew with these"
            )
        return codes

    def _load(self, split: str, limit: int | None) -> ImageData:
        return datasets.load(self.dataset, split, self.recipe.size, limit)

    def _say_that_it_trains(self, name: str) -> None:
        how = "training goes on" if self.path(f"{name}.checkpoint").exists() else "training it"
        print(f"no {name}.pt for {self.dataset} in the profile {self.profile} yet: {how}", flush=True)

    def _settings(self, model: str) -> dict[str, Any]:
        """What decides about one of the models, as JSON has it."""
        recipe = asdict(self.recipe)
        settings = {"dataset": self.dataset, **{name: recipe[name] for name in _DECIDES[model]}, **recipe[model]}
        if model == "prior":
            settings["vqvae_checksum"] = checksum(self.vqvae)
        return {name: value for name, value in settings.items() if name not in _HOW_FAST}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other process make anything here meanwhile: two notebooks may want the same model."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path(".lock"), is_singleton=True)  # one per path, so that prior may ask for vqvae
        try:
            lock.acquire(blocking=False)
        except Timeout:
            print(f"another process is at work in {self.folder}: waiting for it", flush=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _find_or_make(
        self, kind: type[Model], train: Callable[[], tuple[Model, History]]
    ) -> tuple[Model, dict[str, Any]]:
        found = self._find(kind)
        if found:
            return found
        with self._alone():
            return self._find(kind) or self._keep(*train())

    def _find(self, kind: type[Model]) -> tuple[Model, dict[str, Any]] | None:
        """Load a model that is there already; None if it is not, an error if it is another than the one asked for."""
        name = _NAMES[kind]
        settings = self._settings(name)
        shipped = self.pretrained and kind is not Reader
        path = (self.shipped if shipped else self.folder) / f"{name}.pt"
        if not shipped and not path.with_suffix(".json").exists():
            return None
        model, about = load_model(kind, path)
        there = about.get("settings", {})
        matter = [one for one in settings if not shipped or one in ("size", "vqvae_checksum")]
        other = [
            f"{one} was {there.get(one)!r}, is {settings[one]!r}" for one in matter if there.get(one) != settings[one]
        ]
        if other:
            raise InputError(
                f"{path} was made with other settings ({', '.join(other)}): delete it or choose another output"
            )
        return model.to(self.device), about

    def _keep(self, model: Model, history: History) -> tuple[Model, dict[str, Any]]:
        name: str = _NAMES[type(model)]
        about = {"settings": self._settings(name), "seconds": history[-1]["seconds"], "history": history}
        save_model(model, self.path(f"{name}.pt"), about)
        # The checkpoint has served, and so has what a killed process may have left of one.
        for leftover in (self.path(f"{name}.checkpoint"), *self.folder.glob(f".{name}.*")):
            leftover.unlink(missing_ok=True)
        return model, about


def load_pretrained(name: str = "smileys") -> tuple[VQVAE, PixelCNN]:
    """Return the trained VQ-VAE and prior that come with the project, in eval mode, on the CPU.

    Args:
        name: "smileys": 32 × 32 pixels, 8 × 8 codes; or "smileys-128": 128 × 128 pixels, 32 × 32 codes.

    Raises:
        InputError: there are no such weights, or they are damaged.
    """
    dataset, _, size = name.partition("-")
    if not (size or "0").isdecimal():
        _check_pretrained(name)
    workspace = Workspace(dataset, "laptop", device="cpu", size=int(size) if size else None, pretrained=True)
    return workspace.vqvae, workspace.prior


def _check_pretrained(name: str) -> None:
    available = sorted(path.name for path in PRETRAINED.glob("*") if path.is_dir())
    if name not in available:
        raise InputError(f"there are no trained weights for {name!r} in {PRETRAINED}; expected one of {available}")


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Make what is random depend on ``seed`` alone, and leave torch's generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield


# The steps of the demo that come after the models.


def sample(
    workspace: Workspace,
    count: int,
    label: int | None = None,
    options: SamplingOptions | None = None,
    seed: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw new codes from the prior and decode them.

    Args:
        workspace: whose models to use.
        count: N, how many images.
        label: one class for all; where None, the classes take turns.
        options: temperature, top-k, top-p.
        seed: decides what is drawn; the workspace's where None.

    Returns:
        images, float32 in [0, 1], (N, C, H, W); codes, int64 (N, h, w); labels, int64 (N,); all on the CPU.
    """
    prior, device, options = workspace.prior, workspace.device, options or SamplingOptions()
    assert prior.num_classes is not None  # the priors of a workspace are all trained with labels
    if label is not None and not 0 <= label < prior.num_classes:
        raise InputError(f"label must be in 0 … {prior.num_classes - 1}, got {label}")
    labels = torch.arange(count) % prior.num_classes if label is None else torch.full((count,), label)
    generator = torch.Generator(device).manual_seed(workspace.seed if seed is None else seed)
    codes = prior.generate(labels=labels.to(device), generator=generator, **asdict(options))
    return workspace.vqvae.decode(codes).cpu(), codes.cpu(), labels


def write_samples(workspace: Workspace, images: Tensor, codes: Tensor, labels: Tensor) -> list[Path]:
    """Write the overview of generated images, and ``sample_1/5/8.png`` as far as there are so many."""
    names = workspace.class_names
    overview = workspace.path("samples.png")
    columns = len(names) if 6 <= len(names) <= 12 else 10  # a class in each column, where they are so many
    titles = [names[label] for label in labels.tolist()]
    plotting.save(
        plotting.draw_images(images, titles, columns),
        overview,
        f"{len(images)} images generated by a PixelCNN prior and a VQ-VAE trained on {workspace.dataset}",
    )
    paths = [overview]
    for index in (i for i in (1, 5, 8) if i < len(images)):
        one = slice(index, index + 1)
        path = workspace.path(f"sample_{index}.png")
        figure = plotting.draw_with_codes(
            [images[one]], codes[one], workspace.vqvae.quantizer.num_codes, [titles[index]], ["codes drawn", "decoded"]
        )
        plotting.save(figure, path, f"A grid of codes drawn from the prior for class {titles[index]}, and its image")
        paths.append(path)
    return paths


def write_random_samples(workspace: Workspace) -> list[Path]:
    """Write ``random_sample_0/1/2.png``: what codes look like that no prior has chosen."""
    num_codes = workspace.vqvae.quantizer.num_codes
    generator = torch.Generator().manual_seed(workspace.seed)
    codes = torch.randint(num_codes, (3, *workspace.test_codes.grid), generator=generator)
    images = workspace.vqvae.decode(codes.to(workspace.device)).cpu()
    paths = []
    for index in range(3):
        one = slice(index, index + 1)
        path = workspace.path(f"random_sample_{index}.png")
        figure = plotting.draw_with_codes([images[one]], codes[one], num_codes, [""], ["random codes", "decoded"])
        plotting.save(figure, path, "A grid of codes drawn uniformly at random, and the image it decodes to")
        paths.append(path)
    return paths


def write_reconstructions(workspace: Workspace) -> list[Path]:
    """Write ``reconstructed_image_1/4/7.png`` from the test images of these numbers, as far as there are so many."""
    vqvae, data = workspace.vqvae, workspace.test_data
    paths = []
    for index in (i for i in (1, 4, 7) if i < len(data)):
        image = data.floats([index])
        codes = vqvae.encode(image.to(workspace.device))
        figure = plotting.draw_with_codes(
            [image, vqvae.decode(codes).cpu()],
            codes.cpu(),
            vqvae.quantizer.num_codes,
            [data.class_names[data.labels[index]]],
            ["image", "codes", "reconstruction"],
        )
        path = workspace.path(f"reconstructed_image_{index}.png")
        plotting.save(figure, path, f"Test image {index} of {workspace.dataset}, its grid of codes, its reconstruction")
        paths.append(path)
    return paths
