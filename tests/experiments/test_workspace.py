"""The whole way of the data: found or made, refused where it does not fit, unharmed by a kill at any moment."""

import json
import math
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lpvq import InputError, TrainConfig, extract_codes, load_pretrained
from lpvq.data.loading import load
from lpvq.evaluation.codes import evaluate_reconstruction
from lpvq.evaluation.prior import evaluate_prior
from lpvq.experiments import samples, workspace
from lpvq.experiments.profiles import PROFILES
from lpvq.experiments.workspace import Workspace
from lpvq.files import checksum
from lpvq.models import pretrained
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.sampling import SamplingOptions
from lpvq.paths import shipped
from lpvq.training.losses import grid_nll, reconstruction_error

pytestmark = pytest.mark.usefixtures("in_a_moment")


def make(tmp_path: Path, **options: object) -> Workspace:
    return Workspace(**{"dataset": "smileys", "profile": "smoke", "output": tmp_path, **options})


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


def test_the_environment_can_name_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPVQ_OUTPUT", str(tmp_path / "elsewhere"))
    assert Workspace("smileys").folder == tmp_path / "elsewhere" / "smileys" / "smoke"
    assert make(tmp_path).folder == tmp_path / "smileys" / "smoke"


def test_what_was_made_is_found_again(finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("this is there already")

    for name in ("train_vqvae", "train_prior", "extract_codes"):
        monkeypatch.setattr(workspace, name, forbidden)
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


def test_a_model_can_be_looked_at_while_it_is_trained(finished: Workspace, tmp_path: Path) -> None:
    workspace = make(tmp_path / "in parts")
    vqvae, history = workspace.train_until("vqvae", 0.4)
    assert not vqvae.training and history == [] and not workspace.path("vqvae.pt").exists()
    early, history = workspace.train_until("vqvae", 0.5)
    assert [record["step"] for record in history] == [3]
    assert checksum(workspace.vqvae) == checksum(finished.vqvae) not in (checksum(vqvae), checksum(early))
    prior, history = workspace.train_until("prior", 0.9)
    assert isinstance(prior, PixelCNN) and [record["step"] for record in history] == [3]
    assert checksum(workspace.prior) == checksum(finished.prior) != checksum(prior)
    later = make(tmp_path / "in parts")
    for name, share, seen in (("vqvae", 0.5, early), ("prior", 0.9, prior)):
        again, history = later.train_until(name, share)
        assert not again.training and checksum(again) == checksum(seen) and [one["step"] for one in history] == [3]
    late, _ = later.train_until("prior", 0.6)  # which the training has passed: once more, beside it
    assert checksum(late) not in (checksum(prior), checksum(finished.prior))
    assert checksum(make(tmp_path / "in parts").prior) == checksum(finished.prior)
    for name, share in (("classifier", 0.5), ("prior", 0.0), ("prior", 1.0)):
        with pytest.raises(InputError, match=f"share between 0 and 1, got '{name}' and {share}"):
            workspace.train_until(name, share)


def test_two_processes_that_want_the_same_model_train_it_once(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path), "0", "", "True"], stdout=-1, stderr=-1, text=True)
        for _ in range(2)
    ]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    first, second = (output.split() for output, _ in said)
    assert first[-2:] == second[-2:]
    # All files were put in place by one or the other, none by both.
    assert int(first[-3]) + int(second[-3]) == int(run(tmp_path / "alone", every_step=True).stdout.split()[-3])


def test_how_a_model_was_trained_stands_beside_it(finished: Workspace) -> None:
    about = json.loads(finished.path("prior.json").read_text())
    assert about["settings"]["steps"] == 6 and about["settings"]["vqvae_checksum"] == checksum(finished.vqvae)
    assert [record["step"] for record in about["history"]] == [3, 6]


def test_the_same_seed_makes_the_same_models_and_another_others(finished: Workspace, tmp_path: Path) -> None:
    same, other = make(tmp_path / "same"), make(tmp_path / "other", seed=1)
    assert checksum(same.prior) == checksum(finished.prior)
    assert checksum(other.vqvae) != checksum(finished.vqvae)


def test_validation_images_are_not_learned_from(tmp_path: Path) -> None:
    workspace = make(tmp_path)
    assert len(workspace.train_data) + len(workspace.validation_data) == 64
    assert len(workspace.validation_data) == 6
    together = torch.cat([workspace.train_data.images, workspace.validation_data.images])
    assert torch.equal(together, workspace.all_train_data.images)


def test_how_fast_a_model_was_trained_is_no_other_setting(finished: Workspace, tmp_path: Path) -> None:
    assert make(tmp_path, compile=True).recipe.prior.compile
    assert checksum(make(tmp_path, compile=True).prior) == checksum(finished.prior)


