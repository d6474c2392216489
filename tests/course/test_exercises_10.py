"""The checkers of notebook 10: right answers pass, typical wrong ones are called by their name."""

import numpy as np
import pytest
import torch

from answers import expect, forms_of_number, forms_of_numbers, forms_of_tensor
from lpvq import load_pretrained
from lpvq.course.exercises import notebook_10
from lpvq.course.exercises.notebook_10 import CHECKERS
from lpvq.data.loading import load


def test_10_1_the_numbers_of_a_folder():
    expect(
        CHECKERS["10.1"],
        [*forms_of_numbers(101, 12, 12), (len(range(0, 1003, 10)), *torch.Size([12, 12])), np.array([101, 12, 12])],
        [
            ((100, 12, 12), "begin to count with the first one"),
            ((100.3, 12, 12), "a picture is one or none"),
            ((902, 12, 12), "the pictures to train on"),
            ((903, 12, 12), "one too many"),
            ((1003, 12, 12), "all pictures"),
            ((102, 12, 12), "pictures: 102 is a little too large"),
            ((101, 96, 96), "rows: that is the size in pixels"),
            ((101, 8, 8), "how many of them fit"),
            ((101, 1.5, 1.5), "not the number of its pixels"),
            ((101, 24, 24), "downsample 4"),
            ((101, 12, 11), "columns: 11 is too small"),
            ((101, 144, 144), "all codes of a grid"),
            (101, "expected three numbers (pictures, rows, columns), got a single one"),
            ((101, 12), "got 2"),
            ("101, 12, 12", "expected three numbers (pictures, rows, columns), got str"),
            ((101, 12, ...), "still ..."),
        ],
        secrets=["101"],
    )


def test_10_2_how_many_blocks():
    expect(
        CHECKERS["10.2"],
        [*forms_of_number(22), 24 - 2, np.uint8(22)],
        [
            (23, "the first layer looks"),
            (24, "one step less than there are codes"),
            (576, "in one row"),
            (21, "not two"),
            (11, "half of a kernel of 3"),
            (12, "further, not two"),
            (8, "not three"),
            (7, "and the first layer is no block"),
            (5, "does not double"),
            (25, "it does not cost one"),
            (1, "only along the row"),
            (0, "without blocks"),
            (20, "20 is too small"),
            (22.5, "22.5 is a little too large"),
            ([22, 1], "expected a number, got list"),
        ],
        secrets=["22 "],
    )


@pytest.fixture
def grids(monkeypatch):
    """A face, and how its lower rows are drawn for each label, instead of what the shipped weights make of them."""
    generator = torch.Generator().manual_seed(0)
    face = torch.randint(256, (1, 32, 32), generator=generator)
    drawn = {
        label: torch.cat([face[:, :15], torch.randint(256, (1, 17, 32), generator=generator)], 1) for label in (0, 2)
    }
    monkeypatch.setattr(notebook_10, "_surprised_face", lambda: face)
    monkeypatch.setattr(notebook_10, "_completed", lambda label: drawn[label])
    return face, drawn


def test_10_3_a_completed_face(grids):
    codes, drawn = grids
    right = drawn[0]
    changed, longer, rest = right.clone(), right.clone(), right.clone()
    changed[0, 31, 31] = (right[0, 31, 31] + 1) % 256
    longer[0, 15:18] = codes[0, 15:18]
    rest[0, 15:] = right[0, 15:].flip(0)
    expect(
        CHECKERS["10.3"],
        [*forms_of_tensor(right), right.int(), right.short().numpy()],
        [
            (drawn[2], "stays surprised"),
            (changed, "of the 544 drawn codes, 1 are not those"),
            (rest, "are not those of the label 0 and a generator that starts at seed 4"),
            (longer, "row 15 is the first that is drawn"),
            (codes, "the codes of the face itself"),
            (right.roll(1, 2), "upper 15 rows"),
            (codes.flip(1), "upper 15 rows"),
            (torch.zeros_like(right), "upper 15 rows"),
            (right + 0.5, "upper 15 rows"),
            (codes[0], "expected the shape (1, 32, 32), got (32, 32)"),
            (codes[:, :15], "expected the shape (1, 32, 32), got (1, 15, 32)"),
            (right.flatten(1), "expected the shape (1, 32, 32), got (1, 1024)"),
            (torch.zeros(1, 3, 128, 128), "expected the shape (1, 32, 32), got (1, 3, 128, 128)"),
            ("happy", "expected a grid of codes, got str"),
        ],
    )


def test_10_3_as_the_shipped_model_draws():
    vqvae, prior = load_pretrained("smileys-128")
    faces = load("smileys", "test", size=128, limit=12)
    codes = vqvae.encode(faces.floats([int((faces.labels == 2).nonzero()[0])]))
    generator = torch.Generator().manual_seed(4)
    happy = prior.generate(codes[:, :15].flatten(1), 32, labels=torch.tensor([0]), generator=generator)
    assert CHECKERS["10.3"](happy) is None
    assert "the face itself" in CHECKERS["10.3"](codes)


def test_10_4_fewer():
    numbers = 3 * 128 * 128
    expect(
        CHECKERS["10.4"],
        [*forms_of_number(48), 3 * (128 / 32) ** 2, numbers // 1024],
        [
            (16, "three numbers"),
            (1 / 48, "the other way round"),
            (numbers, "the numbers of the image"),
            (1024, "these are the codes"),
            (numbers - 1024, "how many fewer"),
            (1 - 1 / 48, "the share that is saved"),
            (numbers / 64, "not 8 × 8"),
            (128 * 128 / 64, "and each pixel three numbers"),
            (numbers / (1024 + 64), "the coarse codes are counted too"),
            (4, "a side of the grid"),
            (12, "times the colours"),
            (384, "not bits"),
            (3, "small images"),
            (50, "50 is a little too large"),
            (0, "0 is too small"),
            (None, "expected a number, got None"),
        ],
        secrets=["48 "],
    )
