"""The whole way of the data: found or made, refused where it does not fit, unharmed by a kill at any moment."""

import json
import math
import os
import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from workspaces import make, sums_by_hand, write_pets

from lpvq import VQVAE, InputError, PixelCNN, TrainConfig, cli, extract_codes, load_pretrained, runtime, train_prior
from lpvq.data.loading import load
from lpvq.evaluation.codes import evaluate_reconstruction
from lpvq.evaluation.prior import evaluate_prior
from lpvq.experiments import samples, splits, trainings, workspace
from lpvq.experiments.profiles import PROFILES, SNAPSHOTS
from lpvq.experiments.workspace import Workspace
from lpvq.files import checksum, load_model, save_model
from lpvq.models import pretrained
from lpvq.paths import shipped
from lpvq.training.losses import grid_nll, reconstruction_error
from lpvq.training.vqvae import train_vqvae
from processes import Finished, Running, in_new_process
from quick import quick_recipe

pytestmark = pytest.mark.usefixtures("in_a_moment")


@pytest.fixture
def finished(tmp_path: Path) -> Workspace:
    workspace = make(tmp_path)
    workspace.prior  # noqa: B018
    workspace.test_codes  # noqa: B018
    return workspace


def test_each_data_set_and_profile_has_a_folder_of_its_own(tmp_path: Path) -> None:
    assert make(tmp_path).folder == tmp_path / "smileys" / "smoke"
    assert make(tmp_path, dataset="folder:/a/cats").folder == tmp_path / "folder-cats" / "smoke"
    assert make(tmp_path, pretrained=True).folder == tmp_path / "smileys" / "pretrained-smoke"
    assert make(tmp_path, size=32).folder == make(tmp_path).folder
    assert make(tmp_path, size=128).folder == tmp_path / "smileys-128" / "smoke"


def test_two_levels_are_a_workspace_of_smaller_images_and_one_given_its_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(tmp_path, size=64, levels=2)
    codes = made.prior.generate(labels=[0, 1, 2])
    assert codes.shape == (3, 16, 16) and made.vqvae.decode(codes).shape == (3, 3, 64, 64)
    assert made.coarse is not None and made.coarse.folder == make(tmp_path).folder
    assert {path.name for path in made.folder.glob("*.pt")} == {"vqvae.pt", "fine.pt"}
    assert {path.name for path in made.coarse.folder.glob("*.pt")} == {"vqvae.pt", "prior.pt"}
    shrunken = torch.nn.functional.avg_pool2d(made.test_data.floats(), 2)
    assert torch.equal(made.test_codes.coarse.codes, made.coarse.vqvae.encode(shrunken))
    forbid_to_make(monkeypatch)
    again = make(tmp_path, size=64, levels=2)
    assert checksum(again.prior) == checksum(made.prior)
    assert torch.equal(again.test_codes.coarse.codes, made.test_codes.coarse.codes)


def test_one_level_and_two_share_the_vqvae(tmp_path: Path) -> None:
    one, two = make(tmp_path, size=64), make(tmp_path, size=64, levels=2)
    assert checksum(one.vqvae) == checksum(two.vqvae) and one.prior.num_coarse_codes is None
    assert two.test_codes.coarse is not None and make(tmp_path, size=64).test_codes.coarse is None


def test_another_coarse_vqvae_makes_other_codes_and_another_fine_prior(tmp_path: Path) -> None:
    before = make(tmp_path, size=64, levels=2)
    was = checksum(before.prior.fine_prior), before.train_codes.coarse.vqvae_checksum
    quantizer = before.coarse.vqvae.quantizer  # with its entries in another order, it gives all codes other numbers
    quantizer.code_sums.copy_(quantizer.code_sums.flip(0))
    quantizer.code_counts.copy_(quantizer.code_counts.flip(0))
    about = {key: before.coarse.vqvae_about[key] for key in ("settings", "seconds", "precision", "history")}
    save_model(before.coarse.vqvae, before.coarse.path("vqvae.pt"), about)
    after = make(tmp_path, size=64, levels=2)
    assert checksum(after.prior.fine_prior) != was[0]
    assert after.train_codes.coarse.vqvae_checksum == checksum(after.coarse.vqvae) != was[1]


