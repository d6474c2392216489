"""What a recipe says about how each model is trained: on what, by what, and from which weights."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lpvq.data.images import ImageData
from lpvq.data.latent_codes import LatentCodes
from lpvq.evaluation.classifier import Classifier, tasks_of, train_classifier
from lpvq.experiments.profiles import Recipe
from lpvq.experiments.splits import Splits
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.vqvae import VQVAE
from lpvq.training.config import TrainConfig, identity_of
from lpvq.training.prior import train_prior
from lpvq.training.trainer import History
from lpvq.training.vqvae import train_vqvae


@dataclass(frozen=True)
class Training:
    """How one of the models is trained.

    Attributes:
        make: makes it, with random weights.
        train: trains it in place; ``train_vqvae``, or another function that takes the same arguments.
        config: how long and how fast.
        data: what it learns from.
        validation: what its best weights are chosen by.
    """

    make: Callable[[], Any]
    train: Callable[..., History]
    config: TrainConfig
    data: ImageData | LatentCodes
    validation: ImageData | LatentCodes

    def new_model(self, device: torch.device) -> Any:
        """Return the model as it is before training, which depends on the seed; torch's generator stays as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(self.config.seed)
            return self.make().to(device)

    def identity(self, model: Any) -> dict[str, Any]:
        """Return what makes two trainings the same one, see ``identity_of``."""
        return identity_of(model, self.config, self.data, self.validation)

    def run(self, model: Any, **options: Any) -> History:
        """Train ``model``; ``options`` are those of ``train_vqvae`` that say where and how far."""
        return self.train(model, self.data, self.config, self.validation, **options)


def vqvae_training(recipe: Recipe, splits: Splits) -> Training:
    """Return how the VQ-VAE is trained: on images."""

    def make() -> VQVAE:
        return VQVAE(
            splits.train.images.shape[1],
            recipe.num_codes,
            recipe.code_dim,
            recipe.vqvae_channels,
            recipe.downsample,
            recipe.encoder_blocks,
            recipe.decoder_blocks,
            recipe.quantizer,
        )

    return Training(make, train_vqvae, recipe.vqvae, splits.train, splits.validation)


def prior_training(
    recipe: Recipe,
    learning: LatentCodes,
    validation: LatentCodes,
    codebook: Tensor,
    coarse_vqvae: VQVAE | None = None,
) -> Training:
    """Return how the PixelCNN is trained: on codes of training images, apart from those of the images held out.

    Args:
        recipe: says how large it is, and how it is trained.
        learning: what it learns from.
        validation: what its best weights are chosen by.
        codebook: the vectors that the codes stand for, (K, D).
        coarse_vqvae: for a prior of the fine codes given the coarse ones, the VQ-VAE of the latter.
    """

    def make() -> PixelCNN:
        coarse = learning.coarse
        prior = PixelCNN(
            learning.num_codes,
            learning.grid,
            recipe.prior_blocks,
            recipe.prior_kernel,
            hidden_channels=recipe.prior_channels,
            num_classes=len(learning.class_names),
            position=recipe.prior_position,
            num_attentions=recipe.prior_attentions,
            code_dim=codebook.shape[1] if recipe.prior_codebook else None,
            coarse_vqvae=coarse_vqvae,
            coarse_factor=1 if coarse is None else learning.grid[0] // coarse.grid[0],
        )
        if recipe.prior_codebook:
            prior.set_codebook(codebook)
        return prior

    return Training(make, train_prior, recipe.prior, learning, validation)


def classifier_training(recipe: Recipe, splits: Splits) -> Training:
    """Return how the classifier is trained: on images, from the same seed for all workspaces, as it judges them all."""

    def make() -> Classifier:
        return Classifier(splits.train.images.shape[1], tasks_of(splits.train))

    def train(
        model: Classifier, data: ImageData, config: TrainConfig, validation: ImageData, checkpoint: Path, **_: Any
    ) -> History:  # always to the end: there are no snapshots of it
        return train_classifier(model, data, config, validation, checkpoint)

    return Training(make, train, recipe.classifier, splits.train, splits.validation)
