"""The cached sampler: the same logits, the same samples, and no work that is not needed."""

import gc
import random
import weakref

import pytest
import torch
from torch import Tensor, nn

from lpvq import PixelCNN, load_pretrained, runtime
from lpvq.models import pixelcnn
from lpvq.models.cached_sampler import CachedSampler, cache_bytes


def a_model(seed: int = 0, **options: int | tuple[int, int] | None) -> PixelCNN:
    """A model in float64 whose weights are so large that every code matters."""
    torch.manual_seed(seed)
    model = PixelCNN(
        **{"latent_dim": 6, "image_size": (5, 7), "num_blocks": 3, "hidden_channels": 6, **options}
    ).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.7)
    if model.config["code_dim"]:
        model.set_codebook(torch.randn(model.latent_dim, model.config["code_dim"]))
    return model


def some_coarse_codes(model: PixelCNN, batch: int, size: tuple[int, int]) -> Tensor | None:
    if model.num_coarse_codes is None:
        return None
    return torch.randint(model.num_coarse_codes, (batch, *(side // model.coarse_factor for side in size)))


def some_codes(model: PixelCNN, batch: int, height: int, width: int) -> Tensor:
    return torch.randint(model.latent_dim, (batch, height, width), generator=torch.Generator().manual_seed(1))


COARSE_VQVAE = {"in_channels": 1, "num_codes": 3, "code_dim": 2, "hidden_channels": 2, "downsample": 2}
WITH_ALL = {"position": True, "num_attentions": 2, "code_dim": 2, "coarse_vqvae": COARSE_VQVAE, "coarse_factor": 1}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("num_classes", [None, 4])
@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize("size", [(5, 7), (1, 4), (4, 1), (6, 2)])
@pytest.mark.parametrize(
    "more",
    [
        {},
        *({name: value} for name, value in WITH_ALL.items() if name in ("position", "num_attentions", "code_dim")),
        WITH_ALL,
    ],
)
def test_cached_logits_equal_full_logits_at_every_position(
    batch: int, num_classes: int | None, kernel_size: int, size: tuple[int, int], more: dict
) -> None:
    model = a_model(num_classes=num_classes, kernel_size=kernel_size, **more)
    codes = some_codes(model, batch, *size)
    coarse = some_coarse_codes(model, batch, size)
    labels = None if num_classes is None else torch.arange(batch) + 1
    with torch.no_grad():
        full = model(codes, labels, coarse=coarse)
        steps = CachedSampler(model, labels, batch, size, coarse)
        for row in range(size[0]):
            steps.begin_row(codes, row)
            for column in range(size[1]):
                # Float64: the same sums in another order, of numbers up to a few hundred.
                torch.testing.assert_close(
                    steps.logits_at(codes, row, column), full[:, :, row, column], atol=1e-10, rtol=0
                )


def test_attention_to_all_keys_with_a_bias_is_the_same_as_to_those_that_there_are() -> None:
    # What a GPU does, which replays steps of one size.
    model = a_model(num_attentions=2)
    codes = some_codes(model, 2, 5, 7)
    with torch.no_grad():
        full = model(codes)
        steps = CachedSampler(model, None, 2, (5, 7))
        for attention in steps.attentions:
            if attention is not None:
                attention.all_keys = True
        for row in range(5):
            steps.begin_row(codes, row)
            for column in range(7):
                logits = steps.logits_at(codes, row, column)
                torch.testing.assert_close(logits, full[:, :, row, column], atol=1e-10, rtol=0)


def test_in_single_precision_the_logits_agree_to_a_ten_thousandth() -> None:
    # The trained weights: those of a fresh model are small, and so would be its differences. Logits of codes that are
    # out of the question are below -100, where a millionth is a ten-thousandth.
    _, prior = load_pretrained("smileys")
    labels = torch.arange(4) % 3
    codes = prior.generate(labels=labels, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        full = prior(codes, labels)
        steps = CachedSampler(prior, labels, 4, codes.shape[1:])
        for row in range(codes.shape[1]):
            steps.begin_row(codes, row)
            for column in range(codes.shape[2]):
                torch.testing.assert_close(
                    steps.logits_at(codes, row, column), full[:, :, row, column], atol=1e-4, rtol=1e-6
                )


def test_the_cache_never_looks_at_codes_that_are_not_drawn_yet() -> None:
    model = a_model()
    height, width = model.image_size
    codes = some_codes(model, 2, height, width)
    with torch.no_grad():
        full = model(codes)
        for position in range(height * width):
            row, column = divmod(position, width)
            blinded = codes.clone()
            blinded.view(2, -1)[:, position:] = 0
            steps = CachedSampler(model, None, 2, (height, width))
            steps.begin_row(blinded, row)
            logits = steps.logits_at(blinded, row, column)
            torch.testing.assert_close(logits, full[:, :, row, column], atol=1e-10, rtol=0)


def a_random_task(choose: random.Random) -> tuple[PixelCNN, dict]:
    """A random small model, and random arguments for ``generate``."""
    factor = choose.choice([1, 2])
    size = factor * choose.randint(1, 4 // factor), factor * choose.randint(1, 4 // factor)
    batch, num_classes = choose.randint(1, 3), choose.choice([None, 2, 3])
    num_blocks = choose.randint(1, 3)
    model = a_model(
        choose.randrange(10**6),
        latent_dim=choose.randint(1, 6),
        num_blocks=num_blocks,
        kernel_size=choose.choice([3, 3, 5, 7]),
        hidden_channels=choose.randint(1, 6),
        num_classes=num_classes,
        position=choose.random() < 0.5,
        num_attentions=choose.randint(0, num_blocks),
        code_dim=choose.choice([None, 1, 3]),
        coarse_vqvae=choose.choice([None, COARSE_VQVAE]),
        coarse_factor=factor,
    )
    start: dict = {"batch_size": batch, "image_size": size}
    codes = torch.randint(model.latent_dim, (batch, *size))
    if choose.random() < 0.3:
        start = {"start_sequence": codes.flatten(1)[:, : choose.randint(0, size[0] * size[1])], "image_size": size}
    elif choose.random() < 0.4:
        known = torch.rand((batch, *size) if choose.random() < 0.5 else size) < choose.random()
        start = {"start_sequence": codes, "known": known}
    return model, {
        **start,
        "labels": None if num_classes is None else torch.randint(num_classes, (batch,)),
        "coarse": some_coarse_codes(model, batch, size),
        "temperature": choose.choice([0, 0.5, 1, 1, 1.5]),
        "top_k": choose.choice([None, None, 1, 3, 9]),
        "top_p": choose.choice([None, None, 0.5, 0.9]),
    }


def test_a_thousand_random_models_draw_the_same_both_ways() -> None:
    choose = random.Random(0)
    for task in range(1000):
        model, arguments = a_random_task(choose)
        cached, plain = (
            model.generate(**arguments, method=method, generator=torch.Generator().manual_seed(task))
            for method in ("cached", "plain")
        )
        assert torch.equal(cached, plain), f"task {task}: {model.config}, {arguments}"


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """What the cache is asked to do, in order."""
    done: list[tuple[str, object]] = []
    vertical, step, predict = CachedSampler._vertical, CachedSampler._step, CachedSampler._predict

    def noted_vertical(self: CachedSampler, row: int, above: Tensor | None, wanted: bool) -> None:
        done.append(("row", wanted))
        vertical(self, row, above, wanted)

    def noted_step(self: CachedSampler, column: int) -> None:
        done.append(("step", column))
        step(self, column)

    monkeypatch.setattr(CachedSampler, "_vertical", noted_vertical)

    def noted_predict(self: CachedSampler, column: int) -> None:
        done.append(("predict", column))
        predict(self, column)

    monkeypatch.setattr(CachedSampler, "_step", noted_step)
    monkeypatch.setattr(CachedSampler, "_predict", noted_predict)
    return done


def test_each_feature_is_computed_once(work: list) -> None:
    a_model(image_size=(2, 3)).generate()
    codes = [(what, column) for column in range(3) for what in ("step", "predict")]
    row = [("row", True), *codes]
    assert work == row * 2


def test_nothing_is_computed_for_what_all_grids_know_but_to_fill_the_cache(work: list) -> None:
    model = a_model(image_size=(4, 3))
    # The first row is known, of the second all but the middle, of the last two all.
    known = torch.tensor([[1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 1, 1]], dtype=torch.bool)
    model.generate(some_codes(model, 2, 4, 3), known=known)
    assert work == [("row", False), ("row", True), ("step", 0), ("step", 1), ("predict", 1)]


def test_a_grid_that_is_all_known_costs_nothing(work: list) -> None:
    model = a_model(image_size=2)
    model.generate(some_codes(model, 1, 2, 2), known=torch.ones(2, 2, dtype=torch.bool))
    assert work == []


@pytest.mark.parametrize("method", ["cached", "plain"])
def test_many_grids_are_drawn_in_parts_and_are_the_same(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    model = a_model(num_classes=3)
    known = torch.rand(5, 5, 7) < 0.3
    bars = []

    def drawn() -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return model.generate(
            some_codes(model, 5, 5, 7), known=known, labels=torch.arange(5) % 3, method=method, generator=generator
        )

    def noted(items: None, description: str, total: int, **options: int) -> object:
        bars.append((description, total))
        return runtime.progress(items, description, total=total, **options)

    monkeypatch.setattr(pixelcnn, "progress", noted)
    together = drawn()
    monkeypatch.setattr(pixelcnn, "_CACHE_BYTES", 2 * cache_bytes(model, (5, 7)))
    assert torch.equal(drawn(), together)
    draws = sum(int((~known[part]).any(0).sum()) for part in (slice(0, 2), slice(2, 4), slice(4, 5)))
    assert bars == [("drawing codes", int((~known).any(0).sum())), ("drawing codes in 3 parts", draws)]


def test_the_estimate_of_the_caches_memory_is_close() -> None:
    model = PixelCNN(latent_dim=512, image_size=32)
    model.generate(batch_size=1, image_size=(2, 32))
    batch = 8
    with torch.no_grad():
        steps = CachedSampler(model, None, batch, (32, 32))
        for row in range(3):
            steps.begin_row(torch.zeros(batch, 32, 32, dtype=torch.int64), row)
    tensors = [steps.links, steps.h_columns, steps.mixed, steps.vertical_input.rows]
    tensors += [block.vertical.rows for block in steps.blocks]
    # A quarter: what belongs to no block is left out of the estimate.
    assert sum(tensor.nbytes for tensor in tensors) == pytest.approx(batch * cache_bytes(model, (32, 32)), rel=0.25)


def test_the_memory_is_free_again_as_soon_as_the_cache_is_gone() -> None:
    gc.disable()  # it would find what a circle of references holds
    try:
        steps = CachedSampler(a_model(), None, 2, (5, 7))
        h_columns = weakref.ref(steps.h_columns)
        del steps
        assert h_columns() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("training", [True, False])
def test_ctrl_c_stops_between_codes_and_leaves_the_model_as_it_was(
    monkeypatch: pytest.MonkeyPatch, training: bool
) -> None:
    model = a_model().train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CachedSampler, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.generate()
    assert model.training == training
    assert not torch.is_inference_mode_enabled()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_doing_a_step_twice_changes_nothing() -> None:
    # What is recorded on a GPU is done once more before.
    model = a_model()
    codes = some_codes(model, 2, 5, 7)
    with torch.no_grad():
        once, twice = CachedSampler(model, None, 2, (5, 7)), CachedSampler(model, None, 2, (5, 7))
        twice.run_step = lambda step, column: [step(column), step(column)]
        for steps in (once, twice):
            steps.begin_row(codes, 1)
            steps.logits_at(codes, 1, 3)
    assert torch.equal(once.logits, twice.logits)
