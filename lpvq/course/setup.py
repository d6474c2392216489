"""How each notebook begins."""

import platform
from importlib.metadata import version

import torch
from torch import nn

from lpvq import plotting
from lpvq.course.watching import watch_prior, watch_vqvae
from lpvq.data.images import ImageData
from lpvq.data.latent_codes import LatentCodes
from lpvq.experiments.workspace import Workspace
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.pretrained import names_of_pretrained
from lpvq.models.vqvae import VQVAE
from lpvq.threads import FairShare
from lpvq.training.trainer import AfterStep

_OFFER = (
    "That takes minutes. If you would rather go on with the models that come with the project, stop this cell (■), "
    "write course.begin(pretrained=True) at the top and run the notebook again from there."
)


def begin(dataset: str = "smileys", seed: int = 0, pretrained: bool = False) -> Workspace:
    """Begin a notebook: seed torch, say what it runs with, and return the workspace of its data set.

    The profile and the device are those of ``LPVQ_PROFILE`` and ``LPVQ_DEVICE``. On a busy machine, torch gets fewer
    threads, see ``lpvq.threads``. From here on, a figure that is the last value of a cell is shown.

    Args:
        dataset: a name for ``lpvq.load_images``.
        seed: of torch and of the workspace's trainings.
        pretrained: take the models that come with the project instead of training any.
    """
    torch.manual_seed(seed)
    FairShare().take(say=True)
    plotting.show_last_values()
    workspace = Workspace(dataset, seed=seed, pretrained=pretrained)
    workspace.watch = _watch
    if dataset in names_of_pretrained() and workspace.profile != "smoke":  # which trains in seconds
        workspace.offer = _OFFER
    print(f"profile {workspace.profile}, device {workspace.device}, seed {seed}")
    return workspace


def _watch(workspace: Workspace, model: nn.Module, validation: ImageData | LatentCodes) -> AfterStep | None:
    """What a training of the workspace shows of itself: nothing, if it makes no pictures."""
    if isinstance(model, VQVAE) and isinstance(validation, ImageData):
        return watch_vqvae(model, validation.floats(slice(64)))
    if isinstance(model, PixelCNN) and isinstance(validation, LatentCodes):
        return watch_prior(model, workspace.vqvae, validation)
    return None


def describe_setup() -> str:
    """Return a line about the versions that run here."""
    return f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {version('torchvision')}"
