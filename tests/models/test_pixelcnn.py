"""The prior: causal everywhere, blind nowhere, a distribution that sums to one, and two samplers that agree."""

import itertools
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lpvq import VQVAE, InputError, PixelCNN, load_pretrained
from lpvq.files import checksum
from lpvq.models import pixelcnn
from lpvq.models.sampling import SamplingOptions, sample_code

HEIGHT, WIDTH = 5, 7
POSITIONS = list(itertools.product(range(HEIGHT), range(WIDTH)))


def small_model(**options: int | tuple[int, int] | None) -> PixelCNN:
    """A model in float64, so that "no influence" can be asked of a gradient exactly."""
    torch.manual_seed(0)
    settings = {"latent_dim": 6, "image_size": (HEIGHT, WIDTH), "num_blocks": 4, "hidden_channels": 8, **options}
    model = PixelCNN(**settings).double()
    for attention in model.attentions.values():  # it adds nothing at first
        nn.init.normal_(attention.output.weight)
    if settings.get("code_dim"):
        model.set_codebook(torch.randn(6, settings["code_dim"]))
    return model


KNOWS_MORE = {"position": True, "num_attentions": 2, "code_dim": 3}


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
@pytest.mark.parametrize("more", [{}, KNOWS_MORE])
def test_no_position_sees_itself_or_what_comes_later(kernel_size: int, more: dict) -> None:
    model = small_model(kernel_size=kernel_size, **more)
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


def test_with_attention_a_single_block_sees_all_rows_above() -> None:
    assert not influence(small_model(num_blocks=1), row=4, column=0)[0].any()
    assert influence(small_model(num_blocks=1, num_attentions=1), row=4, column=0)[:4].all()


@pytest.mark.parametrize("labels", [None, 3])
@pytest.mark.parametrize("attentions", [0, 2])
def test_the_probabilities_of_all_grids_sum_to_one(labels: int | None, attentions: int) -> None:
    model = small_model(latent_dim=3, image_size=2, num_classes=labels, num_attentions=attentions, position=True)
    grids = torch.tensor(list(itertools.product(range(3), repeat=4))).view(-1, 2, 2)
    for label in range(labels or 1):
        given = None if labels is None else torch.full((len(grids),), label)
        total = (-model.nll(grids, given)).exp().sum().item()
        assert total == pytest.approx(1, abs=1e-13)  # a few roundings of float64


def test_nll_is_the_sum_of_the_logarithms_of_the_softmax() -> None:
    model = small_model()
    codes = some_codes(model, 2)
    log_p = model(codes).log_softmax(1)
    for grid in range(2):
        by_hand = -sum(log_p[grid, codes[grid, row, column], row, column] for row, column in POSITIONS)
        assert model.nll(codes)[grid].item() == pytest.approx(by_hand.item(), rel=1e-13)


@pytest.mark.parametrize(
    ("model", "likelihood"),
    [(torch.float64, torch.float64), (torch.float32, torch.float32), (torch.bfloat16, torch.float32)],
)
def test_nll_has_the_precision_of_the_model_but_at_least_float32(model: torch.dtype, likelihood: torch.dtype) -> None:
    network = small_model()
    exact = network.nll(some_codes(network, 2))
    nats = network.to(model).nll(some_codes(network, 2))
    assert nats.dtype == likelihood
    # Of logits below 1, bfloat16 keeps 8 bits: for 35 codes, 35 times 2⁻⁸ at the most.
    torch.testing.assert_close(nats.double(), exact, atol=35 / 256 if model == torch.bfloat16 else 1e-5, rtol=0)


