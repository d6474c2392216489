"""What a study gives, and what studies share."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from lpvq.errors import InputError
from lpvq.experiments.artefacts import ArtefactStore
from lpvq.experiments.trainings import Training
from lpvq.experiments.workspace import Workspace
from lpvq.files import checksum
from lpvq.models.pixelcnn import PixelCNN


class Study(NamedTuple):
    """What a study has found.

    Attributes:
        figures: all of it, as JSON can keep it.
        figure: a picture of it.
        description: of the picture, in words.
        table: what is printed.
    """

    figures: list[dict[str, Any]]
    figure: Figure
    description: str
    table: str


def find_or_train_prior(workspace: Workspace, name: str, training: Training, options: Mapping[str, Any]) -> PixelCNN:
    """Return a prior of a workspace's codes, trained in a different way from its own; found, or trained and kept.

    Args:
        workspace: whose codes it learns.
        name: of its folder in ``studies/``.
        training: how it is trained.
        options: what else decides what it is, and has to be the same for it to be found.
    """
    store = ArtefactStore(workspace.folder / "studies" / name)
    settings = {
        **asdict(training.config),
        **options,
        "data_checksum": workspace.train_checksum,
        "vqvae_checksum": checksum(workspace.vqvae),
    }

    def train() -> PixelCNN:
        model = training.new_model(workspace.device)
        history = training.run(model, checkpoint=store.path("prior.checkpoint"))
        store.keep(model, "prior", settings, history)
        return model

    def find() -> PixelCNN | None:
        found = store.find(PixelCNN, "prior", settings, workspace.device)
        return found and found[0]

    return store.find_or_make(find, train)


def need_one_level(workspace: Workspace) -> None:
    """Check that the prior of a workspace has one level.

    Raises:
        InputError: it has two.
    """
    if workspace.coarse is not None:
        raise InputError("this study trains priors of one level: add --levels 1, or leave --pretrained out")


def need_smileys(workspace: Workspace) -> None:
    """Check that the images of a workspace are rendered ones.

    Raises:
        InputError: they are not.
    """
    if workspace.test_data.factors is None:
        raise InputError(f"this study asks the renderer of the smileys for the truth; {workspace.dataset} has none")
