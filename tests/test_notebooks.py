"""Every committed notebook is a lesson as the course has it, with the outputs of a real run in the ``laptop`` profile.

nbval runs the notebooks; what it passes over in silence is checked here. A lesson (``notebooks/NN_name.ipynb``) has

- a first cell that starts with ``# Title``;
- ``## After this you can``, followed by a list of three to five objectives;
- one line that holds ``Time:``, ``Hardware:``, ``Reads:`` and ``Saves:``, before the first code cell;
- at its end ``## Exercises``, ``## Recap`` and ``## References``, in this order;
- in its recap a link to the next notebook, and a link with each reference;
- two cells or more tagged ``nbval-check-output``;
- a notebook of the same name in ``notebooks/solutions/`` that says "correct", in cells tagged
  ``nbval-check-output``, as often as the lesson says "not done yet".

A figure is shown by ``lpvq.plotting.show(figure, description)``, which puts a text beside the PNG. A check is a
function from a notebook to a list of complaints, so that each is also tried on a notebook that has the fault it looks
for.
"""

import ast
import base64
import io
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from nbformat import NotebookNode, v4
from nbval.plugin import get_sanitize_patterns, metadata_tags
from PIL import Image

import run_notebooks
from lpvq import plotting
from test_project import MACHINE_PATH, ROOT

LESSONS = sorted(run_notebooks.FOLDER.glob("*.ipynb"))
SOLUTIONS = sorted(run_notebooks.FOLDER.glob("solutions/*.ipynb"))
SECONDS_PER_CELL = 120
SECONDS_PER_SERIES = 40 * 60
LINES_PER_CELL = 40
CHARACTERS_PER_LINE = 88  # as notebooks/.ruff.toml has it
CHECKED = "nbval-check-output"
OBJECTIVES = "## After this you can"
CLOSING = ["## Exercises", "## Recap", "## References"]
FACTS = ["Time:", "Hardware:", "Reads:", "Saves:"]
NOT_DONE = "not done yet"
CORRECT = "correct"

Check = Callable[[NotebookNode], list[str]]


def read(path: Path) -> NotebookNode:
    return v4.reads(path.read_text(encoding="utf-8"))  # unlike nbformat.read, this mends nothing on the way


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: NotebookNode) -> list[tuple[NotebookNode, NotebookNode]]:
    return [(cell, output) for cell in code_cells(notebook) for output in cell.outputs]


