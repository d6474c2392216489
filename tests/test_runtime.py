"""The device, the precision, memory, compiling and the progress bar."""

import importlib
import io
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

import lpvq
from lpvq import InputError, runtime
from lpvq.runtime import (
    choose_device,
    choose_precision,
    compiled,
    full_precision,
    in_batches,
    keep_memory,
    progress,
    without_bars,
)


def test_the_device_is_the_one_named_then_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPVQ_DEVICE", "cpu:0")
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device() == torch.device("cpu:0")


def test_without_a_word_the_fastest_device_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LPVQ_DEVICE", raising=False)
    for cuda, mps, expected in [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert choose_device() == torch.device(expected)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:x", "meta"])
def test_a_device_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=name):
        choose_device(name)


CPU = torch.device("cpu")


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> dict[torch.dtype, float]:
    """How long a product takes on the machine that the tests pretend to run on, which knows bfloat16."""
    seconds = {torch.float32: 1.0, torch.bfloat16: 0.5}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(runtime, "_product_seconds", seconds.__getitem__)
    runtime._fast_at_bfloat16.cache_clear()
    yield seconds
    runtime._fast_at_bfloat16.cache_clear()


def test_bfloat16_is_chosen_where_it_is_fast(timed: dict[torch.dtype, float]) -> None:
    assert choose_precision(CPU) == torch.bfloat16


def test_bfloat16_is_not_chosen_where_it_is_no_faster(timed: dict[torch.dtype, float]) -> None:
    timed[torch.bfloat16] = 0.9
    assert choose_precision(CPU) == torch.float32


def test_bfloat16_is_not_chosen_without_instructions_for_it(
    timed: dict[torch.dtype, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "avx2": True})
    assert choose_precision(CPU) == torch.float32


def test_the_choice_is_remembered(timed: dict[torch.dtype, float]) -> None:
    choose_precision(CPU)
    timed.clear()  # timing once more would fail
    assert choose_precision(CPU) == torch.bfloat16


def test_a_precision_that_is_wished_for_is_not_timed(timed: dict[torch.dtype, float]) -> None:
    timed.clear()
    assert choose_precision(CPU, "float32") == torch.float32
    assert choose_precision(CPU, "bfloat16") == torch.bfloat16


def test_a_busy_moment_does_not_decide(timed: dict[torch.dtype, float], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[torch.dtype] = []

    def busy_but_for_the_last_round(kind: torch.dtype) -> float:
        calls.append(kind)
        busy = kind == torch.bfloat16 and calls.count(kind) < runtime._ROUNDS
        return 9 * timed[kind] if busy else timed[kind]

    monkeypatch.setattr(runtime, "_product_seconds", busy_but_for_the_last_round)
    assert choose_precision(CPU) == torch.bfloat16


def test_a_product_is_timed_in_the_type_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds, multiply, clock = [], Tensor.__matmul__, iter([3.0, 5.0])
    monkeypatch.setattr(Tensor, "__matmul__", lambda a, b: kinds.append(a.dtype) or multiply(a, b))
    monkeypatch.setattr(runtime.time, "perf_counter", lambda: next(clock))
    assert runtime._product_seconds(torch.bfloat16) == 2.0
    assert kinds == [torch.bfloat16]


@pytest.mark.parametrize(
    ("number", "size", "at_once", "sizes"), [(10, 4, 12, [3, 3, 3, 1]), (2, 100, 12, [1, 1]), (3, 1, 12, [3])]
)
def test_batches_are_small_however_large_an_item_is(number: int, size: int, at_once: int, sizes: list[int]) -> None:
    batches = in_batches(number, size, at_once)
    assert [len(batch) for batch in batches] == sizes
    assert torch.cat(batches).tolist() == list(range(number))


def test_what_holds_tensors_is_not_compared_number_by_number() -> None:
    # The comparison of a frozen dataclass would ask whether a tensor of many truths is true.
    checked = []
    for module in pkgutil.walk_packages(lpvq.__path__, "lpvq."):
        if module.name == "lpvq.__main__" or module.name.startswith("lpvq.classroom"):  # run something, need nbgrader
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            if isinstance(kind, type) and is_dataclass(kind) and any("Tensor" in str(f.type) for f in fields(kind)):
                checked.append(kind.__name__)
                assert kind.__eq__ is object.__eq__, kind
    assert {"Quantized", "VQVAEOutput", "ImageData", "LatentCodes"} <= set(checked)


def test_keeping_memory_asks_the_c_library_once_and_takes_no_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Library:
        def mallopt(self, option: int, value: int) -> int:
            asked.append((option, value))
            return int(value <= 2**25)

    monkeypatch.setattr(runtime.sys, "platform", "linux")
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda _: Library())
    keep_memory.__wrapped__()
    assert asked == [(-1, 2**31 - 1), (-3, 2**30), (-3, 2**25)]
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda _: object())  # another C library
    keep_memory.__wrapped__()
    monkeypatch.setattr(runtime.sys, "platform", "darwin")
    keep_memory.__wrapped__()
    assert len(asked) == 3


