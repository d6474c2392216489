"""How many of some faces the renderer could have drawn, and what is wrong with the others."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lpvq.errors import InputError
from lpvq.evaluation.estimates import Estimate, bootstrap
from lpvq.evaluation.face_faults import KINDS, PLAINLY_WRONG, SEVERAL, kinds_of_faults
from lpvq.evaluation.nearest_face import NearestFaces

_TRUE_SHARE = 0.99  # of reconstructions: an error larger than theirs is no longer the VQ-VAE's blur


@dataclass(frozen=True)
class FaceQuality:
    """How near some faces are to faces that the renderer can draw.

    Attributes:
        name: of the set.
        number: how many faces it has.
        median: of the local errors, see ``NearestFaces``.
        true: the share that is true to the renderer: as near to a face that it can draw as 99 % of reconstructed test
            images are.
        wrong: the share that is plainly wrong: with a local error above ``PLAINLY_WRONG``.
        kinds: for each kind of fault, and for several at once, the share of all faces that are plainly wrong by it.
    """

    name: str
    number: int
    median: float
    true: Estimate
    wrong: Estimate
    kinds: dict[str, Estimate]


def true_threshold(reconstructions: NearestFaces) -> float:
    """Return the local error up to which a face counts as true to the renderer: that of 99 % of reconstructions."""
    return _threshold(reconstructions.local_errors)


def evaluate_faces(reconstructions: NearestFaces, sets: Mapping[str, tuple[Tensor, NearestFaces]]) -> list[FaceQuality]:
    """Measure how many faces of each set are true to the renderer, and how many are plainly wrong.

    Args:
        reconstructions: the nearest faces of reconstructed test images.
        sets: by name, images (N, 3, S, S), floats in [0, 1], and their nearest faces.

    Raises:
        InputError: a set is empty.
    """
    if any(len(images) == 0 for images, _ in sets.values()):
        raise InputError("expected at least one face in each set")
    return [_evaluate(name, images, nearest, reconstructions.local_errors) for name, (images, nearest) in sets.items()]


def _evaluate(name: str, images: Tensor, nearest: NearestFaces, reconstructed: Tensor) -> FaceQuality:
    errors = nearest.local_errors
    # The threshold is itself measured, so both sets are drawn anew.
    resampled = bootstrap(_share_of_true, errors, reconstructed)
    wrong = errors > PLAINLY_WRONG
    kinds = [""] * len(images)
    if wrong.any():
        found = kinds_of_faults(images[wrong], nearest[wrong])
        for index, kind in zip(wrong.nonzero()[:, 0].tolist(), found, strict=True):
            kinds[index] = kind
    return FaceQuality(
        name,
        len(images),
        errors.median().item(),
        Estimate(_share_of_true(errors, reconstructed), resampled.std().item()),
        Estimate.of_mean(wrong),
        {kind: Estimate.of_mean(torch.tensor([one == kind for one in kinds])) for kind in (*KINDS, SEVERAL)},
    )


def _share_of_true(errors: Tensor, reconstructed: Tensor) -> float:
    return (errors <= _threshold(reconstructed)).double().mean().item()


def _threshold(errors: Tensor) -> float:
    return errors.double().quantile(_TRUE_SHARE).item()
