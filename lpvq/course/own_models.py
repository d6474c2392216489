"""The models that readers have built and trained in one notebook, for the notebooks after it."""

from pathlib import Path
from typing import Any

from torch import nn

from lpvq.course.definitions import definitions
from lpvq.errors import InputError
from lpvq.experiments.workspace import Workspace
from lpvq.files import read_tensors, write_tensors


def keep(workspace: Workspace, model: nn.Module, **arguments: Any) -> None:
    """Keep a model of a class that is defined in a notebook, in the workspace's folder.

    Args:
        workspace: where to.
        model: what to keep.
        arguments: those that the model was made with; numbers and texts.
    """
    kept = {"arguments": arguments, "weights": model.state_dict()}
    write_tensors(_path(workspace, type(model).__name__), kept, checked=True)


def find(workspace: Workspace, notebook: str | Path, name: str) -> nn.Module | None:
    """Return the model that a notebook has kept, ready to be used, on the workspace's device; None if there is none.

    Args:
        workspace: where from.
        notebook: the path of the notebook that defines its class.
        name: of the class.

    Raises:
        InputError: the notebook does not define the class, or the weights do not fit it any more.
    """
    path = _path(workspace, name)
    if not path.exists():
        return None
    kept = read_tensors(path, checked=True)
    try:
        model: nn.Module = getattr(definitions(notebook, name), name)(**kept["arguments"])
        model.load_state_dict(kept["weights"])
    except (TypeError, RuntimeError) as error:
        message = f"{name} in {Path(notebook).name} is not what it was when it was trained; run that notebook again"
        raise InputError(message) from error
    return model.to(workspace.device).eval()


def _path(workspace: Workspace, name: str) -> Path:
    return workspace.path(f"own/{name}.pt")
