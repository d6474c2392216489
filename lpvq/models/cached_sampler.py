"""The network of ``lpvq.models.gated`` one code at a time, each feature computed once: the cached sampler.

Ramachandran et al. (2017), Fast Generation for Convolutional Autoregressive Models, arXiv:1704.06001, cache a
PixelCNN++; this is the same idea for the two stacks. A code changes only what comes after it. So once a code is drawn,
all features before it are final: they are kept, and the next position needs only its own.

**The vertical stack** works row by row. At row r it sees the rows above r only, so as soon as row r − 1 is drawn, its
row r can be computed for all columns at once. Each vertical convolution keeps the last rows of its input
(``_RowByRowConv``). What the vertical stack has to say to the horizontal one comes out of the links, and is kept for
the row.

**The horizontal stack** works code by code, as the code on the left has to be drawn first. Its features are kept for
the columns of the current row. A horizontal convolution at a column is the sum of one matrix product for each column
that its kernel reaches. The products for the columns to the left need nothing new, and are done for all blocks in one
call; only the product for the column itself has to go from block to block.

**The gate** is not computed the way it is written. The paper has tanh(a) · σ(b), and one position is so little work
that the number of calls decides the time. Now tanh is σ in disguise: tanh(a) = 2σ(2a) − 1. If the two halves
that the gate is given are 2a and b, one call for both of them yields p = σ(2a) and q = σ(b), and

    tanh(a) · σ(b) = (2p − 1) · q = −(q − 2pq)

where the bracket is one more call, ``addcmul``. That makes two calls instead of six. The 2 in 2a and the minus before
the bracket cost nothing, because they are put into the weights once, before the first code is drawn:

- whatever adds to a is doubled: the first C of the 2C output channels of a vertical convolution, a link and a
  horizontal convolution, their biases, and the label shifts;
- whatever reads the output of a gate is negated: the kernel of the next vertical convolution, and ``output``.

Multiplying by 2 or by −1 rounds nothing, so this is still the same network.

**Attention** (``lpvq.models.cached_attention``) asks for one position, of the keys and values of all rows above. Those
of a row are made together, when the row below it begins. **What is known before any code**, position and coarse codes,
is turned into shifts of the gates row by row.

Shapes as in ``lpvq.models.gated``: B grids of H × W, C channels, K codes, R columns or rows of reach; L blocks.
Channels come last here, and where columns are kept, they come before the batch: what a position needs from all grids
then lies side by side in memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.models.attention import AttentionToRowsAbove
from lpvq.models.cached_attention import CachedAttention
from lpvq.models.causal import VerticalConv
from lpvq.models.contexts import COARSE_FEATURES, position_features
from lpvq.models.cuda_graphs import CUDAGraphRunner
from lpvq.models.gated import GatedBlock, Stacks

Run = Callable[[Callable[[int], None], int], None]


class CachedSampler:
    """The logits of one position from what earlier positions left behind; exact up to rounding.

    Use it without gradients (``torch.no_grad``, ``torch.inference_mode``): it writes to the same memory at each step.

    A code changes only what comes after it, so every feature is computed once. Drawing a grid of N = H·W codes with L
    blocks of C channels and kernel size 3 costs, in multiply-adds and without input layer and head:

    ================================  ==============  ============  =============
    per block                         each position   plain, total  cached, total
    ================================  ==============  ============  =============
    vertical 2 × 3, C to 2C           12 C²           12 N² L C²    12 N L C²
    link 1 × 1, 2C to 2C              4 C²            4 N² L C²     4 N L C²
    horizontal 1 × 2, C to 2C         4 C²            4 N² L C²     4 N L C²
    output 1 × 1, C to C              C²              N² L C²       N L C²
    ================================  ==============  ============  =============

    and for each of A layers of attention, where a position sees half of all positions on average:

    ================================  ==============  ============  =============
    query and output                  2 C²            2 N² A C²     2 N A C²
    keys and values                   4 C²            4 N² A C²     4 N A C²
    scores, and the sum of values     N C             N³ A C        N² A C
    ================================  ==============  ============  =============

    The cached total is that of one forward pass, N times less than plain. Vertical stack and link run once per row,
    over all its columns at once; the horizontal stack has to go from code to code.

    What is kept (zeros stand for the columns outside of the grid, as the padding of the convolutions has them):

    - ``vertical_input`` and the ``vertical`` convolution of each of the ``blocks``: the rows of vertical features that
      they still see, (B, R, W, C) and (B, R + 1, W, C);
    - ``links`` (L, B, W, 2C): what the current row of the vertical stack adds before each horizontal gate;
    - ``h_columns`` (R + W, L + 1, B, C): horizontal features of the current row, those of column c at index R + c. For
      each column, what goes into each of the L blocks, and at last what comes out of the last block;
    - the keys and values of each layer of attention, both (B, heads, 1 + N, C / heads).

    Args:
        network: whose logits to compute, in float32 or float64. In half precision, 2p − 1 would lose most digits.
        labels: int64 (B,), for a network with classes.
        batch: B.
        size: H and W.
        coarse: int64 (B, h, w), for a network with coarse codes.
    """

    def __init__(
        self, network: Stacks, labels: Tensor | None, batch: int, size: Sequence[int], coarse: Tensor | None = None
    ) -> None:
        height, width = size
        embedding = network.code_vectors()  # (K, C)
        channels, reach = embedding.shape[1], network.vertical_input.reach
        blocks = [cast(GatedBlock, block) for block in network.blocks]
        self.batch, self.width, self.reach = batch, width, reach
        self.outside = len(embedding)  # K, in place of a code: what stands left of the grid
        self.embedding = embedding
        # The first block's vertical convolution has negated weights, as if its input came from a gate. It comes from
        # the input layer, whose output is negated for that reason.
        minus = -torch.ones_like(embedding[0])  # (C,)
        self.vertical_input = _RowByRowConv(network.vertical_input, batch, width, input_sign=1, output_scale=minus)
        self.horizontal_input = _horizontal_input_tables(network, embedding).unbind()  # R tables (K + 1, C)
        self.blocks = [_CachedBlock.from_block(block, labels, batch, width) for block in blocks]
        self.left_weights = torch.stack([block.left for block in self.blocks], dim=1).unbind()  # R times (L, C, 2C)
        self.links = embedding.new_empty(len(blocks), batch, width, 2 * channels)
        self.h_columns = embedding.new_zeros(reach + width, len(blocks) + 1, batch, channels)
        # Where the steps write. Memory that is fresh each time would take longer to get than to fill; and making a
        # view takes as long as a small product, so the views are made here.
        self.v = embedding.new_empty(batch, width, channels)
        self.mixed = embedding.new_empty(len(blocks), batch, 2 * channels)
        self.gated = embedding.new_empty(batch, channels)
        self.neighbours = [torch.empty(batch, dtype=torch.int64, device=embedding.device) for _ in range(reach)]
        self.logits = embedding.new_empty(batch, len(embedding))
        self.h_views = [column.unbind() for column in self.h_columns]  # R + W times L + 1 tensors (B, C)
        self.mixed_views = [_with_halves(mixed) for mixed in self.mixed]  # L times (B, 2C) and its halves (B, C)
        inner, outer = (conv for conv in network.head if isinstance(conv, nn.Conv2d))
        self.head = [
            (inner.weight.flatten(1).T, cast(Tensor, inner.bias)),
            (network.logit_weights().T, cast(Tensor, outer.bias)),
        ]
        contexts = network.contexts(height, width, coarse)
        self.contexts = [context.movedim(1, -1) for context in contexts]  # all (B or 1, H, W, …)
        self.attentions: list[CachedAttention | None] = [None] * len(blocks)
        if network.attentions:
            places = position_features(height, width, embedding)[0].movedim(0, -1)  # (H, W, P)
            for number, layer in network.attentions.items():
                attention = CachedAttention(cast(AttentionToRowsAbove, layer), batch, size, places)
                self.attentions[int(number)] = attention
        self.done_rows = self.done_columns = 0
        # Not tied to the methods they run: a reference back to this object would keep its memory until it is collected.
        self.run_step: Run = CUDAGraphRunner(embedding.device) if embedding.is_cuda else _run
        self.run_predict: Run = CUDAGraphRunner(embedding.device) if embedding.is_cuda else _run

    def begin_row(self, codes: Tensor, row: int) -> None:
        """Get ready for a row: run the vertical stack over the rows since the last call, each from the rows above it.

        Args:
            codes: int64 (B, H, W), of which the rows above ``row`` are final.
            row: 0 … H − 1, larger than at the last call.
        """
        for index in range(self.done_rows, row + 1):
            self._vertical(index, codes[:, index - 1] if index > 0 else None, wanted=index == row)
        self.done_rows, self.done_columns = row + 1, 0

    def logits_at(self, codes: Tensor, row: int, column: int) -> Tensor:
        """Return the logits of a position; runs the horizontal stack over the columns since the last call.

        Args:
            codes: int64 (B, H, W), of which all before the position are final.
            row: the row of the last ``begin_row``.
            column: 0 … W − 1, larger than at the last call for this row.

        Returns:
            logits (B, K). The next call writes to the same memory.
        """
        for position in range(self.done_columns, column + 1):
            for tap in range(self.reach):
                neighbour = position - self.reach + tap
                if neighbour >= 0:
                    self.neighbours[tap].copy_(codes[:, row, neighbour])
                else:
                    self.neighbours[tap].fill_(self.outside)
            self.run_step(self._step, position)
        self.run_predict(self._predict, column)
        self.done_columns = column + 1
        return self.logits

    def _vertical(self, row: int, above: Tensor | None, wanted: bool) -> None:
        """Run the vertical stack over one row of all grids.

        Args:
            row: its number.
            above: the codes of the row above, int64 (B, W); None for the first row.
            wanted: whether a code of this row is to be drawn. If not, its features are needed for the rows below, but
                nobody asks for its links.
        """
        embedded = None if above is None else F.embedding(above, self.embedding)  # (B, W, C)
        if embedded is not None:
            self.vertical_input.push(embedded)
        contexts = [context[:, row] for context in self.contexts]  # (B or 1, W, …)
        v = self.vertical_input.convolve()  # (B, W, C), negated
        for block, links, attention in zip(self.blocks, self.links, self.attentions, strict=True):  # links: (B, W, 2C)
            block.vertical.push(v)
            features = block.vertical.convolve()  # (B, W, 2C), first half doubled
            if wanted:
                torch.addmm(block.link_bias, features.flatten(0, 1), block.link, out=links.flatten(0, 1))
            if block.label_shifts is not None:
                shift_v, shift_h = block.label_shifts  # both (B, 2C)
                links.add_(shift_h[:, None])
                features.add_(shift_v[:, None])  # only now: the link is taken before the shift, as in ``GatedBlock``
            for context, weights in zip(contexts, block.context_weights, strict=True):
                shift_v, shift_h = (context @ weights).chunk(2, dim=-1)  # both (B or 1, W, 2C)
                links.add_(shift_h)
                features.add_(shift_v)
            v = _negated_gate(*_with_halves(features), out=self.v)  # (B, W, C)
            if attention is not None:
                attention.begin_row(v, embedded)

    def _step(self, column: int) -> None:
        """Run the horizontal stack at one position, from ``neighbours`` to the last entry of its ``h_columns``."""
        h = self.h_views[self.reach + column]  # L + 1 tensors (B, C), into which this step writes
        # The input layer: its bias is in the table of the nearest neighbour.
        torch.index_select(self.horizontal_input[-1], 0, self.neighbours[-1], out=h[0])
        for table, neighbour in zip(self.horizontal_input[:-1], self.neighbours[:-1], strict=True):
            h[0].add_(table[neighbour])
        # For all blocks at once: links, and what the horizontal convolutions make of the R columns to the left.
        mixed = self.links[:, :, column]  # (L, B, 2C)
        for tap, weights in enumerate(self.left_weights):
            mixed = torch.baddbmm(mixed, self.h_columns[column + tap, :-1], weights, out=self.mixed)
        # From block to block: what it makes of this column, the gate, and the residual connection.
        layers = zip(self.blocks, self.attentions, self.mixed_views, h[:-1], h[1:], strict=True)
        for block, attention, both, h_in, h_out in layers:
            both[0].addmm_(h_in, block.own)  # (B, 2C), first half doubled
            _negated_gate(*both, out=self.gated)  # (B, C)
            torch.addmm(h_in, self.gated, block.output, out=h_out)  # (B, C); two minus signs cancel
            if attention is not None:
                attention.add_to(h_out, column)

    def _predict(self, column: int) -> None:
        """Run the head at one position; not where a known code is only passed."""
        h = self.h_views[self.reach + column][-1]  # (B, C)
        (inner, inner_bias), (outer, outer_bias) = self.head  # (C, 4C), (4C,), (4C, K), (K,)
        torch.addmm(outer_bias, torch.addmm(inner_bias, h.relu(), inner).relu_(), outer, out=self.logits)


def _run(function: Callable[[int], None], number: int) -> None:
    function(number)


def cache_bytes(network: Stacks, size: Sequence[int]) -> int:
    """Return about how many bytes a ``CachedSampler`` takes for each grid.

    Rows, links and columns of all blocks, keys and values of all attentions, and the features of coarse codes.

    Args:
        network: whose features are kept.
        size: H and W of the grids.
    """
    weight, reach, (height, width) = network.embedding.weight, network.vertical_input.reach, size
    # C numbers each: of blocks R + 1 rows, links of two and a column, of attentions keys and values.
    in_blocks = len(network.blocks) * ((reach + 1) + 2 + 1) * width
    in_attentions = len(network.attentions) * 2 * (1 + height * width)
    coarse = 0 if network.coarse_features is None else COARSE_FEATURES * height * width
    return ((in_blocks + in_attentions) * weight.shape[1] + coarse) * weight.element_size()


def _with_halves(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``x`` (…, 2C), and views of its first and second half, both (…, C)."""
    first, second = x.chunk(2, dim=-1)
    return x, first, second


