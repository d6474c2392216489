"""Causal convolutions: each position sees only what comes before it in raster order.

Van den Oord, Kalchbrenner, Kavukcuoglu (2016a), Pixel Recurrent Neural Networks, arXiv:1601.06759, multiply the
forbidden part of a full kernel by zero. Mask type A forbids the position itself, mask type B allows it. Here each is an
ordinary convolution with a smaller kernel on a padded grid: it computes the same and saves a third of the work.

Shapes: B grids of H × W, R = kernel_size // 2 rows or columns of reach.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

MaskType = Literal["A", "B"]


class VerticalConv(nn.Module):
    """A convolution that sees the R rows above, and all columns that its kernel reaches.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: width of the kernel, odd.
        mask_type: "A" leaves the row itself out (the first layer), "B" sees it (all others); section 3.1 of 2016a.

    Attributes:
        conv: what is computed, with a kernel of R × kernel_size for mask type A, R + 1 × kernel_size for B.
        reach: R, how many rows above it sees.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, mask_type: MaskType = "B") -> None:
        super().__init__()
        self.reach = kernel_size // 2
        self.mask_type = mask_type
        height = self.reach if mask_type == "A" else self.reach + 1
        self.conv = nn.Conv2d(in_channels, out_channels, (height, kernel_size))

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, out_channels, H, W) of features (B, in_channels, H, W)."""
        bottom = -1 if self.mask_type == "A" else 0  # a negative padding cuts the last row off
        return self.conv(F.pad(x, (self.reach, self.reach, self.reach, bottom)))

    def extra_repr(self) -> str:
        """Return what the size of the kernel does not say, for a printed model."""
        return f"mask_type={self.mask_type!r}, reach={self.reach}"


class HorizontalConv(nn.Module):
    """A convolution that sees the R columns to the left in its own row.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: twice the number of columns that it reaches to the left, plus one; odd.
        mask_type: "A" leaves the column itself out (the first layer), "B" sees it (all others); section 3.1 of 2016a.
        bias: whether a bias is added.

    Attributes:
        conv: what is computed, with a kernel of 1 × R for mask type A, 1 × R + 1 for B.
        reach: R, how many columns to the left it sees.
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
        """Return features (B, out_channels, H, W) of features (B, in_channels, H, W)."""
        right = -1 if self.mask_type == "A" else 0  # a negative padding cuts the last column off
        return self.conv(F.pad(x, (self.reach, right)))

    def extra_repr(self) -> str:
        """Return what the size of the kernel does not say, for a printed model."""
        return f"mask_type={self.mask_type!r}, reach={self.reach}"
