"""Grade a class of 200 as a teacher would, and say how long it took and what did not come out as planned.

    PYTHONPATH=tests/classroom python tests/measure_class.py [SIZE]

It takes some minutes on two idle cores, so no test run does it; a class of a dozen is among the tests.
"""

import csv
import io
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import a_class
import psutil
from submissions import ASSIGNMENTS, VECTORS

from lpvq.classroom import confinement
from lpvq.classroom.grading import grade
from lpvq.classroom.limits import Limits
from lpvq.classroom.rules import Rules


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def main() -> None:
    """Make the class, grade it, and print what came of it."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as name:
        handed_in, output, elsewhere = (Path(name) / part for part in ("in", "out", "elsewhere"))
        handed_in.mkdir()
        elsewhere.mkdir()
        tempfile.tempdir = str(elsewhere)
        members = a_class.make(handed_in, size)
        begun = time.monotonic()
        is_confined = confinement.why_not() is None
        rules = Rules(a_class.DUE, per_day=0.1)
        graded = grade(handed_in, ASSIGNMENTS, output, Limits(), os.cpu_count() or 1, is_confined, rules)
        seconds = time.monotonic() - begun
        folder = output / VECTORS.name
        pairs = {frozenset((row["student"], row["and"])) for row in rows_of(folder / "similar.csv")}
        said = a_class.complaints(members, rows_of(folder / "points.csv"), pairs) + graded.warnings
        left = [process.name() for process in psutil.Process().children(recursive=True)]
        said += [f"left behind: {thing}" for thing in [*left, *elsewhere.iterdir()]]
        used = sum(resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        print(f"{size} students, {seconds / 60:.1f} minutes, locked in: {is_confined}")
        print(f"{used / 60:.1f} minutes of a processor, without kernels that are locked in, which nobody counts")
        print("\n".join(said) or "all as planned")
        sys.exit(bool(said))


if __name__ == "__main__":
    main()
