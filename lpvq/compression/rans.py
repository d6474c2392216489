"""An entropy coder in whole numbers: range asymmetric numeral systems (rANS), several states side by side.

Duda (2013), arXiv:1311.2540; Bamler (2022), arXiv:2201.01741. All that was coded so far is one large number x, the
state. A symbol of frequency f out of M, after others that together have s, is put on top of it by

    x ← (x div f) · M + s + (x mod f)

which makes x about M / f times as large: log₂(M / f) bits, what the symbol should cost. To take it off again,
x mod M lies in s … s + f − 1 and so tells the symbol, and

    x ← (x div M) · f + (x mod M) − s

is what was there before. The last symbol comes off first, so a file is written from its end. So that x stays
below 2⁶², its lower 32 bits are moved to a list of words when it would grow too large, and back when it is small. One
word is always enough: no symbol costs more than 22 bits.

Several states (*lanes*) take turns, so that numpy works on all of them at once; they share one list of words.
"""

import numpy as np
from numpy.typing import NDArray

from lpvq.errors import InputError

SCALE_BITS = 22
"""Frequencies add up to 2 to the power of this: M."""

STATE_BYTES = 8
"""What the state of a lane takes in a file."""

_WORD_BITS, _LOWEST_BITS = 32, 30
_LOWEST = 2**_LOWEST_BITS  # a state is at least this, and below 2⁶²
_WORD_BYTES = _WORD_BITS // 8
_MASK, _WORD = 2**SCALE_BITS - 1, 2**_WORD_BITS - 1

Whole = NDArray[np.int64]


class Encoder:
    """Puts symbols on a number of states, the last one first.

    Args:
        lanes: how many states.
    """

    def __init__(self, lanes: int) -> None:
        self.states = np.full(lanes, _LOWEST, dtype=np.int64)
        self._words: list[Whole] = []

    def push(self, start: Whole, size: Whole) -> None:
        """Put a symbol on each of the first lanes.

        Args:
            start: the sum of the frequencies of the symbols before it, int64 (n,), with n up to the number of lanes.
            size: its own frequency, at least 1, int64 (n,).
        """
        x = self.states[: len(size)]  # a view
        full = x >= size << (_LOWEST_BITS + _WORD_BITS - SCALE_BITS)
        # The decoder reads the lanes in rising order, and what was written last comes first.
        self._words.append((x[full] & _WORD)[::-1])
        x[full] >>= _WORD_BITS
        quotient, rest = np.divmod(x, size)
        x[:] = (quotient << SCALE_BITS) + start + rest

    def push_many(self, start: Whole, size: Whole) -> None:
        """Put symbols on the lanes in turn, the last of them first: both int64 (N,), as ``Decoder`` takes them off."""
        lanes = len(self.states)
        for first in reversed(range(0, len(size), lanes)):
            self.push(start[first : first + lanes], size[first : first + lanes])

    def content(self) -> bytes:
        """Return states and words as a decoder reads them."""
        words = np.concatenate([*self._words, np.empty(0, dtype=np.int64)])[::-1]
        states = b"".join(int(x).to_bytes(STATE_BYTES, "little") for x in self.states)
        return states + words.astype("<u4").tobytes()


class Decoder:
    """Takes symbols off again, the first one first.

    Args:
        content: what ``Encoder.content`` returned.
        lanes: how many states.

    Raises:
        InputError: content that cannot be from such an encoder.
    """

    def __init__(self, content: bytes, lanes: int) -> None:
        head = lanes * STATE_BYTES
        if len(content) < head or (len(content) - head) % _WORD_BYTES:
            raise InputError(f"{len(content)} bytes are not what a coder with {lanes} states wrote")
        states = [int.from_bytes(content[i : i + STATE_BYTES], "little") for i in range(0, head, STATE_BYTES)]
        self.states = np.array(states, dtype=np.uint64).astype(np.int64)  # one too large becomes negative
        self._words = np.frombuffer(content, "<u4", offset=head).astype(np.int64)
        self._next = 0
        if ((self.states < _LOWEST) | (self.states >= _LOWEST << _WORD_BITS)).any():
            raise InputError("a state of the coder is too small or too large")

    def peek(self, number: int) -> Whole:
        """Return where in 0 … 2²² − 1 the next symbols of the first ``number`` lanes are, int64."""
        return self.states[:number] & _MASK

    def pop(self, start: Whole, size: Whole) -> None:
        """Take off the symbols that were found there; arguments as of ``Encoder.push``.

        Raises:
            InputError: there are no more words.
        """
        x = self.states[: len(size)]  # a view
        x[:] = (x >> SCALE_BITS) * size + (x & _MASK) - start
        low = x < _LOWEST
        number = int(low.sum())
        if self._next + number > len(self._words):
            raise InputError("it ends too early")
        x[low] = (x[low] << _WORD_BITS) | self._words[self._next : self._next + number]
        self._next += number

    def symbols(self, ends: Whole) -> Whole:
        """Take off symbols from the lanes in turn, and return them.

        Args:
            ends: where in 0 … 2²² each symbol of the alphabet ends, rising, int64 (N, K); all start where the one
                before ends.

        Returns:
            int64 (N,).
        """
        lanes, found = len(self.states), np.empty(len(ends), dtype=np.int64)
        for first in range(0, len(ends), lanes):
            some = ends[first : first + lanes]
            # How many end at or before it. Each row is sorted, so a search would do, but K is small.
            symbol = (some <= self.peek(len(some))[:, None]).sum(1)
            end = np.take_along_axis(some, symbol[:, None], 1)[:, 0]
            start = np.where(symbol > 0, np.take_along_axis(some, np.maximum(symbol - 1, 0)[:, None], 1)[:, 0], 0)
            self.pop(start, end - start)
            found[first : first + lanes] = symbol
        return found

    def finish(self) -> None:
        """Raise ``InputError`` unless all that was coded has been taken off."""
        if self._next != len(self._words) or (self.states != _LOWEST).any():
            raise InputError("there is more in it than its header says")
