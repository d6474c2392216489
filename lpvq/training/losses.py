"""What a model loses over a whole set."""

import torch
from torch import Tensor

from lpvq.data.images import ImageData
from lpvq.data.latent_codes import LatentCodes
from lpvq.distributed import in_order
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.vqvae import VQVAE
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.runtime import in_eval_mode


@torch.inference_mode()
def reconstruction_error(model: VQVAE, data: ImageData) -> float:
    """Return the mean squared error of the reconstructions of a set, per pixel and channel.

    Args:
        model: used in eval mode, in float32; left in the mode it was in.
        data: images, taken in [0, 1]; their reconstructions are clamped to this range.
    """
    device = next(model.parameters()).device

    def error(batch: Tensor) -> float:
        images = data.floats(batch).to(device)
        errors = (model(images).reconstruction.clamp(0, 1) - images).square().sum((1, 2, 3))
        return errors.cpu().double().sum().item()  # MPS has no float64

    total = 0.0
    with in_eval_mode(model):
        for of_batch in in_order(error, data.batches()):
            total += of_batch
    return total / data.images.numel()


def grid_nll(model: PixelCNN | CoarseToFine | WholeNumberPixelCNN, codes: LatentCodes) -> Tensor:
    """Return −log p of each grid of a set, in nats: float32 (N,), on the CPU.

    Args:
        model: used in eval mode; left in the mode it was in.
        codes: N grids; where the model has classes, each is predicted given its label.
    """
    device = model.device
    nats = torch.empty(len(codes))  # in one place: many small tensors would leave large gaps
    batches = codes.batches()

    def nats_of(batch: Tensor) -> Tensor:
        return model.nll(*given(model, codes, batch, device)).cpu().float()

    with in_eval_mode(model), torch.inference_mode():
        for batch, found in zip(batches, in_order(nats_of, batches), strict=True):
            nats[batch] = found
    return nats


def given(
    model: PixelCNN | CoarseToFine | WholeNumberPixelCNN, codes: LatentCodes, indices: Tensor, device: torch.device
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return what ``nll`` is given for some grids: their codes, and labels and coarse codes if the model takes them.

    Args:
        model: with or without classes, with or without coarse codes.
        codes: the set; a model with coarse codes needs those of the set.
        indices: of the grids, int64 (B,).
        device: where they are needed.
    """
    takes_coarse = isinstance(model, CoarseToFine) or model.num_coarse_codes is not None
    labels = None if model.num_classes is None else codes.labels[indices].to(device)
    coarse = codes.coarse.codes[indices].to(device).long() if takes_coarse and codes.coarse is not None else None
    return codes.codes[indices].to(device).long(), labels, coarse
