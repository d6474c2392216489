"""The network of ``lpvq.models.gated`` one code at a time, each feature computed once: the cached sampler.

Ramachandran et al. (2017), Fast Generation for Convolutional Autoregressive Models, arXiv:1704.06001, cache a
PixelCNN++; this is the same idea for the two stacks.

Shapes as in ``lpvq.models.gated``, but with channels last. A row is a convolution, as ever; a single code is a few
matrix products. For these the columns come before the batch: what a code needs of all grids then lies side by side in
memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.models.causal import VerticalConv
from lpvq.models.cuda_graphs import CUDAGraphRunner
from lpvq.models.gated import GatedBlock, Stacks

Run = Callable[[Callable[[int], None], int], None]


class CachedSampler:
    """The logits of one position from what earlier positions left behind; exact.

    A code changes only what lies after it, so every feature is computed once. What it costs to draw a grid of
    N = H·W codes with L blocks of C channels and kernel size 3, in multiply-adds beside input layer and head:

    ================================  ==============  ============  =============
    per block                         each position   plain, total  cached, total
    ================================  ==============  ============  =============
    vertical 2 × 3, C to 2C           12 C²           12 N² L C²    12 N L C²
    link 1 × 1, 2C to 2C              4 C²            4 N² L C²     4 N L C²
    horizontal 1 × 2, C to 2C         4 C²            4 N² L C²     4 N L C²
    output 1 × 1, C to C              C²              N² L C²       N L C²
    ================================  ==============  ============  =============

    The cached total is that of one forward pass, N times less than plain. Vertical stack and link run once per row,
    over all its columns at once; the horizontal stack has to go from code to code.

    What is kept (zeros stand for the columns outside of the grid, as the padding of the convolutions has them):

    - the rows of each ``_Layer``, (B, R + 1, W, C): the last rows of vertical features;
    - ``links`` (L, B, W, 2C): what the current row of the vertical stack adds before the horizontal gates;
    - ``columns`` (R + W, L + 1, B, C): the current row of horizontal features, at the entrance of each block and, last,
      at the exit.

    Args:
        network: whose logits to compute.
        labels: int64 (B,), for a network with classes.
        batch: B.
        width: W.
    """

    def __init__(self, network: Stacks, labels: Tensor | None, batch: int, width: int) -> None:
        weight = network.embedding.weight
        channels, reach = weight.shape[1], network.vertical_input.reach
        blocks = [cast(GatedBlock, block) for block in network.blocks]
        self.batch, self.width, self.reach = batch, width, reach
        self.outside = len(weight)  # stands for a code left of the grid
        self.embedding = weight
        minus = -torch.ones_like(weight[0])  # as if it came from a gate
        self.first_row = _Rows(network.vertical_input, batch, width, scale=minus, sign=1)
        self.first_columns = _tables(network)
        self.layers = [_Layer.of(block, labels, batch, width) for block in blocks]
        self.past_weights = torch.stack([layer.past for layer in self.layers], dim=1)  # (R, L, C, 2C)
        self.links = weight.new_empty(len(blocks), batch, width, 2 * channels)
        # Where the steps write. Memory that is fresh each time would take longer to get than to fill.
        self.v = weight.new_empty(batch, width, channels)
        self.columns = weight.new_zeros(reach + width, len(blocks) + 1, batch, channels)
        self.mixed = weight.new_empty(len(blocks), batch, 2 * channels)
        self.features = [column.unbind() for column in self.columns]
        self.each_mixed = [_with_halves(mixed) for mixed in self.mixed]
        self.gated = weight.new_empty(batch, channels)
        self.neighbours = torch.empty(reach, batch, dtype=torch.int64, device=weight.device)
        self.head = [
            (conv.weight.flatten(1).T, cast(Tensor, conv.bias)) for conv in network.head if isinstance(conv, nn.Conv2d)
        ]
        self.logits = weight.new_empty(batch, len(weight))
        self.done_rows = self.done_columns = 0
        # Not tied to the methods they run: a reference back to this object would keep its memory until a collection.
        self.run_step: Run = CUDAGraphRunner() if weight.is_cuda else _run
        self.run_predict: Run = CUDAGraphRunner() if weight.is_cuda else _run

    def begin_row(self, codes: Tensor, row: int) -> None:
        """Run the vertical stack over the rows since the last call, each from the rows above it; rows only rise."""
        for index in range(self.done_rows, row + 1):
            self._vertical(codes[:, index - 1] if index > 0 else None, wanted=index == row)
        self.done_rows, self.done_columns = row + 1, 0

    def logits_at(self, codes: Tensor, row: int, column: int) -> Tensor:
        """Return logits (B, K), until the next call; runs the horizontal stack over the columns since the last one."""
        for position in range(self.done_columns, column + 1):
            for tap in range(self.reach):
                neighbour = position - self.reach + tap
                self.neighbours[tap] = codes[:, row, neighbour] if neighbour >= 0 else self.outside
            self.run_step(self._step, position)
        self.run_predict(self._predict, column)
        self.done_columns = column + 1
        return self.logits

    def _vertical(self, above: Tensor | None, wanted: bool) -> None:
        """Take in the codes (B, W) of one more row; the links are needed only where a code of the next is wanted."""
        if above is not None:
            self.first_row.push(F.embedding(above, self.embedding))
        v = self.first_row.convolve()
        for layer, links in zip(self.layers, self.links, strict=True):
            layer.rows.push(v)
            features = layer.rows.convolve()
            if wanted:
                torch.addmm(layer.link_bias, features.flatten(0, 1), layer.link, out=links.flatten(0, 1))
            if layer.shifts is not None:  # the vertical one after the link, which is taken before it
                links.add_(layer.shifts[1][:, None])
                features.add_(layer.shifts[0][:, None])
            v = _minus_gate(*_with_halves(features), out=self.v)

    def _step(self, column: int) -> None:
        """Run the horizontal stack at one position."""
        features = self.features[self.reach + column]  # L + 1 tensors (B, C)
        torch.index_select(self.first_columns[-1], 0, self.neighbours[-1], out=features[0])
        for table, neighbour in zip(self.first_columns[:-1], self.neighbours[:-1], strict=True):
            features[0].add_(table[neighbour])
        # What the columns to the left add is known for all blocks at once.
        mixed = self.links[:, :, column]
        for tap, weights in enumerate(self.past_weights):
            mixed = torch.baddbmm(mixed, self.columns[column + tap, :-1], weights, out=self.mixed)
        for layer, both, h, next_h in zip(self.layers, self.each_mixed, features[:-1], features[1:], strict=True):
            both[0].addmm_(h, layer.present)
            _minus_gate(*both, out=self.gated)
            torch.addmm(h, self.gated, layer.output, out=next_h)

    def _predict(self, column: int) -> None:
        """Run the head at a position; not where a known code is only passed."""
        h = self.features[self.reach + column][-1]
        (inner, inner_bias), (outer, outer_bias) = self.head
        torch.addmm(outer_bias, torch.addmm(inner_bias, h.relu(), inner).relu_(), outer, out=self.logits)


def _run(function: Callable[[int], None], number: int) -> None:
    function(number)


def cache_bytes(network: Stacks, width: int) -> int:
    """How much memory ``CachedSampler`` takes for each grid of ``width``: rows, links and columns of all blocks."""
    weight, reach = network.embedding.weight, network.vertical_input.reach
    numbers = (reach + 1) + 2 + 1
    return numbers * width * weight.shape[1] * len(network.blocks) * weight.element_size()


def _with_halves(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``x`` (…, 2C), and views of its halves: a view takes as long to make as a small product."""
    first, second = x.chunk(2, dim=-1)
    return x, first, second


