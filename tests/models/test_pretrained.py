"""The weights that come with the project."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from lpvq import InputError, PixelCNN, load_pretrained
from lpvq.experiments.workspace import Workspace
from lpvq.files import checksum
from lpvq.models import pretrained
from lpvq.models.pretrained import load_pretrained_and_about, load_whole_number_prior
from lpvq.paths import shipped

# Files that `lpvq compress --pretrained` has written can be read only with these very numbers. Not to be changed: a new
# prior needs new weights beside it, and makes those files unreadable.
WHOLE_NUMBER_PRIOR = "fc91b213bcbb729a02a3e46bf63545ff78dd1381511fbf753f5a2245c3514a24"


def test_what_is_known_of_the_models_comes_with_them() -> None:
    (vqvae, vqvae_about), (_, prior_about) = load_pretrained_and_about("smileys")
    assert vqvae_about["config"] == vqvae.config
    assert prior_about["settings"]["vqvae_checksum"] == checksum(vqvae)


@pytest.mark.parametrize(
    "settings", [None, "settings", [1], {}, {"vqvae_checksum": None}, {"vqvae_checksum": "0" * 64}]
)
def test_a_prior_that_does_not_say_or_says_another_vqvae_is_refused(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shipped("pretrained") / "smileys", tmp_path / "smileys")
    about = json.loads((tmp_path / "smileys" / "prior.json").read_text())
    (tmp_path / "smileys" / "prior.json").write_text(json.dumps({**about, "settings": settings}))
    monkeypatch.setattr(pretrained, "shipped", lambda name: tmp_path)
    with pytest.raises(InputError, match="codes of another VQ-VAE"):
        load_pretrained("smileys")


def test_the_prior_in_whole_numbers_is_the_same_in_every_copy_and_is_what_a_workspace_uses(tmp_path: Path) -> None:
    _, prior = load_pretrained("smileys")
    assert isinstance(prior, PixelCNN)
    model = load_whole_number_prior("smileys", prior)
    assert checksum(model) == WHOLE_NUMBER_PRIOR and not model.training
    model.check_sums()
    about = json.loads((shipped("pretrained") / "smileys" / "whole_number_prior.json").read_text())
    assert about["settings"]["prior_checksum"] == checksum(prior)
    workspace = Workspace("smileys", "smoke", tmp_path, pretrained=True)
    assert checksum(workspace.whole_number_prior) == WHOLE_NUMBER_PRIOR
    assert not list(tmp_path.iterdir())  # nothing is made anew, and no face is rendered for it


def test_it_is_nearly_the_prior_that_comes_with_it() -> None:
    _, prior = load_pretrained("smileys")
    assert isinstance(prior, PixelCNN)
    labels = torch.arange(6) % 3
    codes = prior.generate(labels=labels, generator=torch.Generator().manual_seed(0))
    found, expected = (model.nll(codes, labels).mean() for model in (load_whole_number_prior("smileys", prior), prior))
    assert found.item() == pytest.approx(expected.item(), rel=0.02)


def test_a_prior_in_whole_numbers_that_was_made_of_another_prior_is_refused() -> None:
    _, prior = load_pretrained("smileys")
    assert isinstance(prior, PixelCNN)
    with torch.no_grad():
        prior.embedding.weight[0, 0] += 1
    with pytest.raises(InputError, match="made of another prior"):
        load_whole_number_prior("smileys", prior)
