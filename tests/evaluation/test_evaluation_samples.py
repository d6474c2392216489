"""Sets of images: the further from the training images, the worse every figure; the usual FID where it can be had."""

import math
from pathlib import Path

import pytest
import torch
from torchmetrics.image import fid

from lpvq import InputError
from lpvq.evaluation import samples
from lpvq.evaluation.distances import frechet_distance, neighbourhoods
from lpvq.evaluation.estimates import Estimate
from lpvq.evaluation.frechet import measure_frechet
from lpvq.evaluation.samples import evaluate_samples, inception_distance


def test_every_figure_gets_worse_with_noise() -> None:
    real, others = torch.randn(400, 4), torch.randn(400, 4)
    sets = {f"{noise}": others + noise * torch.randn(400, 4) for noise in (0, 1, 4)}
    correct = torch.arange(400) < 300
    qualities = evaluate_samples(real, sets, {"1": correct})
    distances = [quality.frechet.value for quality in qualities]
    assert distances == sorted(distances) == [frechet_distance(real, features) for features in sets.values()]
    coverage = [quality.neighbourhoods.coverage.value for quality in qualities]
    assert coverage == sorted(coverage, reverse=True)
    assert [quality.name for quality in qualities] == ["0", "1", "4"] and qualities[0].number == 400
    assert qualities[1].accuracy == Estimate(0.75, pytest.approx(math.sqrt(0.75 * 0.25 / 400)))
    assert qualities[0].accuracy is None and qualities[2].accuracy is None
    assert [quality.frechet for quality in qualities] == [
        measure_frechet(real, some).estimate for some in sets.values()
    ]
    assert [quality.neighbourhoods for quality in qualities] == [neighbourhoods(real, some) for some in sets.values()]


def test_a_small_step_is_seen_although_the_distances_vary_more() -> None:
    real, others = torch.randn(400, 4), torch.randn(400, 4)
    same, changed = evaluate_samples(real, {"same": others, "changed": others + 0.1}, {})
    assert same.step is None and changed.step is not None
    assert changed.step.value == pytest.approx(changed.frechet.value - same.frechet.value)
    # The shift adds 2·0.1·(difference of means) + 4·0.1², of which only the first part varies: by 2·0.1·√(4·2/400).
    assert changed.step.error == pytest.approx(0.2 * math.sqrt(8 / 400), rel=0.3)


def test_sets_that_cannot_be_compared_are_refused() -> None:
    real = torch.randn(20, 4)
    with pytest.raises(InputError, match="at least 4 vectors in both sets, got 20 and 0"):
        evaluate_samples(real, {"none": real[:0]}, {})
    with pytest.raises(InputError, match="more than 5 vectors in both sets, got 20 and 5"):
        evaluate_samples(real, {"few": real[:5]}, {})
    for correct in ({"x": torch.ones(19)}, {"y": torch.ones(20)}):
        with pytest.raises(InputError, match=r"correct\['[xy]'\] has (19|20) answers, expected one for each image"):
            evaluate_samples(real, {"x": real}, correct)
    with pytest.raises(InputError, match="at least 2 images in both sets, got 1 and 2"):
        inception_distance(torch.rand(1, 3, 8, 8), torch.rand(2, 3, 8, 8))


def test_the_usual_fid_is_left_out_where_its_weights_are_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(samples, "find_spec", lambda name: object())
    assert inception_distance(torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)) is None


def test_the_usual_fid_sees_all_images_in_three_channels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[tuple[tuple[int, ...], bool]] = []

    class StandIn:
        def __init__(self, normalize: bool, feature_extractor_weights_path: str) -> None:
            assert normalize and Path(feature_extractor_weights_path).exists()

        def update(self, images: torch.Tensor, real: bool) -> None:
            seen.append((tuple(images.shape), real))

        def compute(self) -> torch.Tensor:
            return torch.tensor(12.5)

    weights = tmp_path / "checkpoints" / samples._INCEPTION
    weights.parent.mkdir()
    weights.touch()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(samples, "find_spec", lambda name: object())
    monkeypatch.setattr(fid, "FrechetInceptionDistance", StandIn)
    assert inception_distance(torch.rand(100, 1, 8, 8), torch.rand(30, 1, 8, 8)) == 12.5
    assert seen == [((64, 3, 8, 8), True), ((36, 3, 8, 8), True), ((30, 3, 8, 8), False)]
