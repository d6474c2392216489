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
        input_sign: −1 if the vertical features that it is given are negated, otherwise 1.

    Attributes:
        keys: of nothing and of all positions, (B, heads, 1 + H · W, d); zero where the row is not drawn yet.
        values: the same for values.
        bias: 0 where the newest row may look, −∞ elsewhere, (1, 1 + H · W).
    """

    def __init__(
        self, layer: AttentionToRowsAbove, batch: int, size: Sequence[int], places: Tensor, input_sign: int
    ) -> None:
        self.layer, self.places, self.width = layer, places, size[1]
        channels = layer.query.weight.shape[0]
        self.negated = input_sign < 0
        like = layer.query.weight
        empty = like.new_zeros(batch, layer.heads, size[0] * size[1], channels // layer.heads)
        self.keys, self.values = (layer.after_nothing(empty, part) for part in (0, 1))
        self.bias = like.new_full((1, self.keys.shape[2]), -torch.inf)
        self.bias[:, 0] = 0
        self.row = -1
        self.rows = like.new_zeros(batch, size[1], channels)  # the newest row's vertical features
        self.query_places = like.new_zeros(size[1], channels)
        # A GPU replays what was recorded, always with the same number of keys. Elsewhere only those are looked at that
        # there are.
        self.looked_at = slice(None) if like.is_cuda else slice(1)

    def begin_row(self, v: Tensor, above: Tensor | None) -> None:
        """Take in the next row.

        Args:
            v: its vertical features, (B, W, C), negated if that was said.
            above: the embedded codes of the row above, (B, W, C); None for the first row.
        """
        if above is not None:
            self._keep(above)
        self.row += 1
        self.rows.copy_(v)
        if self.negated:
            self.rows.neg_()
        torch.mm(self.places[self.row], self.layer.query_place.weight.T, out=self.query_places)

    def _keep(self, embedded: Tensor) -> None:
        """Make the keys and values of the newest row, now that its codes are drawn: embedded, (B, W, C)."""
        keys, values = self.layer.keys_and_values(self.rows, embedded, self.places[self.row][None])
        end = 1 + (self.row + 1) * self.width
        here = slice(end - self.width, end)
        self.keys[:, :, here], self.values[:, :, here] = keys, values
        self.bias[:, here] = 0
        if self.looked_at.stop is not None:
            self.looked_at = slice(end)

    def add_to(self, h: Tensor, column: int) -> None:
        """Add what is found above to the horizontal features of one position of the newest row, (B, C), in place."""
        queries = self.layer.queries(h[:, None], self.query_places[column])  # (B, heads, 1, d)
        keys, values = self.keys[:, :, self.looked_at], self.values[:, :, self.looked_at]
        bias = self.bias if h.is_cuda else None
        h.add_(self.layer.attend(queries, keys, values, bias)[:, 0])