@pytest.mark.parametrize("method", ["cached", "plain"])
def test_the_samplers_frequencies_are_the_models_probabilities(method: str) -> None:
    model = small_model(latent_dim=3, image_size=2, num_blocks=1)
    for parameter in model.head.parameters():
        nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(2))  # far from uniform
    grids = torch.tensor(list(itertools.product(range(3), repeat=4))).view(-1, 2, 2)
    probabilities = (-model.nll(grids)).exp()
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
@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0}, {"temperature": 0.3}, {"temperature": 2, "top_k": 2}, {"top_p": 0.4}, {"top_k": 1}],
    ids=str,
)
def test_each_code_is_drawn_from_the_models_logits_as_the_options_say(method: str, options: dict) -> None:
    model = small_model(num_classes=3)
    for parameter in model.head.parameters():
        nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(2))  # far from uniform
    labels = torch.tensor([2, 0])
    drawn = model.generate(labels=labels, method=method, generator=torch.Generator().manual_seed(3), **options)
    uniform = torch.rand(drawn.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    logits = model(drawn, labels)  # at each position, those of the code given the drawn ones before it
    for row, column in POSITIONS:
        expected = sample_code(logits[:, :, row, column], SamplingOptions(**options), uniform[:, row, column])
        assert torch.equal(drawn[:, row, column], expected)


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
    torch.testing.assert_close(model.nll(renamed[codes]), before, atol=1e-10, rtol=0)


def test_the_first_layer_has_no_residual() -> None:
    # With silent blocks and input layers, no code may reach the logits; a residual around the first layer would.
    model = small_model()
    for module in (model.vertical_input, model.horizontal_input, *model.blocks):
        for parameter in module.parameters():
            nn.init.zeros_(parameter)
    assert not influence(model, 2, 3).any()


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


@pytest.mark.parametrize("method", ["cached", "plain"])
def test_the_first_grids_are_the_same_however_many_are_drawn(method: str) -> None:
    model = small_model(num_classes=3)
    labels = torch.arange(20) % 3
    drawn = {
        number: model.generate(
            labels=labels[:number], method=method, generator=torch.Generator().manual_seed(7), image_size=3
        )
        for number in (1, 2, 7, 20)
    }
    for number, grids in drawn.items():
        assert torch.equal(grids, drawn[20][:number])


def test_each_position_has_noise_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def noted(sampler: Any, codes: Tensor, mask: Tensor, options: Any, uniform: Tensor) -> Iterator[None]:
        seen.append(uniform)
        return iter(())

    monkeypatch.setattr(pixelcnn, "sample_grid", noted)
    small_model().generate(batch_size=3, generator=torch.Generator().manual_seed(0))
    expected = torch.rand(3, HEIGHT, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.cat(seen), expected)
    assert len(expected.unique()) == 3 * HEIGHT * WIDTH


AROUND = {
    "nothing": nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast to bfloat16": lambda: torch.autocast("cpu", torch.bfloat16),
    "autocast to float16": lambda: torch.autocast("cpu", torch.float16),
}


@pytest.fixture(scope="module")
def prior() -> PixelCNN:
    """The trained one: the logits of a fresh model are small, and so would be what rounding does to them."""
    return load_pretrained("smileys")[1]


@pytest.fixture(scope="module")
def drawn_by(prior: PixelCNN) -> dict[str, Tensor]:
    """Codes of each method in float32, without anything around it."""
    return {method: four_of(prior, method) for method in ("cached", "plain")}


def four_of(model: PixelCNN, method: str) -> Tensor:
    return model.generate(labels=torch.arange(4) % 3, generator=torch.Generator().manual_seed(1), method=method)


@pytest.mark.parametrize("method", ["cached", "plain"])
@pytest.mark.parametrize("around", list(AROUND))
def test_what_is_drawn_does_not_depend_on_what_is_around_it(
    around: str, method: str, prior: PixelCNN, drawn_by: dict[str, Tensor]
) -> None:
    context: AbstractContextManager = AROUND[around]()
    with context:
        assert torch.equal(four_of(prior, method), drawn_by[method])


@pytest.mark.parametrize("around", list(AROUND))
def test_nll_inside_of_autocast_is_near_to_that_outside(
    around: str, prior: PixelCNN, drawn_by: dict[str, Tensor]
) -> None:
    codes, labels = drawn_by["plain"], torch.arange(4) % 3
    outside = prior.nll(codes, labels)
    with AROUND[around]():
        inside = prior.nll(codes, labels)
    assert inside.dtype == torch.float32
    # Half precision has 8 bits; an error of 2⁻⁸ of logits of about ten in each of 64 codes may have any sign.
    torch.testing.assert_close(inside, outside, rtol=0, atol=2 if "autocast" in around else 0)


@pytest.mark.parametrize("method", ["cached", "plain"])
def test_what_is_drawn_does_not_depend_on_the_precision_of_products(
    method: str, prior: PixelCNN, drawn_by: dict[str, Tensor]
) -> None:
    # On processors with instructions for bfloat16, products are rounded to 8 bits then.
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(four_of(prior, method), drawn_by[method])
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("method", ["cached", "plain"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_in_half_precision_draws_what_its_weights_draw_in_float32(
    dtype: torch.dtype, method: str, prior: PixelCNN
) -> None:
    half = deepcopy(prior).to(dtype).train()
    before = {name: value.clone() for name, value in half.state_dict().items()}
    drawn = four_of(half, method)
    assert torch.equal(drawn, four_of(deepcopy(half).float(), method))
    assert half.training
    assert all(torch.equal(value, before[name]) for name, value in half.state_dict().items())


def test_a_model_in_half_precision_draws_each_of_many_equally_probable_codes() -> None:
    model = PixelCNN(512, 8, num_blocks=1, hidden_channels=4)
    for parameter in model.head.parameters():
        nn.init.zeros_(parameter)
    number = 400 * 64
    codes = model.to(torch.bfloat16).generate(batch_size=400, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(codes.flatten(), minlength=512)
    # Mean and five standard deviations of a chi-square of 511 degrees of freedom.
    assert ((counts - number / 512) ** 2 / (number / 512)).sum() < 511 + 5 * math.sqrt(2 * 511)


@pytest.mark.parametrize("method", ["cached", "plain"])
@pytest.mark.parametrize("temperature", [0, 0.5, 1])
@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_a_model_whose_weights_are_not_finite_is_refused(method: str, temperature: float, weight: float) -> None:
    model = small_model().train()
    model.head[-1].bias.data[2] = weight
    with pytest.raises(InputError, match="check the model's weights"):
        model.generate(method=method, temperature=temperature)
    assert model.training


START = torch.zeros(2, 3, dtype=torch.int64)
GRID = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.int64)
MASK = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_sequence": START + 6}, r"0 … 5, got 0 … 6"),
        ({"start_sequence": START.float()}, "int64"),
        ({"start_sequence": START.bool()}, "int64"),
        ({"start_sequence": [[0.5]]}, "int64"),
        ({"start_sequence": [[0], [1, 2]]}, "start_sequence must be"),
        ({"start_sequence": START[:0]}, "at least 1, got 0"),
        ({"start_sequence": GRID[:0], "known": MASK}, "at least 1, got 0"),
        ({"start_sequence": GRID[:, :0], "known": MASK[:0]}, "at least one code"),
        ({"start_sequence": START[0]}, r"\(B, n\)"),
        ({"start_sequence": GRID}, r"\(B, n\), or \(B, H, W\) together with known"),
        ({"start_sequence": START, "batch_size": 3}, "agree on the number of grids"),
        ({"start_sequence": torch.zeros(1, 36, dtype=torch.int64)}, "36 codes, a grid of 5 × 7 only 35"),
        ({"known": MASK}, "known needs start_sequence"),
        ({"start_sequence": GRID, "known": MASK.long()}, "known must be bool"),
        ({"start_sequence": GRID, "known": MASK.T}, r"shape \(5, 7\)"),
        ({"start_sequence": GRID, "known": MASK, "image_size": 5}, "5 × 7, but image_size is 5"),
        ({"start_sequence": GRID, "known": [1, 0]}, "known must be bool"),
        ({"image_size": 0}, "positive whole number"),
        ({"image_size": 8.0}, "positive whole number"),
        ({"image_size": True}, "positive whole number"),
        ({"image_size": "8"}, "positive whole number"),
        ({"image_size": "88"}, "positive whole number"),
        ({"image_size": np.array([3, 4])}, "positive whole number"),
        ({"image_size": (3, 4, 5)}, "positive whole number"),
        ({"batch_size": 0}, "at least 1, got 0"),
        ({"batch_size": 2.0}, "batch_size must be a whole number"),
        ({"batch_size": True}, "batch_size must be a whole number"),
        ({"method": "fast"}, "'cached' or 'plain'"),
        ({"labels": torch.tensor([0])}, "no classes"),
        ({"labels": 0}, "no classes"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"top_k": 2.5}, "top_k"),
        ({"top_p": 2.0}, "top_p"),
        ({"generator": 5}, "must be a torch.Generator"),
        ({"generator": np.random.default_rng(5)}, "must be a torch.Generator"),
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
        (torch.tensor([False, True]), "int64"),
        (np.array([0.0, 1.0]), "int64"),
        (["happy", "sad"], "labels must be"),
        (torch.tensor(1), r"shape \(B,\)"),
        (1, r"shape \(B,\)"),
        (torch.tensor([[0], [1]]), r"shape \(B,\)"),
    ],
)
@pytest.mark.parametrize("ask", ["forward", "nll", "generate"])
def test_labels_the_model_has_no_class_for_are_refused(ask: str, labels: Any, message: str) -> None:
    model = small_model(num_classes=3)
    asked = {
        "forward": lambda: model(GRID, labels),
        "nll": lambda: model.nll(GRID, labels),
        "generate": lambda: model.generate(batch_size=2, labels=labels),
    }
    if ask == "generate" and message == r"shape \(2,\)":
        message = "agree on the number of grids"
    with pytest.raises(InputError, match=message):
        asked[ask]()


