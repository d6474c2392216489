"""Exercises of 04_latent_codes."""

import zlib
from functools import cache
from math import exp, log, log2, log10
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.course.exercises.comparing import (
    Checker,
    Complaint,
    as_number,
    as_numbers,
    as_tensor,
    call,
    checker,
    compare_number,
    compare_tensor,
    same,
)
from lpvq.data.loading import load
from lpvq.models.code_usage import code_counts, entropy, perplexity
from lpvq.models.pretrained import load_pretrained
from lpvq.models.quantizer import nearest_codes

_COUNTS = torch.tensor([400, 200, 100, 100, 0, 0, 0, 0])
_ZIPPED_GRIDS = 300
_CHANCE_OF_ZIP = 0.03  # in bits per code, from another random order
_DRAWS = 4000
_SIX_SIGMA = 0.05  # six standard deviations of a frequency among so many draws

Table = tuple[Tensor, int, int]
"""Counts by place (H · W, K), and the height and width of the grid."""


@checker
def _perplexity(answer: Any) -> str | None:
    nats, used = entropy(_COUNTS), int((_COUNTS > 0).sum())
    shares = _COUNTS[:used].double() / _COUNTS.sum()
    slips = {
        "this is the entropy in bits; the perplexity is 2 to the power of it": nats / log(2),
        "this is the entropy in nats; the perplexity is e to the power of it": nats,
        "with the entropy in bits, the base is 2 and not e": exp(nats / log(2)),
        "with the entropy in nats, the base is e and not 2": 2**nats,
        "this is how many codes are in use; they are not used equally": used,
        "this is the size of the codebook; its entries are not used equally, and some not at all": len(_COUNTS),
        "the minus of the entropy is missing: a perplexity is at least 1": exp(-nats),
        "the entropy has the base 10 here, and the power a different one": exp(nats / log(10)),
        "this is the share of codes in use": used / len(_COUNTS),
        "this is the entropy over the largest possible one": nats / log(len(_COUNTS)),
        "weigh the logarithm of each share with the share itself": exp(-shares.log().mean().item()),
        "this is 1 / Σ p²; the perplexity comes from Σ p log p": 1 / shares.square().sum().item(),
        "this is the perplexity of a grid of all codes": exp(nats) * len(_COUNTS),
        "this is the share of the commonest code": shares.max().item(),
    }
    return compare_number(answer, perplexity(_COUNTS), 0.01, slips)


@cache
def _zipped() -> tuple[Tensor, dict[str, Tensor]]:
    """The bits per code in three orders, and what becomes of them by slips."""
    vqvae, _ = load_pretrained()
    grids = vqvae.encode(load("smileys", "test", limit=_ZIPPED_GRIDS).floats())
    shuffled = grids.flatten()[torch.randperm(grids.numel(), generator=torch.Generator().manual_seed(0))]
    places = torch.randperm(grids[0].numel(), generator=torch.Generator().manual_seed(0))
    by_grid, by_place = grids.flatten(1), grids.flatten(1).T

    def bits(*orders: Tensor, level: int = 9, kind: torch.dtype = torch.uint8) -> Tensor:
        packed = [len(zlib.compress(codes.to(kind).numpy().tobytes(), level)) for codes in orders]
        return 8 * torch.tensor(packed).double() / grids.numel()

    right = bits(by_grid, by_place, shuffled)
    return right, {
        "these are bytes per code; a byte has 8 bits": right / 8,
        "these are bits per grid; divide by its number of codes": right * grids[0].numel(),
        "these are the bytes of what comes out": right * grids.numel() / 8,
        "these are the bits of what comes out; divide by the number of codes": right * grids.numel(),
        "this is how many times shorter the bytes become": 8 / right,
        "write each code as one byte, not as the eight of an int64": bits(
            by_grid, by_place, shuffled, kind=torch.int64
        ),
        "write each code as one byte, not as the four of an int32": bits(by_grid, by_place, shuffled, kind=torch.int32),
        "compress with the level 9": bits(by_grid, by_place, shuffled, level=1),
        "nothing is compressed here: this is level 0": bits(by_grid, by_place, shuffled, level=0),
        "the order is: grid by grid, place by place, shuffled": right[[1, 0, 2]],
        "place by place means all codes of one place first; this reads the columns of each grid": bits(
            by_grid, grids.mT, shuffled
        ),
        "the same grids were compressed twice; place by place, the places come first": bits(by_grid, by_grid, shuffled),
        "shuffle all codes; here whole grids change places": bits(by_grid, by_place, by_grid.flip(0)),
        "shuffle all codes; here the places are shuffled alike in each grid": bits(
            by_grid, by_place, by_grid[:, places]
        ),
        "these are shares of the 8 bits of a byte": right / 8,
    }


