"""The classes and functions that a reader has written in a notebook, for another notebook and for tests."""

import ast
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lpvq.errors import InputError


def definitions(notebook: str | Path, *names: str) -> SimpleNamespace:
    """Return definitions from a notebook, as they are written there now.

    Nothing else in the notebook runs: only the classes, functions and imports that these need, and what they take with
    this function from an earlier notebook. Where something is defined twice, the later definition counts. Save the
    notebook first.

    Args:
        notebook: its path.
        names: of classes and functions that are defined in it.

    Raises:
        InputError: there is no such notebook, or it does not define one of the names.
    """
    path = Path(notebook)
    if not path.is_file():
        raise InputError(f"there is no notebook {path}")
    written = _written(path)
    if missing := [name for name in names if not isinstance(written.get(name), ast.ClassDef | ast.FunctionDef)]:
        raise InputError(f"{path.name} does not define {' and '.join(missing)}")
    needed = _needed(names, written)
    in_order = list(dict.fromkeys(statement for statement in written.values() if statement in needed))
    module = ast.Module(in_order, type_ignores=[])
    namespace: dict[str, Any] = {}
    exec(compile(module, str(path), "exec"), namespace)
    return SimpleNamespace(**{name: namespace[name] for name in names})


def _written(path: Path) -> dict[str, ast.stmt]:
    """What each name is bound to by a class, a function or an import on the outermost level, in order."""
    written: dict[str, ast.stmt] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        try:
            statements = ast.parse("".join(cell["source"])).body
        except SyntaxError:  # a cell that is not finished, or a line of IPython's
            continue
        for statement in statements:
            for name in _bound(statement):
                written.pop(name, None)  # so that the later one also comes later
                written[name] = statement
    return written


def _bound(statement: ast.stmt) -> list[str]:
    """The names that a class, a function, an import or another call of ``definitions`` binds."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
    if isinstance(statement, ast.Assign) and _asks_for_definitions(statement.value):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return []


def _asks_for_definitions(value: ast.expr) -> bool:
    """Whether an expression calls ``definitions``."""
    called = (node.func for node in ast.walk(value) if isinstance(node, ast.Call))
    return any(isinstance(function, ast.Attribute) and function.attr == definitions.__name__ for function in called)


def _needed(names: tuple[str, ...], written: dict[str, ast.stmt]) -> set[ast.stmt]:
    """The statements that bind the names, and all that these refer to."""
    open_names, needed = list(names), set()
    while open_names:
        statement = written.get(open_names.pop())
        if statement is None or statement in needed:
            continue
        needed.add(statement)
        open_names += [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return needed