def texts(output: NotebookNode) -> list[str]:
    """All that an output says in letters, pictures left out."""
    shown = [value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")]
    return [str(text) for text in [output.get("text", ""), *shown]]


def prose(notebook: NotebookNode) -> list[str]:
    """The lines of the text cells, code in fences left out."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE).splitlines()


def first_line(cell: NotebookNode) -> str:
    return (cell.source.strip().splitlines() or ["(empty)"])[0]


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


# --- checks of every notebook


def is_valid(notebook: NotebookNode) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            nbformat.validate(deepcopy(notebook))
        except (nbformat.ValidationError, Warning) as error:
            return [f"not a valid notebook: {error}"]
    return []


def has_unique_cell_ids(notebook: NotebookNode) -> list[str]:
    ids = [cell.get("id") for cell in notebook.cells]
    return [f"cell id {name} stands there more than once" for name in set(ids) if name is None or ids.count(name) > 1]


def was_run_top_to_bottom(notebook: NotebookNode) -> list[str]:
    cells = [cell for cell in code_cells(notebook) if cell.source.strip()]
    counts = [cell.execution_count for cell in cells]
    return [] if cells and counts == list(range(1, len(cells) + 1)) else [f"counts are {counts}, expected 1, 2, 3, …"]


def has_its_outputs(notebook: NotebookNode) -> list[str]:
    missing = [first_line(cell) for cell in code_cells(notebook) if shows_something(cell.source) and not cell.outputs]
    complaints = [f"no output of the cell {line!r}" for line in missing]
    return complaints if outputs(notebook) else [*complaints, "no outputs at all"]


def shows_something(source: str) -> bool:
    """Tell whether a cell certainly has an output: it prints or shows unconditionally, or ends in a plain value."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic of IPython
        return False
    values = [statement.value for statement in statements if isinstance(statement, ast.Expr)]
    called = [ast.unparse(value.func).split(".")[-1] for value in values if isinstance(value, ast.Call)]
    if {"print", "display", "show"} & set(called):
        return True
    ends_in_value = bool(statements) and isinstance(statements[-1], ast.Expr) and not source.rstrip().endswith(";")
    return ends_in_value and not isinstance(values[-1], ast.Call)  # a call may return None


def has_no_errors(notebook: NotebookNode) -> list[str]:
    return [f"{first_line(cell)!r} fails" for cell, output in outputs(notebook) if output.output_type == "error"]


def was_run_as_a_reader_would(notebook: NotebookNode) -> list[str]:
    profile = notebook.metadata.get("lpvq", {}).get("profile")
    return [] if profile == run_notebooks.PROFILE else [f"run in the profile {profile}: `make notebooks` runs it"]


def keeps_nobody_waiting(notebook: NotebookNode) -> list[str]:
    seconds = notebook.metadata.get("lpvq", {}).get("slowest_cell_seconds", 0)
    return [] if seconds <= SECONDS_PER_CELL else [f"a cell takes {seconds} s, at most {SECONDS_PER_CELL} are fine"]


def names_no_machine(notebook: NotebookNode) -> list[str]:
    said = [cell.source for cell in notebook.cells]
    said += [text for _, output in outputs(notebook) for text in texts(output)]
    lines = [line for text in said for line in text.splitlines()]
    return [f"a folder of one machine: {line}" for line in lines if MACHINE_PATH.search(line)]


def has_no_widget_state(notebook: NotebookNode) -> list[str]:
    complaints = ["has metadata.widgets, with which GitHub does not draw it"] if "widgets" in notebook.metadata else []
    live = [cell for cell, output in outputs(notebook) if run_notebooks.WIDGET in output.get("data", {})]
    return [*complaints, *(f"{first_line(cell)!r} shows a widget that is gone" for cell in live)]


def has_text_beside_pictures(notebook: NotebookNode) -> list[str]:
    complaints = []
    for cell, output in outputs(notebook):
        data = output.get("data", {})
        kinds = {kind for kind in data if kind.startswith("image/")}
        alternative = data.get("text/plain", "")
        if kinds - {"image/png"}:
            complaints.append(f"{first_line(cell)!r} shows {sorted(kinds)}, only PNG is the same in every run")
        if kinds and output.metadata.get("image/png", {}).get("alt") != alternative:
            complaints.append(f"{first_line(cell)!r} shows a picture whose text does not reach the page")
        if kinds and "text/html" in data:
            complaints.append(f"{first_line(cell)!r} holds a picture twice")
        if kinds and (alternative.startswith(("<", plotting.UNDESCRIBED)) or len(alternative) <= 20):
            complaints.append(f"{first_line(cell)!r} shows a picture without a text: use lpvq.plotting.show")
    html = [output.get("data", {}).get("text/html", "") for _, output in outputs(notebook)]
    for text in [*prose(notebook), *html]:
        if re.search(r"!\[\s*\]\(|<svg|<img(?![^>]*\balt=[\"'][^\"'])", text):
            complaints.append(f"a picture without a text: {text[:80]}")
    return complaints


def has_short_cells(notebook: NotebookNode) -> list[str]:
    lengths = {first_line(cell): len(cell.source.splitlines()) for cell in code_cells(notebook)}
    return [f"{line!r} has {n} lines, at most {LINES_PER_CELL}" for line, n in lengths.items() if n > LINES_PER_CELL]


def has_lines_that_fit(notebook: NotebookNode) -> list[str]:
    lines = [line for cell in code_cells(notebook) for line in cell.source.splitlines()]
    return [f"more than {CHARACTERS_PER_LINE} characters: {line}" for line in lines if len(line) > CHARACTERS_PER_LINE]


def has_tags_that_nbval_knows(notebook: NotebookNode) -> list[str]:
    used = {tag for cell in notebook.cells for tag in tags(cell) if tag.startswith("nbval")}
    return [f"nbval does not know the tag {tag}" for tag in used - set(metadata_tags)]


def has_outputs_to_compare(notebook: NotebookNode) -> list[str]:
    cells = [cell for cell in code_cells(notebook) if CHECKED in tags(cell)]
    empty = [first_line(cell) for cell in cells if not any(text for out in cell.outputs for text in texts(out))]
    return [f"{line!r} is tagged {CHECKED} and has nothing to compare" for line in empty]


def has_no_bar_to_compare(notebook: NotebookNode) -> list[str]:
    """Look for a bar in a cell that is compared: nbval keeps its first state, a file its last."""
    shown = [(cell, output.get("data", {}).get("text/html", "")) for cell, output in outputs(notebook)]
    barred = [cell for cell, html in shown if CHECKED in tags(cell) and "<progress" in html]
    return [f"{first_line(cell)!r} is tagged {CHECKED} and shows a progress bar" for cell in barred]


# --- checks of a lesson


def has_a_title(notebook: NotebookNode) -> list[str]:
    first = notebook.cells[0]
    titled = first.cell_type == "markdown" and re.match(r"# \S", first.source)
    return [] if titled else [f"starts with {first_line(first)!r}, expected a title"]


def states_its_objectives(notebook: NotebookNode) -> list[str]:
    lines = prose(notebook)
    if OBJECTIVES not in lines:
        return [f"has no heading {OBJECTIVES!r}"]
    section: list[str] = []
    for line in lines[lines.index(OBJECTIVES) + 1 :]:
        if line.startswith("#"):
            break
        section.append(line)
    number = sum(bool(re.match(r"([-*]|\d+\.) ", line)) for line in section)
    return [] if 3 <= number <= 5 else [f"has {number} objectives, expected a list of three to five"]


def states_what_it_needs(notebook: NotebookNode) -> list[str]:
    opening = notebook.cells[: notebook.cells.index(code_cells(notebook)[0])]
    lines = [line for cell in opening for line in cell.source.splitlines()]
    stated = any(all(fact in line for fact in FACTS) for line in lines)
    return [] if stated else [f"has no line with {' '.join(FACTS)} before the first code cell"]


def closes_as_the_others_do(notebook: NotebookNode) -> list[str]:
    found = [line for line in prose(notebook) if line in CLOSING]
    return [] if found == CLOSING else [f"closes with {found}, expected {CLOSING}"]


def has_references_to_follow(notebook: NotebookNode) -> list[str]:
    _, _, references = "\n".join(prose(notebook)).partition("## References")
    listed = re.split(r"^- ", references, flags=re.MULTILINE)[1:]
    complaints = [f"no link with the reference {text[:80]!r}" for text in listed if "](https://" not in text]
    return complaints if listed else ["lists no references"]


def has_cells_to_compare(notebook: NotebookNode) -> list[str]:
    number = sum(CHECKED in tags(cell) for cell in code_cells(notebook))
    return [] if number >= 2 else [f"{number} cells are tagged {CHECKED}, expected two or more"]


# --- checks of the solutions


def is_solved(notebook: NotebookNode) -> list[str]:
    unsolved = [cell for cell, output in outputs(notebook) if any(NOT_DONE in text for text in texts(output))]
    complaints = [f"{first_line(cell)!r} says {NOT_DONE!r}" for cell in unsolved]
    return complaints if verdicts(notebook) else [*complaints, f"no cell tagged {CHECKED} says {CORRECT!r}"]


def verdicts(notebook: NotebookNode) -> int:
    """How often cells that nbval compares say "correct"."""
    checked = [output for cell, output in outputs(notebook) if CHECKED in tags(cell)]
    return sum(len(re.findall(rf"\b{CORRECT}\b", text)) for output in checked for text in texts(output))


def folds_its_answers(notebook: NotebookNode) -> list[str]:
    answers = filter(run_notebooks.is_answer, notebook.cells)
    open_ones = [cell for cell in answers if not cell.metadata.get("jupyter", {}).get("source_hidden")]
    return [f"the answer {first_line(cell)!r} is not folded" for cell in open_ones]


CHECKS: list[Check] = [
    is_valid,
    has_unique_cell_ids,
    was_run_top_to_bottom,
    has_its_outputs,
    has_no_errors,
    was_run_as_a_reader_would,
    names_no_machine,
    has_no_widget_state,
    has_text_beside_pictures,
    has_short_cells,
    has_lines_that_fit,
    has_tags_that_nbval_knows,
    has_outputs_to_compare,
    has_no_bar_to_compare,
]
LESSON_CHECKS: list[Check] = [
    has_a_title,
    states_its_objectives,
    states_what_it_needs,
    closes_as_the_others_do,
    has_references_to_follow,
    has_cells_to_compare,
    keeps_nobody_waiting,  # a solution has the same trainings, and nobody waits for it
]
SOLUTION_CHECKS: list[Check] = [is_solved, folds_its_answers]


# --- the notebooks of the course


def each(paths: list[Path], checks: list[Check]) -> Iterator:
    for path in paths:
        name = path.relative_to(run_notebooks.FOLDER).with_suffix("")
        yield from (pytest.param(path, check, id=f"{name}-{check.__name__}") for check in checks)


@pytest.mark.parametrize(
    ("path", "check"), [*each(LESSONS, CHECKS + LESSON_CHECKS), *each(SOLUTIONS, CHECKS + SOLUTION_CHECKS)]
)
def test_every_notebook_is_as_the_course_has_it(path, check):
    assert not check(read(path))


def test_the_course_starts_with_the_welcome():
    assert [path.stem for path in LESSONS][:1] == ["00_welcome"]


@pytest.mark.parametrize(("path", "following"), list(pairwise(LESSONS)), ids=lambda path: path.stem)
def test_a_recap_leads_to_the_next_notebook(path, following):
    _, _, recap = "\n".join(prose(read(path))).partition("## Recap")
    assert f"]({following.name})" in recap


def test_every_lesson_has_its_solutions():
    assert [path.name for path in LESSONS] == [path.name for path in SOLUTIONS]


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_exercise_is_solved(path):
    lesson = read(run_notebooks.FOLDER / path.name)
    exercises = sum(text.count(NOT_DONE) for _, output in outputs(lesson) for text in texts(output))
    assert verdicts(read(path)) >= exercises > 0


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_a_solution_differs_from_its_lesson_in_the_answers_alone(path):
    lesson, solution = read(run_notebooks.FOLDER / path.name), read(path)
    taken_over = run_notebooks.with_answers_of(solution, lesson)
    assert [cell.source for cell in solution.cells] == [cell.source for cell in taken_over]
    answered = [cell.id for cell, stub in zip(solution.cells, lesson.cells, strict=True) if cell.source != stub.source]
    assert answered == [cell.id for cell in lesson.cells if run_notebooks.is_answer(cell)]


def test_the_table_of_times_is_that_of_the_notebooks():
    assert run_notebooks.table_of_times() in (run_notebooks.FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_series_takes_no_longer_than_promised():
    seconds = {path.stem: read(path).metadata.get("lpvq", {}).get("seconds", 0) for path in LESSONS}
    assert sum(seconds.values()) <= SECONDS_PER_SERIES, seconds


# --- the checks themselves: none complains of a good notebook, each complains of its fault

PNG = "iVBORw0KGgo="
ALT = "A row of eight smileys, each on another background."


def text_cell(source: str) -> NotebookNode:
    return v4.new_markdown_cell(source)


def code_cell(source: str, count: int, *results: NotebookNode, checked: bool = False) -> NotebookNode:
    metadata = {"tags": [CHECKED]} if checked else {}
    return v4.new_code_cell(source, execution_count=count, outputs=list(results), metadata=metadata)


def printed(text: str) -> NotebookNode:
    return v4.new_output("stream", name="stdout", text=text)


def picture(kind: str = "image/png", alt: str = ALT) -> NotebookNode:
    return v4.new_output("display_data", data={kind: PNG, "text/plain": alt}, metadata={"image/png": {"alt": alt}})


def good_notebook() -> NotebookNode:
    """Return a notebook that has everything: it would do as a lesson and as its solution."""
    facts = "Time: 3 min. Hardware: any. Reads: nothing. Saves: nothing."
    cells = [
        text_cell(f"# Codes\n\n{OBJECTIVES}\n\n- draw\n- encode\n- decode\n\n{facts}"),
        code_cell("import torch", 1),
        code_cell("print(torch.ones(2, 3).shape)", 2, printed("torch.Size([2, 3])\n"), checked=True),
        code_cell("show(figure, description)", 3, picture()),
        text_cell("## Exercises"),
        code_cell("check(answer)", 4, printed("correct\n"), checked=True),
        text_cell(
            "## Recap\n\n- drawn\n\n## References\n\n- van den Oord et al. (2017): [*VQ-VAE*](https://arxiv.org/abs/1711.00937)"
        ),
    ]
    return v4.new_notebook(cells=cells, metadata=run_notebooks.describe(9, 3))


def put(notebook: NotebookNode, number: int, **changes: object) -> None:
    """Change a cell, for lambdas."""
    notebook.cells[number].update(nbformat.from_dict(changes))


def put_output(notebook: NotebookNode, output: NotebookNode) -> None:
    notebook.cells[3].outputs = [output]


FAULTS: list[tuple[Check, str, Callable[[NotebookNode], object]]] = [
    (is_valid, "an unknown kind of cell", lambda nb: put(nb, 0, cell_type="sketch")),
    (is_valid, "no cell id", lambda nb: nb.cells[0].pop("id")),
    (has_unique_cell_ids, "an id twice", lambda nb: put(nb, 1, id=nb.cells[0].id)),
    (has_unique_cell_ids, "no cell id", lambda nb: nb.cells[0].pop("id")),
    (was_run_top_to_bottom, "a cell not run", lambda nb: put(nb, 3, execution_count=None)),
    (was_run_top_to_bottom, "a cell run again", lambda nb: put(nb, 5, execution_count=5)),
    (was_run_top_to_bottom, "cells in another order", lambda nb: nb.cells.reverse()),
    (was_run_top_to_bottom, "no code", lambda nb: nb.update(cells=nb.cells[:1])),
    (has_its_outputs, "a print without output", lambda nb: put(nb, 2, outputs=[])),
    (has_its_outputs, "a figure without output", lambda nb: put(nb, 3, outputs=[])),
    (has_its_outputs, "a value without output", lambda nb: put(nb, 1, source="x = 1\nx")),
    (has_its_outputs, "stripped", lambda nb: nb.update(cells=nb.cells[:2])),
    (has_no_errors, "an error", lambda nb: put_output(nb, v4.new_output("error", ename="E", evalue="", traceback=[]))),
    (was_run_as_a_reader_would, "the smoke profile", lambda nb: nb.metadata.lpvq.update(profile="smoke")),
    (was_run_as_a_reader_would, "saved by an editor", lambda nb: nb.metadata.pop("lpvq")),
    (keeps_nobody_waiting, "a slow cell", lambda nb: nb.metadata.lpvq.update(slowest_cell_seconds=121)),
    (names_no_machine, "in the text", lambda nb: put(nb, 0, source="# In /" + "home/ada")),
    (names_no_machine, "in the code", lambda nb: put(nb, 1, source="open('/" + "tmp/x')")),
    (names_no_machine, "in a print", lambda nb: put_output(nb, printed("saved C:" + "\\Users\\ada\n"))),
    (names_no_machine, "in a value", lambda nb: put_output(nb, picture(alt="a figure saved in /" + "root/figure.png"))),
    (has_no_widget_state, "widget state", lambda nb: nb.metadata.update(widgets={})),
    (has_no_widget_state, "a widget", lambda nb: nb.cells[3].outputs[0].data.update({run_notebooks.WIDGET: {}})),
    (has_text_beside_pictures, "what matplotlib says", lambda nb: put_output(nb, picture(alt="<Figure size 640x480>"))),
    (has_text_beside_pictures, "no text", lambda nb: nb.cells[3].outputs[0].data.pop("text/plain")),
    (has_text_beside_pictures, "its titles", lambda nb: put_output(nb, picture(alt=f"{plotting.UNDESCRIBED}: happy"))),
    (has_text_beside_pictures, "next to no text", lambda nb: put_output(nb, picture(alt="some smileys"))),
    (has_text_beside_pictures, "not on the page", lambda nb: nb.cells[3].outputs[0].metadata.clear()),
    (has_text_beside_pictures, "twice", lambda nb: nb.cells[3].outputs[0].data.update({"text/html": "<b>"})),
    (has_text_beside_pictures, "SVG", lambda nb: put_output(nb, picture("image/svg+xml"))),
    (has_text_beside_pictures, "in Markdown", lambda nb: put(nb, 4, source="![](smileys.png)")),
    (has_text_beside_pictures, "in HTML", lambda nb: put(nb, 4, source='<img src="smileys.png">')),
    (has_short_cells, "a long cell", lambda nb: put(nb, 1, source="x = 1\n" * 41)),
    (has_lines_that_fit, "a long line", lambda nb: put(nb, 1, source="x" * 89)),
    (has_tags_that_nbval_knows, "misspelt", lambda nb: put(nb, 2, metadata={"tags": ["nbval-checks-output"]})),
    (has_outputs_to_compare, "a bare tag", lambda nb: put(nb, 1, metadata={"tags": [CHECKED]})),
    (
        has_no_bar_to_compare,
        "a bar",
        lambda nb: put(nb, 2, outputs=[v4.new_output("display_data", data={"text/html": "<div><progress></div>"})]),
    ),
    (has_a_title, "no title", lambda nb: put(nb, 0, source="Codes")),
    (has_a_title, "code first", lambda nb: nb.cells.pop(0)),
    (states_its_objectives, "no heading", lambda nb: put(nb, 0, source="# Codes\n\n- a\n- b\n- c")),
    (states_its_objectives, "no list", lambda nb: put(nb, 0, source=f"{OBJECTIVES}\n\n## Set-up\n\n- a\n- b\n- c")),
    (states_its_objectives, "too many", lambda nb: put(nb, 0, source=f"{OBJECTIVES}\n" + "\n- draw" * 6)),
    (states_what_it_needs, "no time", lambda nb: put(nb, 0, source=nb.cells[0].source.replace("Time:", ""))),
    (states_what_it_needs, "too late", lambda nb: nb.cells.append(nb.cells.pop(0))),
    (closes_as_the_others_do, "no exercises", lambda nb: nb.cells.pop(4)),
    (closes_as_the_others_do, "no recap", lambda nb: put(nb, 6, source="## References")),
    (closes_as_the_others_do, "no references", lambda nb: put(nb, 6, source="## Recap")),
    (closes_as_the_others_do, "in a fence", lambda nb: put(nb, 4, source="```\n## Exercises\n```")),
    (has_references_to_follow, "a bare one", lambda nb: put(nb, 6, source=f"{nb.cells[6].source}\n- Shannon (1948)")),
    (has_references_to_follow, "none", lambda nb: put(nb, 6, source="## References")),
    (has_cells_to_compare, "one cell", lambda nb: put(nb, 2, metadata={})),
    (is_solved, "a stub", lambda nb: put(nb, 5, outputs=[printed("not done yet\n")])),
    (is_solved, "not compared", lambda nb: put(nb, 5, metadata={})),
    (folds_its_answers, "an open one", lambda nb: put(nb, 5, id="exercise-5")),
    (is_solved, "wrong", lambda nb: put(nb, 5, outputs=[printed("incorrect: off by 0.3\n")])),
]


@pytest.mark.parametrize("check", CHECKS + LESSON_CHECKS + SOLUTION_CHECKS, ids=lambda check: check.__name__)
def test_a_good_notebook_passes(check):
    assert check(good_notebook()) == []


@pytest.mark.parametrize(
    ("check", "break_it"), [pytest.param(c, f, id=f"{c.__name__}-{name}") for c, name, f in FAULTS]
)
def test_a_fault_is_found(check, break_it):
    notebook = good_notebook()
    break_it(notebook)
    assert check(notebook)


def test_every_check_is_tried_on_a_fault():
    assert {check for check, _, _ in FAULTS} == set(CHECKS + LESSON_CHECKS + SOLUTION_CHECKS)


# --- `make notebooks`

BAR = "import sys\nfor i in range(3):\n    sys.stdout.write(f'\\r{i + 1}/3')\n    sys.stdout.flush()\nprint()"


def write_notebook(path: Path, *cells: NotebookNode) -> Path:
    nbformat.write(v4.new_notebook(cells=list(cells)), path)
    return path


def test_a_run_saves_what_a_reader_would_see(tmp_path, capsys):
    path = write_notebook(
        tmp_path / "lesson.ipynb",
        code_cell("import os\nos.environ['LPVQ_PROFILE'], os.path.basename(os.getcwd())", 7, printed("an old output")),
        code_cell(BAR, 9),
    )
    assert run_notebooks.main([str(path)]) == 0
    notebook = read(path)
    first, second = code_cells(notebook)
    assert first.outputs[0].data["text/plain"] == f"('laptop', '{tmp_path.name}')"
    assert [output.text for output in second.outputs] == ["3/3\n"]
    assert [first.execution_count, second.execution_count] == [1, 2]
    assert first.metadata == second.metadata == {}
    assert set(notebook.metadata) == {"kernelspec", "language_info", "lpvq"}
    assert "version" not in notebook.metadata.language_info
    assert is_valid(notebook) == was_run_as_a_reader_would(notebook) == []
    assert "lesson.ipynb" in capsys.readouterr().out


def test_a_run_keeps_what_every_page_can_show():
    pixels = torch.rand(3, 8, 8)
    shown = plotting.render(plotting.plot_images(pixels[None]), ALT)
    data = {"image/png": base64.b64encode(shown).decode(), "text/html": "<img>", "text/plain": ALT}
    live = v4.new_output("display_data", data={**data, run_notebooks.WIDGET: {"model_id": "1"}})
    notebook = v4.new_notebook(cells=[code_cell("show()", 1, live, printed("done\n"))])
    run_notebooks.keep_for_all_pages(notebook)
    kept = notebook.cells[0].outputs[0].data
    assert set(kept) == {"image/png", "text/plain"}
    before, after = (Image.open(io.BytesIO(one)) for one in (shown, base64.b64decode(kept["image/png"])))
    moved = np.abs(np.asarray(before.convert("RGB"), dtype=int) - np.asarray(after.convert("RGB"), dtype=int))
    assert moved.max() == 2 and len(kept["image/png"]) < len(data["image/png"])
    again = nbformat.from_dict({"cells": [code_cell("show()", 1, v4.new_output("display_data", data=dict(kept)))]})
    run_notebooks.keep_for_all_pages(again)
    assert again.cells[0].outputs[0].data["image/png"] == kept["image/png"]  # nothing more is lost


def test_a_picture_of_few_colours_keeps_them_in_fewer_bytes():
    colours = np.array(
        [[0, 0, 0], [85, 0, 170], [255, 170, 0], [255, 255, 255]], np.uint8
    )  # of the levels that are kept
    few = np.random.default_rng(0).choice(colours, (40, 40))
    buffer = io.BytesIO()
    Image.fromarray(few).save(buffer, "PNG", optimize=True)
    kept = base64.b64decode(run_notebooks.packed(base64.b64encode(buffer.getvalue()).decode()))
    assert len(kept) < 0.9 * len(buffer.getvalue())
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(kept)).convert("RGB")), few)


