"""Many recipes trained for the same short time and compared, each against what its codes cost.

    trade-off    what a recipe loses (MSE / variance) against what its codes say (nats per image): the pair that decides
                 how good samples can be. Down and to the left is better.
    quantizers   ways to learn a codebook, on the same encoder, from several seeds

Every recipe is a workspace of its own below that of the profile, in ``studies/``. What is finished is not done again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import prod
from statistics import mean, stdev
from typing import Any

from lpvq import plotting
from lpvq.experiments.profiles import Recipe
from lpvq.experiments.study import Study
from lpvq.experiments.tables import text_table
from lpvq.experiments.workspace import Workspace
from lpvq.runtime import progress
from lpvq.training.losses import grid_nll, reconstruction_error

_SHARE_OF_STEPS = 0.25
_SEEDS = 3


@dataclass(frozen=True)
class Variant:
    """A recipe that differs from the profile's in one thing.

    Attributes:
        group: the thing.
        name: what it is here.
        changes: fields of the recipe, with their new values.
        longer: how many times as long both models train.
    """

    group: str
    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    longer: int = 1


def trade_off(recipe: Recipe, size: int) -> list[Variant]:
    """Return the recipes of the study "trade-off": the profile's, and others that differ from it in one thing.

    Args:
        recipe: what the profile makes of the data set.
        size: height and width of the images, in pixels.
    """
    quantizer = dict(recipe.quantizer)
    weighted = {**quantizer, "kind": "entropy-constrained"}
    return [
        Variant("default", f"{recipe.num_codes} codes"),
        *(Variant("codes", f"{share:g}", {"num_codes": share}) for share in _around(recipe.num_codes)),
        *(Variant("rate weight", f"{w:g}", {"quantizer": {**weighted, "rate_weight": w}})
          for w in (0.0, 0.25, 0.5, 1.0) if w != quantizer.get("rate_weight", 0.0)),
        *(Variant("grid", f"{size // d} × {size // d}", {"downsample": d})
          for d in (2, 8) if size % d == 0),
        *(Variant("code size", f"{d}", {"code_dim": d}) for d in (4, 64)),
        *(Variant("encoder width", f"{w}", {"vqvae_channels": w})
          for w in (recipe.vqvae_channels // 2, 2 * recipe.vqvae_channels)),
        *(Variant("encoder blocks", f"{n}", {"encoder_blocks": n}) for n in (1, 2)),
        *(Variant("commitment", f"{w:g}", {"quantizer": {**quantizer, "commitment_weight": w}}) for w in (0.05, 1.0)),
        Variant("restarts", "off", {"quantizer": {**quantizer, "restart_threshold": 0.0}}),
        Variant("training", "twice as long", longer=2),
    ]  # fmt: skip


def quantizers(recipe: Recipe, _: int) -> list[Variant]:
    """Return the recipes of the study "quantizers", with equally many codes as far as that is possible."""
    levels = _levels(recipe.num_codes)
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("gradient", {"quantizer": {"kind": "gradient"}}),
        ("EMA", {"quantizer": {"kind": "ema", "restart_threshold": 0.0}}),
        ("EMA, restarts", {"quantizer": {"kind": "ema"}}),
        ("EMA, restarts, rate", {"quantizer": dict(recipe.quantizer)}),
        ("normalised", {"quantizer": {"kind": "normalised"}}),
        ("4 numbers a code", {"quantizer": {"kind": "ema"}, "code_dim": 4}),
        (
            f"FSQ {' × '.join(map(str, levels))}",
            {"quantizer": {"kind": "fsq", "levels": levels}, "code_dim": len(levels), "num_codes": prod(levels)},
        ),
    ]
    return [Variant(name, "", changes) for name, changes in kinds]


@dataclass(frozen=True)
class Point:
    """What became of a recipe, on test images.

    Attributes:
        group: the thing in which the recipe differs from the profile's.
        name: what that thing is here.
        seed: the one that it was trained from.
        error: MSE / variance of the reconstructions.
        nats: −log p of a grid of codes under a PixelCNN that knows the label; the mean over grids.
        usage: share of codes that occur, 0 … 1.
        perplexity: how many codes would be in use if all were used equally, 1 … K.
    """

    group: str
    name: str
    seed: int
    error: float
    nats: float
    usage: float
    perplexity: float


def study_trade_off(workspace: Workspace) -> Study:
    """Train and measure the recipes of ``trade_off``, each from one seed."""
    return _study(workspace, trade_off, seeds=1)


def study_quantizers(workspace: Workspace) -> Study:
    """Train and measure the recipes of ``quantizers``, each from several seeds."""
    return _study(workspace, quantizers, _SEEDS)


def _study(workspace: Workspace, recipes: Callable[[Recipe, int], list[Variant]], seeds: int) -> Study:
    variants = recipes(workspace.recipe, workspace.test_data.images.shape[-1])
    runs = [(variant, workspace.seed + seed) for variant in variants for seed in range(seeds)]
    points = [_measure(workspace, variant, seed) for variant, seed in progress(runs, "recipes")]
    figure = plotting.plot_trade_off(
        [(point.group, point.name) for point in points],
        [point.nats for point in points],
        [point.error for point in points],
    )
    description = f"Error against nats per image on {workspace.dataset}, {len(variants)} recipes"
    return Study([asdict(point) for point in points], figure, description, _table(points))


def _measure(workspace: Workspace, variant: Variant, seed: int) -> Point:
    recipe = workspace.recipe
    share = _SHARE_OF_STEPS * variant.longer
    changes = {
        "vqvae": replace(recipe.vqvae, steps=max(1, round(share * recipe.vqvae.steps))),
        "prior": replace(recipe.prior, steps=max(1, round(share * recipe.prior.steps))),
        **variant.changes,
    }
    folder = "-".join(f"{variant.group} {variant.name} {seed}".replace(",", "").split())
    variation = workspace.variation(f"studies/{folder}", seed, changes)
    about = variation.test_codes.describe()
    return Point(
        variant.group,
        variant.name,
        seed,
        reconstruction_error(variation.vqvae, variation.test_data) / variation.test_data.variance(),
        grid_nll(variation.prior, variation.test_codes).mean().item(),
        about["usage"],
        about["perplexity"],
    )


def _around(number: int) -> list[int]:
    return [number // 4, number // 2, 2 * number, 4 * number]


def _levels(num_codes: int) -> list[int]:
    """Levels, three or four of them and as equal as can be, that make about ``num_codes`` codes."""
    digits = 4 if num_codes >= 200 else 3
    level = max(2, round(num_codes ** (1 / digits)))
    return [level] * digits


def _table(points: Sequence[Point]) -> str:
    """For each recipe the mean over seeds, and from two seeds on their spread."""
    rows = []
    for group, name in dict.fromkeys((point.group, point.name) for point in points):
        runs = [point for point in points if (point.group, point.name) == (group, name)]
        row = [group, name]
        for what, digits in (("error", 4), ("nats", 1), ("perplexity", 1)):
            row.append(_mean_and_spread([getattr(run, what) for run in runs], digits))
        rows.append([*row, f"{mean(run.usage for run in runs):.0%}"])
    head = ["", "", "MSE / variance", "nats per image", "perplexity", "codes in use"]
    seeds = len({point.seed for point in points})
    title = "recipes, trained equally long" + (f"; mean and standard deviation over {seeds} seeds" * (seeds > 1))
    return text_table(title, head, rows)


def _mean_and_spread(values: Sequence[float], digits: int) -> str:
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{spread}"
