"""Where things lie, in a checkout and elsewhere."""

from pathlib import Path

import pytest

from lpvq.paths import CHECKOUT, checkout_around, data_folder, output_folder, shipped

ROOT = Path(__file__).resolve().parents[1]


def test_the_tests_run_in_a_checkout_which_has_what_is_shipped() -> None:
    assert CHECKOUT == ROOT
    for name in ("pretrained", "assignments"):
        assert any(shipped(name).iterdir())


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b'[project]\nname = "holiday"\n',
        b'[project]\nversion = "1"\ndependencies = ["lpvq"]\n',
        b'name = "lpvq"\n',
        b'project = "lpvq"\n',
        b'[tool.poetry]\nname = "lpvq"\n',
        b"[project\n",
        b"\xff\xfe\x00",
    ],
)
def test_a_package_below_another_pyproject_is_not_in_a_checkout(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "pyproject.toml").write_bytes(content)
    assert checkout_around(tmp_path / "lpvq") is None


def test_a_folder_called_pyproject_is_no_checkout(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    assert checkout_around(tmp_path / "lpvq") is None


def test_a_copy_of_the_project_is_a_checkout_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    assert checkout_around(tmp_path / "lpvq") == tmp_path


def test_results_go_where_the_reader_says_else_into_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPVQ_OUTPUT", "results")
    assert (output_folder("here"), output_folder()) == (Path("here"), Path("results"))
    monkeypatch.setenv("LPVQ_OUTPUT", "")
    assert output_folder() == ROOT / "output"
    assert (data_folder("sets"), data_folder()) == (Path("sets"), ROOT / "data")


def test_outside_a_checkout_results_go_below_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lpvq.paths.CHECKOUT", None)
    monkeypatch.delenv("LPVQ_OUTPUT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert (output_folder(), data_folder()) == (tmp_path / "output", tmp_path / "data")