def _negated_gate(x: Tensor, first: Tensor, second: Tensor, out: Tensor) -> Tensor:
    """Write −tanh(a) · σ(b) to ``out`` (…, C), and return it; see the beginning of this file.

    Args:
        x: 2a and b, (…, 2C). It is used up: its σ is left there.
        first: the half of ``x`` with 2a, (…, C).
        second: the half of ``x`` with b, (…, C).
        out: (…, C).
    """
    x.sigmoid_()  # now p in the first half, q in the second
    return torch.addcmul(second, first, second, value=-2, out=out)  # q − 2pq


class _RowByRowConv:
    """A vertical convolution that is given one row at a time, and the rows that it still sees.

    Args:
        layer: the convolution.
        batch: B.
        width: W.
        input_sign: −1 if its input comes from a gate, and is negated for that reason; otherwise 1.
        output_scale: what its output is to be multiplied by, a number for each channel, (out,).

    Attributes:
        rows: the last rows of the input, the newest at the end; (B, R, W, in) for mask type A, (B, R + 1, W, in) for B.
    """

    def __init__(self, layer: VerticalConv, batch: int, width: int, input_sign: int, output_scale: Tensor) -> None:
        weight = layer.conv.weight * (input_sign * output_scale)[:, None, None, None]  # (out, in, rows, kernel_size)
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.bias = cast(Tensor, layer.conv.bias) * output_scale
        self.padding = 0, layer.reach
        self.rows = weight.new_zeros(batch, weight.shape[2], width, weight.shape[1])

    def push(self, row: Tensor) -> None:
        """Take in the next row, (B, W, in): all rows move up by one, and the oldest is forgotten."""
        for older, newer in pairwise([*self.rows.unbind(1), row]):
            older.copy_(newer)

    def convolve(self) -> Tensor:
        """Return the output for the newest row, (B, W, out)."""
        output = F.conv2d(self.rows.movedim(-1, 1), self.weight, self.bias, padding=self.padding)  # (B, out, 1, W)
        return output.squeeze(2).movedim(1, -1).contiguous()