@checker
def _bits_by_zip(answer: Any) -> str | None:
    right, slips = _zipped()
    given = torch.tensor(as_numbers(answer, "grid by grid", "place by place", "shuffled"))
    if compare_tensor(given, right, 0.005) is None:
        return None
    if same(given[:2], right[:2], 0.005) and abs(given[2] - right[2]) < _CHANCE_OF_ZIP:
        return None  # another random order
    named = [why for why, wrong in slips.items() if _nearly_zipped(given, wrong)]
    names = ("grid by grid", "place by place", "shuffled")
    complaints = [
        f"{name}: {complaint}"
        for name, mine, bits in zip(names, given.tolist(), right.tolist(), strict=True)
        if (complaint := compare_number(mine, bits, _CHANCE_OF_ZIP if name == "shuffled" else 0.005))
    ]
    return [*named, *complaints][0]


def _nearly_zipped(given: Tensor, wrong: Tensor) -> bool:
    """Whether they are the same apart from a different random order."""
    return bool(((given / wrong - 1).abs() < torch.tensor([1e-3, 1e-3, 5e-3])).all())


def _tables() -> list[Table]:
    wide = [[8, 0, 0, 0, 0], [0, 4, 4, 0, 0], [1, 1, 1, 1, 4], [0, 0, 0, 6, 2], [3, 3, 1, 1, 0], [0, 0, 0, 0, 9]]
    high = [[5, 0, 0], [1, 1, 2], [0, 3, 3], [2, 6, 0], [1, 0, 3], [2, 2, 2], [0, 7, 1], [4, 1, 1]]
    return [(torch.tensor(wide), 2, 3), (torch.tensor(high), 4, 2)]


@checker
def _sample_by_place(answer: Any) -> str | None:
    for table, height, width in _tables():
        for number in (1, _DRAWS):
            drawn = as_tensor(call(answer, table.clone(), number, height, width, seed=0))
            if drawn.shape != (number, height, width):
                return f"expected the shape {(number, height, width)}, got {tuple(drawn.shape)}"
        _check_codes(drawn, table.shape[1])
        complaint = _frequencies_complaint(drawn.long(), (table, height, width)) or _dependence(drawn.long(), table)
        if complaint:
            return complaint
    return None


def _check_codes(drawn: Tensor, num_codes: int) -> None:
    whole = drawn.double() == drawn.long()
    if not whole.all():
        raise Complaint("these are not codes: a code is a whole number")
    if drawn.min() < 0 or drawn.max() >= num_codes:
        raise Complaint("some of the codes have no column in the table: its first column is the code 0")


def _frequencies_complaint(drawn: Tensor, table: Table) -> str | None:
    """Compare how often each code occurs at each place with the table."""
    counts, height, width = table
    num_codes = counts.shape[1]
    found = torch.stack([code_counts(column, num_codes) for column in drawn.flatten(1).T]) / len(drawn)
    wanted = counts / counts.sum(1, keepdim=True)
    if _near(found, wanted):
        return None
    if bool((drawn == drawn[:1]).all()):
        return "all grids are the same: draw each of them anew"
    for why, other in _slips_of_frequencies(counts, height, width).items():
        if _near(found, other):
            return why
    row, column = divmod(int((found - wanted).abs().amax(1).argmax()), width)
    if bool((found[counts == 0] > 0).any()):
        return (
            "at some places a code is drawn that never occurred there: does each place keep its own row of the table?"
        )
    return f"the frequencies are wrong, most of all at row {row}, column {column}: is each place drawn by its own row?"


