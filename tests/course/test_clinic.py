"""The patients of notebook 10 have what the notebook says, and its treatments mend them."""

from pathlib import Path

import pytest
import torch

from lpvq import InputError, course
from lpvq.course.clinic import MARGIN, Clinic, Patient, by_number, middle
from lpvq.data.loading import load

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "10_your_own_images.ipynb"
NAMES = ("middle", "by_number", "mean_of_earlier", "influence")


@pytest.fixture(scope="module")
def clinic() -> Clinic:
    clinic = Clinic(quick=True)
    clinic.number, clinic.number_unseen, clinic.steps = 24, 40, 1
    return clinic


@pytest.fixture(scope="module")
def patients(clinic: Clinic) -> list[Patient]:
    return [clinic.admit(number, seed=5) for number in range(4)]


@pytest.fixture(scope="module")
def of_the_notebook():
    return course.definitions(NOTEBOOK, *NAMES)


def centred(sheets: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    return (sheets[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN] == pictures).flatten(1).all(1)


def test_the_healthy_one_has_the_pictures_and_labels_of_its_files(patients):
    faces = load("smileys", "train", limit=24, seed=5)
    numbers = [int(name[5:-4]) for name in patients[0].folder.names]
    assert numbers[:4] == [0, 1, 10, 11] and sorted(numbers) == list(range(24))
    assert torch.equal(patients[0].pictures.images, faces.images[numbers])
    assert torch.equal(patients[0].pictures.labels, faces.labels[numbers])
    assert torch.equal(patients[0].folder.table, faces.labels)
    assert patients[0].folder.sheets.shape == (24, 3, 48, 48)


def test_patients_two_and_three_have_the_pictures_of_the_healthy_one_and_patient_one_has_others(patients):
    healthy, one, *others = patients
    for patient in others:
        assert torch.equal(patient.pictures.images, healthy.pictures.images)
    assert centred(healthy.folder.sheets, healthy.pictures.images).all()
    assert centred(one.folder.sheets, one.pictures.images).sum() < 3
    corners = {tuple(picture[:, 0, 0].tolist()) for picture in one.pictures.images}
    assert len(corners) > 1 and one.pictures.images.shape == healthy.pictures.images.shape
    assert not torch.equal(one.unseen.images, healthy.unseen.images)


def test_only_the_labels_of_patient_two_are_those_of_the_table(patients):
    for number, patient in enumerate(patients):
        right = by_number(patient.folder.names, patient.folder.table)
        assert torch.equal(patient.pictures.labels, patient.folder.table if number == 2 else right)
    assert not torch.equal(patients[2].pictures.labels, patients[0].pictures.labels)


def test_the_prior_of_patient_three_sees_later_codes(patients, of_the_notebook):
    before = torch.arange(64).view(8, 8) < 27
    for number, patient in enumerate(patients):
        codes = patient.unseen_codes
        seen = of_the_notebook.influence(patient.prior, codes.codes[:1], codes.labels[:1], 3, 3)
        assert seen[before].any() and bool(seen[~before].any()) == (number == 3)


def test_the_treatments_of_the_notebook_mend_each_patient(clinic, patients, of_the_notebook):
    healthy, one, two, three = patients
    assert torch.equal(of_the_notebook.middle(one.folder.sheets), middle(one.folder.sheets))
    names, table = two.folder.names, two.folder.table
    assert torch.equal(of_the_notebook.by_number(names, table), by_number(names, table))

    mended = clinic.treat(one, prepare=of_the_notebook.middle)
    assert torch.equal(mended.codes.codes, healthy.codes.codes) and mended.folder.names == one.folder.names
    mended = clinic.treat(two, label=of_the_notebook.by_number)
    assert torch.equal(mended.pictures.labels, healthy.pictures.labels)
    mended = clinic.treat(three, summary=of_the_notebook.mean_of_earlier)
    codes = mended.unseen_codes
    seen = of_the_notebook.influence(mended.prior, codes.codes[:1], codes.labels[:1], 3, 3)
    assert not seen.flatten()[27:].any() and seen.flatten()[:27].all()


def test_the_mean_of_earlier_codes_is_one(of_the_notebook):
    embedded = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    means = of_the_notebook.mean_of_earlier(embedded).flatten(2)
    assert not means[:, :, 0].any()
    for position in range(1, 20):
        assert torch.allclose(means[:, :, position], embedded.flatten(2)[:, :, :position].mean(2))


def test_drawn_faces_come_in_turns_and_again_the_same(patients):
    for patient in (patients[0], patients[3]):
        images, labels = patient.draw(4)
        assert images.shape == (4, 3, 32, 32) and labels.tolist() == [0, 1, 2, 0]
        assert torch.equal(images, patient.draw(4)[0])


def test_who_waits_has_what_the_exercise_says(clinic):
    waiting = clinic.waiting_room()
    healthy = waiting["C"]
    assert list(waiting) == list("ABCDE")
    assert all(torch.equal(patient.pictures.images, healthy.pictures.images) for patient in waiting.values())
    images = healthy.unseen.floats()
    own, twin = (patient.vqvae.decode(patient.vqvae.encode(images)) for patient in (healthy, waiting["A"]))
    assert torch.allclose(own, twin, atol=1e-5), "it loses no more than the right one"
    assert not torch.equal(waiting["A"].draw(3)[0], healthy.draw(3)[0])
    number = len(healthy.unseen)
    assert torch.equal(waiting["B"].unseen.images, healthy.pictures.images[:number])
    assert torch.equal(waiting["D"].unseen.images.flip(1), healthy.unseen.images)
    assert torch.equal(waiting["E"].unseen.images, healthy.unseen.images)
    assert (waiting["E"].unseen.labels != healthy.unseen.labels).all()


def test_there_is_no_fourth_patient(clinic):
    for number in (-1, 4):
        with pytest.raises(InputError, match=f"no patient {number}; expected 0 to 3"):
            clinic.admit(number)