@dataclass(frozen=True, eq=False)
class _CachedBlock:
    """A gated block's weights as the steps need them, doubled and negated, with the rows of its vertical convolution.

    Matrices are those of products with the features on the left, (in, out).

    Attributes:
        vertical: C to 2C, with the rows that it sees.
        link: (2C, 2C).
        link_bias: (2C,).
        left: (R, C, 2C), the horizontal kernel for the R columns to the left, the farthest first.
        own: (C, 2C), the horizontal kernel for the column itself.
        output: (C, C).
        label_shifts: what the labels add before the vertical and the horizontal gate, both (B, 2C).
        context_weights: from the features of each context to what is added before both gates, (…, 4C).
    """

    vertical: _RowByRowConv
    link: Tensor
    link_bias: Tensor
    left: Tensor
    own: Tensor
    output: Tensor
    label_shifts: tuple[Tensor, Tensor] | None
    context_weights: list[Tensor]

    @classmethod
    def from_block(cls, block: GatedBlock, labels: Tensor | None, batch: int, width: int) -> "_CachedBlock":
        """Return the block for ``batch`` grids of ``width`` columns with ``labels`` int64 (B,)."""
        doubled = torch.ones_like(cast(Tensor, block.link.bias))  # (2C,)
        doubled[: len(doubled) // 2] = 2  # what adds to a
        horizontal = (block.horizontal.conv.weight[:, :, 0] * doubled[:, None, None]).permute(2, 1, 0)  # (R + 1, C, 2C)
        label_shifts = None
        if block.label_shift is not None:
            shift_v, shift_h = block.label_shift(labels).chunk(2, dim=1)  # both (B, 2C)
            label_shifts = shift_v * doubled, shift_h * doubled
        return cls(
            vertical=_RowByRowConv(block.vertical, batch, width, input_sign=-1, output_scale=doubled),
            # The first half of its input, the vertical features, is doubled already: hence the division.
            link=(block.link.weight.flatten(1) * doubled[:, None] / doubled).T,
            link_bias=cast(Tensor, block.link.bias) * doubled,
            left=horizontal[:-1].contiguous(),
            own=horizontal[-1].contiguous(),
            output=-block.output.weight.flatten(1).T,
            label_shifts=label_shifts,
            context_weights=[
                (cast(nn.Conv2d, shift).weight.flatten(1) * doubled.repeat(2)[:, None]).T
                for shift in block.context_shifts
            ],
        )


def _horizontal_input_tables(network: Stacks, embedding: Tensor) -> Tensor:
    """Return what the horizontal input layer makes of each code, (R, K + 1, C): a table for each column to the left.

    A convolution over embedded codes only ever sees K different vectors, so its products with them can be made once:
    the layer is then R look-ups and their sum. The farthest column comes first. The last entry of each table stands for
    a column left of the grid, which adds nothing; the table of the nearest column has the bias in it.
    """
    conv = network.horizontal_input.conv
    taps = conv.weight[:, :, 0].permute(2, 1, 0)  # (R, C, C), products from the right
    tables = F.pad(embedding @ taps, (0, 0, 0, 1))  # (R, K, C), and a row of zeros
    tables[-1] += cast(Tensor, conv.bias)
    return tables
