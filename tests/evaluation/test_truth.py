"""The truth: total variation as it is defined, and a mode that is dropped shows in it."""

import pytest
import torch

from lpvq import InputError
from lpvq.data.loading import load
from lpvq.data.smileys import FACTORS
from lpvq.evaluation.truth import evaluate_factors


def test_the_truth_is_total_variation_per_factor_and_pair() -> None:
    factors = {"colour": ("red", "blue"), "size": ("small", "large")}
    biased = {"colour": torch.tensor([0, 0, 0, 1]), "size": torch.tensor([0, 1, 0, 1])}
    fair = {"colour": torch.tensor([0, 0, 1, 1]), "size": torch.tensor([0, 1, 0, 1])}
    colour, size, both = evaluate_factors(factors, biased, fair, [fair, biased])
    assert (colour.name, size.name, both.name) == ("colour", "size", "colour × size")
    assert colour.values == ("red", "blue") and colour.frequencies == (0.75, 0.25)
    assert both.values == ("red small", "red large", "blue small", "blue large")
    assert both.frequencies == (0.5, 0.25, 0, 0.25)
    assert (colour.samples, size.samples, both.samples) == (0.25, 0, 0.25)
    assert (both.reconstructions, both.calibration) == (0, 0.125)


def test_a_mode_that_is_dropped_shows_in_the_truth() -> None:
    data = load("smileys", "test", limit=2000, size=8)
    true = {name: data.factors[name] for name in FACTORS}
    winks = data.factors["eyes"] == FACTORS["eyes"].index("wink")
    dropped = {name: values[~winks] for name, values in true.items()}
    by_name = {factor.name: factor for factor in evaluate_factors(FACTORS, dropped, true, [true])}
    assert by_name["eyes"].samples == pytest.approx(0.25, abs=0.01)
    assert by_name["eyes"].calibration < 0.03 and by_name["skin"].samples < 0.05
    assert by_name["eyes"].frequencies[FACTORS["eyes"].index("wink")] == 0


def test_what_was_not_predicted_is_not_counted() -> None:
    factors = {"colour": ("red", "blue")}
    good, none, odd = ({"colour": torch.tensor(values, dtype=torch.int64)} for values in ([0, 1], [], [0, 2]))
    with pytest.raises(InputError, match="at least one set of true images"):
        evaluate_factors(factors, good, good, [])
    for given in ((none, good, [good]), (good, none, [good]), (good, good, [good, none]), ({}, good, [good])):
        with pytest.raises(InputError, match="no images whose colour was predicted"):
            evaluate_factors(factors, *given)
    with pytest.raises(InputError, match="predicted values of colour are 0 to 2, expected 0 to 1"):
        evaluate_factors(factors, good, odd, [good])
