"""What a model loses over a whole set."""

import torch
from torch import Tensor

from lpvq.data.images import ImageData
from lpvq.data.latent_codes import LatentCodes
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.vqvae import VQVAE
from lpvq.runtime import in_eval_mode


@torch.inference_mode()
def reconstruction_error(model: VQVAE, data: ImageData) -> float:
    """Return the mean squared error of the reconstructions of a set, per pixel and channel.

    Args:
        model: used in eval mode, in float32; left in the mode it was in.
        data: images, taken in [0, 1]; their reconstructions are clamped to it.
    """
    device = next(model.parameters()).device
    total = 0.0
    with in_eval_mode(model):
        for batch in data.batches():
            images = data.floats(batch).to(device)
            errors = (model(images).reconstruction.clamp(0, 1) - images).square().sum((1, 2, 3))
            total += errors.cpu().double().sum().item()  # MPS has no float64
    return total / data.images.numel()


def grid_nll(model: PixelCNN, codes: LatentCodes) -> Tensor:
    """Return −log p of each grid of a set, in nats: float32 (N,), on the CPU.

    Args:
        model: used in eval mode; left in the mode it was in.
        codes: N grids; where the model has classes, each is predicted given its label.
    """
    device = next(model.parameters()).device
    nats = []
    with in_eval_mode(model), torch.inference_mode():
        for batch in codes.batches():
            labels = None if model.num_classes is None else codes.labels[batch].to(device)
            nats.append(model.nll(codes.codes[batch].to(device), labels).cpu())
    return torch.cat(nats)  # out here, so that the result may be used in training
