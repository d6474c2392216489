"""Two levels: a coarse grid of codes is drawn first, and the fine grid given it.

    p(codes) = p(coarse codes) · p(codes | coarse codes)

A prior of many codes knows better what belongs beside a code than what the whole should be. Here the whole is decided
first: the coarse codes are those of the same picture, shrunk, and come from a VQ-VAE and a prior for small pictures, as
if there were nothing else. The fine prior is told at each position what the small picture shows there. Two levels of
codes are from Razavi, van den Oord, Vinyals (2019), Generating Diverse High-Fidelity Images with VQ-VAE-2,
arXiv:1906.00446, whose VQ-VAE makes both at once; a small picture first, and a larger one given it, is the cascade of
Ho et al. (2022), arXiv:2106.15282.
"""

from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.models.checks import ArrayLike
from lpvq.models.grid_prior import ImageSize
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.vqvae import VQVAE

_FILES: dict[str, type[VQVAE] | type[PixelCNN]] = {
    "coarse_prior": PixelCNN,
    "vqvae": VQVAE,
    "fine_prior": PixelCNN,
}


class CoarseToFine(nn.Module):
    """A prior of two levels; it is used as a ``PixelCNN`` is.

    Args:
        coarse_prior: a prior of the codes of small pictures.
        vqvae: makes the fine codes.
        fine_prior: a prior of them that was made with a ``coarse_vqvae``, that of the small pictures.

    Attributes:
        latent_dim: K of the fine codes.
        image_size: height and width of the fine grids.
        num_classes: as both priors have them.

    Raises:
        InputError: models that do not fit each other.
    """

    def __init__(self, coarse_prior: PixelCNN, vqvae: VQVAE, fine_prior: PixelCNN) -> None:
        super().__init__()
        self.coarse_prior, self.vqvae, self.fine_prior = coarse_prior, vqvae, fine_prior
        coarse, fine = coarse_prior, fine_prior
        if fine.num_coarse_codes is None:
            raise InputError("the fine prior must be made with a coarse_vqvae")
        factor = fine.coarse_factor
        numbers = {
            "the fine codes": (vqvae.quantizer.num_codes, fine.latent_dim),
            "the coarse codes": (fine.num_coarse_codes, coarse.latent_dim),
            "the classes": (coarse.num_classes, fine.num_classes),
            "the sizes of the grids": (tuple(factor * side for side in coarse.image_size), fine.image_size),
        }
        for what, (there, here) in numbers.items():
            if there != here:
                raise InputError(f"{what} do not fit: {there} and {here}")
        self.latent_dim, self.image_size, self.num_classes = fine.latent_dim, fine.image_size, fine.num_classes

    def coarsen(self, codes: Tensor) -> Tensor:
        """Return the coarse codes of the pictures that fine codes stand for, int64 (B, h, w).

        Args:
            codes: fine codes, int64 (B, H, W).
        """
        factor = self.fine_prior.coarse_factor * self.coarse_vqvae.downsample // self.vqvae.downsample
        return self.coarse_vqvae.encode(F.avg_pool2d(self.vqvae.decode(codes), factor))

    def nll(self, codes: ArrayLike, labels: ArrayLike | None = None, coarse: ArrayLike | None = None) -> Tensor:
        """Return −log p(coarse codes | labels) − log p(codes | coarse codes, labels), in nats, (B,).

        Coarse codes that are made of the fine ones add nothing that is not in them, so this is an upper bound on
        −log p(codes | labels), and a close one if they leave the prior little doubt.

        Args:
            codes: fine codes, int64 (B, H, W).
            labels: int64 (B,) in 0 … num_classes − 1; for a model with classes, and only for one.
            coarse: coarse codes, int64 (B, h, w); those that ``coarsen`` makes where None.

        Raises:
            InputError: as ``PixelCNN.nll``.
        """
        if coarse is None:
            coarse = self.coarsen(torch.as_tensor(codes, device=self.device))
        return self.coarse_prior.nll(coarse, labels) + self.fine_prior.nll(codes, labels, coarse)

    def generate(
        self,
        start_sequence: ArrayLike | None = None,
        image_size: ImageSize | None = None,
        batch_size: int | None = None,
        labels: ArrayLike | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        known: ArrayLike | None = None,
        generator: torch.Generator | None = None,
        method: Literal["cached", "plain"] = "cached",
        coarse: ArrayLike | None = None,
    ) -> Tensor:
        """Draw grids of fine codes, int64 (B, H, W): first a coarse grid for each, then the fine one given it.

        Args:
            start_sequence: see ``PixelCNN.generate``, of fine codes. Coarse codes whose part of the picture is known,
                and the parts around it, are kept as well.
            image_size: height and width of the fine grids.
            batch_size: see ``PixelCNN.generate``.
            labels: see there; for both levels.
            temperature: see there; for both levels.
            top_k: see there; for both levels.
            top_p: see there; for both levels.
            known: see there, of fine codes.
            generator: see there; the coarse grids are drawn first.
            method: see there.
            coarse: coarse codes to draw fine ones for, int64 (B, h, w); they are drawn where None.

        Raises:
            InputError: as ``PixelCNN.generate``.
        """
        how: dict[str, Any] = {
            **{"labels": labels, "temperature": temperature, "top_k": top_k, "top_p": top_p},
            **{"generator": generator, "method": method},
        }
        if coarse is None:
            codes, mask = self.fine_prior.start(start_sequence, image_size, batch_size, labels, known)
            coarse = self._draw_coarse(codes, mask, how)
        return self.fine_prior.generate(start_sequence, image_size, batch_size, known=known, coarse=coarse, **how)

    def _draw_coarse(self, codes: Tensor, mask: Tensor, how: dict[str, Any]) -> Tensor:
        """Draw coarse grids, (B, h, w), that agree with fine codes (B, H, W) where ``mask`` says they are known."""
        factor = self.fine_prior.coarse_factor
        if codes.shape[1] % factor or codes.shape[2] % factor:
            raise InputError(f"height and width must be multiples of {factor}, got {tuple(codes.shape[1:])}")
        size = codes.shape[1] // factor, codes.shape[2] // factor
        # A coarse code depends on its own part of the picture and a little on those around: all nine must be known.
        unknown = F.max_pool2d((~mask).float(), factor)
        known = F.max_pool2d(unknown, 3, stride=1, padding=1) == 0  # (B, h, w)
        if not known.any():
            return self.coarse_prior.generate(image_size=size, batch_size=len(codes), **how)
        return self.coarse_prior.generate(self.coarsen(codes), known=known, **how)

    @property
    def coarse_vqvae(self) -> VQVAE:
        """The VQ-VAE of the coarse codes, which the fine prior holds."""
        features = self.fine_prior.coarse_features
        assert features is not None  # it was made with one
        return features.vqvae

    @property
    def num_blocks(self) -> int:
        """How many gated blocks the fine prior has."""
        return self.fine_prior.num_blocks

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.fine_prior.embedding.weight.device

    def save_pretrained(self, path: str | Path) -> None:
        """Write all three models to a folder, each as ``PixelCNN.save_pretrained`` does.

        Raises:
            OSError: the disk is full or not writable.
        """
        for name in _FILES:
            getattr(self, name).save_pretrained(Path(path).expanduser() / f"{name}.pt")

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Self:
        """Return what was written to the folder ``path``, in eval mode, on the CPU. No pickled code is run.

        Raises:
            InputError: files are missing, damaged, foreign, or do not fit each other.
        """
        models: dict[str, Any] = {
            name: kind.from_pretrained(Path(path).expanduser() / f"{name}.pt") for name, kind in _FILES.items()
        }
        return cls(**models).eval()
