"""Each claim is what its notebook says, can be judged, and is judged on runs that are what they are said to be."""

import ast
import builtins
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from nbformat import v4

import check_claims
import claims_page
from check_claims import code_cells, run
from claims import Claim, Training, claims_of, exact, time
from claims.measures import MEASURES
from lpvq.experiments.profiles import PROFILES
from quick import quick_recipe
from rewriting import rewrite, trainings

LESSONS = sorted(check_claims.FOLDER.glob("*.ipynb"))
PAGE = check_claims.FOLDER / "CLAIMS.md"
SMALL_CELLS = {
    "begin": "import torch\nfrom lpvq import TrainConfig, VQVAE, course, train_vqvae\n"
    "from lpvq.data.loading import load\nworkspace = course.begin()\ndrawn = torch.rand(1).item()",
    "own-loop": "steps = 4\ntorch.manual_seed(1)\nweight = torch.rand(1, requires_grad=True)\n"
    "begun, done = weight.item(), 0\n"
    "for step in range(steps):\n    (gradient,) = torch.autograd.grad(weight.square().sum(), weight)\n    done += 1",
    "trainer": "data, seeds = load('smileys', limit=16), []\nvqvae = VQVAE(3, 4, 4, 4)\n"
    "config = TrainConfig(steps=3, batch_size=8, seed=5)\n"
    "history = train_vqvae(vqvae, data, config, after_step=lambda *_: seeds.append(torch.initial_seed()))",
    "workspace": "half = workspace.train_until('vqvae', 0.5)[1][-1]['step']\n"
    "about, prior = workspace.vqvae_about, workspace.prior_about",
}
SMALL_TRAININGS = {"own-loop": Training(("steps",)), "trainer": Training(why="the package's trainer does it")}
SMALL_CLAIMS = [
    Claim("begins", "begin", "drawn", "True"),
    Claim("loops", "own-loop", "[begun, done]", "value[1] == 4"),
    Claim("trains", "trainer", "[history[-1]['step'], str(seeds[-1])]", "True"),
    Claim(
        "keeps",
        "workspace",
        "[half, *(one['history'][-1]['step'] for one in (about, prior)), about['settings']['seed']]",
        "True",
    ),
]


def write(folder: Path, cells: dict[str, str]) -> Path:
    written = [v4.new_code_cell(source, id=name) for name, source in cells.items()]
    path = folder / "99_small.ipynb"
    path.write_text(v4.writes(v4.new_notebook(cells=written)), encoding="utf-8")
    return path


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook that trains in all the ways there are, in seconds."""
    monkeypatch.setitem(PROFILES, "smoke", quick_recipe(steps=6))
    monkeypatch.setenv("LPVQ_PROFILE", "smoke")
    return write(tmp_path, SMALL_CELLS)


def values(found: dict[str, Any]) -> list[Any]:
    assert not found["error"], found["error"]
    return [claim["value"] for claim in found["claims"]]


def first_number(seed: int) -> float:
    return torch.rand(1, generator=torch.Generator().manual_seed(seed)).item()


def test_seeds_and_steps_arrive_in_every_kind_of_training(small: Path, tmp_path: Path) -> None:
    begins, loops, trains, keeps = values(run(small, SMALL_CLAIMS, SMALL_TRAININGS, 1, 2, tmp_path / "longer"))
    assert begins == pytest.approx(first_number(1000), rel=1e-3)
    assert loops == [pytest.approx(first_number(1001), rel=1e-3), 8]
    assert keeps == [6, 12, 12, 1000]  # half and all of twice six steps, and those of the prior
    by_hand = SMALL_CELLS["trainer"].replace("steps=3, batch_size=8, seed=5", "steps=6, batch_size=8, seed=1005")
    written = write(tmp_path, {"begin": SMALL_CELLS["begin"], "trainer": by_hand})
    assert values(run(written, SMALL_CLAIMS[2:3], {}, 0, 1, tmp_path / "by-hand")) == [trains]
    assert trains[0] == 6


def test_a_run_that_changes_nothing_leaves_the_package_and_the_notebook_as_they_are(
    small: Path, tmp_path: Path
) -> None:
    before = check_claims.workspace.recipe_for, check_claims.Trainer.__init__, check_claims.Trainer.train
    found = run(small, SMALL_CLAIMS, SMALL_TRAININGS, 0, 1, tmp_path / "as-it-is")
    begins, loops, trains, keeps = values(found)
    assert begins == pytest.approx(first_number(0), rel=1e-3)
    assert (loops[1], trains[0], keeps) == (4, 3, [3, 6, 6, 0])
    assert [claim["holds"] for claim in found["claims"]] == [True] * 4
    assert before == (check_claims.workspace.recipe_for, check_claims.Trainer.__init__, check_claims.Trainer.train)


def test_what_was_rewritten_is_reported() -> None:
    cells = {
        "seeds": "torch.manual_seed(0)\nrng = np.random.default_rng()\nsome = load('smileys', seed=3)\nclinic.admit(2)",
        "steps": "def learn(model, steps=10):\n    pass\nlearn(net, 100)\npart = 20 if quick else 500",
    }
    rewritten = rewrite(cells, {"steps": Training(("steps", "100", "part"))}, shift=1000, times=2)
    assert len(rewritten.seeds["seeds"]) == 4
    assert rewritten.steps == {"steps": ["steps=10", "100", "part=20 if quick else 500"]}
    seeds, steps = (ast.unparse(tree) for _, tree in rewritten.cells)
    assert seeds.splitlines() == [
        "torch.manual_seed(0 + 1000)",
        "rng = np.random.default_rng(1000)",
        "some = load('smileys', seed=3 + 1000)",
        "clinic.admit(2, seed=2 + 1000)",
    ]
    assert "steps=10 * 2" in steps and "learn(net, 100 * 2)" in steps and "part = (20 if quick else 500) * 2" in steps


def test_what_is_to_be_multiplied_must_be_there() -> None:
    with pytest.raises(ValueError, match="cell loop has no steps any more"):
        rewrite({"loop": "rounds = 3"}, {"loop": Training(("steps",))}, shift=0, times=2)


@pytest.mark.parametrize(
    "source",
    [
        "for _ in range(9):\n    loss.backward()",
        "config = TrainConfig(steps=9)",
        "other = replace(config, steps=9)",
        "def learn(model, steps):\n    for _ in range(steps):\n        optimizer.step()",
    ],
)
def test_cells_that_train_are_found(source: str) -> None:
    assert trainings({"here": source, "not here": "for row in range(8):\n    draw(row)"}) == {"here"}


def test_calls_of_a_training_with_a_number_are_found() -> None:
    cells = {
        "define": "def learn(model, n):\n    for _ in range(n):\n        loss.backward()",
        "call": "learn(net, 100)",
    }
    assert trainings(cells) == {"define", "call"}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_every_cell_that_trains_is_accounted_for(lesson: Path) -> None:
    cells, (_, listed) = code_cells(lesson), claims_of(lesson)
    assert trainings(cells) <= listed.keys()
    rewrite(cells, listed, shift=0, times=1)  # it finds all that is listed


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_claims_are_what_the_lesson_says(lesson: Path) -> None:
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    said = " ".join(" ".join("".join(cell["source"]).split()) for cell in cells if cell["cell_type"] == "markdown")
    claims, _ = claims_of(lesson)
    assert [claim.text for claim in claims if claim.text not in said] == []
    assert {claim.cell for claim in claims} <= code_cells(lesson).keys()


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_claims_ask_for_what_the_lesson_computes(lesson: Path) -> None:
    bound = bound_in("\n".join(code_cells(lesson).values()))
    assert not bound & MEASURES.keys()
    known = bound | MEASURES.keys() | set(dir(builtins)) | {"value"}
    for claim in claims_of(lesson)[0]:
        assert bool(claim.value) == bool(claim.holds) == (claim.kind != "exact"), claim.text
        for expression in filter(None, (claim.value, claim.holds)):
            names = {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)}
            assert names <= known | bound_in(expression), claim.text


def bound_in(source: str) -> set[str]:
    """All names that are bound anywhere in some code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def test_the_page_has_all_claims_of_all_lessons() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for lesson in LESSONS:
        assert f"({lesson.name})" in page
        assert [claim.text for claim in claims_of(lesson)[0] if claims_page.cited(claim.text) not in page] == []