def test_all_notebooks_together_are_small():
    sizes = [path.stat().st_size for path in (*LESSONS, *SOLUTIONS)]
    assert sum(sizes) < 22e6


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path, capsys):
    path = write_notebook(tmp_path / "a.ipynb", code_cell("1 + 1", 1), code_cell("1 / 0", 2))
    untouched = write_notebook(tmp_path / "b.ipynb", code_cell("1 + 1", 1))
    before = path.read_bytes(), untouched.read_bytes()
    assert run_notebooks.main([str(path), str(untouched)]) == 1
    assert (path.read_bytes(), untouched.read_bytes()) == before
    assert sorted(tmp_path.iterdir()) == [path, untouched]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_solution_takes_over_what_its_lesson_has_become(tmp_path):
    stub, answer = code_cell("x = ...", 1), code_cell("x = 3", 1)
    stub.id = answer.id = "exercise-1"
    (tmp_path / "solutions").mkdir()
    write_notebook(tmp_path / "a.ipynb", text_cell("# New"), stub, code_cell("print(x)", 2))
    path = write_notebook(tmp_path / "solutions" / "a.ipynb", text_cell("# Old"), answer)
    assert run_notebooks.main([str(path)]) == 0
    assert [cell.source for cell in read(path).cells] == ["# New", "x = 3", "print(x)"]
    assert read(path).cells[2].outputs[0].text == "3\n"


