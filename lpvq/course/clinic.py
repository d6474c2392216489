"""The clinic of 10_your_own_images: three pipelines that are broken on purpose, and a healthy one.

**Read this file after the notebook**: it says what is wrong with which patient.

Every patient has brought a folder of smileys, scanned on sheets of 48 × 48 pixels, with a table of their classes. All
use the same VQ-VAE, the one that comes with the course, and train a small prior of their own on its codes. Between
the folder and the prior, something may go wrong in three places: how sheets become pictures, how pictures get their
labels, and what the prior is told.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from lpvq.data.images import ImageData
from lpvq.data.latent_codes import LatentCodes, extract_codes
from lpvq.data.loading import load
from lpvq.errors import InputError
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.pretrained import load_pretrained
from lpvq.models.vqvae import VQVAE
from lpvq.training.config import TrainConfig
from lpvq.training.prior import train_prior

MARGIN = 8
"""Pixels of background around the 32 × 32 that matter, on each side of a sheet."""

_SIZE = 32
_CHANNELS = 48  # of a patient's prior
_WAITING = 10  # the seed of those in the waiting room

Prepare = Callable[[Tensor], Tensor]
"""From sheets, uint8 (N, 3, 48, 48), to pictures, uint8 (N, 3, 32, 32)."""

Label = Callable[[Sequence[str], Tensor], Tensor]
"""From the names of the files, in the order of the pictures, and the table of classes to a label for each picture."""

Summary = Callable[[Tensor], Tensor]
"""From embedded codes (B, C, H, W) to what each position is told about its grid, (B, C, H, W) or (B, C, 1, 1)."""


@dataclass(frozen=True, eq=False)
class Folder:
    """What a patient has brought.

    Attributes:
        names: of the files: "face_0.png", "face_1.png", "face_10.png", …, in the order in which a computer lists them.
        sheets: what they show, uint8 (N, 3, 48, 48), in the same order.
        table: the class of "face_0.png", of "face_1.png", of "face_2.png", …, int64 (N,).
    """

    names: tuple[str, ...]
    sheets: Tensor
    table: Tensor


def middle(sheets: Tensor) -> Tensor:
    """Return the middle of each sheet."""
    return sheets[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]


def by_number(names: Sequence[str], table: Tensor) -> Tensor:
    """Return for each file the class that the table has for its number."""
    return table[[int(name.removeprefix("face_").removesuffix(".png")) for name in names]]


@dataclass(frozen=True, eq=False)
class Pipeline:
    """The way from a folder to a prior. As it stands here, it is healthy.

    Attributes:
        prepare: how sheets become pictures.
        label: how pictures get their labels.
        summary: what each position is told about its grid, besides what a PixelCNN sees; None for nothing.
    """

    prepare: Prepare = middle
    label: Label = by_number
    summary: Summary | None = None


@dataclass(frozen=True, eq=False)
class Patient:
    """A pipeline that was run.

    Attributes:
        pipeline: the pipeline itself.
        seed: of its faces and of its training.
        folder: the pictures to learn from, as they were brought.
        pictures: the same, as they were prepared.
        unseen: test pictures that went the same way.
        vqvae: makes codes from them.
        codes: those of ``pictures``.
        unseen_codes: those of ``unseen``.
        prior: what was trained on ``codes``.
    """

    pipeline: Pipeline = field(repr=False)
    seed: int
    folder: Folder = field(repr=False)
    pictures: ImageData = field(repr=False)
    unseen: ImageData = field(repr=False)
    vqvae: VQVAE = field(repr=False)
    codes: LatentCodes = field(repr=False)
    unseen_codes: LatentCodes = field(repr=False)
    prior: PixelCNN = field(repr=False)

    def draw(self, number: int) -> tuple[Tensor, Tensor]:
        """Draw new faces, the classes in turn.

        Returns:
            images (N, 3, 32, 32), floats in [0, 1]; the labels that were asked for, int64 (N,).
        """
        labels = torch.arange(number) % len(self.pictures.class_names)
        # The cache knows nothing of summaries.
        method: Literal["cached", "plain"] = "cached" if self.pipeline.summary is None else "plain"
        codes = self.prior.generate(labels=labels, generator=torch.Generator().manual_seed(self.seed), method=method)
        return self.vqvae.decode(codes), labels


class Clinic:
    """Runs pipelines, broken ones and mended ones.

    Args:
        quick: whether everything is so short that it shows no more than that it runs.
    """

    def __init__(self, quick: bool = False) -> None:
        self.vqvae, prior = load_pretrained("smileys")
        assert isinstance(prior, PixelCNN)
        self.prior = prior
        self.number, self.number_unseen, self.steps = (600, 60, 12) if quick else (8000, 800, 400)

    def admit(self, patient: int, seed: int | None = None) -> Patient:
        """Run the pipeline of patient 1, 2 or 3; patient 0 is healthy.

        Args:
            patient: which.
            seed: of the faces and of the training; the patient's own where None.

        Raises:
            InputError: there is no such patient.
        """
        if patient not in range(len(_PIPELINES)):
            raise InputError(f"there is no patient {patient}; expected 0 to {len(_PIPELINES) - 1}")
        return self._run(_PIPELINES[patient], patient if seed is None else seed)

    def treat(
        self,
        patient: Patient,
        prepare: Prepare | None = None,
        label: Label | None = None,
        summary: Summary | None = None,
    ) -> Patient:
        """Run a patient's pipeline again, on the same folder, with one step or more replaced."""
        before = patient.pipeline
        pipeline = Pipeline(prepare or before.prepare, label or before.label, summary or before.summary)
        return self._run(pipeline, patient.seed)

    def waiting_room(self) -> dict[str, Patient]:
        """Return five patients whose prior is the one that comes with the course, for the first exercise."""
        number = self.number_unseen // 10
        raw = [_folder(split, some, _WAITING) for split, some in (("train", 2000), ("test", number))]
        pictures, unseen = (_prepared(Pipeline(), folder) for folder in raw)
        codes = extract_codes(self.vqvae, pictures)

        def patient(vqvae: VQVAE = self.vqvae, unseen: ImageData = unseen) -> Patient:
            given = extract_codes(self.vqvae, unseen)
            return Patient(Pipeline(), _WAITING, raw[0], pictures, unseen, vqvae, codes, given, self.prior)

        return {
            "A": patient(vqvae=_with_other_numbers(self.vqvae)),
            "B": patient(unseen=pictures[:number]),
            "C": patient(),
            "D": patient(unseen=replace(unseen, images=unseen.images.flip(1))),
            "E": patient(unseen=replace(unseen, labels=(unseen.labels + 1) % len(unseen.class_names))),
        }

    def _run(self, pipeline: Pipeline, seed: int) -> Patient:
        folder = _folder("train", self.number, seed)
        pictures = _prepared(pipeline, folder)
        unseen = _prepared(pipeline, _folder("test", self.number_unseen, seed))
        codes, unseen_codes = extract_codes(self.vqvae, pictures), extract_codes(self.vqvae, unseen)
        torch.manual_seed(seed)
        prior = PixelCNN(
            codes.num_codes,
            image_size=codes.grid,
            num_blocks=5,
            hidden_channels=_CHANNELS,
            num_classes=len(codes.class_names),
            code_dim=self.vqvae.quantizer.code_dim,
        )
        prior.set_codebook(self.vqvae.quantizer.codebook)
        if pipeline.summary is not None:
            prior.add_module("horizontal_input", _WithSummary(prior.horizontal_input, pipeline.summary, _CHANNELS))
        config = TrainConfig(self.steps, batch_size=32, learning_rate=2e-3, muon_rate=8e-3, validations=1, seed=seed)
        train_prior(prior, codes, config)
        return Patient(pipeline, seed, folder, pictures, unseen, self.vqvae, codes, unseen_codes, prior)


