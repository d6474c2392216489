"""What 08 claims: mostly what is counted and tested exactly, and times."""

from claims import Claim, Training, exact, time

TRAININGS: dict[str, Training] = {}
TIMES = "{f'{batch} grids': [seconds[batch, 8][0] / seconds[batch, 8][i] for i in (1, 2)] for batch in (1, 16)}"
CLAIMS = [
    exact("plain sampling computes $N^2$ positions for $N$ codes, and one in $N$ is used", "count-plain"),
    exact("A model of $L$ blocks costs $21\\,L\\,C^2$ multiply-adds per position", "costs"),
    exact("The cache draws the same codes and computes 12 columns instead of 144.", "line-check"),
    exact("a new code changes vertical features only below it, and horizontal ones only after it", "changes-count"),
    exact("You tested that the cache is exact, on logits and on samples", "exact"),
    exact("Equal logits and equal random numbers must give equal codes.", "same-samples"),
    exact("64 positions instead of 4096", "count-cached"),
    exact("We compare these formulas with what a cache really keeps", "memory"),
    exact("Logits are computed for the 32 wanted codes only.", "known"),
    exact("Each mistake has its own pattern.", "mistakes-count"),
    Claim(
        "The error moves down by one row per block and fades towards the bottom.",
        "mistakes-picture",
        "{'by row': maps['warmed up'].mean(dim=1)}",
        "value['by row'][0] > 3 * value['by row'][-1]",
    ),
    Claim(
        "*Stale columns* is right in the first row. In every other row, the error enters from the left.",
        "mistakes-picture",
        "{'first row': maps['stale columns'][0].max(), 'by column': maps['stale columns'][1:].mean(dim=0)}",
        "value['first row'] < 1e-4 and value['by column'][0] > 2 * value['by column'][-1]",
    ),
    time(
        "your cache should be 2 to 20 times faster than plain sampling, and the package's 8 to 60 times faster. The"
        " gain is larger for 16 grids than for one.",
        "seconds",
        TIMES,
        "all(2 < yours < 20 and 8 < package < 60 for yours, package in value.values())"
        " and value['16 grids'][1] > value['1 grids'][1]",
    ),
    time(
        "the fixed cost of many small operations keeps a small batch below this bound",
        "seconds",
        TIMES,
        "max(value['1 grids']) < 64",
    ),
    time(
        "nearly all points lie near the lines",
        "fit",
        "{name: [abs(second / (a + b * positions) - 1) for positions, second in zip(*points)]"
        " for name, (*points, a, b) in costs.items()}",
        "all(max(off[1:4] + off[5:]) < 0.35 for off in value.values())",
    ),
    time(
        "Only on the smallest grids, of 4 × 4, does the package's cache take about twice as long as its line says",
        "fit",
        "{name: [second / (a + b * positions) for positions, second in zip(*points)]"
        ' for name, (*points, a, b) in costs.items()}["lpvq\'s cache"]',
        "1.3 < max(value[0], value[4]) < 3 and max(value[1:4] + value[5:]) < 1.35",
    ),
    time(
        "about 4 for your cache and between 12 and 20 for the package's, not far from what was measured",
        "fit",
        "[(costs['plain'][2] + 64 * costs['plain'][3]) / (costs[name][2] + costs[name][3])"
        " for name in ('your cache', \"lpvq's cache\")]",
        "3.5 < value[0] < 5.5 and 12 < value[1] < 20",
    ),
    exact("The codes are the same, but $b$ has fallen", "products"),
    time(
        "products close most of the gap between your $b$ and the package's",
        "products-costs",
        "{name: b for name, (a, b) in lines.items()}",
        "value['your cache'] - value['with products'] > 0.5 * (value['your cache'] - value[\"lpvq's cache\"])",
    ),
    time(
        "With products, your cache draws 16 grids about 1.3 to 3 times as fast as before. The fixed cost $a$ has"
        " changed far less, so a single grid also gains less.",
        "products-costs",
        "{batch: seconds[batch, 8][1] / new for batch, new in product_seconds.items()}",
        "1.2 < value[16] < 3.3 and 0.8 < value[1] < value[16]",
    ),
    time(
        "All lines rise: the larger the grid, the more work a plain sampler wastes.",
        "speedups",
        "speedups",
        "all(sorted(line) == line for line in value.values())",
    ),
]
