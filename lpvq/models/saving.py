"""Models that can be saved and loaded by their class: ``save_pretrained`` and ``from_pretrained``."""

from pathlib import Path
from typing import Any, ClassVar, Self

from torch import nn

from lpvq.errors import InputError
from lpvq.files import load_model, save_model


class Pretrained(nn.Module):
    """A model whose weights (a plain state dict) and configuration (JSON beside it) can be saved and loaded.

    Attributes:
        config: the arguments that the model was made with, as plain Python values.
    """

    FILE: ClassVar[str]
    """The name of the weights' file in a folder."""

    config: dict[str, Any]

    def save_pretrained(self, path: str | Path) -> None:
        """Write the weights and the configuration, atomically.

        Args:
            path: a folder, which is made where there is none and gets ``FILE``; or a file ending in ``.pt``. The
                configuration goes beside it, under the same name ending in ``.json``. ``~`` is the user's home.

        Raises:
            InputError: ``path`` is a file that does not end in ``.pt``.
            OSError: the disk is full or not writable.
        """
        save_model(self, self._file(path))

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Self:
        """Return the model that was written to ``path``, in eval mode, on the CPU. No pickled code is run.

        Args:
            path: the folder or the file ending in ``.pt`` that ``save_pretrained`` wrote to. ``~`` is the user's home.

        Raises:
            InputError: the files are missing, damaged, foreign, or of another kind of model.
        """
        return load_model(cls, cls._file(path))[0]

    @classmethod
    def _file(cls, path: str | Path) -> Path:
        """The weights' file."""
        path = Path(path).expanduser()
        if path.suffix == ".pt" and not path.is_dir():
            return path
        if path.is_file():
            raise InputError(f"{path} is a file; expected a folder, or the name of a file ending in .pt")
        return path / cls.FILE
