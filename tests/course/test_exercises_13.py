"""The checkers of notebook 13: right answers pass, typical wrong ones are called by their name."""

import numpy as np
import torch

from answers import expect, forms_of_number
from lpvq.course.exercises import notebook_13
from lpvq.course.exercises.notebook_13 import CHECKERS, errors_by_brightness

TRUTHS = notebook_13._STILL_THE_SAME


def test_13_1_what_stays_the_same():
    ask = "Ask of each"
    expect(
        CHECKERS["13.1"],
        [
            TRUTHS,
            {name: np.bool_(truth) for name, truth in TRUTHS.items()},
            {name: torch.tensor(truth) for name, truth in TRUTHS.items()},
            {name: int(truth) for name, truth in reversed(TRUTHS.items())},
        ],
        [
            *[({**TRUTHS, name: not truth}, f"1 of 6 wrong. {ask}") for name, truth in TRUTHS.items()],
            (dict.fromkeys(TRUTHS, True), "they are not all alike. 3 of 6 wrong"),
            (dict.fromkeys(TRUTHS, False), "they are not all alike. 3 of 6 wrong"),
            ({name: not truth for name, truth in TRUTHS.items()}, "6 of 6 wrong"),
            ({**TRUTHS, "dropout": ...}, "still ..."),
            ({**TRUTHS, "dropout": "yes"}, "expected True or False for 'dropout'"),
            ({**TRUTHS, "dropout": 2}, "expected True or False for 'dropout'"),
            ({"dropout": True}, "expected a dictionary"),
            (list(TRUTHS.values()), "expected a dictionary"),
        ],
    )


def test_13_2_one_process_that_has_seen_the_dark_alone(monkeypatch):
    monkeypatch.setattr(notebook_13, "errors_by_brightness", lambda: {"light": 6.4, "dark": 0.75, "all": 3.1})
    expect(
        CHECKERS["13.2"],
        [*forms_of_number(6.4), 6, 6.9, torch.tensor(6.1)],
        [
            (0.75, "the darker half"),
            (3.1, "all of the test images"),
            (3.2, "all of the test images"),
            (1 / 6.4, "the other way round"),
            (6.4**0.5, "the roots"),
            (640, "in percent"),
            (5.4, "how much larger"),
            (-3, "too small"),
            (0, "too small"),
            (1, "too small"),
            (8, "too large"),
            (float("nan"), "not a number"),
            (float("inf"), "infinite"),
            (torch.full((64,), 6.4), "expected a number"),
            ("larger", "expected a number, got str"),
        ],
        secrets=["6.4"],
    )


def test_13_2_as_it_really_is():
    ratios = errors_by_brightness()
    assert ratios["light"] > 1.8 > 1.2 > ratios["dark"]
    assert CHECKERS["13.2"](ratios["light"]) is None
    assert "darker half" in CHECKERS["13.2"](ratios["dark"])


def merging(of_sums=None, keep=True):
    """A ``merge`` that makes its entries of sums, totals and all it was given in a way of its own."""

    def merge(means, counts, old):
        sums, total = (means * counts[:, :, None]).sum(0), counts.sum(0)[:, None]
        merged = sums / total.clamp(min=1) if of_sums is None else of_sums(means, counts, old, sums, total)
        return torch.where(total > 0, merged, old) if keep else merged

    return merge


def by_loop(means, counts, old):
    merged = old.clone()
    for entry in range(len(old)):
        number = sum(book[entry] for book in counts)
        if number:
            merged[entry] = sum(mean[entry] * book[entry] for mean, book in zip(means, counts, strict=True)) / number
    return merged


def by_einsum(means, counts, old):
    total = counts.sum(0)
    merged = torch.einsum("pkd,pk->kd", means, counts) / total[:, None]
    merged[total == 0] = old[total == 0]
    return merged.numpy()


def with_a_little_of_the_old(means, counts, old):
    weight = (counts.sum(0) == 0).float()[:, None]
    return ((means * counts[..., None]).sum(0) + weight * old) / (counts.sum(0)[:, None] + weight)


def test_13_3_merging_codebooks():
    expect(
        CHECKERS["13.3"],
        [merging(), by_loop, by_einsum, with_a_little_of_the_old],
        [
            (3, "expected a function, got int"),
            (lambda means, counts, old: ..., "not done yet"),
            (lambda means, counts, old: None, "returns nothing"),
            (lambda means: means, "the function fails with TypeError"),
            (merging(lambda means, counts, old, sums, total: means.mean(0)), "nearer to the first"),
            (merging(lambda means, counts, old, sums, total: means.mean(0), keep=False), "nobody chose stays"),
            (merging(lambda means, counts, old, sums, total: sums, keep=False), "these are sums"),
            (merging(lambda means, counts, old, sums, total: sums / 3, keep=False), "number of processes"),
            (merging(lambda means, counts, old, sums, total: sums / total, keep=False), "0 / 0"),
            (merging(keep=False), "does not become zero"),
            (
                merging(lambda m, counts, *_: (m * (counts.sum(1) / counts.sum())[:, None, None]).sum(0)),
                "how many vectors a process had",
            ),
            (lambda means, counts, old: torch.where(counts[0][:, None] > 0, means[0], old), "process 0 alone"),
            (
                lambda means, counts, old: torch.stack([means[counts[:, k].argmax(), k] for k in range(5)]),
                "the most vectors",
            ),
            (lambda means, counts, old: old, "what it was before"),
            (lambda means, counts, old: counts.sum(0)[:, None].expand(5, 2), "these are the counts"),
            (lambda means, counts, old: (means * counts[:, :, None]).sum(1), "exchanged"),
            (lambda means, counts, old: torch.zeros(2, 5), "expected the shape (5, 2)"),
            (lambda means, counts, old: merging()(means, counts, old) + 1, "all of its values are wrong"),
            (lambda means, counts, old: "entries", "expected a tensor"),
        ],
    )
