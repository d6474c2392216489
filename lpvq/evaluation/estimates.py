"""Figures, and how far chance may have moved them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lpvq.errors import InputError


@dataclass(frozen=True)
class Estimate:
    """A figure and how far chance may have moved it.

    Attributes:
        value: the figure.
        error: its standard error: the standard deviation that the figure has over fresh sets of the same size.
    """

    value: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """Where the figure lies in 95 % of such measurements, if its distribution is normal."""
        return self.value - 1.96 * self.error, self.value + 1.96 * self.error

    @classmethod
    def of_mean(cls, values: Tensor) -> "Estimate":
        """Return the mean of ``values`` (N,) that are independent of each other, one for each image or grid.

        Raises:
            InputError: there are no values.
        """
        if len(values) == 0:
            raise InputError("a mean needs at least one value, got none")
        values = values.double()
        return cls(values.mean().item(), (values.var(correction=0) / len(values)).sqrt().item())


def bootstrap(measure: Callable[..., float], *sets: Tensor, resamples: int = 100, seed: int = 0) -> Tensor:
    """Return ``measure`` on bootstrap samples: as many rows of each set as it has, drawn with replacement.

    The spread of the results is the standard error of means and of what is smooth in means (Efron 1979,
    doi:10.1214/aos/1176344552). It is wrong for measures that duplicates spoil, such as distances to neighbours, and
    too large for a Fréchet distance near 0; ``lpvq.evaluation.distances`` has errors of its own for these.

    Args:
        measure: takes a sample of each set.
        sets: (N, …) each; from sets of the same size, the same seed draws the same rows.
        resamples: R, how many samples are drawn.
        seed: decides which.

    Returns:
        float64 (R,).

    Raises:
        InputError: a set is empty.
    """
    if any(len(rows) == 0 for rows in sets):
        raise InputError("nothing can be drawn from an empty set; expected at least one row in each")
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(resamples):
        drawn = [rows[torch.randint(len(rows), (len(rows),), generator=generator)] for rows in sets]
        values.append(measure(*drawn))
    return torch.tensor(values, dtype=torch.float64)
