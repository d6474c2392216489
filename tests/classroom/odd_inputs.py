"""What classes really hand in, by kind: each entry is one input that once cost somebody a grade, or might.

They are data: the tests say what has to come of them.
"""

# ruff: noqa: E501 (lines of data)

import base64
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import nbformat
from nbformat import NotebookNode, v4
from submissions import VECTORS, cell_of, solved

from lpvq.classroom.assignments import about

PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63"
        "f8cfc0f01f0005050102a5f2b8c80000000049454e44ae426082"
    )
).decode()

Spoil = Callable[[NotebookNode], object]


def _pasted(name: str, attachments: Any, text: str, where: str = "q1-8-answer") -> Spoil:
    def spoil(notebook: NotebookNode) -> None:
        cell = cell_of(notebook, where)
        cell.source += text
        cell["attachments"] = attachments

    return spoil


def _free(cell: dict[str, Any]) -> Spoil:
    return lambda notebook: notebook.cells.append(nbformat.from_dict(cell))


_SHOWN = "\n\n![a picture](attachment:image.png)"

# Attachments: pasted pictures, whole and broken. The notebook is graded, and a picture that is one is shown.
PASTED: dict[str, Spoil] = {
    "a screenshot": _pasted("", {"image.png": {"image/png": PNG}}, _SHOWN),
    "two kinds of one": _pasted("", {"image.png": {"text/plain": "x", "image/png": PNG}}, _SHOWN),
    "lines of base64": _pasted("", {"image.png": {"image/png": "\n".join([PNG[:40], PNG[40:], ""])}}, _SHOWN),
    "a list of lines": _pasted("", {"image.png": {"image/png": [PNG[:40] + "\n", PNG[40:]]}}, _SHOWN),
    "a name with spaces": _pasted("", {"my pic.png": {"image/png": PNG}}, "\n![](attachment:my%20pic.png)"),
    "a name with an accent": _pasted("", {"Bild-für-q8.png": {"image/png": PNG}}, "\n![](attachment:Bild-f%C3%BCr-q8.png)"),
    "no kind": _pasted("", {"image.png": {}}, _SHOWN),
    "not there": _pasted("", {}, _SHOWN),
    "a list": _pasted("", ["image.png"], _SHOWN),
    "nothing": _pasted("", None, _SHOWN),
    "a number for a picture": _pasted("", {"image.png": {"image/png": 3}}, _SHOWN),
    "no base64": _pasted("", {"image.png": {"image/png": "&&&"}}, _SHOWN),
    "a script for a picture": _pasted("", {"image.png": {"text/html": "<script>alert(1)</script>"}}, _SHOWN),
    "below code": _free({"cell_type": "code", "source": "1", "metadata": {}, "outputs": [], "attachments": {"a": 1}}),
    "in a note": _free({"cell_type": "markdown", "source": _SHOWN, "metadata": {},
                        "attachments": {"image.png": {"image/png": PNG}}}),
}  # fmt: skip

APPLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(100)

# Beside ada's notebook, by path: none of these counts, and none of them is a student.
LITTER: dict[str, bytes] = {
    "ada/.virtual_documents/1_vector_quantizer.ipynb": b"import torch\n",
    "ada/._1_vector_quantizer.ipynb": APPLE,
    "__MACOSX/ada/._1_vector_quantizer.ipynb": APPLE,
    "ada/.~1_vector_quantizer.ipynb": b"{}",
    "ada/.ipynb_checkpoints/1_vector_quantizer-checkpoint.ipynb": b"{}",
    "ada/1_vector_quantizer-checkpoint.ipynb": b'{"cells": [], "nbformat": 4}',
    "ada/~$notes.docx": b"\x03ada",
    "ada/.DS_Store": b"\x00\x00\x00\x01Bud1",
    ".DS_Store": b"\x00\x00\x00\x01Bud1",
    "ada/Thumbs.db": b"\xd0\xcf\x11\xe0",
    "desktop.ini": b"[.ShellClassInfo]\r\n",
    "ada/.git/objects/ab/cd": b"x\x01",
    "ada/__pycache__/torch.cpython-311.pyc": b"\xa7\r\r\n",
    "ada/.Trash-1000/files/1_vector_quantizer.ipynb": b"{}",
    ".Rhistory": b"",
}


