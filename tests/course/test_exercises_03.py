"""The checks of 03_vqvae: right answers pass, typical wrong ones are called what they are."""

import pytest
import torch
from torch import Tensor

from lpvq.course.exercises.notebook_03 import CHECKERS
from lpvq.data.loading import load
from lpvq.models.pretrained import load_pretrained
from lpvq.training.losses import reconstruction_error

CODES, ORDER = torch.arange(8).view(1, 2, 4), torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ((16, 12), None),
        ([16, 12], None),
        ((12, 16), "the height comes first"),
        ((64, 48), "each code stands for 4 × 4 pixels"),
        (16, "expected two numbers"),
    ],
)
def test_3_1_the_grid(answer: object, complaint: str | None) -> None:
    found = CHECKERS["3.1"](answer)
    assert found == complaint if complaint is None else complaint in str(found)


@pytest.mark.parametrize(
    ("answer", "complaint"), [(22, None), (8, "its own|own square"), (20, "too small by 2"), ("a few", "a number")]
)
def test_3_2_the_pixels_seen(answer: object, complaint: str | None) -> None:
    found = CHECKERS["3.2"](answer)
    assert found == complaint if complaint is None else any(word in str(found) for word in complaint.split("|"))


def test_3_3_new_numbers() -> None:
    check = CHECKERS["3.3"]
    assert check(ORDER.argsort()[CODES]) is None
    assert "old numbers" in str(check(ORDER[CODES]))
    assert "shape" in str(check(ORDER.argsort()))


def test_3_4_without_the_quantizer() -> None:
    check = CHECKERS["3.4"]
    vqvae, _ = load_pretrained()
    images = load("smileys", "test", limit=100)
    with torch.no_grad():
        decoded = vqvae.decoder(vqvae.encoder(images.floats())).clamp(0, 1)
    squared = (decoded - images.floats()).square().mean()
    assert check(squared / images.variance()) is None
    assert "divide it by the variance" in str(check(squared))
    assert "with the quantizer" in str(check(reconstruction_error(vqvae, images) / images.variance()))
    assert "too large" in str(check(1.0))


def importance() -> Tensor:
    vqvae, _ = load_pretrained()
    codes = vqvae.encode(load("smileys", "test", limit=1).floats())
    changed = codes.expand(64, -1, -1).clone()
    changed.flatten(1)[range(64), range(64)] = codes[0, 0, 0]
    return (vqvae.decode(changed) - vqvae.decode(codes)).square().mean((1, 2, 3)).view(8, 8)


def test_3_5_which_codes_matter() -> None:
    check, right = CHECKERS["3.5"], importance()
    assert check(right) is None
    assert "rows and columns" in str(check(right.T))
    assert "largest difference" in str(check(2 * right))
    assert "shape" in str(check(right.flatten()))
