"""Tables: what was measured is what is printed, in columns that stand below each other."""

from dataclasses import asdict
from typing import Any

import pytest

from lpvq.evaluation.truth import FactorDistribution
from lpvq.experiments import tables

VALUE = {"value": 0.5, "error": 0.25}


def test_the_prior_stands_beside_the_unigram_of_the_same_table() -> None:
    def row(name: str, bits: float) -> dict[str, Any]:
        return {"name": name, "bits": {**VALUE, "value": bits}, "nats_per_grid": 2.25, "bits_per_pixel": 0.125}

    figures = {
        "likelihoods": [row("unigram", 4.0), row("prior", 1.0)],
        "source": None,
        "share_of_unigram": 0.25,
        "seconds": 61.4,
    }
    table = tables.format_part("prior", figures).splitlines()
    assert [line.split() for line in table[2:]] == [
        ["bits", "per", "code", "nats", "per", "image", "bits", "per", "pixel"],
        ["unigram", "4.000", "±", "0.250", "2.2", "0.1250"],
        ["prior", "1.000", "±", "0.250", "2.2", "0.1250"],
        ["prior", "/", "unigram", "25.0%"],
        ["training", "61", "s"],
    ]
    assert len({len(line) for line in table[2:]}) == 1
    nothing = tables.format_part("prior", {**figures, "share_of_unigram": None})
    assert "prior / unigram" in nothing and "None" not in nothing and "Kullback" not in nothing


@pytest.mark.parametrize(("parts", "name"), [(1, "source"), (16, "source, at most")])
def test_the_source_is_the_bottom_rung_in_the_units_of_the_others(parts: int, name: str) -> None:
    known = {"name": "prior", "bits": {"value": 1.0, "error": 0.1}, "nats_per_grid": 40.0, "bits_per_pixel": 0.125}
    source = {"nats": {"value": 10.0, "error": 2.0}, "prior_above": {"value": 30.0, "error": 1.2}, "parts": parts}
    figures = {"likelihoods": [known], "source": source, "share_of_unigram": None, "seconds": 1}
    table = tables.format_part("prior", figures).splitlines()
    assert table[4].split("  ")[1] == name and table[4].split()[-5:] == ["0.250", "±", "0.050", "10.0", "0.0312"]
    assert "the prior lacks 30.0 ± 1.2 nats per image" in table[-1]


def test_samples_have_a_row_for_each_set_and_lines_for_the_rest() -> None:
    near = {name: {**VALUE, "value": value} for name, value in
            (("precision", 0.1), ("recall", 0.2), ("density", 0.3), ("coverage", 0.4))}  # fmt: skip

    def tail(found: float, p_value: float) -> dict[str, float]:
        return {"threshold": 0.1, "expected": 0.01, "found": found, "p_value": p_value}

    first = {"name": "test", "number": 1234, "frechet": VALUE, "step": None, "neighbourhoods": near, "accuracy": None}
    second = {**first, "name": "prior samples", "step": {**VALUE, "value": 7.0}, "accuracy": {**VALUE, "value": 0.875}}
    figures = {
        "sets": [first, second],
        "classifier_accuracy": {"mouth": {"value": 0.93, "error": 0.1}},
        "inception_fid_of_samples": 12.345,
        "memorisation": {"pixels": {"near": tail(0.125, 0.00123), "far": tail(0.5, 1e-9)}},
        "repeated_grids": {"generated": {"value": 0.0125, "error": 0.001}, "held_out": {"value": 0.5, "error": 0.25}},
    }
    table = tables.format_part("samples", figures)
    assert "1,234 images" in table
    rows = [line.split() for line in table.splitlines()]
    overlap = ["0.100", "0.200", "0.300", "0.400"]
    assert ["test", "0.500", "±", "0.250", *overlap] in rows
    assert ["prior", "samples", "0.500", "±", "0.250", "7.000", "±", "0.250", *overlap, "0.875", "±", "0.250"] in rows
    assert "Inception's features: 12.35" in table or "Inception's features: 12.34" in table
    assert "the classifier is right about: mouth 93.0%" in table
    assert "near a training image: 12.5% by pixels (of reconstructed test images 1.0%; p = 0.0012)" in table
    assert "far from all of them: 50.0% by pixels (of reconstructed test images 1.0%; p = 1e-09)" in table
    assert "exactly a training grid: 1.25 ± 0.10% of generated grids, 50.00 ± 25.00% of test grids" in table
    assert "Inception" not in tables.format_part("samples", {**figures, "inception_fid_of_samples": None})


def test_the_worst_pairs_and_the_rarest_values_are_printed() -> None:
    def factor(name: str, samples: float, frequencies: tuple[float, float] = (0.5, 0.5)) -> dict:
        return asdict(FactorDistribution(name, ("x", "y"), frequencies, samples, 0.0, 0.01))

    factors = [factor("a", 0.2, (0.3, 0.7)), factor("a × b", 0.1), factor("a × c", 0.4), factor("b × c", 0.3)]
    kinds = {"eyes": {"value": 0.0625, "error": 0.1}, "several": {"value": 0.0, "error": 0.0}}
    quality = {"name": "samples", "number": 2000, "median": 0.0234, "true": VALUE, "wrong": VALUE, "kinds": kinds}
    faces = {"threshold": 0.021, "sets": [quality]}
    table = tables.format_part("truth", {"faces": faces, "factors": [*factors, factor("b × d", 0.05)]})
    assert "2,000 faces" in table and "a local error up to 0.0210" in table
    row = next(line.split() for line in table.splitlines() if "samples" in line)
    assert row == ["samples", "0.0234", "50.0", "±", "25.0%", "50.0", "±", "25.0%", "6.2%", "0.0%"]
    named = [line.split("  ")[1] for line in table.splitlines() if "0.010" in line]
    assert named == ["a", "a × c", "b × c", "a × b"]
    assert "a x (60%)" in table


@pytest.mark.parametrize("head", [["", "one", "two"], ["", "", ""]])
def test_columns_are_as_wide_as_what_stands_in_them(head: list[str]) -> None:
    table = tables.text_table("a title", head, [("name", "1", "22"), ("longer name", "333", "4")]).splitlines()
    line, title, *rows = table
    assert title == "a title" and len(set(map(len, rows))) == 1 and len(line) == max(map(len, [title, *rows]))
    assert len(rows) == 2 + any(head)  # an empty head takes no line
    assert rows[-1].split() == ["longer", "name", "333", "4"] and rows[-2].endswith("22") and rows[-1].endswith(" 4")
