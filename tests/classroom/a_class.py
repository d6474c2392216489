"""A class made by chance from a seed: what each hands in, in which layout, and what has to come of it."""

# ruff: noqa: E501 (lines of data)

import json
import os
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from submissions import VECTORS, WRONG, about, begun_with, solved

DUE = datetime(2026, 11, 20, 12)
KINDS = ("right", "wrong", "copied", "late", "untouched", "nothing", "hostile")
_SHARES = (8, 4, 2, 2, 2, 1, 1)  # of twenty
_PLANNED: list[Callable[[NotebookNode], object]] = [
    begun_with("import os, signal\nfor n in (signal.SIGSTOP, signal.SIGKILL):\n    try:\n        os.kill(os.getppid(), n)\n    except OSError: pass"),
    begun_with("import os\nfor name in ('result.json', 'job.json'):\n    try:\n        open('../' + name, 'w').write('{}')\n    except OSError: pass"),
    begun_with("import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import os, time; os.setsid(); time.sleep(900)'])"),
    begun_with("print('x' * 10**7)\nprint(In)"),
    begun_with("try:\n    with open('fill', 'wb') as f:\n        while True: f.write(bytes(2**20))\nexcept OSError: pass"),
    begun_with("k = get_ipython().kernel\nk.send_response(k.iopub_socket, 'execute_result', {'data': 3, 'execution_count': 'x'})"),
]  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A student, and what has to come of what is handed in.

    Attributes:
        name: as the table has it.
        kind: one of ``KINDS``.
        total: the points of all tests; None for no grade.
        copied_from: whose answers these are; None for nobody's.
    """

    name: str
    kind: str
    total: float | None
    copied_from: str | None = None


def make(folder: Path, size: int, seed: int = 0) -> list[Member]:
    """Write what a class hands in, and return the class."""
    chance = random.Random(seed)
    kinds = list(KINDS[:size]) + chance.choices(KINDS, _SHARES, k=max(0, size - len(KINDS)))
    members, originals = [], []
    archive, canvas = zipfile.ZipFile(folder / "all.zip", "w"), zipfile.ZipFile(folder / "canvas.zip", "w")
    with archive, canvas:
        for number, kind in enumerate(kinds):
            login, layout = f"student{number:03}", number % 6
            name = {1: f"Name{number} Surname_{4000 + number}_assignsubmission_file_", 2: f"{login}_{7000 + number}",
                    3: f"Zipped{number}_{5000 + number}_assignsubmission_file_"}.get(layout, login)  # fmt: skip
            notebook, total, original = _made(kind, number, login, name, chance, originals)
            members.append(Member(name, kind, total, original))
            content = None if notebook is None else json.dumps(notebook).encode()
            when = DUE.timestamp() + (3600 if kind == "late" else -86400)
            _hand_in(folder, layout, number, name, login, content, when, archive, canvas)
    return members


def _made(
    kind: str, number: int, login: str, name: str, chance: random.Random, originals: list[tuple[str, NotebookNode]]
) -> tuple[NotebookNode | None, float | None, str | None]:
    """A notebook, its points, and whose answers they are."""
    if kind == "nothing":
        return None, None, None
    if kind == "untouched":
        return VECTORS.release, 0.0, None
    if kind == "copied" and originals:
        original, notebook = chance.choice(originals)
        notebook = nbformat.from_dict(json.loads(json.dumps(notebook)))
        for cell in notebook.cells:
            if cell.source.startswith("STUDENT ="):
                cell.source = f'STUDENT = "{login}"'
            elif about(cell).get("solution"):
                cell.source = cell.source.replace("codebook", "cb") + "\n"
        return notebook, 17.0, original
    if kind == "wrong":
        wrong = chance.choice([wrong for wrong in WRONG if wrong.assignment is VECTORS])
        lost = sum(question.points for question in VECTORS.questions if question.name in wrong.loses)
        return _in_own_words(wrong.notebook(login), number), 17.0 - lost, None
    notebook = _in_own_words(solved(VECTORS, login), number)
    if kind == "hostile":
        _PLANNED[number % len(_PLANNED)](notebook)
    else:
        originals.append((name, notebook))
    return notebook, 17.0, None


def _in_own_words(notebook: NotebookNode, number: int) -> NotebookNode:
    """The same answers as a different person would write them: nobody's are alike by themselves."""
    chance = random.Random(number)
    for cell in notebook.cells:
        if about(cell).get("solution") and cell.cell_type == "code":
            signs = "".join(f"{chance.randrange(9)} {chance.choice('+-*&|^')} " for _ in range(60))
            cell.source += f"\n\nmy_check = {signs}1"
        elif about(cell).get("solution"):
            cell.source = " ".join(
                chance.choice(["entry", "vector", "start", "cure", "chosen", "far"]) + str(chance.randrange(99))
                for _ in range(80)
            )
    return notebook


def _hand_in(
    folder: Path, layout: int, number: int, name: str, login: str, content: bytes | None, when: float,
    archive: zipfile.ZipFile, canvas: zipfile.ZipFile,
) -> None:  # fmt: skip
    """Write a file where a platform, in one of six layouts, would have it."""
    stamp = datetime.fromtimestamp(when).timetuple()[:6]
    if layout in (2, 3):
        inside = (
            f"{login}_{7000 + number}_81{number}_{VECTORS.name}.ipynb" if layout == 2 else f"{name}/homework (1).ipynb"
        )
        (canvas if layout == 2 else archive).writestr(
            zipfile.ZipInfo(inside if content else f"{inside}.pdf", stamp), content or b"%PDF-1.7"
        )
        return
    path = {
        0: folder / name / VECTORS.name / f"{VECTORS.name}.ipynb",
        1: folder / name / "homework.ipynb.json",
        4: folder / f"{name}.ipynb",
        5: folder / name / "HOMEWORK.IPYNB",
    }[layout]
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path = path.with_suffix(".pdf")
    path.write_bytes(content or b"%PDF-1.7")
    os.utime(path, (when, when))


def complaints(members: list[Member], rows: list[dict[str, str]], pairs: set[frozenset[str]]) -> list[str]:
    """Return what did not come out as planned."""
    by_name = {row["student"]: row for row in rows}
    said = [f"{row}: not in the class" for row in by_name if row not in {member.name for member in members}]
    for member in members:
        row = by_name.get(member.name)
        if row is None:
            said.append(f"{member.name} ({member.kind}) is not in the table")
            continue
        expected = "" if member.total is None else f"{member.total * (0.9 if member.kind == 'late' else 1):g}"
        if row["total"] != expected:
            said.append(
                f"{member.name} ({member.kind}): {row['total']!r}, expected {expected!r}: {row['remarks'][:300]}"
            )
        if member.copied_from and frozenset((member.name, member.copied_from)) not in pairs:
            said.append(f"{member.name} copied from {member.copied_from}, and nobody noticed")
    known = {frozenset((member.name, member.copied_from)) for member in members if member.copied_from}
    related = {name for pair in known for name in pair}
    said += [f"{sorted(pair)} are not alike" for pair in pairs if not pair <= related]
    return said