def _near(found: Tensor, frequencies: Tensor) -> bool:
    return bool((found - frequencies).abs().max() < _SIX_SIGMA)


def _slips_of_frequencies(counts: Tensor, height: int, width: int) -> dict[str, Tensor]:
    by_place, num_codes = counts / counts.sum(1, keepdim=True), counts.shape[1]
    in_columns = by_place.view(width, height, num_codes).transpose(0, 1).flatten(0, 1)
    return {
        "the frequencies are the same at each place; draw each place from its own row of the table": (
            counts.sum(0) / counts.sum()
        ).expand_as(by_place),
        "all codes are equally likely; draw them by their frequencies": torch.full_like(by_place, 1 / num_codes),
        "all codes that occurred at a place are equally likely; draw them by their frequencies": F.normalize(
            (counts > 0).float(), p=1, dim=1
        ),
        "this takes the commonest code of each place; draw the codes by their frequencies": F.one_hot(
            counts.argmax(1), num_codes
        ).float(),
        "one was added to each count; here the frequencies themselves are wanted": F.normalize(
            counts + 1.0, p=1, dim=1
        ),
        "counts are not logits: divide them by their sum, and leave the softmax out": counts.double().softmax(1),
        "the rows of the table belong to the places in reading order; here they run down the columns": in_columns,
        "the rows of the table come in reverse order": by_place.flip(0),
        "the frequencies of a code are those over the places; divide the counts of a place by their sum": F.normalize(
            counts / counts.sum(0), p=1, dim=1
        ),
    }


def _dependence(drawn: Tensor, counts: Tensor) -> str | None:
    """Compare how often two codes occur together at two places with the product of their frequencies."""
    places, num_codes = counts.shape
    hits = F.one_hot(drawn.flatten(1), num_codes).flatten(1).float()  # (N, H · W · K)
    together = (hits.T @ hits / len(drawn)).view(places, num_codes, places, num_codes)
    shares = (counts / counts.sum(1, keepdim=True)).flatten()
    off = (together - torch.outer(shares, shares).view_as(together)).abs().amax((1, 3))
    off.fill_diagonal_(0)
    if off.max() < _SIX_SIGMA:
        return None
    return (
        "each place has its frequencies, but the places of a grid depend on each other: does each have a random number "
        "of its own?"
    )


@cache
def _stairs() -> list[tuple[Tensor, int]]:
    """Grids whose codes go up from row to row by chance, so no two rows are alike; and how many codes there are."""
    generator = torch.Generator().manual_seed(0)
    cases = []
    for names, num_codes, shape, chance in (
        ([0, 1, 2, 3, 4, 5, 6, 7], 9, (300, 6, 5), 0.25),
        ([1, 0, 256, 299, 5, 7, 2, 3], 300, (200, 4, 7), 0.5),  # 256 · 1 + 0 and 256 · 0 + 256 are the same
    ):
        steps = torch.rand(shape, generator=generator) < chance
        cases.append((torch.tensor(names)[steps.long().cumsum(1)], num_codes))
    return cases


@checker
def _bits_given_above(answer: Any) -> str | None:
    for codes, num_codes in _stairs():
        given = as_number(call(answer, codes.clone(), num_codes))
        above, below = codes[:, :-1], codes[:, 1:]
        complaint = compare_number(
            given, _pair_bits(above, below) - _bits(above), 0.002, _slips_of_conditional(codes, num_codes)
        )
        if complaint:
            return complaint
    return None


