"""A PixelCNN in whole numbers: the same probabilities, bit for bit, on every machine.

A prior in floating-point numbers gives slightly different logits with another batch size, another number of threads,
another processor, or with the cache. For drawing faces, that does not matter. For unpacking what another process has
packed, it does: one probability that differs in its last digit, and all that follows is noise. So here is the network
of ``lpvq.models.gated`` once more, for use and not for training, made so that nothing is ever rounded by a machine:

- weights are whole numbers of eight or twelve bits, with a power of two for each output (``lpvq.models.exact_sums``);
- what goes from layer to layer is a whole number of *units*, rounded down to one, and cut off at a largest one;
- the gate, and the exponential functions of attention and of the probabilities, are looked up in tables, which are kept
  with the weights: no two machines need have the same exp;
- sums of products stay below 2²⁴, all other numbers below 2⁵³, and are exact in float32 and float64.

A gate is tanh(a) · σ(b). With one function τ(x) = tanh(x / 2), tanh(a) = τ(2a) and σ(b) = (1 + τ(b)) / 2. So one
table is enough, if whatever adds to a is doubled in the weights.

Shapes as in ``lpvq.models.gated``: B grids of H × W, C channels, K codes, R columns or rows of reach. Channels come
last.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.models.exact_sums import ExactLinear, scaled

TOTAL = 2**22
"""What the frequencies of all codes add up to."""

LOGIT_UNIT = -8  # of the logits: 1/256 nat
GATE_UNIT = -7  # of what a gate is given
GATED_UNIT = -9  # of what comes out of a gate, which is between −1 and 1
NORM_UNIT = -8  # of what attention makes of the horizontal features before it asks
SCORE_UNIT = -7  # of the logarithms of the weights of attention, in nats

GATED = 2**9  # the largest number that comes out of a gate
FEATURES = 2**11 - 1  # the largest that each of the others lets through
HIDDEN = 2**10 - 1
EMBEDDED = 2**9 - 1
ASKED = 2**9 - 1

SPREAD = 3
"""How many powers of two the units of horizontal features may lie apart."""

_GATE = 2**10  # a gate's table has entries for −_GATE … _GATE − 1
_GATE_BITS = 3  # after the point, in the entries of a gate's table, which go up to 2⁸
_WEIGHT_BITS, _FREQUENCY_BITS = 16, 30  # of the largest entries of the tables of exp
_HALF = torch.tensor(0.5, dtype=torch.float64)
_LARGEST_SQUARES, _LARGEST_SHIFT = 2**52, 100
TABLES = {"gate": 2 * _GATE, "weight": 1600, "frequency": 5600}
"""How many entries the tables have; those of exp end where they round to 0."""
LARGEST_ENTRIES = {"gate": 2 ** (8 + _GATE_BITS), "weight": 2**_WEIGHT_BITS, "frequency": 2**_FREQUENCY_BITS}
"""The largest that an entry may be, in absolute value."""


class Layer(nn.Module):
    """One gated block in whole numbers, and the layer of attention that may follow it.

    Args:
        channels: C.
        kernel_size: odd, at least 3.
        num_classes: how many labels there are; None for a block without labels.
        size: H and W of the largest grids, for a network that knows where it is; None for one that does not.
        attention: the layer that follows; None for a block without.

    Attributes:
        vertical: from (R + 1) · kernel_size · C numbers to 2C.
        link: 2C to 2C; its bias is that of the horizontal gate.
        link_shift: the power of two that vertical features, in ``GATE_UNIT``, are multiplied by before the link. A gate
            sees no difference between 8 and 80; the link does.
        horizontal: from (R + 1) · C numbers to 2C.
        output: C to C.
        label_shifts: (num_classes, 4C), multiples of a half.
        row_shifts: what a row adds before both gates, (H, 4C), multiples of a half.
        column_shifts: what a column adds, (W, 4C).
    """

    link_shift: Tensor
    label_shifts: Tensor | None
    row_shifts: Tensor | None
    column_shifts: Tensor | None

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        num_classes: int | None,
        size: Sequence[int] | None,
        attention: "Attention | None",
    ) -> None:
        super().__init__()
        reach = kernel_size // 2
        self.vertical = ExactLinear((reach + 1) * kernel_size * channels, 2 * channels)
        self.link = ExactLinear(2 * channels, 2 * channels)
        self.horizontal = ExactLinear((reach + 1) * channels, 2 * channels, bias=False)
        self.output = ExactLinear(channels, channels, bias=False)
        self.register_buffer("link_shift", torch.zeros((), dtype=torch.int8))
        self.register_buffer("label_shifts", None if num_classes is None else torch.zeros(num_classes, 4 * channels))
        self.register_buffer("row_shifts", None if size is None else torch.zeros(size[0], 4 * channels))
        self.register_buffer("column_shifts", None if size is None else torch.zeros(size[1], 4 * channels))
        self.attention = attention

    def of_labels(self, labels: Tensor | None) -> Tensor:
        """Return what labels add before both gates, (B, 4C); zeros (1, 4C) in a block without labels."""
        if self.label_shifts is None:
            return self._no_shifts()[None]
        return self.label_shifts[labels]

    def of_places(self, size: Sequence[int]) -> Tensor:
        """Return what places add before both gates, (H, W, 4C)."""
        if self.row_shifts is None or self.column_shifts is None:
            return self._no_shifts().expand(*size, -1)
        return self.row_shifts[: size[0], None] + self.column_shifts[: size[1]]

    def _no_shifts(self) -> Tensor:
        bias = cast(Tensor, self.link.bias)
        return bias.new_zeros(2 * len(bias))

    def largest_shifts(self) -> tuple[Tensor, Tensor]:
        """Return the largest that ``shifts`` can be, in absolute value, both (2C,)."""
        tables = [t for t in (self.label_shifts, self.row_shifts, self.column_shifts) if t is not None]
        nothing = self._no_shifts().double()
        shift_v, shift_h = sum((_largest(table) for table in tables), nothing).chunk(2)
        return shift_v, shift_h


class Attention(nn.Module):
    """``lpvq.models.attention`` in whole numbers.

    Args:
        channels: C.
        heads: how many.
        size: H and W of the largest grids.

    Attributes:
        query: from normalised features, C to C.
        key_value: from vertical features and embedded codes, 2C to 2C.
        output: C to C.
        query_rows, query_columns: what a row and a column add to a query, (H, C) and (W, C), multiples of a half.
        key_value_rows, key_value_columns: the same for keys and values, (H, 2C) and (W, 2C).
        nothing: the key and the value of nothing, whole numbers, (2C,).
        alike: the power of two that each horizontal feature is multiplied by to be in a unit common to all, int8 (C,).
        epsilon: what is added to a sum of squares before its root is taken.
        score_shift: the power of two that a product of query and key is multiplied by to be in ``SCORE_UNIT``.
    """

    query_rows: Tensor
    query_columns: Tensor
    key_value_rows: Tensor
    key_value_columns: Tensor
    nothing: Tensor
    epsilon: Tensor
    alike: Tensor
    score_shift: Tensor

    def __init__(self, channels: int, heads: int, size: Sequence[int]) -> None:
        super().__init__()
        self.heads = heads
        self.query = ExactLinear(channels, channels)
        self.key_value = ExactLinear(2 * channels, 2 * channels)
        self.output = ExactLinear(channels, channels, bias=False)
        for name, width in (("query", channels), ("key_value", 2 * channels)):
            self.register_buffer(f"{name}_rows", torch.zeros(size[0], width))
            self.register_buffer(f"{name}_columns", torch.zeros(size[1], width))
        self.register_buffer("nothing", torch.zeros(2 * channels))
        self.register_buffer("epsilon", torch.zeros(()))
        self.register_buffer("alike", torch.zeros(channels, dtype=torch.int8))
        self.register_buffer("score_shift", torch.zeros((), dtype=torch.int8))

    def queries(self, h: Tensor, place: Tensor, matrix: Tensor) -> Tensor:
        """Return queries, whole numbers (B, N, C).

        Args:
            h: horizontal features, whole numbers (B, N, C).
            place: what ``query_rows`` and ``query_columns`` add, (N, C).
            matrix: of ``query``.
        """
        alike = scaled(torch.ones_like(self.alike, dtype=torch.float64), self.alike)
        asking = normalised(h, alike, self.epsilon.double()).to(matrix.dtype)
        return whole(asking @ matrix + (place + cast(Tensor, self.query.bias)), ASKED)

    def keys_and_values(self, v: Tensor, embedded: Tensor, place: Tensor, matrix: Tensor) -> Tensor:
        """Return keys and values, whole numbers (B, N, 2C).

        Args:
            v: vertical features, whole numbers (B, N, C).
            embedded: the codes' vectors, whole numbers (B, N, C).
            place: what ``key_value_rows`` and ``key_value_columns`` add, (N, 2C).
            matrix: of ``key_value``.
        """
        both = torch.cat([v, embedded], dim=-1) @ matrix
        return whole_(both + (place + cast(Tensor, self.key_value.bias)), ASKED)

    def found(self, queries: Tensor, keys: Tensor, values: Tensor, hidden: Tensor | None, table: Tensor) -> Tensor:
        """Return the mean of the values, weighed as attention does, whole numbers (B, heads, N, d).

        Args:
            queries: (B, heads, N, d).
            keys: (B, heads, M, d).
            values: (B, heads, M, d), in float64.
            hidden: where a position may not look, bool (N, M); None where it may look at all.
            table: of exp.
        """
        scores = queries @ keys.transpose(-1, -2)
        if hidden is not None:
            scores = scores.masked_fill(hidden, -torch.inf)
        below = scaled(scores.amax(-1, keepdim=True) - scores, self.score_shift)
        weights = falling(below, table)  # (B, heads, N, M)
        if hidden is not None:
            weights = weights.masked_fill(hidden, 0)
        return rounded_quotient(weights @ values, weights.sum(-1, keepdim=True))

    def places(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Return what places add to queries, (N, C), and to keys and values, (N, 2C)."""
        queries = self.query_rows[:height, None] + self.query_columns[:width]
        both = self.key_value_rows[:height, None] + self.key_value_columns[:width]
        return queries.flatten(0, 1), both.flatten(0, 1)

    def largest_places(self) -> tuple[Tensor, Tensor]:
        """Return the largest that places add, in absolute value: to queries (C,), to keys and values (2C,)."""
        rows, columns = (self.query_rows, self.key_value_rows), (self.query_columns, self.key_value_columns)
        queries, both = (_largest(row) + _largest(column) for row, column in zip(rows, columns, strict=True))
        return queries, both

    def check(self) -> None:
        """Raise ``InputError`` where a number beside the weights is out of range, so that sums would not be exact."""
        channels, squares = len(self.alike), 0.0
        least, most = int(self.alike.min()), int(self.alike.max())
        if least >= 0 and most <= SPREAD:
            squares = channels**3 * (FEATURES * 2.0**most) ** 2  # the largest sum of them
        in_range = {
            "alike": squares > 0,
            "epsilon": 1 <= float(self.epsilon) <= _LARGEST_SQUARES - squares,
            "nothing": float(self.nothing.abs().max()) <= ASKED,
            "score_shift": abs(int(self.score_shift)) <= _LARGEST_SHIFT,
        }
        if wrong := [name for name, right in in_range.items() if not right]:
            raise InputError(f"numbers of its attention are out of range: {', '.join(wrong)}")

    def in_heads(self, x: Tensor) -> Tensor:
        """(B, N, C) to (B, heads, N, d)."""
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)


