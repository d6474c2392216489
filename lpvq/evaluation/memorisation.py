"""Whether generated images are copies of training images."""

from dataclasses import dataclass
from math import comb

from torch import Tensor

from lpvq.evaluation.distances import nearest_neighbours


@dataclass(frozen=True)
class Memorisation:
    """Whether generated images are copies of training images.

    The distance of each image to the nearest reconstruction of a training image is compared with that of images which
    cannot be copies: reconstructions of held-out images. (A prior can repeat a training grid, which decodes to such a
    reconstruction. The training image itself it cannot draw.)

    Attributes:
        threshold: the distance that ``expected`` of the reconstructions are closer than.
        expected: the share of generated images that are closer, if they are as independent of the training images.
        found: the share that is.
        p_value: the probability to find so many or more by chance. Of a hundred
            models that copy nothing, one has a value below 0.01.
    """

    threshold: float
    expected: float
    found: float
    p_value: float


def evaluate_memorisation(held_out: Tensor, generated: Tensor, expected: float = 0.01) -> Memorisation:
    """Compare distances to what was seen in training, (N,) of images that cannot be copies and (M,) of generated ones.

    If both have the same distribution, every order of all N + M distances is equally likely. Then the number of
    ``generated`` below the k-th of ``held_out`` has a distribution in closed form, and the test is exact.
    """
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
        vectors: of generated images, (M, F).
        training: of reconstructed training images, (N, F).
        held_out: of reconstructed test images, (L, F).

    Returns:
        the verdict; the distances (M,); the indices of the nearest (M,).
    """
    held_out_distances, _ = nearest_neighbours(held_out, training)
    distances, nearest = nearest_neighbours(vectors, training)
    return evaluate_memorisation(held_out_distances, distances), distances, nearest
