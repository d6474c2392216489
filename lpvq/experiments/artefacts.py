"""The artefacts of one folder: found, kept, and made by one process at a time.

What is kept says what it was made from (its *settings*, down to a checksum of the pixels), and is never used for
anything else.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock, Timeout

from lpvq.errors import InputError
from lpvq.files import load_model, read_json, save_model
from lpvq.models.saving import Pretrained

Model = TypeVar("Model", bound=Pretrained)
About = dict[str, Any]
"""What the JSON file beside a model's weights says."""

# Of all settings, those that change when somebody replaces pictures. What was made of the old ones is made anew; where
# other settings differ, somebody asks for another model, and what is there may have taken hours.
_OF_DATA = {"data_checksum", "vqvae_checksum"}


class ArtefactStore:
    """The artefacts below a folder.

    Args:
        folder: where they lie, or will.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Return where the artefact ``name`` is or will be."""
        return self.folder / name

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other process make anything here meanwhile: two notebooks may want the same model."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path(".lock"), is_singleton=True)  # one per path, so it may be held more than once here
        try:
            lock.acquire(blocking=False)
        except Timeout:
            print(f"another process is at work in {self.folder}: waiting for it", flush=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def find(
        self, kind: type[Model], name: str, settings: Mapping[str, Any], device: torch.device
    ) -> tuple[Model, About] | None:
        """Load a model that was kept.

        Args:
            kind: its class.
            name: of its file, without ``.pt``.
            settings: what it has to be made from.
            device: where it goes.

        Returns:
            the model, in eval mode, and what its JSON file says; None where there is none, or only one of other data.

        Raises:
            InputError: it was made with other settings, or is damaged.
        """
        path = self.path(f"{name}.pt")
        if not path.with_suffix(".json").exists():
            return None
        about = read_json(path.with_suffix(".json"))
        there = about.get("settings") if isinstance(about, dict) else None
        if isinstance(there, dict):
            other = [key for key in settings if there.get(key) != settings[key]]
            if other and _OF_DATA.issuperset(other):
                print(f"{path} was made from other images or codes than there are now: it is made anew", flush=True)
                return None
            if other:
                differences = ", ".join(f"{key} was {there.get(key)!r}, is {settings[key]!r}" for key in other)
                raise InputError(
                    f"{path} was made with other settings ({differences}): delete it or choose another output"
                )
        model, about = load_model(kind, path)
        return model.to(device), about

    def keep(self, model: Pretrained, name: str, about: About) -> None:
        """Keep a model and what is to be said of it; its checkpoint has served."""
        save_model(model, self.path(f"{name}.pt"), about)
        self.discard_checkpoint(name)

    def discard_checkpoint(self, name: str) -> None:
        """Remove the checkpoint of a model, and what a killed process may have left of one."""
        path = self.path(f"{name}.checkpoint")
        for leftover in (path, *path.parent.glob(f".{path.stem}.*")):
            leftover.unlink(missing_ok=True)
