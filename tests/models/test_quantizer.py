"""The quantizer: every public mistake with it has a test here."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq import InputError, VectorQuantizer
from lpvq.models.quantizer import Quantized, nearest_codes


def quantizer_with(codebook: Tensor, **options: float) -> VectorQuantizer:
    """A quantizer in training mode that already has a codebook."""
    quantizer = VectorQuantizer(*codebook.shape, **options)
    quantizer.code_sums.copy_(codebook)
    quantizer.started.fill_(True)
    return quantizer


def grid_of(vectors: Tensor) -> Tensor:
    """Vectors (N, D) as one grid (1, D, 1, N)."""
    return vectors.T[None, :, None, :].contiguous()


@pytest.fixture
def z() -> Tensor:
    return torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def products_in_bfloat16() -> Iterator[None]:
    """What many notebooks begin with. It only makes a difference on a CPU with instructions for bfloat16."""
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision("highest")


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


def test_nearest_codes_do_not_depend_on_the_precision_of_products(
    products_in_bfloat16: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, product = set(), torch.addmm

    def spy(*tensors: Tensor, alpha: float) -> Tensor:
        settings.add(torch.backends.mkldnn.matmul.fp32_precision)
        return product(*tensors, alpha=alpha)

    monkeypatch.setattr(torch, "addmm", spy)
    vectors, codebook = torch.randn(20_000, 64), torch.randn(512, 64)
    expected = torch.cdist(vectors.double(), codebook.double()).argmin(1)
    assert (nearest_codes(vectors, codebook) == expected).double().mean() > 0.9999  # near-ties, as above
    with torch.autocast("cpu", torch.bfloat16):
        assert (nearest_codes(vectors, codebook) == expected).double().mean() > 0.9999
    assert settings == {"ieee"}
    assert torch.get_float32_matmul_precision() == "medium"


@pytest.mark.parametrize("offset", [0, 10, 18, 22, 100, 1000, 10_000])
@pytest.mark.parametrize("dim", [2, 64])
def test_vectors_far_from_zero_but_close_together_get_the_nearest_entry(offset: float, dim: int) -> None:
    vectors, codebook = torch.randn(20_000, dim) + offset, torch.randn(256, dim) + offset
    rates = torch.rand(256)
    distances = torch.cdist(vectors.double(), codebook.double()).square()
    # At 18, where nothing is subtracted yet, the products are 300 times as large as the spread of the entries. With 256
    # of them in two dimensions, a few vectors in a thousand then have two entries that are equally near to 7 digits.
    least = 0.995 if offset < 20 else 0.9999
    assert (nearest_codes(vectors, codebook) == distances.argmin(1)).double().mean() > least
    assert (nearest_codes(vectors, codebook, rates) == (distances + rates).argmin(1)).double().mean() > least


def test_a_codebook_far_from_zero_learns_as_well_as_one_around_zero() -> None:
    centres = 3 * torch.randn(32, 8, generator=torch.Generator().manual_seed(1))
    errors = []
    for offset in (0.0, 1000.0):
        torch.manual_seed(0)
        quantizer = VectorQuantizer(32, 8)
        for _ in range(200):
            z = grid_of(centres[torch.randint(32, (512,))] + 0.05 * torch.randn(512, 8) + offset)
            quantizer(z)
        errors.append(F.mse_loss(quantizer.eval()(z).vectors, z).item())
    # The numbers near 1000 are rounded to 6e-5, which is a thousandth of the noise.
    assert errors[1] == pytest.approx(errors[0], rel=0.1)


def test_of_entries_that_are_equally_near_the_first_is_chosen() -> None:
    codebook = torch.tensor([[5.0], [1.0], [1.0], [-1.0]])
    assert nearest_codes(torch.tensor([[1.0], [0.0], [-3.0]]), codebook).tolist() == [1, 1, 3]
    assert nearest_codes(torch.empty(0, 1), codebook).tolist() == []


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


@pytest.mark.parametrize(("decay", "steps"), [(0.1, 100), (0.8, 200), (0.99, 1500)])
@pytest.mark.parametrize("repeated", [1, 5])
def test_as_many_points_as_entries_are_all_found_and_kept(decay: float, steps: int, repeated: int) -> None:
    points = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0], [3.0, 4.0]])
    quantizer, z = VectorQuantizer(4, 2, decay=decay), grid_of(points.repeat(repeated, 1))
    for _ in range(steps):
        quantizer(z)
    before = quantizer.codebook
    codes = quantizer(z).codes
    assert torch.cdist(points, quantizer.codebook).amin(1).max() < 1e-3
    assert codes.unique().numel() == 4
    torch.testing.assert_close(quantizer.codebook, before, atol=1e-3, rtol=0)


def test_an_entry_that_one_batch_does_not_choose_is_kept_where_batches_are_small() -> None:
    # Four of four points with replacement: a point is missing in a third of all batches, and soon comes again.
    points = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0], [3.0, 4.0]])
    quantizer = quantizer_with(points)
    for _ in range(300):
        quantizer(grid_of(points[torch.randint(4, (4,))]))
        torch.testing.assert_close(quantizer.codebook, points, atol=1e-3, rtol=0)


@pytest.mark.parametrize("vectors_per_batch", [16, 32, 64])
def test_batches_with_fewer_vectors_than_entries_are_averaged(vectors_per_batch: int) -> None:
    centres = torch.randn(64, 8)

    def draw(number: int) -> Tensor:
        return grid_of(centres[torch.randint(64, (number,))] + 0.3 * torch.randn(number, 8))

    quantizer, without = VectorQuantizer(64, 8), VectorQuantizer(64, 8, restart_threshold=0)
    restarted, restart = [], quantizer._restart

    def spy(entries: Tensor, *batch: Any) -> None:
        restarted.append(int(entries.sum()))
        restart(entries, *batch)

    quantizer._restart = spy
    for _ in range(600):
        z = draw(vectors_per_batch)
        quantizer(z)
        without(z)
    held_out = draw(4000)
    error, without_error = (F.mse_loss(q.eval()(held_out).vectors, held_out) for q in (quantizer, without))
    assert error < without_error  # restarts help; at a threshold of one, they would make it twice as large
    assert sum(restarted[-100:]) / 100 < 0.05 * 64


def test_the_threshold_is_as_given_where_a_batch_has_vectors_enough() -> None:
    # Two entries, eight vectors: a fair share of 4. Of a moving average of 0.95 and 0.9 only the second is below 0.92.
    quantizer = quantizer_with(torch.tensor([[0.0], [100.0]]), decay=0.9, restart_threshold=0.92)
    quantizer.code_counts.copy_(torch.tensor([0.95, 1.0]))
    quantizer(torch.ones(1, 1, 2, 4))
    assert quantizer.code_counts[1] == 1 and quantizer.codebook[1] == 1
    assert quantizer.code_counts[0] == pytest.approx(0.9 * 0.95 + 0.1 * 8)


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


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_a_quantizer_cast_to_half_precision_learns_as_before(kind: torch.dtype, z: Tensor) -> None:
    # In bfloat16 a count of 300 that should grow by 0.03 stays where it is: its neighbours are 298 and 302.
    quantizers = [quantizer_with(torch.randn(1, 4).expand(3, 4), decay=0.999, restart_threshold=0) for _ in range(2)]
    quantizers[1].load_state_dict(quantizers[0].state_dict())
    for quantizer in quantizers:
        quantizer.code_counts.fill_(300)
    plain, cast = quantizers[0], quantizers[1].to(kind)
    for _ in range(10):
        expected, output = plain(z.to(kind).float()), cast(z.to(kind))
    assert torch.equal(output.codes, expected.codes) and torch.equal(output.loss, expected.loss)
    assert torch.equal(output.vectors, expected.vectors) and torch.equal(cast.codebook, plain.codebook)
    assert plain.code_counts[0] != 300


def test_every_cast_leaves_at_least_float32() -> None:
    quantizer = VectorQuantizer(3, 2)
    for cast, expected in (
        (quantizer.half, torch.float32),
        (quantizer.double, torch.float64),
        (quantizer.bfloat16, torch.float32),
        (lambda: quantizer.to("cpu", torch.float16), torch.float32),
        (lambda: torch.nn.Sequential(quantizer).to(torch.bfloat16)[0], torch.float32),
    ):
        assert cast() is quantizer
        assert {quantizer.code_counts.dtype, quantizer.code_sums.dtype} == {expected}
        assert quantizer.started.dtype == torch.bool
    moved = quantizer.to("meta", torch.float16).code_sums
    assert moved.is_meta and moved.dtype == torch.float32


def test_a_quantizer_in_float64_computes_in_float64(z: Tensor) -> None:
    quantizer = VectorQuantizer(5, 4).double()
    output = quantizer(z.double())
    assert output.vectors.dtype == output.loss.dtype == quantizer.codebook.dtype == torch.float64
    assert quantizer.lookup(output.codes).dtype == torch.float64


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
    with pytest.raises(InputError, match="the vectors to quantize must be a tensor, got ndarray"):
        VectorQuantizer(7, 4)(z.numpy())
    with pytest.raises(InputError, match="codes must be a tensor, got list"):
        VectorQuantizer(7, 4).lookup([[[0]]])
    with pytest.raises(InputError, match="must be real"):
        VectorQuantizer(7, 4)(torch.zeros(1, 4, 1, 1, dtype=torch.complex64))


@pytest.mark.parametrize("shape", [(0, 4, 3, 5), (2, 4, 0, 5), (2, 4, 3, 0)])
def test_no_vectors_at_all_are_refused(shape: tuple[int, ...]) -> None:
    quantizer = VectorQuantizer(7, 4)
    for function in (quantizer, quantizer.assign):
        with pytest.raises(InputError, match="at least one vector"):
            function(torch.zeros(shape))
    assert not quantizer.started


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("num_codes", value) for value in (0, -1, 2.0, np.float64(2), True, "4", None, [4], math.nan)),
        *(("code_dim", value) for value in (0, -3, 1.5, False, "x")),
        *(("decay", value) for value in (1.0, 1, -0.1, math.nan, math.inf, True, "0.9", None)),
        *(("commitment_weight", value) for value in (-0.1, math.nan, math.inf, None, "1", [1.0])),
        *(("restart_threshold", value) for value in (-1, math.nan, -math.inf, math.inf, None, 10**400)),
    ],
)
def test_settings_without_sense_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name):
        VectorQuantizer(**{"num_codes": 4, "code_dim": 2, name: value})


def test_numbers_of_numpy_and_torch_are_settings_too() -> None:
    quantizer = VectorQuantizer(np.int64(4), torch.tensor(2), np.float64(0.5), np.float32(0.5), np.int32(0))
    settings = (
        *(quantizer.num_codes, quantizer.code_dim),
        *(quantizer.commitment_weight, quantizer.decay, quantizer.restart_threshold),
    )
    assert settings == (4, 2, 0.5, 0.5, 0.0)
    assert [type(value) for value in settings] == [int, int, float, float, float]


def test_counts_that_cannot_be_divided_by_are_not_loaded() -> None:
    state = VectorQuantizer(3, 2).state_dict()
    for count in (0.0, -1.0, math.nan):
        state["code_counts"][1] = count
        with pytest.raises(RuntimeError, match="code_counts must all be above 0"):
            VectorQuantizer(3, 2).load_state_dict(state)


def test_printing_a_quantizer_shows_its_settings() -> None:
    expected = "num_codes=3, code_dim=2, commitment_weight=0.25, decay=0.9, restart_threshold=1.0"
    assert repr(VectorQuantizer(3, 2, decay=0.9)) == f"VectorQuantizer({expected})"


def test_results_can_be_compared_and_kept_in_sets() -> None:
    results = [Quantized(torch.zeros(2), torch.zeros(2), torch.zeros(())) for _ in range(2)]
    assert results[0] == results[0] and results[0] != results[1]
    assert len(set(results)) == 2
