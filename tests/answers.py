"""How the tests of exercises ask a checker: right answers in all their forms, and typical wrong ones."""

import random
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker


def expect(check: Checker, right: Sequence[Any], wrong: Sequence[tuple[Any, str]], secrets: Sequence[str] = ()) -> None:
    """Assert that each right answer passes, and that what is said of each wrong one contains certain words.

    ``secrets`` are texts that no complaint may contain, because they are the answer.
    """
    assert len(right) >= 4, f"{len(right)} right answers are too few"
    assert len(wrong) >= 12, f"{len(wrong)} wrong answers are too few"
    before = _global_state()
    faults = []
    for number, answer in enumerate(right):
        complaint = check(answer)
        if complaint is not None:
            faults.append(f"right answer {number} is told: {complaint}")
    for number, (answer, words) in enumerate(wrong):
        complaint = check(answer)
        if complaint is None:
            faults.append(f"wrong answer {number}, {words!r}, passes")
        elif words not in complaint:
            faults.append(f"wrong answer {number} is told {complaint!r}, which has no {words!r}")
        elif re.search(r"\bby [\d.]+$", complaint) or any(secret in complaint for secret in secrets):
            faults.append(f"wrong answer {number} is told too much: {complaint!r}")
    assert not faults, "\n".join(faults)
    assert _global_state() == before, "checking has changed random numbers, the default type or the threads"


def _global_state() -> tuple[object, ...]:
    """What a notebook must find as it left it."""
    of_numpy = np.random.get_state(legacy=False)["state"]
    numbers = random.getstate(), of_numpy["pos"], of_numpy["key"].tolist(), torch.get_rng_state().tolist()
    return *numbers, torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()


def forms_of_number(number: float) -> list[Any]:
    """The same number as a reader may have it."""
    wide = torch.tensor(float(number), dtype=torch.float64)
    return [
        number,
        np.float64(number),
        np.array([number]),
        wide,
        wide[None, None],
        wide.clone().requires_grad_() * 1,
        [number],
        (wide,),
    ]


def forms_of_tensor(values: Tensor) -> list[Any]:
    """The same tensor as a reader may have it."""
    wide = values.detach().double()
    return [
        values,
        wide,
        wide.clone().requires_grad_() * 1,
        wide.numpy(),
        wide.flip(0).numpy()[::-1],  # an array that runs backwards in memory
        wide.tolist(),
        tuple(wide),
        list(wide.numpy()),
    ]


def forms_of_numbers(*numbers: float) -> list[Any]:
    """The same few numbers as a reader may have them."""
    return [
        numbers,
        list(numbers),
        np.array(numbers),
        torch.tensor(numbers, dtype=torch.float64),
        [np.float64(number) for number in numbers],
        tuple(torch.tensor([number], dtype=torch.float64, requires_grad=True) for number in numbers),
        torch.tensor([numbers], dtype=torch.float64),
    ]
