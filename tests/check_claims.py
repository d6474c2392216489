"""Run notebooks from another seed, or with twice the training, and ask whether what they claim still holds.

    python tests/check_claims.py [--seed K] [--times T] [--output FOLDER] [NOTEBOOK ...]
    python tests/check_claims.py --table

The first runs the notebooks named, or all lessons one after another, in one process and in the profile of
``LPVQ_PROFILE``. Each seed in a cell is moved by 1000 · K, and each number of steps multiplied by T; what is trained by
the package, too. Later notebooks go on with what earlier ones have made, so each pair of K and T has a workspace of its
own, which is kept. What was found goes to ``FOLDER/results/``, a JSON file for each notebook, K and T, with what was
rewritten in it; a text beside it holds what the cells have printed.

The second writes ``notebooks/CLAIMS.md`` from the files of the profile ``laptop``.
"""

import argparse
import math
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stdout
from dataclasses import replace
from inspect import signature
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

import nbformat
import torch

from claims import Claim, Training, claims_of
from claims.measures import MEASURES
from claims_page import write_page
from lpvq.experiments import workspace
from lpvq.experiments.profiles import Recipe, profile_name, recipe_for
from lpvq.files import write_json
from lpvq.training.config import TrainConfig
from lpvq.training.trainer import History, Trainer
from rewriting import Rewritten, rewrite

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
OUTPUT = FOLDER.parent / "output" / "claims"
SHIFT = 1000  # between two seeds; a notebook seeds with 0, 1, 2, … itself
READERS = ("exercise-", "check-")  # the reader's cells show no claim


class Stretched(TrainConfig):
    """A setting of a recipe that has been moved and multiplied, and that the trainer leaves as it is."""


@contextmanager
def elsewhere(output: Path, shift: int, times: int) -> Iterator[None]:
    """Train from other seeds and longer, in a workspace below ``output``, until the end of the block."""

    def longer_recipe(*arguments: Any, **options: Any) -> Recipe:
        recipe = recipe_for(*arguments, **options)  # it has the seed of the notebook, moved already
        return replace(
            recipe,
            vqvae=_stretched(recipe.vqvae, recipe.vqvae.seed, times),
            prior=_stretched(recipe.prior, recipe.prior.seed, times),
            classifier=_stretched(recipe.classifier, recipe.classifier.seed + shift, times),
        )

    begin, train = Trainer.__init__, Trainer.train

    def longer(self: Any, *arguments: Any, **options: Any) -> None:
        given = signature(begin).bind(self, *arguments, **options)
        config = given.arguments["config"]
        self.until_times = 1
        if not isinstance(config, Stretched):
            self.until_times = times
            given.arguments["config"] = _stretched(config, config.seed + shift, times)
        begin(*given.args, **given.kwargs)

    def train_longer(
        self: Any, checkpoint: Any, checkpoint_seconds: float, until: int | None = None, after_step: Any = None
    ) -> History:
        until = None if until is None else until * self.until_times
        return train(self, checkpoint, checkpoint_seconds, until, after_step)

    with ExitStack() as changed:
        changed.enter_context(patch.dict(os.environ, {"LPVQ_OUTPUT": os.fspath(output.resolve())}))
        changed.enter_context(patch.object(workspace, "recipe_for", longer_recipe))
        changed.enter_context(patch.object(Trainer, "__init__", longer))
        changed.enter_context(patch.object(Trainer, "train", train_longer))
        yield


def _stretched(config: TrainConfig, seed: int, times: int) -> Stretched:
    values = {name: getattr(config, name) for name in config.__dataclass_fields__}
    return Stretched(**{**values, "seed": seed, "steps": config.steps * times})