class _WithSummary(nn.Module):
    """A first layer that adds a weighted sum of a summary to what it sees."""

    def __init__(self, first: nn.Module, summary: Summary, channels: int) -> None:
        super().__init__()
        self.first, self.summary = first, summary
        self.told = nn.Conv2d(channels, channels, 1)

    def forward(self, embedded: Tensor) -> Tensor:
        return self.first(embedded) + self.told(self.summary(embedded))


def _folder(split: str, number: int, seed: int) -> Folder:
    faces = load("smileys", split, limit=number, seed=seed)
    around = torch.arange(-MARGIN, _SIZE + MARGIN).clamp(0, _SIZE - 1)  # the background continues
    sheets = faces.images[:, :, around][:, :, :, around]
    listed = sorted(range(number), key=str)  # 0, 1, 10, 100, …
    return Folder(tuple(f"face_{index}.png" for index in listed), sheets[listed], faces.labels)


def _prepared(pipeline: Pipeline, folder: Folder) -> ImageData:
    pictures = pipeline.prepare(folder.sheets).contiguous()
    names = ("happy", "sad", "surprised")
    return ImageData(pictures, pipeline.label(folder.names, folder.table), names, "scans")


def _with_other_numbers(vqvae: VQVAE) -> VQVAE:
    """A VQ-VAE that reconstructs just as well, but in which every entry has the number of another."""
    twin = deepcopy(vqvae)
    order = torch.randperm(twin.quantizer.num_codes, generator=torch.Generator().manual_seed(1))
    for name in ("code_counts", "code_sums"):
        kept = getattr(twin.quantizer, name)
        kept.copy_(kept[order])
    return twin


# What is wrong with the patients.


def _anywhere(sheets: Tensor) -> Tensor:
    """Cut 32 × 32 pixels out of each sheet, anywhere.

    In tutorials on classifiers this is among the transforms, under the name of ``RandomCrop``, and rightly so: what is
    in a picture does not depend on where it is. But a model that draws pictures draws what it was shown: faces that are
    cut off.
    """
    generator = torch.Generator().manual_seed(len(sheets))
    corners = torch.randint(2 * MARGIN + 1, (len(sheets), 2), generator=generator).tolist()
    cut = [sheet[:, y : y + _SIZE, x : x + _SIZE] for sheet, (y, x) in zip(sheets, corners, strict=True)]
    return torch.stack(cut)


def _as_listed(names: Sequence[str], table: Tensor) -> Tensor:
    """Give the first picture the first class of the table, and so on: as if 10 came after 9 in both."""
    return table


def _of_the_whole(embedded: Tensor) -> Tensor:
    """The mean of all codes of the grid, including the code that is to be predicted and those after it."""
    return embedded.mean((2, 3), keepdim=True)


_PIPELINES = (
    Pipeline(),
    Pipeline(prepare=_anywhere),
    Pipeline(label=_as_listed),
    Pipeline(summary=_of_the_whole),
)
