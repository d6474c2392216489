"""Answers in all their forms, and what is said of wrong ones."""

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from answers import forms_of_number, forms_of_numbers, forms_of_tensor
from lpvq.course.exercises.comparing import (
    Complaint,
    as_numbers,
    as_tensor,
    call,
    checker,
    compare_number,
    compare_order,
    compare_tensor,
    compare_truths,
    own_random_numbers,
)


@pytest.mark.parametrize(
    "answer",
    [
        *forms_of_number(2),
        np.int8(2),
        np.float16(2),
        np.uint64(2),
        np.longdouble(2),
        Fraction(4, 2),
        nn.Parameter(torch.tensor(2.0)),
        torch.tensor(2, dtype=torch.bfloat16),
        range(2, 3),
        np.array(2, dtype=object),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_a_number_may_have_any_form(answer: Any) -> None:
    assert compare_number(answer, 2, 1e-6) is None
    assert compare_number(answer, 3, 1e-6) == "2 is too small"


def test_long_whole_numbers_keep_their_last_digit() -> None:
    assert compare_number(10**15 + 1, 10**15 + 1, 0) is None
    assert compare_number(10**15 + 1, 10**15, 0) == "1000000000000001 is a little too large"
    assert compare_number(10**30, 1, 0) == "1000000000000000019884624838656 is too large"


@pytest.mark.parametrize("answer", forms_of_tensor(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])))
def test_a_tensor_may_have_any_form(answer: Any) -> None:
    expected = torch.tensor([[1, 2], [3, 4], [5, 6]])
    assert compare_tensor(answer, expected) is None
    assert compare_tensor(answer, expected + 1) == "all of its values are wrong"


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.uint16, np.int32, np.float16, np.float32, object])
def test_an_array_may_have_any_type(kind: type) -> None:
    assert torch.equal(as_tensor(np.array([0, 1, 1], dtype=kind)).double(), torch.tensor([0, 1, 1]).double())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_tensor_may_be_on_a_gpu() -> None:
    assert compare_tensor(torch.ones(2, device="cuda"), torch.ones(2)) is None


@pytest.mark.parametrize("answer", forms_of_numbers(64, 48))
def test_named_numbers_are_taken_out_of_any_sequence(answer: Any) -> None:
    assert as_numbers(answer, "height", "width") == [64, 48]
    with pytest.raises(Complaint, match=r"^expected three numbers \(a, b, c\), got 2$"):
        as_numbers(answer, "a", "b", "c")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("two", "expected a number, got str"),
        (None, "expected a number, got None"),
        (True, "expected a number, got True or False"),
        (np.bool_(True), "expected a number, got True or False"),
        (1j, "expected a number, got complex"),
        (np.array(1j), "expected a number, got complex numbers"),
        (Decimal(2), "expected a number, got Decimal"),
        ({2}, "expected a number, got set"),
        ({"two": 2}, "expected a number, got dict"),
        (lambda: 2, "expected a number, got a function"),
        (torch.ones(2, 3), "expected a number, got Tensor of shape (2, 3)"),
        (np.ones(2), "expected a number, got ndarray of shape (2,)"),
        (np.array(["two"]), "expected a number, got an array of <U3"),
        ([], "expected a number, got list"),
        ([1, 2], "expected a number, got list"),
        ([...], "a part of it is still ..."),
        ([[1, 2], [3]], "its parts have different shapes"),
        (float("nan"), "it is not a number (NaN)"),
        (-float("inf"), "it is infinite"),
    ],
)
def test_what_is_no_number_is_called_by_its_kind(answer: Any, complaint: str) -> None:
    assert compare_number(answer, 2, 0.1) == complaint


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (2.05, None),
        (1.92, "1.92 is a little too small"),
        (2.09, "2.09 is a little too large"),
        (0, "0 is too small"),
        (3, "3 is too large"),
        (7, "the sum is not asked for"),
        (1 / 3, "0.333333 is too small"),
    ],
)
def test_a_wrong_number_is_told_its_kind_of_mistake(answer: float, complaint: str | None) -> None:
    assert compare_number(answer, 2, 0.05, {"the sum is not asked for": 7}) == complaint


TRUTHS = {"a": True, "b": False, "c": True}


@pytest.mark.parametrize("form", [bool, int, float, np.bool_, torch.tensor, lambda value: np.array([value])])
def test_a_truth_may_have_any_form(form: Any) -> None:
    assert compare_truths({name: form(value) for name, value in TRUTHS.items()}, TRUTHS, "why?") is None


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (TRUTHS | {"a": False}, "1 of 3 wrong. Ask of each: why?"),
        (dict.fromkeys(TRUTHS, True), "they are not all alike. 1 of 3 wrong. Ask of each: why?"),
        ({"a": True}, "expected a dictionary with True or False for each of a, b, c"),
        ([True, False, True], "expected a dictionary with True or False for each of a, b, c"),
        (TRUTHS | {"a": "yes"}, "expected True or False for 'a', got str"),
        (TRUTHS | {"a": 2}, "expected True or False for 'a', got 2"),
        (TRUTHS | {"a": ...}, "a part of it is still ..."),
    ],
)
def test_wrong_truths_are_counted_and_not_named(answer: Any, complaint: str) -> None:
    assert compare_truths(answer, TRUTHS, "why?") == complaint


