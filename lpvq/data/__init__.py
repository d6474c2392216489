"""Images in, and the codes that a VQ-VAE makes of them."""

from lpvq.data.images import ImageData
from lpvq.data.latent_codes import LatentCodes, extract_codes
from lpvq.data.loading import load

__all__ = ["ImageData", "LatentCodes", "extract_codes", "load"]