def test_models_made_with_other_settings_are_refused_by_name(finished: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vqvae\.pt was made with other settings \(seed was 0, is 1\)"):
        make(tmp_path, seed=1).vqvae  # noqa: B018


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


def test_pretrained_models_draw_no_other_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trained weights for 'smileys-64'"):
        make(tmp_path, pretrained=True, size=64)
    assert make(tmp_path, pretrained=True, size=32).vqvae.downsample == 4


def test_another_seed_draws_other_images_from_the_same_models(finished: Workspace) -> None:
    first, second = (samples.sample(finished, 4, seed=seed)[1] for seed in (0, 1))
    assert torch.equal(first, samples.sample(finished, 4)[1])
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", ["vqvae.pt", "vqvae.json", "prior.pt", "codes_test.npz"])
def test_a_damaged_artefact_is_named_and_left_as_it_is(finished: Workspace, tmp_path: Path, name: str) -> None:
    path = finished.path(name)
    path.write_bytes(path.read_bytes()[:100])
    again = make(tmp_path)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        again.prior, again.test_codes  # noqa: B018
    assert path.stat().st_size == 100


def test_samples_are_those_of_the_seed_and_the_classes_take_turns(finished: Workspace) -> None:
    images, codes, labels = samples.sample(finished, 5)
    assert images.shape == (5, 3, 32, 32) and codes.shape == (5, 8, 8) and labels.tolist() == [0, 1, 2, 0, 1]
    assert torch.equal(samples.sample(finished, 5)[1], codes)
    assert torch.equal(images, finished.vqvae.decode(codes))
    assert samples.sample(finished, 2, label=2)[2].tolist() == [2, 2]
    greedy = samples.sample(finished, 4, 0, SamplingOptions(temperature=0))[1]
    assert torch.equal(greedy, greedy[:1].expand_as(greedy))
    with pytest.raises(InputError, match="label must be in 0 … 2, got 3"):
        samples.sample(finished, 1, label=3)


def test_pictures_and_figures_are_written_under_their_names(finished: Workspace) -> None:
    images, codes, labels = samples.sample(finished, 9)
    written = samples.write_samples(finished, images, codes, labels)
    written += samples.write_random_samples(finished) + samples.write_reconstructions(finished)
    assert sorted(path.name for path in written) == [
        "random_sample_0.png",
        "random_sample_1.png",
        "random_sample_2.png",
        "reconstructed_image_1.png",
        "reconstructed_image_4.png",
        "reconstructed_image_7.png",
        "sample_1.png",
        "sample_5.png",
        "sample_8.png",
        "samples.png",
    ]
    for path in written:
        with Image.open(path) as picture:
            assert picture.info["Description"] and np.asarray(picture).std() > 0


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
    assert size < 16_000_000


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


# The same run, killed again and again. Which files are written in which order decides what a kill can do, and every
# file is put in place by one call of os.replace: a kill before and one after each of them covers them all.
RUN = """
import os, signal, sys
from dataclasses import replace
from functools import partial
from lpvq import TrainConfig
from lpvq.files import checksum
from lpvq.experiments import workspace
from lpvq.experiments.profiles import PROFILES

output, kill_at, after, every_step = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "after", sys.argv[4] == "True"
training = TrainConfig(steps=20 if every_step else 6, batch_size=16, validations=2)
if every_step:
    workspace.train_vqvae = partial(workspace.train_vqvae, checkpoint_seconds=0)
    workspace.train_prior = partial(workspace.train_prior, checkpoint_seconds=0)
PROFILES["smoke"] = replace(
    PROFILES["smoke"], train_images=64, test_images=32, num_codes=8, vqvae=training, prior=training
)
calls, move = 0, os.replace
def move_or_die(source, target):
    global calls
    calls += 1
    if calls == kill_at and not after:
        os.kill(os.getpid(), signal.SIGKILL)
    move(source, target)
    if calls == kill_at and after:
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = move_or_die
made = workspace.Workspace("smileys", "smoke", output, device="cpu")
made.prior, made.test_codes
print(calls, checksum(made.vqvae), checksum(made.prior))
"""


def run(output: Path, kill_at: int = 0, after: str = "", every_step: bool = False) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-c", RUN, str(output), str(kill_at), after, str(every_step)]
    return subprocess.run(arguments, capture_output=True, text=True)


def test_a_kill_before_or_after_any_file_is_written_loses_nothing(tmp_path: Path) -> None:
    calls, *sums = run(tmp_path / "whole").stdout.split()[-3:]
    assert int(calls) == 24  # two checkpoints, two sets of codes; two models and four snapshots of each, two files each
    broken = tmp_path / "broken"
    for number in range(int(calls)):
        assert run(broken, 1, "before").returncode == -signal.SIGKILL, f"file {number + 1}"
        assert run(broken, 1, "after").returncode == -signal.SIGKILL, f"file {number + 1}"
    assert run(broken).stdout.split()[-2:] == sums
    left_over = [path.name for path in (broken / "smileys" / "smoke").iterdir() if "checkpoint" in path.name]
    assert not left_over


def test_twenty_kills_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    # Every training step writes a checkpoint here, so a random number of files is a random moment of any stage.
    whole = run(tmp_path / "whole", every_step=True)
    chance, broken = random.Random(0), tmp_path / "broken"
    for kill in range(20):
        killed = run(broken, chance.randint(1, 3), chance.choice(["before", "after"]), every_step=True)
        assert killed.returncode == -signal.SIGKILL, f"kill {kill + 1}: {killed.stdout}{killed.stderr}"
    assert run(broken, every_step=True).stdout.split()[-2:] == whole.stdout.split()[-2:]