LABELS = [[1, 2], (1, 2), np.array([1, 2]), np.array([1, 2], dtype="u1"), torch.tensor([1, 2], dtype=torch.int32)]


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: f"{type(labels).__name__} {getattr(labels, 'dtype', '')}")
def test_labels_may_be_whole_numbers_of_any_kind(labels: Any) -> None:
    model, expected = small_model(num_classes=3), torch.tensor([1, 2])
    codes = some_codes(model, 2)
    assert torch.equal(model(codes, labels), model(codes, expected))
    assert torch.equal(model.nll(codes, labels), model.nll(codes, expected))
    drawn = [model.generate(labels=given, generator=torch.Generator().manual_seed(0)) for given in (labels, expected)]
    assert torch.equal(*drawn)


@pytest.mark.parametrize("kind", [Tensor.tolist, Tensor.numpy, Tensor.int, lambda codes: codes.numpy().astype("u2")])
def test_codes_may_be_whole_numbers_of_any_kind(kind: Any) -> None:
    model = small_model()
    codes = some_codes(model, 2)
    known = torch.rand(HEIGHT, WIDTH) < 0.5
    assert torch.equal(model(kind(codes)), model(codes))
    assert torch.equal(model.nll(kind(codes)), model.nll(codes))

    def drawn(start: Any, known: Any = None) -> Tensor:
        return model.generate(start, known=known, generator=torch.Generator().manual_seed(0))

    assert torch.equal(drawn(kind(codes.flatten(1)[:, :9])), drawn(codes.flatten(1)[:, :9]))
    for mask in (known.tolist(), known.numpy()):
        assert torch.equal(drawn(kind(codes), mask), drawn(codes, known))


