"""Memory or rule? A prior is trained without some combinations of factors, and asked whether it draws them.

faces   a tenth of the 9,720 combinations of all factors, drawn at random: nothing but the combination itself tells
a face that was left out from one that was not, so a prior that has learned how faces are made draws them as
often as all others
pairs   three of the 30 pairs of background and skin, with every face that has one of them: here there is a rule to
be learned, that these two do not go together
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import prod

import torch
from torch import Tensor

from lpvq import plotting
from lpvq.data.latent_codes import LatentCodes
from lpvq.data.smileys import FACTORS
from lpvq.evaluation.estimates import Estimate
from lpvq.evaluation.face_quality import true_threshold
from lpvq.evaluation.nearest_face import find_nearest_faces
from lpvq.experiments.study import Study, find_or_train_prior, need_one_level, need_smileys
from lpvq.experiments.tables import percentage, text_table
from lpvq.experiments.trainings import prior_training
from lpvq.experiments.workspace import Workspace
from lpvq.models.pixelcnn import PixelCNN
from lpvq.runtime import progress
from lpvq.training.losses import grid_nll

_SHARE = 0.1  # of the combinations
_SEEDS = 3
_FACES = 3000
_WAYS = {"faces": tuple(FACTORS), "pairs": ("background", "skin")}


@dataclass(frozen=True)
class Combinations:
    """What a prior does with combinations that were left out.

    Attributes:
        way: "faces" or "pairs".
        seed: decides what is left out, and the training.
        expected: the share of faces that have such a combination, 0 … 1: what the source draws.
        drawn: the share of drawn faces whose nearest true face has one.
        true: of these, the share that is true to the renderer; NaN, as below, where there are none.
        others_true: of the other drawn faces, the share that is true to it.
        nats: −log p of test grids of faces that were left out; the mean over grids.
        others_nats: the same for the other test grids.
    """

    way: str
    seed: int
    expected: float
    drawn: Estimate
    true: Estimate
    others_true: Estimate
    nats: Estimate
    others_nats: Estimate


def study_combinations(workspace: Workspace) -> Study:
    """Train priors without some combinations of factors, from three seeds each, and count what they draw.

    Raises:
        InputError: the images are not smileys.
    """
    need_smileys(workspace)
    need_one_level(workspace)
    number = min(_FACES, len(workspace.test_data))
    codes = workspace.test_codes.codes[:number].to(workspace.device)
    threshold = true_threshold(find_nearest_faces(workspace.vqvae.decode(codes).cpu()))
    runs = [(way, workspace.seed + seed) for way in _WAYS for seed in range(_SEEDS)]
    found = [_measure(workspace, way, seed, number, threshold) for way, seed in progress(runs, "priors")]
    bars = {
        f"{one.way}, seed {one.seed}: {kind}": estimate
        for one in found
        for kind, estimate in (("expected", Estimate(one.expected, 0.0)), ("drawn", one.drawn))
    }
    figure = plotting.plot_bars(bars, "share of faces with a combination that was left out")
    description = "Share of faces with a combination that was left out: " + ", ".join(
        f"{name} {share.value:.3f}" for name, share in bars.items()
    )
    return Study([asdict(one) for one in found], figure, description, _table(found))


def left_out(way: str, seed: int, factors: Mapping[str, Tensor]) -> Tensor:
    """Return which faces have a combination that is left out.

    Args:
        way: "faces" or "pairs".
        seed: decides which combinations, a tenth of all, these are.
        factors: of the faces, (N,) each.

    Returns:
        bool (N,).
    """
    names = _WAYS[way]
    number = prod(len(FACTORS[name]) for name in names)
    index = torch.zeros_like(factors["mouth"])
    for name in names:
        index = index * len(FACTORS[name]) + factors[name]
    chosen = torch.randperm(number, generator=torch.Generator().manual_seed(seed))[: round(_SHARE * number)]
    return torch.isin(index, chosen)


def _measure(workspace: Workspace, way: str, seed: int, number: int, threshold: float) -> Combinations:
    prior = _prior_without(workspace, way, seed)
    labels = torch.arange(number) % len(workspace.class_names)
    generator = torch.Generator(workspace.device).manual_seed(seed)
    drawn = prior.generate(labels=labels.to(workspace.device), generator=generator)
    nearest = find_nearest_faces(workspace.vqvae.decode(drawn).cpu())
    new, true = left_out(way, seed, nearest.factors), nearest.local_errors <= threshold
    factors = workspace.test_data.factors
    assert factors is not None
    held_out, nats = left_out(way, seed, factors), grid_nll(prior, workspace.test_codes)
    return Combinations(
        way,
        seed,
        _SHARE,
        Estimate.of_mean(new),
        _mean_of(true[new]),
        _mean_of(true[~new]),
        _mean_of(nats[held_out]),
        _mean_of(nats[~held_out]),
    )


def _mean_of(values: Tensor) -> Estimate:
    return Estimate.of_mean(values) if len(values) else Estimate(float("nan"), float("nan"))


def _prior_without(workspace: Workspace, way: str, seed: int) -> PixelCNN:
    """A prior that has never seen the combinations; found, or trained and kept."""
    factors = workspace.all_train_data.factors
    codes = workspace.train_codes[: len(workspace.all_train_data)]  # a long training may have more, of other faces
    assert factors is not None
    keep = ~left_out(way, seed, factors)
    learning = len(workspace.train_data)
    recipe = replace(workspace.recipe, prior=replace(workspace.recipe.prior, seed=seed))
    training = prior_training(
        recipe,
        _some(codes[:learning], keep[:learning]),
        _some(codes[learning:], keep[learning:]),
        workspace.vqvae.quantizer.codebook,
    )
    return find_or_train_prior(workspace, f"without-{way}-{seed}", training, {})


def _some(codes: LatentCodes, keep: Tensor) -> LatentCodes:
    return replace(codes, codes=codes.codes[keep], labels=codes.labels[keep])


def _table(found: list[Combinations]) -> str:
    rows = [
        (
            one.way,
            str(one.seed),
            f"{one.expected:.1%}",
            percentage(one.drawn.value, one.drawn.error),
            percentage(one.true.value, one.true.error),
            percentage(one.others_true.value, one.others_true.error),
            f"{one.nats.value:.1f} ± {one.nats.error:.1f}",
            f"{one.others_nats.value:.1f} ± {one.others_nats.error:.1f}",
        )
        for one in found
    ]
    head = [
        "left out",
        "seed",
        "of all faces",
        "of drawn ones",
        "true to the renderer",
        "others",
        "test nats",
        "others",
    ]
    return text_table("a tenth of the combinations left out: does the prior draw them?", head, rows)
