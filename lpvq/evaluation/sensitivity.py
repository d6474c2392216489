"""Which measure would have seen it? Faults of known size, planted into true faces, and every measure taken on them.

A known share of N faces is made faulty. A measure sees that if it moves further than chance moves it between clean
sets, by three standard deviations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.data import smileys
from lpvq.data.images import ImageData
from lpvq.data.smileys import FACTORS
from lpvq.errors import InputError
from lpvq.evaluation.classifier import Classifier, shrunk
from lpvq.evaluation.distances import frechet_distance, nearest_neighbours, neighbourhoods
from lpvq.evaluation.face_faults import PLAINLY_WRONG, plant_faults
from lpvq.evaluation.memorisation import evaluate_memorisation
from lpvq.evaluation.nearest_face import find_nearest_faces
from lpvq.evaluation.truth import total_variation
from lpvq.runtime import progress

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Which shares of a set's faces are made faulty."""

_STREAM = 4  # of factors; training images, test images and the source's entropy have others
_SEEN = 3.0  # standard deviations
_BLUR = 3  # pixels of 32


@dataclass(frozen=True, eq=False)
class LookedAt:
    """What the measures need to know of N faces.

    Attributes:
        features: of the classifier, (N, F).
        factors: what the classifier says about each factor, int64 (N,).
        right: whether the mouth is the one that the face was made with, bool (N,).
        local_errors: see ``NearestFaces``, (N,).
        distances: to the nearest training image, by pixels, (N,).
    """

    features: Tensor
    factors: dict[str, Tensor]
    right: Tensor
    local_errors: Tensor
    distances: Tensor

    def mixed_with(self, other: "LookedAt", share: float) -> "LookedAt":
        """Return these faces, with the first of them, a ``share`` of 0 … 1, replaced by those of ``other``."""
        first = round(share * len(self.right))

        def mix(mine: Tensor, others: Tensor) -> Tensor:
            return torch.cat([others[:first], mine[first:]])

        return LookedAt(
            mix(self.features, other.features),
            {name: mix(values, other.factors[name]) for name, values in self.factors.items()},
            mix(self.right, other.right),
            mix(self.local_errors, other.local_errors),
            mix(self.distances, other.distances),
        )


class Measures:
    """All measures of a set of faces, against the same training images.

    Args:
        classifier: of smileys.
        training: the images to compare with, (N, 3, S, S), floats in [0, 1].
        held_out: true faces that are not among these, (M, 3, S, S).
        threshold: the local error up to which a face is true to the renderer.
    """

    def __init__(self, classifier: Classifier, training: Tensor, held_out: Tensor, threshold: float) -> None:
        self._classifier = classifier
        self._pixels = shrunk(training).flatten(1)
        self._features = classifier.features(training)
        self._held_out, _ = nearest_neighbours(shrunk(held_out).flatten(1), self._pixels)
        self._threshold = threshold

    def look_at(self, images: Tensor, mouths: Tensor) -> LookedAt:
        """Take all that the measures need from faces (N, 3, S, S) that were made with ``mouths`` (N,)."""
        factors = self._classifier.predict(images)
        distances, _ = nearest_neighbours(shrunk(images).flatten(1), self._pixels)
        return LookedAt(
            self._classifier.features(images),
            factors,
            factors["mouth"] == mouths,
            find_nearest_faces(images).local_errors,
            distances,
        )

    def __call__(self, faces: LookedAt) -> dict[str, float]:
        """Return each measure of a set of faces, by name."""
        real = self._features[: len(faces.features)]
        near = neighbourhoods(real, faces.features)
        variations = [total_variation(faces.factors[name], len(values)) for name, values in FACTORS.items()]
        return {
            "right class": faces.right.double().mean().item(),
            "Fréchet distance": frechet_distance(real, faces.features),
            "precision": near.precision.value,
            "recall": near.recall.value,
            "density": near.density.value,
            "coverage": near.coverage.value,
            "factor frequencies": max(variations),
            "nearer than held-out": evaluate_memorisation(self._held_out, faces.distances).near.found,
            "true to the renderer": (faces.local_errors <= self._threshold).double().mean().item(),
            "plainly wrong": (faces.local_errors > PLAINLY_WRONG).double().mean().item(),
        }


