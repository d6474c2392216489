"""How far two sets of images are apart, measured on vectors of features.

- Fréchet distance between the Gaussians that have the sets' means and covariances: Heusel et al. (2017),
  arXiv:1706.08500, equation 6. The name FID belongs to one network's features, which are not used here.
- Precision and recall: Kynkäänniemi et al. (2019), arXiv:1904.06991. Density and coverage: Naeem et al. (2020),
  arXiv:2002.09797, equations 3 and 4. All four are about balls around each vector that reach to its k-th neighbour.

Shapes: N real and M other vectors of F features, float.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lpvq.errors import InputError
from lpvq.evaluation.estimates import Estimate

NEIGHBOURS = 5
_DISTANCES_AT_ONCE = 2**24


def frechet_distance(real: Tensor, other: Tensor) -> float:
    """Return ‖μ − μ'‖² + tr(Σ + Σ' − 2 (Σ Σ')^½) of two sets of vectors, (N, F) and (M, F)."""
    mean, covariance = _moments(real)
    other_mean, other_covariance = _moments(other)
    # Σ Σ' has the eigenvalues of the symmetric Σ^½ Σ' Σ^½.
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    spread = covariance.trace() + other_covariance.trace() - 2 * cross
    return ((mean - other_mean).square().sum() + spread).item()


@dataclass(frozen=True)
class Neighbourhoods:
    """How two sets overlap; each a share of vectors, density excepted, which may exceed 1.

    Attributes:
        precision: of the other vectors, those that lie in the ball of a real one: are they realistic?
        recall: of the real vectors, those that lie in the ball of another one: is everything covered?
        density: in how many balls of real vectors another one lies, divided by k: precision that outliers do not fool.
        coverage: of the real vectors, those in whose ball another one lies: recall that outliers do not fool.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def neighbourhoods(real: Tensor, other: Tensor, k: int = NEIGHBOURS) -> Neighbourhoods:
    """Compare two sets of vectors, (N, F) and (M, F), by balls that reach from each to its ``k``-th neighbour.

    Raises:
        InputError: a set has no more than ``k`` vectors.
    """
    if min(len(real), len(other)) <= k:
        raise InputError(f"expected more than {k} vectors in both sets, got {len(real)} and {len(other)}")
    real_radii, other_radii = _radii(real, k), _radii(other, k)
    balls = torch.zeros(len(other))
    recalled = torch.zeros(len(real), dtype=torch.bool)
    nearest = torch.full((len(real),), torch.inf, dtype=torch.float64)
    step = max(1, _DISTANCES_AT_ONCE // len(real))
    for first in range(0, len(other), step):
        part = slice(first, first + step)
        squares = squared_distances(real, other[part])
        balls[part] = (squares <= real_radii[:, None]).sum(0).float()
        recalled |= (squares <= other_radii[part]).any(1)
        nearest = torch.minimum(nearest, squares.amin(1))
    return Neighbourhoods(
        precision=Estimate.of_mean(balls > 0),
        recall=Estimate.of_mean(recalled),
        density=Estimate.of_mean(balls / k),
        coverage=Estimate.of_mean(nearest <= real_radii),
    )


def nearest_neighbours(vectors: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each of ``vectors`` (N, F) the distance to, and the index of, the nearest of ``among`` (M, F)."""
    distances, indices = [], []
    for part in vectors.split(max(1, _DISTANCES_AT_ONCE // len(among))):
        squares, index = squared_distances(part, among).min(1)
        distances.append(squares.sqrt())
        indices.append(index)
    return torch.cat(distances), torch.cat(indices)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return all squared distances (N, M) between ``a`` (N, F) and ``b`` (M, F), float64.

    By one matrix product; in double precision, so that small distances between long vectors are not lost.
    """
    a, b = a.double(), b.double()
    squares = torch.addmm(b.square().sum(1), a, b.T, alpha=-2).add_(a.square().sum(1, keepdim=True))
    return squares.clamp_(min=0)


def _radii(vectors: Tensor, k: int) -> Tensor:
    """The squared distance of each vector to its ``k``-th neighbour."""
    parts = vectors.split(max(1, _DISTANCES_AT_ONCE // len(vectors)))
    # Each vector is its own nearest.
    return torch.cat([squared_distances(part, vectors).kthvalue(k + 1, dim=1).values for part in parts])


def _moments(vectors: Tensor) -> tuple[Tensor, Tensor]:
    vectors = vectors.double()
    return vectors.mean(0), torch.cov(vectors.T)
