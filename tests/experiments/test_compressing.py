"""Sets and folders of pictures through ``lpvq compress`` and ``lpvq decompress``."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lpvq import cli, load_images
from lpvq.experiments.compressing import folder_names
from lpvq.experiments.workspace import Workspace

pytestmark = pytest.mark.usefixtures("in_a_moment")
Captured = pytest.CaptureFixture[str]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return stopped.value.code or 0


def pixels(folder: Path) -> dict[str, np.ndarray]:
    """All pictures in a folder, by class and number."""
    return {path.relative_to(folder).as_posix(): np.array(Image.open(path)) for path in folder.rglob("*.png")}


def test_a_set_goes_to_a_file_and_comes_back_in_its_order(tmp_path: Path, capsys: Captured) -> None:
    home, file, inside = ("--output", tmp_path / "out"), tmp_path / "a.lpvq", tmp_path / "b.lpvq"
    assert run("compress", "smileys", file, *home, "--split", "test", "--count", 12) == 0
    said = capsys.readouterr().out
    assert f"12 images in {file.stat().st_size} bytes" in said and str(file) in said
    assert run("decompress", file, tmp_path / "a", *home) == 0
    workspace = Workspace(output=tmp_path / "out")
    data = load_images("smileys", "test", limit=12)
    expected = workspace.vqvae.decode(workspace.vqvae.encode(data.floats())).mul(255).round().byte().movedim(1, -1)
    found = pixels(tmp_path / "a")
    names = [f"{data.class_names[label]}/{number:02}.png" for number, label in enumerate(data.labels)]
    assert sorted(found) == sorted(names)
    assert all((found[name] == picture.numpy()).all() for name, picture in zip(names, expected, strict=True))
    capsys.readouterr()

    # Nothing is replaced, nothing is trained to read a file, and nothing is needed where the models are inside.
    assert run("compress", "smileys", file, *home) == 2 and "exists already" in capsys.readouterr().err
    assert run("decompress", file, tmp_path / "a", *home) == 2 and "exists already" in capsys.readouterr().err
    assert run("decompress", file, tmp_path / "b", "--output", tmp_path / "none") == 2
    complaint = capsys.readouterr()
    assert "compressed by the models of smileys, smoke" in complaint.err and "training" not in complaint.out
    assert run("compress", "smileys", inside, *home, "--split", "test", "--count", 12, "--with-model") == 0
    assert run("decompress", inside, tmp_path / "b", "--output", tmp_path / "none") == 0
    others = pixels(tmp_path / "b")
    assert others.keys() == found.keys()
    assert max(np.abs(found[name].astype(int) - others[name]).max() for name in found) <= 1
    assert not (tmp_path / "none").exists()


@pytest.mark.filterwarnings("always")
def test_a_folder_is_packed_in_the_order_of_its_paths_and_what_is_no_picture_is_named(
    tmp_path: Path, capsys: Captured
) -> None:
    faces = load_images("smileys", "test", limit=4)
    for number, name in enumerate(("b/1.png", "a/9.png", "b/0.png", "a/2.png")):
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(faces.images[number].movedim(0, -1).numpy()).save(path)
    whole = (tmp_path / "mine" / "a" / "2.png").read_bytes()
    (tmp_path / "mine" / "b" / "broken.png").write_bytes(whole[:60])
    home = ("--output", tmp_path / "out")
    assert run("compress", tmp_path / "mine", tmp_path / "a.lpvq", "--dataset", "smileys", *home) == 0
    assert "left out: 1 damaged (b/broken.png" in capsys.readouterr().err
    assert run("decompress", tmp_path / "a.lpvq", tmp_path / "a", *home) == 0
    vqvae = Workspace(output=tmp_path / "out").vqvae
    expected = vqvae.decode(vqvae.encode(faces.floats())).mul(255).round().byte().movedim(1, -1)
    found = pixels(tmp_path / "a")
    assert sorted(found) == ["a/0.png", "a/1.png", "b/2.png", "b/3.png"]
    for name, number in zip(sorted(found), (3, 1, 2, 0), strict=True):
        assert (found[name] == expected[number].numpy()).all()


def test_the_prior_in_whole_numbers_is_kept_and_made_anew_for_another_prior(tmp_path: Path) -> None:
    workspace = Workspace(output=tmp_path)
    assert not workspace.is_trained()
    made = workspace.whole_number_prior
    assert workspace.is_trained()
    codes, labels = workspace.test_codes.codes[:9], workspace.test_codes.labels[:9]
    again = Workspace(output=tmp_path)
    assert torch.equal(again.whole_number_prior(codes, labels), made(codes, labels))
    with torch.no_grad():
        again.prior.head[-1].bias[0] += 5
    del again.__dict__["whole_number_prior"]
    assert not torch.equal(again.whole_number_prior(codes, labels), made(codes, labels))


def test_a_prior_of_two_levels_is_refused_before_anything_is_read(tmp_path: Path, capsys: Captured) -> None:
    options = ("--pretrained", "--size", 128, "--output", tmp_path)
    assert run("compress", "smileys", tmp_path / "a.lpvq", *options) == 2
    assert "two levels cannot be turned into whole numbers: train one of one level" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_folders_of_classes_have_names_that_every_system_takes() -> None:
    names = ["T-shirt/top", "T-shirt:top", "../..", "con", "a ", "A", "", "ü" * 200, ".", "x\ny"]
    made = folder_names(names)
    assert made[:7] == ["T-shirt_top", "T-shirt_top (2)", "_", "con_", "a", "A (2)", "_ (2)"]
    assert len({name.casefold() for name in made}) == len(names)
    assert all(not set(name) & set('/\\:*?"<>|\n') and name not in (".", "..") and len(name) < 70 for name in made)


def test_as_many_classes_as_a_file_can_have_get_their_names_at_once() -> None:
    made = folder_names(["x"] * 60_000 + ["X (7)"])
    assert len({name.casefold() for name in made}) == 60_001 and made[59_999] == "x (60000)"
