"""What temperature and top-p do: fewer faults, and fewer of everything that is rare."""

from dataclasses import asdict, dataclass, replace

from lpvq import plotting
from lpvq.evaluation.distances import neighbourhoods
from lpvq.evaluation.estimates import Estimate
from lpvq.evaluation.face_quality import evaluate_faces
from lpvq.evaluation.frechet import measure_frechet
from lpvq.evaluation.nearest_face import find_nearest_faces
from lpvq.experiments.samples import sample
from lpvq.experiments.study import Study, need_smileys
from lpvq.experiments.tables import percentage, text_table
from lpvq.experiments.workspace import Workspace
from lpvq.models.sampling import SamplingOptions
from lpvq.runtime import progress
from lpvq.training.losses import grid_nll

_FACES = 1000
_TEMPERATURES = (0.7, 0.8, 0.9, 1.0, 1.1)
_TOP_PS = (None, 0.95, 0.9)
_RARE = 0.1


@dataclass(frozen=True)
class Sampled:
    """What became of the faces that were drawn in one way.

    Attributes:
        temperature: what the logits were divided by.
        top_p: the probability of the codes that were kept; None: all were.
        true: the share that is true to the renderer.
        wrong: the share that is plainly wrong.
        frechet: the Fréchet classifier distance to training images.
        coverage: of training images, see ``Neighbourhoods``.
        rare: the share of grids as improbable, under the prior itself, as a tenth of the test grids are.
    """

    temperature: float
    top_p: float | None
    true: Estimate
    wrong: Estimate
    frechet: Estimate
    coverage: Estimate
    rare: Estimate


def study_sampling(workspace: Workspace) -> Study:
    """Draw faces at several temperatures, with and without top-p, and measure each set.

    Raises:
        InputError: the images are not smileys.
    """
    need_smileys(workspace)
    number = min(_FACES, len(workspace.test_data), len(workspace.train_data))
    test_codes, classifier = workspace.test_codes[:number], workspace.classifier
    reconstructed = find_nearest_faces(workspace.vqvae.decode(test_codes.codes.to(workspace.device)).cpu())
    costly = grid_nll(workspace.prior, test_codes).double().quantile(1 - _RARE)
    real = classifier.features(workspace.train_data[:number].floats())
    found = []
    ways = [(temperature, top_p) for top_p in _TOP_PS for temperature in _TEMPERATURES]
    for temperature, top_p in progress(ways, "ways to draw"):
        images, codes, labels = sample(workspace, number, options=SamplingOptions(temperature, top_p=top_p))
        quality = evaluate_faces(reconstructed, {"": (images, find_nearest_faces(images))})[0]
        features = classifier.features(images)
        nats = grid_nll(workspace.prior, replace(test_codes, codes=codes, labels=labels))
        found.append(
            Sampled(
                temperature,
                top_p,
                quality.true,
                quality.wrong,
                measure_frechet(real, features).estimate,
                neighbourhoods(real, features).coverage,
                Estimate.of_mean(nats > costly),
            )
        )
    panels = {
        "true to the renderer": "true",
        "plainly wrong": "wrong",
        "Fréchet classifier distance": "frechet",
        "coverage": "coverage",
        "rare faces": "rare",
    }
    lines = {
        title: {
            "all codes" if top_p is None else f"top-p {top_p:g}": [
                getattr(one, name) for one in found if one.top_p == top_p
            ]
            for top_p in _TOP_PS
        }
        for title, name in panels.items()
    }
    figure = plotting.plot_panels(lines, _TEMPERATURES, "temperature")
    description = f"{', '.join(panels)} of {number:,} drawn faces at temperatures {_TEMPERATURES}, for several top-p"
    return Study([asdict(one) for one in found], figure, description, _table(found, number))


def _table(found: list[Sampled], number: int) -> str:
    rows = [
        (
            f"{one.temperature:g}",
            "" if one.top_p is None else f"{one.top_p:g}",
            percentage(one.true.value, one.true.error),
            percentage(one.wrong.value, one.wrong.error),
            f"{one.frechet.value:.2f} ± {one.frechet.error:.2f}",
            f"{one.coverage.value:.3f}",
            percentage(one.rare.value, one.rare.error),
        )
        for one in found
    ]
    head = [
        "temperature",
        "top-p",
        "true to the renderer",
        "plainly wrong",
        "Fréchet distance",
        "coverage",
        "rare faces",
    ]
    return text_table(f"ways to draw {number:,} faces", head, rows)