@pytest.mark.parametrize(("size", "such"), [(None, "32; got no size"), (36, "40; got 36"), (68, "72; got 68")])
def test_a_size_that_cannot_be_halved_has_no_two_levels(size: int | None, such: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"two levels need a size that is a multiple of 8, such as {such}"):
        make(tmp_path, size=size, levels=2)


def test_the_environment_can_name_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPVQ_OUTPUT", str(tmp_path / "elsewhere"))
    assert Workspace("smileys").folder == tmp_path / "elsewhere" / "smileys" / "smoke"
    assert make(tmp_path).folder == tmp_path / "smileys" / "smoke"


def forbid_to_make(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, everything has to be found."""

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("this is there already")

    for module, name in (
        (trainings, "train_vqvae"),
        (trainings, "train_prior"),
        (trainings, "train_classifier"),
        (workspace, "extract_codes"),
    ):
        monkeypatch.setattr(module, name, forbidden)


def test_what_was_made_is_found_again(finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_to_make(monkeypatch)
    again = make(tmp_path)
    assert checksum(again.vqvae) == checksum(finished.vqvae)
    assert checksum(again.prior) == checksum(finished.prior)
    assert torch.equal(again.train_codes.codes, finished.train_codes.codes)
    assert sorted(path.name for path in finished.folder.iterdir() if path.name != ".lock") == [
        "codes_test.npz",
        "codes_train.npz",
        "prior.json",
        "prior.pt",
        "snapshots",
        "vqvae.json",
        "vqvae.pt",
    ]


def test_nothing_is_written_by_merely_making_a_workspace(tmp_path: Path) -> None:
    made = make(tmp_path / "out")
    made.variation("other", 1, {"num_codes": 4})
    make(tmp_path / "out", pretrained=True)
    made.path("vqvae.pt"), made.folder, made.test_data, made.train_data
    assert not (tmp_path / "out").exists()


# Snapshots.


def snapshot_sums(folder: Path, name: str) -> list[str]:
    kind = VQVAE if name == "vqvae" else PixelCNN
    return [checksum(load_model(kind, folder / "snapshots" / f"{name}-{share}.pt")[0]) for share in SNAPSHOTS]


STEPS_OF_SHARES = [1, 2, 3, 4]  # of six: a tenth, a quarter, a half, three quarters


def by_properties(output: Path) -> None:
    made = make(output)
    made.vqvae, made.prior  # noqa: B018


def by_train_until(output: Path) -> None:
    for name in ("vqvae", "prior"):
        for share in (0.25, 0.9):
            make(output).train_until(name, share)
    by_properties(output)


def by_train_until_alone(output: Path) -> None:
    for name in ("vqvae", "prior"):
        make(output).train_until(name, 0.9)


def by_the_demo(output: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", "--output", str(output)])
    assert not ended.value.code


def by_other_commands(output: Path) -> None:
    for command in ("train-vqvae", "train-prior"):
        with pytest.raises(SystemExit):
            cli.main([command, "--output", str(output)])


WAYS = [by_properties, by_train_until, by_the_demo, by_other_commands]


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_every_way_to_train_keeps_the_models_as_they_were_at_some_steps(
    way: Callable[[Path], None], tmp_path: Path
) -> None:
    way(tmp_path)
    by_hand = sums_by_hand(0)
    for name in ("vqvae", "prior"):
        expected = [by_hand[name][step - 1] for step in STEPS_OF_SHARES]
        assert len(set(expected)) == 4
        assert snapshot_sums(tmp_path / "smileys" / "smoke", name) == expected


def test_a_training_that_stops_keeps_the_snapshots_before_it(tmp_path: Path) -> None:
    make(tmp_path).train_until("vqvae", 0.5)
    kept = sorted(path.name for path in (tmp_path / "smileys" / "smoke" / "snapshots").glob("*.pt"))
    assert kept == ["vqvae-0.1.pt", "vqvae-0.25.pt", "vqvae-0.5.pt"]


def test_snapshots_are_found_again_while_and_after_a_model_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand = sums_by_hand(0)
    made = make(tmp_path)
    for share, step, records in ((0.5, 3, 1), (0.25, 2, 0), (0.1, 1, 0), (0.5, 3, 1)):  # back, too
        model, history = made.train_until("vqvae", share)
        assert not model.training and checksum(model) == by_hand["vqvae"][step - 1] and len(history) == records
    assert not made.path("vqvae.pt").exists()
    assert checksum(made.vqvae) == by_hand["vqvae"][-1]
    made.prior  # noqa: B018
    forbid_to_make(monkeypatch)
    again = make(tmp_path)
    for name in ("vqvae", "prior"):
        for share, step in zip(SNAPSHOTS, STEPS_OF_SHARES, strict=True):
            model, history = again.train_until(name, share)
            assert not model.training and checksum(model) == by_hand[name][step - 1]
            assert [record["step"] for record in history] == [3][: step // 3]


def test_a_share_that_is_passed_and_was_not_kept_is_trained_once_more_beside(
    finished: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_hand = sums_by_hand(0)
    paths = [path for path in finished.folder.rglob("*.*") if path.is_file() and path.name != ".lock"]
    before = [(path, path.read_bytes(), path.stat().st_mtime_ns) for path in paths]
    capsys.readouterr()
    again = make(tmp_path)
    for name, share, step in (("vqvae", 0.8, 5), ("prior", 0.65, 4)):
        for times in (1, 0):
            model, _ = again.train_until(name, share)
            assert checksum(model) == by_hand[name][step - 1] and not model.training
            line = f"no snapshots/{name}-{share}.pt for smileys in the profile smoke yet: training it\n"
            assert capsys.readouterr().out == line * times
    assert before == [(path, path.read_bytes(), path.stat().st_mtime_ns) for path in paths]
    assert not list(finished.folder.rglob("*.checkpoint"))


def test_a_lost_snapshot_of_a_training_that_is_further_is_trained_beside_and_the_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_hand = sums_by_hand(0)
    made = make(tmp_path)
    made.train_until("prior", 0.5)
    for path in made.path("snapshots").glob("prior-*"):
        path.unlink()
    capsys.readouterr()
    assert checksum(made.train_until("prior", 0.25)[0]) == by_hand["prior"][1]
    assert "no snapshots/prior-0.25.pt" in capsys.readouterr().out
    assert checksum(made.train_until("prior", 0.5)[0]) == by_hand["prior"][2]  # just here: found in the checkpoint
    assert capsys.readouterr().out == "no prior.pt for smileys in the profile smoke yet: training goes on\n"
    assert checksum(made.prior) == by_hand["prior"][-1]
    assert capsys.readouterr().out == "no prior.pt for smileys in the profile smoke yet: training goes on\n"


def test_shares_are_at_least_a_step_and_never_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = sums_by_hand(0)
    made = make(tmp_path)
    assert checksum(made.train_until("vqvae", 1e-9)[0]) == by_hand["vqvae"][0]
    assert checksum(made.train_until("vqvae", 1 - 1e-9)[0]) == by_hand["vqvae"][4]
    assert checksum(made.train_until("vqvae", 1 / 3)[0]) == by_hand["vqvae"][1]
    monkeypatch.setitem(PROFILES, "smoke", quick_recipe(steps=1))
    once = make(tmp_path / "once")
    assert checksum(once.train_until("vqvae", 0.5)[0]) == checksum(once.vqvae)


@pytest.mark.parametrize(
    ("name", "share"),
    [("classifier", 0.5), ("prior", 0.0), ("prior", 1.0), ("prior", -0.5), ("prior", math.nan), ("", 0.5), (None, 0.5)],
)
def test_a_share_that_is_none_is_refused(name: Any, share: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"share between 0 and 1, got {name!r} and {share}"):
        make(tmp_path).train_until(name, share)
    for nonsense in ("0.5", None, True):
        with pytest.raises(InputError, match="share must be a number"):
            make(tmp_path).train_until("vqvae", nonsense)
    assert not (tmp_path / "smileys").exists()


def test_pretrained_weights_have_no_snapshots(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="have no snapshots: leave pretrained out"):
        make(tmp_path, pretrained=True).train_until("prior", 0.5)


def test_a_snapshot_of_an_old_recipe_is_refused_by_name(finished: Workspace, tmp_path: Path) -> None:
    for path in finished.folder.glob("*.*"):
        path.unlink()
    with pytest.raises(
        InputError, match=r"snapshots/vqvae-0\.25\.pt was made with other settings \(seed was 0, is 1\)"
    ):
        make(tmp_path, seed=1).train_until("vqvae", 0.25)


# What is said of a model, and what is refused.


@pytest.mark.parametrize(("fast", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_how_a_model_was_trained_stands_beside_it(
    fast: bool, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_fast_at_bfloat16", lambda _: fast)
    made = make(tmp_path)
    made.train_until("prior", 0.5)
    monkeypatch.setattr(runtime, "_fast_at_bfloat16", lambda _: not fast)  # it goes on as it began
    made.prior, made.classifier  # noqa: B018
    about = json.loads(made.path("prior.json").read_text())
    assert about["settings"]["steps"] == 6 and about["settings"]["vqvae_checksum"] == checksum(made.vqvae)
    assert about["settings"]["data_checksum"] == made.all_train_data.checksum()
    assert [record["step"] for record in about["history"]] == [3, 6]
    assert about["seconds"] == about["history"][-1]["seconds"]
    for name in ("vqvae.json", "prior.json", "snapshots/prior-0.5.json", "snapshots/prior-0.75.json"):
        about = json.loads(made.path(name).read_text())
        assert about["precision"] == precision, name
        assert {record["precision"] for record in about["history"]} == {precision}
    assert made.prior_about["precision"] == made.vqvae_about["precision"] == precision
    other = json.loads(made.path("classifier.json").read_text())
    assert other["precision"] == ("float32" if fast else "bfloat16")


@pytest.mark.parametrize("began", [True, False])
def test_a_training_goes_on_with_compile_or_without_it(
    began: bool, finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lpvq.training.prior.compiled", lambda function: function)
    part, _ = make(tmp_path / "part", compile=began).train_until("prior", 0.5)
    rest = make(tmp_path / "part", compile=not began)
    assert rest.recipe.prior.compile == (not began)
    assert checksum(rest.prior) == checksum(finished.prior) != checksum(part)
    assert checksum(make(tmp_path / "part", compile=began).prior) == checksum(finished.prior)


@pytest.mark.parametrize("artefact", ["vqvae", "prior", "classifier"])
def test_models_made_with_other_settings_are_refused_by_name(artefact: str, tmp_path: Path) -> None:
    made = make(tmp_path)
    getattr(made, artefact)
    about = json.loads(made.path(f"{artefact}.json").read_text())
    weights = made.path(f"{artefact}.pt").read_bytes()
    about["settings"]["learning_rate"] = 0.5
    made.path(f"{artefact}.json").write_text(json.dumps(about))
    with pytest.raises(
        InputError, match=rf"{artefact}\.pt was made with other settings \(learning_rate was 0.5, is 0.001\)"
    ):
        getattr(make(tmp_path), artefact)
    assert made.path(f"{artefact}.pt").read_bytes() == weights
    del about["settings"]
    made.path(f"{artefact}.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=rf"{artefact}\.json does not say how {artefact}\.pt was made"):
        getattr(make(tmp_path), artefact)


def test_another_seed_is_refused_by_name_where_models_of_the_first_are(finished: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vqvae\.pt was made with other settings \(seed was 0, is 1\)"):
        make(tmp_path, seed=1).vqvae  # noqa: B018


def test_a_training_of_another_recipe_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(tmp_path)
    made.train_until("vqvae", 0.5)
    content = made.path("vqvae.checkpoint").read_bytes()
    with pytest.raises(InputError, match=r"vqvae\.checkpoint belongs to another run \(seed was 0, is 1\): delete it"):
        make(tmp_path, seed=1).vqvae  # noqa: B018
    assert made.path("vqvae.checkpoint").read_bytes() == content


def test_settings_are_the_same_however_their_numbers_are_written(finished: Workspace, tmp_path: Path) -> None:
    again = make(tmp_path, seed=np.int64(0), size=np.int64(32))
    assert checksum(again.prior) == checksum(finished.prior)
    changes = {"num_codes": 27, "code_dim": 3, "quantizer": {"kind": "fsq", "levels": (3, 3, 3)}}
    sums = [checksum(make(tmp_path).variation("fsq", 0, changes).vqvae) for _ in range(2)]
    assert sums[0] == sums[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 2**63}, "seed must be a whole number"),
        ({"seed": 0.0}, "seed must be a whole number"),
        ({"size": 30}, "size must be a multiple of 4, got 30"),
        ({"size": 0}, "size must be a whole number, at least 4"),
        ({"size": -4}, "size must be a whole number, at least 4"),
        ({"size": 32.0}, "size must be a whole number, at least 4"),
        ({"size": "32"}, "size must be a whole number, at least 4"),
        ({"profile": "fast"}, "profile 'fast' is unknown"),
        ({"device": "abacus"}, "device 'abacus' cannot be used"),
        ({"compile": 1}, "compile must be True or False"),
    ],
    ids=str,
)
def test_a_workspace_that_cannot_be_is_refused_at_once(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        make(tmp_path, **options)


# Other data: somebody replaces the pictures.


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[[int], None]:
    """Draws the pictures of a folder: from another seed, other pictures under the same names."""

    def draw(seed: int) -> None:
        write_pets(tmp_path / "pets", 40, seed)

    draw(0)
    return draw


def pets(tmp_path: Path) -> Workspace:
    return make(tmp_path / "out", dataset=f"folder:{tmp_path / 'pets'}", size=16)


def test_what_was_made_of_other_pictures_is_made_anew_with_a_line_each(
    pictures: Callable[[int], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = pets(tmp_path)
    old.prior, old.test_codes, old.classifier  # noqa: B018
    sums = snapshot_sums(old.folder, "vqvae")
    pictures(1)
    capsys.readouterr()
    new = pets(tmp_path)
    new.prior, new.test_codes, new.classifier  # noqa: B018
    said = capsys.readouterr().out.splitlines()
    models = [f"{old.path(name)}.pt was made from other images or codes than there are now: training it"
              for name in ("vqvae", "prior", "classifier")]  # fmt: skip
    codes = [f"{old.path(name)} has the codes of other images or of another VQ-VAE: they are extracted anew"
             for name in ("codes_train.npz", "codes_test.npz")]  # fmt: skip
    assert said == [models[0], codes[0], models[1], codes[1], models[2]]
    for name in ("vqvae", "prior", "classifier"):
        assert checksum(getattr(new, name)) != checksum(getattr(old, name))
    assert not set(snapshot_sums(new.folder, "vqvae")) & set(sums)
    elsewhere = make(tmp_path / "elsewhere", dataset=f"folder:{tmp_path / 'pets'}", size=16)
    assert checksum(elsewhere.prior) == checksum(new.prior)
    capsys.readouterr()
    assert checksum(pets(tmp_path).prior) == checksum(new.prior)
    assert capsys.readouterr().out == ""


def test_a_snapshot_of_other_pictures_is_not_returned(
    pictures: Callable[[int], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = pets(tmp_path)
    seen, _ = old.train_until("vqvae", 0.25)
    finished = checksum(old.vqvae)
    pictures(1)
    capsys.readouterr()
    new = pets(tmp_path)
    again, _ = new.train_until("vqvae", 0.25)
    assert checksum(again) != checksum(seen)
    line = f"{old.path('vqvae')}.pt was made from other images or codes than there are now: "
    assert capsys.readouterr().out == f"{line}training it\n"
    assert checksum(new.vqvae) != finished  # and what was begun for the snapshot goes on
    assert capsys.readouterr().out == f"{line}training goes on\n"
    elsewhere = make(tmp_path / "elsewhere", dataset=f"folder:{tmp_path / 'pets'}", size=16)
    assert checksum(elsewhere.train_until("vqvae", 0.25)[0]) == checksum(again)


def test_a_training_that_was_begun_on_other_pictures_starts_anew_with_a_line(
    pictures: Callable[[int], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = pets(tmp_path)
    begun.train_until("vqvae", 0.5)
    pictures(1)
    capsys.readouterr()
    new = pets(tmp_path)
    new.vqvae  # noqa: B018
    assert capsys.readouterr().out.splitlines() == [
        f"{new.path('vqvae.checkpoint')} is of other images or codes than there are now: it is discarded",
        f"no vqvae.pt for folder:{tmp_path / 'pets'} in the profile smoke yet: training it",
    ]
    elsewhere = make(tmp_path / "elsewhere", dataset=f"folder:{tmp_path / 'pets'}", size=16)
    assert checksum(elsewhere.vqvae) == checksum(new.vqvae)


def test_a_prior_and_codes_of_another_vqvae_are_made_anew(
    finished: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make(tmp_path / "other", seed=1)
    other.vqvae  # noqa: B018
    for name in ("prior.pt", "prior.json", "codes_test.npz"):
        shutil.copy(finished.path(name), other.path(name))
    about = json.loads(other.path("prior.json").read_text())
    other.path("prior.json").write_text(json.dumps({**about, "settings": {**about["settings"], "seed": 1}}))
    again = make(tmp_path / "other", seed=1)
    capsys.readouterr()
    again.test_codes.check_made_by(again.vqvae)
    assert "codes_test.npz has the codes of other images or of another VQ-VAE" in capsys.readouterr().out
    assert checksum(again.prior) != checksum(finished.prior)
    assert "prior.pt was made from other images or codes than there are now" in capsys.readouterr().out


# Variations.


def test_a_variation_shares_images_and_no_model(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = finished.variation("other", 3, {"code_dim": 2})
    assert other.folder == finished.folder / "other" and other.seed == 3
    for name in ("vqvae", "prior", "train_codes", "test_codes", "classifier"):
        assert getattr(other, name) is not getattr(finished, name)
    assert other.vqvae.quantizer.code_dim == 2 and finished.vqvae.quantizer.code_dim == 16
    other.test_codes.check_made_by(other.vqvae)


def test_the_images_of_a_workspace_and_its_variations_are_loaded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def note(name: str, split: str, *more: Any) -> Any:
        loaded.append(split)
        return load(name, split, *more)

    monkeypatch.setattr(splits, "load", note)
    made = make(tmp_path)
    variations = [made.variation(str(number), number, {"num_codes": 4}) for number in range(2)]  # before any is loaded
    for each in (variations[0], made, variations[1]):
        each.prior, each.test_codes  # noqa: B018
    assert sorted(loaded) == ["test", "train"]


def test_a_variation_of_pretrained_models_trains_its_own(tmp_path: Path) -> None:
    other = make(tmp_path, pretrained=True).variation("other", 0, {"num_codes": 4})
    assert other.vqvae.quantizer.num_codes == 4
    assert checksum(other.train_until("vqvae", 0.5)[0]) != checksum(other.vqvae)


@pytest.mark.parametrize("field", ["size", "train_images", "test_images", "validation_images"])
def test_a_variation_cannot_choose_other_images(field: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"has the same images, so it cannot change {field}"):
        make(tmp_path).variation("other", 0, {field: 16, "num_codes": 4})


def test_pretrained_models_draw_no_other_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trained weights for 'smileys-64'"):
        make(tmp_path, pretrained=True, size=64)
    assert make(tmp_path, pretrained=True, size=32).vqvae.downsample == 4


@pytest.mark.parametrize("name", ["vqvae.pt", "vqvae.json", "prior.pt", "codes_test.npz"])
def test_a_damaged_artefact_is_named_and_left_as_it_is(finished: Workspace, tmp_path: Path, name: str) -> None:
    path = finished.path(name)
    path.write_bytes(path.read_bytes()[:100])
    again = make(tmp_path)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        again.prior, again.test_codes  # noqa: B018
    assert path.stat().st_size == 100


def test_a_small_folder_of_pictures_goes_the_whole_way(tmp_path: Path) -> None:
    for number in range(12):
        folder = tmp_path / "pets" / ("cats" if number % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(256, size=(40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    workspace = make(tmp_path / "out", dataset=f"folder:{tmp_path / 'pets'}", size=16)
    images, _, _ = samples.sample(workspace, 4)
    assert images.shape == (4, 3, 16, 16) and workspace.class_names == ("cats", "dogs")
    assert workspace.prior.num_classes == 2


def test_other_pictures_under_the_same_names_make_everything_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def make_all() -> tuple[Workspace, list[str], list[torch.Tensor]]:
        workspace = make(tmp_path / "out", dataset=f"folder:{tmp_path / 'pets'}", size=16)
        snapshots = [workspace.train_until(name, 0.5)[0] for name in ("vqvae", "prior")]
        models = [workspace.vqvae, workspace.prior, workspace.classifier, *snapshots]
        codes = [workspace.train_codes, workspace.test_codes]
        for each, data in zip(codes, (workspace.all_train_data, workspace.test_data), strict=True):
            each.check_made_by(workspace.vqvae)
            assert torch.equal(each.codes, extract_codes(workspace.vqvae, data).codes)
        return workspace, [checksum(model) for model in models], [each.codes for each in codes]

    write_pets(tmp_path / "pets", 30, seed=0)
    workspace, old_models, old_codes = make_all()
    capsys.readouterr()
    _, same_models, same_codes = make_all()
    assert same_models == old_models and all(map(torch.equal, same_codes, old_codes))
    assert "made from other images" not in capsys.readouterr().out  # the pictures are the same: nothing is made anew

    write_pets(tmp_path / "pets", 30, seed=1)
    _, new_models, new_codes = make_all()
    assert not set(new_models) & set(old_models)
    assert not any(map(torch.equal, new_codes, old_codes))
    said = capsys.readouterr().out
    for name in ("vqvae", "prior", "classifier"):
        assert f"{name}.pt was made from other images or codes than there are now" in said
    for name in ("codes_train", "codes_test"):
        assert f"{workspace.path(name)}.npz has the codes of other images or of another VQ-VAE" in said
    assert make_all()[1] == new_models  # and what was made anew is kept


def test_the_real_fashion_mnist_goes_the_whole_way(tmp_path: Path, real_data: None) -> None:
    training = TrainConfig(steps=300, batch_size=32, learning_rate=3e-3, validations=3)
    trainings = {"vqvae": training, "prior": training}
    quick = replace(PROFILES["smoke"], train_images=4000, test_images=500, num_codes=32, **trainings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "smoke", quick)
        workspace = make(tmp_path, dataset="fashion_mnist")
    images, codes, labels = samples.sample(workspace, 10)
    assert images.shape == (10, 1, 28, 28) and codes.shape == (10, 7, 7) and labels.tolist() == list(range(10))
    # Minutes of training reach 0.04 and 0.43; these few seconds must already be far below knowing nothing.
    assert evaluate_reconstruction(workspace.vqvae, workspace.test_data).relative_error.value < 0.5
    evaluation = evaluate_prior(workspace.prior, workspace.train_codes, workspace.test_codes, 28 * 28)
    assert evaluation["prior"].bits.value < evaluation["unigram"].bits.value < evaluation["uniform"].bits.value


def test_the_pretrained_models_belong_together_and_draw(tmp_path: Path) -> None:
    vqvae, prior = load_pretrained("smileys")
    assert not vqvae.training and not prior.training
    images = vqvae.decode(prior.generate(labels=torch.tensor([0]), generator=torch.Generator().manual_seed(0)))
    assert images.shape == (1, 3, 32, 32)
    workspace = make(tmp_path, pretrained=True)
    assert checksum(workspace.prior) == checksum(prior)
    size = sum(path.stat().st_size for path in shipped("pretrained").rglob("*"))
    assert size < 14_000_000


def test_the_pretrained_models_still_fit_the_pictures_they_were_trained_on(tmp_path: Path) -> None:
    # The drawing of smileys or a layer may change one day; then `make pretrained` has to be run.
    workspace = make(tmp_path, pretrained=True)
    assert evaluate_reconstruction(workspace.vqvae, workspace.test_data).relative_error.value < 0.06
    evaluation = evaluate_prior(workspace.prior, workspace.train_codes, workspace.test_codes, 32 * 32)
    assert evaluation.share_of_unigram is not None and evaluation.share_of_unigram < 0.26


def test_the_large_pretrained_models_fit_theirs(tmp_path: Path) -> None:
    vqvae, prior = load_pretrained("smileys-128")
    data = load("smileys", "test", size=128, limit=16)
    codes = extract_codes(vqvae, data)
    assert codes.grid == prior.image_size == (32, 32)
    assert reconstruction_error(vqvae, data) / data.variance() < 0.04
    assert grid_nll(prior, codes).mean() / 1024 < 0.25 * math.log(512)


def test_pretrained_models_that_are_not_there_are_named(tmp_path: Path) -> None:
    for name in ("cats", "smileys-big", "smileys-64"):
        with pytest.raises(InputError, match=rf"no trained weights for '{name}'.*expected one of smileys"):
            load_pretrained(name)
    with pytest.raises(InputError, match="fashion_mnist"):
        make(tmp_path, dataset="fashion_mnist", pretrained=True).vqvae  # noqa: B018


def test_a_mismatched_pair_of_pretrained_models_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(shipped("pretrained"), tmp_path / "pretrained")
    about = json.loads((tmp_path / "pretrained" / "smileys" / "prior.json").read_text())
    about["settings"]["vqvae_checksum"] = "0"
    (tmp_path / "pretrained" / "smileys" / "prior.json").write_text(json.dumps(about))
    monkeypatch.setattr(pretrained, "shipped", lambda name: tmp_path / name)
    with pytest.raises(InputError, match="codes of another VQ-VAE"):
        load_pretrained("smileys")


# The same run, killed. Every file is put in place by one call of os.replace, so a kill before each of them covers all
# that a kill can do: the files before are there, this one is not, and what was written of it is left over.


def make_all(output: Path, kill_at: int, every_step: bool) -> tuple[int, list[str]]:
    """Make all artefacts, and be killed before a file is put in place; how many were, and the checksums."""
    PROFILES["smoke"] = quick_recipe(20 if every_step else 6)
    runtime._fast_at_bfloat16 = lambda _: False  # or each process would find out for itself, on a busy machine
    if every_step:
        trainings.train_vqvae = partial(train_vqvae, checkpoint_seconds=0)
        trainings.train_prior = partial(train_prior, checkpoint_seconds=0)
    put, calls = os.replace, 0

    def put_or_die(source: Path, target: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == kill_at:
            signal.raise_signal(signal.SIGKILL)
        put(source, target)

    os.replace = put_or_die
    made = make(output)
    made.prior, made.test_codes  # noqa: B018
    snapshots = snapshot_sums(made.folder, "vqvae") + snapshot_sums(made.folder, "prior")
    return calls, [checksum(made.vqvae), checksum(made.prior), made.test_codes.checksum(), *snapshots]


def run(output: Path, kill_at: int = 0, every_step: bool = False) -> Finished:
    return in_new_process(make_all, output, kill_at, every_step)


def test_a_kill_before_any_file_is_written_loses_nothing(tmp_path: Path) -> None:
    files, sums = run(tmp_path / "whole").result
    assert files == 24  # two checkpoints, two sets of codes; two models and four snapshots of each, two files each
    for number in range(1, files + 1):
        broken = tmp_path / str(number)
        assert run(broken, number).status == -signal.SIGKILL
        finished = run(broken)
        assert finished.status == 0, finished.err
        assert finished.result[1] == sums, f"file {number}"
        assert not [path for path in broken.rglob("*") if "checkpoint" in path.name], f"file {number}"


def test_twenty_kills_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    # Every training step writes a checkpoint here, so a random number of files is a random moment of any stage.
    whole = run(tmp_path / "whole", every_step=True)
    chance, broken = random.Random(0), tmp_path / "broken"
    for kill in range(20):
        killed = run(broken, chance.randint(1, 4), every_step=True)
        assert killed.status == -signal.SIGKILL, f"kill {kill + 1}: {killed.out}{killed.err}"
    finished = run(broken, every_step=True)
    assert finished.result[0] < whole.result[0], "most should have been made by those that were killed"
    assert finished.result[1] == whole.result[1]


def test_two_processes_that_want_the_same_model_train_it_once(tmp_path: Path) -> None:
    both = [Running(make_all, tmp_path / "both", 0, True) for _ in range(2)]
    first, second = (process.finish() for process in both)
    assert (first.status, second.status) == (0, 0), first.err + second.err
    alone = run(tmp_path / "alone", every_step=True).result
    assert first.result[1] == second.result[1] == alone[1]
    # All files were put in place by one or the other, none by both.
    assert first.result[0] + second.result[0] == alone[0]
    lines = first.out.splitlines() + second.out.splitlines()
    for name in ("vqvae", "prior"):
        assert lines.count(f"no {name}.pt for smileys in the profile smoke yet: training it") == 1