def _minus_gate(x: Tensor, first: Tensor, second: Tensor, out: Tensor) -> Tensor:
    """Write −tanh(a) · σ(b) to ``out`` (…, C), and return it.

    ``x``, see ``_with_halves``, holds 2a and b, and is used up. With p = σ(2a) and q = σ(b),
    tanh(a) · σ(b) = (2p − 1) · q = −(q − 2pq): two operations, where the plain formula takes six. So all weights that
    lead to a are doubled, and those that follow a gate are negative.
    """
    x.sigmoid_()
    return torch.addcmul(second, first, second, value=-2, out=out)


class _Rows:
    """A vertical convolution that is given one row at a time, and the rows that it still sees.

    Args:
        layer: the convolution.
        batch: B.
        width: W.
        scale: (out,), what its output is multiplied by.
        sign: what its input was multiplied by.
    """

    def __init__(self, layer: VerticalConv, batch: int, width: int, scale: Tensor, sign: int) -> None:
        weight = layer.conv.weight * (sign * scale)[:, None, None, None]
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.bias = cast(Tensor, layer.conv.bias) * scale
        self.padding = 0, layer.reach
        self.rows = weight.new_zeros(batch, weight.shape[2], width, weight.shape[1])

    def push(self, row: Tensor) -> None:
        """Take in the next row, (B, W, in)."""
        for older, newer in pairwise([*self.rows.unbind(1), row]):
            older.copy_(newer)

    def convolve(self) -> Tensor:
        """Return the output for the newest row, (B, W, out)."""
        output = F.conv2d(self.rows.movedim(-1, 1), self.weight, self.bias, padding=self.padding)
        return output.squeeze(2).movedim(1, -1).contiguous()


