"""Causal self-attention for the horizontal stack of a gated PixelCNN: each position looks at all rows above at once.

Convolutions see further with each layer, but what is far away arrives only through many of them. Attention (Vaswani et
al. 2017, arXiv:1706.03762) looks at any distance in one layer, and PixelSNAIL (Chen et al. 2018, arXiv:1712.09763) puts
such layers between the causal convolutions of a PixelCNN. Here the keys and values are made of what the vertical stack
knows, and of the codes, at all positions of the rows above; the codes to the left in the same row are left to the
horizontal convolutions. So a row's keys and values can be made together as soon as the row is drawn.

Shapes: B grids of H × W, C channels, P numbers that say where a position is, heads of d = C / heads channels.
"""

from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.models.contexts import POSITION_CHANNELS

_HEADS = 4


class AttentionToRowsAbove(nn.Module):
    """h + what attention finds in the rows above (equation 1 of arXiv:1706.03762, several heads).

    Args:
        channels: C.

    Attributes:
        norm: of the horizontal features, before they ask.
        query: what a position asks for, C to C.
        query_place: what it asks for because of where it is, P to C.
        key_value: what a position above answers to, and what it answers, from its vertical features and its embedded
            code, 2C to 2C.
        key_value_place: the same because of where it is, P to 2C.
        nothing: a key and a value, 2C, beside those of the rows above: what there is to find in the first row.
        output: of what is added to the horizontal features, C to C; zero at first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = heads_for(channels)
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.query_place = nn.Linear(POSITION_CHANNELS, channels, bias=False)
        self.key_value = nn.Linear(2 * channels, 2 * channels)
        self.key_value_place = nn.Linear(POSITION_CHANNELS, 2 * channels, bias=False)
        self.nothing = nn.Parameter(torch.zeros(2 * channels))
        self.output = nn.Linear(channels, channels, bias=False)
        nn.init.zeros_(self.output.weight)

    def forward(self, h: Tensor, v: Tensor, embedded: Tensor, places: Tensor, bias: Tensor) -> Tensor:
        """Return new horizontal features, (B, C, H, W).

        Args:
            h: horizontal features, (B, C, H, W).
            v: vertical features, (B, C, H, W).
            embedded: the codes' vectors, (B, C, H, W).
            places: where each position is, (1, P, H, W).
            bias: what ``rows_above`` returns, (N, 1 + N).
        """
        queries = self.queries(_listed(h), self.query_place(_listed(places)))  # (B, heads, N, d)
        keys, values = self.keys_and_values(_listed(v), _listed(embedded), _listed(places))  # both (B, heads, N, d)
        keys, values = (self.after_nothing(x, part) for part, x in enumerate((keys, values)))  # (B, heads, 1 + N, d)
        found = self.attend(queries, keys, values, bias)  # (B, N, C)
        return h + found.unflatten(1, h.shape[2:]).movedim(-1, 1)

    def queries(self, h: Tensor, asked_there: Tensor) -> Tensor:
        """Return queries, (B, heads, N, d).

        Args:
            h: horizontal features, (B, N, C).
            asked_there: what ``query_place`` makes of where they are, (N, C).
        """
        queries = self.query(self.norm(h)) + asked_there
        return self._in_heads(queries * (queries.shape[-1] // self.heads) ** -0.5)

    def keys_and_values(self, v: Tensor, embedded: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values, both (B, heads, N, d).

        Args:
            v: vertical features, (B, N, C).
            embedded: the codes' vectors, (B, N, C).
            places: where each position is, (1, N, P).
        """
        both = self.key_value(torch.cat([v, embedded], dim=-1)) + self.key_value_place(places)  # (B, N, 2C)
        keys, values = both.chunk(2, dim=-1)
        return self._in_heads(keys), self._in_heads(values)

    def after_nothing(self, x: Tensor, part: int) -> Tensor:
        """Return keys (``part`` 0) or values (1), (B, heads, N, d), after that of ``nothing``: (B, heads, 1 + N, d)."""
        nothing = self._in_heads(self.nothing.chunk(2)[part].view(1, 1, -1)).to(x.dtype)  # (1, heads, 1, d)
        return torch.cat([nothing.expand(len(x), -1, -1, -1), x], dim=2)

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """Return what is to be added to the features of N positions, (B, N, C).

        Args:
            queries: (B, heads, N, d).
            keys: (B, heads, M, d).
            values: (B, heads, M, d).
            bias: 0 where a position may look and −∞ where it may not, (N, M); None where it may look at all.
        """
        scores = queries @ keys.transpose(-1, -2)  # (B, heads, N, M)
        # Not torch's own attention: for bfloat16 on a CPU, its gradient takes many times longer than these products.
        weights = F.softmax(scores if bias is None else scores + bias.to(scores.dtype), dim=-1, dtype=scores.dtype)
        return self.output((weights @ values).transpose(1, 2).flatten(2))

    def _in_heads(self, x: Tensor) -> Tensor:
        """(B, N, C) to (B, heads, N, d)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def heads_for(channels: int) -> int:
    """Return how many heads a layer of so many channels has."""
    return gcd(_HEADS, channels)


def rows_above(height: int, width: int, like: Tensor) -> Tensor:
    """Return 0 where a position may look and −∞ where it may not, (N, 1 + N): at nothing, and at the rows above.

    Args:
        height: H.
        width: W.
        like: a tensor of the type and on the device that it is needed in.
    """
    row = torch.arange(height * width, device=like.device) // width
    above = F.pad(row[None, :] < row[:, None], (1, 0), value=True)
    return torch.zeros(above.shape, dtype=like.dtype, device=like.device).masked_fill_(~above, -torch.inf)


def _listed(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, N, C)."""
    return x.flatten(2).transpose(1, 2)
