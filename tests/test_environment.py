"""What surrounds the command: variables, limits and missing packages, answered with a line before torch is loaded."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from lpvq import environment
from lpvq.environment import check_memory, check_threads, needs_extra
from lpvq.errors import InputError

MIB = 2**20
# Says at the end whether torch was loaded.
MAIN = """
import sys
from lpvq.cli import main
try:
    main(sys.argv[1:])
finally:
    print("torch" in sys.modules)
"""


def run(*arguments: str, limit: Callable[[], None] | None = None, **variables: str) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-c", MAIN, *arguments]
    environment = {**os.environ, "LPVQ_PROFILE": "smoke", **variables}
    return subprocess.run(command, env=environment, preexec_fn=limit, capture_output=True, text=True)


def one_line(result: subprocess.CompletedProcess) -> str:
    """What a command says that refuses to run, which has not loaded torch."""
    assert (result.returncode, result.stdout) == (2, "False\n")
    assert result.stderr.startswith("lpvq: ") and result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize("value", ["banana", "-3", "0", "00", "1e9", "", " ", "1.5", "10000", "4,", ",4", "4 2", "٣"])
def test_a_number_of_threads_that_is_none_is_refused(value: str) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        with pytest.raises(InputError, match=f"{name} is {value!r}; expected a whole number from 1 to 9999"):
            check_threads({name: value})


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "64"},
        {"OMP_NUM_THREADS": " 08 "},
        {"OMP_NUM_THREADS": "4,2 , 1"},
        {"LPVQ_NUM_THREADS": "banana"},
    ],
)
def test_numbers_that_openmp_and_mkl_take_are_taken(variables: dict[str, str]) -> None:
    check_threads(variables)


def test_the_command_line_names_the_variable_before_torch_is_loaded(tmp_path: Path) -> None:
    command = ["sample", "--pretrained", "--count", "1", "--output", str(tmp_path)]
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        said = one_line(run(*command, **{"OMP_NUM_THREADS": "1", name: "banana"}))
        assert f"{name} is 'banana'" in said
    assert not list(tmp_path.iterdir())
    helped = run("sample", "--help", OMP_NUM_THREADS="banana")
    assert helped.returncode == 0 and "Example: lpvq sample" in helped.stdout


def test_an_unknown_profile_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    said = one_line(run("sample", "--pretrained", "--output", str(tmp_path), LPVQ_PROFILE="fast"))
    assert "LPVQ_PROFILE" in said and "'fast' is not one of 'smoke', 'laptop'" in said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps these limits")
@pytest.mark.parametrize(("kind", "mebibytes"), [("RLIMIT_AS", 100), ("RLIMIT_AS", 500), ("RLIMIT_DATA", 100)])
def test_a_limit_too_small_for_torch_is_named_with_what_it_needs(kind: str, mebibytes: int, tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(getattr(resource, kind), (mebibytes * MIB, mebibytes * MIB))

    said = one_line(run("demo", "--pretrained", "--output", str(tmp_path), limit=limit))
    needed, what, command = environment._NEEDED[kind]
    assert f"this process may take {mebibytes / 1024:.2g} GiB of {what} ({command}; " in said
    assert f"torch needs about {needed:g} GiB)" in said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps these limits")
def test_a_tight_limit_in_which_torch_loads_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    tight = {resource.RLIMIT_AS: 2**30, resource.RLIMIT_DATA: 2**29}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (tight[kind], tight[kind]))
    monkeypatch.setattr(environment, "_ALL_THAT_IS_LARGE", "pass")  # as a small build of torch would
    check_memory()
    monkeypatch.setattr(environment, "_ALL_THAT_IS_LARGE", "raise MemoryError")
    with pytest.raises(InputError, match=r"1 GiB of address space .* and 0\.5 GiB of data .*: raise the limit"):
        check_memory()


def test_without_limits_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_ALL_THAT_IS_LARGE", "raise MemoryError")
    check_memory()


def test_a_missing_package_is_an_extra_that_is_named() -> None:
    message = r"pip install 'lpvq\[notebooks\]' \(No module named 'no_such_package'\)"
    with pytest.raises(InputError, match=message), needs_extra("notebooks"):
        import_module("no_such_package")


WITHOUT = "import sys\nfor name in {!r}: sys.modules[name] = None\n"  # as if they were not installed
NOTEBOOKS = ("ipyevents", "ipywidgets", "IPython", "jupyterlab", "nbval")
CLASSROOM = ("ipykernel", "jupyter_client", "nbclient", "nbconvert", "nbformat", "nbgrader", "traitlets", "zmq")


@pytest.mark.parametrize(
    ("missing", "command"), [(CLASSROOM, "grade {}"), (CLASSROOM, "release --output {}"), (("nbgrader",), "release")]
)
def test_grading_without_the_extra_says_what_to_install(missing: tuple[str, ...], command: str, tmp_path: Path) -> None:
    code = f"{WITHOUT.format(missing)}from lpvq.cli import main\nmain(sys.argv[1:])"
    command_line = [sys.executable, "-c", code, *command.format(tmp_path).split()]
    result = subprocess.run(command_line, capture_output=True, text=True)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "pip install 'lpvq[classroom]'" in result.stderr


def test_explorers_without_the_extra_say_what_to_install() -> None:
    code = f"{WITHOUT.format(NOTEBOOKS)}import lpvq.course.widgets"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.splitlines()[-1].startswith("lpvq.errors.InputError: this needs packages")
    assert "pip install 'lpvq[notebooks]'" in result.stderr


def test_the_core_works_without_any_extra(tmp_path: Path) -> None:
    """Everything but the two rooms that say what they need."""
    code = f"""{WITHOUT.format((*NOTEBOOKS, *CLASSROOM, "pytest"))}
import pkgutil
from importlib import import_module
import lpvq
from lpvq.cli import main
for module in pkgutil.walk_packages(lpvq.__path__, "lpvq.", onerror=print):
    if not module.name.startswith(("lpvq.classroom.", "lpvq.course.widgets", "lpvq.__main__")):
        import_module(module.name)
main(["sample", "--pretrained", "--count", "1", "--profile", "smoke", "--output", {str(tmp_path)!r}])"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.rglob("samples.png"))
