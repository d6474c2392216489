"""The sandbox: whatever a notebook does, it comes back, within its limits, and reaches nothing that it should not.

What can be seen in one kernel is tried in one: starting it takes seconds.
"""

# ruff: noqa: E501 (lines of data)

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from nbformat import NotebookNode, v4
from odd_inputs import ODD_OUTPUTS, TELLTALE

from lpvq.classroom import confinement, safe_html, sandbox, watching
from lpvq.classroom.sandbox import CalledOffError, Limits, Run, run
from lpvq.paths import shipped

CONFINED = confinement.why_not() is None
LIMITS = Limits(cell_seconds=4, seconds=90, memory=2 * 2**30, output=1000)
NEEDS_CONFINEMENT = pytest.mark.skipif(not CONFINED, reason=f"nothing can be locked in here: {confinement.why_not()}")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has these limits")


def notebook(*sources: str) -> NotebookNode:
    return v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources])


def shown(cell: NotebookNode) -> list[str]:
    """What a cell shows, in a few words."""
    return [
        output.get("text") or output.get("ename") or output["data"].get("text/plain", "")
        for output in cell.get("outputs", [])
    ]


def is_there(process: str) -> bool:
    try:
        return psutil.Process(int(process)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# --- what any notebook may do

ORDINARY = {
    "sum": "x = 1",
    "error": "1 / 0",
    "on": "print(x)\nx + 1",
    "loop": "while True:\n    pass",
    "after": "1 + 1",
    "memory": "y = bytearray(3 * 10**9)",
    "flood": "for _ in range(20):\n    print('x' * 10**6)\n1 / 0",
    "bar": "for i in range(3):\n    print(f'\\r{i}/3', end='', flush=True)\nprint('\\nthen')",
    "told": "import os\n[os.environ.get(n) for n in ('A_SECRET', 'NBGRADER_EXECUTION', 'LPVQ_PROFILE')]",
    "orphan": "import subprocess, sys\n"
    "code = 'import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)'\n"
    "child = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)\n"
    "print(child.stdout.readline().strip())",
    "places": "import pathlib, os\nprint(pathlib.Path.home(), pathlib.Path.cwd())",
    "count": "k = get_ipython().kernel\n"
    "k.send_response(k.iopub_socket, 'execute_result', {'data': {'text/plain': 'z'}, 'metadata': {}, "
    "'execution_count': 'x'})",
    "stranger": "k.send_response(k.iopub_socket, 'display_data', {'data': 3})\n"
    "k.send_response(k.iopub_socket, 'stream', {'name': 'stdout', 'text': 7})\n"
    "k.send_response(k.iopub_socket, 'error', {'traceback': None})",
    **ODD_OUTPUTS,
    "last": "'the end'",
}


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, NotebookNode]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A_SECRET", "of the teacher")
        patch.setattr(sandbox.tempfile, "tempdir", str(tmp_path_factory.mktemp("p")))
        made = run(notebook(*ORDINARY.values()), LIMITS, is_confined=CONFINED)
        assert list(Path(sandbox.tempfile.gettempdir()).iterdir()) == []  # nothing is left behind
    return made, dict(zip(ORDINARY, made.notebook.cells, strict=True))


Ordinary = tuple[Run, dict[str, NotebookNode]]


def test_cells_run_in_order_and_errors_do_not_stop_them(ordinary: Ordinary) -> None:
    made, cells = ordinary
    assert made.stopped is None and not made.is_lost
    assert [shown(cells[name]) for name in ("sum", "error", "on")] == [[], ["ZeroDivisionError"], ["1\n", "2"]]
    assert [cells[name].execution_count for name in ("sum", "error", "on")] == [1, 2, 3]
    assert shown(cells["last"]) == ["'the end'"]


def test_a_loop_without_an_end_is_interrupted_and_the_rest_runs(ordinary: Ordinary) -> None:
    made, cells = ordinary
    (error,) = cells["loop"].outputs
    assert (error.ename, error.evalue) == ("Timeout", "took longer than 4 s") and shown(cells["after"]) == ["2"]
    assert made.is_doubtful  # on a busy machine, anything may take too long


