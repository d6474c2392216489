"""``import lpvq``: how little it loads, and that nobody notices."""

import ast
import inspect
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import lpvq

SLOW = ("torch", "matplotlib", "IPython", "ipykernel", "zmq", "nbformat", "nbclient", "torchvision", "torchmetrics")


def loaded(code: str, names: tuple[str, ...]) -> list[str]:
    """Run code in a process of its own, and return which of the modules ``names`` it has loaded."""
    code = f"import sys\n{code}\nprint([name for name in {names!r} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return ast.literal_eval(printed.splitlines()[-1])


def test_importing_the_package_loads_nothing_that_is_slow() -> None:
    assert loaded("import lpvq", SLOW) == []


def test_a_model_loads_torch_and_nothing_else_that_is_slow() -> None:
    assert loaded("from lpvq import PixelCNN", (*SLOW, "torch._dynamo", "PIL")) == ["torch"]


def test_what_every_notebook_begins_with_does_without_torchvision() -> None:
    assert loaded("import lpvq.course", ("torchvision", "torch._dynamo", "nbformat")) == []


def test_what_runs_a_submission_starts_without_what_it_does_not_need() -> None:
    assert loaded("import lpvq.classroom.runner", ("torch", "lark", "matplotlib", "IPython")) == []


def test_a_room_is_there_without_importing_it() -> None:
    rooms = ("data", "models", "training")
    code = f"import lpvq\nassert {set(rooms)!r} <= set(dir(lpvq))\nfor room in {rooms!r}: getattr(lpvq, room)"
    modules = tuple(f"lpvq.{room}" for room in rooms)
    assert loaded(code, modules) == list(modules)


def test_every_public_name_is_what_type_checkers_take_it_for() -> None:
    tree = ast.parse(Path(lpvq.__file__).read_text())
    for_checkers, at_run_time = (node for node in tree.body if isinstance(node, ast.If))
    assert (ast.unparse(for_checkers.test), ast.unparse(at_run_time.test)) == ("TYPE_CHECKING", "not TYPE_CHECKING")
    # Where it sees this function, a type checker takes every name for one that is there.
    assert [getattr(node, "name", "") for node in at_run_time.body] == ["__getattr__"]
    seen = {}
    for statement in for_checkers.body:
        assert isinstance(statement, ast.ImportFrom) and statement.module
        module = import_module(statement.module)
        seen |= {alias.asname or alias.name: getattr(module, alias.name) for alias in statement.names}
    assert seen == {name: getattr(lpvq, name) for name in (*lpvq.__all__, *lpvq._ROOMS)}


def test_all_and_dir_and_inspect_have_every_public_name() -> None:
    namespace: dict[str, object] = {}
    exec("from lpvq import *", namespace)
    members = dict(inspect.getmembers(lpvq))
    for name in lpvq.__all__:
        assert namespace[name] is members[name] is getattr(lpvq, name)
        assert inspect.getdoc(members[name])
    assert len(dir(lpvq)) == len(set(dir(lpvq)))


def test_help_shows_the_models() -> None:
    code = "import lpvq; help(lpvq)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for line in ("class PixelCNN(", "class VQVAE(", "train_prior(", "load_images = load("):
        assert line in shown


def test_pickles_are_found_by_their_homes() -> None:
    for name in lpvq.__all__:
        assert pickle.loads(pickle.dumps(getattr(lpvq, name))) is getattr(lpvq, name)


@pytest.mark.parametrize("name", ["PixelCnn", "_HOME", "cli", "__wrapped__"])
def test_a_name_that_there_is_not_is_named(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'lpvq' has no attribute '{name}'"):
        lpvq.__getattr__(name)
    assert not hasattr(lpvq, "PixelCnn")
