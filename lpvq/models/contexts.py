"""What a network may know at each position before any code is drawn: where it is, and a sketch of the image.

Both are maps of features, (B or 1, channels, H, W), which ``lpvq.models.gated`` adds before its gates.
"""

from copy import deepcopy
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.models.vqvae import VQVAE
from lpvq.runtime import autocast

# Wavelengths of 4, 8, … 128 codes: the shortest tells neighbours apart, the longest the ends of 64 rows.
_DOUBLINGS = range(2, 8)

POSITION_CHANNELS = 4 * len(_DOUBLINGS)
"""P, how many numbers there are for each position."""

_COARSE_CHANNELS = 48
_COARSE_LAYERS = 3

COARSE_FEATURES = 32
"""How many numbers each position is given of the coarse codes."""


def position_features(height: int, width: int, like: Tensor) -> Tensor:
    """Return sines and cosines of row and column, (1, P, ``height``, ``width``) in [−1, 1].

    A convolution does the same everywhere, so apart from the padding at the border, a network of convolutions does not
    know where it is. Sines and cosines (section 3.5 of Vaswani et al. 2017, arXiv:1706.03762) tell it in grids of any
    size, where a learned table of numbers would serve a single size.

    Args:
        height: H, rows of the grid.
        width: W, columns of the grid.
        like: a tensor of the type and on the device that they are needed in.
    """
    # On a GPU they are made there: nothing can be fetched from elsewhere in a step that is recorded.
    device = like.device if like.is_cuda else torch.device("cpu")  # MPS has no float64
    rows, columns = (axis_features(length, device) for length in (height, width))  # (P / 2, H), (P / 2, W)
    shape = POSITION_CHANNELS // 2, height, width
    return torch.cat([rows[:, :, None].expand(shape), columns[:, None, :].expand(shape)])[None].to(like)


def axis_features(length: int, device: torch.device | None = None) -> Tensor:
    """Return a sine and a cosine of each wavelength along ``length`` positions: float64 (P / 2, ``length``)."""
    wavelengths = 2.0 ** torch.arange(_DOUBLINGS.start, _DOUBLINGS.stop, dtype=torch.float64, device=device)
    turns = torch.arange(length, dtype=torch.float64, device=device) / wavelengths[:, None]
    return torch.cat([(2 * pi * turns).sin(), (2 * pi * turns).cos()])


class CoarseFeatures(nn.Module):
    """Features for each position of a grid from the codes of a coarser grid of the same image.

    All coarse codes are known from the start, so nothing is masked. They are decoded, by the VQ-VAE that they are from,
    to a small picture: a sketch of the large one, which says at each position what is to be there. A few ordinary
    convolutions look at the pixels around. (Told the codes alone, a network would have to learn to decode them.)

    Args:
        vqvae: whose codes the coarse ones are; a copy of it is kept, and never trained.
        factor: how many positions a coarse code stands for in each direction.
    """

    def __init__(self, vqvae: VQVAE, factor: int) -> None:
        super().__init__()
        self.vqvae = deepcopy(vqvae).requires_grad_(False)
        self.factor = factor
        downsample = self.vqvae.downsample
        self.side = 1 if downsample % factor else downsample // factor  # pixels at a position, in each direction
        self.input = nn.Conv2d(self.vqvae.in_channels * self.side**2, _COARSE_CHANNELS, 3, padding=1)
        self.layers = nn.ModuleList(
            [nn.Conv2d(_COARSE_CHANNELS, _COARSE_CHANNELS, 3, padding=1) for _ in range(_COARSE_LAYERS)]
        )
        self.output = nn.Conv2d(_COARSE_CHANNELS, COARSE_FEATURES, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """Return features (B, F, h · factor, w · factor) for codes int64 (B, h, w)."""
        x = self.input(self.sketch(codes).to(self.input.weight.dtype))
        for layer in self.layers:
            x = x + layer(F.relu(x))
        return F.relu(self.output(F.relu(x)))

    def sketch(self, codes: Tensor) -> Tensor:
        """Return the pixels at each position, in [−1, 1]: (B, C · side², h · factor, w · factor).

        Args:
            codes: int64 (B, h, w).
        """
        with torch.no_grad(), autocast(codes.device, torch.float32):
            picture = 2 * self.vqvae.decode(codes) - 1  # (B, C, h · downsample, w · downsample)
        if self.side > 1:
            return F.pixel_unshuffle(picture, self.side)
        # A pixel for each position; where there are more positions than pixels, several have the same one.
        return F.interpolate(picture, size=(codes.shape[1] * self.factor, codes.shape[2] * self.factor))