def whole(student: str) -> bytes:
    """A right notebook's file."""
    return nbformat.writes(solved(VECTORS, student)).encode()


def zipped(*members: tuple[str, bytes], **options: Any) -> bytes:
    """An archive of members (name, content)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 20, 10, 0, 0)), content)
    return buffer.getvalue()


def tarred(*members: tuple[str, bytes]) -> bytes:
    """The same as a .tar.gz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members:
            about_it = tarfile.TarInfo(name)
            about_it.size = len(content)
            archive.addfile(about_it, io.BytesIO(content))
    return buffer.getvalue()


# What one student's folder holds, and whether that can be graded: {name: content}, expected.
ENDINGS: dict[str, tuple[dict[str, bytes], bool]] = {
    "json": ({"1_vector_quantizer.ipynb.json": whole("json")}, True),
    "txt": ({"1_vector_quantizer.ipynb.txt": whole("txt")}, True),
    "capitals": ({"HOMEWORK.IPYNB": whole("capitals")}, True),
    "py": ({"1_vector_quantizer.py": whole("py")}, True),
    "no-ending": ({"homework": whole("no-ending")}, True),
    "download": ({"1_vector_quantizer.ipynb.download": whole("download")}, True),
    "copy": ({"1_vector_quantizer (1).ipynb": whole("copy")}, True),
    "bracket": ({"1_vector_quantizer.ipynb (1)": whole("bracket")}, True),
    "zip": ({"homework.zip": zipped(("1_vector_quantizer.ipynb", whole("zip")))}, True),
    "ipynb-zip": ({"homework.ipynb": zipped(("1_vector_quantizer.ipynb", whole("ipynb-zip")))}, True),
    "deep-zip": ({"a.zip": zipped(("a/b/c.zip", zipped(("x/1_vector_quantizer.ipynb", whole("deep-zip")))))}, True),
    "tar": ({"homework.tar.gz": tarred(("1_vector_quantizer.ipynb", whole("tar")))}, True),
    "mac-zip": ({"h.zip": zipped(("h/1.ipynb", whole("mac-zip")), ("__MACOSX/h/._1.ipynb", APPLE))}, True),
    "script": ({"1_vector_quantizer.py": b"import torch\n"}, False),
    "pdf": ({"homework.pdf": b"%PDF-1.7\n"}, False),
    "html": ({"1_vector_quantizer.html": b"<!DOCTYPE html><html></html>"}, False),
    "docx": ({"homework.docx": zipped(("word/document.xml", b"<w/>"))}, False),
    "rar": ({"homework.rar": b"Rar!\x1a\x07\x01\x00"}, False),
    "seven": ({"homework.7z": b"7z\xbc\xaf\x27\x1c"}, False),
    "broken-zip": ({"homework.zip": zipped(("a.ipynb", whole("x")))[:-40]}, False),
    "empty-zip": ({"homework.zip": zipped()}, False),
    "empty-file": ({"1_vector_quantizer.ipynb": b""}, False),
    "climbing": ({"h.zip": zipped(("../../etc/cron.d/x", b"x"), ("/abs", b"y"))}, False),
    "nothing": ({}, False),
}


def plain(student: str) -> dict[str, Any]:
    """A right notebook as plain dictionaries, as a file holds it."""
    return json.loads(whole(student))


def _crlf(content: dict[str, Any]) -> dict[str, Any]:
    for cell in content["cells"]:
        cell["source"] = [line.replace("\n", "\r\n") for line in cell["source"]]
    return content


def _each(content: dict[str, Any], change: Callable[[int, dict[str, Any]], object]) -> dict[str, Any]:
    for number, cell in enumerate(content["cells"]):
        change(number, cell)
    return content


def _one_string(number: int, cell: dict[str, Any]) -> None:
    cell["source"] = "".join(cell["source"])
    cell["metadata"].update({"id": f"x{number}", "outputId": "0a1b", "colab": {"base_uri": "https://localhost:8080/"}})
    del cell["id"]


