"""Puts models where the project ships its weights: ``python -m lpvq.experiments.shipping OUTPUT``."""

import sys
from pathlib import Path

from lpvq.experiments.workspace import MEASURED_ON, Workspace, in_whole_numbers
from lpvq.files import checksum, load_model, save_model
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.pretrained import FINE
from lpvq.models.vqvae import VQVAE
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.paths import shipped

_SIZES = (None, 128)


def ship(workspace: Workspace, home: Path) -> None:
    """Copy the models of a workspace to a folder named after its data set; they are trained if need be.

    A prior is stored in half precision: it takes half of the space, and draws the same faces but for one code in
    thousands. A VQ-VAE stays as it is, or its codes would not be those that the prior learned. With a prior of one
    level comes one in whole numbers, made from it as it is stored.

    Args:
        workspace: whose models to copy.
        home: the folder that holds a folder for each data set.
    """
    assert workspace.prior is not None  # trained, if it was not
    folder = home / workspace.folder.parent.name
    prior_file = PixelCNN.FILE if workspace.coarse is None else FINE
    for kind, name in ((VQVAE, VQVAE.FILE), (PixelCNN, prior_file)):
        model, about = load_model(kind, workspace.path(name))
        said = {key: value for key, value in about.items() if key not in ("model", "config", "weights_sha256")}
        save_model(model.half() if kind is PixelCNN else model, folder / name, said)
    if workspace.coarse is None:
        prior = load_model(PixelCNN, folder / prior_file)[0].float()
        whole = in_whole_numbers(prior, workspace.vqvae, workspace.all_train_data)
        settings = {"dataset": workspace.dataset, "prior_checksum": checksum(prior), "measured_on": MEASURED_ON}
        save_model(whole, folder / WholeNumberPixelCNN.FILE, {"settings": settings})


if __name__ == "__main__":
    for size in _SIZES:
        ship(Workspace("smileys", "long", sys.argv[1], size=size), shipped("pretrained"))
