"""Whether generated images repeat training images.

Compare Meehan et al. (2020), arXiv:2004.05675, who test for data-copying by the same distances.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import comb

import torch
from torch import Tensor

from lpvq.errors import InputError
from lpvq.evaluation.distances import nearest_neighbours
from lpvq.evaluation.estimates import Estimate

_GRIDS_AT_ONCE = 2**12


@dataclass(frozen=True)
class Tail:
    """How many distances of generated images lie beyond those of nearly all held-out images, and whether by chance.

    Attributes:
        threshold: the distance that a share ``expected`` of the held-out images reaches or goes beyond.
        expected: the share of generated images to expect there, if they know the training images no better and no
            worse; 0 … 1.
        found: the share that is there, 0 … 1. The threshold itself counts only where several images are exactly as far
            from their nearest one: at 0, where images of the set occur twice.
        p_value: the probability of finding so many or more by chance, 0 … 1. Where nothing is wrong, one test in a
            hundred has a value below 0.01.
    """

    threshold: float
    expected: float
    found: float
    p_value: float


@dataclass(frozen=True)
class Memorisation:
    """Whether generated images repeat training images more often than chance would, and whether they stay apart.

    The distance of each image to the nearest reconstruction of a training image is compared with that of images that
    cannot repeat one: reconstructions of held-out images. (A prior can repeat a training grid, which decodes to such a
    reconstruction. It cannot draw the training image itself.)

    The test sees copies of whole images. A model that repeats half of an image, or repeats it with small changes, may
    pass; so may one whose images are so poor that its copies are outnumbered, which is why both tails are tested.

    Attributes:
        near: images nearer to a training image than the nearest held-out ones are: copies.
        far: images farther from all training images than the farthest held-out ones are: not of the kind at all.
    """

    near: Tail
    far: Tail


def evaluate_memorisation(held_out: Tensor, generated: Tensor, expected: float = 0.01) -> Memorisation:
    """Compare distances to the nearest training image.

    If both have the same distribution, every order of all N + M distances is equally likely. Then the number of
    ``generated`` below the k-th of ``held_out`` has a distribution in closed form (negative hypergeometric), and the
    test is exact; likewise above. Where several images share the k-th distance, all of them count, held-out and
    generated: given how many there are in all, the number of generated ones is hypergeometric (Fisher's exact test).

    Args:
        held_out: of images that no training has seen, (N,).
        generated: of generated images, (M,).
        expected: which share of ``held_out`` counts as near, and as far, at least; above 0 and at most 1; rounded to
            whole images.

    Raises:
        InputError: a set is empty, or ``expected`` is no such share.
    """
    if min(len(held_out), len(generated)) == 0 or not 0 < expected <= 1:
        raise InputError(
            f"expected held-out and generated images and a share of them in (0, 1], got {len(held_out)} and "
            f"{len(generated)} images and {expected}"
        )
    near, far = _tail(held_out, generated, expected), _tail(-held_out, -generated, expected)
    return Memorisation(near, replace(far, threshold=-far.threshold))


def _tail(held_out: Tensor, generated: Tensor, expected: float) -> Tail:
    """The lower tail."""
    rank = max(1, round(expected * len(held_out)))
    threshold = held_out.sort().values[rank - 1]
    if (held_out == threshold).sum() > 1:
        rank = int((held_out <= threshold).sum())
        beyond = int((generated <= threshold).sum())
        # Of all images, the first rank + beyond are known to end here; of these, at most rank are held-out.
        first, fewest = rank + beyond, rank + 1
    else:
        beyond = int((generated < threshold).sum())
        # So many are beyond if and only if, of the first beyond + rank - 1 of all, fewer than rank are held-out.
        first, fewest = beyond + rank - 1, rank
    ways = sum(comb(len(held_out), some) * comb(len(generated), first - some) for some in range(fewest))
    p_value = ways / comb(len(held_out) + len(generated), first)
    return Tail(threshold.item(), rank / len(held_out), beyond / len(generated), min(1.0, p_value))


@dataclass(frozen=True)
class RepeatedGrids:
    """How many grids of codes are, code for code, grids that were learned from.

    A model that has learned the source draws as many as there are among held-out grids: more are copies; fewer mean
    that it draws too few grids of the kind.

    Attributes:
        generated: the share of generated grids, 0 … 1.
        held_out: the share of held-out grids, 0 … 1.
    """

    generated: Estimate
    held_out: Estimate


def evaluate_repeated_grids(generated: Tensor, held_out: Tensor, training: Tensor) -> RepeatedGrids:
    """Count grids of codes, int64 (N, H, W) each, that occur among those of ``training``.

    Raises:
        InputError: there are no generated or no held-out grids.
    """
    known = set(_grids(training))

    def share(codes: Tensor) -> Estimate:
        return Estimate.of_mean(torch.tensor([grid in known for grid in _grids(codes)]))

    return RepeatedGrids(share(generated), share(held_out))


def _grids(codes: Tensor) -> Iterator[bytes]:
    """Sixteen bytes for each grid, the same for the same codes whatever their type."""
    for some in codes.flatten(1).split(_GRIDS_AT_ONCE):
        for grid in some.long().numpy():
            yield blake2b(grid.tobytes(), digest_size=16).digest()


def nearest_training_images(vectors: Tensor, training: Tensor, held_out: Tensor) -> tuple[Memorisation, Tensor, Tensor]:
    """Find the nearest training image of each generated one, and test for memorisation.

    Args:
        vectors: of generated images, pixels or features, (M, F).
        training: of reconstructed training images, (N, F).
        held_out: of reconstructed test images, (L, F).

    Returns:
        the result of the test; the Euclidean distances, float64 (M,); the indices of the nearest in ``training``,
        int64 (M,).

    Raises:
        InputError: a set is empty.
    """
    held_out_distances, _ = nearest_neighbours(held_out, training)
    distances, nearest = nearest_neighbours(vectors, training)
    return evaluate_memorisation(held_out_distances, distances), distances, nearest
