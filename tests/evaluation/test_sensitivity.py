"""Which measure sees which fault: each new measure moves when its fault is planted, and stays when another is."""

import pytest
import torch

from lpvq import InputError
from lpvq.data import smileys
from lpvq.data.loading import load
from lpvq.data.smileys import FACTORS
from lpvq.evaluation.classifier import Classifier, tasks_of, train_classifier
from lpvq.evaluation.sensitivity import (
    SHARES,
    LookedAt,
    Measures,
    Sensitivity,
    faulty_faces,
    measure_sensitivity,
)
from lpvq.training.config import TrainConfig

NUMBER = 150


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], Sensitivity]:
    torch.manual_seed(0)
    training = load("smileys", "train", limit=3 * NUMBER)
    classifier = Classifier(3, tasks_of(training))
    train_classifier(classifier, training, TrainConfig(steps=120, batch_size=64, learning_rate=3e-3, validations=1))
    classifier.eval()
    measures = Measures(classifier, training.floats(), load("smileys", "test", limit=NUMBER).floats(), threshold=0.01)
    clean = [load("smileys", "test", limit=NUMBER, seed=seed) for seed in (1, 2, 3, 4)]
    looked_at = [measures.look_at(faces.floats(), faces.labels) for faces in clean]
    faulty = {name: measures.look_at(*faces) for name, faces in faulty_faces(NUMBER, training[NUMBER:]).items()}
    return {(one.fault, one.measure): one for one in measure_sensitivity(measures, looked_at, faulty)}


@pytest.mark.parametrize(
    ("fault", "by"),
    [
        ("one eye of another kind", {"true to the renderer", "plainly wrong"}),
        ("a second background", {"true to the renderer", "plainly wrong"}),
        ("a broken outline", {"true to the renderer", "plainly wrong"}),
        ("blur", {"true to the renderer"}),
        ("no wide eyes", set()),
        ("copies of training images", {"nearer than held-out"}),
    ],
)
def test_a_new_measure_moves_with_its_fault_and_stays_with_another(
    found: dict[tuple[str, str], Sensitivity], fault: str, by: set[str]
) -> None:
    seen = {
        name
        for name in ("true to the renderer", "plainly wrong", "nearer than held-out")
        if (found[fault, name].seen_from or 2) <= 0.05
    }
    assert seen == by


def test_a_mode_that_was_dropped_moves_the_frequencies_of_its_factor(
    found: dict[tuple[str, str], Sensitivity],
) -> None:
    assert found["no wide eyes", "factor frequencies"].moved[-1] > 3
    assert found["blur", "true to the renderer"].moved[-1] < -3  # the way of the move is kept


def test_faults_are_what_their_names_say() -> None:
    training = load("smileys", "train", limit=50)
    faulty = faulty_faces(50, training)
    factors = smileys.draw_factors(50, 0, 4)
    true = smileys.draw(factors).float() / 255
    moved, mouths = faulty["a pixel to the right"]
    assert torch.equal(moved[..., 1:], true[..., :-1]) and torch.equal(mouths, factors["mouth"])
    assert torch.equal(faulty["copies of training images"][0], training.floats())
    assert torch.equal(faulty["copies of training images"][1], training.labels)
    same = (faulty["no wide eyes"][0] == true).flatten(1).all(1)
    assert torch.equal(same, factors["eyes"] != FACTORS["eyes"].index("wide"))
    assert torch.allclose(faulty["blur"][0][:, :, 5, 5], true[:, :, 4:7, 4:7].mean((2, 3)))
    large = faulty_faces(3, load("smileys", "train", limit=3, size=64))
    assert all(images.shape == (3, 3, 64, 64) for images, _ in large.values())


def test_a_mixture_has_so_many_of_the_others_first() -> None:
    def looked_at(value: int) -> LookedAt:
        row = torch.full((10,), value)
        return LookedAt(row[:, None].float(), {"eyes": row}, row > 0, row.float(), row.float())

    mixed = looked_at(0).mixed_with(looked_at(1), 0.3)
    for values in (mixed.features[:, 0], mixed.factors["eyes"], mixed.right, mixed.local_errors, mixed.distances):
        assert values.float().tolist() == [1] * 3 + [0] * 7


@pytest.mark.parametrize(
    ("moved", "seen"),
    [
        ((0, 1, 2, 4, 5, -6, 7), 0.1),
        ((9, 1, 2, 4, 5, 6, 7), 0.1),  # once by chance is not seen
        ((0, 0, 0, 0, 0, 0, 2.9), None),
        ((-3, -4, -5, -6, -7, -8, -9), 0.01),
    ],
)
def test_what_is_seen_stays_seen_at_every_larger_share(moved: tuple[float, ...], seen: float | None) -> None:
    assert len(moved) == len(SHARES)
    assert Sensitivity("a fault", "a measure", 0.0, moved).seen_from == seen


def test_a_set_that_chance_has_moved_shows_no_fault() -> None:
    def looked_at(value: float) -> LookedAt:
        row = torch.full((100,), value)
        return LookedAt(row[:, None], {}, row > 0, row, row)

    def mean(faces: LookedAt) -> dict[str, float]:
        return {"mean": faces.distances.mean().item()}

    clean = [looked_at(value) for value in (6.0, *[0.0, 1.0] * 10)]  # the first is far from all others
    faulty = {"none": looked_at(6.0), "large": looked_at(60.0)}
    none, large = measure_sensitivity(mean, clean, faulty)  # type: ignore[arg-type]
    assert none.moved == (0,) * len(SHARES) and none.seen_from is None
    assert none.clean == 6 and large.seen_from == 0.1


def test_too_few_clean_sets_are_refused() -> None:
    with pytest.raises(InputError, match="at least 3 clean sets, got 2"):
        measure_sensitivity(None, [None] * 2, {})  # type: ignore[arg-type, list-item]
