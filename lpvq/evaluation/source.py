"""The entropy of the source: the fewest nats that any prior can need for the codes of smileys.

Given the label, which is the mouth, the other factors are uniform and independent: log 3240 nats. What the sub-pixel
shift adds depends on the codebook, because two shifts differ only where their codes do. So for some faces, drawn at
random, the codes of many shifts are counted, and their entropy is estimated from the counts:

    H(codes | label) = H(factors | label) + H(codes | factors) − H(factors | codes, label)

The last term is taken to be 0, as it is where no two combinations of factors share a grid of codes; elsewhere the sum
is an upper bound.

Where a face has more grids of codes than can be counted, as at 128 × 128 pixels, its square of shifts is cut into
parts, and the grids in a few of these are counted:

    H(codes) ≤ H(part) + H(codes | part)

Only a grid that reaches over the edge of a part is counted more than once, so the bound is close.
"""

from dataclasses import dataclass
from functools import partial
from math import log, prod

import torch
from torch import Tensor

from lpvq.data import smileys
from lpvq.data.smileys import FACTORS, LARGEST_SHIFT, SHIFTS
from lpvq.distributed import in_order
from lpvq.errors import InputError
from lpvq.evaluation.estimates import Estimate
from lpvq.models.vqvae import VQVAE
from lpvq.runtime import in_batches, progress

_STREAM = 3  # of factors; training and test images, and planted faults, have others
_ENOUGH = 0.9  # of the grids of a part, by probability: what is not seen is estimated well
_MOST_PARTS = 64  # along each axis
_PIXELS_AT_ONCE = 2**20


@dataclass(frozen=True)
class SourceEntropy:
    """How many nats the codes of a smiley have, given its label.

    Attributes:
        factors: of all other factors, log 3240.
        shifts: of the codes when all factors are known: what the sub-pixel shift adds. Its error is over faces.
        parts: into how many parts, along each axis, the square of shifts was cut. Where more than 1, ``shifts`` is an
            upper bound.
        coverage: the probability of the grids that were seen, 0 … 1, on average over the faces.
    """

    factors: float
    shifts: Estimate
    parts: int
    coverage: float

    @property
    def nats(self) -> Estimate:
        """The nats of a whole grid: the sum of both."""
        return Estimate(self.factors + self.shifts.value, self.shifts.error)


def source_entropy(vqvae: VQVAE, size: int = 32, faces: int = 20, shifts: int = 4000, seed: int = 0) -> SourceEntropy:
    """Estimate the entropy of the codes of smileys given their label, or a close upper bound.

    Args:
        vqvae: turns images into codes.
        size: height and width of the images in pixels.
        faces: how many combinations of factors are drawn, at least 2.
        shifts: how many shifts are drawn for each of them, at least 1.
        seed: decides both.

    Raises:
        InputError: fewer faces or shifts.
    """
    if faces < 2 or shifts < 1:
        raise InputError(f"expected at least 2 faces and 1 shift of each, got {faces} and {shifts}")
    combinations = smileys.draw_factors(faces, seed, _STREAM)
    alone = [{name: combinations[name][face : face + 1] for name in FACTORS} for face in range(faces)]

    def measure(face: int, parts: int) -> tuple[float, float]:
        return chao_shen(_counts(vqvae, alone[face], size, shifts, parts, seed + face))

    parts = 1
    while parts < _MOST_PARTS and measure(0, parts)[1] < _ENOUGH:
        parts *= 2
    watched = partial(progress, description="entropy of the source")
    found = list(in_order(lambda face: measure(face, parts), range(faces), watched))
    entropies, coverages = torch.tensor(found, dtype=torch.float64).T
    given_label = log(prod(len(values) for name, values in FACTORS.items() if name != "mouth"))
    return SourceEntropy(given_label, Estimate.of_mean(entropies + 2 * log(parts)), parts, coverages.mean().item())


def chao_shen(counts: Tensor) -> tuple[float, float]:
    """Estimate the entropy of a distribution from how often each value was drawn, and how much of it was seen.

    With n draws, f of them of values drawn once, the values that were seen have about the probability
    C = 1 − f / n (Good and Turing). So the frequencies p are scaled by C, and each term is divided by the probability
    that its value is seen at all, to make up for those that were not (Chao and Shen 2003,
    doi:10.1023/A:1026096204727):

        H = −Σ C p log(C p) / (1 − (1 − C p)ⁿ)

    Args:
        counts: of each value that was seen, (V,), positive.

    Returns:
        the entropy in nats; C, 0 … 1.

    Raises:
        InputError: nothing was counted.
    """
    counts = counts.double()
    number = counts.sum()
    if number < 1:
        raise InputError("an entropy needs at least one value, got none")
    coverage = 1 - (counts == 1).sum() / number
    shares = coverage.clamp(min=1 / number) * counts / number  # at least 1 / n, if each was seen once
    seen = 1 - (1 - shares).pow(number)
    return (torch.special.entr(shares) / seen).sum().item(), coverage.item()


def _counts(vqvae: VQVAE, face: dict[str, Tensor], size: int, shifts: int, parts: int, seed: int) -> Tensor:
    """How often each grid of codes comes from a face at random shifts, all within one part of the square of shifts."""
    generator = torch.Generator().manual_seed(seed)
    part = torch.randint(parts, (2, 1), generator=generator)
    places = (part + torch.rand(2, shifts, dtype=torch.float64, generator=generator)) / parts  # 0 … 1
    moved = dict(zip(SHIFTS, (2 * places - 1) * LARGEST_SHIFT, strict=True))
    device = next(vqvae.parameters()).device
    grids = []
    for some in in_batches(shifts, size**2, _PIXELS_AT_ONCE):
        factors = {name: value.expand(len(some)) for name, value in face.items()}
        images = smileys.draw({**factors, **{name: values[some] for name, values in moved.items()}}, size)
        grids.append(vqvae.encode(images.to(device).float() / 255).flatten(1).cpu())
    return torch.cat(grids).unique(dim=0, return_counts=True)[1]
