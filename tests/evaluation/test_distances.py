"""Distances between sets of vectors: against independent forms, and each moves when it must."""

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image import fid

from lpvq import InputError
from lpvq.evaluation import distances
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
    found = [frechet_distance(real, other + scale * vectors(2000, 2)) for scale in (0, 0.3, 0.6, 1.2)]
    assert found == sorted(found) and found[-1] > 10 * found[0]


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


def clouds(number: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two clouds that overlap in part: every figure has something to vary by."""
    real, other = torch.randn(2, number, 4, generator=generator)
    return real, 0.9 * other + 0.4


def test_the_standard_errors_of_neighbourhoods_are_the_spread_over_fresh_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "_DEGREES_OF_FREEDOM", 4)  # a single error is less sure, but 400 are averaged
    generator = torch.Generator().manual_seed(0)
    figures, variances = [], []
    for _ in range(400):
        found = neighbourhoods(*clouds(120, generator))
        estimates = found.precision, found.recall, found.density, found.coverage
        figures.append([estimate.value for estimate in estimates])
        variances.append([estimate.error**2 for estimate in estimates])
    ratios = torch.tensor(variances).mean(0).sqrt() / torch.tensor(figures).std(0)
    # A standard deviation of 400 is known to 3.5 %, the mean of the variances about as well.
    assert ratios.tolist() == pytest.approx([1, 1, 1, 1], abs=0.15)


def test_the_design_effect_hardly_depends_on_the_size_of_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = clouds(500, torch.Generator().manual_seed(0))
    monkeypatch.setattr(distances, "_DEGREES_OF_FREEDOM", 200)
    roots = []
    for size in (250, 100):
        monkeypatch.setattr(distances, "_GROUP", size)
        roots.append(distances._design_effects(*sets, 5).sqrt())
    assert min(root.min().item() for root in roots) > 1.05  # vectors that share balls are not independent
    torch.testing.assert_close(*roots, rtol=0.25, atol=0)  # each is known to 5 %, and both are of the same set


def test_sets_without_variation_have_no_error() -> None:
    real = vectors(60, 0)
    far = neighbourhoods(real, vectors(60, 1) + 100)
    assert (far.precision.value, far.precision.error, far.density.error) == (0, 0, 0)
    same = neighbourhoods(real, real)
    assert (same.precision.value, same.precision.error, same.coverage.error) == (1, 0, 0)


def test_an_error_is_given_for_the_smallest_sets_too() -> None:
    for number in (6, 11, 12):
        found = neighbourhoods(vectors(number, 0), vectors(number, 1) + 1)
        assert 0 <= found.density.error < 10


def test_too_few_vectors_have_no_neighbours() -> None:
    with pytest.raises(InputError, match="more than 5 vectors in both sets, got 9 and 5"):
        neighbourhoods(vectors(9, 0), vectors(5, 1))
    for empty, full in ((0, 3), (3, 0)):
        with pytest.raises(InputError, match=f"vectors in both sets, got {empty} and {full}"):
            nearest_neighbours(vectors(empty, 0), vectors(full, 0))
        with pytest.raises(InputError, match=f"vectors in both sets, got {empty} and {full}"):
            neighbourhoods(vectors(empty, 0), vectors(full, 0))


@pytest.mark.parametrize("number", [0, 1])
def test_too_few_vectors_have_no_covariance(number: int) -> None:
    for sets in ((vectors(number, 0), vectors(9, 1)), (vectors(9, 1), vectors(number, 0))):
        with pytest.raises(InputError, match=f"at least 2 vectors, got {number}"):
            frechet_distance(*sets)


def test_vectors_of_another_length_are_refused() -> None:
    for measure in (frechet_distance, neighbourhoods):
        with pytest.raises(InputError, match=r"expected .*(4 and 3|\(9, 4\) and \(9, 3\))"):
            measure(vectors(9, 0), vectors(9, 1, features=3))


def test_a_single_feature_has_a_frechet_distance() -> None:
    real, other = vectors(50, 0, features=1), 2 * vectors(60, 1, features=1) + 3
    expected = (real.mean() - other.mean()) ** 2 + (real.std() - other.std()) ** 2
    assert frechet_distance(real, other) == pytest.approx(expected.item(), rel=1e-5)


def test_squared_distances_keep_small_differences_between_long_vectors() -> None:
    a = torch.full((1, 3), 1e3)
    assert squared_distances(a, a + 1e-3).item() == pytest.approx(3 * (a + 1e-3 - a)[0, 0].item() ** 2, rel=1e-3)


def test_nearest_neighbours_are_found_with_their_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpvq.evaluation.distances._DISTANCES_AT_ONCE", 60)
    queries, among = vectors(25, 0), vectors(20, 1)
    found, indices = nearest_neighbours(queries, among)
    all_distances = torch.cdist(queries, among)
    assert torch.equal(indices, all_distances.argmin(1))
    torch.testing.assert_close(found.float(), all_distances.amin(1))
