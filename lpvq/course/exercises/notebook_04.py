"""Exercises of 04_latent_codes."""

from math import exp, log, log2
from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, compare_number
from lpvq.models.code_usage import code_counts, entropy, perplexity

_COUNTS = torch.tensor([400, 200, 100, 100, 0, 0, 0, 0])
_GRID = torch.tensor([[0, 0, 1], [3, 0, 2]])
_GRID_COUNTS = torch.tensor([15, 7, 5, 1])
_DRAWS = 4000


def _perplexity(answer: Any) -> str | None:
    return compare_number(
        answer,
        perplexity(_COUNTS),
        0.01,
        {
            entropy(_COUNTS) / log(2): "this is the entropy in bits; the perplexity is 2 to the power of it",
            entropy(_COUNTS): "this is the entropy in nats; the perplexity is e to the power of it",
            exp(entropy(_COUNTS) / log(2)): "with the entropy in bits, the base is 2 and not e",
            2 ** entropy(_COUNTS): "with the entropy in nats, the base is e and not 2",
            4.0: "this is how many codes are in use; they are not used equally",
        },
    )


def _bits_of_grid(answer: Any) -> str | None:
    plus_one = _GRID_COUNTS.double() + 1
    bits = _cost(_GRID_COUNTS.double() + 1)
    return compare_number(
        answer,
        bits,
        0.01,
        {
            bits / _GRID.numel(): "these are bits per code; the question is for the whole grid",
            bits * log(2): "these are nats; take the logarithm to the base 2",
            _cost(_GRID_COUNTS.double()): "add one to each count, before they are divided by their sum",
            _cost(plus_one) + _GRID.numel() * log2(_GRID_COUNTS.sum().item() / plus_one.sum().item()): (
                "divide by the sum of the counts after one is added to each, or the probabilities add up to more than 1"
            ),
        },
    )


def _cost(weights: Tensor) -> float:
    """The bits of the grid under frequencies that are as ``weights`` (K,)."""
    return -(weights / weights.sum()).log2()[_GRID].sum().item()


def _sample_by_place(answer: Any) -> str | None:
    if not callable(answer):
        return f"expected a function, got {type(answer).__name__}"
    height, width, num_codes = 2, 3, 5
    table = torch.tensor([[8, 0, 0, 0, 0], [0, 4, 4, 0, 0], [1, 1, 1, 1, 4], [0, 0, 0, 6, 2], [3, 3, 1, 1, 0]])
    table = torch.cat([table, torch.tensor([[0, 0, 0, 0, 9]])])
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        drawn = answer(table, _DRAWS, height, width)
    if drawn is ...:
        return "the function returns ..., it is not done yet"
    if not isinstance(drawn, Tensor):
        return f"expected the function to return a tensor, got {type(drawn).__name__}"
    if drawn.shape != (_DRAWS, height, width):
        return f"expected the shape {(_DRAWS, height, width)}, got {tuple(drawn.shape)}"
    found = torch.stack([code_counts(column, num_codes) for column in drawn.flatten(1).T]) / _DRAWS
    wanted = table / table.sum(1, keepdim=True)
    off = (found - wanted).abs().amax(1)
    if off.max() < 0.05:  # six standard deviations of a frequency among so many draws
        return None
    everywhere = table.sum(0) / table.sum()
    if (found - everywhere).abs().max() < 0.05:
        return "the frequencies are the same at each place; draw each place from its own row of the table"
    row, column = divmod(int(off.argmax()), width)
    return (
        f"at row {row}, column {column} the frequencies are {_shares(found[row * width + column])}, "
        f"expected {_shares(wanted[row * width + column])}; does each place keep its own row of the table?"
    )


def _shares(frequencies: Tensor) -> str:
    return " ".join(f"{value:.2f}" for value in frequencies.tolist())


def _bits_given_above(answer: Any) -> str | None:
    if not callable(answer):
        return f"expected a function, got {type(answer).__name__}"
    num_codes = 4
    generator = torch.Generator().manual_seed(0)
    top = torch.randint(num_codes, (300, 1, 5), generator=generator)
    steps = torch.randint(2, (300, 6, 5), generator=generator).cumsum(1)
    codes = (top + steps) % num_codes  # a code is that above it, or one more: about one bit; from the left, about two
    given = answer(codes, num_codes)
    if given is ...:
        return "the function returns ..., it is not done yet"
    above, left = (codes[:, :-1], codes[:, 1:]), (codes[:, :, :-1], codes[:, :, 1:])
    return compare_number(
        given,
        _conditional_bits(*above, num_codes),
        0.01,
        {
            _conditional_bits(*left, num_codes): "this is given the code to the left; the one above is in another row",
            _conditional_bits(*above, num_codes) * log(2): "these are nats; divide by log 2",
            _pair_entropy(*above, num_codes) / log(2): "this is the entropy of pairs; subtract that of the code above",
            2 * entropy(code_counts(codes, num_codes)) / log(2): "these two entropies are added, as if independent",
        },
    )


def _pair_entropy(first: Tensor, second: Tensor, num_codes: int) -> float:
    return entropy(code_counts(first * num_codes + second, num_codes**2))


def _conditional_bits(first: Tensor, second: Tensor, num_codes: int) -> float:
    return (_pair_entropy(first, second, num_codes) - entropy(code_counts(first, num_codes))) / log(2)


CHECKERS: dict[str, Checker] = {
    "4.1": _perplexity,
    "4.2": _bits_of_grid,
    "4.3": _sample_by_place,
    "4.4": _bits_given_above,
}
