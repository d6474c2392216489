"""Exercises of 12_compression."""

import random
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from math import log
from typing import Any

import torch

from lpvq.course.exercises.comparing import (
    Checker,
    Complaint,
    as_number,
    call,
    checker,
    compare_number,
    compare_truths,
)
from lpvq.data.loading import load
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.pretrained import load_pretrained

_HARMLESS = {
    "threads": True,
    "batch": False,
    "temperature": False,
    "seed": True,
    "columns": False,
    "weights": False,
}
_IMAGES, _CODES, _NATS = 60_000, 49, 0.5
_GRIDS = 96
_BY_CHANCE = 0.07  # how far the mean of so many grids may be off


@checker
def _harmless(answer: Any) -> str | None:
    return compare_truths(
        answer, _HARMLESS, "are the frequencies at each position still exactly the same whole numbers?"
    )


@checker
def _bytes_needed(answer: Any) -> str | None:
    nats = _IMAGES * _CODES * _NATS
    right = nats / log(2) / 8
    slips = {
        "these are bits; a byte has eight": 8 * right,
        "a nat is not a bit": nats / 8,
        "these are nats": nats,
        "a nat is more than a bit, not less": nats * log(2) / 8,
        "the logarithm is that of 2, not of 8 or 10": nats / log(10) / 8,
        "that is for 49 images of one code each, or for one code of each image": right / _CODES,
        "that is for one image": right / _IMAGES,
        "that is for one code": right / _IMAGES / _CODES,
        "the nats are per code, and each image has 49": right / _CODES**2,
        "this is in kilobytes": right / 1000,
        "this is in kibibytes": right / 1024,
        "these are the bits of one image": 8 * right / _IMAGES,
        "each code takes half a nat, not one": 2 * right,
        "that is what the codes take without any prior, a byte each": float(_IMAGES * _CODES),
    }
    return _compare(as_number(answer), right, 2e-4, slips)


@checker
def _take(answer: Any) -> str | None:
    for case, (x, symbol, ends) in enumerate(_cases_of_taking()):
        given = call(answer, _put(x, symbol, ends), list(ends))
        complaint = _what_is_wrong(given, x, symbol, ends)
        if complaint:
            return (
                f"{'a small number' if case == 0 else 'after many symbols' if case >= 3 else 'one symbol'}: {complaint}"
            )
    return None


def _cases_of_taking() -> list[tuple[int, int, Sequence[int]]]:
    """Numbers, symbols to put on top of them, and tables; the later numbers are very large."""
    some = random.Random(0)
    table = list(accumulate([5, 3, 1, 7]))
    large = 1
    for _ in range(400):
        large = _put(large, some.randrange(4), table)
    return [(29, 1, table), (30, 0, table), (31, 3, table), (large, 2, table), (large, 1, [2**20, 2**22 - 1, 2**22])]


def _put(x: int, symbol: int, ends: Sequence[int]) -> int:
    start = ends[symbol - 1] if symbol else 0
    size = ends[symbol] - start
    return x // size * ends[-1] + start + x % size


def _what_is_wrong(given: Any, x: int, symbol: int, ends: Sequence[int]) -> str | None:
    if not isinstance(given, tuple | list) or len(given) != 2:
        return "return two things: the symbol, and the number before it"
    if any(isinstance(part, float) for part in given):
        return "a float has 16 digits, and x may have thousands: use // and %, not /"
    try:
        # A number may have thousands of digits, so it stays Python's.
        found, before = (part if type(part) is int else int(as_number(part)) for part in given)
    except (Complaint, OverflowError) as complaint:
        return str(complaint)
    if (found, before) == (symbol, x):
        return None
    start = ends[symbol - 1] if symbol else 0
    size, on_top = ends[symbol] - start, _put(x, symbol, ends)
    if (found, before) == (x, symbol):
        return "the order is: symbol first, then the number"
    if found != symbol:
        place = on_top % ends[-1]
        if found == symbol - 1 and place == start:
            return "a place where a piece ends belongs to the next piece"
        if found == place:
            return "that is the place; whose piece is it on?"
        return "the symbol is wrong"
    slips = {
        "the symbol is right, but start is still in the number": x + start,
        "the symbol is right, but the rest has been lost": x // size * size,
        "the symbol is right, but of its rest the number has kept start alone": x // size * size + start,
        "the symbol is right, but the number was not multiplied by size": x // size + x % size,
        "the symbol is right, but the number is only divided": on_top // ends[-1],
        "the symbol is right, but the number is as it was": on_top,
        "the symbol is right, but what was divided by size has to be multiplied by size, not by M": x // size * ends[-1]
        + x % size,
    }
    return next((why for why, wrong in slips.items() if before == wrong), "the symbol is right, the number is not")


@cache
def nats_of_coins() -> tuple[float, float]:
    """Return how many nats grids that the shipped prior draws cost, and how many random grids of codes cost."""
    _, prior = load_pretrained("smileys")
    assert isinstance(prior, PixelCNN)
    # In floats, which is quicker and as near as makes no difference here.
    prior = prior.without_codebook()
    told = load("smileys", "test", limit=_GRIDS).labels.repeat(2)
    generator = torch.Generator().manual_seed(0)
    drawn = prior.generate(labels=told, generator=generator)
    noise = torch.randint(prior.latent_dim, drawn.shape, generator=generator)
    with torch.no_grad():
        return prior.nll(drawn, told).mean().item(), prior.nll(noise, told).mean().item()


@checker
def _coins(answer: Any) -> str | None:
    right, noise = nats_of_coins()
    slips = {
        "these are bits": right / log(2),
        "this is the sum; the question asks for the mean of the 96 grids": right * _GRIDS,
        "that is for one code; the question asks for a whole grid": right / 64,
        "these are bytes": right / log(2) / 8,
        "the sign is wrong": -right,
    }
    number = as_number(answer)
    if abs(number - noise) <= 0.1 * noise:
        return "that is what random codes cost; unpack random bits"
    return _compare(number, right, _BY_CHANCE, slips)


def _compare(number: float, right: float, tolerance: float, slips: Mapping[str, float]) -> str | None:
    """Like ``compare_number``, with a relative tolerance, for the slips too."""
    if abs(number - right) > tolerance * right:
        for why, wrong in slips.items():
            if abs(number - wrong) <= tolerance * abs(wrong):
                return why
    return compare_number(number, right, tolerance * right)


CHECKERS: dict[str, Checker] = {"12.1": _harmless, "12.2": _bytes_needed, "12.3": _take, "12.4": _coins}
