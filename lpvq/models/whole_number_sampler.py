"""A whole-number prior one code at a time, each feature computed once.

The same way as ``lpvq.models.cached_sampler``: vertical stack, links, keys and values row by row, horizontal stack
code by code. Since no sum is rounded, it gives not nearly but exactly the logits of the whole network.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor

from lpvq.models.exact_sums import ExactLinear, scaled
from lpvq.models.whole_number import FEATURES, GATED, HIDDEN, Attention, Layer, gate, whole

if TYPE_CHECKING:
    from lpvq.models.whole_number_prior import WholeNumberPixelCNN


class WholeNumberSampler:
    """The logits of one position from what earlier positions left behind; see ``CachedSampler`` for what is kept.

    Args:
        model: whose logits to compute.
        labels: int64 (B,), for a model with classes.
        batch: B.
        size: H and W of the grids.
    """

    def __init__(self, model: "WholeNumberPixelCNN", labels: Tensor | None, batch: int, size: Sequence[int]) -> None:
        kind, width = model.dtype, size[1]
        self.reach, self.channels, self.width = model.reach, model.channels, width
        self.table = model.gate_values()
        self.vectors = torch.cat([model.vectors.to(kind), self.table.new_zeros(1, model.channels)])  # (K + 1, C)
        self.outside = model.latent_dim  # K, in place of a code: what stands left of the grid
        self.input = _Matrix.of(model.vertical_input, kind)
        self.seen = self.table.new_zeros(batch, model.reach, width + 2 * model.reach, model.channels)
        # The input layer's products with all codes: a table for each column to the left. The last has the bias.
        taps = model.horizontal_input.matrix(kind).unflatten(0, (model.reach, model.channels))
        self.tables = [self.vectors @ tap for tap in taps]  # R times (K + 1, C)
        self.tables[-1] = self.tables[-1] + cast(Tensor, model.horizontal_input.bias)
        self.layers = [
            _CachedLayer(layer, model, labels, batch, size) for layer in cast(list[Layer], list(model.layers))
        ]
        self.left = torch.stack([layer.left for layer in self.layers])  # (L, R · C, 2C)
        self.links = self.table.new_empty(len(self.layers), batch, width, 2 * model.channels)
        # Horizontal features that the layers were given, cut off to whole numbers: column c is at R + c.
        self.h_columns = self.table.new_zeros(len(self.layers), batch, model.reach + width, model.channels)
        self.inner, self.outer = _Matrix.of(model.inner, kind), _Matrix.of(model.outer, kind)
        self.last = self.table.new_empty(batch, model.channels)
        self.done_rows = self.done_columns = 0

    def begin_row(self, codes: Tensor, row: int) -> None:
        """Get ready for a row: run the vertical stack over the rows since the last call, each from the rows above it.

        Args:
            codes: int64 (B, H, W), of which the rows above ``row`` are final.
            row: 0 … H − 1, larger than at the last call.
        """
        for index in range(self.done_rows, row + 1):
            self._vertical(index, self.vectors[codes[:, index - 1]] if index > 0 else None)
        self.done_rows, self.done_columns = row + 1, 0

    def logits_at(self, codes: Tensor, row: int, column: int) -> Tensor:
        """Return the logits of a position; runs the horizontal stack over the columns since the last call.

        Args:
            codes: int64 (B, H, W), of which all before the position are final.
            row: the row of the last ``begin_row``.
            column: 0 … W − 1, larger than at the last call for this row.

        Returns:
            whole numbers (B, K), in 1/256 nats.
        """
        for position in range(self.done_columns, column + 1):
            self._step(codes[:, row], position)
        self.done_columns = column + 1
        hidden = whole(self.inner(whole(self.last, FEATURES).relu_()), HIDDEN).relu_()
        return self.outer(hidden).floor_()

    def _vertical(self, row: int, above: Tensor | None) -> None:
        """Run the vertical stack over one row of all grids, given the vectors of the row above, (B, W, C)."""
        if above is not None:
            _push(self.seen, above)
        v = whole(self.input(_beside(self.seen, self.width)), GATED)
        for layer, links in zip(self.layers, self.links, strict=True):
            _push(layer.seen, v)
            features = layer.vertical(_beside(layer.seen, self.width))  # (B, W, 2C)
            links.copy_(layer.link(whole(features * layer.link_factor, FEATURES)))
            if layer.shifts is not None:
                shift_v, shift_h = (shift[:, min(row, shift.shape[1] - 1)] for shift in layer.shifts)
                features.add_(shift_v)
                links.add_(shift_h)
            v = gate(features, self.table)
            if layer.attention is not None:
                layer.attention.begin_row(v, above)

    def _step(self, codes: Tensor, column: int) -> None:
        """Run the horizontal stack at one position, given the codes of its row (B, W)."""
        h = self._input(codes, column)
        columns = self.h_columns[:, :, column : column + self.reach].flatten(2)  # (L, B, R · C)
        mixed = torch.baddbmm(self.links[:, :, column], columns, self.left)  # (L, B, 2C)
        for layer, both, kept in zip(self.layers, mixed, self.h_columns[:, :, self.reach + column], strict=True):
            own = whole(h, FEATURES)
            kept.copy_(own)
            h = torch.addmm(h, gate(both.addmm_(own, layer.own), self.table), layer.output)
            if layer.attention is not None:
                h = h + layer.attention.found(whole(h, FEATURES), column)
        self.last = h

    def _input(self, codes: Tensor, column: int) -> Tensor:
        """What the horizontal input layer makes of the codes to the left, (B, C)."""
        total: Tensor | None = None
        for tap, table in enumerate(self.tables):
            neighbour = column - self.reach + tap
            part = table[codes[:, neighbour]] if neighbour >= 0 else table[-1].expand(len(codes), -1)
            total = part if total is None else total + part
        assert total is not None  # there is at least one column
        return total


def cache_bytes(model: "WholeNumberPixelCNN", size: Sequence[int]) -> int:
    """Return about how many bytes a ``WholeNumberSampler`` takes for each grid.

    Args:
        model: whose features are kept.
        size: H and W of the grids.
    """
    height, width = size
    in_blocks = model.num_blocks * ((model.reach + 1) + 2 + 1) * width
    in_attentions = sum(layer.attention is not None for layer in model.layers) * 3 * (1 + height * width)
    return (in_blocks + in_attentions) * model.channels * 4


class _Matrix(NamedTuple):
    """A layer's weights, ready for products."""

    matrix: Tensor
    bias: Tensor

    @classmethod
    def of(cls, layer: ExactLinear, kind: torch.dtype) -> "_Matrix":
        return cls(layer.matrix(kind), cast(Tensor, layer.bias))

    def __call__(self, x: Tensor) -> Tensor:
        """The outputs (…, out) for whole numbers (…, in)."""
        return torch.addmm(self.bias, x.flatten(0, -2), self.matrix).unflatten(0, x.shape[:-1])