@ON_LINUX
def test_memory_is_limited(ordinary: Ordinary) -> None:
    assert shown(ordinary[1]["memory"]) == ["MemoryError"]


def test_output_is_cut_off_and_errors_are_kept(ordinary: Ordinary) -> None:
    text, error = shown(ordinary[1]["flood"])
    assert len(text) < 1100 and "more output is left out" in text and error == "ZeroDivisionError"


def test_of_a_bar_its_last_state_is_kept(ordinary: Ordinary) -> None:
    assert shown(ordinary[1]["bar"]) == ["2/3\nthen\n"]


def test_it_is_told_that_it_is_graded_and_not_who_grades(ordinary: Ordinary) -> None:
    assert shown(ordinary[1]["told"]) == ["[None, 'autograde', 'smoke']"]


@ON_LINUX
def test_its_home_is_its_own_and_what_it_started_ends_with_it(ordinary: Ordinary) -> None:
    home, work = shown(ordinary[1]["places"])[0].split()
    assert home != str(Path.home()) and work not in (home, os.getcwd())
    (child,) = shown(ordinary[1]["orphan"])
    assert CONFINED or not is_there(child)  # locked in, its number means nothing out here
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not any("os.setsid(); print(os.getpid()" in " ".join(command) for command in commands)


def test_messages_of_any_form_are_borne(ordinary: Ordinary) -> None:
    assert (
        "z" in shown(ordinary[1]["count"]) and ordinary[1]["count"].execution_count == list(ORDINARY).index("count") + 1
    )


@pytest.mark.parametrize("kind", ODD_OUTPUTS)
def test_odd_outputs_can_be_written_and_shown(ordinary: Ordinary, kind: str) -> None:
    cell = ordinary[1][kind]
    v4.new_notebook(cells=[cell])
    page = "".join(safe_html.output(output) for output in cell.outputs)
    page.encode("utf-8")
    assert "<script" not in page and "onload" not in page
    if kind not in ("bytes", "cleared", "an empty one", "a number for a text", "a list for a picture"):
        assert cell.outputs


# --- what ends a run


def test_what_cannot_be_interrupted_ends_the_run_and_the_cells_before_count() -> None:
    stubborn = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    pass"
    limits = Limits(cell_seconds=2, seconds=60, memory=LIMITS.memory)
    made = run(notebook("1 + 1", stubborn, "2 + 2"), limits, is_confined=CONFINED)
    assert made.stopped == "a cell took longer than 2 s and could not be interrupted" and made.is_doubtful
    assert not made.is_lost and shown(made.notebook.cells[0]) == ["2"]
    assert shown(made.notebook.cells[1]) == ["Timeout"] and made.notebook.cells[2].execution_count is None


def test_what_takes_too_long_in_all_is_stopped() -> None:
    made = run(notebook("import time\ntime.sleep(600)", "2 + 2"), Limits(seconds=3, memory=LIMITS.memory))
    assert made.stopped == "took more than 3 s in all" and made.is_doubtful and not made.is_lost
    assert shown(made.notebook.cells[1]) == []


def test_who_ends_python_ends_the_run_and_the_cell_counts_as_failed() -> None:
    made = run(notebook("1 + 1", "import os\nos._exit(0)", "2 + 2"), LIMITS, is_confined=CONFINED)
    assert made.stopped == "its code ended Python" and not made.is_lost and not made.is_doubtful
    assert [shown(cell) for cell in made.notebook.cells] == [["2"], ["Stopped"], []]
    assert made.notebook.cells[2].execution_count is None


