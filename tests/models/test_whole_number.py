"""The prior in whole numbers: the same on every machine, and nearly the one that it was made of."""

from copy import deepcopy

import pytest
import torch

from lpvq import InputError, PixelCNN, load_pretrained
from lpvq.files import checksum
from lpvq.models.exact_sums import LARGEST_SUM, ExactLinear, Source, fit, largest_sum
from lpvq.models.whole_number import rounded_quotient, whole_root
from lpvq.models.whole_number_conversion import whole_number_prior
from lpvq.models.whole_number_prior import WholeNumberPixelCNN

LABELS = torch.arange(6) % 3


@pytest.fixture(scope="module")
def prior() -> PixelCNN:
    torch.manual_seed(0)
    model = PixelCNN(7, (4, 5), 3, 5, 8, num_classes=3, position=True, num_attentions=2, code_dim=2)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.set_codebook(torch.randn(7, 2))
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def codes() -> torch.Tensor:
    return torch.randint(7, (6, 4, 5), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def model(prior: PixelCNN, codes: torch.Tensor) -> WholeNumberPixelCNN:
    return whole_number_prior(prior, codes, LABELS)


def test_cached_and_plain_logits_are_equal_and_so_are_those_of_other_batches(
    model: WholeNumberPixelCNN, codes: torch.Tensor
) -> None:
    full = model(codes, LABELS)
    assert torch.equal(full[:1], model(codes[:1], LABELS[:1]))
    sampler = model.sampler(LABELS, 6, (4, 5), "cached")
    for row in range(4):
        sampler.begin_row(codes, row)
        for column in range(5):
            assert torch.equal(sampler.logits_at(codes, row, column), full[:, :, row, column])


def test_cached_logits_are_those_of_a_model_that_knows_neither_label_nor_place() -> None:
    torch.manual_seed(2)
    plain_prior = PixelCNN(7, (4, 5), 2, 3, 8, code_dim=2).eval().requires_grad_(False)
    for parameter in plain_prior.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    codes = torch.randint(7, (3, 4, 5))
    model = whole_number_prior(plain_prior, codes)
    full, sampler = model(codes), model.sampler(None, 3, (4, 5), "cached")
    assert full.unique().numel() > 50  # it says something of its own at each position
    for row in (0, 1, 3):  # row 2 is known
        sampler.begin_row(codes, row)
        assert torch.equal(sampler.logits_at(codes, row, 4), full[:, :, row, 4])


def test_float64_gives_the_same(model: WholeNumberPixelCNN, codes: torch.Tensor) -> None:
    full = model(codes, LABELS)
    try:
        assert torch.equal(model.double()(codes, LABELS), full.double())
    finally:
        model.float()


def test_it_is_nearly_the_prior_that_it_was_made_of(
    model: WholeNumberPixelCNN, prior: PixelCNN, codes: torch.Tensor
) -> None:
    torch.testing.assert_close(model.nll(codes, LABELS), prior.nll(codes, LABELS).double(), rtol=0.01, atol=0)


def test_vertical_features_far_beyond_what_a_gate_can_tell_apart_reach_the_link(
    prior: PixelCNN, codes: torch.Tensor
) -> None:
    wide = deepcopy(prior)
    for block in wide.blocks:
        block.vertical.conv.weight.mul_(10)
        block.link.weight.mul_(1 / 10)
    assert wide.blocks[1].vertical(torch.ones(1, 8, 4, 5)).abs().max() > 20
    nats = whole_number_prior(wide, codes, LABELS).nll(codes, LABELS)
    torch.testing.assert_close(nats, wide.nll(codes, LABELS).double(), rtol=0.03, atol=0)


def test_cached_and_plain_draw_the_same(model: WholeNumberPixelCNN) -> None:
    options = {"labels": LABELS, "temperature": 0.8, "top_k": 5, "top_p": 0.9}
    drawn = [
        model.generate(**options, method=method, generator=torch.Generator().manual_seed(3))
        for method in ("cached", "plain")
    ]
    assert torch.equal(*drawn)


def test_frequencies_add_up_and_none_is_zero(model: WholeNumberPixelCNN, codes: torch.Tensor) -> None:
    sizes = model.frequencies(model(codes, LABELS).movedim(1, -1))
    assert (sizes.sum(-1) == 2**22).all()
    assert sizes.min() >= 1


def test_it_can_be_kept(model: WholeNumberPixelCNN, codes: torch.Tensor, tmp_path) -> None:
    model.save_pretrained(tmp_path)
    again = WholeNumberPixelCNN.from_pretrained(tmp_path)
    again.check_sums()
    assert torch.equal(again(codes, LABELS), model(codes, LABELS))


def test_a_sum_that_would_become_too_large_is_made_coarser() -> None:
    weight = torch.randn(5, 3000, generator=torch.Generator().manual_seed(0))
    layer = ExactLinear(3000, 5)
    found, bias = fit([Source(weight, -9, 2**11)], torch.zeros(5), -7)
    layer.keep(*found[0], bias)
    assert LARGEST_SUM / 2.1 < largest_sum([(layer, 2**11)]) < LARGEST_SUM
    layer.weight.mul_(0).add_(127)
    assert largest_sum([(layer, 2**11)]) > LARGEST_SUM
    with pytest.raises(InputError, match="too large"):
        fit([Source(weight, 15, 2**11)], torch.zeros(5), -7)


def test_quotients_and_roots_are_exact() -> None:
    a = torch.arange(-50, 50, dtype=torch.float64)
    for b in range(1, 20):
        expected = [(2 * int(n) + b) // (2 * b) for n in a]
        assert rounded_quotient(a, torch.tensor(float(b))).tolist() == expected
    roots = torch.arange(1, 200, dtype=torch.float64) * 300_001
    assert torch.equal(whole_root(roots.square()), roots)
    assert torch.equal(whole_root(roots.square() - 1), roots - 1)


def test_it_does_not_depend_on_the_order_in_which_the_codebook_is_added_up(codes: torch.Tensor) -> None:
    _, prior = load_pretrained("smileys")
    assert isinstance(prior, PixelCNN)
    made = checksum(whole_number_prior(prior, codes, LABELS))
    orders = [torch.randperm(16, generator=torch.Generator().manual_seed(seed)) for seed in (0, 3)]
    others = [_with_codebook_in_order(prior, order) for order in orders]
    assert {checksum(whole_number_prior(other, codes, LABELS)) for other in others} == {made}
    # In float32, sums in another order end in another digit, and one of them in another whole number.
    rounded = {checksum(whole_number_prior(other.without_codebook(), codes, LABELS)) for other in others}
    assert len(rounded) > 1


def _with_codebook_in_order(prior: PixelCNN, order: torch.Tensor) -> PixelCNN:
    """The same prior, its codebook's dimensions in another order."""
    other = deepcopy(prior)
    tensors = other.state_dict()  # which share their memory with the model
    for name, axis in (("codebook", 1), ("codebook_input.weight", 1), ("codebook_output.weight", 0)):
        tensors[name].copy_(tensors[name].index_select(axis, order))
    return other
