"""What makes a better prior in a given time: each way to make one trains for equal processor time.

How many steps fit into the time is measured once, in turns and on this machine, and kept beside the results. All priors
learn the same codes, from several seeds.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from statistics import mean, median, stdev
from typing import Any

from lpvq import plotting
from lpvq.evaluation.estimates import Estimate
from lpvq.experiments.profiles import Recipe
from lpvq.experiments.study import Study, find_or_train_prior
from lpvq.experiments.tables import text_table
from lpvq.experiments.trainings import Training, prior_training
from lpvq.experiments.workspace import Workspace
from lpvq.files import read_json, write_json
from lpvq.models.pixelcnn import PixelCNN
from lpvq.runtime import progress
from lpvq.training.config import TrainConfig
from lpvq.training.losses import grid_nll

_SEEDS = 3
_ROUNDS, _STEPS_A_ROUND = 5, 4  # of timing
_PLAIN: dict[str, Any] = {"prior_position": False, "prior_codebook": False, "prior_attentions": 0}
_ADAMW = {"learning_rate": 2e-3, "muon_rate": 0.0}
_MUON = {"learning_rate": 1e-3, "muon_rate": 4e-3}
_ALL = {"prior_position": True, "prior_codebook": True}

WAYS: dict[str, tuple[Mapping[str, Any], Mapping[str, float]]] = {
    "neither": (_PLAIN, _ADAMW),
    "position": ({**_PLAIN, "prior_position": True}, _ADAMW),
    "codebook": ({**_PLAIN, "prior_codebook": True}, _ADAMW),
    "attention": ({**_PLAIN, "prior_position": True, "prior_attentions": 2}, _ADAMW),
    "Muon": (_PLAIN, _MUON),
    "position, codebook, Muon": ({**_PLAIN, **_ALL}, _MUON),
    "position, codebook, Muon, attention": ({**_ALL, "prior_attentions": 2}, _MUON),
}
"""By name, the changes to the recipe, and to how its prior is trained."""


@dataclass(frozen=True)
class Run:
    """What became of one way to make a prior, from one seed.

    Attributes:
        way: its name.
        seed: the one that it was trained from.
        steps: how many fitted into the time.
        nats: −log p of a grid of test codes under the prior; the mean over grids.
    """

    way: str
    seed: int
    steps: int
    nats: Estimate


def study_priors(workspace: Workspace) -> Study:
    """Train a prior in each of ``WAYS``, for the time that the workspace's own recipe takes, and compare them."""
    steps = _steps(workspace)
    pairs = [(way, workspace.seed + seed) for way in WAYS for seed in range(_SEEDS)]
    runs = [
        Run(
            way,
            seed,
            steps[way],
            Estimate.of_mean(grid_nll(_prior(workspace, way, seed, steps[way]), workspace.test_codes)),
        )
        for way, seed in progress(pairs, "priors")
    ]
    means = {way: _mean_and_spread(runs, way) for way in WAYS}
    bars = {way: Estimate(value, spread / _SEEDS**0.5) for way, (value, spread) in means.items()}
    figure = plotting.plot_bars(bars, "nats per image")
    description = f"Nats per image of priors made in {len(WAYS)} ways for {workspace.dataset}, in equal time"
    return Study([asdict(run) for run in runs], figure, description, _table(steps, means))


def _training(workspace: Workspace, way: str, seed: int, steps: int) -> Training:
    """How a prior is trained in one of the ways."""
    codes = workspace.train_codes
    learning = len(codes) - workspace.num_held_out(len(codes))
    changes, rates = WAYS[way]
    config: TrainConfig = replace(workspace.recipe.prior, **rates, steps=steps, seed=seed, validations=1)  # type: ignore[arg-type]
    recipe: Recipe = replace(workspace.recipe, **changes, prior=config)
    return prior_training(recipe, codes[:learning], codes[learning:], workspace.vqvae.quantizer.codebook)


def _steps(workspace: Workspace) -> dict[str, int]:
    """How many steps of each way fit into the processor time of those of the first way; found, or measured and kept."""
    path = workspace.path("studies/priors-steps.json")
    if path.exists():
        return read_json(path)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(_ROUNDS):
        for way in WAYS:
            seconds[way].append(_seconds_a_step(workspace, way))
    of_step = {way: median(times) for way, times in seconds.items()}
    given = workspace.recipe.prior.steps * of_step[next(iter(WAYS))]
    steps = {way: max(1, round(given / each)) for way, each in of_step.items()}
    write_json(path, steps)
    return steps


def _seconds_a_step(workspace: Workspace, way: str) -> float:
    """The processor time of a step, not counting the first ones, which set things up."""
    training = _training(workspace, way, 0, 2 * _STEPS_A_ROUND)
    moments = []

    def note(step: int, _: object) -> None:
        moments.append(time.process_time())

    training.train(training.new_model(workspace.device), training.data, training.config, after_step=note)
    return (moments[-1] - moments[_STEPS_A_ROUND - 1]) / _STEPS_A_ROUND


def _prior(workspace: Workspace, way: str, seed: int, steps: int) -> PixelCNN:
    """A prior made in one of the ways; found, or trained and kept."""
    training = _training(workspace, way, seed, steps)
    folder = "-".join(["prior", *way.replace(",", "").split(), str(seed)])
    return find_or_train_prior(workspace, folder, training, WAYS[way][0])


def _mean_and_spread(runs: list[Run], way: str) -> tuple[float, float]:
    nats = [run.nats.value for run in runs if run.way == way]
    return mean(nats), stdev(nats) if len(nats) > 1 else 0.0


def _table(steps: Mapping[str, int], means: Mapping[str, tuple[float, float]]) -> str:
    rows = [[way, f"{steps[way]:,}", f"{value:.1f} ± {spread:.1f}"] for way, (value, spread) in means.items()]
    title = f"priors, each trained for the same processor time; mean and standard deviation over {_SEEDS} seeds"
    return text_table(title, ["", "steps", "nats per image"], rows)
