"""The trained weights that come with the project."""

from typing import Any

from lpvq.errors import InputError
from lpvq.files import checksum, load_model
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.vqvae import VQVAE
from lpvq.paths import shipped


def load_pretrained(name: str = "smileys") -> tuple[VQVAE, PixelCNN]:
    """Return the trained VQ-VAE and prior that come with the project, in eval mode, on the CPU.

    Args:
        name: "smileys": 32 × 32 pixels, 8 × 8 codes; or "smileys-128": 128 × 128 pixels, 32 × 32 codes.

    Raises:
        InputError: there are no such weights, or they are damaged.
    """
    (vqvae, _), (prior, _) = load_pretrained_and_about(name)
    return vqvae, prior


def load_pretrained_and_about(name: str) -> tuple[tuple[VQVAE, dict[str, Any]], tuple[PixelCNN, dict[str, Any]]]:
    """Return the trained VQ-VAE and prior that come with the project, and how each was trained.

    Args:
        name: "smileys" or "smileys-128".

    Returns:
        twice a model, in eval mode, on the CPU, and what its JSON file says: its settings, the seconds it took.

    Raises:
        InputError: there are no such weights, they are damaged, or the prior belongs to another VQ-VAE.
    """
    home = shipped("pretrained")
    available = sorted(path.name for path in home.glob("*") if path.is_dir())
    if name not in available:
        raise InputError(f"there are no trained weights for {name!r} in {home}; expected one of {', '.join(available)}")
    vqvae, vqvae_about = load_model(VQVAE, home / name / VQVAE.FILE)
    prior, prior_about = load_model(PixelCNN, home / name / PixelCNN.FILE)
    settings, found = prior_about.get("settings"), checksum(vqvae)
    made_for = settings.get("vqvae_checksum") if isinstance(settings, dict) else None
    if made_for != found:
        raise InputError(
            f"in {home / name}, the prior was trained on the codes of another VQ-VAE (checksum {str(made_for)[:12]}) "
            f"than the one beside it ({found[:12]}): get the project anew"
        )
    return (vqvae, vqvae_about), (prior, prior_about)
