"""The entropy coder: what comes off is what was put on, in as many bits as it should cost."""

from fractions import Fraction
from itertools import product
from math import prod

import numpy as np
import pytest

from coders import (
    TOTAL,
    decode,
    decode_with_constriction,
    encode,
    encode_with_constriction,
    probabilities,
    some_symbols,
)
from lpvq import InputError
from lpvq.compression.rans import Decoder, Encoder


@pytest.mark.parametrize("lanes", [1, 3, 64])
def test_what_comes_off_is_what_was_put_on_and_it_costs_what_it_should(lanes: int) -> None:
    ends, symbols, bits = some_symbols(5000)
    content = encode(symbols, ends, lanes)
    assert bits.sum() / 8 <= len(content) <= 1.001 * bits.sum() / 8 + 8 * lanes + 4
    assert (decode(content, ends, lanes) == symbols).all()
    with pytest.raises(InputError, match=r"ends too early|more in it|not what"):
        decode(content[:-4], ends, lanes)


def one_by_one(starts: list[int], sizes: list[int], lanes: int) -> bytes:
    """The same coder in Python's whole numbers, a symbol at a time."""
    states, words = [2**30] * lanes, []
    for number in reversed(range(len(sizes))):
        x, size = states[number % lanes], sizes[number]
        if x >= (size << 62) // TOTAL:
            words.append(x % 2**32)
            x //= 2**32
        states[number % lanes] = x // size * TOTAL + starts[number] + x % size
    return b"".join(x.to_bytes(8, "little") for x in states) + b"".join(w.to_bytes(4, "little") for w in words[::-1])


@pytest.mark.parametrize("lanes", [1, 3, 8])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 7, 100, 101])
def test_it_writes_what_a_coder_of_single_symbols_writes(lanes: int, number: int) -> None:
    ends, symbols, _ = some_symbols(number)
    starts = np.pad(ends, ((0, 0), (1, 0)))[np.arange(number), symbols]
    sizes = ends[np.arange(number), symbols] - starts
    encoder = Encoder(lanes)
    encoder.push_many(starts, sizes)
    assert encoder.content() == one_by_one(starts.tolist(), sizes.tolist(), lanes)


def test_all_messages_of_a_small_alphabet_are_told_apart_and_cost_what_they_should() -> None:
    sizes = np.array([1, TOTAL // 2, TOTAL // 2 - 1])
    starts = sizes.cumsum() - sizes
    contents = set()
    for message in product(range(3), repeat=6):
        encoder = Encoder(1)
        encoder.push_many(starts[list(message)], sizes[list(message)])
        contents.add(content := encoder.content())
        likely = prod(Fraction(int(sizes[symbol]), TOTAL) for symbol in message)
        # All that was coded is one number: 2³⁰ at first, and 1 / likely times as large in the end.
        x = int.from_bytes(content[:8], "little")
        for first in range(8, len(content), 4):
            x = x << 32 | int.from_bytes(content[first : first + 4], "little")
        assert abs(x * likely / 2**30 - 1) < Fraction(1, 100)
        decoder = Decoder(content, 1)
        assert decoder.symbols(np.tile(sizes.cumsum(), (6, 1))).tolist() == list(message)
        decoder.finish()
    assert len(contents) == 3**6


def test_another_coder_gives_back_the_same_symbols_and_takes_as_many_bytes() -> None:
    pytest.importorskip("constriction")
    ends, symbols, _ = some_symbols(2000)
    given = probabilities(ends)
    ours, theirs = encode(symbols, ends, 1), encode_with_constriction(symbols, given)
    assert (decode(ours, ends, 1) == symbols).all()
    assert (decode_with_constriction(theirs, given) == symbols).all()
    assert 0.998 * len(theirs) - 8 <= len(ours) <= 1.002 * len(theirs) + 8
