"""Whether generated images repeat training images.

Compare Meehan et al. (2020), arXiv:2004.05675, who test for data-copying by the same distances.
"""

from dataclasses import dataclass
from math import comb

from torch import Tensor

from lpvq.errors import InputError
from lpvq.evaluation.distances import nearest_neighbours


@dataclass(frozen=True)
class Memorisation:
    """Whether generated images repeat training images more often than chance would.

    The distance of each image to the nearest reconstruction of a training image is compared with that of images that
    cannot repeat one: reconstructions of held-out images. (A prior can repeat a training grid, which decodes to such a
    reconstruction. The training image itself it cannot draw.)

    Attributes:
        threshold: the distance that a share ``expected`` of the held-out images is as close as or closer than.
        expected: the share of generated images to expect closer, if they know the training images no better; 0 … 1.
        found: the share that is closer, 0 … 1.
        p_value: the probability to find so many or more by chance, 0 … 1. Of a hundred models that have memorised
            nothing, one has a value below 0.01.
    """

    threshold: float
    expected: float
    found: float
    p_value: float


def evaluate_memorisation(held_out: Tensor, generated: Tensor, expected: float = 0.01) -> Memorisation:
    """Compare distances to the nearest training image.

    If both have the same distribution, every order of all N + M distances is equally likely. Then the number of
    ``generated`` below the k-th of ``held_out`` has a distribution in closed form (negative hypergeometric), and the
    test is exact.

    Args:
        held_out: of images that no training has seen, (N,).
        generated: of generated images, (M,).
        expected: which share of ``held_out`` counts as close, above 0 and at most 1; rounded to whole images.

    Raises:
        InputError: a set is empty, or ``expected`` is no such share.
    """
    if min(len(held_out), len(generated)) == 0 or not 0 < expected <= 1:
        raise InputError(
            f"expected held-out and generated images and a share of them in (0, 1], got {len(held_out)} and "
            f"{len(generated)} images and {expected}"
        )
    rank = max(1, round(expected * len(held_out)))
    threshold = held_out.sort().values[rank - 1]
    below = int((generated < threshold).sum())
    # So many are below if and only if, of the first below + rank - 1 of all, fewer than rank are held-out.
    total, first = len(held_out) + len(generated), below + rank - 1
    p_value = sum(
        comb(len(held_out), some) * comb(len(generated), first - some) / comb(total, first) for some in range(rank)
    )
    return Memorisation(threshold.item(), rank / len(held_out), below / len(generated), min(1.0, p_value))


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