def _largest(table: Tensor) -> Tensor:
    """The largest absolute value of each column, float64."""
    return table.double().abs().amax(0)


def normalised_largest(channels: int) -> int:
    """Return the largest number in ``NORM_UNIT`` that one of so many normalised features can be."""
    return round(channels**0.5 * 2**-NORM_UNIT)


def whole(x: Tensor, largest: int) -> Tensor:
    """Round down to whole numbers, and cut off at ± ``largest``."""
    return whole_(x.clone(), largest)


def whole_(x: Tensor, largest: int) -> Tensor:
    """Do the same in place."""
    return x.floor_().clamp_(-largest, largest)


class Gate:
    """tanh(a) · σ(b) in ``GATED_UNIT``, for a fixed number of positions at a time.

    Args:
        table: of τ, numbers up to 2⁸.
        positions: how many.
        channels: C.
    """

    def __init__(self, table: Tensor, positions: int, channels: int) -> None:
        # One look-up for both halves: of τ(2a) in the first part, and of 1 + τ(b) in the second.
        self.table = torch.cat([table, 1 + table * 2**-8])
        self.first = table.new_full((2 * channels,), _GATE)  # where the entry for 0 is
        self.first[channels:] += len(table)
        self.half = table.new_full((), 0.5)
        # Made once: to get memory, and views of it, takes as long as to compute a position.
        self.index = torch.empty(positions, 2 * channels, dtype=torch.int32, device=table.device)
        self.found = torch.empty_like(self.index, dtype=table.dtype)
        self.flat_index, self.flat_found = self.index.view(-1), self.found.view(-1)
        self.a, self.b = self.found.chunk(2, dim=-1)
        self.gated = table.new_empty(positions, channels)

    def __call__(self, x: Tensor) -> Tensor:
        """Return whole numbers (N, C); the next call writes to the same memory.

        Args:
            x: 2a and b in ``GATE_UNIT``, (N, 2C). It is used up.
        """
        self.index.copy_(x.clamp_(-_GATE, _GATE - 1).floor_().add_(self.first))
        torch.index_select(self.table, 0, self.flat_index, out=self.flat_found)
        return torch.addcmul(self.half, self.a, self.b, out=self.gated).floor_()


