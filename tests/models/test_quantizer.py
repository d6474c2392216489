"""The quantizer: every public mistake with it has a test here."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq import InputError, VectorQuantizer
from lpvq.models.code_usage import code_counts, entropy, perplexity, usage
from lpvq.models.quantizer import nearest_codes


def quantizer_with(codebook: Tensor, **options: float) -> VectorQuantizer:
    """A quantizer in training mode that already has a codebook."""
    quantizer = VectorQuantizer(*codebook.shape, **options)
    quantizer.code_sums.copy_(codebook)
    quantizer.started.fill_(True)
    return quantizer


@pytest.fixture
def z() -> Tensor:
    return torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))


def test_each_vector_gets_the_nearest_entry_of_its_own_position(z: Tensor) -> None:
    quantizer = quantizer_with(torch.randn(7, 4, generator=torch.Generator().manual_seed(1))).eval()
    result = quantizer(z)
    for image in range(2):
        for row in range(3):
            for column in range(5):
                distances = (quantizer.codebook - z[image, :, row, column]).square().sum(1)
                assert result.codes[image, row, column] == distances.argmin()
    torch.testing.assert_close(result.vectors, quantizer.lookup(result.codes))


def test_nearest_codes_agree_with_all_distances_across_chunks() -> None:
    generator = torch.Generator().manual_seed(2)
    vectors, codebook = torch.randn(40_000, 8, generator=generator), torch.randn(33, 8, generator=generator)
    expected = torch.cdist(vectors.double(), codebook.double()).argmin(1)
    # Float32 may decide near-ties otherwise: fewer than one in ten thousand.
    assert (nearest_codes(vectors, codebook) == expected).double().mean() > 0.9999


def test_the_gradient_goes_straight_through(z: Tensor) -> None:
    quantizer = quantizer_with(torch.randn(7, 4)).eval()
    z.requires_grad_()
    weights = torch.randn_like(z)
    (quantizer(z).vectors * weights).sum().backward()
    torch.testing.assert_close(z.grad, weights)


def test_the_loss_is_the_commitment_term_weighted_with_beta(z: Tensor) -> None:
    # The commitment and the codebook term have the same value, so only gradients tell which one carries β.
    quantizer = quantizer_with(torch.randn(7, 4), commitment_weight=0.7).eval()
    z.requires_grad_()
    result = quantizer(z)
    result.loss.backward()
    chosen = quantizer.lookup(result.codes)
    torch.testing.assert_close(result.loss, 0.7 * F.mse_loss(z, chosen))
    torch.testing.assert_close(z.grad, 0.7 * 2 * (z - chosen).detach() / z.numel())


def test_the_codebook_gets_no_gradient() -> None:
    assert not list(VectorQuantizer(4, 2).parameters())


def test_one_moving_average_step_agrees_with_a_hand_computation() -> None:
    # K = 2, D = 1, γ = 0.9. Entry 0 at 0 is chosen by 1 and 2, entry 1 at 10 by 8.
    quantizer = quantizer_with(torch.tensor([[0.0], [10.0]]), decay=0.9, restart_threshold=0)
    quantizer(torch.tensor([1.0, 2.0, 8.0]).view(1, 1, 1, 3))
    torch.testing.assert_close(quantizer.code_counts, torch.tensor([0.9 + 0.1 * 2, 0.9 + 0.1 * 1]))
    torch.testing.assert_close(quantizer.code_sums, torch.tensor([[0.1 * 3], [0.9 * 10 + 0.1 * 8]]))
    torch.testing.assert_close(quantizer.codebook, torch.tensor([[0.3 / 1.1], [9.8 / 1.0]]))


def test_the_codebook_moves_only_after_the_lookup() -> None:
    quantizer = quantizer_with(torch.tensor([[0.0], [10.0]]), decay=0.5)
    result = quantizer(torch.tensor([1.0, 9.0]).view(1, 1, 1, 2))
    torch.testing.assert_close(result.vectors, torch.tensor([0.0, 10.0]).view(1, 1, 1, 2))
    assert not torch.equal(quantizer.codebook, torch.tensor([[0.0], [10.0]]))


def test_the_codebook_moves_in_training_mode_only(z: Tensor) -> None:
    quantizer = quantizer_with(torch.randn(7, 4))
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer.eval()(z)
    quantizer.train().assign(z)
    assert all(torch.equal(before[name], value) for name, value in quantizer.state_dict().items())
    quantizer(z)
    assert not torch.equal(before["code_sums"], quantizer.code_sums)


def test_an_unused_entry_neither_moves_nor_explodes() -> None:
    quantizer = quantizer_with(torch.tensor([[0.0], [10.0]]), restart_threshold=0)
    for _ in range(12_000):  # more than float32 could hold: 0.99 to the 12,000th is below 1e-52
        quantizer(torch.zeros(1, 1, 1, 2))
    # Each step rounds count and sum once: 12,000 times half of 1.2e-7, at random, stays far below 1e-4.
    torch.testing.assert_close(quantizer.codebook, torch.tensor([[0.0], [10.0]]), atol=0, rtol=1e-4)


def test_counts_start_at_one() -> None:
    assert torch.equal(VectorQuantizer(3, 2).code_counts, torch.ones(3))


def test_training_starts_from_data_and_stays_there(z: Tensor) -> None:
    quantizer = VectorQuantizer(5, 4, decay=0.999999)
    quantizer(z)
    vectors = z.movedim(1, -1).reshape(-1, 4)
    quantizer(z)  # a start that left counts or sums as they were would be undone here
    assert torch.cdist(quantizer.codebook, vectors).min(1).values.max() < 1e-3


def test_eval_mode_does_not_start_from_data(z: Tensor) -> None:
    quantizer = VectorQuantizer(5, 4).eval()
    before = quantizer.codebook
    quantizer(z)
    assert torch.equal(before, quantizer.codebook) and not quantizer.started


def test_unused_entries_restart_at_vectors_of_the_batch_and_stay_there(z: Tensor) -> None:
    far = torch.full((3, 4), 1000.0)
    quantizer = quantizer_with(torch.cat([torch.zeros(1, 4), far]), decay=0.9)
    quantizer(z)
    vectors = z.movedim(1, -1).reshape(-1, 4)
    assert (quantizer.codebook[1:, None] - vectors).norm(dim=-1).min(1).values.max() < 1e-5
    assert torch.equal(quantizer.code_counts[1:], torch.ones(3))
    quantizer.restart_threshold = 0
    quantizer.decay = 0.999999
    before = quantizer.codebook
    quantizer(z)  # counts or sums left at their old values would throw the entries back here
    torch.testing.assert_close(quantizer.codebook, before, atol=1e-3, rtol=0)


def test_a_batch_with_fewer_vectors_than_entries_can_start_a_codebook() -> None:
    quantizer = VectorQuantizer(10, 2)
    quantizer(torch.tensor([[[[1.0]], [[2.0]]]]))
    torch.testing.assert_close(quantizer.codebook, torch.tensor([[1.0, 2.0]]).expand(10, 2))


def test_all_state_is_saved_with_the_weights(z: Tensor) -> None:
    torch.manual_seed(0)
    quantizer = VectorQuantizer(5, 4)
    quantizer(z)
    copy = VectorQuantizer(5, 4)
    copy.load_state_dict(quantizer.state_dict())
    torch.manual_seed(1)
    first = quantizer(2 * z)
    torch.manual_seed(1)
    second = copy(2 * z)
    assert torch.equal(first.codes, second.codes)
    assert all(torch.equal(a, b) for a, b in zip(quantizer.buffers(), copy.buffers(), strict=True))


def test_half_precision_does_not_change_the_codes(z: Tensor) -> None:
    z = 100 + z / 100  # bfloat16 has no two numbers this close at 100
    quantizer = quantizer_with(100 + torch.randn(7, 4) / 100).eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(quantizer(z).codes, quantizer.assign(z.double().float()))
        assert quantizer(z).loss.dtype == torch.float32


@pytest.mark.parametrize("codes", [torch.tensor([[[7]]]), torch.tensor([[[-1]]]), torch.tensor([[[1.0]]])])
def test_codes_that_are_none_are_refused(codes: Tensor) -> None:
    with pytest.raises(InputError, match="codes must be"):
        VectorQuantizer(7, 4).lookup(codes)


def test_vectors_of_another_shape_or_not_finite_are_refused(z: Tensor) -> None:
    with pytest.raises(InputError, match=r"\(B, 3, H, W\)"):
        VectorQuantizer(7, 3)(z)
    z[0, 0, 0, 0] = math.nan
    with pytest.raises(InputError, match="NaN"):
        VectorQuantizer(7, 4)(z)


def test_settings_without_sense_are_refused() -> None:
    with pytest.raises(InputError, match="num_codes"):
        VectorQuantizer(0, 4)
    with pytest.raises(InputError, match="decay"):
        VectorQuantizer(4, 4, decay=1.0)


def test_usage_and_perplexity_count_over_the_whole_set() -> None:
    codes = torch.tensor([[[0, 1]], [[2, 3]]])  # each grid uses two codes, both together four
    counts = code_counts(codes, 8)
    assert usage(counts) == 0.5
    assert perplexity(counts) == pytest.approx(4)
    assert entropy(counts) == pytest.approx(math.log(4))
    assert entropy(torch.tensor([5, 0])) == 0
