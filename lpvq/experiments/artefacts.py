"""The artefacts of one folder: found, kept, and made by one process at a time.

What is kept says what it was made from (its *settings*, down to a checksum of the pixels), and is never used for
anything else.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock, Timeout

from lpvq import distributed
from lpvq.errors import InputError
from lpvq.files import load_model, read_json, save_model
from lpvq.models.saving import Pretrained
from lpvq.training.trainer import History

T = TypeVar("T")
Model = TypeVar("Model", bound=Pretrained)
About = dict[str, Any]
"""What the JSON file beside a model's weights says, see ``ArtefactStore.keep``."""

# Of all settings, those that change when somebody replaces pictures. What was made from the old ones is made anew;
# where other settings differ, somebody wants a different model, and the one that is there may have taken hours.
_OF_DATA = {"data_checksum", "vqvae_checksum", "coarse_vqvae_checksum", "prior_checksum"}
_SAID: dict[str, Any] = {"settings": dict, "history": list, "seconds": int | float | None, "precision": str | None}


class ArtefactStore:
    """The artefacts below a folder, which is made when the first of them is.

    Args:
        folder: where they are, or will be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Return where the artefact ``name`` is or will be."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Whether a model was kept under this name, whatever it was made from."""
        return self.path(f"{name}.json").exists()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other process make anything here while this lasts: two notebooks may want the same model.

        Of several processes that share their work, the first sees to it, and the others wait for what it does next.
        """
        if not distributed.is_first():
            yield
            return
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

    def find_or_make(self, find: Callable[[], T | None], make: Callable[[], T]) -> T:
        """Return what is found, or what is made while no other process makes anything here.

        Args:
            find: looks for the artefact, and returns None where there is none. It is called again once this process is
                alone, as another may have made it. It must not share out work.
            make: makes and keeps the artefact, together with all processes that share their work.
        """
        found = self._find_together(find)
        if found is None:
            with self.alone():
                found = self._find_together(find)
                return make() if found is None else found
        return found

    def _find_together(self, find: Callable[[], T | None]) -> T | None:
        """What is found, in all processes that share their work: as the first one sees it."""
        if distributed.count() == 1:
            return find()
        mine: list[T | None] = []

        def look() -> bool:
            mine.append(find())
            return mine[0] is not None

        if not distributed.from_first(look):
            return None
        found = mine[0] if mine else find()
        if found is None:
            raise InputError(
                f"not all processes see the same files in {self.folder}: choose an output that all machines share"
            )
        return found

    def find(
        self, kind: type[Model], name: str, settings: Mapping[str, Any], device: torch.device
    ) -> tuple[Model, About] | None:
        """Load a model that was kept.

        Args:
            kind: its class.
            name: of its file, without ``.pt``.
            settings: what it must have been made from.
            device: where it goes.

        Returns:
            the model, in eval mode, and what its JSON file says; None where there is none, or only one made from other
            data.

        Raises:
            InputError: it was made with other settings, or is damaged.
        """
        if not self.has(name):
            return None
        path, described = self.path(f"{name}.pt"), self.path(f"{name}.json")
        about = read_json(described)
        missing = [key for key, kind_of in _SAID.items() if not _says(about, key, kind_of)]
        if missing:
            raise InputError(
                f"{described} does not say how {path.name} was made ({', '.join(missing)} missing): delete both files, "
                "or choose another output"
            )
        there = about["settings"]
        other = [key for key in settings if there.get(key) != settings[key]]
        named = [key for key in other if key not in _OF_DATA]
        if named:
            differences = ", ".join(f"{key} was {there.get(key)!r}, is {settings[key]!r}" for key in named)
            raise InputError(f"{path} was made with other settings ({differences}): delete it or choose another output")
        if other:
            return None
        model, about = load_model(kind, path)
        if self.path(f"{name}.checkpoint").exists():  # left by a process that was killed once it had kept the model
            with suppress(OSError):
                self.discard_checkpoint(name)
        return model.to(device), about

    def keep(self, model: Pretrained, name: str, settings: Mapping[str, Any], history: History) -> About:
        """Keep a model, and remove its checkpoint, which is no longer needed.

        Args:
            model: as ``find`` should return it.
            name: of its file, without ``.pt``.
            settings: what it was made from.
            history: of its training so far.

        Returns:
            what the JSON file beside it says: ``settings``, ``seconds`` of training, ``precision`` that it was trained
            in (both None before the first validation) and ``history``.
        """
        last: Mapping[str, Any] = history[-1] if history else {"seconds": None, "precision": None}
        about = {
            "settings": dict(settings),
            "seconds": last["seconds"],
            "precision": last["precision"],
            "history": list(history),
        }
        save_model(model, self.path(f"{name}.pt"), about)
        self.discard_checkpoint(name)
        return about

    def discard_checkpoint(self, name: str) -> None:
        """Remove the checkpoint of a model, and what a killed process may have left of one."""
        if not distributed.is_first():
            return
        path = self.path(f"{name}.checkpoint")
        for leftover in (path, *path.parent.glob(f".{path.stem}.*")):
            leftover.unlink(missing_ok=True)


def _says(about: Any, key: str, kind: Any) -> bool:
    return isinstance(about, dict) and key in about and isinstance(about[key], kind)
