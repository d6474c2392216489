"""The checkers of notebook 12: right answers pass, typical wrong ones are called by their name."""

from bisect import bisect_left, bisect_right
from math import e, log, log2

import numpy as np
import torch

from answers import expect, forms_of_number
from lpvq.course.exercises import notebook_12
from lpvq.course.exercises.notebook_12 import CHECKERS, nats_of_coins

TRUTHS = notebook_12._HARMLESS


def test_12_1_what_does_no_harm():
    ask = "Ask of each"
    expect(
        CHECKERS["12.1"],
        [
            TRUTHS,
            {name: np.bool_(truth) for name, truth in TRUTHS.items()},
            {name: torch.tensor(truth) for name, truth in TRUTHS.items()},
            {name: int(truth) for name, truth in reversed(TRUTHS.items())},
        ],
        [
            *[({**TRUTHS, name: not truth}, f"1 of 6 wrong. {ask}") for name, truth in TRUTHS.items()],
            (dict.fromkeys(TRUTHS, True), "they are not all alike. 4 of 6 wrong"),
            (dict.fromkeys(TRUTHS, False), "they are not all alike. 2 of 6 wrong"),
            ({name: not truth for name, truth in TRUTHS.items()}, "6 of 6 wrong"),
            ({**TRUTHS, "seed": ...}, "still ..."),
            ({**TRUTHS, "seed": "yes"}, "expected True or False for 'seed'"),
            ({**TRUTHS, "seed": 2}, "expected True or False for 'seed'"),
            ({"seed": True}, "expected a dictionary"),
            (list(TRUTHS.values()), "expected a dictionary"),
        ],
    )


def test_12_2_bytes_of_a_file():
    nats = 60_000 * 49 * 0.5
    right = nats / log(2) / 8
    expect(
        CHECKERS["12.2"],
        [*forms_of_number(right), round(right), nats * log2(e) / 8, int(right) + 1],
        [
            (8 * right, "these are bits"),
            (nats / 8, "a nat is not a bit"),
            (nats, "these are nats"),
            (nats * log(2) / 8, "more than a bit"),
            (nats / log(10) / 8, "logarithm"),
            (right / 49, "one code of each image"),
            (right / 60_000, "for one image"),
            (right / 60_000 / 49, "for one code"),
            (right / 49**2, "each image has 49"),
            (right / 1000, "kilobytes"),
            (right / 1024, "kibibytes"),
            (8 * right / 60_000, "bits of one image"),
            (2 * right, "half a nat"),
            (60_000 * 49, "without any prior"),
            (1e6, "too large"),
            (0, "too small"),
            ("much", "expected a number, got str"),
        ],
        secrets=["265"],
    )


def taking(symbol_of=bisect_right, before=None):
    """A ``take`` that finds its symbol, and the number before it, in a way of its own."""

    def take(x, ends):
        place = x % ends[-1]
        symbol = symbol_of(ends, place)
        start = ends[symbol - 1] if symbol else 0
        size, quotient = ends[symbol] - start, x // ends[-1]
        return symbol, quotient * size + place - start if before is None else before(quotient, size, place, start, x)

    return take


def by_divmod(x, ends):
    quotient, place = divmod(x, ends[-1])
    symbol = next(number for number, end in enumerate(ends) if place < end)
    start = [0, *ends][symbol]
    return [np.int64(symbol), (ends[symbol] - start) * quotient + (place - start)]


def by_counting(x, ends):
    symbol = sum(end <= x % ends[-1] for end in ends)
    start = [0, *ends][symbol]
    return symbol, x // ends[-1] * (ends[symbol] - start) + x % ends[-1] - start


def with_tensor(x, ends):
    place = torch.tensor(x % ends[-1])
    symbol = torch.searchsorted(torch.tensor(ends), place, right=True)
    start = ends[symbol - 1] if symbol else 0
    return symbol, x // ends[-1] * (ends[symbol] - start) + int(place) - start


def last_of(ends, place):
    return len(ends) - 1


def test_12_3_taking_a_symbol_off():
    right = taking()
    expect(
        CHECKERS["12.3"],
        [right, by_divmod, by_counting, with_tensor, lambda *given: list(right(*given))],
        [
            (3, "expected a function, got int"),
            (lambda x, ends: ..., "not done yet"),
            (lambda x, ends: None, "returns nothing"),
            (lambda x: x, "the function fails with TypeError"),
            (lambda x, ends: right(x, ends)[0], "return two things"),
            (lambda x, ends: right(x, ends)[::-1], "symbol first"),
            (taking(bisect_left), "belongs to the next"),
            (taking(last_of), "the symbol is wrong"),
            (lambda x, ends: (x % ends[-1], x // ends[-1]), "whose piece"),
            (taking(before=lambda q, size, place, start, x: q * size + place), "start is still in"),
            (taking(before=lambda q, size, place, start, x: q * size), "the rest has been lost"),
            (taking(before=lambda q, size, place, start, x: q * size + start), "the number has kept start alone"),
            (taking(before=lambda q, size, place, start, x: q + place - start), "not multiplied by size"),
            (taking(before=lambda q, size, place, start, x: q), "only divided"),
            (taking(before=lambda q, size, place, start, x: x), "as it was"),
            (taking(before=lambda q, size, place, start, x: q * 16 + place - start), "not by M"),
            (taking(before=lambda q, size, place, start, x: q * size + place - start + 1), "the number is not"),
            (taking(before=lambda q, size, place, start, x: x / 16 * size), "use // and %"),
            (lambda x, ends: ("B", x), "expected a number, got str"),
        ],
    )


def test_12_4_coins(monkeypatch):
    monkeypatch.setattr(notebook_12, "nats_of_coins", lambda: (16.6, 1100.0))
    expect(
        CHECKERS["12.4"],
        [*forms_of_number(16.6), 16, 17.4, torch.tensor(16.9)],
        [
            (16.6 / log(2), "these are bits"),
            (16.6 * 96, "this is the sum"),
            (16.6 / 64, "for one code"),
            (16.6 / log(2) / 8, "these are bytes"),
            (-16.6, "the sign"),
            (1100, "random codes"),
            (1050, "random codes"),
            (0, "too small"),
            (14, "too small"),
            (20, "too large"),
            (512, "too large"),
            (float("nan"), "not a number"),
            (float("inf"), "infinite"),
            (torch.full((96,), 16.6), "expected a number"),
            ("faces", "expected a number, got str"),
        ],
        secrets=["16.6"],
    )


def test_12_4_with_the_shipped_model():
    drawn, noise = nats_of_coins()
    assert drawn < 30 < 300 < noise
    assert CHECKERS["12.4"](drawn) is None
    assert "random codes" in CHECKERS["12.4"](noise)
