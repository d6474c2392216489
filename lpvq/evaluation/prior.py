"""How well a prior predicts codes, beside baselines."""

from dataclasses import dataclass, replace
from math import log

import torch
from torch import Tensor

from lpvq.data.latent_codes import LatentCodes
from lpvq.errors import InputError
from lpvq.evaluation.estimates import Estimate
from lpvq.models.code_usage import code_counts, entropy
from lpvq.models.pixelcnn import PixelCNN
from lpvq.runtime import progress
from lpvq.training.losses import grid_nll


@dataclass(frozen=True)
class Likelihood:
    """How many bits one distribution needs to name the codes of a set: less is better.

    Attributes:
        name: the distribution.
        bits: per code, with the standard error over grids.
        nats_per_grid: the same for a whole grid, in nats.
        bits_per_pixel: the same for a pixel of the image (all channels together). The image's own likelihood it is
            not: what the decoder leaves out is not counted.
    """

    name: str
    bits: Estimate
    nats_per_grid: float
    bits_per_pixel: float


@dataclass(frozen=True)
class PriorEvaluation:
    """How well distributions that were learned on one set of codes predict another.

    A likelihood depends on the codebook (a collapsed one makes it small), so it is never shown alone.

    Attributes:
        likelihoods: "uniform": all codes equally likely. "unigram": their frequencies. "unigram per position": their
            frequencies at each position of the grid. "prior": the PixelCNN, told the label. "prior, label unknown":
            its mixture over all labels, equally likely, which compares with priors that have no labels. "prior,
            training images": again told the label, on grids that it has seen; what it does better there is overfitting.
        unigram_entropy: the entropy in bits of the codes that are predicted, which no unigram can beat there.
        share_of_unigram_entropy: what the prior leaves of it: 0 … 1 or so; None where all codes are the same.
    """

    likelihoods: tuple[Likelihood, ...]
    unigram_entropy: float
    share_of_unigram_entropy: float | None

    def __getitem__(self, name: str) -> Likelihood:
        """Return the likelihood of a name."""
        return next(likelihood for likelihood in self.likelihoods if likelihood.name == name)


def evaluate_prior(prior: PixelCNN, train: LatentCodes, test: LatentCodes, pixels: int) -> PriorEvaluation:
    """Measure the likelihood of ``test`` under the prior and under baselines that count codes in ``train``.

    Args:
        prior: a PixelCNN with classes.
        train: the codes that it learned from.
        test: the codes to predict.
        pixels: in an image.
    """
    test.check_fits(prior)
    if (train.num_codes, train.grid) != (test.num_codes, test.grid):
        raise InputError("the training and the test codes have another codebook or grid; extract both again")
    num_codes, positions = test.num_codes, test.codes[0].numel()
    seen, asked = train.codes.flatten(1), test.codes.flatten(1)
    nats = {
        "uniform": torch.full((len(test),), positions * log(num_codes)),
        "unigram": _unigram_nats(seen.reshape(-1, 1), num_codes).expand(positions, -1),
        "unigram per position": _unigram_nats(seen, num_codes),
    }
    for name in ("unigram", "unigram per position"):
        nats[name] = nats[name].gather(1, asked.T).sum(0)
    nats["prior"] = grid_nll(prior, test)
    nats["prior, label unknown"] = marginal_nll(prior, test)
    nats["prior, training images"] = grid_nll(prior, train[: len(test)])
    unigram_entropy = entropy(code_counts(test.codes, num_codes)) / log(2)
    likelihoods = tuple(_likelihood(name, values.double(), positions, pixels) for name, values in nats.items())
    bits = next(likelihood.bits.value for likelihood in likelihoods if likelihood.name == "prior")
    return PriorEvaluation(likelihoods, unigram_entropy, bits / unigram_entropy if unigram_entropy else None)


def marginal_nll(prior: PixelCNN, codes: LatentCodes) -> Tensor:
    """Return −log of the mean over all labels of p(grid | label), in nats, (N,)."""
    if prior.num_classes is None:
        return grid_nll(prior, codes)
    given = [
        grid_nll(prior, replace(codes, labels=torch.full_like(codes.labels, label)))
        for label in progress(range(prior.num_classes), "likelihood with each label", least=4)
    ]
    return log(prior.num_classes) - torch.logsumexp(-torch.stack(given).double(), 0)


def _unigram_nats(seen: Tensor, num_codes: int) -> Tensor:
    """−log of the frequencies of the codes in each column of ``seen`` (N, P): (P, K).

    Every code counts once more than it was seen, so that none is impossible.
    """
    counts = torch.stack([code_counts(column, num_codes) for column in seen.T]).double() + 1
    return -(counts / counts.sum(1, keepdim=True)).log()


def _likelihood(name: str, nats: Tensor, positions: int, pixels: int) -> Likelihood:
    bits = Estimate.of_mean(nats / positions / log(2))
    return Likelihood(name, bits, nats.mean().item(), bits.value * positions / pixels)
