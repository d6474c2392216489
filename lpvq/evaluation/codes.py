"""How close reconstructions come, and what each code stands for."""

from dataclasses import dataclass
from functools import partial
from math import inf, log10

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.data.images import ImageData
from lpvq.distributed import in_order
from lpvq.errors import InputError
from lpvq.evaluation.estimates import Estimate
from lpvq.models.code_usage import code_counts
from lpvq.models.vqvae import VQVAE
from lpvq.runtime import progress

_AROUND = 3  # codes along each side
_SSIM_MARGIN = 5  # pixels that torchmetrics mirrors at each edge, half of its window


@dataclass(frozen=True)
class Reconstruction:
    """How close the reconstructions of a set come to its images.

    Attributes:
        mse: mean squared error per pixel and channel, images in [0, 1].
        variance: of all pixel values of the same images, scaled to [0, 1] too.
        relative_error: ``mse / variance``: 0 is perfect, 1 is what the mean colour alone would reach.
        psnr: peak signal-to-noise ratio of the whole set in decibels, 10 · log10(1 / mse); infinite where mse is 0.
        ssim: structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861), averaged over images: 1 is perfect.
    """

    mse: float
    variance: float
    relative_error: Estimate
    psnr: float
    ssim: Estimate


def evaluate_reconstruction(vqvae: VQVAE, data: ImageData) -> Reconstruction:
    """Encode and decode a set in eval mode, and measure the error over all of it.

    Raises:
        InputError: there are no images, all their pixels are the same, or they are too small for SSIM's window.
    """
    # Imported here, because it takes a second.
    from torchmetrics.functional.image import structural_similarity_index_measure as similarity

    variance = data.variance()
    if min(data.images.shape[2:]) <= _SSIM_MARGIN:
        raise InputError(f"SSIM needs more than {_SSIM_MARGIN} × {_SSIM_MARGIN} pixels, {data.name} has fewer")
    device = next(vqvae.parameters()).device
    errors, similarities = torch.empty(2, len(data))  # in one place: many small tensors would leave large gaps

    def compare(batch: Tensor) -> tuple[Tensor, Tensor]:
        images = data.floats(batch)
        decoded = vqvae.decode(vqvae.encode(images.to(device))).cpu()
        alike = torch.as_tensor(similarity(decoded, images, data_range=1.0, reduction="none"))
        return (decoded - images).square().mean((1, 2, 3)), alike

    batches = data.batches()
    compared = in_order(compare, batches, partial(progress, description="comparing reconstructions", least=64))
    for batch, (of_batch, alike) in zip(batches, compared, strict=True):
        errors[batch], similarities[batch] = of_batch, alike
    error = Estimate.of_mean(errors)
    relative = Estimate(error.value / variance, error.error / variance)
    psnr = -10 * log10(error.value) if error.value else inf
    return Reconstruction(error.value, variance, relative, psnr, Estimate.of_mean(similarities))


def decode_entries(vqvae: VQVAE) -> Tensor:
    """Return what each code decodes to in the midst of its like, where its patch has no border.

    Returns:
        float32 (K, C, P, P) in [0, 1], on the CPU, for patches of P × P pixels.
    """
    device = next(vqvae.parameters()).device
    grids = torch.arange(vqvae.quantizer.num_codes, device=device)[:, None, None].expand(-1, _AROUND, _AROUND)
    side = vqvae.downsample
    return vqvae.decode(grids)[:, :, side : 2 * side, side : 2 * side].cpu()


def mean_patches(codes: Tensor, data: ImageData, downsample: int, num_codes: int) -> Tensor:
    """Return what each code stands for: the mean of all patches of the images that this code was given to.

    Args:
        codes: of the images, int64 (N, h, w).
        data: N images.
        downsample: height and width of a patch in pixels.
        num_codes: K.

    Returns:
        float32 in [0, 1], (K, C, downsample, downsample); grey for codes that were given to no patch.

    Raises:
        InputError: the codes are not of these images.
    """
    channels, *size = data.images.shape[1:]
    expected = (len(data), *(pixels // downsample for pixels in size))
    if tuple(codes.shape) != expected:
        raise InputError(f"expected codes of shape {expected} for the images of {data.name}, got {tuple(codes.shape)}")
    sums, counts = torch.zeros(num_codes, channels * downsample**2), torch.zeros(num_codes, 1, dtype=torch.int64)
    for batch in data.batches():
        # Every position of the grid takes its own pixels, (positions, channels · downsample²).
        patches = F.unfold(data.floats(batch), downsample, stride=downsample)
        of_batch = codes[batch].flatten().long()
        sums.index_add_(0, of_batch, patches.movedim(1, -1).reshape(-1, sums.shape[1]))
        counts += code_counts(of_batch, num_codes)[:, None]
    means = torch.where(counts > 0, sums / counts, 0.5)
    return means.view(num_codes, channels, downsample, downsample)
