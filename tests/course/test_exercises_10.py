"""The checkers of notebook 10: right answers pass, typical wrong ones are called by their name."""

import numpy as np
import pytest
import torch

from answers import expect, forms_of_numbers
from lpvq.course.exercises import notebook_10
from lpvq.course.exercises.notebook_10 import CHECKERS

RIGHT = {"A": 6, "B": 4, "C": 1, "D": 5, "E": 2}


def test_10_1_five_patients():
    letters = [np.int64(6), torch.tensor(4), [1], np.array([5.0]), 2.0]
    expect(
        CHECKERS["10.1"],
        [RIGHT, dict(zip("ABCDE", letters, strict=True)), list(RIGHT.values()), np.array([6, 4, 1, 5, 2])],
        [
            (RIGHT | {"A": 7}, "A: compare what is measured of codes"),
            (RIGHT | {"A": 3}, "A: compare what is measured of codes"),
            (RIGHT | {"B": 7}, "B: one of the lines about the codes"),
            (RIGHT | {"C": 3}, "C: which of its lines"),
            (RIGHT | {"D": 3}, "D: go down the sheet"),
            (RIGHT | {"E": 3}, "E: a label harms"),
            (RIGHT | {"E": 7}, "E: a label harms"),
            ({"A": 2, "B": 4, "C": 1, "D": 5, "E": 6}, "A: compare"),
            (RIGHT | {"B": 6}, "two have the same"),
            (RIGHT | {"B": 0}, "0 is not a number from the list"),
            (RIGHT | {"B": 8}, "8 is not a number from the list"),
            (RIGHT | {"B": 4.5}, "4.5 is not a number from the list"),
            ({"A": 6, "B": 4, "C": 1, "D": 5}, "a number for each of A, B, C, D, E"),
            ({6: "A", 4: "B", 1: "C", 5: "D", 2: "E"}, "a number for each of A, B, C, D, E"),
            (RIGHT | {"B": "twins"}, "expected a number, got str"),
            (RIGHT | {"B": ...}, "still ..."),
            ([6, 4, 1, 5], "got 4 of 5 numbers"),
            ("64152", "expected a dictionary"),
        ],
    )


def test_10_2_half_of_the_labels():
    share, bits = 2 / 3, np.log2(3) + 2 / 3 * np.log2(2 / 3) + 1 / 3 * np.log2(1 / 6)
    assert bits == pytest.approx(0.333, abs=0.001)
    expect(
        CHECKERS["10.2"],
        [*forms_of_numbers(share, bits), (0.67, 0.33), (0.667, 0.333)],
        [
            ((0.5, bits), "share: a label that is drawn anew may be right by chance"),
            ((1 / 3, bits), "share: that is the share of the wrong class"),
            ((0.75, bits), "share: there are three classes"),
            ((5 / 6, bits), "share: of the labels that are drawn anew a third"),
            ((1 / 6, bits), "share: that is how often a label that is drawn anew is right"),
            ((66.67, bits), "share: this is in per cent"),
            ((0.6, bits), "share: 0.6 is too small"),
            ((share, np.log2(3)), "bits: that is what a label saves when all"),
            ((share, np.log2(3) / 2), "do not save half"),
            ((share, 2 / 3 * np.log2(3)), "nobody knows which are right"),
            ((share, np.log2(3) - bits), "the entropy that is left"),
            ((share, bits * np.log(2)), "bits: these are nats"),
            ((share, -bits), "the sign is wrong"),
            ((share, np.log2(3) - 0.9183), "there are two others"),
            ((share, 1 - 0.9183), "three classes are open, not two"),
            ((share, bits / 64), "the question asks for bits per picture"),
            ((bits, share), "the order is: the share first"),
            (share, "expected two numbers (share of the right class, bits a label saves), got a single one"),
            ("two thirds", "got str"),
            ((share, ...), "still ..."),
        ],
        secrets=["0.66", "0.67", "0.33"],
    )


COSTS = {"right": (16.0, 45.0, 22.0), "left": (16.0, 47.0, 24.0), "down": (16.0, 52.0, 27.0)}
COSTS["round"] = (16.0, 61.0, 38.0)


@pytest.fixture
def costs(monkeypatch):
    """Costs of moved faces, instead of what the shipped weights make of them."""
    codes = {0: 16.0, 4: 33.0, 8: 108.0}
    monkeypatch.setattr(notebook_10, "_cost", lambda by, how="right": COSTS[how][by] if by < 3 else codes[by])


