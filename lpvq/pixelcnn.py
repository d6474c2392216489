"""The gated PixelCNN: a distribution over grids of codes, one code after another.

    p(codes) = ∏ p(code i | the codes before i in raster order)

- van den Oord, Kalchbrenner, Kavukcuoglu (2016a), Pixel Recurrent Neural Networks, arXiv:1601.06759: the product.
- van den Oord et al. (2016b), Conditional Image Generation with PixelCNN Decoders, arXiv:1606.05328: the gated block
  and the two stacks that together have no blind spot.

Two stacks of features walk through the layers side by side. At row r, the *vertical* stack knows the rows above r, all
columns of them. At row r and column c, the *horizontal* stack knows the codes left of c in row r and, through a link,
what the vertical stack knows. Only the first layer shifts: it leaves out the row (vertical) or the column (horizontal)
itself. After that a feature may look at its own position, because what stands there already excludes the code.

A causal convolution here is an ordinary one with a smaller kernel on a padded grid: masking the weights of a full
kernel would compute the same at nearly twice the cost. Each piece exists twice, over a whole grid (training) and one
step at a time (sampling), on the same weights.

Shapes: B grids of H × W, C channels, K codes, R = kernel_size // 2 rows or columns of reach.
"""

from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.quantizer import check_codes
from lpvq.sampling import SamplingOptions, walk

ImageSize = int | tuple[int, int]


class VerticalConv(nn.Module):
    """A convolution that sees rows above, and all columns that its kernel reaches.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: width of the kernel, odd.
        shifted: whether the row itself is left out (the first layer) or seen (all others).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, shifted: bool = False) -> None:
        super().__init__()
        self.reach = kernel_size // 2
        self.shifted = shifted
        height = self.reach if shifted else self.reach + 1
        self.conv = nn.Conv2d(in_channels, out_channels, (height, kernel_size))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W)."""
        bottom = -1 if self.shifted else 0  # a negative padding cuts the last row off
        return self.conv(F.pad(x, (self.reach, self.reach, self.reach, bottom)))

    def row(self, rows: Tensor) -> Tensor:
        """One row: from just the rows the kernel sees, (B, in, kernel height, W), to (B, out, 1, W)."""
        return self.conv(F.pad(rows, (self.reach, self.reach)))


class HorizontalConv(nn.Module):
    """A convolution that sees columns to the left in its own row; arguments as for ``VerticalConv``."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, shifted: bool = False) -> None:
        super().__init__()
        self.reach = kernel_size // 2
        self.shifted = shifted
        self.width = self.reach if shifted else self.reach + 1
        self.conv = nn.Conv2d(in_channels, out_channels, (1, self.width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W)."""
        right = -1 if self.shifted else 0
        return self.conv(F.pad(x, (self.reach, right)))

    def step_weight(self) -> Tensor:
        """The kernel as a matrix (out, width · in), for the columns that a step sees, side by side."""
        return self.conv.weight.squeeze(2).transpose(1, 2).flatten(1)

    @property
    def bias(self) -> Tensor:
        """The bias, (out,)."""
        return cast(Tensor, self.conv.bias)


def gate(x: Tensor) -> Tensor:
    """tanh(a) · σ(b), with a and b the two halves of the channels (dimension 1): equation 2 of 2016b."""
    a, b = x.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)