def test_after_a_cell_that_fails_no_claim_is_judged(tmp_path: Path) -> None:
    path = write(tmp_path, {"one": "a = 1", "two": "a = 1 / 0", "three": "a = 3"})
    claims = [Claim("first", "one", "a", "value == 1"), exact("second", "two"), Claim("third", "three", "a", "True")]
    found = run(path, claims, {}, 0, 1, tmp_path / "output")
    assert "ZeroDivisionError" in found["error"]
    assert [claim["holds"] for claim in found["claims"]] == [True, None, None]


def test_what_is_asked_changes_nothing_that_comes_later(tmp_path: Path) -> None:
    cells = {"one": "import torch\ntorch.manual_seed(0)", "two": "a = torch.rand(1).item()"}
    claims = [Claim("asked", "one", "torch.rand(9)", "True"), Claim("later", "two", "a", "True")]
    _, later = values(run(write(tmp_path, cells), claims, {}, 0, 1, tmp_path / "output"))
    assert later == pytest.approx(first_number(0), rel=1e-3)


def test_a_claim_that_cannot_be_judged_says_why(tmp_path: Path) -> None:
    path = write(tmp_path, {"one": "a = {'b': float('nan')}"})
    claims = [Claim("no name", "one", "b", "True"), Claim("not finite", "one", "a", "value['b'] > 0")]
    unknown, failed = run(path, claims, {}, 0, 1, tmp_path / "output")["claims"]
    assert unknown["holds"] is None and "NameError" in unknown["error"]
    assert failed["holds"] is False and failed["value"] == {"b": None}


def test_the_page_says_what_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = write(tmp_path, {"one": "a = 1"})
    lesson.write_text(v4.writes(v4.new_notebook(cells=[v4.new_markdown_cell("# 99 Small")])), encoding="utf-8")
    claims = [Claim(text, "one", f"a  # {text}", "True") for text in ("stands", "falls", "open")]
    claims += [exact("by definition", "one"), time("is | fast", "one", "s", "True")]
    monkeypatch.setattr(claims_page, "claims_of", lambda _: (claims, {}))
    results = tmp_path / "results"
    results.mkdir()
    for seed, times in claims_page.RUNS:
        is_last = times == 2
        held = {"stands": True, "falls": not is_last, "open": None if is_last else True}
        found = [
            {"claim": {**vars(claim), "text": "in older words"}, "value": 0.12345, "holds": held[claim.text]}
            for claim in claims[:3]
        ]
        path = results / f"99-seed-{seed}-times-{times}-laptop.json"
        path.write_text(json.dumps({"claims": found}), encoding="utf-8")
    lines = claims_page.page([lesson], results).splitlines()
    assert "| stands | `one` | 0.123 | 0.123 | 0.123 | 0.123 | yes |" in lines
    assert "| falls | `one` | 0.123 | 0.123 | 0.123 | 0.123 ✗ | **no** |" in lines
    assert "| open | `one` | 0.123 | 0.123 | 0.123 | – | – |" in lines
    assert "| is \\| fast | `one` | – | – | – | – | – |" in lines
    assert "- `one`: by definition" in lines
