"""The images of an experiment: what is learned from, what is held out, and what a profile leaves out."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from workspaces import make, write_pets

from lpvq.experiments.profiles import PROFILES

pytestmark = pytest.mark.usefixtures("in_a_moment")


def test_validation_images_are_not_learned_from(tmp_path: Path) -> None:
    workspace = make(tmp_path)
    assert len(workspace.train_data) + len(workspace.validation_data) == 64
    assert len(workspace.validation_data) == 6
    together = torch.cat([workspace.train_data.images, workspace.validation_data.images])
    assert torch.equal(together, workspace.all_train_data.images)
    for part in (workspace.train_data, workspace.validation_data, workspace.test_data):
        assert len(part.labels) == len(part)
    assert not torch.equal(workspace.test_data.images[:6], workspace.validation_data.images)


def test_a_set_that_is_larger_than_the_recipe_takes_is_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pets(tmp_path / "pets", 90, seed=0)
    folder = f"folder:{tmp_path / 'pets'}"

    def said(images: str, profile: str) -> bool:
        expected = f"no more than {images} images of {folder} are used in the profile {profile}\n"
        return capsys.readouterr().out == expected

    assert len(make(tmp_path, dataset=folder).all_train_data) == 64
    assert said("64 of the 81 train", "smoke; the profile laptop uses all")
    make(tmp_path, dataset=folder).test_data  # noqa: B018
    make(tmp_path, dataset=folder, profile="laptop").all_train_data  # noqa: B018
    make(tmp_path).all_train_data  # noqa: B018
    assert capsys.readouterr().out == ""  # all are used, and of smileys there are as many as a recipe asks for
    exact = replace(PROFILES["laptop"], train_images=81, test_images=8)
    monkeypatch.setitem(PROFILES, "laptop", exact)
    make(tmp_path, dataset=folder, profile="laptop").all_train_data  # noqa: B018
    assert capsys.readouterr().out == ""
    make(tmp_path, dataset=folder, profile="laptop").test_data  # noqa: B018
    assert said("8 of the 9 test", "laptop; the profile smoke uses all")
    for profile in ("laptop", "long", "full"):
        monkeypatch.setitem(PROFILES, profile, replace(exact, train_images=70))
    make(tmp_path, dataset=folder, profile="laptop").all_train_data  # noqa: B018
    assert said("70 of the 81 train", "laptop")
