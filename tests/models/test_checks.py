"""What counts as whole numbers, as booleans, as a size, and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch

from lpvq import InputError
from lpvq.models.checks import bool_tensor, int64_tensor, real_number, whole_number

CPU = torch.device("cpu")
EXPECTED = torch.tensor([[0, 1], [2, 3]])


@pytest.mark.parametrize(
    "values",
    [
        [[0, 1], [2, 3]],
        ((0, 1), (2, 3)),
        [torch.tensor([0, 1]), torch.tensor([2, 3])],
        *(EXPECTED.to(kind) for kind in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16)),
        *(EXPECTED.numpy().astype(kind) for kind in ("u1", "u2", "u8", "i1", "i4", ">i8")),
        EXPECTED.numpy()[::-1][::-1],  # with negative strides
        np.broadcast_to(np.int64(0), (2, 2)) + EXPECTED.numpy(),
    ],
)
def test_whole_numbers_of_any_type_become_int64(values: Any) -> None:
    tensor = int64_tensor("codes", values, CPU)
    assert tensor.dtype == torch.int64
    assert torch.equal(tensor, EXPECTED)


def test_an_int64_tensor_is_taken_as_it_is_and_an_array_is_copied() -> None:
    assert int64_tensor("codes", EXPECTED, CPU) is EXPECTED
    array = EXPECTED.numpy().copy()
    array.flags.writeable = False  # torch would warn of what may come of that
    assert int64_tensor("codes", array, CPU).data_ptr() != array.ctypes.data


@pytest.mark.parametrize("values", [[], [[]], torch.empty(2, 0), np.zeros((3, 0), dtype=bool)])
def test_where_there_are_no_numbers_their_type_does_not_matter(values: Any) -> None:
    assert int64_tensor("codes", values, CPU).dtype == torch.int64


@pytest.mark.parametrize(
    "values",
    [
        EXPECTED.float(),
        EXPECTED.bool(),
        EXPECTED.to(torch.complex64),
        [0.0, 1.0],
        [True, False],
        np.ones(3, dtype=np.float32),
        np.ones(3, dtype=bool),
        [[0], [1, 2]],
        "codes",
        ["0", "1"],
        [None],
        None,
        object(),
        2**70,
    ],
)
def test_what_is_no_array_of_whole_numbers_is_refused_by_name(values: Any) -> None:
    with pytest.raises(InputError, match="labels must be"):
        int64_tensor("labels", values, CPU)


@pytest.mark.parametrize("values", [[[True, False]], np.array([[True, False]]), torch.tensor([[True, False]])])
def test_booleans_may_be_a_list_an_array_or_a_tensor(values: Any) -> None:
    assert torch.equal(bool_tensor("known", values, CPU), torch.tensor([[True, False]]))


@pytest.mark.parametrize("values", [[[1, 0]], np.ones((1, 2)), torch.ones(1, 2, dtype=torch.uint8), "yes", None])
def test_a_mask_of_anything_but_booleans_is_refused_by_name(values: Any) -> None:
    with pytest.raises(InputError, match="known must be"):
        bool_tensor("known", values, CPU)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_a_whole_number_may_be_an_integer_of_numpy_or_torch(value: Any) -> None:
    number = whole_number("size", value)
    assert type(number) is int and number == 3


@pytest.mark.parametrize("value", [True, np.True_, 3.0, np.float32(3), "3", None, [3], np.array([3, 4]), 1, -5])
def test_anything_else_is_no_whole_number_of_at_least_two(value: Any) -> None:
    with pytest.raises(InputError, match="size must be a whole number and at least 2"):
        whole_number("size", value, least=2)


@pytest.mark.parametrize("value", [1.5, np.float32(1.5), np.float64(1.5), torch.tensor(1.5)])
def test_a_number_may_be_one_of_numpy_or_torch(value: Any) -> None:
    number = real_number("temperature", value)
    assert type(number) is float and number == 1.5


@pytest.mark.parametrize("value", [True, "1.5", b"1", None, [1.5], 1j, torch.ones(2)])
def test_anything_else_is_no_number(value: Any) -> None:
    with pytest.raises(InputError, match="temperature must be a number"):
        real_number("temperature", value)
