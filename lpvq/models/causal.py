"""Causal convolutions: each position sees only what comes before it in reading order.

Van den Oord, Kalchbrenner, Kavukcuoglu (2016a), Pixel Recurrent Neural Networks, arXiv:1601.06759, multiply the
forbidden part of a full kernel by zero. Mask type A forbids the position itself, mask type B allows it. Here each is an
ordinary convolution with a smaller kernel on a padded grid: it computes the same, and spares a third of the work.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

MaskType = Literal["A", "B"]


class VerticalConv(nn.Module):
    """A convolution that sees the rows above, and all columns that its kernel reaches.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: width of the kernel, odd.
        mask_type: "A" leaves the row itself out (the first layer), "B" sees it (all others); section 3.1 of 2016a.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, mask_type: MaskType = "B") -> None:
        super().__init__()
        self.reach = kernel_size // 2
        self.mask_type = mask_type
        height = self.reach if mask_type == "A" else self.reach + 1
        self.conv = nn.Conv2d(in_channels, out_channels, (height, kernel_size))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W)."""
        bottom = -1 if self.mask_type == "A" else 0  # a negative padding cuts the last row off
        return self.conv(F.pad(x, (self.reach, self.reach, self.reach, bottom)))


class HorizontalConv(nn.Module):
    """A convolution that sees the columns to the left in its own row.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: twice the number of columns that it reaches to the left, plus one; odd.
        mask_type: "A" leaves the column itself out (the first layer), "B" sees it (all others).
        bias: whether a bias is added.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, mask_type: MaskType = "B", bias: bool = True
    ) -> None:
        super().__init__()
        self.reach = kernel_size // 2
        self.mask_type = mask_type
        width = self.reach if mask_type == "A" else self.reach + 1
        self.conv = nn.Conv2d(in_channels, out_channels, (1, width), bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W)."""
        right = -1 if self.mask_type == "A" else 0
        return self.conv(F.pad(x, (self.reach, right)))
