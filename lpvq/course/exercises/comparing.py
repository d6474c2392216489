"""What checkers say about numbers, tensors and functions.

Readers answer in many forms: numbers of Python and of numpy, arrays, tensors on any device and with or without a
gradient, lists and tuples of all of these. ``as_tensor`` and ``as_numbers`` take them all, so no checker asks for a
type. A complaint says what kind of mistake it is, and never what the answer would be.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import wraps
from math import isfinite, isnan
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

Checker = Callable[[Any], str | None]
"""From an answer to None where it is correct, or to what is wrong with it: half a sentence, without a full stop."""

_A_LITTLE = 0.05  # of the right number
_ROUNDING = 1e-6  # of a number in float32
_LARGEST_INT64 = 2**63 - 1
_WORDS = {2: "two", 3: "three", 4: "four"}


class Complaint(Exception):  # noqa: N818 (it is the reader's mistake, not an error of the program)
    """What is wrong with an answer, in words."""


def checker(judge: Checker) -> Checker:
    """Make a checker from a function, which may raise its complaint and draw random numbers.

    What a checker draws, even for the first weights of a model that is loaded, changes nothing for the notebook.
    """

    @wraps(judge)
    def check(answer: Any) -> str | None:
        try:
            with own_random_numbers():
                return judge(answer)
        except Complaint as complaint:
            return str(complaint)

    return check


def as_tensor(answer: Any, expected: str = "a tensor") -> Tensor:
    """Return an answer as a tensor on the CPU, without a gradient.

    Args:
        answer: a tensor, an array, a number, or a list (of lists …) of these.
        expected: in words, for the complaint.

    Raises:
        Complaint: it is something else.
    """
    if isinstance(answer, Tensor):
        values = answer.detach().cpu()
    elif hasattr(answer, "__array__"):  # numpy's numbers too
        values = _of_array(np.asarray(answer), expected)
    elif isinstance(answer, Real):
        values = _of_number(answer)
    elif answer is ...:
        raise Complaint("a part of it is still ...")
    elif isinstance(answer, Iterable) and not isinstance(answer, str | bytes | Mapping | Set):
        values = _stacked([as_tensor(part, expected) for part in answer])
    else:
        raise Complaint(f"expected {expected}, got {_kind(answer)}")
    if values.is_complex():
        raise Complaint(f"expected {expected}, got complex numbers")
    return values


def _of_number(number: Any) -> Tensor:
    if isinstance(number, bool):
        return torch.tensor(number)
    if isinstance(number, int) and abs(number) <= _LARGEST_INT64:
        return torch.tensor(number)
    return torch.tensor(float(number), dtype=torch.float64)


def _of_array(array: np.ndarray[Any, Any], expected: str) -> Tensor:
    if array.dtype == object:
        return as_tensor(array.tolist(), expected)
    if array.dtype.kind not in "biufc":
        raise Complaint(f"expected {expected}, got an array of {array.dtype}")
    same_kind = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64, "c": np.complex128}[array.dtype.kind]
    return torch.from_numpy(np.array(array, dtype=same_kind))  # copied: torch takes no array that runs backwards


def _stacked(parts: list[Tensor]) -> Tensor:
    if len({part.shape for part in parts}) > 1:
        raise Complaint("its parts have different shapes")
    if len({part.dtype for part in parts}) > 1:
        parts = [part.double() for part in parts]
    return torch.stack(parts) if parts else torch.empty(0)


def _kind(answer: Any) -> str:
    if isinstance(answer, Tensor | np.ndarray):
        return f"{type(answer).__name__} of shape {tuple(answer.shape)}"
    if answer is None or answer is ...:
        return str(answer).replace("Ellipsis", "...")
    return "a function" if callable(answer) else type(answer).__name__


def as_number(answer: Any) -> float:
    """Return an answer that is a number, or holds just one, as a float.

    Raises:
        Complaint: it is something else.
    """
    number = as_tensor(answer, "a number")
    if number.numel() != 1:
        raise Complaint(f"expected a number, got {_kind(answer)}")
    if number.dtype == torch.bool:
        raise Complaint("expected a number, got True or False")
    return number.double().item()


def as_numbers(answer: Any, *names: str) -> list[float]:
    """Return the named numbers that an answer consists of, in their order, from any sequence, array or tensor.

    Raises:
        Complaint: it is something else, or there are more or fewer.
    """
    expected = f"{_WORDS[len(names)]} numbers ({', '.join(names)})"
    parts = answer if isinstance(answer, list | tuple) else [answer]  # a part may be a tensor that holds one number
    numbers = [number for part in parts for number in as_tensor(part, expected).double().flatten().tolist()]
    if len(numbers) != len(names):
        raise Complaint(f"expected {expected}, got {'a single one' if len(numbers) == 1 else len(numbers)}")
    return numbers


def call(function: Any, *arguments: Any, seed: int | None = None) -> Any:
    """Call a function that a reader has written, and leave the random numbers of the notebook as they are.

    Args:
        function: the answer.
        arguments: what it is given.
        seed: where its random numbers begin: those of torch, numpy and Python.

    Raises:
        Complaint: it is not a function, is not done yet, fails, or returns nothing.
    """
    if not callable(function):
        raise Complaint(f"expected a function, got {_kind(function)}")
    with own_random_numbers(seed):
        try:
            result = function(*arguments)
        except NotImplementedError:
            result = ...
        except Exception as error:
            raise Complaint(f"the function fails with {type(error).__name__}: {error}") from error
    if result is ...:
        raise Complaint("the function returns ..., it is not done yet")
    if result is None:
        raise Complaint("the function returns nothing: its last line should be a return")
    return result


@contextmanager
def own_random_numbers(seed: int | None = None) -> Iterator[None]:
    """Draw the random numbers within from a seed, and leave those of the notebook as they are."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            if seed is not None:
                random.seed(seed)
                np.random.seed(seed)
                torch.default_generator.manual_seed(seed)  # torch.manual_seed would change those of a GPU too
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)


