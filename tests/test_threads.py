"""How many threads: what the process may use, less what others use, shared with other trainings."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lpvq import threads
from lpvq.threads import FairShare, at_work, fair_share, usable_processors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what its processors do")


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No word of the user's, a machine of 16 processors to the test, and a folder of its own for what is at work."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "_DEFAULT", before)
    monkeypatch.setattr(threads.tempfile, "gettempdir", lambda: str(tmp_path))
    yield
    torch.set_num_threads(before)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def affinity(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(number)))


# --- what the process may use

VERSION_2 = {"proc/self/cgroup": "0::/jupyter/ada\n"}
VERSION_1 = {"proc/self/cgroup": "3:memory:/jupyter\n2:cpu,cpuacct:/jupyter/ada\n1:cpuset:/\n"}


@pytest.mark.parametrize(
    ("files", "usable"),
    [
        ({}, 16),  # no control groups at all
        (VERSION_2, 16),
        ({**VERSION_2, "sys/fs/cgroup/jupyter/ada/cpu.max": "max 100000\n"}, 16),
        ({**VERSION_2, "sys/fs/cgroup/jupyter/ada/cpu.max": "100000 100000\n"}, 1),
        ({**VERSION_2, "sys/fs/cgroup/jupyter/ada/cpu.max": "250000 100000\n"}, 2),
        ({**VERSION_2, "sys/fs/cgroup/jupyter/ada/cpu.max": "50000 100000\n"}, 1),  # half a processor
        ({**VERSION_2, "sys/fs/cgroup/jupyter/cpu.max": "400000 100000\n"}, 4),  # of the group that it is in
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3),  # in a container
        ({**VERSION_2, "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3),  # there, with the path outside of it
        ({**VERSION_2, "sys/fs/cgroup/jupyter/ada/cpu.max": "nonsense\n"}, 16),
        (VERSION_1, 16),
        ({**VERSION_1, "sys/fs/cgroup/cpu,cpuacct/jupyter/ada/cpu.cfs_quota_us": "200000",
          "sys/fs/cgroup/cpu,cpuacct/jupyter/ada/cpu.cfs_period_us": "100000"}, 2),
        ({**VERSION_1, "sys/fs/cgroup/cpu/jupyter/ada/cpu.cfs_quota_us": "-1",
          "sys/fs/cgroup/cpu/jupyter/ada/cpu.cfs_period_us": "100000"}, 16),
        ({**VERSION_1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 1),
        # Both versions side by side, the quota in the older one.
        ({"proc/self/cgroup": "1:cpu:/a\n0::/a\n", "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "300000",
          "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000"}, 3),
    ],
)  # fmt: skip
def test_quotas_of_both_kinds_of_control_groups_are_seen(
    files: dict[str, str], usable: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    affinity(monkeypatch, 16)
    assert usable_processors(write(tmp_path, files)) == usable


def test_a_group_of_another_controller_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    affinity(monkeypatch, 16)
    files = {"proc/self/cgroup": "3:memory:/a\n", "sys/fs/cgroup/a/cpu.max": "100000 100000"}
    assert usable_processors(write(tmp_path, files)) == 16


def test_the_affinity_counts_where_it_is_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    affinity(monkeypatch, 3)
    files = {**VERSION_2, "sys/fs/cgroup/jupyter/ada/cpu.max": "800000 100000"}
    assert usable_processors(write(tmp_path, files)) == 3


# --- what others leave


@pytest.mark.parametrize(
    ("usable", "elsewhere", "trainings", "share"),
    [
        (2, 0.0, 1, 2),
        (2, 0.3, 1, 2),  # somebody listens to music
        (2, 0.67, 1, 1),  # one busy program beside two threads of ours
        (2, 1.0, 1, 1),
        (2, 2.0, 1, 1),  # never none
        (2, 0.0, 2, 1),
        (16, 0.0, 3, 5),
        (16, 8.0, 1, 8),
        (16, 8.0, 2, 4),
        (1, 0.0, 1, 1),
    ],
)
def test_the_share_is_what_others_leave_divided_by_the_trainings(
    usable: int, elsewhere: float, trainings: int, share: int
) -> None:
    assert fair_share(usable, elsewhere, trainings) == share


def stat(*processors: tuple[int, int]) -> str:
    """The file of a machine whose processors have been (busy, busy at a low priority) for so many hundredths."""
    rows = [f"cpu{number} {busy} {low} 0 900 0 0 0 0 0 0" for number, (busy, low) in enumerate(processors)]
    return "\n".join(["cpu 1 1 1 1 1 1 1 1 0 0", *rows, "intr 5"])


def test_only_processors_that_may_be_used_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    affinity(monkeypatch, 2)
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    root = write(tmp_path, {"proc/stat": stat((100, 0), (50, 0), (700, 0))})
    assert threads._busy_seconds(root) == 1.5
    assert threads._busy_seconds(tmp_path / "nowhere") == 0


@pytest.mark.parametrize(("own_priority", "counted"), [(0, 1.0), (10, 1.4)])
def test_programs_of_a_lower_priority_give_way_unless_this_is_one(
    own_priority: int, counted: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    affinity(monkeypatch, 1)
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    monkeypatch.setattr(os, "getpriority", lambda *_: own_priority)
    assert threads._busy_seconds(write(tmp_path, {"proc/stat": stat((100, 40))})) == pytest.approx(counted)


def test_the_time_of_a_process_is_read_whatever_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    columns = ["S", *("0" for _ in range(10)), "150", "50", *("0" for _ in range(6)), "777", "0"]
    root = write(tmp_path, {"proc/12/stat": f"12 (a) b (c)) {' '.join(columns)}"})
    assert threads._spent_seconds(12, root) == 2.0
    assert threads._name_of(12, root) == "12-777"
    assert threads._spent_seconds(13, root) == 0


def machine(monkeypatch: pytest.MonkeyPatch, usable: int, busy: float, ours: float, default: int = 16) -> None:
    """A machine on which, each second, all processors together work ``busy`` seconds, ``ours`` of them for us."""
    seconds = iter(range(1, 100))
    monkeypatch.setattr(threads, "_DEFAULT", default)
    monkeypatch.setattr(threads, "usable_processors", lambda: usable)

    def look(processes: object) -> threads._Moment:
        second = next(seconds)
        return threads._Moment(second, busy * second, {os.getpid(): ours * second})

    monkeypatch.setattr(threads, "_look", look)
    monkeypatch.setattr(threads.time, "sleep", lambda _: None)
    torch.set_num_threads(default)


@pytest.mark.parametrize(
    ("usable", "busy", "ours", "expected"),
    [
        (16, 0.2, 0.1, 16),
        (16, 16.0, 16.0, 16),  # all that works is ourselves
        (16, 16.0, 8.0, 8),
        (16, 16.0, 0.0, 1),
        (1, 0.0, 0.0, 1),
    ],
)
def test_the_threads_are_set_to_what_is_left(
    usable: int, busy: float, ours: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, usable, busy, ours)
    assert FairShare().take() == torch.get_num_threads() == expected


def test_a_share_grows_again_when_others_have_done(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 16, 16.0, 4.0)
    share = FairShare()
    assert share.take() == 4
    moments = iter([threads._Moment(1000.0, 16.0 * 1000, {os.getpid(): 16.0 * 1000})])
    share._before = threads._Moment(999.0, 16.0 * 999, {os.getpid(): 16.0 * 999})
    monkeypatch.setattr(threads, "_look", lambda processes: next(moments))
    assert share.take() == torch.get_num_threads() == 16


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_what_the_user_has_set_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 1, 0.0, 0.0, default=3)
    with monkeypatch.context() as patch:
        patch.setenv(name, "3")
        assert FairShare().take() == torch.get_num_threads() == 3
    share = FairShare()
    torch.set_num_threads(2)  # in a notebook, by hand
    assert share.take() == torch.get_num_threads() == 2


def test_a_line_says_why_there_are_fewer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    machine(monkeypatch, 16, 0.0, 0.0)
    FairShare().take(say=True)
    assert capsys.readouterr().out == ""
    machine(monkeypatch, 16, 12.0, 0.0)
    FairShare().take(say=True)
    assert capsys.readouterr().out == "computing with 4 of 16 processors: the others are busy\n"
    machine(monkeypatch, 2, 0.0, 0.0)
    FairShare().take(say=True)
    assert capsys.readouterr().out == "computing with 2 threads, for as many processors as may be used here\n"
    machine(monkeypatch, 2, 2.0, 0.0)
    FairShare().take()
    assert capsys.readouterr().out == ""


# --- other trainings

OTHER = """
import sys
from lpvq import threads
threads.tempfile.gettempdir = lambda: sys.argv[1]
with threads.at_work():
    print("at work", flush=True)
    sys.stdin.read()
"""


def test_trainings_know_of_each_other_and_forget_those_that_were_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", OTHER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "at work\n"
        with at_work() as share:
            assert threads._at_work() == {os.getpid(), other.pid}
            machine(monkeypatch, 16, 0.0, 0.0)
            share._set = 16
            assert share.take() == 8
        other.kill()
    assert threads._at_work() == set()
    assert list((tmp_path / "lpvq-trainings").iterdir()) == []


def test_another_process_of_the_same_number_is_not_taken_for_a_training(tmp_path: Path) -> None:
    write(tmp_path, {f"lpvq-trainings/{os.getpid()}-1": "", "lpvq-trainings/notes": "", "lpvq-trainings/a-b": ""})
    assert threads._at_work() == set()
    assert [path.name for path in (tmp_path / "lpvq-trainings").iterdir()] == ["notes"]


def test_where_nothing_can_be_written_a_training_goes_on_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads.tempfile, "gettempdir", lambda: str(tmp_path / "nowhere" / "at all"))
    with at_work():
        assert threads._at_work() == set()


def test_the_folder_is_for_all_users(tmp_path: Path) -> None:
    with at_work():
        assert (tmp_path / "lpvq-trainings").stat().st_mode & 0o7777 == 0o1777
