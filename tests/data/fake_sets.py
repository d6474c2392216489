"""Small sets in the place of the published ones, which the package then takes for them."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from collections.abc import Iterable
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request

import numpy as np
import pytest

from lpvq.data import downloading
from lpvq.data.catalogue import PUBLISHED_SETS

TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def plain(path: Path) -> bytes:
    """What is in a file, gzipped or not."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def publish(patch: pytest.MonkeyPatch, name: str, files: dict[str, bytes]) -> None:
    """Have the package take these files for those of a published set."""
    sums = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    patch.setitem(PUBLISHED_SETS, name, PUBLISHED_SETS[name]._replace(sha256=sums))


def publish_folder(patch: pytest.MonkeyPatch, name: str, folder: Path) -> None:
    """The same, with the files that lie in a folder."""
    publish(patch, name, {path.name.removesuffix(".gz"): plain(path) for path in folder.iterdir() if path.is_file()})


def idx_files(
    names: Iterable[str] = TRAIN, fill: int | None = None, number: int = 12
) -> tuple[dict[str, bytes], np.ndarray, np.ndarray]:
    """Files of images (number, 28, 28), all ``fill`` or random, and of labels 0 … 9, 0 …; and both as arrays."""
    random = np.random.default_rng(0).integers(0, 256, (number, 28, 28))
    images = np.array(random if fill is None else np.full_like(random, fill), np.uint8)
    labels = np.array(np.arange(number) % 10, np.uint8)
    files = {}
    for name, values in zip(names, (images, labels), strict=True):
        header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
        files[name] = header + values.tobytes()
    return files, images, labels


def write_idx(
    folder: Path, names: Iterable[str] = TRAIN, fill: int | None = None, number: int = 12, zipped: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Write such files, gzipped or not; return the arrays."""
    files, images, labels = idx_files(names, fill, number)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(content) if zipped else content)
    return images, labels


def cifar_files() -> tuple[dict[str, bytes], dict[str, dict]]:
    """Batches of 4, 2 and 3 images; as files, and as they are pickled in them."""
    random = np.random.default_rng(0)
    batches = {
        name: {"data": random.integers(0, 256, (number, 3072), np.uint8), "labels": list(range(number))}
        for name, number in (("data_batch_1", 4), ("data_batch_2", 2), ("test_batch", 3))
    }
    return {name: pickle.dumps(batch) for name, batch in batches.items()}, batches


def archive_of(files: dict[str, bytes], folder: str) -> bytes:
    """A .tar.gz of files in a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class Response(io.BytesIO):
    """An answer from the network."""

    def __init__(self, url: str, content: bytes, length: int | None) -> None:
        super().__init__(content)
        self.url, self.length = url, length


class Network:
    """Stands for the network: serves what ``pages`` holds, records what was asked for, and fails for all else."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.pages: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.says_length = True
        self.asked: list[str] = []
        patch.setattr(downloading, "urlopen", self._open)

    def serve(self, name: str, files: dict[str, bytes]) -> None:
        """Serve a set as its publisher does: each file gzipped, or all in an archive."""
        published = PUBLISHED_SETS[name]
        if "{file}" in published.url:
            self.pages |= {published.url.format(file=file): gzip.compress(files[file]) for file in files}
        else:
            self.pages[published.url] = archive_of(files, published.folder)

    def _open(self, request: Request, timeout: float) -> Response:
        url = request.full_url
        self.asked.append(url)
        if url not in self.pages:
            raise URLError("no network")
        content = self.pages[url]
        return Response(self.moved.get(url, url), content, len(content) if self.says_length else None)