def run(
    path: Path, claims: list[Claim], trainings: dict[str, Training], seed: int, times: int, output: Path
) -> dict[str, Any]:
    """Run one notebook and return what became of its claims, as the JSON file has it.

    What is printed goes where ``sys.stdout`` is. After the first cell that fails, no other is run.
    """
    rewritten = rewrite(code_cells(path), trainings, seed * SHIFT, times)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    judged: dict[int, dict[str, Any]] = {}
    error, begin = "", perf_counter()
    torch.set_grad_enabled(True)  # a notebook before this one may have turned it off
    with elsewhere(output, seed * SHIFT, times), chdir(path.parent):
        for name, tree in rewritten.cells:
            print(f"\n[{name}]", flush=True)
            try:
                exec(compile(tree, f"{path.name}, cell {name}", "exec"), namespace)
            except Exception:
                error = traceback.format_exc()
                break
            judged |= {i: judge(claim, namespace) for i, claim in enumerate(claims) if claim.cell == name}
    return {
        "notebook": path.stem,
        "seed": seed,
        "times": times,
        "profile": profile_name(None),
        "seconds": round(perf_counter() - begin),
        "error": error,
        **_said(rewritten),
        "claims": [
            {"claim": vars(claim), **judged.get(i, {"value": None, "holds": None, "error": "not run"})}
            for i, claim in enumerate(claims)
        ],
    }


def code_cells(path: Path) -> dict[str, str]:
    """Return the code of a notebook that can show something, by the ids of its cells."""
    cells = nbformat.read(path, as_version=4).cells
    is_code = [cell for cell in cells if cell.cell_type == "code" and not cell.id.startswith(READERS)]
    return {cell.id: cell.source for cell in is_code}


def judge(claim: Claim, namespace: dict[str, Any]) -> dict[str, Any]:
    """Return what was found for a claim, and whether it holds; True for what its cell has tested by itself."""
    if claim.kind == "exact":
        return {"value": None, "holds": True, "error": ""}
    try:
        with torch.random.fork_rng(devices=[]):  # what is asked must not change what is drawn later
            value = eval(claim.value, MEASURES | namespace)
            holds = bool(eval(claim.holds, {**MEASURES, **namespace, "value": value}))
        return {"value": plain(value), "holds": holds, "error": ""}
    except Exception as error:
        return {"value": None, "holds": None, "error": f"{type(error).__name__}: {error}"}


def plain(value: Any) -> Any:
    """Return numbers as JSON has them: no tensors, four digits, and None for what is not finite."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bool | str):
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    number = float(value)
    return float(f"{number:.4g}") if math.isfinite(number) else None


def _said(rewritten: Rewritten) -> dict[str, Any]:
    return {"rewritten_seeds": rewritten.seeds, "rewritten_steps": rewritten.steps}


def run_and_keep(path: Path, seed: int, times: int, output: Path) -> bool:
    """Run a lesson, write its files and say how it went; return whether all of it ran."""
    claims, trainings = claims_of(path)
    name = f"{path.name[:2]}-seed-{seed}-times-{times}-{profile_name(None)}"
    results = output / "results"
    results.mkdir(parents=True, exist_ok=True)
    with (results / f"{name}.txt").open("w", encoding="utf-8") as log, redirect_stdout(log):
        found = run(path, claims, trainings, seed, times, output / f"seed-{seed}-times-{times}")
    write_json(results / f"{name}.json", found)
    of_claims = found["claims"]
    held = sum(one["holds"] is True for one in of_claims)
    unknown = [one for one in of_claims if one["holds"] is None]
    print(
        f"{path.stem}: {held} of {len(of_claims)} claims hold, {len(unknown)} unknown, {found['seconds']} s", flush=True
    )
    for one in unknown:
        print(f"  {one['claim']['cell']}: {one['error']}")
    for kind in ("seeds", "steps"):
        for cell, texts in found[f"rewritten_{kind}"].items():
            print(f"  {kind} in {cell}: {', '.join(texts)}")
    if found["error"]:
        print(found["error"], file=sys.stderr)
    return not found["error"] and not unknown


def main(arguments: list[str]) -> int:
    """Run notebooks or write the page; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="of the lessons; all of them unless some are named")
    parser.add_argument("--seed", type=int, default=0, help="how many thousands are added to each seed")
    parser.add_argument("--times", type=int, default=1, help="what each number of steps is multiplied by")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of workspaces and results")
    parser.add_argument("--table", action="store_true", help="write notebooks/CLAIMS.md")
    options = parser.parse_args(arguments)
    lessons = sorted(FOLDER.glob("*.ipynb"))
    if options.table:
        write_page(FOLDER / "CLAIMS.md", lessons, options.output / "results")
        return 0
    paths = [path.resolve() for path in options.notebooks] or lessons
    ran = [run_and_keep(path, options.seed, options.times, options.output.resolve()) for path in paths]
    return 0 if all(ran) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