def test_the_table_of_times_is_written_where_its_place_is(tmp_path, monkeypatch):
    monkeypatch.setattr(run_notebooks, "FOLDER", tmp_path)
    lesson = v4.new_notebook(cells=[text_cell("# 01 Codes\n\n**Time:** 25 minutes.")])
    lesson.metadata = run_notebooks.describe(9.3, 3.1, 4.4)
    nbformat.write(lesson, tmp_path / "01_codes.ipynb")
    page = tmp_path / "README.md"
    page.write_text(f"above\n{run_notebooks.BEGIN_TABLE}\nold\n{run_notebooks.END_TABLE}\nbelow\n")
    run_notebooks.write_table(page)
    run_notebooks.write_table(page)
    *_, row, end, below = page.read_text().splitlines()
    assert row == "| [01 Codes](01_codes.ipynb) | 25 minutes | 9 s | 3 s | 4 s |"
    assert (end, below) == (run_notebooks.END_TABLE, "below") and "old" not in page.read_text()


# --- nbval, as pyproject.toml sets it up


def sanitize(text: str) -> str:
    for pattern, replacement in get_sanitize_patterns((ROOT / "tests" / "nbval_sanitize.cfg").read_text()):
        text = re.sub(pattern, replacement, text)
    return text


def test_nbval_reads_every_rule():
    config = (ROOT / "tests" / "nbval_sanitize.cfg").read_text()
    rules = re.findall(r"^\[", config, re.MULTILINE)
    assert len(get_sanitize_patterns(config)) == len(rules) > 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("took 1.2 s", "took 35.0 s"),
        ("took 3 min", "took 2 min"),
        ("00:03<00:00, 41.2it/s", "00:05<00:01, 1.02s/it"),
        ("<Node at 0x7f3a12>", "<Node at 0x55d0ab9>"),
        ("12.5 MiB", "3 kB"),
        ("drawing: 100%|█████| 5/5 [00:03<00:00]", "drawing: 100%|████▋ | 5/5 [1:00:03<00:00]"),
        ("saved ../output/a.pt in /srv/ada/lpvq/", "saved ../output/a.pt in /opt/x/y"),
        (r"in D:\course\lpvq", r"in C:\x"),
    ],
)
def test_what_differs_between_machines_is_blanked_out(one, other):
    assert sanitize(one) == sanitize(other)


@pytest.mark.parametrize("text", ["(2, 3, 32, 32)", "3.14", "20 smileys", "torch.int64", "../output/a.pt", "7 of 128"])
def test_what_is_taught_is_not_blanked_out(text):
    assert sanitize(text) == text


def test_nbval_compares_tagged_cells_only(tmp_path):
    path = write_notebook(
        tmp_path / "lesson.ipynb",
        code_cell("print(1 + 1)", 1, printed("3\n")),
        code_cell("print(1 + 1, 'in 0.2 s')", 2, printed("2 in 7 s\n"), checked=True),
        code_cell("print(1 + 1)", 3, printed("3\n"), checked=True),
    )
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", str(path)]
    result = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120)
    assert "1 failed, 2 passed" in result.stdout, result.stdout
    assert "FAILED" in result.stdout and "Cell 2" in result.stdout
