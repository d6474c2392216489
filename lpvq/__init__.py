"""lpvq: VQ-VAE, discrete latent codes and a gated PixelCNN prior; what the notebooks teach, as a package.

Start in ``lpvq.models``, which is the subject of the course. Images and codes are in ``lpvq.data``, and
training is in ``lpvq.training``.

The names below, and these three subpackages, are imported when they are first asked for (PEP 562): torch takes seconds
to load, and ``lpvq --help`` does without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpvq import data as data
    from lpvq import models as models
    from lpvq import training as training
    from lpvq.data.latent_codes import LatentCodes, extract_codes
    from lpvq.data.loading import load as load_images
    from lpvq.errors import InputError
    from lpvq.models.pixelcnn import PixelCNN
    from lpvq.models.pretrained import load_pretrained
    from lpvq.models.quantizer import VectorQuantizer
    from lpvq.models.vqvae import VQVAE
    from lpvq.training.config import TrainConfig
    from lpvq.training.prior import train_prior
    from lpvq.training.vqvae import train_vqvae

__all__ = [
    "VQVAE",
    "InputError",
    "LatentCodes",
    "PixelCNN",
    "TrainConfig",
    "VectorQuantizer",
    "extract_codes",
    "load_images",
    "load_pretrained",
    "train_prior",
    "train_vqvae",
]

_HOMES = {
    "InputError": "lpvq.errors",
    "LatentCodes": "lpvq.data",
    "PixelCNN": "lpvq.models.pixelcnn",
    "TrainConfig": "lpvq.training",
    "VQVAE": "lpvq.models.vqvae",
    "VectorQuantizer": "lpvq.models.quantizer",
    "extract_codes": "lpvq.data",
    "load_images": "lpvq.data",
    "load_pretrained": "lpvq.models.pretrained",
    "train_prior": "lpvq.training",
    "train_vqvae": "lpvq.training",
}
_ROOMS = ("data", "models", "training")


if not TYPE_CHECKING:  # otherwise type checkers would believe that every name exists

    def __getattr__(name: str) -> Any:
        if name in _ROOMS:
            return import_module(f"{__name__}.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), "load" if name == "load_images" else name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
