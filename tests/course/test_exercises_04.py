"""The checkers of 04_latent_codes tell right answers from typical wrong ones."""

import zlib
from collections.abc import Callable
from functools import cache
from math import log, log2, log10

import numpy as np
import torch
from torch import Tensor

from answers import expect, forms_of_number, forms_of_numbers
from lpvq.course.exercises.notebook_04 import CHECKERS
from lpvq.data.loading import load
from lpvq.models.pretrained import load_pretrained

Draw = Callable[[Tensor, int, int, int], object]


def test_4_1_perplexity() -> None:
    shares = np.array([400, 200, 100, 100]) / 800
    expect(
        CHECKERS["4.1"],
        [*forms_of_number(2**1.75), float(np.exp(-(shares * np.log(shares)).sum())), 3.36, 1 / np.prod(shares**shares)],
        [
            (1.75, "the entropy in bits"),
            (1.75 * log(2), "the entropy in nats"),
            (2.718281828**1.75, "the base is 2"),
            (2 ** (1.75 * log(2)), "the base is e"),
            (4, "how many codes are in use"),
            (8, "the size of the codebook"),
            (2**-1.75, "the minus"),
            (0.5, "the share of codes in use"),
            (1.75 / 3, "over the largest possible one"),
            (2 ** float(-np.log2(shares).mean()), "weigh the logarithm"),
            (1 / (shares**2).sum(), "1 / Σ p²"),
            (2**1.75 * 8, "of a grid of all codes"),
            (3.5, "3.5 is a little too large"),
            (3, "3 is too small"),
            (shares, "expected a number"),
            (float("nan"), "not a number (NaN)"),
        ],
        secrets=["3.36", "1.75"],
    )


@cache
def grids() -> np.ndarray:
    vqvae, _ = load_pretrained()
    return vqvae.encode(load("smileys", "test", limit=300).floats()).numpy()


def zipped(*orders: np.ndarray, kind: type = np.uint8, level: int = 9) -> np.ndarray:
    """Bits per code of codes in several orders."""
    return np.array([8 * len(zlib.compress(codes.astype(kind).tobytes(), level)) / codes.size for codes in orders])


def test_4_2_bits_by_zip() -> None:
    by_grid = grids().reshape(300, 64)
    by_place = by_grid.T
    shuffled, otherwise = (np.random.default_rng(seed).permutation(by_grid.ravel()) for seed in (0, 1))
    right = zipped(by_grid, by_place, shuffled)
    expect(
        CHECKERS["4.2"],
        [*forms_of_numbers(*right), zipped(by_grid, by_place, otherwise), right.round(2).clip(right - 4e-3, right)],
        [
            (right / 8, "bytes per code"),
            (right * 64, "bits per grid"),
            (right * 2400, "the bytes of what comes out"),
            (right * 19_200, "the bits of what comes out"),
            (8 / right, "how many times shorter"),
            (zipped(by_grid, by_place, shuffled, kind=np.int64), "the eight of an int64"),
            (zipped(by_grid, by_place, shuffled, kind=np.int32), "the four of an int32"),
            (zipped(by_grid, by_place, shuffled, level=1), "the level 9"),
            (zipped(by_grid, by_place, shuffled, level=0), "nothing is compressed"),
            (right[[1, 0, 2]], "the order is"),
            (right[::-1], "grid by grid: "),
            (zipped(by_grid, grids().transpose(0, 2, 1), shuffled), "the columns of each grid"),
            (right[[0, 0, 2]], "compressed twice"),
            (zipped(by_grid, by_place, by_grid[::-1]), "whole grids change places"),
            ([*right[:2], right[2] + 0.2], "shuffled: "),
            (right - [1, 0, 0], "grid by grid: "),
            (right[:2], "expected three numbers (grid by grid, place by place, shuffled), got 2"),
            (right.sum(), "got a single one"),
            ("3 bits", "got str"),
        ],
        secrets=["3.0", "3.1", "3.2"],
    )


def by_place(table: Tensor, number: int, height: int, width: int) -> Tensor:
    return torch.multinomial(table.double(), number, replacement=True).T.reshape(number, height, width)


def with_numpy(table: Tensor, number: int, height: int, width: int) -> np.ndarray:
    counts = table.numpy()
    columns = [np.random.choice(len(row), size=number, p=row / row.sum()) for row in counts]
    return np.stack(columns, axis=1).reshape(number, height, width)


def by_inversion(table: Tensor, number: int, height: int, width: int) -> list[object]:
    ends = (table / table.sum(1, keepdim=True)).cumsum(1)
    uniform = torch.rand(number, height * width, 1) * ends[:, -1:]
    return (uniform >= ends).sum(2).view(number, height, width).tolist()


