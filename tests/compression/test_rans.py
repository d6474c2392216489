"""The entropy coder: what comes off is what was put on, in as many bits as it should cost."""

import numpy as np
import pytest

from lpvq import InputError
from lpvq.compression.rans import SCALE_BITS, Decoder, Encoder

TOTAL = 2**SCALE_BITS


def some_symbols(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each of five symbols ends (N, 5), which ones there are (N,), and what these should cost in bits."""
    random = np.random.default_rng(0)
    sizes = np.floor(random.dirichlet([0.05] * 5, number) * (TOTAL - 5)).astype(np.int64) + 1
    sizes[:, 0] += TOTAL - sizes.sum(1)
    ends = sizes.cumsum(1)
    symbols = (random.integers(TOTAL, size=number)[:, None] >= ends).sum(1)
    return ends, symbols, -np.log2(np.take_along_axis(sizes, symbols[:, None], 1)[:, 0] / TOTAL)


@pytest.mark.parametrize("lanes", [1, 3, 64])
def test_what_comes_off_is_what_was_put_on_and_it_costs_what_it_should(lanes: int) -> None:
    ends, symbols, bits = some_symbols(5000)
    starts = np.pad(ends, ((0, 0), (1, 0)))
    rows = np.arange(len(symbols))
    encoder = Encoder(lanes)
    encoder.push_many(starts[rows, symbols], ends[rows, symbols] - starts[rows, symbols])
    content = encoder.content()
    assert bits.sum() / 8 <= len(content) <= 1.001 * bits.sum() / 8 + 6 * lanes + 2
    decoder = Decoder(content, lanes)
    assert (decoder.symbols(ends) == symbols).all()
    decoder.finish()
    with pytest.raises(InputError, match=r"ends too early|more in it|not what"):
        short = Decoder(content[:-2], lanes)
        short.symbols(ends)
        short.finish()


def test_it_takes_no_more_than_another_coder() -> None:
    constriction = pytest.importorskip("constriction")
    ends, symbols, _ = some_symbols(2000)
    sizes = np.diff(ends, axis=1, prepend=0)
    encoder = Encoder(1)
    starts, rows = ends - sizes, np.arange(len(symbols))
    encoder.push_many(starts[rows, symbols], sizes[rows, symbols])
    other = constriction.stream.stack.AnsCoder()
    family = constriction.stream.model.Categorical(perfect=False)
    other.encode_reverse(symbols.astype(np.int32), family, (sizes / TOTAL).astype(np.float32))
    assert len(encoder.content()) <= 1.002 * other.num_bits() / 8 + 8
