"""The checkers of notebook 11: right answers pass, typical wrong ones are called by their name."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from answers import expect, forms_of_number, forms_of_numbers
from lpvq.course.exercises import notebook_11
from lpvq.course.exercises.notebook_11 import CHECKERS, large_faces, nats_given, sad_mouths


def test_11_1_late_faces():
    right = 0.6**8
    expect(
        CHECKERS["11.1"],
        [*forms_of_number(right), 0.0168, 1 - sum(0.4 * 0.6**row for row in range(8)), np.prod([0.6] * 8)],
        [
            (0.6**7, "eight rows lie above"),
            (0.6**9, "need not be empty"),
            (1 - 0.6**8, "has begun before"),
            (0.4 * 0.6**8, "later rows count"),
            (0.4**8, "a row stays empty, not"),
            (0.4**7, "0.6 is the probability"),
            (0.6, "one row stays empty"),
            (0.4, "a face begins in a row"),
            (4.8, "not added"),
            (0.6 / 8, "nothing is divided"),
            (1 / 8, "one given row of eight"),
            (1.68, "in percent"),
            (8**0.6, "its base is 0.6"),
            (0.5, "0.5 is too large"),
            (-1, "too small"),
            ("rare", "expected a number, got str"),
        ],
        secrets=["0.016", "0.017"],
    )


def squares(picture, side):
    batch, channels, height, width = picture.shape
    return picture.view(batch, channels, height // side, side, width // side, side)  # (B, C, h, i, w, j)


def dealt(*order):
    """With the dimensions of ``squares`` in another order."""

    def deal(picture, side):
        batch, _, height, width = picture.shape
        return squares(picture, side).permute(0, *order).reshape(batch, -1, height // side, width // side)

    return deal


def dealt_for_three_channels(picture, side):
    return picture.reshape(2, 3, -1, side, picture.shape[3] // side, side).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def with_unfold(picture, side):
    batch, _, height, width = picture.shape
    return F.unfold(picture, side, stride=side).view(batch, -1, height // side, width // side)


def with_slices(picture, side):
    parts = [picture[:, c, i::side, j::side] for c in range(picture.shape[1]) for i in range(side) for j in range(side)]
    return torch.stack(parts, 1).double().requires_grad_()


def with_numpy(picture, side):
    batch, channels, height, width = picture.shape
    pixels = picture.numpy().reshape(batch, channels, height // side, side, width // side, side)
    return pixels.transpose(0, 1, 3, 5, 2, 4).reshape(batch, -1, height // side, width // side)


def test_11_2_dealing():
    right = dealt(1, 3, 5, 2, 4)
    expect(
        CHECKERS["11.2"],
        [right, F.pixel_unshuffle, with_unfold, with_slices, with_numpy, lambda *given: right(*given).tolist()],
        [
            (torch.zeros(1), "expected a function, got Tensor of shape (1,)"),
            (lambda picture, side: ..., "not done yet"),
            (lambda picture: picture, "the function fails with TypeError"),
            (dealt(1, 5, 3, 2, 4), "swapped"),
            (dealt(3, 5, 1, 2, 4), "come first"),
            (dealt(5, 3, 1, 2, 4), "and columns last"),
            (dealt(3, 1, 5, 2, 4), "not between rows and columns"),
            (dealt(1, 2, 3, 4, 5), "permute before the last reshape"),
            (lambda picture, side: right(picture, side).mT, "of the positions are swapped"),
            (lambda picture, side: right(picture, side).unflatten(1, (-1, side, side)), "become one dimension"),
            (F.avg_pool2d, "the mean of each square"),
            (lambda picture, side: picture[:, :, ::side, ::side], "one pixel of each square"),
            (lambda picture, side: picture, "nothing is sorted"),
            (lambda picture, side: right(picture, 2), "expected the shape"),
            (dealt_for_three_channels, "the function fails with RuntimeError"),
            (lambda picture, side: right(picture, side).flip(0), "values are wrong"),
            (lambda picture, side: right(picture, side)[:1], "expected the shape (2, 12, 3, 5), got (1, 12, 3, 5)"),
        ],
    )


class Prior:
    """Instead of the shipped one: its nats tell which grid got which coarse grid and label."""

    coarse_prior = SimpleNamespace(nll=lambda coarse, labels: torch.full((len(coarse),), 13.0))

    @staticmethod
    def coarsen(codes):
        return torch.arange(12)[:, None, None].expand(-1, 2, 2)

    @property
    def fine_prior(self):
        return self

    def nll(self, codes, labels, coarse):
        place = torch.arange(12)
        return 20.0 + 3 * (coarse[:, 0, 0] - place).abs() * place / 2 + 9 * labels * (place % 7)


@pytest.fixture
def small_faces(monkeypatch):
    found = Prior(), None, torch.zeros(12, 4, 4, dtype=torch.int64), torch.arange(12) % 3
    monkeypatch.setattr(notebook_11, "large_faces", lambda: found)
    for kept in (notebook_11._costs, notebook_11._slips_of_costs):
        kept.cache_clear()
    yield found
    for kept in (notebook_11._costs, notebook_11._slips_of_costs):
        kept.cache_clear()


def test_11_3_what_a_wrong_sketch_costs(small_faces):
    prior, _, codes, labels = small_faces
    coarse = prior.coarsen(codes)
    own, after, before = (nats_given(prior, codes, labels, coarse.roll(shift, 0)) for shift in (0, -1, 1))
    other_label = nats_given(prior, codes, labels.roll(-1), coarse.roll(-1, 0))
    of_first = nats_given(prior, codes, labels, coarse[:1].expand_as(coarse))
    both = own + 13
    costs = sorted([own, after, before, other_label, of_first, both])
    assert all(cheap < 0.97 * dear for cheap, dear in itertools.pairwise(costs)), costs  # or two could be taken for one
    expect(
        CHECKERS["11.3"],
        [*forms_of_numbers(own, after), (round(own, 1), round(after, 1)), [torch.tensor(own), np.float32(after)]],
        [
            ((after, own), "own grid first"),
            ((own, before), "the face before"),
            ((own, other_label), "the labels stay"),
            ((own, of_first), "of the first"),
            ((own, own), "own grid again"),
            ((own, abs(after - own)), "next one's grid: "),
            ((both, after), "that includes what the coarse grid costs"),
            ((both - own, after), "that is what the coarse grid costs"),
            ((12 * own, 12 * after), "own grid: that is the sum"),
            ((own / 16, after / 16), "own grid: these are nats per code"),
            ((own / np.log(2), after / np.log(2)), "own grid: these are bits"),
            ((-own, -after), "own grid: the sign"),
            ((own, -after), "next one's grid: the sign"),
            ((0, after), "own grid: 0 is too small"),
            ((own, 3 * after), "next one's grid: "),
            (own, "expected two numbers (with the own coarse grid, with the next one's), got a single one"),
            ((own, ...), "still ..."),
        ],
    )


def test_11_3_with_the_shipped_model():
    prior, _, codes, labels = large_faces()
    coarse = prior.coarsen(codes)
    own, after = (nats_given(prior, codes, labels, coarse.roll(shift, 0)) for shift in (0, -1))
    assert own < after - 10
    assert CHECKERS["11.3"]((own, after)) is None
    assert "own grid first" in CHECKERS["11.3"]((after, own))


def test_11_4_who_decides_about_the_mouth(monkeypatch):
    mouths = torch.tensor([1] * 18 + [0] * 8 + [2] * 4)  # for any weights, and in a moment
    monkeypatch.setattr(notebook_11, "_mouths", lambda: mouths)
    expect(
        CHECKERS["11.4"],
        [*forms_of_number(18 / 30), (mouths == 1).float().mean(), 19 / 30, 17 / 30],
        [
            (12 / 30, "that is not sad"),
            (18, "how many are sad"),
            (60, "in percent"),
            (8 / 30, "happy mouths"),
            (4 / 30, "surprised mouths"),
            (mouths.float().mean(), "the mean of the labels"),
            (1 / 3, "chance"),
            (0, "0 is too small"),
            (0.5, "0.5 is too small"),
            (1.0, "1 is too large"),
            (16 / 30, "too small"),
            (20 / 30, "too large"),
            (mouths, "expected a number, got Tensor of shape (30,)"),
            (mouths == 1, "expected a number, got Tensor of shape (30,)"),
            (True, "True or False"),
            ("the sketch", "expected a number, got str"),
        ],
        secrets=["0.6 "],
    )


def test_11_4_as_the_shipped_model_draws():
    share = sad_mouths()
    assert share > 0.8
    assert CHECKERS["11.4"](share) is None
    assert "that is not sad" in CHECKERS["11.4"](1 - share)