def test_where_compiling_fails_a_function_is_left_as_it_is_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: object) -> object:
        raise RuntimeError("no compiler here\nand much more")

    def double(x: Tensor) -> Tensor:
        return 2 * x

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.warns(UserWarning, match=r"no compiler here\): going on without it") as warnings:
        assert compiled(double) is double
    assert len(warnings) == 1


def test_where_compiling_works_the_compiled_function_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function: lambda x: function(x) + 1)
    assert compiled(torch.neg)(torch.ones(1)).item() == 0


def test_the_bar_is_shown_in_a_terminal_and_not_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (True, False):
        stream = io.StringIO()
        stream.isatty = lambda terminal=terminal: terminal
        monkeypatch.setattr(sys, "stderr", stream)
        assert list(progress(range(3), "counting")) == [0, 1, 2]
        assert ("counting" in stream.getvalue()) == terminal


def test_a_short_loop_shows_no_bar_whatever_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(progress(range(3), "counting", least=4)) == [0, 1, 2]
    with progress(None, "moving", total=3, least=4) as bar:
        bar.update(3)
    assert stream.getvalue() == ""
    list(progress(range(4), "counting", least=4))
    assert "counting" in stream.getvalue()


def test_one_bar_stands_for_all_that_begins_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(None, "outer", total=3) as bar, without_bars():
        bar.update(len(list(progress(range(3), "inner"))))
    list(progress(range(3), "later"))
    assert "outer" in stream.getvalue() and "inner" not in stream.getvalue() and "later" in stream.getvalue()


def test_the_bar_of_a_notebook_is_html_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def display(data: dict[str, str], **_: object) -> SimpleNamespace:
        assert data["text/plain"].startswith("counting <faces>:")
        shown.append(data["text/html"])
        return SimpleNamespace(update=display)

    monkeypatch.setattr(runtime, "running_in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", display)
    assert list(progress(range(1000, 3000), "counting <faces>", initial=1000, total=3000)) == list(range(1000, 3000))
    assert list(progress(range(3), "counting", least=4)) == [0, 1, 2]
    assert 'value="1000" max="3000"' in shown[0] and 'value="3000" max="3000"' in shown[-1]
    assert "counting &lt;faces&gt;" in shown[0] and "3,000 of 3,000" in shown[-1] and "left" not in shown[-1]
    with progress((x for x in "abc"), "counting <faces>") as bar:  # nobody knows how many
        bar.set_postfix(loss="0.1")
        assert list(bar) == ["a", "b", "c"]
    assert 'value="3" max="3"' in shown[-1] and "loss=0.1" in shown[-1]


BACKENDS = torch.backends
OPERATIONS = {
    "products on a CPU": BACKENDS.mkldnn.matmul,
    "convolutions on a CPU": BACKENDS.mkldnn.conv,
    "products on a GPU": BACKENDS.cuda.matmul,
    "convolutions on a GPU": BACKENDS.cudnn.conv,
}


def settings() -> dict[str, str]:
    return {name: operation.fp32_precision for name, operation in OPERATIONS.items()}


@pytest.fixture
def _settings_put_back() -> Iterator[None]:
    before = settings()
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.fp32_precision = "none"
    for name, operation in OPERATIONS.items():
        operation.fp32_precision = before[name]


def product_error() -> float:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 256, 256, generator=generator)
    return (a @ b - a.double() @ b.double()).abs().max().item()


@pytest.mark.usefixtures("_settings_put_back")
@pytest.mark.parametrize("wish", ["highest", "high", "medium"])
def test_in_full_precision_nothing_is_rounded_further_and_the_setting_comes_back(wish: str) -> None:
    torch.set_float32_matmul_precision(wish)
    before = settings()
    with full_precision():
        assert set(settings().values()) == {"ieee"}
        assert product_error() < 1e-3  # with bfloat16 0.2, on processors that have instructions for it
    assert settings() == before
    assert torch.get_float32_matmul_precision() == wish


@pytest.mark.usefixtures("_settings_put_back")
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_full_precision_can_be_had_whatever_is_set_and_ends_with_an_error_too(name: str) -> None:
    # Of a single operation set by itself, torch.get_float32_matmul_precision knows nothing, and raises.
    OPERATIONS[name].fp32_precision = "tf32"
    before = settings()
    with pytest.raises(KeyboardInterrupt), full_precision():
        raise KeyboardInterrupt
    assert settings() == before


@pytest.mark.usefixtures("_settings_put_back")
def test_after_full_precision_an_operation_follows_what_is_set_for_all_again() -> None:
    for operation in OPERATIONS.values():
        operation.fp32_precision = "none"
    torch.backends.fp32_precision = "bf16"
    with full_precision():
        assert set(settings().values()) == {"ieee"}
        with full_precision():
            pass
        assert set(settings().values()) == {"ieee"}
    assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    torch.backends.fp32_precision = "tf32"
    assert torch.backends.mkldnn.matmul.fp32_precision == "tf32"
