"""The weights that the project ships: what is put there is what is loaded, in half the space."""

from pathlib import Path

import pytest
import torch
from workspaces import make

from lpvq import PixelCNN, load_pretrained
from lpvq.experiments.shipping import ship
from lpvq.files import checksum, load_model
from lpvq.models import pretrained
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.pretrained import load_pretrained_and_about

pytestmark = pytest.mark.usefixtures("in_a_moment")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of ``data/pretrained``."""
    monkeypatch.setattr(pretrained, "shipped", lambda name: tmp_path / "shipped")
    return tmp_path / "shipped"


def test_what_is_shipped_of_one_level_is_loaded(home: Path, tmp_path: Path) -> None:
    made = make(tmp_path)
    ship(made, home)
    vqvae, prior = load_pretrained("smileys")
    assert checksum(vqvae) == checksum(made.vqvae)
    assert isinstance(prior, PixelCNN) and prior.embedding.weight.dtype == torch.float32 and not prior.training
    for name, value in made.prior.state_dict().items():
        torch.testing.assert_close(prior.state_dict()[name], value, rtol=1e-3, atol=1e-4)
    stored, about = load_model(PixelCNN, home / "smileys" / "prior.pt")
    assert stored.embedding.weight.dtype == torch.float16
    assert about["history"] == made.prior_about["history"] and about["settings"] == made.prior_about["settings"]
    whole = make(tmp_path / "other", pretrained=True).whole_number_prior
    codes = made.test_codes.codes[:4], made.test_codes.labels[:4]
    torch.testing.assert_close(whole.nll(*codes), prior.nll(*codes).double().detach(), rtol=0.05, atol=0)


def test_what_is_shipped_of_two_levels_is_loaded_with_the_coarse_level(home: Path, tmp_path: Path) -> None:
    made = make(tmp_path, size=64, levels=2)
    ship(made, home)
    assert {path.name for path in (home / "smileys-64").iterdir()} == {"vqvae.pt", "vqvae.json", "fine.pt", "fine.json"}
    ship(made.coarse, home)
    (vqvae, _), (prior, about) = load_pretrained_and_about("smileys-64")
    assert isinstance(prior, CoarseToFine) and checksum(prior.vqvae) == checksum(vqvae) == checksum(made.vqvae)
    assert checksum(prior.coarse_vqvae) == checksum(made.coarse.vqvae)
    assert about["settings"] == made.prior_about["settings"]
    loaded = make(tmp_path / "other", size=64, pretrained=True)
    assert loaded.coarse is not None and loaded.test_codes.coarse is not None
    assert torch.equal(
        loaded.prior.generate(labels=[0], generator=torch.Generator().manual_seed(0)),
        prior.generate(labels=[0], generator=torch.Generator().manual_seed(0)),
    )


def test_a_fine_prior_of_another_coarse_level_is_refused(home: Path, tmp_path: Path) -> None:
    ship(make(tmp_path, size=64, levels=2), home)
    ship(make(tmp_path, seed=1, output=tmp_path / "other"), home)
    with pytest.raises(pretrained.InputError, match="codes of another VQ-VAE"):
        load_pretrained("smileys-64")
