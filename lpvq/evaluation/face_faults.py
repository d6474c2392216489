"""What is wrong with a face: the part of it that is one thing here and another there.

A face is inconsistent where one of its factors would have to have two values at once: two eyes that do not belong
together, two skins. So each kind of fault is tried as the explanation: two faces that differ in the factors of that
kind alone, with all others as in the nearest face, and in each block of the picture the nearer of the two. The kind
that leaves the least error is the fault.
"""

from collections.abc import Mapping
from itertools import combinations, product

import torch
from torch import Tensor

from lpvq.data import smileys
from lpvq.data.smileys import FACTORS
from lpvq.evaluation.nearest_face import NearestFaces, block_errors, local_errors
from lpvq.runtime import progress

KINDS: dict[str, tuple[str, ...]] = {
    "background": ("background",),
    "skin": ("skin",),
    "eyes": ("eyes",),
    "mouth": ("mouth",),
    "outline": ("size", "column", "row"),
}
"""The factors that a fault of each kind is about."""

SEVERAL = "several"
"""What is said about a face that no single kind explains."""

PLAINLY_WRONG = 0.08
"""The local error above which anyone sees that a face is wrong."""

_UNEXPLAINED = 0.75  # of a local error: if more than that is left, there is another reason, too
_AT_ONCE = 100  # images


def kinds_of_faults(images: Tensor, nearest: NearestFaces) -> list[str]:
    """Say for each image which kind of fault it has; one that has none gets the name of the closest kind.

    Args:
        images: (N, 3, S, S), floats in [0, 1].
        nearest: their nearest faces.

    Returns:
        for each image one of ``KINDS``, or ``SEVERAL`` where even the best explanation leaves it plainly wrong, and
        most of its local error unexplained.
    """
    kinds = []
    for some in progress(torch.arange(len(images)).split(_AT_ONCE), "kinds of faults", least=4):
        factors = {name: values[some] for name, values in nearest.factors.items()}
        tried = [_left_by(images[some], factors, names) for names in KINDS.values()]
        errors, local = (torch.stack(values) for values in zip(*tried, strict=True))  # (kinds, N) each
        best = errors.argmin(0)
        left = local.gather(0, best[None])[0]
        several = (left > PLAINLY_WRONG) & (left > _UNEXPLAINED * nearest.local_errors[some])
        kinds += best.masked_fill(several, len(KINDS)).tolist()
    names = [*KINDS, SEVERAL]
    return [names[kind] for kind in kinds]


def _left_by(images: Tensor, factors: Mapping[str, Tensor], names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """What the best two values of some factors leave: the sum of the blocks' errors and the local error, (N,) each."""
    blocks = []
    for values in product(*(range(len(FACTORS[name])) for name in names)):
        changed = {name: torch.full_like(factors[name], value) for name, value in zip(names, values, strict=True)}
        blocks.append(block_errors(images, smileys.draw({**factors, **changed}, images.shape[-1]).float() / 255))
    least = torch.full((len(images),), torch.inf)
    local = least.clone()
    for one, other in combinations(blocks, 2):
        left = torch.minimum(one, other)  # (N, W, W)
        total = left.sum((1, 2))
        local = torch.where(total < least, local_errors(left), local)
        least = torch.minimum(least, total)
    return least, local


def plant_faults(kind: str, factors: Mapping[str, Tensor], size: int = 32, seed: int = 0) -> Tensor:
    """Return faces with a fault of a kind: left of a seam one face, right of it the same one with other values.

    The seam is upright, through the middle of the face. Backgrounds, skins, mouths and outlines change there; of eyes,
    the left one belongs to one face and the right one to the other. Pairs that happen to make a true face (the dot of
    one and the lid of another make a wink) are not drawn.

    Args:
        kind: one of ``KINDS``.
        factors: of the faces, (N,) each, as ``smileys.draw_factors`` returns them.
        size: S, height and width in pixels.
        seed: decides the other values, 0 or more.

    Returns:
        float32 (N, 3, S, S) in [0, 1].
    """
    number = len(factors["mouth"])
    others = dict(factors)
    generator = torch.Generator().manual_seed(seed)
    while (alike := _are_one_face(factors, others, kind)).any():
        for name in KINDS[kind]:
            drawn = torch.randint(len(FACTORS[name]), (number,), generator=generator)
            others[name] = torch.where(alike, drawn, others[name])
    middle = (smileys.place(factors["column"]) + factors["dx"]) * size
    is_left = torch.arange(size) + 0.5 < middle[:, None]  # (N, S)
    images = torch.where(is_left[:, None, None], smileys.draw(factors, size), smileys.draw(others, size))
    return images.float() / 255


def _are_one_face(left: Mapping[str, Tensor], right: Mapping[str, Tensor], kind: str) -> Tensor:
    """Whether the left half of some faces and the right half of others make true faces, (N,)."""
    if kind != "eyes":
        return torch.stack([left[name] == right[name] for name in KINDS[kind]]).all(0)
    dots, wide, closed, wink = range(4)
    sides = {dots: ("dot", "dot"), wide: ("ball", "ball"), closed: ("lid", "lid"), wink: ("dot", "lid")}
    true = torch.tensor([[(sides[a][0], sides[b][1]) in sides.values() for b in range(4)] for a in range(4)])
    return true[left["eyes"], right["eyes"]]
