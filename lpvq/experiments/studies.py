"""The studies of ``lpvq study``: experiments that are too long for a notebook. What is finished is not done again.

trade-off     recipes: what they lose (MSE / variance) against what their codes cost (nats per image)
quantizers    ways to learn a codebook
priors        what makes a better prior, in equal processor time
measures      which measure of generated images sees which fault
sampling      what temperature and top-p do to faults, coverage and rare faces
combinations  whether a prior draws combinations of factors that it has never seen
"""

from collections.abc import Callable

from lpvq import plotting
from lpvq.errors import InputError
from lpvq.experiments.combination_study import study_combinations
from lpvq.experiments.measure_study import study_measures
from lpvq.experiments.prior_study import study_priors
from lpvq.experiments.recipe_studies import study_quantizers, study_trade_off
from lpvq.experiments.sampling_study import study_sampling
from lpvq.experiments.study import Study
from lpvq.experiments.workspace import Workspace
from lpvq.files import write_json

STUDIES: dict[str, Callable[[Workspace], Study]] = {
    "trade-off": study_trade_off,
    "quantizers": study_quantizers,
    "priors": study_priors,
    "measures": study_measures,
    "sampling": study_sampling,
    "combinations": study_combinations,
}


def study(workspace: Workspace, name: str) -> Study:
    """Carry out a study; write ``study_NAME.json`` and ``study_NAME.png``.

    Args:
        workspace: whose data set, profile, seed and models to use.
        name: one of ``STUDIES``.

    Raises:
        InputError: there is no study of that name, or it needs other images.
    """
    if name not in STUDIES:
        raise InputError(f"study {name!r} is unknown; expected one of {', '.join(STUDIES)}")
    found = STUDIES[name](workspace)
    write_json(workspace.path(f"study_{name}.json"), found.figures)
    plotting.save(found.figure, workspace.path(f"study_{name}.png"), found.description)
    return found