@dataclass(frozen=True, eq=False)
class _Layer:
    """A gated block's weights, as the steps need them, and its rows.

    What leads to the first half of a gate is doubled and what follows a gate is negative, see ``_minus_gate``.

    Attributes:
        rows: the vertical convolution and the rows that it sees.
        link: (2C, 2C).
        link_bias: (2C,).
        past: (R, C, 2C), the horizontal kernel for the columns to the left.
        present: (C, 2C), the horizontal kernel for the column itself.
        output: (C, C).
        shifts: what the labels add before the vertical and the horizontal gate, (B, 2C) both.
    """

    rows: _Rows
    link: Tensor
    link_bias: Tensor
    past: Tensor
    present: Tensor
    output: Tensor
    shifts: tuple[Tensor, Tensor] | None

    @classmethod
    def of(cls, block: GatedBlock, labels: Tensor | None, batch: int, width: int) -> "_Layer":
        doubled = torch.ones_like(cast(Tensor, block.link.bias))
        doubled[: len(doubled) // 2] = 2
        horizontal = (block.horizontal.conv.weight[:, :, 0] * doubled[:, None, None]).permute(2, 1, 0)
        shifts = None
        if block.label_shift is not None:
            shift_v, shift_h = block.label_shift(labels).chunk(2, dim=1)
            shifts = shift_v * doubled, shift_h * doubled
        return cls(
            rows=_Rows(block.vertical, batch, width, scale=doubled, sign=-1),
            link=(block.link.weight.flatten(1) * doubled[:, None] / doubled).T,
            link_bias=cast(Tensor, block.link.bias) * doubled,
            past=horizontal[:-1].contiguous(),
            present=horizontal[-1].contiguous(),
            output=-block.output.weight.flatten(1).T,
            shifts=shifts,
        )


def _tables(network: Stacks) -> Tensor:
    """What the horizontal input layer makes of each code, R tables (R, K + 1, C), one for each column to the left.

    A convolution over embedded codes only ever sees K different vectors. The last entry stands for a column left of
    the grid; the table of the nearest column has the bias in it.
    """
    conv = network.horizontal_input.conv
    taps = conv.weight[:, :, 0].permute(2, 1, 0)  # (R, C, C)
    tables = F.pad(network.embedding.weight @ taps, (0, 0, 0, 1))
    tables[-1] += cast(Tensor, conv.bias)
    return tables