def test_sizes_may_be_integers_of_numpy() -> None:
    model = PixelCNN(np.int64(6), (np.int32(3), np.int64(4)), np.int64(1), np.int64(3), np.int64(4), np.int64(2))
    assert model.config == PixelCNN(6, (3, 4), 1, 3, 4, 2).config
    numbers = ("latent_dim", "num_blocks", "kernel_size", "hidden_channels", "num_classes", "num_attentions")
    assert all(type(model.config[name]) is int for name in numbers)
    assert model.generate(labels=[0, 1], image_size=np.int64(2), batch_size=np.int64(2)).shape == (2, 2, 2)
    assert model.generate(labels=[0], image_size=torch.Size([2, 3])).shape == (1, 2, 3)


def test_a_start_of_no_codes_may_have_any_type() -> None:
    assert small_model().generate([[], []]).shape == (2, HEIGHT, WIDTH)
    assert small_model().generate(torch.empty(2, 0)).shape == (2, HEIGHT, WIDTH)


def test_a_generator_of_another_device_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"generator is on cpu, the model on meta: use torch.Generator\('meta'\)"):
        small_model().to("meta").generate(generator=torch.Generator())


class FakeGenerator(torch.Generator):
    """Says that it is on a device which this machine does not have."""

    device = torch.device("mps", 0)


