"""How fast: each figure is a median of several runs, beside its reference in the same process."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from lpvq.pixelcnn import PixelCNN

Row = dict[str, Any]


def measure(runs: int) -> list[Row]:
    """Time the cached against the plain sampler, for a prior of 512 codes, 10 blocks and 64 channels.

    Returns:
        rows with ``what``, ``reference_seconds``, ``seconds`` (medians of ``runs``) and ``ratio``.
    """
    model = PixelCNN(latent_dim=512, image_size=8, num_blocks=10)
    rows = []
    for size, batch in ((8, 1), (8, 16), (8, 64), (32, 1)):
        plain = _seconds(lambda: model.generate(image_size=size, batch_size=batch, method="plain"), runs)  # noqa: B023
        cached = _seconds(lambda: model.generate(image_size=size, batch_size=batch), runs)  # noqa: B023
        rows.append(
            {
                "what": f"sampling {batch} of {size} × {size}, plain against cached",
                "reference_seconds": plain,
                "seconds": cached,
                "ratio": plain / cached,
            }
        )
    return rows


def format_table(rows: list[Row]) -> str:
    """Return the rows as text."""
    lines = [f"{'':52}{'reference':>12}{'here':>12}{'ratio':>9}"]
    for row in rows:
        times = f"{row['reference_seconds']:>10.3f} s{row['seconds']:>10.3f} s"
        lines.append(f"{row['what']:52}{times}{row['ratio']:>8.1f}×")
    return "\n".join(lines)


def _seconds(action: Callable[[], object], runs: int) -> float:
    """The median time of ``runs`` calls, after one that is not counted."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return median(times[1:])
