"""What readers have built and measured in one notebook, for the notebooks after it."""

from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

from torch import nn

from lpvq.course.definitions import definitions
from lpvq.errors import InputError
from lpvq.evaluation.estimates import Estimate
from lpvq.experiments.workspace import Workspace
from lpvq.files import checksum, read_json, read_tensors, write_json, write_tensors


def keep(workspace: Workspace, model: nn.Module, codes_of: nn.Module | None = None, **arguments: Any) -> None:
    """Keep a model of a class that is defined in a notebook, in the workspace's folder.

    Args:
        workspace: where to keep it.
        model: what to keep.
        codes_of: for a prior, the VQ-VAE whose codes it has learned.
        arguments: those that the model was made with; numbers and texts.
    """
    kept = {"arguments": arguments, "weights": model.state_dict(), "codes_of": _made_for(codes_of)}
    write_tensors(_path(workspace, type(model).__name__), kept, checked=True)


def find(workspace: Workspace, notebook: str | Path, name: str, codes_of: nn.Module | None = None) -> nn.Module | None:
    """Return the model that a notebook has kept, ready to be used, on the workspace's device; None if there is none.

    Args:
        workspace: where it was kept.
        notebook: the path of the notebook that defines its class.
        name: of the class.
        codes_of: for a prior, the VQ-VAE that it is to be used with. A prior of the codes of another does not count.

    Raises:
        InputError: the notebook does not define the class, or the weights do not fit it any more.
    """
    path = _path(workspace, name)
    if not path.exists():
        return None
    kept = read_tensors(path, checked=True)
    if kept.get("codes_of", "") != _made_for(codes_of):
        print(f"{name} has learned the codes of another VQ-VAE: run {Path(notebook).name} again")
        return None
    try:
        model: nn.Module = getattr(definitions(notebook, name), name)(**kept["arguments"])
        model.load_state_dict(kept["weights"])
    except (TypeError, RuntimeError) as error:
        message = f"{name} in {Path(notebook).name} is not what it was when it was trained; run that notebook again"
        raise InputError(message) from error
    return model.to(workspace.device).eval()


def note(workspace: Workspace, vqvae: nn.Module, figures: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Note what was measured on the codes of a VQ-VAE, and return all that has been noted about them, the oldest first.

    Figures of other codes cannot be compared with these, so those noted for another VQ-VAE are dropped.

    Args:
        workspace: where the notes are.
        vqvae: the model that makes the codes.
        figures: by name, for example bits per code; one replaces any figure that already has its name.
    """
    path, of_codes = workspace.path("own/notes.json"), checksum(vqvae)
    kept = read_json(path) if path.exists() else {}
    before = kept["figures"] if kept.get("vqvae") == of_codes else {}
    noted = before | {name: astuple(figure) for name, figure in figures.items()}
    write_json(path, {"vqvae": of_codes, "figures": noted})
    return {name: Estimate(*figure) for name, figure in noted.items()}


def _made_for(vqvae: nn.Module | None) -> str:
    return "" if vqvae is None else checksum(vqvae)


def _path(workspace: Workspace, name: str) -> Path:
    return workspace.path(f"own/{name}.pt")
