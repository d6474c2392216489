"""The plain ways compute the same as the fast ones, or a comparison of their speed would say nothing."""

import pytest
import torch

from lpvq import PixelCNN, VectorQuantizer
from lpvq.models.masked import MaskedPixelCNN, OneHotQuantizer


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_masked_kernels_and_cropped_kernels_give_the_same_logits_and_gradients(kernel_size: int) -> None:
    model = PixelCNN(6, (4, 5), num_blocks=3, kernel_size=kernel_size, hidden_channels=8)
    masked = MaskedPixelCNN(model)
    codes = torch.randint(6, (3, 4, 5))
    torch.testing.assert_close(masked(codes), model(codes))
    for network in (model, masked):
        network(codes).square().sum().backward()
    torch.testing.assert_close(masked.embedding.weight.grad, model.embedding.weight.grad)
    rows, columns = model.blocks[0].vertical.conv.kernel_size
    full = masked.blocks[0].vertical.weight.grad
    torch.testing.assert_close(full[:, :, :rows, :columns], model.blocks[0].vertical.conv.weight.grad)
    assert full[:, :, rows:].eq(0).all()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_one_hot_vectors_and_indices_give_the_same_codes_vectors_loss_and_codebook(kind: torch.dtype) -> None:
    fast, plain = VectorQuantizer(16, 4, restart_threshold=0), OneHotQuantizer(16, 4, restart_threshold=0)
    fast.started.fill_(True)  # both begin with the same random codebook
    plain.load_state_dict(fast.state_dict())
    fast, plain = fast.to(kind), plain.to(kind)
    z = torch.randn(2, 4, 5, 6).to(kind)
    a, b = fast(z), plain(z)
    assert torch.equal(a.codes, b.codes)
    torch.testing.assert_close(a.vectors, b.vectors)
    torch.testing.assert_close(a.loss, b.loss)
    torch.testing.assert_close(fast.code_counts, plain.code_counts)
    torch.testing.assert_close(fast.code_sums, plain.code_sums)
