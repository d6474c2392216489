"""Run a notebook that nobody has read: in a kernel of its own, with limits of time, memory and output.

``run`` starts this file as a process, which starts it once more as the kernel. Limits keep mistakes from doing harm;
they do not stop somebody who means harm: the code runs with the rights of whoever runs it, and sees the files and
the network that they see. Against that, run all of it in a container, or as a user without rights.

This file imports little of the package: it has to start quickly, twice for each notebook.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode, v4

from lpvq.classroom.limits import Limits

_KEPT = ("PATH", "LANG", "LC_ALL", "LPVQ_DATA", "VIRTUAL_ENV")
_LARGEST_FILE = 2**30
_GRACE = 60  # the process keeps the limits itself; so many seconds more are for one that cannot


class CalledOffError(Exception):
    """A run was called off."""


def run(
    notebook: NotebookNode, limits: Limits, cancelled: threading.Event | None = None
) -> tuple[NotebookNode, str | None]:
    """Run a notebook, whatever it does, in a folder of its own that is removed afterwards.

    Cells that fail do not stop it. Its code sees ``NBGRADER_EXECUTION=autograde``, as below nbgrader, and the profile
    ``smoke``.

    Args:
        notebook: what to run.
        limits: what it may take.
        cancelled: may be set by another thread, to call the run off.

    Returns:
        the notebook with its outputs; what stopped it, None where nothing did. A cell that did not run to its end has
        an error, one that was not reached no ``execution_count``.

    Raises:
        CalledOffError: ``cancelled`` was set.
    """
    with tempfile.TemporaryDirectory(prefix="lpvq-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "work").mkdir()
        job, result = folder / "job.json", folder / "result.json"
        job.write_text(json.dumps({"notebook": notebook, "limits": asdict(limits)}))
        environment = {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "HOME": str(folder),  # not the home of whoever grades: nothing is to be left there for the next
            "IPYTHONDIR": str(folder / "ipython"),
            "LPVQ_OUTPUT": str(folder / "output"),
            "LPVQ_PROFILE": "smoke",
            "NBGRADER_EXECUTION": "autograde",
            "OMP_NUM_THREADS": "1",  # several notebooks run beside each other
        }
        command = [sys.executable, "-P", __file__, "run", str(folder)]
        with (folder / "complaints").open("wb") as complaints:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                start_new_session=True,  # Ctrl-C is for whoever waits, who then calls this off
            )
        most = limits.seconds + _GRACE
        if not _wait(process, most, cancelled):
            return notebook, f"did not end within {most} s"
        if not result.exists():
            lines = (folder / "complaints").read_text(errors="replace").strip().splitlines()
            return notebook, f"could not be run: {lines[-1] if lines else f'status {process.returncode}'}"
        answer = json.loads(result.read_text())
        return nbformat.from_dict(answer["notebook"]), answer["stopped"]


def _wait(process: subprocess.Popen, seconds: float, cancelled: threading.Event | None) -> bool:
    """Wait until a process has ended, and return whether it did so by itself; end it otherwise."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (cancelled and cancelled.is_set()):
        try:
            process.wait(timeout=0.2)
            return True
        except subprocess.TimeoutExpired:
            continue
    process.terminate()  # which ends the kernel too
    process.wait()
    if cancelled and cancelled.is_set():
        raise CalledOffError
    return False