def test_a_generator_of_the_models_kind_of_device_is_taken_whatever_its_number() -> None:
    pixelcnn._check_generator(FakeGenerator(), torch.device("mps"))
    with pytest.raises(InputError, match="generator is on mps:0, the model on cuda:1"):
        pixelcnn._check_generator(FakeGenerator(), torch.device("cuda", 1))


def test_grids_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(B, H, W\)"):
        small_model()(GRID[0])
    with pytest.raises(InputError, match=r"0 … 5, got 9 … 9"):
        small_model().nll(GRID + 9)


@pytest.mark.parametrize("codes", [GRID[:0], GRID[:, :0], GRID[:, :, :0]])
@pytest.mark.parametrize("ask", ["__call__", "nll"])
def test_no_grids_and_grids_of_nothing_are_refused(codes: Tensor, ask: str) -> None:
    with pytest.raises(InputError, match="at least one grid"):
        getattr(small_model(), ask)(codes)


@pytest.mark.parametrize("codes", [GRID.float(), GRID.bool(), GRID.numpy().astype("f4"), "codes", None])
@pytest.mark.parametrize("ask", ["__call__", "nll"])
def test_what_is_no_grid_of_whole_numbers_is_refused(codes: Any, ask: str) -> None:
    with pytest.raises(InputError, match="codes must be"):
        getattr(small_model(), ask)(codes)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 4},
        {"kernel_size": 1},
        {"kernel_size": 3.0},
        {"latent_dim": 0},
        {"latent_dim": "512"},
        {"num_blocks": 0},
        {"num_blocks": True},
        {"hidden_channels": 2.5},
        {"num_classes": 0},
        {"num_attentions": -1},
        {"num_attentions": 1.0},
        {"code_dim": 0},
        {"coarse_vqvae": 5},
        {"coarse_vqvae": {"num_codes": 5}},
        {"coarse_factor": 0},
    ],
)
def test_settings_without_sense_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        PixelCNN(**options)


def test_more_attentions_than_blocks_are_refused() -> None:
    with pytest.raises(InputError, match="more attentions than blocks, got 3 and 2"):
        PixelCNN(num_blocks=2, num_attentions=3)


@pytest.mark.parametrize(("blocks", "number", "expected"), [(8, 2, "37"), (8, 0, ""), (4, 4, "0123"), (3, 1, "2")])
def test_attentions_are_spread_evenly_and_follow_the_last_block(blocks: int, number: int, expected: str) -> None:
    model = PixelCNN(8, 4, num_blocks=blocks, hidden_channels=4, num_attentions=number)
    assert "".join(model.attentions) == expected


def test_a_model_without_position_does_not_know_where_it_is_and_one_with_it_does() -> None:
    def far_inside(model: PixelCNN) -> Tensor:
        """The logits at two positions that see the same codes, and no border."""
        with torch.no_grad():
            return model(torch.zeros(1, 20, 20, dtype=torch.int64))[0, :, 8:10, 9]

    plain = far_inside(small_model(num_blocks=1))
    torch.testing.assert_close(plain[:, 0], plain[:, 1], atol=1e-12, rtol=0)
    told = far_inside(small_model(num_blocks=1, position=True))
    assert (told[:, 0] - told[:, 1]).abs().max() > 1e-3