def _old(content: dict[str, Any], minor: int) -> dict[str, Any]:
    content["nbformat_minor"] = minor
    content["metadata"] = {"kernelspec": {"display_name": "Python 2", "language": "python", "name": "python2"}}
    return _each(content, lambda _, cell: cell.pop("id", None))


def _text(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1)


# The same right answers, as other editors save them: all points, and nothing to remark.
EDITORS: dict[str, bytes] = {
    "crlf": _text(_crlf(plain("crlf"))).encode(),
    "crlf-file": _text(plain("crlf-file")).replace("\n", "\r\n").encode(),
    "old-mac": _text(_each(plain("old-mac"), lambda _, c: c.update(source="".join(c["source"]).replace("\n", "\r")))).encode(),
    "bom": _text(plain("bom")).encode("utf-8-sig"),
    "utf16": _text(plain("utf16")).encode("utf-16"),
    "utf16-be": b"\xfe\xff" + _text(plain("utf16-be")).encode("utf-16-be"),
    "utf16-no-mark": _text(plain("utf16-no-mark")).encode("utf-16-le"),
    "utf32": _text(plain("utf32")).encode("utf-32"),
    "cp1252": _text(plain("cp1252")).replace("β", "beta").replace("γ", "gamma").encode("cp1252", "replace"),
    "4-0": _text(_old(plain("4-0"), 0)).encode(),
    "4-2": _text(_old(plain("4-2"), 2)).encode(),
    "4-4": _text(_old(plain("4-4"), 4)).encode(),
    "4-9": _text({**plain("4-9"), "nbformat_minor": 9}).encode(),
    "colab": _text(_each({**plain("colab"), "nbformat_minor": 0}, _one_string)).encode(),
    "same-ids": _text(_each(plain("same-ids"), lambda _, cell: cell.update(id="same"))).encode(),
    "bad-ids": _text(_each(plain("bad-ids"), lambda n, cell: cell.update(id=f"ä {n}" * 40))).encode(),
    "vscode": _text(_each(plain("vscode"), lambda _, c: c["metadata"].update(vscode={"languageId": "python"}))).encode(),
    "spaces": _text(_each(plain("spaces"), lambda _, c: c.update(source="".join(c["source"]) + "  \n\n"))).encode(),
    "trailing": _text(_each(plain("trailing"), lambda _, c: c.update(source="".join(c["source"]).replace("\n", " \n")))).encode(),
    "no-metadata": _text({key: value for key, value in plain("no-metadata").items() if key != "metadata"}).encode(),
}  # fmt: skip

_HALF = "\ud83d"

# Characters that cannot be written, and outputs that are none: all tested points.
ODD_TEXT: dict[str, Spoil] = {
    "half an emoji in a note": lambda n: n.cells.append(v4.new_markdown_cell(f"done {_HALF}")),
    "in an answer": lambda n: cell_of(n, "q1-8-answer").update(source="It collapsed \ude00 because of the start."),
    "in code": lambda n: n.cells.append(v4.new_code_cell(f"# finished {_HALF}\n1 + 1")),
    "in a tested answer": lambda n: cell_of(n, "q1-2-answer").update(
        source=cell_of(n, "q1-2-answer").source + f"  # {_HALF}"
    ),
    "in the id": lambda n: n.cells[1].update(source=f'STUDENT = "ada{_HALF}"'),
    "in metadata": lambda n: n.metadata.update({f"x{_HALF}": _HALF}),
    "in an attachment's name": lambda n: cell_of(n, "q1-8-answer").update(attachments={_HALF: {"image/png": PNG}}),
    "a zero byte": lambda n: n.cells.append(v4.new_markdown_cell("a\0b")),
    "a zero byte in code": lambda n: n.cells.append(v4.new_code_cell("'a\0b'")),
    "escapes of a terminal": lambda n: n.cells.append(v4.new_markdown_cell("\x1b[2J\x1b]0;pwned\x07")),
    "right to left": lambda n: n.cells.append(v4.new_markdown_cell("\u202egnp.exe")),
    "a mark in the middle": lambda n: n.cells.append(v4.new_code_cell("\ufeff1 + 1")),
    "whole planes": lambda n: n.cells.append(v4.new_markdown_cell("\U0010ffff\ufffe\x85\u2028")),
}

