"""lpvq: VQ-VAE, discrete latent codes and a gated PixelCNN prior; what the notebooks teach, as a package."""

from lpvq.codes import LatentCodes, extract_codes
from lpvq.errors import InputError
from lpvq.pipeline import load_pretrained
from lpvq.pixelcnn import PixelCNN
from lpvq.quantizer import VectorQuantizer
from lpvq.training import TrainConfig, train_prior, train_vqvae
from lpvq.vqvae import VQVAE

__all__ = [
    "VQVAE",
    "InputError",
    "LatentCodes",
    "PixelCNN",
    "TrainConfig",
    "VectorQuantizer",
    "extract_codes",
    "load_pretrained",
    "train_prior",
    "train_vqvae",
]
