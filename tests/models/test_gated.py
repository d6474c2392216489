"""The gated block and its gate, against the formulas of the paper."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.models.gated import GatedBlock, gate


def test_gate_is_tanh_times_sigmoid_of_the_two_halves() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4)
    expected = [[math.tanh(1) / (1 + math.exp(-3)), math.tanh(2) / (1 + math.exp(-4))]]
    torch.testing.assert_close(gate(x), torch.tensor(expected))


def test_the_vertical_stack_hears_nothing_from_the_horizontal() -> None:
    block = GatedBlock(4, 3, None)
    v, h = torch.randn(1, 4, 3, 3), torch.randn(1, 4, 3, 3, requires_grad=True)
    out_v, out_h = block(v, h, None)
    assert not out_v.requires_grad or torch.autograd.grad(out_v.sum(), h, allow_unused=True)[0] is None
    assert torch.autograd.grad(out_h.sum(), h)[0].abs().sum() > 0


def test_a_block_is_what_the_paper_draws() -> None:
    # Written out once more, with full kernels whose forbidden part is zero.
    torch.manual_seed(0)
    block = GatedBlock(4, 3, 2).double()
    v, h = torch.randn(2, 1, 4, 5, 6, dtype=torch.float64)
    vertical, horizontal = torch.zeros(8, 4, 3, 3).double(), torch.zeros(8, 4, 3, 3).double()
    vertical[:, :, :2] = block.vertical.conv.weight
    horizontal[:, :, 1, :2] = block.horizontal.conv.weight[:, :, 0]
    features = F.conv2d(v, vertical, block.vertical.conv.bias, padding=1)
    shift_v, shift_h = block.label_shift.weight[1].view(2, 8, 1, 1)
    before_gate = F.conv2d(h, horizontal, padding=1) + block.link(features) + shift_h

    def gated(x: Tensor) -> Tensor:
        return torch.tanh(x[:, :4]) * torch.sigmoid(x[:, 4:])

    out_v, out_h = block(v, h, torch.tensor([1]))
    torch.testing.assert_close(out_v, gated(features + shift_v))
    torch.testing.assert_close(out_h, h + block.output(gated(before_gate)))
