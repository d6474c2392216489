"""The command line: what it says, where it writes, and how it takes a user's mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lpvq import cli
from lpvq.experiments import bench

Captured = pytest.CaptureFixture[str]
COMMANDS = ["demo", "train-vqvae", "extract-codes", "train-prior", "sample", "evaluate", "bench"]


pytestmark = pytest.mark.usefixtures("in_a_moment")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    return stopped.value.code or 0


def test_the_demo_goes_the_whole_way_and_says_where_everything_is(tmp_path: Path, capsys: Captured) -> None:
    assert run("demo", "--output", str(tmp_path)) == 0
    said = capsys.readouterr().out
    folder = tmp_path / "smileys" / "smoke"
    for step in ("1/5 VQ-VAE", "2/5 codes", "3/5 PixelCNN", "4/5 60 new images", "5/5 measuring"):
        assert step in said
    for row in ("MSE / variance", "codes in use", "uniform", "unigram", "  prior  ", "prior / unigram"):
        assert row in said
    pictures = [*(f"sample_{i}" for i in (1, 5, 8)), *(f"random_sample_{i}" for i in (0, 1, 2)), "samples"]
    pictures += [f"reconstructed_image_{i}" for i in (1, 4, 7)]
    for name in pictures:
        assert str(folder / f"{name}.png") in said and (folder / f"{name}.png").stat().st_size > 1000
    measured = json.loads((folder / "evaluation.json").read_text())
    assert set(measured) == {"codes", "prior"}  # the rest takes longer
    prior = next(row for row in measured["prior"]["figures"]["likelihoods"] if row["name"] == "prior")
    assert f"{prior['bits']['value']:.3f}" in said


def test_everything_or_one_part_is_measured(tmp_path: Path, capsys: Captured) -> None:
    assert run("evaluate", "--output", str(tmp_path), "--part", "codes") == 0
    said = capsys.readouterr().out
    assert "perplexity" in said and "bits per code" not in said
    assert run("evaluate", "--output", str(tmp_path)) == 0
    said = capsys.readouterr().out
    for row in (
        "perplexity",
        "bits per code",
        "prior samples",
        "memorisation, by pixels",
        "true faces",
        "evaluation_truth.png",
    ):
        assert row in said
    assert run("evaluate", "--dataset", "mnist", "--part", "everything") == 2


def test_a_second_demo_trains_nothing_and_says_the_same(tmp_path: Path, capsys: Captured) -> None:
    run("demo", "--output", str(tmp_path))
    first = capsys.readouterr().out
    run("demo", "--output", str(tmp_path))
    second = capsys.readouterr().out
    assert first.count("training it") == 2 and "training it" not in second
    assert second == "".join(line for line in first.splitlines(keepends=True) if "training it" not in line)


def test_the_commands_one_by_one_make_what_the_demo_makes(tmp_path: Path) -> None:
    for command in ("train-vqvae", "extract-codes", "train-prior", "sample"):
        assert run(command, "--output", str(tmp_path / "steps")) == 0
    assert run("evaluate", "--output", str(tmp_path / "steps"), "--part", "codes", "--part", "prior") == 0
    run("demo", "--output", str(tmp_path / "demo"))
    steps, demo = (
        {
            path.name: path.read_bytes()
            for path in (tmp_path / name / "smileys" / "smoke").rglob("*")
            if path.is_file() and path.suffix != ".json"
        }
        for name in ("steps", "demo")
    )
    assert steps.keys() == demo.keys()
    assert all(steps[name] == demo[name] for name in steps)


def test_a_later_command_makes_what_it_needs_from_the_earlier_ones(tmp_path: Path) -> None:
    assert run("sample", "--output", str(tmp_path), "--count", "2", "--label", "sad", "--top-p", "0.9") == 0
    names = {path.name for path in (tmp_path / "smileys" / "smoke").iterdir()}
    assert {"vqvae.pt", "prior.pt", "samples.png", "sample_1.png"} <= names and "sample_5.png" not in names


def test_every_option_of_sampling_changes_what_is_drawn(tmp_path: Path) -> None:
    def drawn(*options: str) -> bytes:
        assert run("sample", "--output", str(tmp_path), "--count", "3", *options) == 0
        return (tmp_path / "smileys" / "smoke" / "samples.png").read_bytes()

    usual = drawn()
    assert drawn("--draw-seed", "0") == usual  # as --seed, which is 0
    greedy = drawn("--temperature", "0")
    pictures = [usual, greedy, drawn("--draw-seed", "1"), drawn("--label", "sad"), drawn("--temperature", "1000")]
    assert len(set(pictures)) == len(pictures)
    # The most probable code alone, whatever the seed.
    for only in (("--temperature", "0"), ("--top-k", "1"), ("--top-p", "0.000001")):
        assert drawn(*only, "--draw-seed", "1") == greedy


def test_the_demo_with_pretrained_weights_trains_nothing(tmp_path: Path, capsys: Captured) -> None:
    assert run("demo", "--pretrained", "--output", str(tmp_path)) == 0
    assert "training it" not in capsys.readouterr().out
    assert (tmp_path / "smileys" / "pretrained-smoke" / "samples.png").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_what_it_does_and_gives_an_example(command: str, capsys: Captured) -> None:
    assert run(command, "--help") == 0
    assert f"Example: lpvq {command}" in capsys.readouterr().out


def test_the_commands_are_those_of_the_design(capsys: Captured) -> None:
    assert run("--help") == 0
    said = capsys.readouterr().out
    assert all(f"\n  {command} " in said for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--dataset", "cats"], "data set 'cats' is unknown"),
        (["demo", "--dataset", "folder:/no/such/folder"], "'/no/such/folder' does not exist"),
        (["demo", "--profile", "fast"], "'fast' is not one of 'smoke', 'laptop', 'full'"),
        (["demo", "--device", "gpu"], "device 'gpu' cannot be used here"),
        (["demo", "--seed", "-1"], "-1 is not in the range"),
        (["demo", "--seed", "x"], "'x' is not a valid integer"),
        (["demo", "--size", "30"], "size must be a multiple of 4, got 30"),
        (["demo", "--colour", "red"], "No such option '--colour'"),
        (["train"], "No such command 'train'"),
        (["sample", "--pretrained", "--label", "angry"], "label 'angry' is unknown; expected one of happy, sad"),
        (["sample", "--pretrained", "--label", "3"], "label '3' is unknown"),
        (["sample", "--pretrained", "--temperature", "-1"], "temperature must be at least 0"),
        (["sample", "--pretrained", "--top-k", "0"], "top_k must be at least 1"),
        (["sample", "--pretrained", "--top-p", "1.5"], "top_p must be above 0"),
        (["sample", "--count", "0"], "0 is not in the range"),
        (["evaluate", "--dataset", "mnist", "--pretrained"], "mnist"),
    ],
)
def test_a_readers_mistake_is_one_line_and_status_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: Captured
) -> None:
    output = [] if arguments == ["train"] else ["--output", str(tmp_path)]
    assert run(*arguments, *output) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("lpvq: ") and said.count("\n") == 1
    assert not list(tmp_path.rglob("*.pt")), "something was written before the mistake was seen"


def test_an_unknown_profile_in_the_environment_is_a_mistake_too(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("LPVQ_PROFILE", "fast")
    assert run("demo") == 2
    assert "profile 'fast' is unknown; expected one of smoke, laptop, full" in capsys.readouterr().err


def test_output_that_cannot_be_written_is_one_line_and_status_1(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "smileys").write_text("a file where a folder should be")
    assert run("demo", "--output", str(tmp_path)) == 1
    assert "smileys" in capsys.readouterr().err


PRINTING = """
import click
from lpvq import cli
from lpvq.experiments.tables import text_table

