"""Run a notebook that nobody has read: in a kernel of its own, with limits of time, memory, processes, disk and output.

``run`` starts ``runner.py`` as a process, which starts ``kernel.py``, locked in where the machine can do that (see
``lpvq.classroom.confinement``). The notebook goes to the runner through a pipe and its outputs come back through one,
and nothing but outputs: whatever the code does, the cells are those that were sent. Where nothing can be locked in,
the limits keep mistakes from doing harm, but do not stop somebody who means to: the code runs with the rights of
whoever runs it, and sees the files and the network that they see.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import psutil
from nbformat import NotebookNode, v4

from lpvq.classroom import confinement, watching
from lpvq.classroom.limits import Limits
from lpvq.classroom.reading import clean, cleaned
from lpvq.paths import CHECKOUT

_KEPT = ("PATH", "LANG", "LC_ALL", "LPVQ_DATA", "VIRTUAL_ENV")
_GRACE = 60  # the runner keeps the limits itself; this many seconds more are for one that cannot
_MOST_BYTES = 70  # of the path for temporary files: "/lpvq-abcdefgh/inner/kernel-ipc-5" comes after it
_RUNNER = Path(__file__).with_name("runner.py")
_KIND = re.compile(r"[\w.+-]+/[\w.+-]+")
_FULL = ("No space left on device", "Disk quota exceeded")


class CalledOffError(Exception):
    """A run was called off."""


@dataclass(frozen=True)
class Run:
    """What became of a notebook.

    Attributes:
        notebook: with its outputs. A cell that did not run to its end has an error, and one that was not
            reached has no ``execution_count``.
        stopped: what stopped it; None where nothing did.
        is_doubtful: whether a busy machine or a full disk may have had a part in it.
        is_lost: whether it says nothing about the notebook: it could not be run, or was killed from outside.
    """

    notebook: NotebookNode
    stopped: str | None = None
    is_doubtful: bool = False
    is_lost: bool = False


def run(
    notebook: NotebookNode,
    limits: Limits,
    cancelled: threading.Event | None = None,
    is_confined: bool = False,
    variables: Mapping[str, str] | None = None,
) -> Run:
    """Run a notebook, whatever it does, in a folder of its own that is removed afterwards.

    Cells that fail do not stop it. Its code sees ``NBGRADER_EXECUTION=autograde``, as under nbgrader, and the profile
    ``smoke``.

    Args:
        notebook: what to run; it is left as it is.
        limits: what it may take.
        cancelled: may be set by another thread, to call the run off.
        is_confined: lock the kernel in, which has to be possible here.
        variables: more for the environment.

    Raises:
        CalledOffError: ``cancelled`` was set.
    """
    notebook = deepcopy(notebook)
    with tempfile.TemporaryDirectory(prefix="lpvq-", dir=_place(), ignore_cleanup_errors=True) as name:
        folder = Path(name)
        home = confinement.HOME if is_confined else name
        environment = {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "HOME": home,  # not the home of whoever grades: nothing is to be left there for the next
            "IPYTHONDIR": f"{home}/ipython",
            "LPVQ_OUTPUT": f"{home}/output",
            "LPVQ_PROFILE": "smoke",
            "NBGRADER_EXECUTION": "autograde",
            "OMP_NUM_THREADS": "1",  # several notebooks run at the same time
            **({"PYTHONPATH": str(CHECKOUT)} if CHECKOUT else {}),  # this checkout, whichever is installed
            **({"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"} if is_confined else {}),
            **(variables or {}),
        }
        job = {"notebook": notebook, "limits": asdict(limits), "folder": name, "is_confined": is_confined}
        process = subprocess.Popen(
            [sys.executable, "-P", str(_RUNNER)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for whoever waits, who then calls this off
        )
        most = 8 * (limits.all_output + 2**20 + 1000 * len(notebook.cells))
        pipes = [_Pipe(process.stdout, most), _Pipe(process.stderr, 2**16)]
        try:
            is_ended = _exchange(process, json.dumps(job).encode(), limits.seconds + _GRACE, cancelled)
        finally:
            _end(process)
            text, complaints = (pipe.content() for pipe in pipes)
            _make_removable(folder)
    if not is_ended:
        return Run(notebook, f"did not end within {limits.seconds + _GRACE} s", is_doubtful=True, is_lost=True)
    try:
        answer = json.loads(text)
        _take(notebook, answer["outputs"], answer["counts"])
        stopped, kind = answer["stopped"], answer["kind"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        lines = complaints.decode("utf-8", "replace").strip().splitlines()
        why = clean(lines[-1])[:300] if lines else f"status {process.returncode}"
        return Run(notebook, f"could not be run: {why}", is_doubtful=True, is_lost=True)
    is_lost = kind == "killed"
    return Run(notebook, stopped, is_lost or answer["was_late"] or _met_a_full_disk(notebook), is_lost)


def _place() -> str | None:
    """Where to make the folder of a run; None for where temporary files go, unless the name of that place is too long.

    Messages to the kernel go through sockets in the folder, whose paths the system cuts at about 100 bytes.
    """
    is_short = len(os.fsencode(tempfile.gettempdir())) <= _MOST_BYTES
    return None if is_short or sys.platform == "win32" else "/tmp"


class _Pipe(threading.Thread):
    """Reads what a process writes, so that it never waits; keeps the first ``most`` bytes."""

    def __init__(self, file: IO[bytes] | None, most: int) -> None:
        super().__init__(daemon=True)
        assert file is not None
        self.file, self.most = file, most
        self.parts: list[bytes] = []
        self.start()

    def run(self) -> None:
        left = self.most
        try:
            while part := self.file.read1(2**16):  # type: ignore[attr-defined]
                if left > 0:
                    self.parts.append(part[:left])
                left -= len(part)
        except ValueError:  # closed below
            return

    def content(self) -> bytes:
        """What was written; nobody who holds the other end open can delay it."""
        self.join(timeout=10)
        if not self.is_alive():
            self.file.close()
        return b"".join(self.parts)


def _exchange(process: subprocess.Popen, job: bytes, seconds: float, cancelled: threading.Event | None) -> bool:
    """Hand over a job and wait until the process has ended; return whether it did so by itself."""

    def hand_over() -> None:
        try:
            assert process.stdin is not None
            process.stdin.write(job)
            process.stdin.close()
        except OSError:  # it ended before it had read the job
            return

    threading.Thread(target=hand_over, daemon=True).start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if cancelled is not None and cancelled.is_set():
            raise CalledOffError
        try:
            process.wait(timeout=0.1)
            return True
        except subprocess.TimeoutExpired:
            continue
    return False


def _end(process: subprocess.Popen) -> None:
    """End a process and all that it has started, stopped ones too."""
    with contextlib.suppress(psutil.Error):
        watching.end_all(psutil.Process(process.pid))
    process.kill()
    process.wait(timeout=30)
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def _make_removable(folder: Path) -> None:
    """Give back the rights that a student's code may have taken away, or the folder could not be removed."""
    for here, folders, _ in os.walk(folder):
        for name in folders:
            path = os.path.join(here, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)


