"""The weights that come with the project."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lpvq import InputError, load_pretrained
from lpvq.files import checksum
from lpvq.models import pretrained
from lpvq.models.pretrained import load_pretrained_and_about
from lpvq.paths import shipped


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
