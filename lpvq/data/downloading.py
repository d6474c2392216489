"""Downloads of published sets: by https alone, whole or not at all, and kept only if every byte is right."""

import gzip
import hashlib
import io
import math
import tarfile
import zlib
from functools import partial
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from lpvq.data.catalogue import PublishedSet
from lpvq.files import write_atomically
from lpvq.runtime import progress

_AT_ONCE = 2**20
_PATIENCE = 60  # seconds without a byte


class DownloadError(Exception):
    """A set could not be downloaded; why is in the message, on one line."""


def download(published: PublishedSet, folder: Path) -> None:
    """Download a set, and write its files, uncompressed, to ``folder`` once all of them are there.

    Raises:
        DownloadError: there is no network, or the disk is full, or a file is not what ``published.sha256`` says; no
            file is then left half written.
    """
    try:
        contents = _unpack(published) if published.url.endswith(".tar.gz") else _fetch_each(published)
        for file, content in contents.items():
            found = hashlib.sha256(content).hexdigest()
            if found != published.sha256[file]:
                raise DownloadError(f"{file} from {published.url} has the SHA-256 {found}, not the one it should have")
        for file, content in contents.items():
            write_atomically(folder / file, content)
    except (OSError, EOFError, HTTPException, KeyError, tarfile.TarError, zlib.error) as error:
        raise DownloadError(" ".join(str(error).split()) or type(error).__name__) from error


def _fetch_each(published: PublishedSet) -> dict[str, bytes]:
    return {file: gzip.decompress(_fetch(published.url.format(file=file))) for file in published.sha256}


def _unpack(published: PublishedSet) -> dict[str, bytes]:
    """Read the files out of an archive, by name; nothing is unpacked to disk."""
    contents = {}
    with tarfile.open(fileobj=io.BytesIO(_fetch(published.url)), mode="r:gz") as archive:
        for file in published.sha256:
            member = archive.extractfile(f"{published.folder}/{file}")
            contents[file] = b"" if member is None else member.read()
    return contents


def _fetch(url: str) -> bytes:
    with urlopen(Request(url, headers={"User-Agent": "lpvq"}), timeout=_PATIENCE) as response:
        if not response.url.startswith("https://"):
            raise OSError(f"{url} leads to {response.url}, which is not https")
        total = None if response.length is None else math.ceil(response.length / _AT_ONCE)
        chunks = iter(partial(response.read, _AT_ONCE), b"")
        name = url.rpartition("/")[2]
        return b"".join(progress(chunks, f"downloading {name}", total=total, unit="MiB"))
