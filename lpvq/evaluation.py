"""How good: the error of the reconstructions, and the likelihood of the codes beside its baselines."""

from dataclasses import dataclass
from math import log, log2

import torch
from torch import Tensor

from lpvq.codes import LatentCodes
from lpvq.datasets import ImageData
from lpvq.errors import InputError
from lpvq.pixelcnn import PixelCNN
from lpvq.quantizer import code_counts, entropy
from lpvq.training import check_prior_fits, grid_nll, image_variance, reconstruction_error
from lpvq.vqvae import VQVAE


@dataclass(frozen=True)
class Reconstruction:
    """How close the reconstructions of a set come to its images.

    Attributes:
        mse: mean squared error per pixel and channel, images in [0, 1].
        variance: of all pixel values of the same images, in the same scaling.
        relative_error: ``mse / variance``: 0 is perfect, 1 is what the mean colour alone would reach.
    """

    mse: float
    variance: float
    relative_error: float


def judge_reconstruction(vqvae: VQVAE, data: ImageData) -> Reconstruction:
    """Reconstruct a set and measure the error over all of it."""
    mse, variance = reconstruction_error(vqvae, data), image_variance(data)
    return Reconstruction(mse, variance, mse / variance)


@dataclass(frozen=True)
class CodeLikelihood:
    """How well distributions that were learned on one set of codes predict another: bits per code, less is better.

    A likelihood depends on the codebook (a collapsed one makes it small), so it is never shown alone.

    Attributes:
        uniform: log2 K: all codes equally likely.
        unigram: the frequencies of the codes.
        unigram_per_position: the frequencies of the codes at each position of the grid.
        prior: the PixelCNN.
        prior_error: the standard error of ``prior`` over grids.
        unigram_entropy: the entropy of the codes of the set that is predicted, which no unigram can beat there.
        nats_per_grid: the PixelCNN again, for a whole grid.
    """

    uniform: float
    unigram: float
    unigram_per_position: float
    prior: float
    prior_error: float
    unigram_entropy: float
    nats_per_grid: float

    @property
    def share_of_unigram_entropy(self) -> float:
        """What is left of the unigram entropy once the PixelCNN knows the codes before: 0 … 1 or so."""
        return self.prior / self.unigram_entropy


def judge_prior(prior: PixelCNN, train: LatentCodes, test: LatentCodes) -> CodeLikelihood:
    """Measure the likelihood of ``test`` under the prior and under baselines that count codes in ``train``."""
    check_prior_fits(prior, test)
    if (train.num_codes, train.grid) != (test.num_codes, test.grid):
        raise InputError("the training and the test codes have another codebook or grid; extract both again")
    nats = grid_nll(prior, test).double()
    positions = test.codes[0].numel()
    bits = nats / positions / log(2)
    return CodeLikelihood(
        uniform=log2(test.num_codes),
        unigram=_unigram_bits(train.codes.reshape(-1, 1), test.codes.reshape(-1, 1), test.num_codes),
        unigram_per_position=_unigram_bits(train.codes.flatten(1), test.codes.flatten(1), test.num_codes),
        prior=bits.mean().item(),
        prior_error=(bits.std() / len(bits) ** 0.5).item(),
        unigram_entropy=entropy(code_counts(test.codes, test.num_codes)) / log(2),
        nats_per_grid=nats.mean().item(),
    )


def _unigram_bits(train: Tensor, test: Tensor, num_codes: int) -> float:
    """Bits per code of ``test`` (N, P) under the frequencies of ``train`` (M, P), column by column.

    Every code counts once more than it was seen, so that none is impossible.
    """
    bits = []
    for seen, asked in zip(train.T, test.T, strict=True):
        counts = code_counts(seen, num_codes).double() + 1
        bits.append(-(counts / counts.sum()).log2()[asked].mean())
    return torch.stack(bits).mean().item()
