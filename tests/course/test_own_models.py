"""A model of the reader's own is found again as it was kept, and so is what was measured of its codes."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from lpvq import course
from lpvq.errors import InputError
from lpvq.evaluation.estimates import Estimate
from lpvq.experiments.workspace import Workspace

MINE = """class Mine(nn.Module):
    def __init__(self, width, height=1):
        super().__init__()
        self.layer = nn.Linear(width, height)
"""


def write_notebook(path: Path, source: str) -> Path:
    cells = [{"cell_type": "code", "source": text} for text in ("from torch import nn", source)]
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    return path


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    return write_notebook(tmp_path / "lesson.ipynb", MINE)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace("smileys", "smoke", tmp_path / "output", device="cpu")


def test_it_is_found_again_with_its_arguments_and_weights(notebook: Path, workspace: Workspace) -> None:
    model: nn.Module = course.definitions(notebook, "Mine").Mine(3, height=2)
    course.keep(workspace, model, width=3, height=2)
    found = course.find(workspace, notebook, "Mine")
    assert found is not None and not found.training
    assert torch.equal(found.get_parameter("layer.weight"), model.get_parameter("layer.weight"))


def test_nothing_is_found_where_nothing_was_kept(notebook: Path, workspace: Workspace) -> None:
    assert course.find(workspace, notebook, "Mine") is None


@pytest.mark.parametrize(
    ("old", "new"),
    [("nn.Linear(width, height)", "nn.Linear(width + 1, height)"), ("width, height=1", "width")],
    ids=["another layer", "another argument"],
)
def test_a_class_that_has_changed_is_named(old: str, new: str, notebook: Path, workspace: Workspace) -> None:
    model = course.definitions(notebook, "Mine").Mine(3, height=2)
    course.keep(workspace, model, width=3, height=2)
    write_notebook(notebook, MINE.replace(old, new))
    with pytest.raises(InputError, match=r"Mine in lesson\.ipynb is not what it was"):
        course.find(workspace, notebook, "Mine")


def test_a_prior_is_found_with_the_vqvae_whose_codes_it_has_learned(
    notebook: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    prior: nn.Module = course.definitions(notebook, "Mine").Mine(3)
    vqvae, retrained = nn.Linear(2, 2), nn.Linear(2, 2)
    course.keep(workspace, prior, codes_of=vqvae, width=3)
    assert course.find(workspace, notebook, "Mine", codes_of=vqvae) is not None
    assert capsys.readouterr().out == ""
    assert course.find(workspace, notebook, "Mine", codes_of=retrained) is None
    assert capsys.readouterr().out == "Mine has learned the codes of another VQ-VAE: run lesson.ipynb again\n"


def test_what_was_noted_of_codes_is_there_for_the_next_notebook(workspace: Workspace) -> None:
    vqvae = nn.Linear(2, 2)
    course.note(workspace, vqvae, {"uniform": Estimate(8.0, 0.0), "masked": Estimate(3.0, 0.2)})
    noted = course.note(workspace, vqvae, {"two stacks": Estimate(2.0, 0.1), "masked": Estimate(2.5, 0.1)})
    assert list(noted) == ["uniform", "masked", "two stacks"]
    assert noted["masked"] == Estimate(2.5, 0.1) and noted["uniform"] == Estimate(8.0, 0.0)
    assert course.note(workspace, vqvae, {}) == noted


def test_figures_of_other_codes_are_dropped(workspace: Workspace) -> None:
    course.note(workspace, nn.Linear(2, 2), {"uniform": Estimate(8.0, 0.0)})
    assert list(course.note(workspace, nn.Linear(2, 2), {"prior": Estimate(0.5, 0.0)})) == ["prior"]
