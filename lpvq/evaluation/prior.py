"""How well a prior predicts codes, beside baselines.

A likelihood of codes depends on the codebook: where all images have the same code, any prior predicts it. So the
likelihood is never shown without what the codes lose.
"""

from dataclasses import dataclass, replace
from math import log

import torch
from torch import Tensor

from lpvq.data.latent_codes import LatentCodes
from lpvq.errors import InputError
from lpvq.evaluation.estimates import Estimate
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.pixelcnn import PixelCNN
from lpvq.runtime import progress
from lpvq.training.losses import grid_nll


@dataclass(frozen=True)
class Likelihood:
    """How many bits one distribution needs to name the codes of a set: less is better.

    Attributes:
        name: the distribution.
        bits: −log2 of the probability, per code; the mean over grids, with its standard error.
        nats_per_grid: −ln of the probability of a whole grid; the mean over grids.
        bits_per_pixel: −log2 of the probability of a grid, divided by the pixels of its image (all channels together).
            This is not the likelihood of the image: what the decoder leaves out is not counted.
    """

    name: str
    bits: Estimate
    nats_per_grid: float
    bits_per_pixel: float


@dataclass(frozen=True)
class PriorEvaluation:
    """How well distributions that were learned on training codes predict test codes.

    Attributes:
        likelihoods: "uniform": all codes equally likely. "unigram": their frequencies in the training codes.
            "unigram per position": their frequencies at each position of the grid. "prior": the PixelCNN, told the
            label. "prior, label unknown": its mixture over all labels, equally likely, which compares with priors that
            have no labels. "prior, training images": again told the label, on grids that it has seen; how much better
            it does there is overfitting.
        share_of_unigram: the bits of "prior", divided by those of "unigram" on the same test codes: what is left of the
            cost once the prior knows the codes around and the label. 0 is perfect, 1 no better than frequencies, and
            above 1 worse. None where the codebook has a single code, which costs nothing.
    """

    likelihoods: tuple[Likelihood, ...]
    share_of_unigram: float | None

    def __getitem__(self, name: str) -> Likelihood:
        """Return the likelihood of that name.

        Raises:
            InputError: there is no such likelihood.
        """
        by_name = {likelihood.name: likelihood for likelihood in self.likelihoods}
        if name not in by_name:
            raise InputError(f"there is no likelihood {name!r}; expected one of {', '.join(by_name)}")
        return by_name[name]


def evaluate_prior(
    prior: PixelCNN | CoarseToFine, train: LatentCodes, test: LatentCodes, pixels: int
) -> PriorEvaluation:
    """Measure the likelihood of ``test`` under the prior and under baselines that count codes in ``train``.

    Args:
        prior: of one level or two, with classes or without. With two, its likelihood counts the coarse codes too.
        train: the codes that it learned from.
        test: the codes to predict, at least one grid.
        pixels: height times width of an image.

    Raises:
        InputError: a set has no grids, the sets or the prior do not fit each other, or there are no pixels.
    """
    if min(len(train), len(test), pixels) < 1:
        raise InputError(
            f"expected grids to learn from, grids to predict and pixels, got {len(train)}, {len(test)} and {pixels}"
        )
    test.check_fits(prior)
    if (train.num_codes, train.grid) != (test.num_codes, test.grid):
        raise InputError("the training and the test codes have another codebook or grid; extract both again")
    num_codes, positions = test.num_codes, test.codes[0].numel()
    nats = {
        "uniform": torch.full((len(test),), positions * log(num_codes)),
        "unigram": _nats_of(test, _unigram_nats(train.counts()[None]).expand(positions, -1)),
        "unigram per position": _nats_of(test, _unigram_nats(train.counts_per_position())),
    }
    nats["prior"] = grid_nll(prior, test)
    nats["prior, label unknown"] = marginal_nll(prior, test)
    nats["prior, training images"] = grid_nll(prior, train[: len(test)])
    likelihoods = {name: _likelihood(name, values.double(), positions, pixels) for name, values in nats.items()}
    prior_bits, unigram_bits = likelihoods["prior"].bits.value, likelihoods["unigram"].bits.value
    return PriorEvaluation(tuple(likelihoods.values()), prior_bits / unigram_bits if unigram_bits else None)


def marginal_nll(prior: PixelCNN | CoarseToFine, codes: LatentCodes) -> Tensor:
    """Return −log of the mean over all labels of p(grid | label), in nats, (N,); without labels −log p(grid).

    Raises:
        InputError: there are no grids.
    """
    if prior.num_classes is None:
        return grid_nll(prior, codes)
    given = [
        grid_nll(prior, replace(codes, labels=torch.full_like(codes.labels, label)))
        for label in progress(range(prior.num_classes), "likelihood with each label", least=4)
    ]
    return log(prior.num_classes) - torch.logsumexp(-torch.stack(given).double(), 0)


def _nats_of(codes: LatentCodes, nats: Tensor) -> Tensor:
    """The nats of each grid, float64 (N,), from those of each code at each position, (P, K); takes little memory."""
    total = torch.zeros(len(codes), dtype=torch.float64)
    for column, of_codes in zip(codes.codes.flatten(1).T, nats, strict=True):
        total += of_codes[column.long()]
    return total


def _unigram_nats(counts: Tensor) -> Tensor:
    """−log of the frequencies of the codes, given how often each was seen at each of P positions, (P, K): (P, K).

    Every code counts once more than it was seen (Laplace's rule), so that none is impossible.
    """
    more = counts.double() + 1
    return -(more / more.sum(1, keepdim=True)).log()


def _likelihood(name: str, nats: Tensor, positions: int, pixels: int) -> Likelihood:
    bits = Estimate.of_mean(nats / positions / log(2))
    return Likelihood(name, bits, nats.mean().item(), bits.value * positions / pixels)