@ON_LINUX
def test_where_temporary_files_go_may_have_a_long_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The path of a socket may have about 100 bytes.
    monkeypatch.setattr(sandbox.tempfile, "tempdir", str(tmp_path / ("x" * 100)))
    (tmp_path / ("x" * 100)).mkdir()
    made = run(notebook("1 + 1"), LIMITS, is_confined=CONFINED)
    assert shown(made.notebook.cells[0]) == ["2"] and made.stopped is None


@ON_LINUX
def test_what_was_killed_is_no_result() -> None:
    # As the system does it where memory runs out: nobody can tell whose fault that is.
    made = run(
        notebook("1 + 1", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"), LIMITS, is_confined=CONFINED
    )
    assert made.stopped == "Python was killed" and made.is_lost and made.is_doubtful


def test_a_run_can_be_called_off() -> None:
    called_off = threading.Event()
    called_off.set()
    with pytest.raises(CalledOffError):
        run(notebook("while True:\n    pass"), LIMITS, called_off)


@pytest.mark.parametrize(
    ("script", "stopped"),
    [
        ("raise SystemExit('no kernel here')", "could not be run: no kernel here"),
        ("import time; time.sleep(600)", "did not end within 2 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "did not end within 2 s"),
        ("print('{\"outputs\": 3}')", "could not be run: status 0"),
        ("print('[' * 10**6)", "could not be run: status 0"),
        ("print('x' * 10**7)", "could not be run: status 0"),
        ("import sys; sys.stdin.close(); sys.exit(3)", "could not be run: status 3"),
    ],
)
def test_a_runner_that_gives_no_result_is_told_and_is_no_grade(
    monkeypatch: pytest.MonkeyPatch, script: str, stopped: str
) -> None:
    start = subprocess.Popen
    monkeypatch.setattr(
        sandbox.subprocess, "Popen", lambda command, **options: start([command[0], "-c", script], **options)
    )
    monkeypatch.setattr(sandbox, "_GRACE", 1)
    made = run(notebook("1 + 1"), Limits(seconds=1))
    assert made.stopped == stopped and made.is_lost and made.notebook.cells[0].execution_count is None


# --- totals, without a kernel


@pytest.fixture
def a_process() -> Iterator[None]:
    code = "import mmap, os\nm = mmap.mmap(-1, 64 * 2**20)\nm.write(bytes(64 * 2**20))\n"
    code += "f = os.memfd_create('x')\nos.write(f, bytes(32 * 2**20))\nprint('ready', flush=True)\ninput()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    yield
    process.communicate()


@ON_LINUX
@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), None),
        (Limits(processes=0), "more than 0 processes at a time"),
        (Limits(memory=70 * 2**20), "more than 0.1 GiB of memory in all"),  # 64 shared, 32 without a name
        (Limits(disk=2**20), "more than 1 MiB of files"),
    ],
    ids=["fine", "processes", "memory", "disk"],
)
def test_totals_are_watched(a_process: object, tmp_path: Path, limits: Limits, expected: str | None) -> None:
    (tmp_path / "x").write_bytes(os.urandom(2**21))
    assert watching.Watch(limits, tmp_path, lambda _: None)._excess(0) == expected


def test_many_small_files_are_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_MOST_FILES", 10)
    for number in range(20):
        (tmp_path / str(number)).touch()
    assert watching._written(tmp_path) > 2**60


@ON_LINUX
def test_what_is_too_much_ends_the_run() -> None:
    made = run(
        notebook(
            "import os, time\nfor _ in range(9):\n    if os.fork() == 0:\n        time.sleep(600)\ntime.sleep(600)"
        ),
        Limits(processes=8, memory=LIMITS.memory),
        is_confined=CONFINED,
    )
    assert made.stopped == "took more than 8 processes at a time" and not made.is_lost


# --- attacks on what is outside: all in one kernel, which is still there at the end

