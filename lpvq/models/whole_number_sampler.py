"""A whole-number prior one code at a time, each feature computed once.

It works like ``lpvq.models.cached_sampler``: vertical stack, links, keys and values row by row, horizontal stack
code by code. Since no sum is rounded, it gives not nearly but exactly the logits of the whole network.

Rounding, cutting off and looking up take more calls than a float network's gate, and one position is so little work
that calls decide the time. So there are as few as possible: they write to memory that is there already, through
views that are made once, and what does not depend on a code is added up before the first one.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.models.exact_sums import ExactLinear, scaled
from lpvq.models.whole_number import (
    ASKED,
    FEATURES,
    GATED,
    HIDDEN,
    Attention,
    Gate,
    Layer,
    falling,
    normalised,
    rounded_quotient,
    whole_,
)

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
        kind, channels, reach, width = model.dtype, model.channels, model.reach, size[1]
        layers = cast(list[Layer], list(model.layers))
        self.reach = reach
        table = model.gate_values()
        self.row_gate, self.gate = Gate(table, batch * width, channels), Gate(table, batch, channels)
        self.vectors = torch.cat([model.vectors.to(kind), table.new_zeros(1, channels)])  # (K + 1, C)
        # K, in place of a code: what stands left of the grid.
        self.outside = torch.full((batch,), model.latent_dim, device=table.device)
        self.input, self.seen = (
            _Matrix.of(model.vertical_input, kind),
            _Rows(table, batch, reach, width, reach, channels),
        )
        # The input layer's products with all codes: a table for each column to the left. The last has the bias.
        taps = model.horizontal_input.matrix(kind).unflatten(0, (reach, channels))
        self.tables = [self.vectors @ tap for tap in taps]  # R times (K + 1, C)
        self.tables[-1] += cast(Tensor, model.horizontal_input.bias)
        self.layers = [_CachedLayer(layer, model, batch, size) for layer in layers]
        self.left = torch.stack([layer.left for layer in self.layers], dim=1).unbind()  # R times (L, C, 2C)
        # What is added before both gates. All of it goes into ``shifts``, and what the links make of a row on top.
        by_label = torch.stack([layer.of_labels(labels).expand(batch, -1) for layer in layers])  # (L, B, 4C)
        by_label[..., 2 * channels :] += torch.stack([layer.link.bias for layer in self.layers])[:, None]
        self.label_shifts = by_label[:, :, None]  # (L, B, 1, 4C)
        self.place_shifts = torch.stack([layer.of_places(size) for layer in layers], dim=1)  # (H, L, W, 4C)
        self.shifts = table.new_empty(len(layers), batch, width, 4 * channels)
        self.shift_views = [shifts.flatten(0, 1).chunk(2, dim=-1) for shifts in self.shifts]  # L times two (B · W, 2C)
        self.links = self.shifts[..., 2 * channels :]  # (L, B, W, 2C)
        self.features, self.linked = table.new_empty(2, batch * width, 2 * channels)
        # Horizontal features that the layers were given, cut off to whole numbers: column c is at R + c.
        self.h_columns = table.new_zeros(reach + width, len(layers), batch, channels)
        self.h_views = [column.unbind() for column in self.h_columns]  # R + W times L tensors (B, C)
        self.h = table.new_empty(batch, channels)
        self.mixed = table.new_empty(len(layers), batch, 2 * channels)
        self.mixed_views = self.mixed.unbind()
        self.inner, self.outer = _Matrix.of(model.inner, kind), _Matrix.of(model.outer, kind)
        self.done_rows = self.done_columns = 0

    def begin_row(self, codes: Tensor, row: int) -> None:
        """Get ready for a row: run the vertical stack over the rows since the last call, each from the rows above it.

        Args:
            codes: int64 (B, H, W), of which the rows above ``row`` are final.
            row: 0 … H − 1, larger than at the last call.
        """
        for index in range(self.done_rows, row + 1):
            above = None if index == 0 else F.embedding(codes[:, index - 1], self.vectors)  # (B, W, C)
            self._vertical(index, above)
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
        hidden = self.inner(self.h.floor().clamp_(0, FEATURES)).floor_().clamp_(0, HIDDEN)  # ReLU is in the 0
        return self.outer(hidden).floor_()

    def _vertical(self, row: int, above: Tensor | None) -> None:
        """Run the vertical stack over one row of all grids, given the vectors of the row above, (B, W, C)."""
        if above is not None:
            self.seen.push(above.flatten(0, 1))
        torch.add(self.label_shifts, self.place_shifts[row][:, None], out=self.shifts)
        v = whole_(self.seen.convolved(self.input), GATED)  # (B · W, C)
        for layer, (shift, links) in zip(self.layers, self.shift_views, strict=True):
            layer.seen.push(v)
            features = layer.seen.convolved(layer.vertical, out=self.features)  # (B · W, 2C)
            torch.mul(features, layer.link_factor, out=self.linked)
            links.addmm_(whole_(self.linked, FEATURES), layer.link.matrix)
            v = self.row_gate(features.add_(shift))
            if layer.attention is not None:
                layer.attention.begin_row(v, above)

    def _step(self, codes: Tensor, column: int) -> None:
        """Run the horizontal stack at one position, given the codes of its row (B, W)."""
        h = self._input(codes, column)
        self.mixed.copy_(self.links[:, :, column])  # (L, B, 2C)
        for tap, weights in enumerate(self.left):
            if column + tap >= self.reach:  # left of the grid, there is nothing to add
                self.mixed.baddbmm_(self.h_columns[column + tap], weights)
        for layer, both, own in zip(self.layers, self.mixed_views, self.h_views[self.reach + column], strict=True):
            torch.floor(h, out=own).clamp_(-FEATURES, FEATURES)
            h.addmm_(self.gate(both.addmm_(own, layer.own)), layer.output)
            if layer.attention is not None:
                layer.attention.add_to(h, column)

    def _input(self, codes: Tensor, column: int) -> Tensor:
        """What the horizontal input layer makes of the codes to the left, (B, C)."""
        first = column - self.reach
        near, *others = [codes[:, c] if c >= 0 else self.outside for c in range(column - 1, first - 1, -1)]
        torch.index_select(self.tables[-1], 0, near, out=self.h)
        for table, neighbour in zip(self.tables[-2::-1], others, strict=True):
            self.h.add_(table[neighbour])
        return self.h


def cache_bytes(model: "WholeNumberPixelCNN", size: Sequence[int]) -> int:
    """Return about how many bytes a ``WholeNumberSampler`` takes for each grid.

    Args:
        model: whose features are kept.
        size: H and W of the grids.
    """
    height, width = size
    in_blocks = model.num_blocks * ((model.reach + 1) + 2 * 2 + 1) * width
    in_attentions = sum(layer.attention is not None for layer in model.layers) * 3 * (1 + height * width)
    return (in_blocks + in_attentions) * model.channels * 4


class _Matrix(NamedTuple):
    """A layer's weights, ready for products."""

    matrix: Tensor
    bias: Tensor

    @classmethod
    def of(cls, layer: ExactLinear, kind: torch.dtype) -> "_Matrix":
        return cls(layer.matrix(kind), cast(Tensor, layer.bias))

    def __call__(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """The outputs (N, out) for whole numbers (N, in)."""
        return torch.addmm(self.bias, x, self.matrix, out=out)


class _Rows:
    """The last rows of what a vertical convolution is given, and what its kernel sees of them.

    Args:
        like: a tensor of the type and on the device that they are needed in.
        batch: B.
        rows: how many.
        width: W.
        reach: R.
        channels: C.
    """

    def __init__(self, like: Tensor, batch: int, rows: int, width: int, reach: int, channels: int) -> None:
        seen = like.new_zeros(batch, rows, reach + width + reach, channels)
        self.rows = seen[:, :, reach : reach + width].unbind(1)  # the newest at the end, all (B, W, C)
        self.windows = seen.unfold(2, 2 * reach + 1, 1).permute(0, 2, 1, 4, 3)  # (B, W, rows, columns, C)
        self.copy = torch.empty_like(self.windows, memory_format=torch.contiguous_format)
        self.matrix = self.copy.flatten(2).flatten(0, 1)
        self.above = self.matrix.shape[1]  # so many of its columns stand for rows above the grid

    def push(self, row: Tensor) -> None:
        """Take in the next row, (B · W, C): all rows move up by one, and the oldest is forgotten."""
        for older, newer in pairwise(self.rows):
            older.copy_(newer)
        self.rows[-1].copy_(row.view_as(self.rows[-1]))
        self.above = max(0, self.above - self.matrix.shape[1] // len(self.rows))

    def convolved(self, layer: _Matrix, out: Tensor | None = None) -> Tensor:
        """What a convolution makes of the rows, (B · W, …)."""
        self.copy.copy_(self.windows)
        if self.above:  # zeros add nothing
            return torch.addmm(layer.bias, self.matrix[:, self.above :], layer.matrix[self.above :], out=out)
        return layer(self.matrix, out)


class _CachedLayer:
    """One layer's weights, and the rows that its vertical convolution sees."""

    def __init__(self, layer: Layer, model: "WholeNumberPixelCNN", batch: int, size: Sequence[int]) -> None:
        kind, channels, reach = model.dtype, model.channels, model.reach
        self.vertical, self.link = _Matrix.of(layer.vertical, kind), _Matrix.of(layer.link, kind)
        self.link_factor = scaled(self.link.bias.new_ones(()), layer.link_shift)
        horizontal = layer.horizontal.matrix(kind).unflatten(0, (reach + 1, channels))
        self.left, self.own = horizontal[:-1], horizontal[-1].contiguous()
        self.output = layer.output.matrix(kind)
        self.seen = _Rows(self.own, batch, reach + 1, size[1], reach, channels)
        self.attention = None if layer.attention is None else _CachedAttention(layer.attention, model, batch, size)


class _CachedAttention:
    """A layer of attention that is given row after row, and asks for one position of the newest row at a time."""

    def __init__(self, layer: Attention, model: "WholeNumberPixelCNN", batch: int, size: Sequence[int]) -> None:
        kind, channels, positions = model.dtype, model.channels, size[0] * size[1]
        self.layer, self.batch, self.width, self.row = layer, batch, size[1], -1
        self.query, self.key_value = layer.query.matrix(kind), layer.key_value.matrix(kind)
        self.output = layer.output.matrix(kind)
        self.table = model.weight_table.double()
        self.query_places, self.places = layer.places(*size)
        self.query_places = self.query_places + cast(Tensor, layer.query.bias)
        self.alike = scaled(self.table.new_ones(()), layer.alike)
        self.epsilon = layer.epsilon.double()
        # Keys, multiplied by a power of two such that scores are in the unit of the table, and values.
        self.key_factor = scaled(self.output.new_ones(()), layer.score_shift)
        shape = batch, layer.heads, 1 + positions, channels // layer.heads
        self.keys, self.values = self.output.new_zeros(shape), self.table.new_zeros(shape)
        self._keep(slice(1), layer.nothing.to(kind).expand(batch, 1, -1))
        self.v = self.output.new_zeros(batch, size[1], channels)
        self.asked = self.output.new_empty(batch, channels)
        self.queries = self.asked.view(batch * layer.heads, 1, -1)

    def _keep(self, there: slice, both: Tensor) -> None:
        """Keep keys and values, (B, N, 2C)."""
        keys, values = (self.layer.in_heads(part) for part in both.chunk(2, dim=-1))
        self.keys[:, :, there], self.values[:, :, there] = keys * self.key_factor, values

    def begin_row(self, v: Tensor, above: Tensor | None) -> None:
        """Take in the next row's vertical features, (B · W, C), and the vectors of the codes above it, (B, W, C)."""
        there = 1 + self.row * self.width
        if above is not None:
            here = slice(there - 1, there - 1 + self.width)
            both = self.layer.keys_and_values(self.v, above, self.places[here], self.key_value)
            self._keep(slice(there, there + self.width), both)
        self.row += 1
        self.v.copy_(v.view_as(self.v))
        there = 1 + self.row * self.width
        self.seen_keys = self.keys[:, :, :there].flatten(0, 1).transpose(1, 2)  # (B · heads, d, M)
        self.seen_values = self.values[:, :, :there].flatten(0, 1)  # (B · heads, M, d)

    def add_to(self, h: Tensor, column: int) -> None:
        """Add what is found above to the horizontal features of one position of the newest row, (B, C), in place."""
        place = self.query_places[self.row * self.width + column]
        asking = normalised(h.floor().clamp_(-FEATURES, FEATURES), self.alike, self.epsilon).to(h.dtype)
        whole_(torch.addmm(place, asking, self.query, out=self.asked), ASKED)
        scores = torch.bmm(self.queries, self.seen_keys)  # (B · heads, 1, M)
        weights = falling(scores.amax(-1, keepdim=True) - scores, self.table)
        found = rounded_quotient(torch.bmm(weights, self.seen_values), weights.sum(-1, keepdim=True))
        h.addmm_(found.view_as(h).to(h.dtype), self.output)
