"""Figures, and how far chance may have moved them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A figure and how far chance may have moved it.

    Attributes:
        value: the figure.
        error: its standard error, from bootstrap samples.
    """

    value: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """Where the figure lies in 95 % of such measurements, if its distribution is normal."""
        return self.value - 1.96 * self.error, self.value + 1.96 * self.error

    @classmethod
    def of_mean(cls, values: Tensor) -> "Estimate":
        """Return the mean of ``values`` (N,); its bootstrap standard error has a closed form."""
        values = values.double()
        return cls(values.mean().item(), (values.var(correction=0) / len(values)).sqrt().item())


def bootstrap(measure: Callable[..., float], *sets: Tensor, resamples: int = 100, seed: int = 0) -> Tensor:
    """Return ``measure`` on ``resamples`` samples of the sets' rows, drawn with replacement, float64 (resamples,).

    The same seed draws the same rows of sets of the same size. So where two sets hold the same images, one of them
    changed a little, the difference of their figures varies far less than each figure does.
    """
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(resamples):
        drawn = [rows[torch.randint(len(rows), (len(rows),), generator=generator)] for rows in sets]
        values.append(measure(*drawn))
    return torch.tensor(values, dtype=torch.float64)