def gate(x: Tensor, table: Tensor) -> Tensor:
    """Do the same once, (…, 2C) to (…, C), and leave x as it is."""
    flat, channels = x.flatten(0, -2), x.shape[-1] // 2
    return Gate(table, len(flat), channels)(flat.clone()).view(*x.shape[:-1], channels)


def falling(below: Tensor, table: Tensor) -> Tensor:
    """Return exp(−x) as the table has it, for x ≥ 0 in its steps, rounded down."""
    index = below.clamp(max=len(table) - 1).to(torch.int32)
    return table.index_select(0, index.flatten()).view_as(index)


def normalised(h: Tensor, alike: Tensor, epsilon: Tensor) -> Tensor:
    """Return normalised features in ``NORM_UNIT``, whole numbers (…, C) in float64.

    Args:
        h: whole numbers, (…, C).
        alike: what each is multiplied by to be in a unit common to all, (C,) in float64.
        epsilon: what is added to the sum of squares, float64.
    """
    h = h * alike
    channels = h.shape[-1]
    below_mean = torch.sub(h.sum(-1, keepdim=True), h, alpha=channels)  # C times the difference
    root = whole_root(below_mean.square().sum(-1, keepdim=True).add_(epsilon))
    return rounded_quotient(below_mean.mul_(-float(normalised_largest(channels))), root)


