"""What a study gives."""

from typing import Any, NamedTuple

from matplotlib.figure import Figure

from lpvq.errors import InputError
from lpvq.experiments.workspace import Workspace


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


def need_smileys(workspace: Workspace) -> None:
    """Check that the images of a workspace are rendered ones.

    Raises:
        InputError: they are not.
    """
    if workspace.test_data.factors is None:
        raise InputError(f"this study asks the renderer of the smileys for the truth; {workspace.dataset} has none")
