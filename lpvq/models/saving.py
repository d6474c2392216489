"""Models that can be saved and loaded by their class: ``save_pretrained`` and ``from_pretrained``."""

from pathlib import Path
from typing import Any, ClassVar, Self

from torch import nn

from lpvq.files import load_model, save_model


class Pretrained(nn.Module):
    """A model whose weights (a plain state dict) and configuration (JSON beside it) can be saved and loaded.

    Attributes:
        config: the arguments that the model was made with.
    """

    FILE: ClassVar[str]
    """The name of the weights' file in a folder."""

    config: dict[str, Any]

    def save_pretrained(self, path: str | Path) -> None:
        """Write the weights and the configuration, atomically.

        Args:
            path: a folder, which gets ``FILE``; or a file ending in ``.pt``. The configuration goes beside it, as JSON.
        """
        save_model(self, self._file(path))

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Self:
        """Return the model that was written to ``path``, in eval mode, on the CPU. No pickled code is run.

        Args:
            path: as for ``save_pretrained``.

        Raises:
            InputError: the files are missing, damaged, foreign, or of another kind of model.
        """
        return load_model(cls, cls._file(path))[0]

    @classmethod
    def _file(cls, path: str | Path) -> Path:
        path = Path(path)
        return path if path.suffix == ".pt" else path / cls.FILE
