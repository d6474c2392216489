"""Run a notebook in a kernel, as a process of its own: the job comes through stdin, the result goes to stdout.

The kernel sees neither: it has no way to them except the sockets that it answers through. ``lpvq.classroom.sandbox``
starts this file. It imports little of the package, because it has to start quickly.
"""

# ruff: noqa: E402 (one import is prevented before the others)

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from queue import Empty
from typing import Any

# jsonschema, which nbformat needs, would read a whole grammar of addresses to check a form that no notebook has: that
# takes more than a second for each submission. Without this module it does not.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbclient.util import ensure_async
from nbformat import NotebookNode, v4

from lpvq.classroom import confinement, watching
from lpvq.classroom.limits import Limits

_TO_BE_INTERRUPTED = 5  # seconds that an interrupt may take
_ROUNDS = 4  # times its limit that a cell may take while others hold all processors
_OF_ITS_OWN = 100  # characters that an output counts for at least: a million empty ones are too many
_KERNEL = Path(__file__).with_name("kernel.py")
_MEMORY = 2 * 2**30  # of this process, which holds what the kernel sends


class StubbornError(Exception):
    """A cell took too long and could not be interrupted."""


class _Client(NotebookClient):
    """Keeps of each cell no more than ``most`` characters of output, and every error; knows which cell is running."""

    def __init__(self, notebook: NotebookNode, limits: Limits, **options: Any) -> None:
        super().__init__(notebook, on_cell_execute=self._begin, on_cell_executed=self._end, **options)
        self.most, self.left = limits.output, limits.all_output
        self.kept: Counter[int] = Counter()
        self.running: NotebookNode | None = None
        self.timed_out: list[NotebookNode] = []

    async def async_execute_cell(self, cell: NotebookNode, cell_index: int, *options: Any, **more: Any) -> NotebookNode:
        # Tests are not kept in the history: a student who prints it would see them.
        is_test = cell.metadata.get("nbgrader", {}).get("grade", False)
        return await super().async_execute_cell(cell, cell_index, *options, **{**more, "store_history": not is_test})

    async def _async_handle_timeout(self, timeout: int, cell: NotebookNode | None = None) -> dict[str, Any] | None:
        self.rounds += 1
        used = watching.processor_seconds() - self.used_before
        if self.rounds < _ROUNDS and used < timeout / 2 and watching.is_machine_busy():
            return None  # it has hardly had a turn: another round
        if cell is not None:
            self.timed_out.append(cell)
        answer = await super()._async_handle_timeout(timeout, cell)
        try:
            assert self.kc is not None
            rounds = _ROUNDS if watching.is_machine_busy() else 1
            await ensure_async(self.kc.shell_channel.get_msg(timeout=rounds * _TO_BE_INTERRUPTED))
        except Empty:
            raise StubbornError from None
        return answer

    def _begin(self, cell: NotebookNode, cell_index: int) -> None:
        self.running = cell
        self.rounds, self.used_before = 0, watching.processor_seconds()

    def _end(self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        self.running = None
        content = execute_reply["content"]
        cell["execution_count"] = self.code_cells_executed
        if content["status"] == "error":  # a cell that was interrupted has no error among its outputs
            _add_error(cell, str(content.get("ename", "")), str(content.get("evalue", ""))[: self.most])

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        try:
            return self._process(msg, cell, cell_index)
        except CellControlSignal:
            raise
        except Exception:  # a message that is not of the form it claims: code can send any
            return None

    def _process(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        kind, content = msg["msg_type"], {**msg["content"], "execution_count": None}
        if kind == "error":
            content["traceback"] = [str(line)[-self.most :] for line in list(content.get("traceback", ()))[-20:]]
            content["evalue"] = str(content.get("evalue", ""))[: self.most]
        elif kind in ("stream", "display_data", "execute_result", "update_display_data"):
            room = min(self.most - self.kept[cell_index], self.left)
            size = len(str(content["text"])) if kind == "stream" else len(json.dumps(content["data"]))
            self.kept[cell_index] += size + _OF_ITS_OWN
            self.left -= min(size, max(room, 0)) + _OF_ITS_OWN
            if size > room and kind != "stream":
                kind, content = "stream", {"name": "stdout", "text": ""}
            if size > room:
                cut = f"{content['text'][: max(0, room)]}\n(more output is left out)\n" if room > 0 else ""
                content = {"name": content["name"], "text": cut}
                if not cut:
                    return None
            msg = {**msg, "msg_type": kind, "header": {**msg["header"], "msg_type": kind}, "content": content}
        elif kind.startswith("comm_"):  # live widgets, which nobody will see
            return None
        return super().process_message(msg, cell, cell_index)


class _OneKernel(KernelSpecManager):
    """Knows one kernel: ``kernel.py``, locked in or not."""

    before: list[str] = []  # noqa: RUF012 (traitlets)
    limits: Limits = Limits()

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        limits = [str(self.limits.memory), str(self.limits.disk)]
        command = [*self.before, sys.executable, "-P", str(_KERNEL), *limits, "-f", "{connection_file}"]
        mode = "message" if self.before else "signal"  # no signal reaches a process behind the wall
        return KernelSpec(argv=command, language="python", display_name=kernel_name, interrupt_mode=mode)


def run(notebook: NotebookNode, limits: Limits, folder: Path, is_confined: bool) -> dict[str, Any]:
    """Run a notebook.

    Returns:
        ``outputs`` and ``counts`` of each cell; ``stopped``, what ended it early, or None; ``kind`` of that: "" for
        nothing, "code" for what its code did, "time" for what a busy machine can lead to, "killed" for what only
        somebody outside can have done; and ``was_late``, whether a cell took too long.
    """
    (folder / "inner").mkdir()
    (folder / "work").mkdir()
    kernels = _OneKernel()
    kernels.limits = limits
    kernels.before = confinement.wrapped(str(folder / "inner"), limits.disk) if is_confined else []
    # Sockets in the folder, where the system has such: two kernels that start at the same moment may both take the same
    # port to be free.
    transport: dict[str, Any] = {"connection_file": str(folder / "inner" / "kernel.json")}
    manager = AsyncKernelManager(
        kernel_spec_manager=kernels, **transport, **({} if sys.platform == "win32" else {"transport": "ipc"})
    )
    client = _Client(
        notebook,
        limits,
        km=manager,
        timeout=limits.cell_seconds,
        interrupt_on_timeout=True,
        error_on_timeout={"ename": "Timeout", "evalue": f"took longer than {limits.cell_seconds} s", "traceback": []},
        allow_errors=True,
        resources={"metadata": {"path": str(folder / "work")}},
        record_timing=False,
        store_widget_state=False,
    )
    too_much: list[str] = []
    late = threading.Event()

    def stop() -> None:
        late.set()
        watching.end_all()

    clock = threading.Timer(limits.seconds, stop)
    clock.daemon = True
    clock.start()
    watch = watching.Watch(limits, folder, too_much.append)
    watch.start()
    stopped, kind = None, ""
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    try:
        client.execute(**quiet)
    except StubbornError:
        stopped, kind = f"a cell took longer than {limits.cell_seconds} s and could not be interrupted", "time"
    except DeadKernelError:
        process = getattr(manager.provisioner, "process", None)
        status = process.poll() if process else None
        is_killed = status in (-9, 137)
        stopped, kind = ("Python was killed", "killed") if is_killed else ("its code ended Python", "code")
    except Exception as error:  # a kernel that dies can break nbclient in many places
        stopped, kind = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", "killed"
    finally:
        clock.cancel()
        watch.ended.set()
        watching.end_all()
    watch.join()
    if too_much:
        stopped, kind = f"took {too_much[0]}", "code"
    elif late.is_set():
        stopped, kind = f"took more than {limits.seconds} s in all", "time"
    for cell in client.timed_out:  # what an interrupt looks like from inside is no help to a student
        cell.outputs = [output for output in cell.outputs if output.get("ename") != "KeyboardInterrupt"]
        _add_error(cell, "Timeout", f"took longer than {limits.cell_seconds} s")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            _join_streams(cell)
    if client.running is not None:
        _add_error(client.running, "Stopped", stopped or "did not run to its end")
    return {
        "outputs": [cell.get("outputs", []) for cell in notebook.cells],
        "counts": [cell.get("execution_count") for cell in notebook.cells],
        "stopped": stopped,
        "kind": kind,
        "was_late": bool(client.timed_out) or late.is_set(),
    }


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


def _main() -> None:
    result = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what libraries print is not a result
    confinement.hide_this_process()
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    job = json.loads(sys.stdin.buffer.read())
    notebook, limits = nbformat.from_dict(job["notebook"]), Limits(**job["limits"])
    answer = run(notebook, limits, Path(job["folder"]), job["is_confined"])
    with result:
        json.dump(answer, result)


if __name__ == "__main__":
    if sys.platform == "win32":
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    _main()
