"""The benchmark: it measures what it says and prints what it measured. How fast is no test's business."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from lpvq import PixelCNN
from lpvq.experiments import bench
from lpvq.experiments.bench import Row


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "NUM_CODES": 8,
        "BLOCKS": 2,
        "CHANNELS": 4,
        "SAMPLED": ((2, 1), (3, 4)),
        "SAMPLED_KNOWING_MORE": ((4, 2),),
        "TRAINED": (2, 3),
        "QUANTIZED": (1, 64, 4, 4),
        "MEMORY_OF": (2, 2),
        "PRODUCT": 16,
        "UNCOUNTED": 1,
    }.items():
        monkeypatch.setattr(bench, name, value)


def test_everything_is_measured_beside_its_reference(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, made_fast = [], []
    monkeypatch.setattr(bench, "compiled", lambda function: made_fast.append(function) or function)
    generate = PixelCNN.generate

    def noted(self: PixelCNN, *codes: torch.Tensor, **options: object) -> torch.Tensor:
        told = sum(self.config[name] not in (None, 0) for name in ("num_attentions", "coarse_vqvae"))
        drawn.append((options.get("method", "cached"), options.get("image_size"), *["told more"] * told))
        return generate(self, *codes, **options)

    monkeypatch.setattr(PixelCNN, "generate", noted)
    rows = {(row.part.split(",")[0], row.what): row for row in bench.measure(runs=2)}
    # Two runs and a first one that is not counted, in turns; at the end once more for the memory.
    plain = [("plain", None), ("cached", 2)] * 3 + [("plain", None), ("cached", 3)] * 3
    told_more = [("plain", None, "told more"), ("cached", 4, "told more")] * 3
    assert drawn == [*plain, *told_more, *told_more, ("cached", 2)]
    compared = {
        ("sampling", "1 grid of 2 × 2"),
        ("sampling", "4 grids of 3 × 3"),
        ("sampling", "2 grids of 4 × 4, position and attention"),
        ("sampling", "2 grids of 4 × 4, position and coarse codes"),
        *(
            ("training step of the prior", f"{grids} grids, {name}{how}")
            for grids in (2, 3)
            for name in bench._PRECISIONS
            for how in ("", ", compiled")
        ),
        *(("training step of the VQ-VAE", f"64 images, {name}") for name in bench._PRECISIONS),
        ("quantizer in training", "16 vectors, time"),
        *(
            ("matrix products: what the machine can do", f"{name}, training step of 2 grids")
            for name in bench._PRECISIONS
        ),
    }
    assert compared <= {key for key, row in rows.items() if row.reference is not None}
    assert len(made_fast) == 4
    assert ("import", "a new process that imports lpvq") in rows
    assert all(row.here > 0 for row in rows.values() if row.unit != "MB")


class _Seen(TorchDispatchMode):
    """Notes the number types that convolutions, or where there are none matrix products, are computed in."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions: set[torch.dtype] = set()
        self.products: set[torch.dtype] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for kind, seen in (("convolution", self.convolutions), ("mm", self.products)):
            if function.overloadpacket.__name__ == kind:
                seen.add(args[0].dtype)
        return function(*args, **(kwargs or {}))


def test_a_precision_is_what_was_computed_in_while_its_time_was_taken(
    tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_turns(runs: int, **actions: Callable[[], object]) -> dict[str, float]:
        seconds = {}
        for name, action in actions.items():
            with _Seen() as seen:
                action()
            (kind,) = seen.convolutions or seen.products  # one kind alone: nothing falls back to another
            seconds[name] = float(kind.itemsize)
        return seconds

    monkeypatch.setattr(bench, "_in_turns", in_turns)
    monkeypatch.setattr(bench, "compiled", lambda function: function)
    training = bench._prior_training(1) + bench._vqvae_training(1)
    assert len(training) == 2 * 4 + 2
    for row in training:
        assert row.here == (2 if "bfloat16" in row.what else 4), row
    assert {row.reference for row in training[:8]} == {4}  # as most public code has it
    assert [row.reference for row in training[8:]] == [4, 2]  # the same precision, another quantizer
    peaks = {row.what: row.here for row in bench._products(1, training) if "×" in row.what}
    assert peaks["bfloat16, 16 × 16"] == 2 * peaks["float32, 16 × 16"]  # in half the time


def test_the_ratio_says_how_many_times_better() -> None:
    assert Row("", "", "s", 2.0, 0.5).ratio == 4
    assert Row("", "", "MB", 90.0, 30.0).ratio == 3
    assert Row("", "", "GFLOP/s", 200.0, 50.0).ratio == 0.25
    assert Row("", "", "s", None, 1.0).ratio is None


def test_the_plain_time_of_a_grid_is_that_of_two_codes_times_half_their_number(
    tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_in_turns", lambda runs, plain, cached: {"plain": 3.0, "cached": 0.5})
    small, large, *told_more = bench._sampling(1)
    assert (small.reference, small.here) == (3.0 * 4 / 2, 0.5)
    assert large.reference == 3.0 * 9 / 2
    assert [row.reference for row in told_more] == [3.0 * 16 / 2] * 2


def test_medians_are_taken_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "UNCOUNTED", 1)
    clock = iter([0, 9, 0, 9, 0, 1, 0, 5, 0, 3, 0, 4, 0, 2, 0, 6])
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(clock))
    order: list[str] = []
    measured = bench._in_turns(3, a=lambda: order.append("a"), b=lambda: order.append("b"))
    assert order == ["a", "b"] * 4
    assert measured == {"a": 2, "b": 5}


def test_the_operations_of_a_training_step_are_those_that_torch_counts() -> None:
    with FlopCounterMode(display=False) as counter:
        bench._prior()(torch.zeros(3, 8, 8, dtype=torch.int64))
    assert bench._step_operations(3) == 3 * counter.get_total_flops()


def test_the_convolution_of_the_peak_is_a_matrix_product() -> None:
    matrix = torch.randn(32, 32)
    product = bench._product_by_convolution(matrix)()
    assert isinstance(product, torch.Tensor)
    torch.testing.assert_close(product.movedim(1, -1).reshape(32, 32), matrix @ matrix)


@pytest.mark.skipif(not bench._memory_can_be_measured(), reason="memory is measured on Linux with the GNU C library")
def test_the_peak_of_memory_counts_what_is_freed_again() -> None:
    def take_40_megabytes() -> None:
        torch.ones(10_000_000)
        torch.ones(1)

    assert bench._peak_memory(take_40_megabytes) == pytest.approx(40, rel=0.1)
    assert bench._peak_memory(lambda: None) < 4


def test_the_table_has_a_heading_for_each_part_and_a_line_for_each_row() -> None:
    rows = [
        Row("sampling", "x", "s", 2.0, 0.5),
        Row("sampling", "y", "s", None, 0.5),
        Row("peak", "z", "GFLOP/s", 200.0, 50.0),
    ]
    table = [line.split() for line in bench.format_table(rows).splitlines()]
    assert table == [
        ["sampling", "reference", "here"],
        ["x", "2", "0.5", "s", "4×"],
        ["y", "0.5", "s"],
        [],
        ["peak", "reference", "here"],
        ["z", "200", "50", "GFLOP/s", "25%"],
    ]


def test_the_machine_is_described_in_words_and_numbers() -> None:
    about = bench.about_the_machine()
    assert about["torch"] == torch.__version__
    assert {"architecture", "cores", "threads", "vector_instructions", "bfloat16_instructions"} <= set(about)
