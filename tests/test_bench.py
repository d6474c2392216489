"""The benchmark: it measures what it says and prints what it measured. How fast is no test's business."""

import pytest

from lpvq import PixelCNN, bench


def test_each_row_compares_two_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(PixelCNN, "generate", lambda self, **options: drawn.append(options))
    rows = bench.measure(runs=2)
    assert {row["what"] for row in rows} >= {"sampling 64 of 8 × 8, plain against cached"}
    assert len(drawn) == len(rows) * 2 * 3  # two runs and a first one that is not counted, for both
    assert [options.get("method", "cached") for options in drawn[:6]] == ["plain"] * 3 + ["cached"] * 3
    for row in rows:
        assert row["ratio"] == row["reference_seconds"] / row["seconds"]


def test_the_table_has_a_line_for_each_row() -> None:
    table = bench.format_table([{"what": "x", "reference_seconds": 2.0, "seconds": 0.5, "ratio": 4.0}])
    assert table.splitlines()[1].split() == ["x", "2.000", "s", "0.500", "s", "4.0×"]
