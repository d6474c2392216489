"""The network of the gated PixelCNN: two stacks of causal convolutions over a grid of codes.

- van den Oord, Kalchbrenner, Kavukcuoglu (2016a), Pixel Recurrent Neural Networks, arXiv:1601.06759.
- van den Oord et al. (2016b), Conditional Image Generation with PixelCNN Decoders, arXiv:1606.05328: the gated block
  and the two stacks that together have no blind spot.

Two stacks of features walk through the layers side by side. At row r, the *vertical* stack knows the rows above r, all
columns of them. At row r and column c, the *horizontal* stack knows the codes left of c in row r and, through a link,
what the vertical stack knows. Only the first layer has mask type A: it leaves out the row (vertical) or the column
(horizontal) itself. After that (mask type B) a feature may look at its own position, because what stands there already
excludes the code.

Shapes: B grids of H × W, C channels, K codes, R = kernel_size // 2 rows or columns of reach.
"""

import torch
from torch import Tensor, nn

from lpvq.models.causal import HorizontalConv, VerticalConv


def gate(x: Tensor) -> Tensor:
    """Return tanh(a) · σ(b), (B, C, H, W), where a and b are the two halves of the channels of ``x`` (B, 2C, H, W).

    Equation 2 of 2016b. tanh says what a feature is, between −1 and 1; σ says how much of it passes, between 0 and 1.
    """
    a, b = x.chunk(2, dim=1)
    return _tanh(a) * torch.sigmoid(b)


def _tanh(x: Tensor) -> Tensor:
    """tanh(x), on a CPU and in full precision as 2σ(2x) − 1: σ takes a seventh of the time there.

    The two differ by rounding, 1e-7. In half precision the difference would cancel most of the digits.
    """
    if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
        return 2 * torch.sigmoid(2 * x) - 1
    return torch.tanh(x)


class GatedBlock(nn.Module):
    """One layer of both stacks (figure 2 of 2016b).

    The link from the vertical to the horizontal stack is taken before the gate. Nothing flows back, or the vertical
    stack would learn of codes in its own row. Class labels shift the input of both gates (equation 4 of 2016b).

    Args:
        channels: C.
        kernel_size: odd, at least 3.
        num_classes: how many labels there are; None for a block without labels.

    Attributes:
        vertical: C to 2C channels, both halves of the vertical gate.
        link: 2C to 2C, 1 × 1: from the vertical stack to the horizontal one.
        horizontal: C to 2C, both halves of the horizontal gate. It has no bias because ``link``, which is added to it,
            has one.
        output: C to C, 1 × 1, of what is added to the horizontal features. It has no bias because all that follows has.
        label_shift: 4C numbers for each label: 2C for the vertical gate, then 2C for the horizontal one.
    """

    def __init__(self, channels: int, kernel_size: int, num_classes: int | None) -> None:
        super().__init__()
        self.vertical = VerticalConv(channels, 2 * channels, kernel_size)
        self.link = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.horizontal = HorizontalConv(channels, 2 * channels, kernel_size, bias=False)
        self.output = nn.Conv2d(channels, channels, 1, bias=False)
        self.label_shift = None if num_classes is None else nn.Embedding(num_classes, 4 * channels)

    def forward(self, v: Tensor, h: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the vertical and horizontal features of the next layer.

        Args:
            v: vertical features, (B, C, H, W).
            h: horizontal features, (B, C, H, W).
            labels: int64 (B,), for a block with labels.

        Returns:
            new features, as ``v`` and ``h``, (B, C, H, W) both.
        """
        features = self.vertical(v)  # (B, 2C, H, W), what the vertical gate is given
        mixed = self.horizontal(h) + self.link(features)  # (B, 2C, H, W), what the horizontal gate is given
        if self.label_shift is not None:
            # In the type of the features: a float32 shift would turn bfloat16 features into float32.
            shifts = self.label_shift(labels)[:, :, None, None].to(features.dtype)  # (B, 4C, 1, 1)
            shift_v, shift_h = shifts.chunk(2, dim=1)  # (B, 2C, 1, 1) both
            features, mixed = features + shift_v, mixed + shift_h
        return gate(features), h + self.output(gate(mixed))


class Stacks(nn.Module):
    """The whole network, from codes to logits.

    Args:
        latent_dim: K, the number of distinct codes.
        num_blocks: number of gated blocks.
        kernel_size: of all causal convolutions, odd, at least 3.
        hidden_channels: C, the width of both stacks.
        num_classes: how many labels there are; None for a network without labels.

    Attributes:
        embedding: a vector of C numbers for each code; which code has which number means nothing.
        vertical_input: the first layer of the vertical stack, mask type A.
        horizontal_input: the first layer of the horizontal stack, mask type A.
        blocks: the gated blocks.
        head: from the last horizontal features, C channels, to K logits, position by position.
    """

    def __init__(
        self, latent_dim: int, num_blocks: int, kernel_size: int, hidden_channels: int, num_classes: int | None
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(latent_dim, hidden_channels)
        self.vertical_input = VerticalConv(hidden_channels, hidden_channels, kernel_size, mask_type="A")
        self.horizontal_input = HorizontalConv(hidden_channels, hidden_channels, kernel_size, mask_type="A")
        self.blocks = nn.ModuleList([GatedBlock(hidden_channels, kernel_size, num_classes) for _ in range(num_blocks)])
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(hidden_channels, 4 * hidden_channels, 1),
            nn.ReLU(),
            nn.Conv2d(4 * hidden_channels, latent_dim, 1),
        )

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (B, K, H, W), at each position those of its code given the codes before it.

        Args:
            codes: int64 (B, H, W) in 0 … K − 1.
            labels: int64 (B,) in 0 … num_classes − 1, for a network with labels.
        """
        # An embedding has its channels last in memory, and the convolutions leave them there: it is the faster layout.
        embedded = self.embedding(codes).movedim(-1, 1)  # (B, C, H, W)
        v, h = self.vertical_input(embedded), self.horizontal_input(embedded)  # (B, C, H, W) both
        for block in self.blocks:
            v, h = block(v, h, labels)
        return self.head(h)
