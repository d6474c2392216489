"""How good: the codes, the prior, the samples, and for smileys the truth.

What is measured here has no opinion on where things come from: tensors and models in, figures out. ``lpvq.report``
puts the parts together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import combinations, product
from math import comb, log, log10, prod
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.codes import LatentCodes
from lpvq.datasets import ImageData
from lpvq.distances import (
    Estimate,
    Neighbourhoods,
    bootstrap,
    frechet_distance,
    nearest_neighbours,
    neighbourhoods,
)
from lpvq.errors import InputError
from lpvq.pixelcnn import PixelCNN
from lpvq.quantizer import code_counts, entropy
from lpvq.runtime import progress
from lpvq.training import check_prior_fits, grid_nll, image_variance
from lpvq.vqvae import VQVAE

_INCEPTION = "weights-inception-2015-12-05-6726825d.pth"  # as torch-fidelity names it

# Codes.


@dataclass(frozen=True)
class Reconstruction:
    """How close the reconstructions of a set come to its images.

    Attributes:
        mse: mean squared error per pixel and channel, images in [0, 1].
        variance: of all pixel values of the same images, in the same scaling.
        relative_error: ``mse / variance``: 0 is perfect, 1 is what the mean colour alone would reach.
        psnr: peak signal-to-noise ratio of the whole set in decibels, 10 · log10(1 / mse).
        ssim: structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861), averaged over images: 1 is perfect.
    """

    mse: float
    variance: float
    relative_error: Estimate
    psnr: float
    ssim: Estimate


def judge_reconstruction(vqvae: VQVAE, data: ImageData) -> Reconstruction:
    """Encode and decode a set, and measure the error over all of it."""
    # Here, because it takes a second to import.
    from torchmetrics.functional.image import structural_similarity_index_measure as similarity

    device = next(vqvae.parameters()).device
    errors, similarities = [], []
    for batch in progress(data.batches(), "judging reconstructions", least=64):
        images = data.floats(batch)
        decoded = vqvae.decode(vqvae.encode(images.to(device))).cpu()
        errors.append((decoded - images).square().mean((1, 2, 3)))
        similarities.append(torch.as_tensor(similarity(decoded, images, data_range=1.0, reduction="none")))
    variance = image_variance(data)
    error = Estimate.of_mean(torch.cat(errors))
    relative = Estimate(error.value / variance, error.error / variance)
    return Reconstruction(
        error.value, variance, relative, -10 * log10(error.value), Estimate.of_mean(torch.cat(similarities))
    )


def mean_patches(codes: Tensor, data: ImageData, downsample: int, num_codes: int) -> Tensor:
    """Return what each code stands for: the mean of all patches of the images that were given it.

    Args:
        codes: of the images, int64 (N, h, w).
        data: N images.
        downsample: height and width of a patch in pixels.
        num_codes: K.

    Returns:
        float32 in [0, 1], (K, C, downsample, downsample); grey for codes that no patch was given.
    """
    channels = data.images.shape[1]
    sums = torch.zeros(num_codes, channels * downsample**2)
    for batch in data.batches():
        # Every position of the grid takes its own pixels, (positions, channels · downsample²).
        patches = F.unfold(data.floats(batch), downsample, stride=downsample)
        sums.index_add_(0, codes[batch].flatten(), patches.movedim(1, -1).reshape(-1, sums.shape[1]))
    counts = code_counts(codes, num_codes)[:, None]
    means = torch.where(counts > 0, sums / counts, 0.5)
    return means.view(num_codes, channels, downsample, downsample)


# Prior.


@dataclass(frozen=True)
class Rung:
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
class Ladder:
    """How well distributions that were learned on one set of codes predict another.

    A likelihood depends on the codebook (a collapsed one makes it small), so it is never shown alone.

    Attributes:
        rungs: "uniform": all codes equally likely. "unigram": their frequencies. "unigram per position": their
            frequencies at each position of the grid. "prior": the PixelCNN, told the label. "prior, label unknown":
            its mixture over all labels, equally likely, which compares with priors that have no labels. "prior,
            training images": again told the label, on grids that it has seen; what it does better there is overfitting.
        unigram_entropy: the entropy in bits of the codes that are predicted, which no unigram can beat there.
        share_of_unigram_entropy: what the prior leaves of it: 0 … 1 or so; None where all codes are the same.
    """

    rungs: tuple[Rung, ...]
    unigram_entropy: float
    share_of_unigram_entropy: float | None

    def __getitem__(self, name: str) -> Rung:
        """Return the rung of a name."""
        return next(rung for rung in self.rungs if rung.name == name)


def judge_prior(prior: PixelCNN, train: LatentCodes, test: LatentCodes, pixels: int) -> Ladder:
    """Measure the likelihood of ``test`` under the prior and under baselines that count codes in ``train``.

    Args:
        prior: a PixelCNN with classes.
        train: the codes that it learned from.
        test: the codes to predict.
        pixels: in an image.
    """
    check_prior_fits(prior, test)
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
    rungs = tuple(_rung(name, values.double(), positions, pixels) for name, values in nats.items())
    bits = next(rung.bits.value for rung in rungs if rung.name == "prior")
    return Ladder(rungs, unigram_entropy, bits / unigram_entropy if unigram_entropy else None)


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


def _rung(name: str, nats: Tensor, positions: int, pixels: int) -> Rung:
    bits = Estimate.of_mean(nats / positions / log(2))
    return Rung(name, bits, nats.mean().item(), bits.value * positions / pixels)


# Samples.


@dataclass(frozen=True)
class SetQuality:
    """How one set of images compares with training images, by the features of a reader.

    Attributes:
        name: the set.
        number: of images in it, and of training images it is compared with.
        frechet: the Fréchet classifier distance: 0 for equal means and covariances.
        step: how much more that is than of the set before it; None for the first. Its error is smaller than those of
            the two, because both are resampled together.
        neighbourhoods: precision, recall, density and coverage.
        accuracy: the share of images whose class the reader finds to be the one they were made for; None where they
            were made for none.
    """

    name: str
    number: int
    frechet: Estimate
    step: Estimate | None
    neighbourhoods: Neighbourhoods
    accuracy: Estimate | None


def judge_sets(real: Tensor, sets: Mapping[str, Tensor], correct: Mapping[str, Tensor]) -> list[SetQuality]:
    """Compare sets of images with training images.

    Args:
        real: features of training images, (N, F).
        sets: by name, features of the images to judge, (N, F) each, from what should be best to what should be worst.
        correct: by name, as far as there is one, bool (N,): whether the reader found the class that each was made for.
    """
    results: list[SetQuality] = []
    before: Tensor | None = None
    for name, features in progress(list(sets.items()), "comparing sets of images"):
        value, drawn = frechet_distance(real, features), bootstrap(frechet_distance, real, features)
        step = None
        if before is not None:
            step = Estimate(value - results[-1].frechet.value, (drawn - before).std().item())
        before = drawn
        results.append(
            SetQuality(
                name,
                len(features),
                Estimate(value, drawn.std().item()),
                step,
                neighbourhoods(real, features),
                Estimate.of_mean(correct[name]) if name in correct else None,
            )
        )
    return results


def inception_distance(real: Tensor, images: Tensor) -> float | None:
    """Return the FID of ``images``, (N, C, H, W) in [0, 1]: with the usual network, so comparable with other projects.

    By torchmetrics. None where the package torch-fidelity or its weights are not on this machine: nothing is
    downloaded. Heusel et al. (2017), arXiv:1706.08500.
    """
    weights = Path(torch.hub.get_dir()) / "checkpoints" / _INCEPTION
    if find_spec("torch_fidelity") is None or not weights.exists():
        return None
    from torchmetrics.image import fid

    metric = fid.FrechetInceptionDistance(normalize=True, feature_extractor_weights_path=str(weights))
    for one, is_real in ((real, True), (images, False)):
        for batch in progress(one.split(64), "Inception's features", least=4):
            metric.update(batch.expand(-1, 3, -1, -1), real=is_real)
    return metric.compute().item()


@dataclass(frozen=True)
class Copying:
    """Whether generated images are copies of training images.

    The distance of each image to the nearest reconstruction of a training image is compared with that of images which
    cannot be copies: reconstructions of test images. (A prior can repeat a training grid, which decodes to such a
    reconstruction. The training image itself it cannot draw.)

    Attributes:
        threshold: the distance that ``expected`` of the reconstructions are closer than.
        expected: the share of generated images that are closer, if they are as independent of the training images.
        found: the share that is.
        p_value: the probability to find so many or more by chance. Calling a model a copier below 0.01 is wrong for
            one honest model in a hundred.
    """

    threshold: float
    expected: float
    found: float
    p_value: float


def judge_copying(honest: Tensor, generated: Tensor, expected: float = 0.01) -> Copying:
    """Compare distances to what was seen in training, (N,) of images that cannot be copies and (M,) of generated ones.

    If both have the same distribution, every order of all N + M distances is equally likely. Then the number of
    ``generated`` below the k-th of ``honest`` has a distribution in closed form, and the test is exact.
    """
    rank = max(1, round(expected * len(honest)))
    threshold = honest.sort().values[rank - 1]
    below = int((generated < threshold).sum())
    # So many are below if and only if, of the first below + rank - 1 of all, fewer than rank are honest.
    total, first = len(honest) + len(generated), below + rank - 1
    p_value = sum(
        comb(len(honest), some) * comb(len(generated), first - some) / comb(total, first) for some in range(rank)
    )
    return Copying(threshold.item(), rank / len(honest), below / len(generated), min(1.0, p_value))


def nearest_training_images(
    vectors: Tensor, training: Tensor, reconstructions: Tensor
) -> tuple[Copying, Tensor, Tensor]:
    """Find the nearest training image of each generated one, and test for copying.

    Args:
        vectors: of generated images, (M, F).
        training: of reconstructed training images, (N, F).
        reconstructions: of reconstructed test images, (L, F).

    Returns:
        the verdict; the distances (M,); the indices of the nearest (M,).
    """
    honest, _ = nearest_neighbours(reconstructions, training)
    distances, nearest = nearest_neighbours(vectors, training)
    return judge_copying(honest, distances), distances, nearest


# Truth.


@dataclass(frozen=True)
class FactorTruth:
    """How the values of a factor, or of two together, are distributed, beside the true distribution: all equally often.

    Attributes:
        name: of the factor, or "one × other".
        values: what the values are called.
        frequencies: of the values, in the samples.
        samples: the total variation, half the sum of absolute differences of the frequencies from the truth: 0 … 1.
        reconstructions: the same for reconstructed test images.
        calibration: the same for true images drawn anew, as many, averaged over several sets: what chance and the
            reader's mistakes alone make.
    """

    name: str
    values: tuple[str, ...]
    frequencies: tuple[float, ...]
    samples: float
    reconstructions: float
    calibration: float


def judge_truth(
    factors: Mapping[str, Sequence[str]],
    samples: Mapping[str, Tensor],
    reconstructions: Mapping[str, Tensor],
    fresh: Sequence[Mapping[str, Tensor]],
) -> list[FactorTruth]:
    """Compare the factors that a reader found in images, (N,) each, with their true distribution.

    Args:
        factors: the names of the values of each factor; all are equally likely and independent.
        samples: what was read in generated images.
        reconstructions: what was read in reconstructed test images.
        fresh: what was read in several sets of true images.

    Returns:
        one entry for each factor, then one for each pair.
    """
    single = [(name,) for name in factors]
    results = []
    for names in [*single, *combinations(factors, 2)]:
        sizes = [len(factors[name]) for name in names]
        frequencies = _frequencies([samples[name] for name in names], sizes)
        values = [" ".join(words) for words in product(*(factors[name] for name in names))]
        results.append(
            FactorTruth(
                " × ".join(names),
                tuple(values),
                tuple(frequencies.tolist()),
                _variation(frequencies),
                _variation(_frequencies([reconstructions[name] for name in names], sizes)),
                sum(_variation(_frequencies([one[name] for name in names], sizes)) for one in fresh) / len(fresh),
            )
        )
    return results


def _frequencies(readings: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """The share of each combination of values; the last reading varies fastest."""
    index = torch.zeros_like(readings[0])
    for reading, size in zip(readings, sizes, strict=True):
        index = index * size + reading
    counts = torch.bincount(index, minlength=prod(sizes))
    return counts.double() / len(index)


def _variation(frequencies: Tensor) -> float:
    """Total variation from all values being equally frequent."""
    return 0.5 * (frequencies - 1 / len(frequencies)).abs().sum().item()
