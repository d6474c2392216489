"""A class of a dozen, graded as a teacher would: everyone in the table, points as planned, copies found."""

import tempfile
from pathlib import Path

import a_class
import psutil
import pytest
from submissions import ASSIGNMENTS, VECTORS

from lpvq.classroom import confinement
from lpvq.classroom.grading import grade
from lpvq.classroom.handed_in import find
from lpvq.classroom.limits import Limits
from lpvq.classroom.rules import Rules
from measure_class import rows_of

CONFINED = confinement.why_not() is None


@pytest.mark.skipif(not CONFINED, reason=f"some of them are hostile, and cannot be locked in: {confinement.why_not()}")
def test_a_class_comes_out_as_planned(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere := tmp_path_factory.mktemp("t")))
    members = a_class.make(tmp_path / "in", 12, seed=4)
    assert {member.kind for member in members} == set(a_class.KINDS)
    rules = Rules(a_class.DUE, per_day=0.1)
    before = psutil.Process().children(recursive=True)  # what a browser of another test may have left
    grade(tmp_path / "in", ASSIGNMENTS, tmp_path / "out", Limits(), 2, is_confined=True, rules=rules)
    folder = tmp_path / "out" / VECTORS.name
    pairs = {frozenset((row["student"], row["and"])) for row in rows_of(folder / "similar.csv")}
    assert a_class.complaints(members, rows_of(folder / "points.csv"), pairs) == []
    assert set(psutil.Process().children(recursive=True)) <= set(before) and list(elsewhere.iterdir()) == []
    assert len(list((folder / "feedback").iterdir())) == len(members)


def test_a_large_class_is_found_whole_in_all_layouts(tmp_path: Path) -> None:
    members = a_class.make(tmp_path, 60)
    found = {one.student: bool(one.submissions) for one in find(tmp_path, ASSIGNMENTS)}
    assert found == {member.name: member.total is not None for member in members}
