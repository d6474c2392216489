"""Writes ``notebooks/CLAIMS.md``: what each lesson claims, and what was found on several seeds and in longer runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claims import Claim, Kind, claims_of
from lpvq.files import write_atomically

RUNS = [(0, 1), (1, 1), (2, 1), (0, 2)]  # seed, and what the steps are multiplied by
HEADERS = ["seed 0", "seed 1", "seed 2", "twice the steps"]
PROFILE = "laptop"
HEAD = """# Do the claims hold?

A notebook shows one run. Would a different seed have shown the same, or longer training? Below is what the lessons
claim, the cell that shows it, and what that cell has found: with the seed of the notebook, with two others, and with
the first seed again and twice the steps in every training run. A ✗ follows a number that speaks against the claim. A
claim *stands* if its conclusion held in all four runs.

The numbers are those by which a conclusion is judged; [`tests/claims`](../tests/claims) says how each is computed. All
are from the profile `laptop`; – stands for a run that is still to be made. The seeds and steps also apply to the models
that a notebook takes over from earlier ones. The shipped weights stay as they are, and so do the images.
[`tests/check_claims.py`](../tests/check_claims.py) runs the notebooks and writes this page.
"""
NOT_RUN = "–"
_KINDS: list[tuple[Kind, str]] = [("measured", ""), ("time", "Times, which depend on the machine:\n\n")]


def write_page(path: Path, lessons: list[Path], results: Path) -> None:
    """Write the page from the results of all runs that there are."""
    write_atomically(path, page(lessons, results).encode())


def page(lessons: list[Path], results: Path) -> str:
    """Return the page."""
    parts = [HEAD]
    for lesson in lessons:
        claims, _ = claims_of(lesson)
        runs = [_result(results, lesson.stem, *run) for run in RUNS]
        title = json.loads(lesson.read_text(encoding="utf-8"))["cells"][0]["source"]
        title = "".join(title).splitlines()[0].removeprefix("# ")
        parts.append(f"## [{title}]({lesson.name})\n")
        for kind, text in _KINDS:
            if of_kind := list(_rows(claims, runs, kind)):
                header = ["claim", "cell", *HEADERS, "stands"]
                rows = [header, ["---"] * len(header), *of_kind]
                parts.append(text + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n")
        if tested := [claim for claim in claims if claim.kind == "exact"]:
            lines = [f"- `{claim.cell}`: {cited(claim.text)}" for claim in tested]
            parts.append("True by definition, or tested exactly by the cell named:\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _rows(claims: list[Claim], runs: list[dict[str, Any] | None], kind: Kind) -> Iterator[list[str]]:
    for claim in claims:
        if claim.kind == kind:
            found = [_of_claim(run, claim) for run in runs]
            yield [cited(claim.text), f"`{claim.cell}`", *map(_cell, found), _verdict(found)]


def _result(results: Path, notebook: str, seed: int, times: int) -> dict[str, Any] | None:
    """What a run has found; None where there was none in the profile of this page."""
    path = results / f"{notebook[:2]}-seed-{seed}-times-{times}-{PROFILE}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _of_claim(run: dict[str, Any] | None, claim: Claim) -> dict[str, Any] | None:
    """What a run says of a claim; None where it was not asked. New words make no new claim."""
    question = claim.cell, claim.value, claim.holds
    asked = [] if run is None else run["claims"]
    answers = [one for one in asked if tuple(one["claim"][name] for name in ("cell", "value", "holds")) == question]
    return answers[0] if answers and answers[0]["holds"] is not None else None


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return NOT_RUN
    return _written(found["value"]) + ("" if found["holds"] else " ✗")


def _verdict(found: list[dict[str, Any] | None]) -> str:
    holds = [one["holds"] for one in found if one is not None]
    if not all(holds):
        return "**no**"
    return "yes" if len(holds) == len(RUNS) else NOT_RUN


def _written(value: Any) -> str:
    """A number in three digits; several behind each other, with their names if they have any."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_written(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_written, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "not finite" if value is None else str(value)


def cited(text: str) -> str:
    """A claim in a cell of a table."""
    return text.replace("|", "\\|")
