"""What a network may know at each position before any code is drawn: where it is, and the codes of a coarser grid.

Both are maps of features, (B or 1, channels, H, W), which ``lpvq.models.gated`` adds before its gates.
"""

from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_WAVELENGTHS = (4, 8, 16, 32, 64, 128)  # in codes: the shortest tells neighbours apart, the longest the ends of 64 rows

POSITION_CHANNELS = 4 * len(_WAVELENGTHS)
"""P, how many numbers there are for each position."""

_COARSE_CHANNELS = 96
_COARSE_LAYERS = 3

COARSE_FEATURES = 32
"""How many numbers each position is given of the coarse codes."""


def position_features(height: int, width: int, like: Tensor) -> Tensor:
    """Return sines and cosines of row and column, (1, P, ``height``, ``width``) in [−1, 1].

    A convolution does the same everywhere, so but for the padding at the border, a network of convolutions does not
    know where it is. Sines and cosines (section 3.5 of Vaswani et al. 2017, arXiv:1706.03762) tell it in grids of any
    size, where a table of numbers to learn would be one for a single size.

    Args:
        height: H, rows of the grid.
        width: W, columns of the grid.
        like: a tensor of the type and on the device that they are needed in.
    """
    rows, columns = _waves(height)[:, :, None], _waves(width)[:, None, :]  # (P / 2, H, 1), (P / 2, 1, W)
    shape = POSITION_CHANNELS // 2, height, width
    return torch.cat([rows.expand(shape), columns.expand(shape)])[None].to(like)


def _waves(length: int) -> Tensor:
    """A sine and a cosine of each wavelength along ``length`` positions: float64 (P / 2, ``length``)."""
    turns = torch.arange(length, dtype=torch.float64) / torch.tensor(_WAVELENGTHS, dtype=torch.float64)[:, None]
    return torch.cat([(2 * pi * turns).sin(), (2 * pi * turns).cos()])


class CoarseFeatures(nn.Module):
    """Features for each position of a grid from the codes of a coarser grid of the same image.

    All coarse codes are known from the start, so nothing is masked: a few ordinary convolutions look at the codes
    around, and a rearrangement of channels (Shi et al. 2016, arXiv:1609.05158) spreads each position over its own
    ``factor`` × ``factor`` fine ones.

    Args:
        num_codes: K of the coarse codes.
        factor: how many positions a coarse code stands for in each direction.
    """

    def __init__(self, num_codes: int, factor: int) -> None:
        super().__init__()
        channels = _COARSE_CHANNELS
        self.factor = factor
        self.embedding = nn.Embedding(num_codes, channels)
        self.layers = nn.ModuleList([nn.Conv2d(channels, channels, 3, padding=1) for _ in range(_COARSE_LAYERS)])
        self.spread = nn.Conv2d(channels, COARSE_FEATURES * factor**2, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """Return features (B, F, h · factor, w · factor) for codes int64 (B, h, w)."""
        x = self.embedding(codes).movedim(-1, 1)  # (B, channels, h, w)
        for layer in self.layers:
            x = x + layer(F.relu(x))
        return F.relu(F.pixel_shuffle(self.spread(F.relu(x)), self.factor))
