"""What ``lpvq evaluate`` measures: four parts, each with a table, a picture, and an entry in ``evaluation.json``.

    codes      how close reconstructions come, how the codebook is used
    prior      how well the codes are predicted, beside baselines; for smileys, beside the entropy of the source
    samples    how far generated images are from training images, beside baselines: test images, their reconstructions,
               and images of random codes; whether they repeat training images
    truth      smileys only: how many of the generated faces the renderer could have drawn, what is wrong with the
               others, and how their factors are distributed

A part is measured once for all that its figures depend on: models, images, what is drawn and with which seed. When one
of these changes, it is measured anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from math import hypot, log
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lpvq import distributed, plotting
from lpvq.data import ImageData, load, smileys
from lpvq.errors import InputError
from lpvq.evaluation.classifier import shrunk, targets_of
from lpvq.evaluation.codes import evaluate_reconstruction, mean_patches
from lpvq.evaluation.distances import NEIGHBOURS, NearestSoFar
from lpvq.evaluation.estimates import Estimate
from lpvq.evaluation.face_faults import kinds_of_faults
from lpvq.evaluation.face_quality import evaluate_faces, true_threshold
from lpvq.evaluation.memorisation import evaluate_memorisation, evaluate_repeated_grids
from lpvq.evaluation.nearest_face import NearestFaces, find_nearest_faces
from lpvq.evaluation.prior import PriorEvaluation, evaluate_prior
from lpvq.evaluation.samples import evaluate_samples, inception_distance, inception_weights
from lpvq.evaluation.source import SourceEntropy, source_entropy
from lpvq.evaluation.truth import evaluate_factors
from lpvq.experiments.samples import sample, sample_codes
from lpvq.experiments.workspace import Workspace
from lpvq.files import checksum, read_json, write_json
from lpvq.models.sampling import SamplingOptions
from lpvq.runtime import progress

Result = dict[str, Any]
Measured = tuple[Result, dict[str, tuple[Figure, str]]]
"""A part's figures, and its pictures by name, each with a description."""

PARTS = ("codes", "prior", "samples", "truth")
_SHOWN_CODES = 12
_SHOWN_NEIGHBOURS = 10
_FRESH_SETS = 5
_SEARCHED = 1000  # how many images are searched for, among all training images and among all true faces
_PIXELS_AT_ONCE = 2**21
_TEMPERATURES = (1.0, 0.9, 0.8)
_SHOWN_FACES = 8
_FACES_OF_THE_SOURCE = 640  # divided by the size: larger faces cost more, so there are fewer of them
_SHIFTS_OF_THE_SOURCE = 4000


@dataclass(frozen=True, eq=False)
class _Set:
    """What is kept of a set of images.

    Attributes:
        features: of the classifier, (N, F).
        predictions: of the classifier, (N,) for each task.
        labels: the classes that they were made for, (N,); None if they were made for none.
        first: the first images themselves, as many as are searched for.
    """

    features: Tensor
    predictions: dict[str, Tensor]
    labels: Tensor | None
    first: Tensor