def _take(notebook: NotebookNode, outputs: list[Any], counts: list[Any]) -> None:
    """Put outputs into the cells of a notebook, each of a form that can be written and shown."""
    if len(outputs) != len(notebook.cells) or len(counts) != len(notebook.cells):
        raise ValueError("outputs of another notebook")
    for cell, shown, count in zip(notebook.cells, outputs, counts, strict=True):
        if cell.cell_type == "code":
            tidied = [_tidy(output) for output in shown if isinstance(output, dict)]
            cell.outputs = [output for output in tidied if output is not None]
            cell.execution_count = count if isinstance(count, int) else None


def _tidy(output: dict[str, Any]) -> NotebookNode | None:
    """An output with its known fields alone; None for one of an unknown kind."""
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return v4.new_output("stream", name=name, text=clean(_joined(output.get("text"))))
    if kind == "error":
        lines = output.get("traceback")
        return v4.new_output(
            "error",
            ename=clean(str(output.get("ename", ""))),
            evalue=clean(str(output.get("evalue", ""))),
            traceback=[clean(str(line)) for line in lines] if isinstance(lines, list) else [],
        )
    if kind not in ("display_data", "execute_result"):
        return None
    data, metadata = output.get("data"), output.get("metadata")
    kept = {}
    for name, value in data.items() if isinstance(data, dict) else ():
        if not _KIND.fullmatch(str(name)):
            continue
        kept[str(name)] = cleaned(value) if str(name).endswith("json") else clean(_joined(value))
    sizes = {
        name: {key: size for key, size in values.items() if key in ("width", "height") and type(size) is int}
        for name, values in (metadata.items() if isinstance(metadata, dict) else ())
        if name in kept and isinstance(values, dict)
    }
    return v4.new_output("display_data", data=kept, metadata=sizes)


def _joined(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def _met_a_full_disk(notebook: NotebookNode) -> bool:
    errors = (output for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "error")
    return any(sign in error.evalue for error in errors for sign in _FULL)
