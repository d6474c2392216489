import math

import pytest
import torch

from lpvq.course.exercises.notebook_09 import CHECKERS, toy_points
from lpvq.evaluation.distances import neighbourhoods


def total_variation_of_true_faces(half):
    generator = torch.Generator().manual_seed(0)
    backgrounds = torch.randint(6, (1000, 500), generator=generator)
    shares = torch.nn.functional.one_hot(backgrounds, 6).double().mean(1)
    return half * (shares - 1 / 6).abs().sum(1).mean()


def overlap(name):
    return getattr(neighbourhoods(*toy_points(), k=3), name).value


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("9.1", 13.0),
        ("9.1", torch.tensor(13)),
        ("9.2", overlap("coverage")),
        ("9.2", torch.tensor(overlap("coverage"))),
        ("9.3", total_variation_of_true_faces(0.5)),
        ("9.4", {3, 5, 6}),
        ("9.4", [6, 5, 3]),
    ],
)
def test_a_right_answer_is_correct(exercise, answer):
    assert CHECKERS[exercise](answer) is None


@pytest.mark.parametrize(
    ("exercise", "answer", "complaint"),
    [
        ("9.1", 73.0, "variances"),
        ("9.1", math.sqrt(13), "root"),
        ("9.1", 9, "means alone"),
        ("9.1", 12.0, "12 is too small by 1"),
        ("9.1", "thirteen", "expected a number"),
        ("9.2", overlap("recall"), "recall"),
        ("9.2", overlap("precision"), "precision"),
        ("9.2", 0.0, "too small"),
        ("9.3", total_variation_of_true_faces(1.0), "twice"),
        ("9.3", 0.0, "too small"),
        ("9.4", {3, 6}, "draft 5 is missing"),
        ("9.4", {3, 4, 5, 6}, "draft 4 is beaten by draft 5"),
        ("9.4", {0}, "no draft 0"),
        ("9.4", "356", "expected a set"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(exercise, answer, complaint):
    assert complaint in CHECKERS[exercise](answer)


def test_the_points_tell_the_measures_apart():
    assert len({round(overlap(name), 3) for name in ("precision", "recall", "density", "coverage")}) == 4
