"""How each notebook begins."""

import platform
from importlib.metadata import version

import torch

from lpvq.experiments.workspace import Workspace


def begin(dataset: str = "smileys", seed: int = 0) -> Workspace:
    """Begin a notebook: seed torch, say what it runs with, and return the workspace of its data set.

    The profile and the device are those of ``LPVQ_PROFILE`` and ``LPVQ_DEVICE``.
    """
    torch.manual_seed(seed)
    workspace = Workspace(dataset, seed=seed)
    print(f"profile {workspace.profile}, device {workspace.device}, seed {seed}")
    return workspace


def describe_setup() -> str:
    """Return one line on the versions that run here."""
    return f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {version('torchvision')}"
