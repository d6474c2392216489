"""How each notebook begins."""

import platform
from importlib.metadata import version

import torch

from lpvq.experiments.workspace import Workspace
from lpvq.threads import FairShare


def begin(dataset: str = "smileys", seed: int = 0) -> Workspace:
    """Begin a notebook: seed torch, say what it runs with, and return the workspace of its data set.

    The profile and the device are those of ``LPVQ_PROFILE`` and ``LPVQ_DEVICE``. On a busy machine, torch gets fewer
    threads, see ``lpvq.threads``.
    """
    torch.manual_seed(seed)
    FairShare().take(say=True)
    workspace = Workspace(dataset, seed=seed)
    print(f"profile {workspace.profile}, device {workspace.device}, seed {seed}")
    return workspace


def describe_setup() -> str:
    """Return one line on the versions that run here."""
    return f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {version('torchvision')}"