class _CachedLayer:
    """One layer's weights, and the rows that its vertical convolution sees."""

    def __init__(
        self,
        layer: Layer,
        model: "WholeNumberPixelCNN",
        labels: Tensor | None,
        batch: int,
        size: Sequence[int],
    ) -> None:
        kind, channels, reach = model.dtype, model.channels, model.reach
        self.vertical, self.link = _Matrix.of(layer.vertical, kind), _Matrix.of(layer.link, kind)
        self.link_factor = scaled(self.link.bias.new_ones(()), layer.link_shift)
        horizontal = layer.horizontal.matrix(kind)
        self.left, self.own = horizontal[: reach * channels], horizontal[reach * channels :].contiguous()
        self.output = layer.output.matrix(kind)
        self.shifts = layer.shifts(labels, size)
        self.seen = self.own.new_zeros(batch, reach + 1, size[1] + 2 * reach, channels)
        self.attention = None if layer.attention is None else _CachedAttention(layer.attention, model, batch, size)


class _CachedAttention:
    """A layer of attention that is given row after row, and asks for one position of the newest row at a time."""

    def __init__(self, layer: Attention, model: "WholeNumberPixelCNN", batch: int, size: Sequence[int]) -> None:
        kind, channels = model.dtype, model.channels
        self.layer, self.width, self.row = layer, size[1], -1
        self.query, self.key_value = layer.query.matrix(kind), layer.key_value.matrix(kind)
        self.output = layer.output.matrix(kind)
        self.table = model.weight_table.double()
        self.query_places, self.places = layer.places(*size)
        nothing = layer.in_heads(layer.nothing.to(kind).view(1, 1, -1).expand(batch, -1, -1).chunk(2, dim=-1)[0])
        shape = batch, layer.heads, 1 + size[0] * size[1], channels // layer.heads
        self.keys, self.values = nothing.new_zeros(shape), nothing.new_zeros(shape, dtype=torch.float64)
        for kept, part in zip((self.keys, self.values), layer.nothing.chunk(2), strict=True):
            kept[:, :, 0] = part.view(layer.heads, -1)
        self.v = nothing.new_zeros(batch, size[1], channels)

    def begin_row(self, v: Tensor, above: Tensor | None) -> None:
        """Take in the next row's vertical features and the vectors of the codes above it, (B, W, C) both."""
        if above is not None:
            here = slice(self.row * self.width, (self.row + 1) * self.width)
            both = self.layer.keys_and_values(self.v, above, self.places[here], self.key_value)
            there = slice(1 + here.start, 1 + here.stop)
            keys, values = (self.layer.in_heads(part) for part in both.chunk(2, dim=-1))
            self.keys[:, :, there], self.values[:, :, there] = keys, values.double()
        self.row += 1
        self.v = v

    def found(self, h: Tensor, column: int) -> Tensor:
        """Return what is to be added to the horizontal features of one position, given as whole numbers (B, C)."""
        place = self.query_places[self.row * self.width + column]
        queries = self.layer.in_heads(self.layer.queries(h[:, None], place, self.query))  # (B, heads, 1, d)
        there = slice(1 + self.row * self.width)
        found = self.layer.found(queries, self.keys[:, :, there], self.values[:, :, there], None, self.table)
        return found.flatten(1).to(h.dtype) @ self.output


def _push(seen: Tensor, row: Tensor) -> None:
    """Take in the next row (B, W, C): all rows of ``seen`` (B, rows, R + W + R, C) move up by one."""
    for index in range(seen.shape[1] - 1):
        seen[:, index].copy_(seen[:, index + 1])
    reach = (seen.shape[2] - row.shape[1]) // 2
    seen[:, -1, reach : reach + row.shape[1]].copy_(row)


def _beside(seen: Tensor, width: int) -> Tensor:
    """What a kernel sees at each column, side by side: (B, W, rows · columns · C)."""
    windows = seen.unfold(2, seen.shape[2] - width + 1, 1)  # (B, rows, W, C, columns)
    return windows.permute(0, 2, 1, 4, 3).flatten(2)