def test_10_3_moved_faces(costs):
    right = np.array(COSTS["right"])
    expect(
        CHECKERS["10.3"],
        [*forms_of_numbers(*right), right + 0.01, [torch.tensor(cost) for cost in right]],
        [
            (right[[0, 2, 1]], "the last two are exchanged"),
            (right[::-1], "the order is the other way round"),
            (right / np.log(2), "these are bits"),
            (right / 64, "these are nats per code"),
            (right / 64 / np.log(2), "these are bits per code"),
            (right * 100, "these are sums over the faces"),
            (-right, "the sign is wrong"),
            (COSTS["left"], "moved to the left"),
            (COSTS["down"], "moved up or down"),
            (COSTS["round"], "comes in again at the left"),
            ((16, 33, 108), "moved by whole codes"),
            ((16, 29, 6), "these are the differences"),
            ((16, 16, 16), "nothing was moved"),
            ((16, 45, 30), "moved by 2: 30 is too large"),
            ((15, 45, 22), "as they are: 15 is too small"),
            ((16, 44, 22), "moved by 1: 44 is a little too small"),
            ((45, 22), "expected three numbers (as they are, moved by 1, moved by 2), got 2"),
            ("1 pixel", "got str"),
        ],
        secrets=["45", "22 "],
    )


def test_10_3_as_the_shipped_prior_counts():
    right = [notebook_10._cost(by) for by in range(3)]
    assert right[0] < right[2] < right[1], "moved by two pixels, most faces stand where a face may stand"
    assert CHECKERS["10.3"](right) is None
    for how, words in (("left", "to the left"), ("down", "up or down"), ("round", "comes in again")):
        assert words in CHECKERS["10.3"]([notebook_10._cost(by, how) for by in range(3)])


def by_bytes(unseen, learned):
    known = {picture.numpy().tobytes() for picture in learned}
    return torch.tensor([picture.numpy().tobytes() in known for picture in unseen])


def equal(unseen, learned):
    return (unseen[:, None] == learned[None]).flatten(2)


def near(unseen, learned):
    return (unseen[:, None].int() - learned[None].int()).abs().flatten(2).amax(2) <= 1


def sums(pictures):
    return pictures.flatten(1).long().sum(1)


def test_10_4_twins():
    expect(
        CHECKERS["10.4"],
        [
            by_bytes,
            lambda a, b: equal(a, b).all(2).any(1),
            lambda a, b: [any(torch.equal(x, y) for y in b) for x in a],
            lambda a, b: by_bytes(a, b).numpy(),
            lambda a, b: by_bytes(a, b).long(),
            lambda a, b: torch.cdist(a.flatten(1).double(), b.flatten(1).double()).amin(1) < 1e-6,
        ],
        [
            (lambda a, b: by_bytes(a, b).sum(), "this is how many there are"),
            (lambda a, b: by_bytes(a, b).double().mean(), "this is their share"),
            (lambda a, b: by_bytes(a, b).nonzero()[:, 0], "the numbers of the twins"),
            (lambda a, b: ~by_bytes(a, b), "which have no twin"),
            (lambda a, b: by_bytes(b, a), "which of those learned from"),
            (lambda a, b: equal(a, b).all(2), "a table of all pairs"),
            (lambda a, b: equal(a, b).any(2).any(1), "one equal pixel does not make one"),
            (lambda a, b: torch.isin(sums(a), sums(b)), "equal sums are not enough"),
            (lambda a, b: near(a, b).any(1), "differs in one pixel"),
            (lambda a, b: equal(a, a).all(2).sum(1) > 1, "twins among the unseen; the question"),
            (lambda a, b: by_bytes(a, b) | (equal(a, a).all(2).sum(1) > 1), "twins among the unseen do not count"),
            (lambda a, b: (a == b[: len(a)]).flatten(1).all(1), "may stand anywhere"),
            (lambda a, b: equal(a, b).sum(2).argmax(1), "the nearest of the others"),
            (lambda a, b: by_bytes(a[:, :1], b[:, :1]), "one equal channel is no twin"),
            (lambda a, b: torch.zeros(len(a)), "4 twins are missed, and 0 pictures"),
            (lambda a, b: torch.ones(len(a)), "not all of them have a twin"),
            (lambda a, b: by_bytes(a, b)[:5], "expected the shape (9,), got (5,)"),
            (lambda a, b: 0.5 * by_bytes(a, b), "got other numbers"),
            (lambda a, b: ..., "not done yet"),
            (lambda a, b: None, "returns nothing"),
            (lambda a, b: a.nowhere, "fails with AttributeError"),
            (torch.ones(9), "expected a function"),
        ],
    )
