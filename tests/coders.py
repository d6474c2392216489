"""Two entropy coders for the same symbols: the project's own, and that of constriction, which not every machine has."""

import numpy as np
from numpy.typing import NDArray

from lpvq.compression.rans import SCALE_BITS, Decoder, Encoder, Whole

TOTAL = 2**SCALE_BITS


def some_symbols(number: int, alphabet: int = 5) -> tuple[Whole, Whole, NDArray[np.float64]]:
    """Where each symbol of an alphabet ends (N, K), which ones there are (N,), and what these should cost in bits."""
    random = np.random.default_rng(0)
    sizes = np.floor(random.dirichlet([0.05] * alphabet, number) * (TOTAL - alphabet)).astype(np.int64) + 1
    sizes[:, 0] += TOTAL - sizes.sum(1)
    ends = sizes.cumsum(1)
    symbols = (random.integers(TOTAL, size=number)[:, None] >= ends).sum(1)
    return ends, symbols, -np.log2(np.take_along_axis(sizes, symbols[:, None], 1)[:, 0] / TOTAL)


def encode(symbols: Whole, ends: Whole, lanes: int) -> bytes:
    """Put symbols on the states of our coder."""
    rows = np.arange(len(symbols))
    starts = np.where(symbols > 0, ends[rows, symbols - 1], 0)
    encoder = Encoder(lanes)
    encoder.push_many(starts, ends[rows, symbols] - starts)
    return encoder.content()


def decode(content: bytes, ends: Whole, lanes: int) -> Whole:
    """Take them off again, all of them."""
    decoder = Decoder(content, lanes)
    symbols = decoder.symbols(ends)
    decoder.finish()
    return symbols


def probabilities(ends: Whole) -> NDArray[np.float32]:
    """What constriction is given in place of ``ends``, (N, K)."""
    return (np.diff(ends, axis=1, prepend=0) / TOTAL).astype(np.float32)


def encode_with_constriction(symbols: Whole, given: NDArray[np.float32]) -> bytes:
    """Put symbols on the one state of constriction's coder."""
    from constriction import stream

    coder = stream.stack.AnsCoder()
    coder.encode_reverse(symbols.astype(np.int32), stream.model.Categorical(perfect=False), given)
    return coder.get_compressed().tobytes()


def decode_with_constriction(content: bytes, given: NDArray[np.float32]) -> Whole:
    """Take them off again."""
    from constriction import stream

    coder = stream.stack.AnsCoder(np.frombuffer(content, np.uint32))
    return coder.decode(stream.model.Categorical(perfect=False), given).astype(np.int64)
