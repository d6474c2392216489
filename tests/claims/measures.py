"""What the expressions of claims may use beside a notebook's own names."""

import re
from collections.abc import Iterable

from torch import Tensor

from lpvq.evaluation.face_faults import PLAINLY_WRONG
from lpvq.evaluation.nearest_face import find_nearest_faces


def far_off(images: Tensor) -> float:
    """Return the share of images (N, 3, 32, 32) that are far from every face that exists."""
    return (find_nearest_faces(images.detach().cpu()).local_errors > PLAINLY_WRONG).double().mean().item()


def right_mouths(images: Tensor, labels: Tensor) -> float:
    """Return the share of images (N, 3, 32, 32) whose nearest face has the mouth of the label (N,)."""
    mouths = find_nearest_faces(images.detach().cpu()).factors["mouth"]
    return (mouths == labels.cpu()).double().mean().item()


def per_cents(line: str) -> list[float]:
    """Return the percentages in a line of text, without what stands behind a ±."""
    return [float(number) for number in re.findall(r"([\d.]+)% ±", line)]


def mean(values: Iterable[float]) -> float:
    """Return the mean of some numbers."""
    numbers = list(values)
    return sum(numbers) / len(numbers)


MEASURES = {function.__name__: function for function in (far_off, right_mouths, per_cents, mean)}
