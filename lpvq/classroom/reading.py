r"""Read the file of a notebook, whoever wrote it, with any editor's encoding, line ends and format; or say why not.

What comes out is clean: text that can be written as UTF-8, line ends that are "\\n", cells that are dictionaries.
"""

import codecs
import json
from collections.abc import Mapping
from typing import Any

import nbformat

LARGEST_FILE = 50 * 2**20

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KINDS = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "an archive or an office document",
    b"Rar!": "a RAR archive, which cannot be opened here",
    b"7z\xbc\xaf": "a 7z archive, which cannot be opened here",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"<!DOC": "a web page",
    b"<html": "a web page",
}


class UnreadableError(Exception):
    """A file is not a notebook; the message says what it is instead, or what is wrong with it."""


def decoded(content: bytes) -> str:
    """Return the text of a file: by its mark, as UTF-8 or UTF-16, or else in the encoding of Windows in the West."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if content[1:2] == b"\0" or content[:1] == b"\0":
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def clean(text: str) -> str:
    """Return a text that can be written anywhere: half emojis replaced, line ends as Unix has them, no zero bytes."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # two halves in a row make a whole
    return whole.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def cleaned(value: Any) -> Any:
    """Return JSON's containers with each text in them, names included, as ``clean`` returns it."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(name)): cleaned(inner) for name, inner in value.items()}
    return [cleaned(inner) for inner in value] if isinstance(value, list) else value


def cells_of(content: bytes) -> list[Any]:
    """Return the cells of a notebook's file, whatever they are.

    Raises:
        UnreadableError: it is not a notebook, or larger than ``LARGEST_FILE`` bytes.
    """
    if len(content) > LARGEST_FILE:
        most = LARGEST_FILE // 2**20
        raise UnreadableError(
            f"the file has {len(content) / 2**20:.0f} MB or more, more than {most}: clear its outputs"
        )
    if not content.strip():
        raise UnreadableError("the file is empty")
    try:
        notebook = cleaned(json.loads(decoded(content)))
        if isinstance(notebook, dict) and notebook.get("nbformat") == 3:
            notebook = nbformat.convert(nbformat.from_dict(notebook), 4)
    except Exception as error:  # of many kinds: a file may be anything
        kind = next((kind for start, kind in _KINDS.items() if content.lstrip().startswith(start)), None)
        why = kind or f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise UnreadableError(f"the file is not a notebook ({why})") from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise UnreadableError("the file is not a notebook: it has no list of cells")
    return cells


def text_of(cell: Mapping) -> str:
    """Return the text of a cell, which may be a list of lines; nothing where it is neither."""
    text = cell.get("source", "")
    if isinstance(text, list):
        text = "".join(map(str, text))
    return text if isinstance(text, str) else ""


def pictures_of(cell: Mapping) -> dict[str, dict[str, str]]:
    """Return what was pasted into a cell, by name and kind: what can be a picture, and nothing else."""
    attached = cell.get("attachments")
    if not isinstance(attached, Mapping):
        return {}
    found = {}
    for name, kinds in attached.items():
        kept = {}
        for kind, value in kinds.items() if isinstance(kinds, Mapping) else ():
            text = "".join(map(str, value)) if isinstance(value, list) else value
            if isinstance(text, str) and str(kind).startswith("image/"):
                kept[str(kind)] = text
        if kept:
            found[str(name)] = kept
    return found
