"""What people have who install the package without the checkout: the sdist, the wheel made of it, and its use."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from test_project import ROOT, tracked_files

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
NOT_OURS = ("LPVQ_", "PYTHON")  # what an environment variable begins with that the wheel is not to depend on


class Installed(NamedTuple):
    """An environment that the wheel is installed in, and an empty folder to work in."""

    environment: Path
    folder: Path

    def path(self, kind: str) -> Path:
        """Where the environment has its ``"scripts"`` or its packages, ``"purelib"``."""
        return Path(sysconfig.get_path(kind, "venv", vars={"base": str(self.environment)}))

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        """Run a program of the environment in the folder, and return what it prints."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
        result = subprocess.run(
            [self.path("scripts") / program, *arguments],
            cwd=self.folder,
            env={**kept, "LPVQ_PROFILE": "smoke", "LPVQ_DEVICE": "cpu", "OMP_NUM_THREADS": "1", **variables},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of what git has, and of nothing else that happens to lie in the checkout."""
    clean, made = tmp_path_factory.mktemp("clean"), tmp_path_factory.mktemp("sdist")
    for name in tracked_files():
        (clean / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clean / name)
    script = f"from setuptools import build_meta; build_meta.build_sdist({str(made)!r})"
    subprocess.run([sys.executable, "-c", script], cwd=clean, check=True, capture_output=True)
    return next(made.iterdir())


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made of what the sdist holds."""
    unpacked, made = tmp_path_factory.mktemp("unpacked"), tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(made)]
    subprocess.run([*PIP, "wheel", *options, str(next(unpacked.iterdir()))], check=True)
    return next(made.iterdir())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own, which borrows all other packages from the one that runs the tests."""
    installed = Installed(tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("elsewhere"))
    venv.create(installed.environment)
    python = str(installed.path("scripts") / "python")
    subprocess.run([*PIP, "--python", python, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    # What a .pth file names is searched after the environment's own packages, and the .pth files in there are not
    # read: an editable lpvq that they stand for is not found.
    borrowed = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (installed.path("purelib") / "borrowed.pth").write_text("\n".join(borrowed))
    return installed


def shipped() -> dict[str, str]:
    """What a wheel has in the package's folders that a checkout has elsewhere: where it is, by where it goes."""
    weights = [name for name in tracked_files() if name.startswith("data/pretrained/")]
    sources = [name for name in tracked_files() if name.startswith("notebooks/assignments/")]
    return {"lpvq" + name.removeprefix("data"): name for name in weights} | {
        "lpvq" + name.removeprefix("notebooks"): name for name in sources if name.endswith(".ipynb")
    }


def package() -> set[str]:
    return {name for name in tracked_files() if name.startswith("lpvq/")}


def test_the_wheel_holds_the_package_and_what_is_shipped_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == package() | shipped().keys()
    assert "lpvq/py.typed" in names and len(shipped()) >= 12
    assert [name for name in about if name.endswith("/LICENSE")]


def test_the_sdist_holds_what_the_wheel_is_made_of_and_nothing_else(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    made = {name for name in names if name in ("PKG-INFO", "setup.cfg") or name.startswith("lpvq.egg-info/")}
    about = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml"}
    assert names - made == package() | set(shipped().values()) | about


def test_the_wheel_is_what_is_imported_and_finds_what_is_shipped(installed: Installed) -> None:
    home = installed.path("purelib") / "lpvq"
    installed.run("python", "-c", f"""
import lpvq, lpvq.paths
from pathlib import Path

assert Path(lpvq.__file__).parent == Path({str(home)!r}), lpvq.__file__
assert lpvq.paths.CHECKOUT is None
assert lpvq.paths.output_folder() == Path.cwd() / "output"
for name in ("smileys", "smileys-128"):
    vqvae, prior = lpvq.load_pretrained(name)
    assert prior.latent_dim == vqvae.quantizer.num_codes
""")  # fmt: skip


def test_the_command_of_the_wheel_works_in_the_folder_where_it_is_called(installed: Installed) -> None:
    def packages() -> set[Path]:
        return {path for path in installed.path("purelib").rglob("*") if "__pycache__" not in path.parts}

    before = packages()
    assert "release" in installed.run("lpvq", "--help")
    installed.run("lpvq", "sample", "--pretrained", "--count", "2")
    assert (installed.folder / "output" / "smileys" / "pretrained-smoke" / "samples.png").exists()
    assert {path.name for path in installed.folder.iterdir()} == {"output"}
    said = installed.run("lpvq", "release", LPVQ_OUTPUT="results")
    released = {path.name for path in (installed.folder / "results" / "release").rglob("*.ipynb")}
    assert released == {Path(name).name for name in shipped() if name.endswith(".ipynb")}
    assert said.count("\n") == len(released)
    assert packages() == before
