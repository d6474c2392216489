"""Run notebooks top to bottom in the ``laptop`` profile and save their outputs; ``make notebooks`` calls this.

Without arguments all of them run in the order of the course, then their solutions. A notebook's file is replaced
only when every cell of it ran; the first one that fails ends the run.
"""

import os
import sys
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbformat import NotebookNode

from lpvq.files import write_atomically

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
PROFILE = "laptop"
SECONDS_PER_CELL = 1800  # ends a cell that hangs; on the slowest machine a cell of the course needs a fraction of it


def all_notebooks() -> list[Path]:
    """Return the notebooks in the order of the course, then the solutions."""
    return sorted(FOLDER.glob("*.ipynb")) + sorted(FOLDER.glob("solutions/*.ipynb"))


def run(path: Path) -> float:
    """Run one notebook in its own folder, replace its file, and return the seconds it took."""
    notebook = nbformat.read(path, as_version=4)
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
    client.execute(env={**os.environ, "LPVQ_PROFILE": PROFILE})
    end = perf_counter()
    slowest = max((b - a for a, b in pairwise([*starts, end])), default=0.0)
    notebook.metadata = describe(end - begin, slowest)
    write_atomically(path, (nbformat.writes(notebook) + "\n").encode())
    return end - begin


def clear(notebook: NotebookNode) -> None:
    """Drop what an earlier run or an editor left in the code cells."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            for key in ("execution", "ExecuteTime"):
                cell.metadata.pop(key, None)


def describe(seconds: float, slowest_cell_seconds: float) -> NotebookNode:
    """Return a notebook's metadata: how it was run, and nothing that differs from one machine to the next."""
    return nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
            "lpvq": {
                "profile": PROFILE,
                "seconds": round(seconds),
                "slowest_cell_seconds": round(slowest_cell_seconds),
            },
        }
    )


def main(arguments: list[str]) -> int:
    """Run the notebooks named, or all of them; return the exit status."""
    for path in [Path(name) for name in arguments] or all_notebooks():
        print(f"{path.resolve().parent.name}/{path.name} ", end="", flush=True)
        try:
            print(f"{run(path):.0f} s")
        except (CellControlSignal, DeadKernelError) as error:
            print(f"failed, its file is as it was before\n{error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
