"""What the page that ``demo`` ends with says of its numbers."""

from lpvq.experiments.page import _beside_counting


def test_a_prior_is_judged_beside_counting() -> None:
    assert _beside_counting({"prior": 1.8, "unigram": 4.4}).startswith("Less is better.")
    worse = _beside_counting({"prior": 12.4, "unigram": 5.92})
    assert "5.92" in worse and "learned nothing that holds" in worse
