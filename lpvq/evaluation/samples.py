"""How far generated images are from training images."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from lpvq.evaluation.distances import Neighbourhoods, frechet_distance, neighbourhoods
from lpvq.evaluation.estimates import Estimate, bootstrap
from lpvq.runtime import progress

_INCEPTION = "weights-inception-2015-12-05-6726825d.pth"  # as torch-fidelity names it


@dataclass(frozen=True)
class SampleQuality:
    """How one set of images compares with training images, by the features of a classifier.

    Attributes:
        name: the set.
        number: of images in it, and of training images it is compared with.
        frechet: the Fréchet classifier distance: 0 for equal means and covariances.
        step: how much more that is than of the set before it; None for the first. Its error is smaller than those of
            the two, because both are resampled together.
        neighbourhoods: precision, recall, density and coverage.
        accuracy: the share of images whose class the classifier finds to be the one they were made for; None where they
            were made for none.
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
        sets: by name, features of the images to judge, (N, F) each, from what should be best to what should be worst.
        correct: by name, as far as there is one, bool (N,): whether the classifier found the class that each
            was made for.
    """
    results: list[SampleQuality] = []
    before: Tensor | None = None
    for name, features in progress(list(sets.items()), "comparing sets of images"):
        value, drawn = frechet_distance(real, features), bootstrap(frechet_distance, real, features)
        step = None
        if before is not None:
            step = Estimate(value - results[-1].frechet.value, (drawn - before).std().item())
        before = drawn
        results.append(
            SampleQuality(
                name,
                len(features),
                Estimate(value, drawn.std().item()),
                step,
                neighbourhoods(real, features),
                Estimate.of_mean(correct[name]) if name in correct else None,
            )
        )
    return results


def inception_distance(real: Tensor, images: Tensor) -> float | None:
    """Return the FID of ``images``, (N, C, H, W) in [0, 1]: with the usual network, so comparable with other projects.

    By torchmetrics. None where the package torch-fidelity or its weights are not on this machine: nothing is
    downloaded. Heusel et al. (2017), arXiv:1706.08500.
    """
    weights = Path(torch.hub.get_dir()) / "checkpoints" / _INCEPTION
    if find_spec("torch_fidelity") is None or not weights.exists():
        return None
    from torchmetrics.image import fid

    metric = fid.FrechetInceptionDistance(normalize=True, feature_extractor_weights_path=str(weights))
    for some, is_real in ((real, True), (images, False)):
        for batch in progress(some.split(64), "Inception's features", least=4):
            metric.update(batch.expand(-1, 3, -1, -1), real=is_real)
    return metric.compute().item()