class GatedBlock(nn.Module):
    """One layer of both stacks (figure 2 of 2016b).

    The link from the vertical to the horizontal stack is taken before the gate. Nothing flows back, or the vertical
    stack would learn of codes in its own row. Class labels shift the input of both gates (equation 4 of 2016b).
    """

    def __init__(self, channels: int, kernel_size: int, num_classes: int | None) -> None:
        super().__init__()
        self.vertical = VerticalConv(channels, 2 * channels, kernel_size)
        self.link = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.horizontal = HorizontalConv(channels, 2 * channels, kernel_size)
        self.output = nn.Conv2d(channels, channels, 1)
        self.label_shift = None if num_classes is None else nn.Embedding(num_classes, 4 * channels)

    def forward(self, v: Tensor, h: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Vertical and horizontal features, both (B, C, H, W), to the same of the next layer."""
        shift_v, shift_h = self.shifts(labels)
        features = self.vertical(v)
        mixed = self.horizontal(h) + self.link(features) + shift_h
        return gate(features + shift_v), h + self.output(gate(mixed))

    def shifts(self, labels: Tensor | None) -> tuple[Tensor | float, Tensor | float]:
        """What the labels (B,) add before the gates of the two stacks: (B, 2C, 1, 1) each, or 0 without labels."""
        if self.label_shift is None:
            return 0.0, 0.0
        vertical, horizontal = self.label_shift(labels)[:, :, None, None].chunk(2, dim=1)
        return vertical, horizontal


class PixelCNN(nn.Module):
    """A gated PixelCNN over grids of codes.

    Args:
        latent_dim: K, the number of distinct codes.
        image_size: height and width of the grids, or one number for both: what ``generate`` draws unless told
            otherwise. The model itself takes grids of any size.
        num_blocks: number of gated blocks. Each lets a position see ``kernel_size // 2`` rows further.
        kernel_size: odd, at least 3.
        hidden_channels: C, the width of both stacks.
        num_classes: for a model of p(codes | label); None for p(codes).
    """

    def __init__(
        self,
        latent_dim: int = 512,
        image_size: ImageSize = 32,
        num_blocks: int = 10,
        kernel_size: int = 3,
        hidden_channels: int = 64,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise InputError(f"kernel_size must be odd and at least 3, got {kernel_size}")
        if min(latent_dim, num_blocks, hidden_channels, 1 if num_classes is None else num_classes) < 1:
            raise InputError(
                "latent_dim, num_blocks, hidden_channels and num_classes must be at least 1, "
                f"got {latent_dim}, {num_blocks}, {hidden_channels} and {num_classes}"
            )
        self.latent_dim = latent_dim
        self.image_size = height_and_width(image_size)
        self.num_classes = num_classes
        self.config: dict[str, Any] = {
            "latent_dim": latent_dim,
            "image_size": self.image_size,
            "num_blocks": num_blocks,
            "kernel_size": kernel_size,
            "hidden_channels": hidden_channels,
            "num_classes": num_classes,
        }
        self.embedding = nn.Embedding(latent_dim, hidden_channels)
        self.vertical_input = VerticalConv(hidden_channels, hidden_channels, kernel_size, shifted=True)
        self.horizontal_input = HorizontalConv(hidden_channels, hidden_channels, kernel_size, shifted=True)
        self.blocks = nn.ModuleList([GatedBlock(hidden_channels, kernel_size, num_classes) for _ in range(num_blocks)])
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(hidden_channels, 4 * hidden_channels, 1),
            nn.ReLU(),
            nn.Conv2d(4 * hidden_channels, latent_dim, 1),
        )

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (B, K, H, W) for each code given the codes before it (and the label).

        Args:
            codes: int64 (B, H, W) in 0 … K − 1.
            labels: int64 (B,) in 0 … num_classes − 1; for a model with classes, and only for one.

        Raises:
            InputError: codes or labels of another type, shape or range.
        """
        self._check(codes, labels)
        embedded = self.embedding(codes).movedim(-1, 1)
        v, h = self.vertical_input(embedded), self.horizontal_input(embedded)
        for block in self.blocks:
            v, h = block(v, h, labels)
        return self.head(h)

    def nll(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return −log p(codes | labels) in nats per grid, float32 (B,); arguments as for ``forward``."""
        logits = self(codes, labels)
        return F.cross_entropy(logits.float(), codes, reduction="none").sum((1, 2))

    def generate(
        self,
        start_sequence: Tensor | None = None,
        image_size: ImageSize | None = None,
        batch_size: int | None = None,
        labels: Tensor | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        known: Tensor | None = None,
        generator: torch.Generator | None = None,
        method: Literal["cached", "plain"] = "cached",
    ) -> Tensor:
        """Draw grids of codes, int64 (B, H, W).

        Args:
            start_sequence: the first codes in raster order, (B, n), kept as given; or, with ``known``, full grids
                (B, H, W).
            image_size: height and width to draw, or one number for both; the model's own where None.
            batch_size: B; where None, that of ``start_sequence`` or ``labels``, or 1.
            labels: int64 (B,), for a model with classes.
            temperature: see ``SamplingOptions``, as for ``top_k`` and ``top_p``.
            top_k: only the most probable codes.
            top_p: only the most probable codes that together reach this probability.
            known: bool (H, W) or (B, H, W): these codes of ``start_sequence`` stay, the rest is drawn. What stands
                where nothing is known is never looked at; it may be −1.
            generator: the source of randomness, on the model's device; torch's global one where None.
            method: "cached" keeps what earlier steps computed and draws a grid at about the cost of one forward pass;
                "plain" is one forward pass per code. Both draw from the same distribution.

        Raises:
            InputError: arguments that contradict each other, are out of range or of another shape.
        """
        options = SamplingOptions(temperature, top_k, top_p)
        if method not in ("cached", "plain"):
            raise InputError(f"method must be 'cached' or 'plain', got {method!r}")
        labels = None if labels is None else labels.to(self.embedding.weight.device)
        codes, is_known = self._start(start_sequence, image_size, batch_size, labels, known)
        self._check(codes, labels)
        was_training = self.training
        self.eval()
        try:
            # The grid was made outside of inference mode, so the caller may use it for training too.
            with torch.inference_mode():
                steps = CachedSteps(self, codes, labels) if method == "cached" else PlainSteps(self, labels)
                walk(steps, codes, is_known, options, generator)
        finally:
            self.train(was_training)
        return codes

    def _start(
        self,
        start_sequence: Tensor | None,
        image_size: ImageSize | None,
        batch_size: int | None,
        labels: Tensor | None,
        known: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return the grids to fill, (B, H, W) with 0 where nothing is known, and the mask of what is known."""
        if known is not None and (start_sequence is None or start_sequence.ndim != 3):
            raise InputError("known needs start_sequence to be full grids of shape (B, H, W)")
        if start_sequence is not None and start_sequence.ndim != (2 if known is None else 3):
            raise InputError(
                "start_sequence must have shape (B, n), or (B, H, W) together with known; "
                f"got {tuple(start_sequence.shape)}"
            )
        batch = _number_of_grids(
            {
                "start_sequence": None if start_sequence is None else len(start_sequence),
                "labels": None if labels is None else len(labels),
                "batch_size": batch_size,
            }
        )
        device = self.embedding.weight.device
        if known is not None and start_sequence is not None:
            return _keep_known(start_sequence.to(device), known.to(device), image_size)
        height, width = self.image_size if image_size is None else height_and_width(image_size)
        sequence = torch.empty(batch, 0, dtype=torch.int64) if start_sequence is None else start_sequence
        return _keep_first(sequence.to(device), height, width)

    def _check(self, codes: Tensor, labels: Tensor | None) -> None:
        if codes.ndim != 3:
            raise InputError(f"expected codes of shape (B, H, W), got {tuple(codes.shape)}")
        check_codes(codes, self.latent_dim)
        if self.num_classes is None:
            if labels is not None:
                raise InputError("this model has no classes: leave labels out")
            return
        if labels is None:
            raise InputError(f"this model draws given a label: give labels of shape ({len(codes)},)")
        if labels.dtype != torch.int64 or labels.shape != codes.shape[:1]:
            raise InputError(
                f"labels must be int64 of shape ({len(codes)},), got {labels.dtype} of shape {tuple(labels.shape)}"
            )
        if labels.numel() and (labels.min() < 0 or labels.max() >= self.num_classes):
            raise InputError(
                f"labels must be in 0 … {self.num_classes - 1}, got {labels.min().item()} … {labels.max().item()}"
            )


def _number_of_grids(given: dict[str, int | None]) -> int:
    """Return the number that all who name one agree on, 1 if nobody does."""
    named = {name: number for name, number in given.items() if number is not None}
    if len(set(named.values())) > 1:
        raise InputError(f"these must agree on the number of grids: {named}")
    number = next(iter(named.values()), 1)
    if number < 1:
        raise InputError(f"the number of grids must be at least 1, got {number}")
    return number


def _keep_known(grids: Tensor, known: Tensor, image_size: ImageSize | None) -> tuple[Tensor, Tensor]:
    """Grids (B, H, W) without what is not known, and the mask for each of them."""
    batch, height, width = grids.shape
    if image_size is not None and height_and_width(image_size) != (height, width):
        raise InputError(f"start_sequence is {height} × {width}, but image_size is {image_size}")
    if known.dtype != torch.bool or known.shape not in ((height, width), grids.shape):
        raise InputError(
            f"known must be bool of shape ({height}, {width}) or ({batch}, {height}, {width}), "
            f"got {known.dtype} of shape {tuple(known.shape)}"
        )
    mask = known.expand(grids.shape)
    return grids.masked_fill(~mask, 0), mask


def _keep_first(sequence: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Grids that begin with the codes of ``sequence`` (B, n), and the mask for each of them."""
    batch, length = sequence.shape
    if length > height * width:
        raise InputError(f"start_sequence has {length} codes, a grid of {height} × {width} only {height * width}")
    codes = F.pad(sequence, (0, height * width - length)).view(batch, height, width)
    mask = torch.arange(height * width, device=sequence.device) < length
    return codes, mask.view(height, width).expand(codes.shape)


def height_and_width(size: ImageSize) -> tuple[int, int]:
    """Return (H, W) of a size given as one number or as a pair; ``InputError`` if not positive whole numbers."""
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(length, int) and length >= 1 for length in pair):
        raise InputError(f"a size is a positive whole number or a pair of them, got {size!r}")
    return pair


class PlainSteps:
    """The logits of one position by a forward pass over the whole grid: simple, and a reference for the cache."""

    def __init__(self, model: PixelCNN, labels: Tensor | None) -> None:
        self.model = model
        self.labels = labels

    def begin_row(self, codes: Tensor, row: int) -> None:
        """Nothing to get ready."""

    def logits_at(self, codes: Tensor, row: int, column: int) -> Tensor:
        """Return logits (B, K)."""
        return self.model(codes, self.labels)[:, :, row, column]


class CachedSteps:
    """The logits of one position from what earlier positions left behind; exact.

    A code changes only what lies after it, so every feature is computed once: the vertical stack and its links once
    per row, the horizontal stack once per position. With N = H·W positions and L blocks of C channels (kernel size 3)
    a grid costs N · 21·L·C² multiply-adds beside input layer and head, which is one forward pass; plain sampling costs
    N² · 21·L·C².

    What is kept, with zeros standing for the rows and columns outside of the grid, as the padding of the
    convolutions has them:

    - ``rows[l]`` (B, C, R + 1, W): the last rows of vertical features that go into block l;
    - ``links[l]`` (B, W, 2C): what the current row of the vertical stack adds before the horizontal gate of block l,
      with the bias and the label's shift already in it;
    - ``columns[l]`` (B, R + W, C): the current row of horizontal features that go into block l.
    """

    def __init__(self, model: PixelCNN, codes: Tensor, labels: Tensor | None) -> None:
        batch, _, width = codes.shape
        weight = model.embedding.weight
        channels = weight.shape[1]
        self.model = model
        self.reach = model.vertical_input.reach
        self.blocks = [cast(GatedBlock, block) for block in model.blocks]
        self.rows = [weight.new_zeros(batch, channels, self.reach + 1, width) for _ in self.blocks]
        self.links = [weight.new_empty(batch, width, 2 * channels) for _ in self.blocks]
        self.columns = [weight.new_zeros(batch, self.reach + width, channels) for _ in self.blocks]
        self.embedded = weight.new_zeros(batch, self.reach + width, channels)  # the row's codes, as ``columns``
        self.shifts = [block.shifts(labels) for block in self.blocks]
        self.first_weight = model.horizontal_input.step_weight()
        self.step_weights = [block.horizontal.step_weight() for block in self.blocks]
        self.output_weights = [block.output.weight.flatten(1) for block in self.blocks]
        self.done = 0  # columns of this row whose horizontal features are there

    def begin_row(self, codes: Tensor, row: int) -> None:
        """Run the vertical stack over one row, from the rows above it."""
        model, reach = self.model, self.reach
        above = codes[:, max(row - reach, 0) : row]
        v = model.embedding(above).movedim(-1, 1)  # (B, C, up to R, W)
        v = model.vertical_input.row(F.pad(v, (0, 0, reach - v.shape[2], 0)))
        for index, block in enumerate(self.blocks):
            rows = torch.cat([self.rows[index][:, :, 1:], v], dim=2)
            self.rows[index] = rows
            features = block.vertical.row(rows)
            shift_v, shift_h = self.shifts[index]
            link = block.link(features) + shift_h + block.horizontal.bias[:, None, None]
            self.links[index] = link.squeeze(2).movedim(1, -1).contiguous()
            v = gate(features + shift_v)
        self.done = 0

    def logits_at(self, codes: Tensor, row: int, column: int) -> Tensor:
        """Return logits (B, K); runs the horizontal stack over the columns since the last call."""
        for position in range(self.done, column + 1):
            h = self._step(codes, row, position)
        self.done = column + 1
        return self.model.head(h[:, :, None, None]).flatten(1)

    def _step(self, codes: Tensor, row: int, column: int) -> Tensor:
        """Run the horizontal stack at one position; return its last features, (B, C)."""
        model, reach = self.model, self.reach
        if column > 0:
            self.embedded[:, reach + column - 1] = model.embedding(codes[:, row, column - 1])
        seen = self.embedded[:, column : column + reach].flatten(1)
        h = F.linear(seen, self.first_weight, model.horizontal_input.bias)
        for index, block in enumerate(self.blocks):
            columns = self.columns[index]
            columns[:, reach + column] = h
            seen = columns[:, column : column + reach + 1].flatten(1)
            mixed = F.linear(seen, self.step_weights[index]) + self.links[index][:, column]
            h = h + F.linear(gate(mixed), self.output_weights[index], block.output.bias)
        return h