def by_distribution(table: Tensor, number: int, height: int, width: int) -> Tensor:
    return (
        torch.distributions.Categorical(table / table.sum(1, keepdim=True))
        .sample((number,))
        .view(number, height, width)
        .float()
    )


def by_loops(table: Tensor, number: int, height: int, width: int) -> Tensor:
    grids = torch.zeros(number, height, width, dtype=torch.int32)
    for place in range(height * width):
        drawn = torch.multinomial(table[place].float(), number, replacement=True)
        grids[:, place // width, place % width] = drawn
    return grids


def by_frequency(table: Tensor, number: int, height: int, width: int) -> Tensor:
    drawn = torch.multinomial(table.sum(0).double(), number * height * width, replacement=True)
    return drawn.view(number, height, width)


def mixed_up(table: Tensor, number: int, height: int, width: int) -> Tensor:
    return torch.multinomial(table.double(), number, replacement=True).reshape(number, height, width)


def of_weights(weights: Callable[[Tensor], Tensor]) -> Draw:
    """As it should be, but by other weights."""
    return lambda table, *shape: by_place(weights(table), *shape)


def one_random_number(table: Tensor, number: int, height: int, width: int) -> Tensor:
    """The same random number for all places of a grid."""
    ends = (table / table.sum(1, keepdim=True)).double().cumsum(1)
    return (torch.rand(number, 1, 1).double() * ends[:, -1:] >= ends).sum(2).view(number, height, width)


def one_for_each_row(table: Tensor, number: int, height: int, width: int) -> Tensor:
    ends = (table / table.sum(1, keepdim=True)).double().cumsum(1)
    uniform = torch.rand(number, height, 1, 1).double().expand(-1, -1, width, -1).reshape(number, -1, 1)
    return (uniform * ends[:, -1:] >= ends).sum(2).view(number, height, width)


def in_order(table: Tensor, number: int, height: int, width: int) -> Tensor:
    return by_place(table, number, height, width).sort(0).values


def one_grid(table: Tensor, number: int, height: int, width: int) -> Tensor:
    return by_place(table, 1, height, width).expand(number, -1, -1)


def test_4_3_sample_by_place() -> None:
    expect(
        CHECKERS["4.3"],
        [by_place, with_numpy, by_inversion, by_distribution, by_loops],
        [
            (3, "expected a function, got int"),
            (lambda *_: ..., "not done yet"),
            (lambda *_: None, "returns nothing"),
            (lambda table, number: by_place(table, number, 8, 8), "the function fails with TypeError"),
            (
                lambda table, number, height, width: by_place(table, number, 8, 8),
                "the function fails with RuntimeError",
            ),
            (lambda *given: by_place(*given).mT, "expected the shape (1, 2, 3), got (1, 3, 2)"),
            (lambda *given: by_place(*given).flatten(1), "expected the shape (1, 2, 3), got (1, 6)"),
            (lambda *given: by_place(*given).squeeze(0), "expected the shape (1, 2, 3), got (2, 3)"),
            (lambda *given: by_place(*given) + 1, "no column"),
            (lambda *given: by_place(*given) / 2, "a whole number"),
            (lambda *given: by_place(*given).flip(1), "never occurred there"),
            (lambda *given: by_place(*given).flip(1, 2), "reverse order"),
            (lambda table, n, h, w: by_place(table, n, w, h).mT, "run down the columns"),
            (by_frequency, "the same at each place"),
            (mixed_up, "its own row"),
            (of_weights(torch.ones_like), "all codes are equally likely"),
            (of_weights(lambda table: table > 0), "that occurred at a place"),
            (of_weights(lambda table: table + 1), "one was added"),
            (of_weights(lambda table: table.double().softmax(1)), "leave the softmax out"),
            (of_weights(lambda table: table / table.sum(0)), "over the places"),
            (of_weights(lambda table: table == table.amax(1, keepdim=True)), ""),
            (lambda table, n, h, w: table.argmax(1).view(1, h, w).expand(n, -1, -1), "all grids are the same"),
            (one_grid, "all grids are the same"),
            (one_random_number, "depend on each other"),
            (one_for_each_row, "depend on each other"),
            (in_order, "depend on each other"),
        ],
    )


def bits(codes: Tensor) -> float:
    counts = codes.flatten().unique(return_counts=True)[1]
    shares = counts.double() / counts.sum()
    return -(shares * shares.log2()).sum().item()


def pairs(first: Tensor, second: Tensor) -> float:
    return bits(first * 10_000 + second)


def given_above(codes: Tensor, num_codes: int) -> float:
    return pairs(codes[:, :-1], codes[:, 1:]) - bits(codes[:, :-1])


def by_table(codes: Tensor, num_codes: int) -> Tensor:
    """The mean entropy of the rows of the table of pairs, weighted with how often each occurs."""
    table = torch.zeros(num_codes, num_codes, dtype=torch.float64)
    ones = torch.ones(codes[:, 1:].numel(), dtype=torch.float64)
    table.index_put_((codes[:, :-1].flatten(), codes[:, 1:].flatten()), ones, accumulate=True)
    rows = table / table.sum(1, keepdim=True).clamp(min=1)
    return (torch.special.entr(rows).sum(1) * table.sum(1)).sum() / table.sum() / log(2)


def by_mean_cost(codes: Tensor, num_codes: int) -> np.floating:
    above, below = codes[:, :-1].numpy().ravel(), codes[:, 1:].numpy().ravel()
    together = np.zeros((num_codes, num_codes))
    np.add.at(together, (above, below), 1)
    return -np.log2(together[above, below] / together.sum(1)[above]).mean()


def naive(codes: Tensor, num_codes: int) -> Tensor:
    """0 · log 0 is no number."""
    above, below = codes[:, :-1].flatten(), codes[:, 1:].flatten()
    shares = torch.bincount(above * num_codes + below, minlength=num_codes**2) / above.numel()
    return -(shares * shares.log2()).sum() - bits(above)


def across_grids(codes: Tensor, num_codes: int) -> float:
    line, width = codes.flatten(), codes.shape[2]
    return pairs(line[:-width], line[width:]) - bits(line[:-width])


def with_256(codes: Tensor, num_codes: int) -> float:
    return bits(codes[:, :-1] * 256 + codes[:, 1:]) - bits(codes[:, :-1])


def test_4_4_bits_given_above() -> None:
    expect(
        CHECKERS["4.4"],
        [
            given_above,
            by_table,
            by_mean_cost,
            lambda codes, k: [torch.tensor(given_above(codes, k), requires_grad=True)],
            lambda codes, k: sum(by_mean_cost(codes, k) for _ in range(2)) / 2,
        ],
        [
            (0.8, "expected a function, got float"),
            (lambda codes, k: ..., "not done yet"),
            (lambda codes, k: given_above(codes.mT, k), "to the left"),
            (lambda codes, k: given_above(codes, k) * log(2), "nats"),
            (lambda codes, k: pairs(codes[:, :-1], codes[:, 1:]), "the entropy of pairs"),
            (lambda codes, k: pairs(codes[:, :-1], codes[:, 1:]) * log(2), "the entropy of pairs, in nats"),
            (lambda codes, k: pairs(codes[:, :-1], codes[:, 1:]) - bits(codes[:, 1:]), "of the code below"),
            (lambda codes, k: pairs(codes[:, :-1], codes[:, 1:]) - bits(codes), "of all codes"),
            (lambda codes, k: bits(codes[:, 1:]), "nothing is known"),
            (lambda codes, k: bits(codes[:, :-1]), "of the code above"),
            (lambda codes, k: bits(codes[:, 1:]) - given_above(codes, k), "mutual information"),
            (lambda codes, k: bits(codes[:, 1:]) + bits(codes[:, :-1]), "as if independent"),
            (lambda codes, k: -given_above(codes, k), "the sign"),
            (lambda codes, k: np.mean([given_above(one[None], k) for one in codes]), "of each grid"),
            (lambda codes, k: pairs(codes[:, :-2], codes[:, 2:]) - bits(codes[:, :-2]), "two rows away"),
            (across_grids, "first row of the next one"),
            (with_256, "not 256"),
            (naive, "not a number (NaN)"),
            (lambda codes, k: 0.3, "too small"),
            (lambda codes: 0.3, "the function fails with TypeError"),
        ],
    )


def test_4_5_the_border() -> None:
    step = 0.5 * 0.05
    expect(
        CHECKERS["4.5"],
        [
            *forms_of_number(0.5 + step * log(9) / 2),
            0.527,
            torch.tensor(0.5275),
            (1 + step * (log(0.9) - log(0.1))) / 2,
        ],
        [
            (0.5 - step * log(9) / 2, "the wrong way"),
            (0.5, "without the rate"),
            (0.5 + step * log(9), "one of the factors ½ is missing"),
            (0.5 + 0.05 * log(9), "both factors ½"),
            (0.5 + 0.25 * log(9), "multiplied by s"),
            (0.5 - step * log(0.9) / 2, "two rates"),
            (0.5 - step * log(0.1) / 2, "that of the common one is missing"),
            (0.5 + step * log2(9) / 2, "the base 2"),
            (0.5 + step * log10(9) / 2, "the base 10"),
            (step * log(9) / 2, "where is it then"),
            (0.5 + step * 0.8 / 2, "not p"),
            (1 + step * log(9), "twice as far"),
            (52.75, "52.75 is too large"),
            (0.9, "0.9 is too large"),
            (0.546, "0.546 is a little too large"),
            (-0.5, "too small"),
            (torch.tensor([0.5275, 0.4725]), "expected a number"),
        ],
        secrets=["0.527"],
    )
