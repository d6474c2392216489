"""Exercises of 10_your_own_images."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, as_numbers, as_tensor, checker, compare_number
from lpvq.data.loading import load
from lpvq.models.pretrained import load_pretrained

_PICTURES, _SIZE, _DOWNSAMPLE = 1003, 96, 8
_HAPPY, _SURPRISED = 0, 2
_SIDE, _KEPT_ROWS = 32, 15


@checker
def _numbers(answer: Any) -> str | None:
    pictures, *grid = as_numbers(answer, "pictures", "rows", "columns")
    tested = len(range(0, _PICTURES, 10))
    slips: dict[str, float] = {
        "the first picture of each ten is kept for testing: begin to count with the first one": _PICTURES // 10,
        "a picture is one or none; begin to count with the first one": _PICTURES / 10,
        "these are the pictures to train on": _PICTURES - tested,
        "these are the pictures to train on, and one too many": _PICTURES - tested + 1,
        "these are all pictures; a part of them is for testing": _PICTURES,
    }
    if complaint := compare_number(pictures, tested, 0, slips):
        return f"pictures: {complaint}"
    for what, number in zip(("rows", "columns"), grid, strict=True):
        slips = {
            "that is the size in pixels; a code stands for a square of them": _SIZE,
            "that is how many pixels a code stands for in each direction; how many of them fit?": _DOWNSAMPLE,
            "downsample is the side of the square, not the number of its pixels": _SIZE / _DOWNSAMPLE**2,
            "that is for downsample 4": _SIZE / 4,
            "that is for pictures of 32 pixels": 32 / _DOWNSAMPLE,
            "that is all codes of a grid": (_SIZE / _DOWNSAMPLE) ** 2,
        }
        if complaint := compare_number(number, _SIZE // _DOWNSAMPLE, 0, slips):
            return f"{what}: {complaint}"
    return None


@checker
def _blocks(answer: Any) -> str | None:
    width, reach = 24, 1
    steps = width - 1  # from the last code to the first
    right = steps // reach - 1  # the first layer looks one position to the left, and so does each block
    slips: dict[str, float] = {
        "the first layer looks one position to the left, too": steps,
        "from the last code to the first is one step less than there are codes": width,
        "that is too many by far: all codes of the grid are not in one row": width**2,
        "one more is needed: the first layer makes one of the steps, not two": right - 1,
        "half of a kernel of 3 lies to the left of its middle: a layer looks one position further": steps // 2,
        "half of a kernel of 3 lies to the left of its middle: a layer looks one position further, not two": width // 2,
        "a layer looks one position further, not three": width // 3,
        "a layer looks one position further, not three, and the first layer is no block": width // 3 - 1,
        "what layers see adds up, it does not double": 5,
        "the first layer makes a step; it does not cost one": width + 1,
        "a code sees the row above after two layers, but the first code of its own row only along the row": 1,
        "without blocks, only the code beside is seen": 0,
    }
    return compare_number(answer, right, 0, slips)


@cache
def _surprised_face() -> Tensor:
    """The codes of the first surprised face, (1, 32, 32)."""
    vqvae, _ = load_pretrained("smileys-128")
    faces = load("smileys", "test", size=128, limit=12)
    first = int((faces.labels == _SURPRISED).nonzero()[0])
    return vqvae.encode(faces.floats([first]))


@cache
def _completed(label: int) -> Tensor:
    """Its lower rows drawn for a label, (1, 32, 32)."""
    _, prior = load_pretrained("smileys-128")
    given = _surprised_face()[:, :_KEPT_ROWS].flatten(1)
    generator = torch.Generator().manual_seed(4)
    return prior.generate(given, image_size=_SIDE, labels=torch.tensor([label]), generator=generator)


@checker
def _happy(answer: Any) -> str | None:
    grid = as_tensor(answer, "a grid of codes")
    if grid.shape != (1, _SIDE, _SIDE):
        return f"expected the shape {(1, _SIDE, _SIDE)}, got {tuple(grid.shape)}"
    face = _surprised_face()
    if torch.equal(grid.double(), face.double()):
        return "these are the codes of the face itself: keep the upper 15 rows, and draw the rest"
    if not torch.equal(grid[:, :_KEPT_ROWS].double(), face[:, :_KEPT_ROWS].double()):
        return "the upper 15 rows are not the codes of the first surprised face"
    if torch.equal(grid.double(), _completed(_HAPPY).double()):
        return None
    if torch.equal(grid.double(), _completed(_SURPRISED).double()):
        return "this face stays surprised: the label decides about the mouth"
    if _rows_of(face, grid) > _rows_of(face, _completed(_HAPPY)):
        return "more rows than the upper 15 are those of the face: row 15 is the first that is drawn"
    drawn, different = (_SIDE - _KEPT_ROWS) * _SIDE, int((grid != _completed(_HAPPY)).sum())
    return f"of the {drawn} drawn codes, {different} are not those of the label 0 and a generator that starts at seed 4"


def _rows_of(face: Tensor, grid: Tensor) -> int:
    """How many of the upper rows are those of the face."""
    return int((grid == face).all(2).long().cumprod(1).sum())


@checker
def _fewer(answer: Any) -> str | None:
    pixels, colours, codes, coarse = 128 * 128, 3, 32 * 32, 8 * 8
    numbers = pixels * colours
    slips = {
        "each pixel has three numbers": pixels / codes,
        "this is the other way round: there are fewer codes than numbers": codes / numbers,
        "these are the numbers of the image; how many times as many as the codes are they?": numbers,
        "these are the codes; how many times do they go into the numbers of the image?": codes,
        "this is how many fewer they are; wanted is a factor": numbers - codes,
        "this is the share that is saved; wanted is a factor": 1 - codes / numbers,
        "the large grid has 32 × 32 codes, not 8 × 8": numbers / coarse,
        "the large grid has 32 × 32 codes, not 8 × 8, and each pixel three numbers": pixels / coarse,
        "here the coarse codes are counted too; the question is for the large grid": numbers / (codes + coarse),
        "that is how much shorter a side of the grid is": 128 / 32,
        "that is how much shorter a side of the grid is, times the colours": 128 / 32 * colours,
        "numbers are counted here, not bits": numbers * 8 / codes,
        "that is for the small images of 32 × 32 pixels, and the large grid": 32 * 32 * colours / codes,
    }
    return compare_number(answer, numbers / codes, 0.01, slips)


CHECKERS: dict[str, Checker] = {"10.1": _numbers, "10.2": _blocks, "10.3": _happy, "10.4": _fewer}
