"""The sandbox: whatever a notebook does, it comes back, within its limits."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from nbformat import NotebookNode, v4

from lpvq.classroom import sandbox
from lpvq.classroom.sandbox import CalledOffError, Limits, run

LIMITS = Limits(cell_seconds=3, seconds=60, memory=2 * 2**30, output=1000)


def notebook(*sources: str) -> NotebookNode:
    return v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources])


def shown(cell: NotebookNode) -> list[str]:
    """What a cell shows, in a few words."""
    return [
        output.get("text") or output.get("ename") or output["data"]["text/plain"] for output in cell.get("outputs", [])
    ]


def test_cells_run_in_order_and_errors_do_not_stop_them() -> None:
    executed, stopped = run(notebook("x = 1", "1 / 0", "print(x)\nx + 1"), LIMITS)
    assert stopped is None
    assert [shown(cell) for cell in executed.cells] == [[], ["ZeroDivisionError"], ["1\n", "2"]]


def test_a_loop_without_an_end_is_interrupted_and_the_rest_runs() -> None:
    executed, stopped = run(notebook("while True:\n    pass", "1 + 1"), LIMITS)
    assert stopped is None
    assert len(shown(executed.cells[0])) == 1 and shown(executed.cells[1]) == ["2"]


STUBBORN = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    pass"


def test_what_does_not_let_itself_be_interrupted_takes_the_rest_with_it() -> None:
    executed, stopped = run(notebook("1 + 1", STUBBORN, "2 + 2"), LIMITS)
    assert stopped is None
    assert [shown(cell) for cell in executed.cells] == [["2"], ["Timeout"], ["Timeout"]]


def test_what_takes_too_long_in_all_is_stopped() -> None:
    executed, stopped = run(notebook(STUBBORN, "2 + 2"), Limits(cell_seconds=100, seconds=8, memory=LIMITS.memory))
    assert stopped == "took more than 8 s in all"
    assert shown(executed.cells[0]) in ([], ["Stopped"]) and shown(executed.cells[1]) == []


def test_who_ends_python_ends_the_run_and_the_cell_counts_as_failed() -> None:
    executed, stopped = run(notebook("1 + 1", "import os\nos._exit(0)", "2 + 2"), LIMITS)
    assert stopped == "its code ended Python"
    assert [shown(cell) for cell in executed.cells] == [["2"], ["Stopped"], []]
    assert executed.cells[2].execution_count is None


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux")
def test_memory_is_limited() -> None:
    executed, stopped = run(notebook("x = bytearray(3 * 10**9)", "1 + 1"), LIMITS)
    assert stopped is None
    assert [shown(cell) for cell in executed.cells] == [["MemoryError"], ["2"]]


def test_output_is_cut_off_and_errors_are_kept() -> None:
    flood = "for _ in range(20):\n    print('x' * 10**6)\n1 / 0"
    executed, stopped = run(notebook(flood), LIMITS)
    assert stopped is None
    text, error = shown(executed.cells[0])
    assert len(text) < 1100 and "more output is left out" in text and error == "ZeroDivisionError"


def test_of_a_bar_its_last_state_is_kept() -> None:
    bar = "for i in range(3):\n    print(f'\\r{i}/3', end='', flush=True)\nprint('\\nthen')"
    executed, _ = run(notebook(bar), LIMITS)
    assert shown(executed.cells[0]) == ["2/3\nthen\n"]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up as Linux has them")
def test_nothing_is_left_behind() -> None:
    code = "import pathlib, subprocess, sys\n"
    code += "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    executed, _ = run(notebook(code + "print(pathlib.Path.home(), pathlib.Path.cwd(), child.pid)"), LIMITS)
    home, work, child = shown(executed.cells[0])[0].split()
    assert not Path(home).exists() and Path(work).parent == Path(home) != Path.home()
    end = time.monotonic() + 10  # killed it is, but it may take a moment to be gone
    while lives(child) and time.monotonic() < end:
        pass
    assert not lives(child)


def lives(process: str) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_is_told_that_it_is_graded_and_not_who_grades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "of the teacher")
    code = "import os\nos.environ.get('A_SECRET'), os.environ['NBGRADER_EXECUTION'], os.environ['LPVQ_PROFILE']"
    executed, _ = run(notebook(code), LIMITS)
    assert shown(executed.cells[0]) == ["(None, 'autograde', 'smoke')"]


def test_a_run_can_be_called_off() -> None:
    called_off = threading.Event()
    called_off.set()
    with pytest.raises(CalledOffError):
        run(notebook("while True:\n    pass"), LIMITS, called_off)


def test_a_process_that_cannot_run_anything_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen

    def broken(command: list[str], **options: object) -> subprocess.Popen:
        return start([command[0], "-c", "raise SystemExit('no kernel here')"], **options)

    monkeypatch.setattr(sandbox.subprocess, "Popen", broken)
    executed, stopped = run(notebook("1 + 1"), LIMITS)
    assert stopped == "could not be run: no kernel here" and executed.cells[0].execution_count is None


def test_a_process_that_keeps_no_limits_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen
    sleeping = "import time; time.sleep(600)"
    monkeypatch.setattr(sandbox.subprocess, "Popen", lambda command, **options: start([command[0], "-c", sleeping]))
    monkeypatch.setattr(sandbox, "_GRACE", 1)
    _, stopped = run(notebook("1 + 1"), Limits(seconds=1))
    assert stopped == "did not end within 2 s"