def test_codes_of_like_vectors_are_treated_alike() -> None:
    model = small_model(code_dim=2)
    model.set_codebook(torch.tensor([[0.0, 0.0], [0.0, 0.1], [5.0, 0.0], [0.0, 5.0], [-5.0, 0.0], [0.0, -5.0]]))
    nn.init.zeros_(model.embedding.weight)
    nn.init.zeros_(model.head[-1].weight)
    vectors, weights = model.code_vectors(), model.logit_weights()
    for table in (vectors, weights):
        assert (table[0] - table[1]).norm() < 0.1 * (table[0] - table[2]).norm()


def test_a_codebook_is_centred_and_scaled() -> None:
    model = small_model(code_dim=3)
    vectors = 7 + 5 * torch.randn(6, 3, dtype=torch.float64)
    model.set_codebook(vectors)
    assert model.codebook.mean(0).abs().max() < 1e-12
    assert model.codebook.square().mean().item() == pytest.approx(1)
    given = vectors - vectors.mean(0)
    torch.testing.assert_close(model.codebook / model.codebook.norm(), given / given.norm())


@pytest.mark.parametrize("options", [{}, {"code_dim": 3}, {**KNOWS_MORE, "num_classes": 2}])
def test_without_its_codebook_a_model_gives_the_same_logits(options: dict, tmp_path: Path) -> None:
    model = small_model(**options).train()
    labels = torch.tensor([0, 1]) if "num_classes" in options else None
    logits = model(some_codes(model, 2), labels)
    plain = model.without_codebook()
    assert plain.training
    torch.testing.assert_close(plain(some_codes(model, 2), labels), logits, rtol=0, atol=1e-12)
    kept = small_model(**{**options, "code_dim": None})
    kept.load_state_dict(plain.state_dict())  # the names and shapes of a model that never knew one
    assert plain.config == kept.config
    torch.testing.assert_close(model(some_codes(model, 2), labels), logits, rtol=0, atol=0)  # it is left as it was
    plain.save_pretrained(tmp_path / "plain.pt")
    again = PixelCNN.from_pretrained(tmp_path / "plain.pt")
    assert again.config == plain.config


@pytest.mark.parametrize("code_dim", [None, 3])
def test_a_codebook_that_does_not_fit_is_refused(code_dim: int | None) -> None:
    with pytest.raises(InputError, match=r"codebook of shape \(6, 4\)"):
        PixelCNN(6, 4, hidden_channels=4, code_dim=code_dim).set_codebook(torch.zeros(6, 4))


def coarse_vqvae() -> VQVAE:
    """One of five codes."""
    torch.manual_seed(3)
    return VQVAE(3, 5, 2, 4)


def given_coarse(**options: Any) -> tuple[PixelCNN, Tensor, Tensor]:
    """A model of grids of 4 × 6 given coarse ones of 2 × 3, and some of both."""
    model = small_model(image_size=(4, 6), coarse_vqvae=coarse_vqvae(), coarse_factor=2, **options)
    return model, some_codes(model, 2, 4, 6), torch.randint(5, (2, 2, 3))


def test_coarse_codes_are_known_everywhere_from_the_start() -> None:
    model, codes, coarse = given_coarse()
    other = coarse.clone()
    other[:, 1, 2] = (other[:, 1, 2] + 1) % 5  # the last one
    with torch.no_grad():
        changed = (model(codes, coarse=coarse) - model(codes, coarse=other)).abs().sum(1) > 1e-9  # (B, 4, 6)
    assert changed[:, 2:, 4:].all() and changed[:, 0, 0].all()