def _slips_of_conditional(codes: Tensor, num_codes: int) -> dict[str, float]:
    above, below, left, right = codes[:, :-1], codes[:, 1:], codes[:, :, :-1], codes[:, :, 1:]
    pairs, width = _pair_bits(above, below), codes.shape[2]
    in_line = codes.flatten()
    first, second = in_line[:-width], in_line[width:]
    of_grids = [_pair_bits(a, b) - _bits(a) for a, b in zip(above, below, strict=True)]
    return {
        "this is given the code to the left; the one above is in another row": _pair_bits(left, right) - _bits(left),
        "these are nats; divide by log 2": (pairs - _bits(above)) * log(2),
        "this is the entropy of pairs; subtract that of the code above": pairs,
        "this subtracts the entropy of the code below; subtract that of the code above, in all rows but the last": pairs
        - _bits(below),
        "this subtracts the entropy of all codes; subtract that of the code above, in all rows but the last": pairs
        - _bits(codes),
        "this is the entropy of a code of which nothing is known": _bits(below),
        "this is the entropy of all codes, of which nothing is known": _bits(codes),
        "this is the entropy of the code above": _bits(above),
        "this is the entropy of pairs, in nats": pairs * log(2),
        "this is what a code tells of the next one (the mutual information); the question asks what is left": _bits(
            below
        )
        + _bits(above)
        - pairs,
        "these two entropies are added, as if independent": _bits(above) + _bits(below),
        "H(a, b) is the entropy of pairs, not of the code below": _bits(below) - _bits(above),
        "the last row of a grid does not lie above the first row of the next one": _pair_bits(first, second)
        - _bits(first),
        "all pairs of all grids go into one table, not those of each grid into its own": sum(of_grids) / len(of_grids),
        "the number of codes is the one that the function is given, not 256": entropy(
            (above * 256 + below).flatten().unique(return_counts=True)[1]
        )
        / log(2)
        - _bits(above),
        "the sign is wrong": _bits(above) - pairs,
        "the code above is two rows away here": _pair_bits(codes[:, :-2], codes[:, 2:]) - _bits(codes[:, :-2]),
    }


def _bits(codes: Tensor) -> float:
    return entropy(codes.flatten().unique(return_counts=True)[1]) / log(2)


def _pair_bits(first: Tensor, second: Tensor) -> float:
    return _bits(first * 1000 + second)


@cache
def _place_of_border() -> float:
    rates = -0.5 * 0.05 * torch.tensor([0.9, 0.1]).double().log()
    places = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    codes = nearest_codes(places[:, None], torch.tensor([[0.0], [1.0]]).double(), rates)
    return places[codes == 0].max().item()


@checker
def _border(answer: Any) -> str | None:
    weight, scale, odds = 0.5, 0.05, 0.9 / 0.1
    slips = {
        "the border moved the wrong way: the code that is common is the cheaper one": 1 - _place_of_border(),
        "that is the border without the rate": 0.5,
        "the rate is multiplied by λ, and z² − (1 − z)² is 2 z − 1: one of the factors ½ is missing": 0.5
        + weight * scale * log(odds),
        "both factors ½ are missing: λ, and that of z² − (1 − z)² = 2 z − 1": 0.5 + scale * log(odds),
        "the rate is multiplied by s, too": 0.5 + weight * log(odds) / 2,
        "there are two rates: each code has one": 0.5 - weight * scale * log(0.9) / 2,
        "each code has a rate: that of the common one is missing": 0.5 - weight * scale * log(0.1) / 2,
        "the logarithm is the natural one, not that to the base 2": 0.5 + weight * scale * log2(odds) / 2,
        "the logarithm is the natural one, not that to the base 10": 0.5 + weight * scale * log10(odds) / 2,
        "that is how far the border moves; where is it then?": weight * scale * log(odds) / 2,
        "a rate is −log p, not p": 0.5 + weight * scale * 0.8 / 2,
        "the ½ of the border without the rate is taken twice": (0.5 + weight * scale * log(odds)) / 2,
        "that is twice as far from 0 as it should be: z² − (1 − z)² is 2 z − 1": 1 + weight * scale * log(odds),
        "the rate of a code is λ s times its own −log p, and not divided by p": 0.5
        + weight * scale * (1 / 0.1 - 1 / 0.9) / 2,
    }
    return compare_number(answer, _place_of_border(), 1e-3, slips)


CHECKERS: dict[str, Checker] = {
    "4.1": _perplexity,
    "4.2": _bits_by_zip,
    "4.3": _sample_by_place,
    "4.4": _bits_given_above,
    "4.5": _border,
}
