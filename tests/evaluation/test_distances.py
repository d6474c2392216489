"""Distances between sets of vectors: against independent forms, and each moves when it must."""

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image import fid

from lpvq import InputError
from lpvq.evaluation.distances import frechet_distance, nearest_neighbours, neighbourhoods, squared_distances


def vectors(number: int, seed: int, features: int = 4) -> Tensor:
    return torch.randn(number, features, generator=torch.Generator().manual_seed(seed))


def test_the_frechet_distance_of_known_gaussians() -> None:
    # With diagonal covariances it is ‖μ − μ'‖² + Σ (σ − σ')².
    real = vectors(200_000, 0) * torch.tensor([1.0, 2.0, 0.5, 0.0])
    other = vectors(200_000, 1) * torch.tensor([3.0, 2.0, 0.5, 0.0]) + torch.tensor([0.0, 0.0, 1.0, 2.0])
    # 200,000 vectors know a mean and a deviation to about 0.01.
    assert frechet_distance(real, other) == pytest.approx(1 + 4 + 4, rel=0.02)


def test_the_frechet_distance_of_a_set_to_itself_is_zero_and_symmetric() -> None:
    real, other = vectors(300, 0), vectors(200, 1) @ vectors(4, 2)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(real, other) == pytest.approx(frechet_distance(other, real), rel=1e-9)


def test_the_frechet_distance_agrees_with_an_independent_implementation() -> None:
    class AsTheyAre(nn.Module):
        num_features = 8

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return features

    mix = torch.randn(8, 8)
    real, others = torch.randn(500, 8) @ mix, torch.randn(400, 8).exp()
    metric = fid.FrechetInceptionDistance(AsTheyAre()).set_dtype(torch.float64)
    metric.update(real, real=True)
    metric.update(others, real=False)
    assert frechet_distance(real, others) == pytest.approx(metric.compute().item(), rel=1e-3)


def test_the_frechet_distance_grows_with_noise() -> None:
    real, other = vectors(2000, 0), vectors(2000, 1)
    distances = [frechet_distance(real, other + scale * vectors(2000, 2)) for scale in (0, 0.3, 0.6, 1.2)]
    assert distances == sorted(distances) and distances[-1] > 10 * distances[0]


def by_brute_force(real: Tensor, other: Tensor, k: int) -> dict[str, float]:
    """Straight from the definitions, pair by pair."""

    def radius(point: Tensor, points: Tensor) -> float:
        return sorted((point - p).norm().item() for p in points)[k]  # the nearest is the point itself

    radii = [radius(point, real) for point in real]
    other_radii = [radius(point, other) for point in other]
    inside = [[(r - o).norm().item() <= radius for r, radius in zip(real, radii, strict=True)] for o in other]
    recalled = [
        any((r - o).norm().item() <= radius for o, radius in zip(other, other_radii, strict=True)) for r in real
    ]
    return {
        "precision": sum(any(row) for row in inside) / len(other),
        "recall": sum(recalled) / len(real),
        "density": sum(sum(row) for row in inside) / (k * len(other)),
        "coverage": sum(any(row[i] for row in inside) for i in range(len(real))) / len(real),
    }


@pytest.mark.parametrize("k", [1, 3])
def test_neighbourhoods_agree_with_brute_force(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpvq.evaluation.distances._DISTANCES_AT_ONCE", 300)  # in parts of seven or so
    real, other = vectors(40, 0).double(), 1.3 * vectors(30, 1).double() + 0.4
    found = neighbourhoods(real, other, k)
    for name, value in by_brute_force(real, other, k).items():
        assert getattr(found, name).value == pytest.approx(value)


def test_neighbourhoods_see_noise_and_a_mode_that_is_missing() -> None:
    modes = torch.tensor([[0.0, 0, 0, 0], [20.0, 0, 0, 0]])
    real = vectors(400, 0) + modes.repeat(200, 1)
    same = neighbourhoods(real, vectors(400, 1) + modes.repeat(200, 1))
    dropped = neighbourhoods(real, vectors(400, 1) + modes[:1])
    noisy = neighbourhoods(real, 4 * vectors(400, 1) + modes.repeat(200, 1))
    assert dropped.precision.value == pytest.approx(same.precision.value, abs=0.1)
    assert dropped.recall.value < 0.6 * same.recall.value and dropped.coverage.value < 0.6 * same.coverage.value
    assert noisy.precision.value < 0.6 * same.precision.value and noisy.density.value < 0.6 * same.density.value


def test_too_few_vectors_have_no_neighbours() -> None:
    with pytest.raises(InputError, match="more than 5 vectors in both sets, got 9 and 5"):
        neighbourhoods(vectors(9, 0), vectors(5, 1))


def test_squared_distances_keep_small_differences_between_long_vectors() -> None:
    a = torch.full((1, 3), 1e3)
    assert squared_distances(a, a + 1e-3).item() == pytest.approx(3 * (a + 1e-3 - a)[0, 0].item() ** 2, rel=1e-3)


def test_nearest_neighbours_are_found_with_their_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpvq.evaluation.distances._DISTANCES_AT_ONCE", 60)
    queries, among = vectors(25, 0), vectors(20, 1)
    distances, indices = nearest_neighbours(queries, among)
    all_distances = torch.cdist(queries, among)
    assert torch.equal(indices, all_distances.argmin(1))
    torch.testing.assert_close(distances.float(), all_distances.amin(1))