@pytest.mark.parametrize(("factor", "channels"), [(1, 48), (2, 12), (4, 3), (8, 3), (3, 3)])
def test_each_position_is_told_what_its_coarse_code_decodes_to_there(factor: int, channels: int) -> None:
    vqvae = coarse_vqvae()
    model = PixelCNN(6, 8, 1, hidden_channels=4, coarse_vqvae=vqvae, coarse_factor=factor)
    codes = torch.randint(5, (2, 2, 3))
    picture = 2 * vqvae.decode(codes) - 1  # (2, 3, 8, 12): codes of 4 × 4 pixels
    sketch = model.coarse_features.sketch(codes)
    assert sketch.shape == (2, channels, 2 * factor, 3 * factor)
    for row, column in ((0, 0), (1, 2 * factor), (2 * factor - 1, 3 * factor - 1)):
        side = max(1, 4 // factor) if 4 % factor == 0 else 1
        top, left = row * 4 // factor, column * 4 // factor
        pixels = picture[:, :, top : top + side, left : left + side].flatten(1)
        torch.testing.assert_close(sketch[:, :, row, column], pixels, rtol=0, atol=0)


def test_the_sketch_is_the_same_in_half_precision() -> None:
    model, codes, coarse = given_coarse()
    model = model.float()
    expected = model.coarse_features.sketch(coarse)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.coarse_features.sketch(coarse), expected)
        assert model(codes, coarse=coarse).isfinite().all()


def test_the_coarse_vqvae_is_a_copy_that_is_never_trained(tmp_path: Path) -> None:
    vqvae = coarse_vqvae()
    model = PixelCNN(6, (4, 6), 1, hidden_channels=4, coarse_vqvae=vqvae, coarse_factor=2)
    kept = model.coarse_features.vqvae
    assert checksum(kept) == checksum(vqvae) and kept is not vqvae
    model(
        some_codes(small_model(), 2, 4, 6), coarse=torch.zeros(2, 2, 3, dtype=torch.int64), return_nll=True
    ).sum().backward()
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in kept.parameters())
    nn.init.zeros_(next(vqvae.parameters()))
    assert checksum(kept) != checksum(vqvae)
    model.save_pretrained(tmp_path)
    loaded = PixelCNN.from_pretrained(tmp_path)
    assert checksum(loaded) == checksum(model)
    assert not any(parameter.requires_grad for parameter in loaded.coarse_features.vqvae.parameters())


def test_grids_given_coarse_ones_have_the_size_that_follows() -> None:
    model, _, coarse = given_coarse()
    assert model.generate(coarse=coarse).shape == (2, 4, 6)
    assert model.generate(coarse=torch.zeros(3, 1, 1, dtype=torch.int64)).shape == (3, 2, 2)


@pytest.mark.parametrize(
    ("coarse", "expected"),
    [
        (None, "give coarse"),
        (torch.zeros(2, 3, dtype=torch.int64), r"shape \(B, h, w\)"),
        (torch.zeros(1, 2, 3, dtype=torch.int64), "need coarse codes of shape|agree on the number of grids"),
        (torch.zeros(2, 4, 6, dtype=torch.int64), "need coarse codes of shape"),
        (torch.full((2, 2, 3), 5), r"in 0 … 4, got 5 … 5"),
        (torch.full((2, 2, 3), -1), r"in 0 … 4, got -1 … -1"),
        (torch.zeros(2, 2, 3), "coarse must be whole numbers"),
    ],
)
def test_coarse_codes_that_do_not_fit_are_refused(coarse: Tensor | None, expected: str) -> None:
    model, codes, _ = given_coarse()
    with pytest.raises(InputError, match=expected):
        model(codes, coarse=coarse)
    with pytest.raises(InputError, match=expected):
        model.generate(codes.flatten(1)[:, :3], image_size=(4, 6), coarse=coarse)


def test_a_model_without_coarse_codes_refuses_them() -> None:
    with pytest.raises(InputError, match="leave coarse out"):
        small_model().nll(some_codes(small_model(), 1), coarse=torch.zeros(1, 1, 1, dtype=torch.int64))