class Report:
    """The evaluation of a workspace, part by part.

    Args:
        workspace: whose models to evaluate; those that are missing are made.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts that this data set has."""
        return PARTS if self.workspace.test_data.factors is not None else PARTS[:-1]

    def measure(self, part: str) -> Result:
        """Return the figures of a part: measured now, or found in ``evaluation.json``, with its pictures beside it.

        Raises:
            InputError: there is no such part for this data set, or the file is damaged.
        """
        if part not in self.parts:
            raise InputError(f"{self.workspace.dataset} has no part {part!r}; expected one of {', '.join(self.parts)}")
        measures: dict[str, Callable[[], Measured]] = {
            "codes": self._codes,
            "prior": self._prior,
            "samples": self._samples,
            "truth": self._truth,
        }
        identity = self._identity(part)
        if (known := distributed.from_first(lambda: self._measured(part, identity))) is not None:
            return known
        figures, pictures = measures[part]()
        for name, (figure, description) in pictures.items():
            plotting.save(figure, self.workspace.path(name), description)
        # The figures come last: where they are, the pictures are. Another process may have measured another part
        # meanwhile, so the file is read again, and nobody else writes it now.

        def keep() -> Result:
            with self.workspace.artefacts.alone():
                entry = {"of": identity, "pictures": list(pictures), "figures": figures}
                write_json(self._path, {**self._known(), part: entry})
                return self._known()[part]["figures"]  # as a later call finds them, with lists for tuples

        return distributed.from_first(keep)

    def _measured(self, part: str, identity: Result) -> Result | None:
        """The figures of a part that was measured before, on the same things; None where there are none."""
        entry = self._known().get(part)
        is_there = entry and entry["of"] == identity and all(path.exists() for path in self.pictures(part))
        return entry["figures"] if entry and is_there else None

    def pictures(self, part: str) -> list[Path]:
        """Return where the pictures of a part that was measured lie.

        Raises:
            InputError: the part was not measured, or the file of figures is damaged.
        """
        known = distributed.from_first(self._known)
        if part not in known:
            raise InputError(f"{self._path} has no part {part!r}: measure it first")
        return [self.workspace.path(name) for name in known[part]["pictures"]]

    @property
    def _path(self) -> Path:
        return self.workspace.path("evaluation.json")

    def _known(self) -> dict[str, Result]:
        """The entries of ``evaluation.json`` by part: what the figures are of, the pictures' names, the figures."""
        known = read_json(self._path) if self._path.exists() else {}
        entries = known.values() if isinstance(known, dict) else [known]
        if not all(_is_entry(entry) for entry in entries):
            raise InputError(f"{self._path} is damaged; delete it, and what it held is measured again")
        return known

    def _identity(self, part: str) -> Result:
        """What the figures of a part depend on."""
        workspace = self.workspace
        identity: Result = {"vqvae": checksum(workspace.vqvae), "test_images": workspace.test_checksum}
        if part != "truth":
            identity["training_images"] = workspace.train_checksum
        if part != "codes":
            identity |= {"prior": checksum(workspace.prior), "sampled_images": self._number}
        if part in ("samples", "truth"):
            identity |= {"classifier": checksum(workspace.classifier), "seed": workspace.seed}
        if part == "samples":
            identity["inception"] = inception_weights() is not None
        return identity

    # The parts.

    def _codes(self) -> Measured:
        workspace = self.workspace
        codes, vqvae = workspace.train_codes, workspace.vqvae
        counts = codes.counts()
        order = counts.argsort(descending=True, stable=True)
        number = min(_SHOWN_CODES, len(order) // 2)
        shown = torch.cat([order[:number], order[-number:]])
        figures = {
            "reconstruction": asdict(evaluate_reconstruction(vqvae, workspace.test_data)),
            "training_codes": codes.describe(),
            "test_codes": workspace.test_codes.describe(),
            "counts": counts.tolist(),
            "seconds": workspace.vqvae_about["seconds"],
        }
        images = workspace.all_train_data
        means = mean_patches(codes.codes[: len(images)], images, vqvae.downsample, codes.num_codes)
        # A code decoded among others like it, and the middle of the result.
        size = vqvae.downsample
        alone = vqvae.decode(shown.view(-1, 1, 1).expand(-1, 3, 3).to(workspace.device)).cpu()
        decoded = alone[:, :, size : 2 * size, size : 2 * size]
        shares = (counts[shown] / counts.sum()).tolist()
        figure = plotting.plot_codes_in_use(counts, shown, shares, means[shown], decoded)
        description = (
            f"How often each of {codes.num_codes} codes is used in {workspace.dataset}, and of the {number} most and "
            "least used ones the mean of the image patches that they stand for, and what they decode to"
        )
        return figures, {"evaluation_codes.png": (figure, description)}

    def _prior(self) -> Measured:
        workspace = self.workspace
        pixels = workspace.test_data.images[0, 0].numel()
        prior = evaluate_prior(workspace.prior, workspace.train_codes, workspace.test_codes, pixels)
        bits = {likelihood.name: likelihood.bits for likelihood in prior.likelihoods}
        figures = {**asdict(prior), "source": None, "seconds": workspace.prior_about["seconds"]}
        if workspace.test_data.factors is not None:
            size = workspace.test_data.images.shape[-1]
            faces, shifts = max(5, _FACES_OF_THE_SOURCE // size), min(_SHIFTS_OF_THE_SOURCE, self._number)
            source = source_entropy(workspace.vqvae, size, faces, shifts)
            figures["source"], bits["source"] = _describe_source(source, prior, workspace.test_codes.codes[0].numel())
        figure = plotting.plot_bars(bits, "bits per code")
        description = "Bits per code: " + ", ".join(f"{name} {bits.value:.2f}" for name, bits in bits.items())
        return figures, {"evaluation_prior.png": (figure, description)}

    def _samples(self) -> Measured:
        train, train_codes = self.workspace.train_data, self.workspace.train_codes
        held_out = self.workspace.num_held_out(len(train_codes))
        if self._number <= NEIGHBOURS:
            raise InputError(
                f"sets of images can be compared from {NEIGHBOURS + 1} images on, {self.workspace.dataset} has "
                f"{self._number} to compare: add more images"
            )
        real = self._features(train[: self._number])
        features = {name: images.features for name, images in self._sets.items()}
        class_task = self.workspace.classifier.class_task
        correct = {
            name: images.predictions[class_task] == images.labels
            for name, images in self._sets.items()
            if images.labels is not None
        }
        qualities = evaluate_samples(real, features, correct)
        test = self._sets["test"]
        truth = {name: targets[: self._number] for name, targets in targets_of(self.workspace.test_data).items()}
        memorisation, neighbours = self._memorisation()
        figures = {
            "sets": [asdict(quality) for quality in qualities],
            "classifier_accuracy": {
                name: asdict(Estimate.of_mean(test.predictions[name] == truth[name])) for name in test.predictions
            },
            "inception_fid_of_samples": self._inception_distance(),
            "memorisation": memorisation,
            "repeated_grids": asdict(
                evaluate_repeated_grids(
                    self._samples_drawn[0],
                    self.workspace.test_codes.codes,
                    train_codes.codes[:-held_out],
                )
            ),
        }
        frechet = {quality.name: quality.frechet for quality in qualities}
        overlaps = {
            name: [getattr(quality.neighbourhoods, name) for quality in qualities]
            for name in ("precision", "recall", "density", "coverage")
        }
        figure = plotting.plot_quality(frechet, overlaps)
        description = "Fréchet classifier distance to training images: " + ", ".join(
            f"{name} {distance.value:.3g}" for name, distance in frechet.items()
        )
        return figures, {
            "evaluation_samples.png": (figure, description),
            "evaluation_neighbours.png": (
                neighbours,
                "Generated images beside the nearest reconstructions of training images",
            ),
        }

    def _memorisation(self) -> tuple[Result, Figure]:
        """Test for memorisation in pixels and in features, and plot the generated images nearest to a training image.

        The search is among reconstructions: a prior that repeats a training grid gives exactly one of these, and never
        the training image itself.
        """
        train, classifier = self.workspace.train_data, self.workspace.classifier
        samples, held_out = self._sets["prior samples"], self._sets["reconstructions"]
        views: dict[str, Callable[[Tensor], Tensor]] = {
            "pixels": lambda images: shrunk(images).flatten(1),
            "features": classifier.features,
        }
        # For each way to look, the nearest of the generated and of the held-out images.
        near = {
            name: (NearestSoFar(view(samples.first)), NearestSoFar(view(held_out.first)))
            for name, view in views.items()
        }
        train_codes = self.workspace.train_codes.codes[: len(train)]
        for some in progress(train_codes.split(self._at_once), "looking for copies", least=64):
            seen = self._decode(some)
            for name, view in views.items():
                vectors = view(seen)
                for each in near[name]:
                    each.look_at(vectors)
        figures, nearest = {}, {}
        for name, (of_samples, of_held_out) in near.items():
            distances, nearest[name] = of_samples.found()
            figures[name] = asdict(evaluate_memorisation(of_held_out.found()[0], distances))
            if name == "pixels":
                closest = self._closest_of_each_class(distances)
        figure = plotting.plot_rows(
            [samples.first[closest], *(self._decode(train_codes[nearest[name][closest]]) for name in near)],
            ["generated", *(f"nearest in\n{name}" for name in near)],
        )
        return figures, figure

    def _closest_of_each_class(self, distances: Tensor) -> Tensor:
        """The indices of the generated images that are nearest to a training image, some of each class."""
        labels = self._samples_drawn[1][: len(distances)]
        order = distances.argsort()
        each = max(1, _SHOWN_NEIGHBOURS // len(self.workspace.class_names))
        return torch.cat([order[labels[order] == label][:each] for label in labels.unique()])[:_SHOWN_NEIGHBOURS]

    def _truth(self) -> Measured:
        factors, frequencies = self._factors()
        faces, gallery = self._faces()
        return {"factors": factors, "faces": faces}, {
            "evaluation_truth.png": frequencies,
            "evaluation_faces.png": gallery,
        }

    def _factors(self) -> tuple[list[Result], tuple[Figure, str]]:
        """How the factors of generated faces are distributed."""
        classifier, size = self.workspace.classifier, self.workspace.recipe.size

        # Seeds that no training or test image was rendered with.
        def predicted(index: int) -> dict[str, Tensor]:
            return classifier.predict(load("smileys", "test", size, self._number, seed=1 + index).floats())

        watched = partial(progress, description="rendering true faces anew")
        fresh = list(distributed.in_order(predicted, range(_FRESH_SETS), watched))
        samples, reconstructions = self._sets["prior samples"], self._sets["reconstructions"]
        truths = evaluate_factors(smileys.FACTORS, samples.predictions, reconstructions.predictions, fresh)
        single = truths[: len(smileys.FACTORS)]
        figure = plotting.plot_frequencies(
            {
                f"{factor.name}: {factor.samples:.3f}\n(true faces {factor.calibration:.3f})": dict(
                    zip(factor.values, factor.frequencies, strict=True)
                )
                for factor in single
            },
            "generated faces (%)",
        )
        description = "Total variation of the factors of generated faces from the truth: " + ", ".join(
            f"{factor.name} {factor.samples:.3f} (calibration {factor.calibration:.3f})" for factor in single
        )
        return [asdict(factor) for factor in truths], (figure, description)

    def _faces(self) -> tuple[Result, tuple[Figure, str]]:
        """How many generated faces the renderer could have drawn, and a gallery of the best and the worst."""
        images = {"true faces": self._sets["test"].first, "reconstructions": self._sets["reconstructions"].first}
        for temperature in _TEMPERATURES:
            drawn = self._sets["prior samples"].first
            if temperature != 1:
                drawn, _, _ = sample(self.workspace, len(drawn), options=SamplingOptions(temperature))
            images[f"samples, T = {temperature:g}"] = drawn
        nearest = {name: find_nearest_faces(some) for name, some in images.items()}
        reconstructed = nearest["reconstructions"]
        qualities = evaluate_faces(reconstructed, {name: (images[name], nearest[name]) for name in images})
        figures = {"threshold": true_threshold(reconstructed), "sets": [asdict(quality) for quality in qualities]}
        name = f"samples, T = {_TEMPERATURES[0]:g}"
        return figures, _gallery(images[name], nearest[name])

    # What the parts share.

    @property
    def _number(self) -> int:
        workspace = self.workspace
        return min(workspace.recipe.sampled_images, len(workspace.test_data), len(workspace.train_data))

    @cached_property
    def _sets(self) -> dict[str, _Set]:
        """The sets of images to compare, from what should be best to what should be worst."""
        workspace, number = self.workspace, self._number
        test = workspace.test_data[:number]
        codes = workspace.train_codes
        generator = torch.Generator().manual_seed(workspace.seed)
        shape = (number, *codes.grid)
        counts = codes.counts().double()
        unigram = counts.multinomial(shape[0] * shape[1] * shape[2], replacement=True, generator=generator).view(shape)
        uniform = torch.randint(codes.num_codes, shape, generator=generator)
        drawn, labels = self._samples_drawn
        return {
            "test": self._look_at([partial(test.floats, batch) for batch in test.batches()], test.labels),
            "reconstructions": self._look_at(self._decoded(workspace.test_codes.codes[:number]), test.labels),
            "prior samples": self._look_at(self._decoded(drawn), labels),
            "unigram codes": self._look_at(self._decoded(unigram)),
            "uniform codes": self._look_at(self._decoded(uniform)),
        }

    @cached_property
    def _samples_drawn(self) -> tuple[Tensor, Tensor]:
        """The codes of generated images, and the classes that they were made for."""
        return sample_codes(self.workspace, self._number)

    def _decode(self, codes: Tensor) -> Tensor:
        return self.workspace.vqvae.decode(codes.to(self.workspace.device).long()).cpu()

    def _decoded(self, codes: Tensor) -> list[Callable[[], Tensor]]:
        """What decodes codes (N, h, w), some at a time: together, the images may take more memory than there is."""
        return [partial(self._decode, some) for some in codes.split(self._at_once)]

    @property
    def _at_once(self) -> int:
        """How many images are decoded at a time."""
        return max(1, _PIXELS_AT_ONCE // self.workspace.test_data.images[0, 0].numel())

    def _features(self, images: ImageData) -> Tensor:
        classifier = self.workspace.classifier
        parts = distributed.in_order(lambda batch: classifier.features(images.floats(batch)), images.batches())
        return torch.cat(list(parts))

    def _inception_distance(self) -> float | None:
        if inception_weights() is None:
            return None
        real = self.workspace.train_data[: self._number].floats()
        return inception_distance(real, self._decode(self._samples_drawn[0]))

    def _look_at(self, parts: Sequence[Callable[[], Tensor]], labels: Tensor | None = None) -> _Set:
        classifier = self.workspace.classifier
        features, predictions = [], []
        first: list[Tensor] = []

        def look(place: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
            images = parts[place]()
            kept = images if place * len(images) < _SEARCHED else images[:0]  # all parts but the last are equally long
            return classifier.features(images), classifier.predict(images), kept.clone()

        for of_part, predicted, images in distributed.in_order(look, range(len(parts))):
            features.append(of_part)
            predictions.append(predicted)
            first.append(images)
        together = {task: torch.cat([one[task] for one in predictions]) for task in predictions[0]}
        return _Set(torch.cat(features), together, labels, torch.cat(first)[:_SEARCHED])


def _describe_source(source: SourceEntropy, prior: PriorEvaluation, positions: int) -> tuple[Result, Estimate]:
    """The entropy of the source and how far the prior is above it, in nats per grid; the entropy in bits per code."""
    bit = log(2) * positions  # a bit per code, in nats per grid
    known = prior["prior"].bits
    above = Estimate(known.value * bit - source.nats.value, hypot(known.error * bit, source.nats.error))
    figures = {**asdict(source), "nats": asdict(source.nats), "prior_above": asdict(above)}
    return figures, Estimate(source.nats.value / bit, source.nats.error / bit)


def _gallery(images: Tensor, nearest: NearestFaces) -> tuple[Figure, str]:
    """The worst, the middle and the best of some faces, each above its nearest true face and where they differ."""
    order = nearest.local_errors.argsort(descending=True)
    number = min(_SHOWN_FACES, len(order))
    start = (len(order) - number) // 2
    chosen = {"worst": order[:number], "middle": order[start : start + number], "best": order[len(order) - number :]}
    rows, titles = [], []
    for name, some in chosen.items():
        difference = 1 - (images[some] - nearest.faces[some]).abs().mean(1, keepdim=True).mul(2).clamp(max=1)
        rows += [images[some], nearest.faces[some], difference]
        titles += [f"the {name}", "nearest\ntrue face", "where they\ndiffer"]
    kinds = kinds_of_faults(images[chosen["worst"]], nearest[chosen["worst"]])
    figure = plotting.plot_rows(rows, titles, kinds)
    description = (
        "The worst, the middle and the best of the generated faces, each above the nearest face that the renderer can "
        "draw and a map of where the two differ"
    )
    return figure, description


def _is_entry(entry: object) -> bool:
    """Whether a part of ``evaluation.json`` has the form that ``Report.measure`` writes."""
    if not isinstance(entry, dict):
        return False
    pictures = entry.get("pictures")
    return (
        isinstance(entry.get("of"), dict)
        and isinstance(entry.get("figures"), dict)
        and isinstance(pictures, list)
        and all(isinstance(name, str) for name in pictures)
    )
