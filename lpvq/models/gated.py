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
    """tanh(a) · σ(b), with a and b the two halves of the channels (dimension 1): equation 2 of 2016b."""
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

    ``horizontal`` has no bias because ``link``, which is added to it, has one; ``output`` has none because all that
    follows has.
    """

    def __init__(self, channels: int, kernel_size: int, num_classes: int | None) -> None:
        super().__init__()
        self.vertical = VerticalConv(channels, 2 * channels, kernel_size)
        self.link = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.horizontal = HorizontalConv(channels, 2 * channels, kernel_size, bias=False)
        self.output = nn.Conv2d(channels, channels, 1, bias=False)
        self.label_shift = None if num_classes is None else nn.Embedding(num_classes, 4 * channels)

    def forward(self, v: Tensor, h: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Vertical and horizontal features, both (B, C, H, W), to the same of the next layer."""
        features = self.vertical(v)
        mixed = self.horizontal(h) + self.link(features)
        if self.label_shift is not None:
            # In the type of the features: a float32 shift would turn bfloat16 features into float32.
            shifts = self.label_shift(labels)[:, :, None, None].to(features.dtype)
            shift_v, shift_h = shifts.chunk(2, dim=1)
            features, mixed = features + shift_v, mixed + shift_h
        return gate(features), h + self.output(gate(mixed))


class Stacks(nn.Module):
    """The whole network, from codes to logits; arguments as for ``lpvq.PixelCNN``."""

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
        """Codes (B, H, W), and labels (B,) for a network with classes, to logits (B, K, H, W)."""
        # An embedding has its channels last in memory, and the convolutions leave them there: it is the faster layout.
        embedded = self.embedding(codes).movedim(-1, 1)
        v, h = self.vertical_input(embedded), self.horizontal_input(embedded)
        for block in self.blocks:
            v, h = block(v, h, labels)
        return self.head(h)
