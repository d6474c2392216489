"""The plain ways: slow, obvious, and what the fast ones are measured against and tested against.

Most public code trains a PixelCNN with masked kernels and quantizes with one-hot vectors. Both are here, complete, and
compute the same as ``lpvq.models.gated`` and ``lpvq.models.quantizer``.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.models.causal import HorizontalConv, VerticalConv
from lpvq.models.gated import GatedBlock, Stacks
from lpvq.models.quantizer import Quantized, VectorQuantizer


class MaskedConv(nn.Conv2d):
    """A causal convolution by a full kernel whose forbidden part is multiplied by zero.

    Args:
        cropped: the convolution to compute, whose weights are copied.
    """

    mask: Tensor

    def __init__(self, cropped: VerticalConv | HorizontalConv) -> None:
        conv, reach = cropped.conv, cropped.reach
        size = 2 * reach + 1
        height = size if isinstance(cropped, VerticalConv) else 1
        padding = (height // 2, reach)
        super().__init__(
            conv.in_channels, conv.out_channels, (height, size), padding=padding, bias=conv.bias is not None
        )
        rows, columns = conv.kernel_size
        self.register_buffer("mask", torch.zeros(height, size))
        self.mask[:rows, :columns] = 1
        with torch.no_grad():
            self.weight[:, :, :rows, :columns] = conv.weight
            if self.bias is not None and conv.bias is not None:
                self.bias.copy_(conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor (B, out, H, W) for ``x`` (B, in, H, W)."""
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class MaskedBlock(nn.Module):
    """The gated block of arXiv:1606.05328 (figure 2), with masked convolutions and the gate as the paper writes it.

    Args:
        block: the block to compute, without labels; its weights are copied. C is its number of channels.
    """

    def __init__(self, block: GatedBlock) -> None:
        super().__init__()
        self.vertical, self.horizontal = MaskedConv(block.vertical), MaskedConv(block.horizontal)
        self.link, self.output = _copy(block.link), _copy(block.output)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vertical and horizontal features of the next layer, both (B, C, H, W), for those of this one."""
        features = self.vertical(v)  # (B, 2C, H, W)
        a, b = features.chunk(2, dim=1)
        c, d = (self.horizontal(h) + self.link(features)).chunk(2, dim=1)
        return torch.tanh(a) * torch.sigmoid(b), h + self.output(torch.tanh(c) * torch.sigmoid(d))


class MaskedPixelCNN(nn.Module):
    """The network of a PixelCNN without classes, written with masked convolutions.

    Args:
        network: the network to compute, whose weights are copied.
    """

    def __init__(self, network: Stacks) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(network.embedding.weight.detach().clone(), freeze=False)
        self.vertical_input, self.horizontal_input = (
            MaskedConv(network.vertical_input),
            MaskedConv(network.horizontal_input),
        )
        self.blocks = nn.ModuleList([MaskedBlock(cast(GatedBlock, block)) for block in network.blocks])
        self.head = nn.Sequential(*(_copy(layer) if isinstance(layer, nn.Conv2d) else layer for layer in network.head))

    def forward(self, codes: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for codes int64 (B, H, W); nothing is checked."""
        embedded = self.embedding(codes).permute(0, 3, 1, 2).contiguous()
        v, h = self.vertical_input(embedded), self.horizontal_input(embedded)
        for block in self.blocks:
            v, h = block(v, h)
        return self.head(h)


class OneHotQuantizer(VectorQuantizer):
    """The quantizer with all distances written out, one-hot vectors, and sums over them.

    It neither starts from data nor restarts entries, and checks nothing.

    Args:
        num_codes: K, the number of codebook entries.
        code_dim: D, the length of a vector.
        commitment_weight: β, the weight of the commitment term; 0 or more.
        decay: γ of the moving averages; at least 0 and below 1.
        restart_threshold: has no meaning here.
    """

    def forward(self, z: Tensor) -> Quantized:
        """Quantize a grid of vectors; in training mode, also move the codebook afterwards.

        Args:
            z: the encoder's output, (B, D, H, W).

        Returns:
            the chosen entries, whose gradient goes straight through to ``z``; their codes; the commitment loss
            β·mean((z − sg[e])²).
        """
        with torch.autocast(z.device.type, enabled=False):
            z = z.to(self.code_sums.dtype)
            flat = z.detach().permute(0, 2, 3, 1).reshape(-1, self.code_dim)  # (N, D)
            codebook = self.codebook  # (K, D)
            distances = flat.square().sum(1, keepdim=True) + codebook.square().sum(1) - 2 * flat @ codebook.T  # (N, K)
            codes = distances.argmin(1)  # (N,)
            one_hot = codebook.new_zeros(len(flat), self.num_codes).scatter_(1, codes[:, None], 1)  # (N, K)
            chosen = (one_hot @ codebook).view(z.shape[0], *z.shape[2:], -1).permute(0, 3, 1, 2)  # (B, D, H, W)
            loss = self.commitment_weight * F.mse_loss(z, chosen)
            if self.training:
                self.code_counts.lerp_(one_hot.sum(0), 1 - self.decay)
                self.code_sums.lerp_(one_hot.T @ flat, 1 - self.decay)
        return Quantized(z + (chosen - z).detach(), codes.view(z.shape[0], *z.shape[2:]), loss)


def _copy(conv: nn.Conv2d) -> nn.Conv2d:
    """A convolution with its own copy of the same weights."""
    bias = conv.bias is not None
    copy = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, bias=bias)  # type: ignore[arg-type]
    copy.load_state_dict(conv.state_dict())
    return copy.to(conv.weight.dtype)