def rounded_quotient(a: Tensor, b: Tensor) -> Tensor:
    """Return a / b, rounded to whole numbers: exact for whole numbers in float64 whose sum 4a + b is below 2⁵³.

    A half, which is rounded up, is exact. Anything else is at least 1 / 2b away from one, and two roundings, of the
    quotient and of its sum with a half, do not move it as far.
    """
    return torch.addcdiv(_HALF.to(a.device), a, b).floor_()


def whole_root(square: Tensor) -> Tensor:
    """Return the largest whole number whose square is at most ``square``, a whole number in float64 below 2⁵².

    A root just below a whole number is 2⁻²⁷ below it at least, which float64 can tell apart, and every machine rounds a
    root, like a quotient, to the nearest number (IEEE 754).
    """
    return square.sqrt().floor_()


def gate_table() -> Tensor:
    """Return τ(x) = tanh(x / 2) for x = −8 … 8 in steps of ``GATE_UNIT``, multiples of 2⁻³ up to 2⁸."""
    x = torch.arange(-_GATE, _GATE, dtype=torch.float64) * 2.0**GATE_UNIT
    return ((x / 2).tanh() * 2 ** (8 + _GATE_BITS)).round().to(torch.int32)


def exp_table(unit: int, bits: int, number: int) -> Tensor:
    """Return exp(−x) for x = 0, 1, 2 … in ``unit``, whole numbers from 2 to the power of ``bits`` down to 0."""
    values = (2**bits * (-torch.arange(number, dtype=torch.float64) * 2.0**unit).exp()).round()
    assert values[-1] == 0
    return values.to(torch.int32)


def make_tables() -> dict[str, Tensor]:
    """Return the tables by the names of ``TABLES``."""
    return {
        "gate": gate_table(),
        "weight": exp_table(SCORE_UNIT, _WEIGHT_BITS, TABLES["weight"]),
        "frequency": exp_table(LOGIT_UNIT, _FREQUENCY_BITS, TABLES["frequency"]),
    }
