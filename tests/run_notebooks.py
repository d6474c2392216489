"""Run notebooks top to bottom in the ``laptop`` profile and save their outputs; ``make notebooks`` calls this.

Without arguments all of them run in the order of the course, then their solutions, from an empty ``output/notebooks/``.
Notebooks that are named run on what is there. A notebook's file is replaced only when every cell of it ran; the first
one that fails ends the run. A lesson is also timed in the ``smoke`` profile, and the times go into the table of
``notebooks/README.md``.

A solution is its lesson with other answers: in its file, only the code cells called ``exercise-…`` are its own, and
the rest is taken over from the lesson before it runs.
"""

import base64
import io
import os
import re
import shutil
import sys
import tempfile
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import nbformat
import numpy as np
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbformat import NotebookNode
from PIL import Image

from lpvq.files import write_atomically

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
OUTPUT = FOLDER.parent / "output" / "notebooks"  # not where a reader's own models lie
BEGIN_TABLE, END_TABLE = "<!-- written by `make notebooks` -->", "<!-- end -->"
PROFILE = "laptop"
WIDGET = "application/vnd.jupyter.widget-view+json"
SECONDS_PER_CELL = 1800  # ends a cell that hangs; on the slowest machine a cell of the course needs a fraction of it


def all_notebooks() -> list[Path]:
    """Return the notebooks in the order of the course, then the solutions."""
    return sorted(FOLDER.glob("*.ipynb")) + sorted(FOLDER.glob("solutions/*.ipynb"))


def run(path: Path) -> float:
    """Run one notebook in its own folder, replace its file, and return the seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    lesson = path.parent.parent / path.name
    if path.parent.name == "solutions" and lesson.exists():
        notebook.cells = with_answers_of(notebook, nbformat.read(lesson, as_version=4))
    smoke = None
    if path.parent.name != "solutions":
        with tempfile.TemporaryDirectory() as output:
            smoke, _ = execute(deepcopy(notebook), path, "smoke", output)
    seconds, slowest = execute(notebook, path, PROFILE, os.fspath(OUTPUT))
    keep_for_all_pages(notebook)
    notebook.metadata = describe(seconds, slowest, smoke)
    write_atomically(path, (nbformat.writes(notebook) + "\n").encode())
    return seconds


def with_answers_of(solution: NotebookNode, lesson: NotebookNode) -> list[NotebookNode]:
    """Return the cells of a lesson with the answers of its solution in place of the stubs."""
    answers = {cell.get("id"): cell.source for cell in solution.cells if is_answer(cell)}
    cells = deepcopy(lesson.cells)
    for cell in filter(is_answer, cells):
        cell.source = answers[cell.id]
        cell.metadata["jupyter"] = {"source_hidden": True}  # JupyterLab folds it, until the reader wants to see it
    return cells


def is_answer(cell: NotebookNode) -> bool:
    """Whether a cell is where the reader answers an exercise."""
    return cell.cell_type == "code" and str(cell.get("id")).startswith("exercise-")


def execute(notebook: NotebookNode, path: Path, profile: str, output: str) -> tuple[float, float]:
    """Run a notebook's cells in place; return the seconds of all and of the slowest."""
    clear(notebook)
    starts: list[float] = []
    client = NotebookClient(
        notebook,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.resolve().parent)}},
        extra_arguments=["--log-level=ERROR"],  # of the kernel, which has much to say that is no part of a lesson
        coalesce_streams=True,  # of a progress bar, only its last state is kept
        record_timing=False,
        store_widget_state=False,  # GitHub does not draw a notebook that holds widget state
        on_cell_execute=lambda cell, cell_index: starts.append(perf_counter()),
    )
    begin = perf_counter()
    client.execute(env={**os.environ, "LPVQ_PROFILE": profile, "LPVQ_OUTPUT": output})
    end = perf_counter()
    return end - begin, max((b - a for a, b in pairwise([*starts, end])), default=0.0)


def keep_for_all_pages(notebook: NotebookNode) -> None:
    """Drop what only the page where the notebook ran can use: its widgets, and a second, sharper copy of pictures."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                data.pop("text/html", None)
                data["image/png"] = packed(data["image/png"])
            data.pop(WIDGET, None)


def packed(picture: str) -> str:
    """Return a PNG (base64) that looks the same in fewer bytes; nothing in it is transparent.

    Each channel has 64 levels, at most 2 of 255 away from what was drawn: no eye sees it, and it saves a quarter. Where
    that leaves 256 colours or fewer, their numbers are stored, which saves another tenth of all bytes.
    """
    levels = [round(round(value * 63 / 255) * 255 / 63) for value in range(256)]
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        rounded = image.convert("RGB").point(levels * 3)
    return min((_png(one) for one in (rounded, _by_palette(rounded)) if one is not None), key=len)


def _by_palette(image: Image.Image) -> Image.Image | None:
    """Return the same image with the numbers of its colours, or None where there are more than 256."""
    pixels = np.asarray(image)
    colours, numbers = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    if len(colours) > 256:
        return None
    numbered = Image.fromarray(numbers.reshape(pixels.shape[:2]).astype(np.uint8), "P")
    numbered.putpalette(colours.tobytes())
    return numbered


def _png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def clear(notebook: NotebookNode) -> None:
    """Drop what an earlier run or an editor left in the code cells."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            for key in ("execution", "ExecuteTime"):
                cell.metadata.pop(key, None)


def describe(seconds: float, slowest_cell_seconds: float, smoke_seconds: float | None = None) -> NotebookNode:
    """Return a notebook's metadata: how it was run, and nothing that differs from one machine to the next."""
    smoke = {} if smoke_seconds is None else {"smoke_seconds": round(smoke_seconds)}
    return nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
            "lpvq": {
                "profile": PROFILE,
                "seconds": round(seconds),
                "slowest_cell_seconds": round(slowest_cell_seconds),
                **smoke,
            },
        }
    )


def table_of_times() -> str:
    """Return the table of the series for ``notebooks/README.md``, from what the lessons' files say."""
    lines = [
        "| notebook | for reading, about | machine, `laptop` | its slowest cell | machine, `smoke` |",
        "|---|---|---|---|---|",
    ]
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
        reading = re.search(r"\*\*Time:\*\* (\d+ minutes)", notebook.cells[0].source)
        times = notebook.metadata.get("lpvq", {})
        figures = [f"{times.get(name, '–')} s" for name in ("seconds", "slowest_cell_seconds", "smoke_seconds")]
        lines.append(f"| [{title}]({path.name}) | {reading.group(1) if reading else '–'} | {' | '.join(figures)} |")
    return "\n".join(lines)


def write_table(path: Path) -> None:
    """Put the table of times between the two comments of ``path`` that mark its place."""
    text = path.read_text(encoding="utf-8")
    before, after = text.index(BEGIN_TABLE) + len(BEGIN_TABLE), text.index(END_TABLE)
    write_atomically(path, f"{text[:before]}\n{table_of_times()}\n{text[after:]}".encode())


def main(arguments: list[str]) -> int:
    """Run the notebooks named, or all of them; return the exit status."""
    if not arguments:
        shutil.rmtree(OUTPUT, ignore_errors=True)
    for path in [Path(name) for name in arguments] or all_notebooks():
        print(f"{path.resolve().parent.name}/{path.name} ", end="", flush=True)
        try:
            print(f"{run(path):.0f} s")
        except (CellControlSignal, DeadKernelError) as error:
            print(f"failed, its file is as it was before\n{error}", file=sys.stderr)
            return 1
    write_table(FOLDER / "README.md")  # of all, from what their files say
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
