"""Which measure would have seen it? Faults of known size in true faces, and what each measure says about them."""

from dataclasses import asdict

from lpvq import plotting
from lpvq.data import load
from lpvq.evaluation.face_quality import true_threshold
from lpvq.evaluation.nearest_face import find_nearest_faces
from lpvq.evaluation.sensitivity import Measures, Sensitivity, faulty_faces, measure_sensitivity
from lpvq.experiments.study import Study, need_smileys
from lpvq.experiments.tables import text_table
from lpvq.experiments.workspace import Workspace
from lpvq.runtime import progress

_FACES = 1000
_COMPARED_WITH = 10_000
_CLEAN_SETS = 8


def study_measures(workspace: Workspace) -> Study:
    """Plant each fault in a known share of faces, and say from which share on each measure sees the fault.

    Raises:
        InputError: the images are not smileys.
    """
    need_smileys(workspace)
    size = workspace.test_data.images.shape[-1]
    number = min(_FACES, len(workspace.test_data), len(workspace.train_data) // 2)
    codes = workspace.test_codes.codes[:number].to(workspace.device)
    threshold = true_threshold(find_nearest_faces(workspace.vqvae.decode(codes).cpu()))
    training = workspace.train_data[:_COMPARED_WITH]
    copied = training[number:]  # not those that features are compared with, or copies would be at distance zero
    held_out = workspace.test_data[:number].floats()
    measures = Measures(workspace.classifier, training.floats(), held_out, threshold)
    # Seeds that no training or test image was rendered with.
    fresh = (load("smileys", "test", size, number, seed=1 + index) for index in range(_CLEAN_SETS))
    clean = [
        measures.look_at(faces.floats(), faces.labels) for faces in progress(fresh, "true faces", total=_CLEAN_SETS)
    ]
    faulty = {name: measures.look_at(*faces) for name, faces in faulty_faces(number, copied).items()}
    found = measure_sensitivity(measures, clean, faulty)
    faults, names = list(faulty), list(dict.fromkeys(one.measure for one in found))
    seen = {(one.fault, one.measure): one.seen_from for one in found}
    figure = plotting.plot_sensitivity(faults, names, seen)
    description = "From which share of faulty faces on each measure sees each fault: " + "; ".join(
        f"{fault}: " + (", ".join(f"{name} {seen[fault, name]:.0%}" for name in names if seen[fault, name]) or "none")
        for fault in faults
    )
    figures = [{**asdict(one), "faces": number, "seen_from": one.seen_from} for one in found]
    return Study(figures, figure, description, _table(found, number))


def _table(found: list[Sensitivity], number: int) -> str:
    faults = list(dict.fromkeys(one.fault for one in found))
    rows = [
        [name, *(_share(one.seen_from) for one in found if one.measure == name)]
        for name in dict.fromkeys(one.measure for one in found)
    ]
    title = f"which share of {number:,} faces has to be faulty for a measure to see it (–: it never does)"
    return text_table(title, ["", *faults], rows)


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