def compare_number(
    answer: Any, expected: float, tolerance: float, slips: Mapping[str, float] | None = None
) -> str | None:
    """Compare a number, in whatever form, with the right one.

    Args:
        answer: the reader's.
        expected: the right one.
        tolerance: a difference that is fine.
        slips: what is to be said about typical mistakes, and the number that each leads to.
    """
    try:
        number = as_number(answer)
    except Complaint as complaint:
        return str(complaint)
    if not isfinite(number):
        return "it is not a number (NaN)" if isnan(number) else "it is infinite"
    difference = number - expected
    if abs(difference) <= tolerance:
        return None
    for why, wrong in (slips or {}).items():
        if abs(number - wrong) <= max(tolerance, _ROUNDING * abs(wrong)):
            return why
    little = "a little " if abs(difference) <= _A_LITTLE * abs(expected) else ""
    written = f"{number:.0f}" if number.is_integer() else f"{number:.6g}"
    return f"{written} is {little}too {'large' if difference > 0 else 'small'}"


def compare_truths(answer: Any, truths: Mapping[str, bool], ask: str) -> str | None:
    """Compare what a reader says is true or false with what is.

    Args:
        answer: the reader's dictionary, with True or False of any kind for each name.
        truths: the right one.
        ask: what to ask of each of them.
    """
    if not isinstance(answer, Mapping) or set(answer) != set(truths):
        return f"expected a dictionary with True or False for each of {', '.join(truths)}"
    try:
        given = {name: _truth(name, answer[name]) for name in truths}
    except Complaint as complaint:
        return str(complaint)
    wrong = [name for name, is_true in truths.items() if given[name] is not is_true]
    if not wrong:
        return None
    alike = "they are not all alike. " if len(set(given.values())) == 1 else ""
    return f"{alike}{len(wrong)} of {len(truths)} wrong. Ask of each: {ask}"


def _truth(name: str, value: Any) -> bool:
    truth = as_tensor(value, f"True or False for {name!r}")
    if truth.numel() != 1 or truth.double().item() not in (0, 1):
        raise Complaint(f"expected True or False for {name!r}, got {value!r}")
    return bool(truth)


def compare_order(answer: Any, right: Sequence[str], look: str) -> str | None:
    """Compare the order in which a reader has put some names with the right one.

    Args:
        answer: the reader's, as any sequence or array of the names.
        right: the names in the right order.
        look: how the reader finds out, for the complaint.
    """
    if isinstance(answer, str | bytes | Set) or not isinstance(answer, Iterable):
        return f"expected a list of the {len(right)} names in order, got {_kind(answer)}"
    given = [str(name) for name in answer]
    if unknown := [name for name in given if name not in right]:
        return f"{unknown[0]!r} is not one of the names {', '.join(sorted(right))}"
    if len(given) != len(right) or len(set(given)) != len(right):
        return f"expected each of the {len(right)} names once, got {len(given)}, {len(set(given))} of them different"
    if given == list(right):
        return None
    if given == list(reversed(right)):
        return "this is the other way round"
    places = [place for place, (mine, name) in enumerate(zip(given, right, strict=True)) if mine != name]
    if len(places) == 2 and places[1] == places[0] + 1:
        return f"two neighbours are exchanged; {look}"
    return f"{len(right) - len(places)} of {len(right)} stand in their places; {look}"


def compare_tensor(
    answer: Any, expected: Tensor, tolerance: float = 1e-5, slips: Mapping[str, Tensor] | None = None
) -> str | None:
    """Compare a tensor, in whatever form, with the right one: its shape, then its values.

    Args:
        answer: the reader's.
        expected: the right one.
        tolerance: a difference that is fine.
        slips: what is to be said about typical mistakes, and the tensor that each leads to, of whatever shape.
    """
    try:
        values = as_tensor(answer)
    except Complaint as complaint:
        return str(complaint)
    if same(values, expected, tolerance):
        return None
    for why, wrong in (slips or {}).items():
        if same(values, wrong, tolerance):
            return why
    if values.shape != expected.shape:
        return f"expected the shape {tuple(expected.shape)}, got {tuple(values.shape)}"
    return _where_wrong(values, expected, tolerance)


def same(values: Tensor, others: Tensor, tolerance: float = 1e-5) -> bool:
    """Say whether tensors have the same shape and, apart from rounding, the same values."""
    return values.shape == others.shape and bool(_close(values, others, tolerance).all())


def _close(values: Tensor, others: Tensor, tolerance: float) -> Tensor:
    return (values.double() - others.cpu().double()).abs() <= tolerance  # False for NaN


def _where_wrong(values: Tensor, expected: Tensor, tolerance: float) -> str:
    if values.double().isnan().any():
        return "some of it is not a number (NaN)"
    wrong = ~_close(values, expected, tolerance)
    first, number = wrong.nonzero()[0].tolist(), int(wrong.sum())
    if number == wrong.numel():
        return "all of its values are wrong" if number > 1 else "its value is wrong"
    if number == 1:
        return f"1 of {wrong.numel()} values is wrong, at {first}"
    return f"{number} of {wrong.numel()} values are wrong, the first at {first}"