class _Client(NotebookClient):
    """Keeps of each cell no more than ``most`` characters of output, and every error; knows which cell is running."""

    def __init__(self, notebook: NotebookNode, most: int, **options: Any) -> None:
        super().__init__(notebook, on_cell_execute=self._begin, on_cell_executed=self._end, **options)
        self.most = most
        self.kept: Counter[int] = Counter()
        self.running: NotebookNode | None = None

    def _begin(self, cell: NotebookNode, cell_index: int) -> None:
        self.running = cell

    def _end(self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        self.running = None
        content = execute_reply["content"]
        if content["status"] == "error":  # a cell that was interrupted has no error among its outputs
            _add_error(cell, content.get("ename", ""), content.get("evalue", ""))

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        kind, content = msg["msg_type"], msg["content"]
        if kind == "error":
            content["traceback"] = [line[-self.most :] for line in content["traceback"][-20:]]
            content["evalue"] = content["evalue"][: self.most]
        elif kind in ("stream", "display_data", "execute_result"):
            room = self.most - self.kept[cell_index]
            size = len(content["text"]) if kind == "stream" else len(json.dumps(content["data"]))
            self.kept[cell_index] += size
            if size > room and kind != "stream":
                kind, content = "stream", {"name": "stdout", "text": ""}
            if size > room:
                cut = f"{content['text'][: max(0, room)]}\n(more output is left out)\n" if room > 0 else ""
                content = {"name": content["name"], "text": cut}
                if not cut:
                    return None
            msg = {**msg, "msg_type": kind, "header": {**msg["header"], "msg_type": kind}, "content": content}
        return super().process_message(msg, cell, cell_index)


class _LimitedKernels(KernelSpecManager):
    """Knows one kernel: this file."""

    memory: int = 0

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [sys.executable, "-P", __file__, "kernel", str(self.memory), "-f", "{connection_file}"]
        return KernelSpec(argv=command, language="python", display_name=kernel_name)


def _run(folder: Path) -> None:
    """Run ``job.json`` of a folder, and write ``result.json``."""
    job = json.loads((folder / "job.json").read_text())
    notebook, limits = nbformat.from_dict(job["notebook"]), Limits(**job["limits"])
    kernels = _LimitedKernels()
    kernels.memory = limits.memory
    # Sockets in the folder, where there are such: of two kernels that start at the same moment, both may take the same
    # port for free.
    transport = {} if sys.platform == "win32" else {"transport": "ipc", "connection_file": str(folder / "kernel.json")}
    manager = AsyncKernelManager(kernel_spec_manager=kernels, **transport)
    client = _Client(
        notebook,
        limits.output,
        km=manager,
        timeout=limits.cell_seconds,
        interrupt_on_timeout=True,
        error_on_timeout={"ename": "Timeout", "evalue": f"took more than {limits.cell_seconds} s", "traceback": []},
        allow_errors=True,
        resources={"metadata": {"path": str(folder / "work")}},
        record_timing=False,
        store_widget_state=False,
    )
    late = threading.Event()

    def stop() -> None:
        late.set()
        _kill(manager)

    clock = threading.Timer(limits.seconds, stop)
    clock.daemon = True
    clock.start()
    stopped = None
    try:
        client.execute()
    except DeadKernelError:
        stopped = "its code ended Python"
    except Exception as error:  # a kernel that dies can break nbclient in many places
        stopped = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    finally:
        clock.cancel()
        _kill(manager)
    if late.is_set():
        stopped = f"took more than {limits.seconds} s in all"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            _join_streams(cell)
    if client.running:
        _add_error(client.running, "Stopped", stopped or "did not run to its end")
    temporary = folder / "result.part"
    temporary.write_text(json.dumps({"notebook": notebook, "stopped": stopped}))
    temporary.replace(folder / "result.json")
    shutil.rmtree(folder / "work", ignore_errors=True)


def _add_error(cell: NotebookNode, name: str, value: str) -> None:
    """See to it that a cell has an error among its outputs."""
    if not any(output.output_type == "error" for output in cell.outputs):
        cell.outputs.append(v4.new_output("error", ename=name, evalue=value, traceback=[]))


def _join_streams(cell: NotebookNode) -> None:
    """Make one output of what was printed in pieces, each line as it stood at the end: of a bar, its last state.

    nbclient can do this too, but takes hours for a line of a million letters.
    """
    joined: list[NotebookNode] = []
    for output in cell.outputs:
        before = joined[-1] if joined else None
        if before and output.output_type == "stream" == before.output_type and output.name == before.name:
            before.text += output.text
        else:
            joined.append(output)
    for output in joined:
        if output.output_type == "stream":
            output.text = "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in output.text.split("\n"))
    cell.outputs = joined


def _kill(manager: AsyncKernelManager) -> None:
    """End the kernel, and what it has started."""
    group = getattr(manager.provisioner, "pgid", None)
    if group:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return


def _be_kernel(memory: int, arguments: list[str]) -> None:
    """Become an IPython kernel that may take so much memory."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance(argv=arguments)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        _run(Path(sys.argv[2]))
    else:
        _be_kernel(int(sys.argv[2]), sys.argv[3:])