@dataclass(frozen=True)
class Sensitivity:
    """How well a measure sees a fault.

    Attributes:
        fault: its name.
        measure: its name.
        clean: the measure on the set that the faults are planted into, while it is clean.
        moved: for each of ``SHARES``, how far the measure moves from that, in its standard deviations over clean sets.
    """

    fault: str
    measure: str
    clean: float
    moved: tuple[float, ...]

    @property
    def seen_from(self) -> float | None:
        """The smallest share from which the measure always moves by three standard deviations; None if never."""
        seen = None
        for share, deviations in zip(reversed(SHARES), reversed(self.moved), strict=True):
            if abs(deviations) < _SEEN:
                break
            seen = share
        return seen


def measure_sensitivity(
    measures: Measures, clean: Sequence[LookedAt], faulty: Mapping[str, LookedAt]
) -> list[Sensitivity]:
    """Say for each fault and each measure how far the measure moves when some of the faces have the fault.

    Args:
        measures: to take.
        clean: several sets of true faces, N each. The faults are planted into the first, the others show chance.
        faulty: by the name of the fault, N faces that all have it.

    Raises:
        InputError: fewer than three clean sets: their spread is what every move is measured by.
    """
    if len(clean) < 3:
        raise InputError(f"expected at least 3 clean sets, got {len(clean)}")
    usual = [measures(faces) for faces in clean]
    results = []
    for fault, faces in progress(list(faulty.items()), "planting faults"):
        mixed = [measures(clean[0].mixed_with(faces, share)) for share in SHARES]
        for measure in usual[0]:
            values = torch.tensor([some[measure] for some in usual], dtype=torch.float64)
            # Where all clean sets are alike, a single face more or less is the smallest difference there is.
            spread = max(values.std().item(), 1 / len(faces.right))
            # Compared with the same set without its faults: what chance has moved in this set is not the fault's doing.
            unmoved = usual[0][measure]
            moved = tuple((some[measure] - unmoved) / spread for some in mixed)
            results.append(Sensitivity(fault, measure, unmoved, moved))
    return results


def faulty_faces(number: int, training: ImageData, seed: int = 0) -> dict[str, tuple[Tensor, Tensor]]:
    """Return faces that all have a fault, by its name.

    Args:
        number: N, how many of each.
        training: at least N smileys to repeat, of S × S pixels.
        seed: decides the faces.

    Returns:
        for each fault float32 images in [0, 1], (N, 3, S, S), and the mouths that they were made with, int64 (N,).
    """
    size = training.images.shape[-1]
    pixel = max(1, size // 32)
    factors = smileys.draw_factors(number, seed, _STREAM)
    images, mouths = smileys.draw(factors, size).float() / 255, factors["mouth"]
    wide = factors["eyes"] == FACTORS["eyes"].index("wide")
    other_eyes = (factors["eyes"] + 1 + torch.arange(number) % 3) % len(FACTORS["eyes"])
    no_wide = {**factors, "eyes": torch.where(wide, other_eyes, factors["eyes"])}
    faulty = {
        "one eye of another kind": plant_faults("eyes", factors, size, seed),
        "a second background": plant_faults("background", factors, size, seed),
        "a broken outline": plant_faults("outline", factors, size, seed),
        "blur": _blurred(images, _BLUR * pixel | 1),
        "a pixel to the right": torch.cat([images[..., :1].expand(-1, -1, -1, pixel), images[..., :-pixel]], -1),
        "no wide eyes": smileys.draw(no_wide, size).float() / 255,
    }
    copies = training[:number]
    return {name: (some, mouths) for name, some in faulty.items()} | {
        "copies of training images": (copies.floats(), copies.labels)
    }


def _blurred(images: Tensor, width: int) -> Tensor:
    """The mean over squares of ``width`` pixels, an odd number."""
    return F.avg_pool2d(F.pad(images, [width // 2] * 4, mode="replicate"), width, stride=1)
