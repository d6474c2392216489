"""The prior: causal everywhere, blind nowhere, a distribution that sums to one, and two samplers that agree."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq import VQVAE, InputError, PixelCNN
from lpvq.models.causal import HorizontalConv, VerticalConv
from lpvq.models.gated import GatedBlock, gate

HEIGHT, WIDTH = 5, 7
POSITIONS = list(itertools.product(range(HEIGHT), range(WIDTH)))


def small_model(**options: int | tuple[int, int] | None) -> PixelCNN:
    """A model in float64, so that "no influence" can be asked of a gradient exactly."""
    torch.manual_seed(0)
    settings = {"latent_dim": 6, "image_size": (HEIGHT, WIDTH), "num_blocks": 4, "hidden_channels": 8, **options}
    return PixelCNN(**settings).double()


def some_codes(model: PixelCNN, batch: int, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(model.latent_dim, (batch, height, width), generator=generator)


def influence(model: PixelCNN, row: int, column: int) -> Tensor:
    """For each position, whether its code has any influence on the logits at (row, column): bool (H, W)."""
    codes = some_codes(model, 1)
    embedded = model.embedding(codes).detach().requires_grad_()
    hook = model.embedding.register_forward_hook(lambda *_: embedded)
    logits = model(codes)
    hook.remove()
    logits[0, :, row, column].sum().backward()
    return embedded.grad[0].abs().sum(-1) > 0


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_no_position_sees_itself_or_what_comes_later(kernel_size: int) -> None:
    model = small_model(kernel_size=kernel_size)
    for row, column in POSITIONS:
        seen = influence(model, row, column).flatten()
        assert not seen[row * WIDTH + column :].any(), f"({row}, {column}) sees itself or the future"


def test_every_earlier_position_is_seen_without_a_blind_spot() -> None:
    # Each block lets a position see one row further and, in the rows above, one column further to both sides.
    model = small_model(num_blocks=max(HEIGHT, WIDTH))
    for row, column in POSITIONS:
        seen = influence(model, row, column).flatten()
        assert seen[: row * WIDTH + column].all(), f"({row}, {column}) is blind to an earlier position"


def test_one_block_sees_the_row_above_to_the_right() -> None:
    # The classic blind spot: a single masked stack never sees up and to the right beyond its kernel's corner.
    seen = influence(small_model(num_blocks=2), row=2, column=2)
    assert seen[1, :6].all() and seen[0, :6].all()


@pytest.mark.parametrize("labels", [None, 3])
def test_the_probabilities_of_all_grids_sum_to_one(labels: int | None) -> None:
    model = small_model(latent_dim=3, image_size=2, num_classes=labels)
    grids = torch.tensor(list(itertools.product(range(3), repeat=4))).view(-1, 2, 2)
    for label in range(labels or 1):
        given = None if labels is None else torch.full((len(grids),), label)
        total = (-model.double().nll(grids, given).double()).exp().sum().item()
        # nll is float32: 81 terms, each rounded at 6e-8 relative to logarithms of about 4.
        assert total == pytest.approx(1, abs=1e-5)


def test_nll_is_the_sum_of_the_logarithms_of_the_softmax() -> None:
    model = small_model()
    codes = some_codes(model, 2)
    log_p = model(codes).log_softmax(1)
    for grid in range(2):
        by_hand = -sum(log_p[grid, codes[grid, row, column], row, column] for row, column in POSITIONS)
        assert model.nll(codes)[grid].item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert model.nll(codes).dtype == torch.float32


@pytest.mark.parametrize("method", ["cached", "plain"])
def test_the_samplers_frequencies_are_the_models_probabilities(method: str) -> None:
    model = small_model(latent_dim=3, image_size=2, num_blocks=1)
    for parameter in model.head.parameters():
        nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(2))  # far from uniform
    grids = torch.tensor(list(itertools.product(range(3), repeat=4))).view(-1, 2, 2)
    probabilities = (-model.nll(grids)).exp().double()
    number = 20_000
    drawn = model.generate(batch_size=number, method=method, generator=torch.Generator().manual_seed(3))
    powers = torch.tensor([27, 9, 3, 1])
    counts = torch.bincount((drawn.view(number, 4) * powers).sum(1), minlength=81).double()
    expected = probabilities * number
    many = expected >= 5  # the usual condition for the chi-square distribution
    chi_square = ((counts - expected) ** 2 / expected)[many].sum().item()
    degrees = int(many.sum())
    assert degrees > 30
    assert chi_square < degrees + 5 * math.sqrt(2 * degrees)  # mean and five standard deviations


@pytest.mark.parametrize("method", ["cached", "plain"])
@pytest.mark.parametrize("length", [0, 1, 7, 20, 35])
def test_a_start_sequence_is_kept_as_given(method: str, length: int) -> None:
    model = small_model()
    start = some_codes(model, 2).flatten(1)[:, :length]
    drawn = model.generate(start, method=method, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (2, HEIGHT, WIDTH)
    assert torch.equal(drawn.flatten(1)[:, :length], start)
    again = model.generate(start, method="plain", generator=torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)


@pytest.mark.parametrize("per_grid", [False, True])
def test_known_codes_are_kept_and_the_rest_is_never_looked_at(per_grid: bool) -> None:
    model = small_model()
    codes = some_codes(model, 2)
    known = (
        torch.rand((2, HEIGHT, WIDTH) if per_grid else (HEIGHT, WIDTH), generator=torch.Generator().manual_seed(4))
        < 0.5
    )
    drawn = {}
    for method in ("cached", "plain"):
        for name, grid in (("as given", codes), ("-1 where unknown", torch.where(known, codes, -1))):
            generator = torch.Generator().manual_seed(6)
            drawn[method, name] = model.generate(grid, known=known, method=method, generator=generator)
    first = drawn["cached", "as given"]
    kept = known.expand_as(first)
    assert torch.equal(first[kept], codes[kept])
    assert not torch.equal(first, codes)
    assert all(torch.equal(first, other) for other in drawn.values())


def test_what_is_given_is_not_changed() -> None:
    model = small_model()
    codes = some_codes(model, 2)
    before = codes.clone()
    model.generate(codes, known=torch.zeros(HEIGHT, WIDTH, dtype=torch.bool))
    assert torch.equal(codes, before)


def test_a_later_code_given_as_known_does_not_change_an_earlier_draw() -> None:
    # The model is causal: what is known below and to the right cannot be taken into account.
    model = small_model()
    codes = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.int64)
    known = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    known[-1, -1] = True
    grids = []
    for last in (0, 5):
        codes[0, -1, -1] = last
        grids.append(model.generate(codes, known=known, generator=torch.Generator().manual_seed(0)).flatten()[:-1])
    assert torch.equal(*grids)


def test_the_documented_example_runs_as_written() -> None:
    vqvae = VQVAE(in_channels=3, num_codes=512, code_dim=16, hidden_channels=8)
    start_sequence = torch.randint(512, (1, 40), generator=torch.Generator().manual_seed(0))

    model = PixelCNN(latent_dim=512, image_size=32, num_blocks=10)
    latent_grid = model.generate(start_sequence, image_size=32)
    generated_image = vqvae.decode(latent_grid)

    assert latent_grid.shape == (1, 32, 32)
    assert torch.equal(latent_grid.flatten(1)[:, :40], start_sequence)
    assert latent_grid.min() >= 0 and latent_grid.max() < 512
    assert generated_image.shape == (1, 3, 128, 128)


def test_labels_reach_every_block_and_both_stacks() -> None:
    model = small_model(num_classes=2)
    model(some_codes(model, 1), torch.tensor([1])).square().sum().backward()
    for index, block in enumerate(model.blocks):
        vertical, horizontal = block.label_shift.weight.grad.chunk(2, dim=1)
        assert horizontal[1].abs().sum() > 0
        if index < len(model.blocks) - 1:  # the last vertical output goes nowhere
            assert vertical[1].abs().sum() > 0


def test_grids_of_one_batch_do_not_influence_each_other() -> None:
    model = small_model().train()
    codes = some_codes(model, 3)
    torch.testing.assert_close(model(codes)[1:2], model(codes[1:2]), atol=1e-12, rtol=0)


def test_codes_are_categories_not_numbers() -> None:
    # Renaming the codes and moving the rows of the embedding and of the head along changes nothing.
    model = small_model()
    codes = some_codes(model, 2)
    before = model.nll(codes)
    renamed = torch.tensor([3, 5, 0, 1, 4, 2])
    for table in (model.embedding.weight, model.head[-1].weight, model.head[-1].bias):
        table.data[renamed] = table.data.clone()
    torch.testing.assert_close(model.nll(renamed[codes]), before)


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


def test_the_first_layer_leaves_out_what_it_must() -> None:
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64)
    for kind, kernel in ((VerticalConv, (slice(0, 1), slice(0, 3))), (HorizontalConv, (slice(1, 2), slice(0, 1)))):
        layer = kind(2, 3, 3, mask_type="A").double()
        full = torch.zeros(3, 2, 3, 3, dtype=torch.float64)
        full[:, :, kernel[0], kernel[1]] = layer.conv.weight
        torch.testing.assert_close(layer(x), F.conv2d(x, full, layer.conv.bias, padding=1))


def test_the_first_layer_has_no_residual() -> None:
    # With silent blocks and input layers, no code may reach the logits; a residual around the first layer would.
    model = small_model()
    for module in (model.vertical_input, model.horizontal_input, *model.blocks):
        for parameter in module.parameters():
            nn.init.zeros_(parameter)
    assert not influence(model, 2, 3).any()


def test_gate_is_tanh_times_sigmoid_of_the_two_halves() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4)
    expected = [[math.tanh(1) / (1 + math.exp(-3)), math.tanh(2) / (1 + math.exp(-4))]]
    torch.testing.assert_close(gate(x), torch.tensor(expected))


def test_convolutions_are_cropped_not_masked() -> None:
    model = PixelCNN(6, 4, num_blocks=1, hidden_channels=8)
    assert tuple(model.blocks[0].vertical.conv.weight.shape) == (16, 8, 2, 3)
    assert tuple(model.blocks[0].horizontal.conv.weight.shape) == (16, 8, 1, 2)
    assert tuple(model.vertical_input.conv.weight.shape) == (8, 8, 1, 3)
    assert tuple(model.horizontal_input.conv.weight.shape) == (8, 8, 1, 1)


@pytest.mark.parametrize("training", [True, False])
def test_drawing_restores_the_mode_and_gives_codes_to_train_on(training: bool) -> None:
    model = small_model().train(training)
    codes = model.generate(batch_size=2, generator=torch.Generator().manual_seed(0))
    assert model.training == training
    model.nll(codes).sum().backward()  # codes made under inference mode would refuse


def test_the_same_generator_draws_the_same_and_the_global_one_is_left_alone() -> None:
    model = small_model()
    before = torch.random.get_rng_state()
    first = model.generate(generator=torch.Generator().manual_seed(7))
    second = model.generate(generator=torch.Generator().manual_seed(7))
    assert torch.equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), before)


START = torch.zeros(2, 3, dtype=torch.int64)
GRID = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.int64)
MASK = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_sequence": START + 6}, r"0 … 5, got 0 … 6"),
        ({"start_sequence": START.float()}, "int64"),
        ({"start_sequence": START[0]}, r"\(B, n\)"),
        ({"start_sequence": GRID}, r"\(B, n\), or \(B, H, W\) together with known"),
        ({"start_sequence": START, "batch_size": 3}, "agree on the number of grids"),
        ({"start_sequence": torch.zeros(1, 36, dtype=torch.int64)}, "36 codes, a grid of 5 × 7 only 35"),
        ({"known": MASK}, "known needs start_sequence"),
        ({"start_sequence": GRID, "known": MASK.long()}, "known must be bool"),
        ({"start_sequence": GRID, "known": MASK.T}, r"shape \(5, 7\)"),
        ({"start_sequence": GRID, "known": MASK, "image_size": 5}, "5 × 7, but image_size is 5"),
        ({"image_size": 0}, "positive whole number"),
        ({"image_size": (3, 4, 5)}, "positive whole number"),
        ({"batch_size": 0}, "at least 1, got 0"),
        ({"method": "fast"}, "'cached' or 'plain'"),
        ({"labels": torch.tensor([0])}, "no classes"),
        ({"top_p": 2.0}, "top_p"),
    ],
)
def test_arguments_of_generate_that_do_not_fit_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small_model().generate(**arguments)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "give labels"),
        (torch.tensor([0, 3]), r"0 … 2, got 0 … 3"),
        (torch.tensor([0, -1]), r"0 … 2, got -1 … 0"),
        (torch.tensor([0]), r"shape \(2,\)"),
        (torch.tensor([0.0, 1.0]), "int64"),
    ],
)
def test_labels_the_model_has_no_class_for_are_refused(labels: Tensor | None, message: str) -> None:
    model = small_model(num_classes=3)
    with pytest.raises(InputError, match=message):
        model(GRID, labels)


def test_grids_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(B, H, W\)"):
        small_model()(GRID[0])
    with pytest.raises(InputError, match=r"0 … 5, got 9 … 9"):
        small_model().nll(GRID + 9)


@pytest.mark.parametrize(
    "options", [{"kernel_size": 4}, {"kernel_size": 1}, {"latent_dim": 0}, {"num_blocks": 0}, {"num_classes": 0}]
)
def test_settings_without_sense_are_refused_by_name(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        PixelCNN(**options)
