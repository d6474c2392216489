"""How models are trained: one loop that knows no model, and for each model what it learns from."""

from lpvq.training.prior import train_prior
from lpvq.training.trainer import History, TrainConfig
from lpvq.training.vqvae import train_vqvae

__all__ = ["History", "TrainConfig", "train_prior", "train_vqvae"]