ORDER = ["two", "one", "four", "three"]


@pytest.mark.parametrize("form", [list, tuple, np.array, dict.fromkeys, iter, lambda names: map(np.str_, names)])
def test_an_order_may_have_any_form(form: Any) -> None:
    assert compare_order(form(ORDER), ORDER, "look") is None


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (ORDER[::-1], "this is the other way round"),
        (["one", "two", "four", "three"], "two neighbours are exchanged; look"),
        (["four", "one", "two", "three"], "2 of 4 stand in their places; look"),
        (["one", "two", "three", "four"], "0 of 4 stand in their places; look"),
        (ORDER[:3], "expected each of the 4 names once, got 3, 3 of them different"),
        (["two", "two", "two", "one"], "expected each of the 4 names once, got 4, 2 of them different"),
        ([*ORDER, "five"], "'five' is not one of the names four, one, three, two"),
        ("two, one", "expected a list of the 4 names in order, got str"),
        (set(ORDER), "expected a list of the 4 names in order, got set"),
        (1, "expected a list of the 4 names in order, got int"),
    ],
)
def test_a_wrong_order_is_told_how_wrong(answer: Any, complaint: str) -> None:
    assert compare_order(answer, ORDER, "look") == complaint


EXPECTED = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (EXPECTED + 1e-6, None),
        (EXPECTED + 1, "all of its values are wrong"),
        (EXPECTED + torch.tensor([[0, 1], [0, 1]]), "2 of 4 values are wrong, the first at [0, 1]"),
        (EXPECTED + torch.tensor([[0, 0], [1, 0]]), "1 of 4 values is wrong, at [1, 0]"),
        (EXPECTED.T, "rows and columns are swapped"),
        (EXPECTED.sum(0), "expected the shape (2, 2), got (2,)"),
        (torch.ones(4), "this is the wrong shape, and why"),
        (EXPECTED / torch.tensor([[1, 1], [1, 0]]) * 0, "some of it is not a number (NaN)"),
        (EXPECTED / torch.tensor([[1, 1], [1, 0]]), "1 of 4 values is wrong, at [1, 1]"),
        ("1234", "expected a tensor, got str"),
        (7, "expected the shape (2, 2), got ()"),
    ],
)
def test_a_wrong_tensor_is_told_where(answer: Any, complaint: str | None) -> None:
    slips = {"rows and columns are swapped": EXPECTED.T, "this is the wrong shape, and why": torch.ones(4)}
    assert compare_tensor(answer, EXPECTED, slips=slips) == complaint


def test_a_single_wrong_value_has_no_place() -> None:
    assert compare_tensor(torch.tensor(1.0), torch.tensor(2.0)) == "its value is wrong"


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (3, "expected a function, got int"),
        (lambda x: ..., "the function returns ..., it is not done yet"),
        (lambda x: None, "the function returns nothing: its last line should be a return"),
        (lambda x: 1 / 0, "the function fails with ZeroDivisionError: division by zero"),
        (lambda: 1, "the function fails with TypeError: "),
    ],
)
def test_a_function_that_is_none_or_fails_is_told_so(function: Any, complaint: str) -> None:
    with pytest.raises(Complaint) as told:
        call(function, 1)
    assert complaint in str(told.value)


def test_a_function_that_raises_not_implemented_is_not_done_yet() -> None:
    def stub(x: int) -> int:
        raise NotImplementedError

    with pytest.raises(Complaint, match="not done yet"):
        call(stub, 1)


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


@pytest.mark.parametrize("seed", [None, 3])
def test_what_a_function_draws_changes_nothing_for_the_notebook(seed: int | None) -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    expected = draw()
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    call(draw, seed=seed)
    with pytest.raises(ZeroDivisionError), own_random_numbers(seed):
        draw()
        1 / 0  # noqa: B018
    assert draw() == expected


def test_a_seed_gives_a_function_the_same_numbers_each_time() -> None:
    assert call(draw, seed=1) == call(draw, seed=1) != call(draw, seed=2)


def test_what_a_checker_draws_changes_nothing_for_the_notebook() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    assert checker(lambda answer: str(nn.Linear(2, 2)))(3) is not None
    assert torch.equal(torch.rand(3), expected)


def test_a_checker_says_what_is_raised_in_it() -> None:
    @checker
    def check(answer: Any) -> str | None:
        raise Complaint(f"not {answer}")

    assert check(3) == "not 3"
    assert checker(lambda answer: None)(3) is None


@pytest.mark.parametrize(
    ("parts", "shape"),
    [
        ([], (0,)),
        ([[], []], (2, 0)),
        ([torch.ones(2), [1, 2], np.ones(2)], (3, 2)),
        ((torch.ones(1, 2), torch.ones(1, 2, requires_grad=True)), (2, 1, 2)),
        (map(float, range(3)), (3,)),
        ({"a": 1, "b": 2}.values(), (2,)),
    ],
)
def test_parts_are_put_together(parts: Any, shape: tuple[int, ...]) -> None:
    assert as_tensor(parts).shape == shape
