"""Rewrites the cells of a notebook so that it runs from another seed, and trains longer.

Where a cell seeds anything, the seed is moved. Steps are counted in too many ways to be found by a rule, so what is
multiplied is listed for each cell (``Training``); ``trainings`` finds the cells that have to be in the list.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from claims import Training

SEEDERS = ("manual_seed", "default_rng")  # whose argument is a seed
TAKES_SEED = ("begin", "Workspace", "source_entropy")  # of the package, with a seed of 0 unless told otherwise
KEYWORD = "seed"
LEARNS = ("backward", "grad", "step")  # methods and functions that a loop calls if it trains by hand


@dataclass
class Rewritten:
    """A notebook's cells as they are run, and what was changed in them, by cell."""

    cells: list[tuple[str, ast.Module]] = field(default_factory=list)
    seeds: dict[str, list[str]] = field(default_factory=dict)
    steps: dict[str, list[str]] = field(default_factory=dict)


def rewrite(cells: Mapping[str, str], trainings: Mapping[str, Training], shift: int, times: int) -> Rewritten:
    """Return cells, by their ids, with seeds moved by ``shift`` and steps multiplied by ``times``.

    Raises:
        ValueError: what is to be multiplied is not in its cell.
    """
    result = Rewritten()
    for name, source in cells.items():
        seeds, steps = _Seeds(shift), _Steps(trainings.get(name, Training()).rewritten, times)
        tree = steps.visit(seeds.visit(ast.parse(source)))
        if missing := set(steps.wanted) - steps.met:
            raise ValueError(f"cell {name} has no {' and no '.join(sorted(missing))} any more")
        result.cells.append((name, ast.fix_missing_locations(tree)))
        if seeds.found:
            result.seeds[name] = seeds.found
        if steps.found:
            result.steps[name] = steps.found
    return result


class _Seeds(ast.NodeTransformer):
    """Adds a number to all seeds."""

    def __init__(self, shift: int) -> None:
        self.shift, self.found = shift, list[str]()

    def visit_Call(self, node: ast.Call) -> ast.AST:
        before = ast.unparse(node)
        self.generic_visit(node)
        name = _name_of(node.func)
        given = [keyword for keyword in node.keywords if keyword.arg == KEYWORD]
        if name in SEEDERS:
            self.found.append(before)
            node.args = [self._moved(node.args[0]) if node.args else ast.Constant(self.shift), *node.args[1:]]
        elif name == "admit":  # the patient's number is his seed
            self.found.append(before)
            node.keywords.append(ast.keyword(KEYWORD, self._moved(node.args[0])))
        elif name in TAKES_SEED and not given:
            self.found.append(before)
            node.keywords.append(ast.keyword(KEYWORD, ast.Constant(self.shift)))
        elif given and name in ("load", "draw_factors", *TAKES_SEED):
            self.found.append(before)
            given[0].value = self._moved(given[0].value)
        return node

    def _moved(self, seed: ast.expr) -> ast.expr:
        return ast.BinOp(seed, ast.Add(), ast.Constant(self.shift))


class _Steps(ast.NodeTransformer):
    """Multiplies what is bound to some names, and some numbers."""

    def __init__(self, wanted: tuple[str, ...], times: int) -> None:
        self.wanted, self.times = wanted, times
        self.met, self.found = set[str](), list[str]()

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            node.value = self._longer(node.targets[0].id, node.value)
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        self.generic_visit(node)
        node.value = self._longer(node.arg or "", node.value)
        return node

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        self.generic_visit(node)
        with_default = node.args[len(node.args) - len(node.defaults) :]
        pairs = zip(with_default, node.defaults, strict=True)
        node.defaults = [self._longer(argument.arg, default) for argument, default in pairs]
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        is_number = isinstance(node.value, int) and not isinstance(node.value, bool)
        return self._longer(str(node.value), node) if is_number else node

    def _longer(self, name: str, value: ast.expr) -> ast.expr:
        if name not in self.wanted:
            return value
        self.met.add(name)
        text = ast.unparse(value)
        self.found.append(text if text == name else f"{name}={text}")
        return ast.BinOp(value, ast.Mult(), ast.Constant(self.times))


def trainings(cells: Mapping[str, str]) -> set[str]:
    """Return the ids of the cells that say how long something is trained, as far as one can see from outside.

    They are the cells with a loop that takes gradients, with a ``TrainConfig`` or with a changed one, and those that
    call a function with such a loop and give it a number.
    """
    trees = {name: ast.parse(source) for name, source in cells.items()}
    teachers = {
        function.name
        for tree in trees.values()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and any(map(_is_training, ast.walk(function)))
    }
    return {name for name, tree in trees.items() if any(_says_how_long(node, teachers) for node in ast.walk(tree))}


def _says_how_long(node: ast.AST, teachers: set[str]) -> bool:
    if _is_training(node):
        return True
    if not isinstance(node, ast.Call):
        return False
    given = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "steps")]
    has_number = any(isinstance(value, ast.Constant) and type(value.value) is int for value in given)
    has_steps = any(keyword.arg == "steps" for keyword in node.keywords)
    name = _name_of(node.func)
    return (
        name == "TrainConfig" or (name == "replace" and has_steps) or (name in teachers and (has_number or has_steps))
    )


def _is_training(node: ast.AST) -> bool:
    if not isinstance(node, ast.For | ast.While):
        return False
    return any(isinstance(inner, ast.Call) and _name_of(inner.func) in LEARNS for inner in ast.walk(node))


def _name_of(function: ast.expr) -> str:
    """The last part of what is called: ``manual_seed`` of ``torch.manual_seed``."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