ATTACKS = {
    "network": "import socket\nsocket.create_connection(('127.0.0.1', PORT), 2)",
    "a file of the teacher's": "open('SECRET').read()",
    "a folder of the teacher's": "import os\nos.listdir('FOLDER')",
    "writing there": "open('FOLDER/by_hand.csv', 'w').write('mallory,q1-8-answer,3')",
    "the solutions": "import glob\nassert not glob.glob('SOURCES/*.ipynb'), glob.glob('SOURCES/*')\n1 / 0",
    "the package": "import lpvq.course.questions as q\nopen(q.__file__, 'a')",
    "the environment": "import sys, os\nopen(os.path.join(sys.prefix, 'x'), 'w')",
    "the grader's environment": "for p in os.listdir('/proc'):\n    if p.isdigit():\n"
    "        assert b'A_SECRET' not in open(f'/proc/{p}/environ', 'rb').read()\n1 / 0",
    "the grader's processes": "assert len([p for p in os.listdir('/proc') if p.isdigit()]) < 8\n1 / 0",
    "the parent": "import signal\n"
    "for n in (signal.SIGKILL, signal.SIGSTOP):\n    try:\n        os.kill(os.getppid(), n)\n    except OSError: pass\n1 / 0",
    "the job": "open('../job.json')",
    "a result": "open('../result.json', 'w').write('{}')\n1 / 0",
    "a pipe for a result": "os.mkfifo('../result.part')\n1 / 0",
    "a folder for a result": "os.makedirs('../result.json.d')\n1 / 0",
    "the disk": "f = open('fill', 'wb')\nwhile True:\n    f.write(bytes(2**20))",
    "the shared disk": "f = open('/dev/shm/fill', 'wb')\nwhile True:\n    f.write(bytes(2**20))",
    "rights": "os.setuid(0); os.mount" + "\n1 / 0",
    "a namespace in it": "import subprocess\nsubprocess.run(['mount', '-t', 'tmpfs', 'x', '/mnt'], check=True)",
    "a socket that stays": "s = socket.socket(socket.AF_UNIX); s.bind('INNER-sock')\n1 / 0",
    "the folder that it works in": "import shutil\nos.chdir('/'); shutil.rmtree('WORK', ignore_errors=True)\n1 / 0",
    "a terminal": "import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSTI, b'x')",
    **{f"tests, {kind}": f"{code}" for kind, code in TELLTALE.items()},
    "still there": "'the end'",
}


@NEEDS_CONFINEMENT
def test_attacks_are_contained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "of the teacher")
    (tmp_path / "secret").write_text("of the teacher")
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = {"PORT": str(server.getsockname()[1]), "SECRET": str(tmp_path / "secret"), "FOLDER": str(tmp_path),
                 "SOURCES": str(shipped("assignments")), "INNER": f"{confinement.HOME}/x", "WORK": confinement.WORK}  # fmt: skip
        cells = []
        for code in ATTACKS.values():
            for word, meaning in words.items():
                code = code.replace(word, meaning)
            cells.append(v4.new_code_cell(code))
        hidden = "secret_of_a_hidden_test = 4711"
        test = v4.new_code_cell(hidden, metadata={"nbgrader": {"grade_id": "t", "grade": True}})
        made = run(v4.new_notebook(cells=[test, *cells]), Limits(cell_seconds=20, disk=2**25), is_confined=True)
    assert made.stopped is None, made.stopped
    results = dict(zip(ATTACKS, made.notebook.cells[1:], strict=True))
    assert shown(results["still there"]) == ["'the end'"]
    for name, cell in results.items():
        if name.startswith("tests,"):
            if "cached" not in name:  # a test that runs lies in memory; the feedback takes it out, too
                assert not any("secret_of" in text for text in shown(cell)), name
        elif name != "still there":
            errors = [output for output in cell.outputs if output.output_type == "error"]
            assert errors and "AssertionError" not in errors[0].ename, f"{name}: {cell.outputs}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret"]


def test_where_nothing_can_be_locked_in_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    confinement.why_not.cache_clear()
    monkeypatch.setattr(confinement.shutil, "which", lambda _: None)
    assert "not installed" in str(confinement.why_not()) or sys.platform != "linux"
    confinement.why_not.cache_clear()