def test_muon_moves_the_hidden_layers_and_neither_embedding_nor_head() -> None:
    model, _, _ = given_coarse(**KNOWS_MORE, num_classes=2)
    moved = {id(matrix) for matrix in model.matrices()}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in moved}
    others = {name for name, parameter in model.named_parameters() if parameter.requires_grad} - names
    assert all(name.endswith("weight") and ".vqvae." not in name for name in names)
    assert {"blocks.0.vertical.conv.weight", "attentions.3.query.weight", "coarse_features.output.weight"} <= names
    assert {"embedding.weight", "head.3.weight", "codebook_input.weight", "blocks.0.label_shift.weight"} <= others
    assert all(
        name.endswith("bias") or name.split(".")[-2] in "embedding label_shift norm nothing codebook_input 1 3"
        for name in others - {"codebook_output.weight", "attentions.1.nothing", "attentions.3.nothing"}
    ), others


def test_a_printed_model_says_what_it_was_made_with() -> None:
    assert "position=True, num_attentions=1, code_dim=3, coarse_factor=2\n" in repr(
        PixelCNN(6, 4, 1, 3, 8, 2, True, num_attentions=1, code_dim=3, coarse_vqvae=coarse_vqvae(), coarse_factor=2)
    )
    assert repr(PixelCNN(6, 4, 1, 3, 8, 2)).startswith(
        "PixelCNN(\n  latent_dim=6, image_size=(4, 4), num_blocks=1, kernel_size=3, hidden_channels=8, num_classes=2\n"
    )


@pytest.mark.parametrize("num_classes", [None, 3])
def test_the_nll_can_be_had_by_calling_the_model(num_classes: int | None) -> None:
    model = small_model(num_classes=num_classes)
    codes, labels = some_codes(model, 2), None if num_classes is None else torch.tensor([0, 2])
    assert torch.equal(model(codes, labels, return_nll=True), model.nll(codes, labels))


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    """A distributed training of a single process."""
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch is built without it")
@pytest.mark.usefixtures("one_process")
def test_a_distributed_model_takes_the_same_step() -> None:
    models = [small_model(num_classes=3) for _ in range(2)]
    codes, labels = some_codes(models[0], 4), torch.arange(4) % 3
    wrapped = nn.parallel.DistributedDataParallel(models[0])
    seen = []

    def note(_: None, bucket: torch.distributed.GradBucket) -> torch.futures.Future[Tensor]:
        seen.append(bucket)
        future: torch.futures.Future[Tensor] = torch.futures.Future()
        future.set_result(bucket.buffer())
        return future

    wrapped.register_comm_hook(None, note)
    for model, call in ((models[0], wrapped), (models[1], models[1])):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        call(codes, labels, return_nll=True).mean().backward()
        optimizer.step()
    assert seen  # the wrapper has seen the gradients, and in a larger group would have averaged them
    for ours, theirs in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("return_nll", [False, True])
def test_the_model_can_be_exported_for_any_number_of_grids(return_nll: bool) -> None:
    model = small_model(num_classes=3).eval()
    codes, labels = some_codes(model, 3), torch.tensor([2, 0, 1])
    number = torch.export.Dim("number", min=2)
    shapes = {"codes": {0: number}, "labels": {0: number}, "coarse": None, "return_nll": None}
    exported = torch.export.export(model, (codes[:2], labels[:2], None, return_nll), dynamic_shapes=shapes).module()
    torch.testing.assert_close(
        exported(codes, labels, None, return_nll), model(codes, labels, None, return_nll), atol=1e-12, rtol=0
    )


def test_the_model_can_be_traced_by_a_compiler() -> None:
    # Without a back end: this is what torch.compile does first, and most of what it cannot do fails here.
    torch._dynamo.reset()
    model = small_model(num_classes=3)
    codes, labels = some_codes(model, 2), torch.tensor([2, 0])
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.equal(compiled(codes, labels, return_nll=True), model.nll(codes, labels))
    assert torch.equal(compiled(codes, labels), model(codes, labels))
