"""The trained weights that come with the project."""

from pathlib import Path
from typing import Any

from lpvq.errors import InputError
from lpvq.files import checksum, load_model
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.vqvae import VQVAE
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.paths import shipped

FINE = "fine.pt"
"""The name of the file of a fine prior, in the place of ``PixelCNN.FILE``."""

_COARSE = "smileys"  # the coarse level of the weights that have two

_OF_CODES = "the prior was trained on the codes of another VQ-VAE"

About = dict[str, Any]


def load_pretrained(name: str = "smileys") -> tuple[VQVAE, PixelCNN | CoarseToFine]:
    """Return the trained VQ-VAE and prior that come with the project, in eval mode, on the CPU.

    Args:
        name: "smileys": 32 × 32 pixels, 8 × 8 codes; or "smileys-128": 128 × 128 pixels, 32 × 32 codes, and a prior of
            two levels, whose coarse codes are those of "smileys".

    Raises:
        InputError: there are no such weights, or they are damaged.
    """
    (vqvae, _), (prior, _) = load_pretrained_and_about(name)
    return vqvae, prior


def names_of_pretrained() -> list[str]:
    """Return what ``load_pretrained`` takes."""
    return sorted(path.name for path in shipped("pretrained").glob("*") if path.is_dir())


def load_pretrained_and_about(name: str) -> tuple[tuple[VQVAE, About], tuple[PixelCNN | CoarseToFine, About]]:
    """Return the trained VQ-VAE and prior that come with the project, and how each was trained.

    Args:
        name: "smileys" or "smileys-128".

    Returns:
        for each, the model, in eval mode, on the CPU, and what its JSON file says: its settings, the seconds it took.
        For a prior of two levels, the file is that of the fine codes.

    Raises:
        InputError: there are no such weights, they are damaged, or the prior belongs to another VQ-VAE.
    """
    home, available = shipped("pretrained"), names_of_pretrained()
    if name not in available:
        raise InputError(f"there are no trained weights for {name!r} in {home}; expected one of {', '.join(available)}")
    vqvae, vqvae_about = load_model(VQVAE, home / name / VQVAE.FILE)
    has_levels = (home / name / FINE).exists()
    prior, about = load_model(PixelCNN, home / name / (FINE if has_levels else PixelCNN.FILE))
    prior = prior.float()  # stored in half precision
    _check_made_for(about, "vqvae_checksum", vqvae, home / name, _OF_CODES)
    if not has_levels:
        return (vqvae, vqvae_about), (prior, about)
    (coarse_vqvae, _), (coarse_prior, _) = load_pretrained_and_about(_COARSE)
    assert isinstance(coarse_prior, PixelCNN)
    _check_made_for(about, "coarse_vqvae_checksum", coarse_vqvae, home / name, _OF_CODES)
    if prior.coarse_features is not None:
        prior.coarse_features.vqvae = coarse_vqvae.requires_grad_(False)  # exact: that in the file was halved, too
    return (vqvae, vqvae_about), (CoarseToFine(coarse_prior, vqvae, prior).eval(), about)


def load_whole_number_prior(name: str, prior: PixelCNN) -> WholeNumberPixelCNN:
    """Return the prior in whole numbers that comes with the project, in eval mode, on the CPU.

    It is kept as it was made once: made anew on a machine that rounds differently, it could come out different, and
    could not decompress what this one has compressed.

    Args:
        name: "smileys".
        prior: what ``load_pretrained`` returned; on any device.

    Raises:
        InputError: there is no such prior, it is damaged, or it was made from another one.
    """
    folder = shipped("pretrained") / name
    model, about = load_model(WholeNumberPixelCNN, folder / WholeNumberPixelCNN.FILE)
    _check_made_for(about, "prior_checksum", prior, folder, "the prior in whole numbers was made of another prior")
    return model


def _check_made_for(about: About, what: str, model: VQVAE | PixelCNN, folder: Path, otherwise: str) -> None:
    """Raise an ``InputError`` that says ``otherwise`` unless ``about`` says that it was made for ``model``."""
    settings, found = about.get("settings"), checksum(model)
    made_for = settings.get(what) if isinstance(settings, dict) else None
    if made_for != found:
        raise InputError(
            f"in {folder}, {otherwise} (checksum {str(made_for)[:12]}) than the one that comes with it "
            f"({found[:12]}): get the project anew"
        )
