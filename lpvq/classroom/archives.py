"""Files as they were handed in: in folders, in archives, in archives in archives. Nothing is ever unpacked to disk.

Only plain files are read, each up to a limit: no link is followed, no pipe or device opened.
"""

import io
import os
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lpvq.classroom.names import shown
from lpvq.classroom.reading import LARGEST_FILE

_MOST_FILES = 20_000  # of a class; in one archive a tenth of them
_DEEPEST = 12
_LARGEST_ARCHIVE = 2**30
_JUNK = {"thumbs.db", "desktop.ini", "__macosx", "__pycache__", "node_modules", "venv", "$recycle.bin", "icon\r"}
_OFFICE = (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".pages", ".numbers", ".whl", ".jar")


@dataclass(frozen=True)
class Item:
    """A file that was handed in, or what stands in its place.

    Attributes:
        parts: its path below the folder, through archives, in readable form.
        time: when it was written, in seconds since 1970.
        read: returns its content, at most one byte more than ``LARGEST_FILE``.
        trouble: why it cannot be read; None where it can.
        path: where it lies on disk; None in an archive.
    """

    parts: tuple[str, ...]
    time: float
    read: Callable[[], bytes]
    trouble: str | None = None
    path: str | None = None

    @property
    def name(self) -> str:
        """The last part."""
        return self.parts[-1]


def is_junk(name: str) -> bool:
    """Return whether a name is of something that an editor or a system leaves behind."""
    low = name.lower()
    is_checkpoint = low.endswith("-checkpoint.ipynb")
    return low.startswith((".", "~$", "._")) or low in _JUNK or is_checkpoint


def walk(folder: Path) -> Iterator[Item]:
    """Yield what lies below a folder, empty folders included (as items with the trouble "empty")."""
    for count, item in enumerate(_walk(os.fspath(folder), ())):
        if count >= _MOST_FILES:
            yield _trouble(item.parts[:1], f"more than {_MOST_FILES} files in all: the rest was not looked at")
            return
        yield item


def _walk(folder: str, above: tuple[str, ...]) -> Iterator[Item]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield _trouble(above, f"cannot be opened ({error.strerror})")
        return
    kept = [entry for entry in entries if not is_junk(entry.name)]
    if not kept and above:
        yield _trouble(above, "empty")
    for entry in kept:
        parts = (*above, shown(entry.name))
        try:
            about = entry.stat(follow_symlinks=False)
        except OSError as error:
            yield _trouble(parts, f"cannot be looked at ({error.strerror})")
            continue
        if stat.S_ISDIR(about.st_mode):
            if len(parts) > _DEEPEST:
                yield _trouble(parts, "too many folders in each other")
            else:
                yield from _walk(entry.path, parts)
        elif stat.S_ISREG(about.st_mode):
            yield from _opened(Item(parts, about.st_mtime, _reader(entry.path), path=entry.path))
        else:
            yield _trouble(
                parts, "a link" if stat.S_ISLNK(about.st_mode) else "no file but a pipe, a socket or a device"
            )


def _trouble(parts: tuple[str, ...], why: str) -> Item:
    return Item(parts, 0.0, lambda: b"", why)


def _reader(path: str, most: int = LARGEST_FILE + 1) -> Callable[[], bytes]:
    def read() -> bytes:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        number = os.open(path, flags | getattr(os, "O_BINARY", 0))
        with open(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):  # it has been swapped since it was listed
                raise OSError(f"{path} is no plain file")
            return file.read(most)

    return read


def _opened(item: Item) -> Iterator[Item]:
    """An item or, if it is an archive, what is in it."""
    try:
        read = item.read if item.path is None else _reader(item.path, 512)
        start = b"" if item.name.lower().endswith(_OFFICE) else read()[:512]
    except OSError as error:
        yield _trouble(item.parts, f"cannot be read ({error.strerror or error})")
        return
    is_zip, is_tar = start.startswith(b"PK\x03\x04") or start.startswith(b"PK\x05\x06"), _is_tar(start, item.name)
    if not (is_zip or is_tar):
        yield item
        return
    if len(item.parts) > _DEEPEST:
        yield _trouble(item.parts, "too many archives in each other")
        return
    found = False
    try:
        for inner in (_in_zip if is_zip else _in_tar)(item):
            found = True
            yield from _opened(inner) if inner.trouble is None else (inner,)
    except Exception as error:  # a broken archive raises many kinds
        yield _trouble(item.parts, f"an archive that cannot be opened ({type(error).__name__}: {str(error)[:80]})")
        return
    if not found:
        yield _trouble(item.parts, "an empty archive")


def _is_tar(start: bytes, name: str) -> bool:
    low = name.lower()
    return start[257:262] == b"ustar" or low.endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))


def _inner_parts(item: Item, name: str) -> tuple[str, ...] | None:
    """The path of an archive's member; None for what does not count. It opens nothing, so ``..`` is only a name."""
    parts = tuple(shown(part) for part in name.replace("\\", "/").split("/") if part not in ("", ".", ".."))
    return None if not parts or any(is_junk(part) for part in parts) else (*item.parts, *parts)


def _in_zip(item: Item) -> Iterator[Item]:
    content = item.read() if item.path is None else b""  # that of a whole class may be large, and stays on disk
    if len(content) > LARGEST_FILE:
        yield _trouble(item.parts, f"an archive of more than {LARGEST_FILE // 2**20} MB: unpack it")
        return
    with zipfile.ZipFile(item.path or io.BytesIO(content)) as archive:
        members = archive.infolist()
    if len(members) > _MOST_FILES // 10 or sum(one.file_size for one in members) > _LARGEST_ARCHIVE:
        yield _trouble(item.parts, "an archive with too much in it: unpack it")
        return
    for member in members:
        parts = _inner_parts(item, _zip_name(member))
        if parts is None or member.is_dir():
            continue
        if member.flag_bits & 1:
            yield _trouble(parts, "encrypted")
        elif stat.S_ISLNK(member.external_attr >> 16):
            yield _trouble(parts, "a link")
        else:
            yield Item(parts, _zip_time(member), _zip_reader(item.path, content, member))


def _zip_reader(path: str | None, content: bytes, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with zipfile.ZipFile(path or io.BytesIO(content)) as archive, archive.open(member) as file:
            return file.read(LARGEST_FILE + 1)  # however large it says that it is

    return read


def _zip_name(member: zipfile.ZipInfo) -> str:
    """The name of a member; many programs write UTF-8 without saying so, which then reads as a code page of 1981."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _zip_time(member: zipfile.ZipInfo) -> float:
    try:
        return time.mktime((*member.date_time, 0, 0, -1))
    except (ValueError, OverflowError):
        return 0.0


def _in_tar(item: Item) -> Iterator[Item]:
    left = _LARGEST_ARCHIVE // 4
    with tarfile.open(name=item.path) if item.path else tarfile.open(fileobj=io.BytesIO(item.read())) as archive:
        for number, member in enumerate(archive):
            parts = _inner_parts(item, member.name)
            left -= member.size
            if number > _MOST_FILES // 10 or left < 0:
                yield _trouble(item.parts, "an archive with too much in it: unpack it")
                return
            if parts is None or member.isdir():
                continue
            file = archive.extractfile(member) if member.isreg() else None
            if file is None:
                yield _trouble(parts, "a link, a pipe or a device")
                continue
            content = file.read(LARGEST_FILE + 1)
            yield Item(parts, float(member.mtime), lambda content=content: content)  # type: ignore[misc]