@cli.cli.command("print")
def print_table():
    table = text_table("Fréchet", ["", "x"], [("8 × 8", "1 ± 2")])
    click.echo(table)
    print(table)
    print("… →")

cli.main(["print"])
"""


def test_a_table_can_be_read_in_a_log_of_any_encoding() -> None:
    full = ["─" * 14, "Fréchet", f"{'x':>14}", "  8 × 8  1 ± 2"]
    dashes = ["-" * 14, *full[1:]]
    plain = ["-" * 14, "Frechet", f"{'x':>14}", "  8 x 8  1 +- 2"]
    expected = {
        "utf-8": [*full, *full, "… →"],
        "cp1252": [*dashes, *dashes, "… ?"],
        "ascii": [*full, *plain, "... ?"],  # click takes ASCII for a mistake of the system's and writes UTF-8
    }
    for encoding, lines in expected.items():
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        result = subprocess.run([sys.executable, "-c", PRINTING], capture_output=True, env=environment, check=True)
        printed = result.stdout.decode("utf-8" if encoding == "ascii" else encoding)
        assert (encoding, printed.splitlines()) == (encoding, lines)


INTERRUPTED = """
import os, signal
from lpvq import VQVAE, cli

forward, calls = VQVAE.forward, 0
def interrupt_in_mid_step(self, images):
    global calls
    calls += 1
    if calls == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return forward(self, images)
VQVAE.forward = interrupt_in_mid_step
cli.main()
"""


def test_ctrl_c_is_one_line_and_status_130_and_the_next_run_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, "train-vqvae", "--output", str(tmp_path)]
    for beginning in ("no vqvae.pt for smileys in the profile smoke yet: training it", "training goes on"):
        result = subprocess.run(command, capture_output=True, text=True)
        assert beginning in result.stdout
        assert (result.returncode, result.stderr.strip()) == (130, "lpvq: stopped; the same command goes on from here")
        kept = {path.name for path in (tmp_path / "smileys" / "smoke").iterdir()}
        assert "vqvae.checkpoint" in kept and "vqvae.pt" not in kept


def test_the_benchmark_prints_a_table_or_json(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    row = bench.Row("sampling", "x", "s", 2.0, 0.5)
    monkeypatch.setattr(bench, "measure", lambda runs: [row] * runs)
    assert run("bench", "--runs", "1") == 0
    table = capsys.readouterr().out
    assert bench.format_table([row]) in table and f"torch {torch.__version__}" in table
    assert run("bench", "--runs", "2", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (
        printed["rows"]
        == [{"part": "sampling", "what": "x", "unit": "s", "reference": 2.0, "here": 0.5, "ratio": 4.0}] * 2
    )
    assert printed["runs"] == 2 and printed["machine"]["cores"]
