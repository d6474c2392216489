"""Attention to the rows above, for one position at a time: keys and values are made once for each row, and kept."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lpvq.models.attention import AttentionToRowsAbove


class CachedAttention:
    """A layer of attention that is given row after row, and asks for one position of the newest row at a time.

    Args:
        layer: the layer.
        batch: B.
        size: H and W of the grids.
        places: where each position is, (H, W, P).

    Attributes:
        keys: of nothing and of all positions, (B, heads, 1 + H · W, d); zero where the row is not drawn yet.
        values: the same for values.
        bias: 0 where the newest row may look, −∞ elsewhere, (1, 1 + H · W).
        all_keys: whether the products are with all keys, while the bias hides those not there yet. A GPU replays what
            was recorded, which is always of the same size; elsewhere only the keys that are there take time.
    """

    def __init__(self, layer: AttentionToRowsAbove, batch: int, size: Sequence[int], places: Tensor) -> None:
        self.layer, self.places, self.width = layer, places, size[1]
        channels = layer.query.weight.shape[0]
        like = layer.query.weight
        empty = like.new_zeros(batch, layer.heads, size[0] * size[1], channels // layer.heads)
        self.keys, self.values = (layer.after_nothing(empty, part) for part in (0, 1))
        self.bias = like.new_full((1, self.keys.shape[2]), -torch.inf)
        self.bias[:, 0] = 0
        self.row = -1
        self.rows = like.new_zeros(batch, size[1], channels)  # the newest row's vertical features
        self.query_places = like.new_zeros(size[1], channels)
        self.all_keys = like.is_cuda

    def begin_row(self, v: Tensor, above: Tensor | None) -> None:
        """Take in the next row.

        Args:
            v: its vertical features as the cached sampler has them, negated, (B, W, C).
            above: the embedded codes of the row above, (B, W, C); None for the first row.
        """
        if above is not None:
            self._keep(above)
        self.row += 1
        torch.neg(v, out=self.rows)
        torch.mm(self.places[self.row], self.layer.query_place.weight.T, out=self.query_places)

    def _keep(self, embedded: Tensor) -> None:
        """Make the keys and values of the newest row, now that its codes are drawn: embedded, (B, W, C)."""
        keys, values = self.layer.keys_and_values(self.rows, embedded, self.places[self.row][None])
        end = 1 + (self.row + 1) * self.width
        here = slice(end - self.width, end)
        self.keys[:, :, here], self.values[:, :, here] = keys, values
        self.bias[:, here] = 0

    def add_to(self, h: Tensor, column: int) -> None:
        """Add what is found above to the horizontal features of one position of the newest row, (B, C), in place."""
        queries = self.layer.queries(h[:, None], self.query_places[column])  # (B, heads, 1, d)
        if self.all_keys:
            found = self.layer.attend(queries, self.keys, self.values, self.bias)
        else:
            there = slice(1 + self.row * self.width)
            found = self.layer.attend(queries, self.keys[:, :, there], self.values[:, :, there], None)
        h.add_(found[:, 0])
