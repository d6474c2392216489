"""The checkers of notebook 11: right answers pass, typical wrong ones are called by their name."""

import pytest
import torch
import torch.nn.functional as F

from lpvq.course.exercises.notebook_11 import CHECKERS, large_faces, nats_given, sad_mouths


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (0.6**8, None),
        (0.0168, None),
        (0.6**7, "eight rows lie above"),
        (0.6**9, "need not be empty"),
        (1 - 0.6**8, "has begun before"),
        (0.4 * 0.6**8, "later rows count"),
        (0.5, "too large by 0.483"),
    ],
)
def test_late_faces(answer, complaint):
    said = CHECKERS["11.1"](answer)
    assert said is None if complaint is None else complaint in said


def test_dealing_is_checked_at_other_sides():
    check = CHECKERS["11.2"]

    def squares(picture, side):
        batch, channels, height, width = picture.shape
        return picture.view(batch, channels, height // side, side, width // side, side)  # (B, C, h, i, w, j)

    def by_hand(picture, side):
        return squares(picture, side).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)

    assert check(by_hand) is None and check(F.pixel_unshuffle) is None
    assert "swapped" in check(lambda picture, side: squares(picture, side).permute(0, 1, 5, 3, 2, 4).flatten(1, 3))
    assert "come first" in check(lambda picture, side: squares(picture, side).permute(0, 3, 5, 1, 2, 4).flatten(1, 3))
    assert "expected the shape" in check(lambda picture, side: picture)
    assert "the largest difference" in check(lambda picture, side: by_hand(picture, side).flip(0))
    assert "expected a function" in check(torch.zeros(1))


def test_what_the_coarse_grid_tells_is_checked():
    check = CHECKERS["11.3"]
    prior, _, codes, labels = large_faces()
    coarse = prior.coarsen(codes)
    own = nats_given(prior, codes, labels, coarse)
    after, before = (nats_given(prior, codes, labels, coarse.roll(shift, 0)) for shift in (-1, 1))
    assert own < after - 10
    assert check((own, after)) is None
    assert "own grid first" in check((after, own))
    assert "the face before" in check((own, before))
    assert "own grid: " in check((0, after))
    assert "expected two numbers" in check(own)


def test_who_decides_about_the_mouth_is_checked():
    check, share = CHECKERS["11.4"], sad_mouths()
    assert share > 0.8
    assert check(share) is None
    assert "that is not sad" in check(1 - share)
