"""The causal convolutions: what each mask type sees, by which kernel."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lpvq import PixelCNN
from lpvq.models.causal import HorizontalConv, VerticalConv


def test_the_first_layer_leaves_out_what_it_must() -> None:
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64)
    for kind, kernel in ((VerticalConv, (slice(0, 1), slice(0, 3))), (HorizontalConv, (slice(1, 2), slice(0, 1)))):
        layer = kind(2, 3, 3, mask_type="A").double()
        full = torch.zeros(3, 2, 3, 3, dtype=torch.float64)
        full[:, :, kernel[0], kernel[1]] = layer.conv.weight
        torch.testing.assert_close(layer(x), F.conv2d(x, full, layer.conv.bias, padding=1))


def test_convolutions_are_cropped_not_masked() -> None:
    model = PixelCNN(6, 4, num_blocks=1, hidden_channels=8)
    assert tuple(model.blocks[0].vertical.conv.weight.shape) == (16, 8, 2, 3)
    assert tuple(model.blocks[0].horizontal.conv.weight.shape) == (16, 8, 1, 2)
    assert tuple(model.vertical_input.conv.weight.shape) == (8, 8, 1, 3)
    assert tuple(model.horizontal_input.conv.weight.shape) == (8, 8, 1, 1)


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize("mask_type", ["A", "B"])
@pytest.mark.parametrize("kind", [VerticalConv, HorizontalConv])
def test_a_convolution_sees_exactly_what_its_mask_type_allows(kind: type, mask_type: str, kernel_size: int) -> None:
    layer = kind(1, 1, kernel_size, mask_type).double()
    nn.init.ones_(layer.conv.weight)  # with random weights, zero might come by chance
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64, requires_grad=True)
    layer(x)[0, 0, 4, 4].backward()
    reach = kernel_size // 2
    expected = torch.zeros(9, 9, dtype=torch.bool)
    if kind is VerticalConv:
        expected[4 - reach : 4 + (mask_type == "B"), 4 - reach : 5 + reach] = True
    else:
        expected[4, 4 - reach : 4 + (mask_type == "B")] = True
    assert torch.equal(x.grad[0, 0] != 0, expected)


@pytest.mark.parametrize("kind", [VerticalConv, HorizontalConv])
def test_a_printed_convolution_tells_the_mask_types_apart(kind: type) -> None:
    assert f"{kind.__name__}(\n  mask_type='A', reach=2\n" in repr(kind(3, 4, 5, "A"))
    assert f"{kind.__name__}(\n  mask_type='B', reach=1\n" in repr(kind(3, 4, 3))
