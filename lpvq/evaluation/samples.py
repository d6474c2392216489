"""How far generated images are from training images."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from lpvq.errors import InputError
from lpvq.evaluation.distances import Neighbourhoods, neighbourhoods
from lpvq.evaluation.estimates import Estimate
from lpvq.evaluation.frechet import Frechet, measure_frechet
from lpvq.runtime import progress

_INCEPTION = "weights-inception-2015-12-05-6726825d.pth"  # as torch-fidelity names it


@dataclass(frozen=True)
class SampleQuality:
    """How a set of images compares with training images, by the features of a classifier.

    Attributes:
        name: the set.
        number: of images in it, and of training images it is compared with.
        frechet: the Fréchet classifier distance: 0 for equal means and covariances.
        step: how much larger that is than the distance of the set before; None for the first. Its error may be smaller
            than those of both distances, because both are from the same training images.
        neighbourhoods: precision, recall, density and coverage.
        accuracy: the share of images whose class the classifier finds to be the one they were made for, 0 … 1; None
            where they were made for none.
    """

    name: str
    number: int
    frechet: Estimate
    step: Estimate | None
    neighbourhoods: Neighbourhoods
    accuracy: Estimate | None


def evaluate_samples(real: Tensor, sets: Mapping[str, Tensor], correct: Mapping[str, Tensor]) -> list[SampleQuality]:
    """Compare sets of images with training images.

    Args:
        real: features of training images, (N, F).
        sets: by name, features of the images to compare, (M, F) each, from what should be best to what should be worst.
        correct: by name, for sets that were made for classes, bool (M,): whether the classifier found the class that
            each image was made for.

    Raises:
        InputError: a set has too few images to be compared, or other features than ``real``; ``correct`` does not fit.
    """
    for name, found in correct.items():
        if name not in sets or len(found) != len(sets[name]):
            raise InputError(f"correct[{name!r}] has {len(found)} answers, expected one for each image of a set")
    results: list[SampleQuality] = []
    before: Frechet | None = None
    for name, features in progress(list(sets.items()), "comparing sets of images"):
        frechet = measure_frechet(real, features)
        results.append(
            SampleQuality(
                name,
                len(features),
                frechet.estimate,
                frechet.step_from(before) if before is not None else None,
                neighbourhoods(real, features),
                Estimate.of_mean(correct[name]) if name in correct else None,
            )
        )
        before = frechet
    return results


def inception_weights() -> Path | None:
    """Return where Inception's weights are; None where they or the package torch-fidelity are not on this machine.

    Nothing is downloaded.
    """
    weights = Path(torch.hub.get_dir()) / "checkpoints" / _INCEPTION
    return weights if find_spec("torch_fidelity") is not None and weights.exists() else None


def inception_distance(real: Tensor, images: Tensor) -> float | None:
    """Return the FID of images: with the usual network, so comparable with other projects.

    By torchmetrics; Heusel et al. (2017), arXiv:1706.08500.

    Args:
        real: (N, C, H, W), floats in [0, 1], of one channel or three.
        images: (M, C, H, W), likewise.

    Returns:
        the FID; None where ``inception_weights`` finds nothing.

    Raises:
        InputError: a set has fewer than two images.
    """
    if min(len(real), len(images)) < 2:
        raise InputError(f"the FID needs at least 2 images in both sets, got {len(real)} and {len(images)}")
    weights = inception_weights()
    if weights is None:
        return None
    from torchmetrics.image import fid

    metric = fid.FrechetInceptionDistance(normalize=True, feature_extractor_weights_path=str(weights))
    for some, is_real in ((real, True), (images, False)):
        for batch in progress(some.split(64), "Inception's features", least=4):
            metric.update(batch.expand(-1, 3, -1, -1), real=is_real)
    return metric.compute().item()