# Run in one kernel: each cell shows something that a page has to bear.
ODD_OUTPUTS: dict[str, str] = {
    "halves printed": "print(chr(0xdce9) + ' and ' + chr(0xd83d))",
    "live widgets": "import ipywidgets\nipywidgets.IntSlider()",
    "a bar": "from tqdm.auto import tqdm\nfor i in tqdm(range(3)): pass",
    "no picture": "from IPython.display import display\ndisplay({'image/png': 'no picture', 'text/plain': 'x'}, raw=True)",
    "half of HTML": "display({'image/svg+xml': '<svg', 'text/html': '<div', 'application/json': {'a': 1}}, raw=True)",
    "no formula": r"display({'text/latex': '$$\\frac{'}, raw=True)",
    "an empty one": "display({}, raw=True)",
    "a number for a text": "display({'text/plain': 3, 'text/html': None}, raw=True)",
    "a list for a picture": "display({'image/png': ['a', 1]}, raw=True)",
    "a strange kind": "display({'application/x-\"><script>alert(1)</script>': 'x'}, raw=True)",
    "metadata": "display({'image/png': 'iVBORw0KGgo='}, metadata={'image/png': {'width': '1 onload=alert(1)'}}, raw=True)",
    "cleared": "from IPython.display import clear_output\nprint('a')\nclear_output(wait=True)\nprint('b')",
    "updated": "h = display('x', display_id='h')\nh.update('y')",
    "bytes": "import sys\nsys.stdout.buffer.write(b'\\xff\\xfe') if hasattr(sys.stdout, 'buffer') else None",
}


def _move(name: str, before: str | None) -> Spoil:
    def spoil(notebook: NotebookNode) -> None:
        index = next(i for i, cell in enumerate(notebook.cells) if about(cell).get("grade_id") == name)
        cell = notebook.cells.pop(index)
        names = [about(one).get("grade_id") for one in notebook.cells]
        notebook.cells.insert(len(names) if before is None else names.index(before), cell)

    return spoil


def _reverse(notebook: NotebookNode) -> None:
    notebook.cells.reverse()


def _swap(notebook: NotebookNode) -> None:
    _move("q1-2-answer", "q1-1-answer")(notebook)
    _move("q1-1-answer", "q1-3-answer")(notebook)


# Cells that were moved: what a notebook needs is put back in order, and what is the student's own stays.
MOVED: dict[str, Spoil] = {
    "setup at the end": _move("q1-setup", None),
    "a test above its answer": _move("q1-2-tests", "q1-2-answer"),
    "a test at the start": _move("q1-7-tests", "q1-setup"),
    "an answer at the end": _move("q1-1-answer", None),
    "an answer below its tests": _move("q1-4-answer", "q1-5-start-answer"),
    "two answers swapped": _swap,
    "the numbers below their answer": _move("q1-7-numbers", "q1-7-tests"),
    "all of it backwards": _reverse,
    "the id at the end": lambda n: n.cells.append(n.cells.pop(1)),
    "the id before everything": lambda n: n.cells.insert(0, n.cells.pop(1)),
    "the written answer at the start": _move("q1-8-answer", "q1-setup"),
    "setup below the first answer": _move("q1-setup", "q1-1-tests"),
}

# Cells that would show hidden tests where the feedback is read.
TELLTALE: dict[str, str] = {
    "history": "%history",
    "history -n -o": "%history -n -o",
    "the list": "print(In[-6:])",
    "each input": "for text in In:\n    print(text)",
    "_ih": "print(_ih)",
    "_i": "print(_i, _ii, _iii)",
    "the manager": "print(get_ipython().history_manager.input_hist_raw)",
    "as a value": "In[-5:]",
    "as HTML": "from IPython.display import HTML\nHTML('<pre>' + '\\n'.join(In) + '</pre>')",
    "as markdown": "from IPython.display import Markdown\nMarkdown('\\n'.join(In))",
    "rerun": "%recall 1-20",
    "the database": "print(list(get_ipython().history_manager.get_tail(50)))",
    "the lines that are cached": "import linecache\nfor lines in linecache.cache.values():\n    print(''.join(lines[2]) if len(lines) > 2 else '')",
}  # fmt: skip
