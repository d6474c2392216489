"""The command line: what it says, where it writes, and how it takes a user's mistake."""

import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image, ImageDraw
from torch import Tensor
from tqdm import tqdm

from lpvq import VQVAE, InputError, LatentCodes, cli, load_pretrained, runtime
from lpvq.data import smileys
from lpvq.data.loading import load
from lpvq.experiments import bench, own_pictures, profiles, report, studies
from lpvq.experiments.profiles import PROFILES
from lpvq.models.vqvae import VQVAEOutput
from lpvq.training import trainer
from processes import Running, in_new_process
from quick import quick_recipe

Captured = pytest.CaptureFixture[str]
COMMANDS = ["demo", "train-vqvae", "extract-codes", "train-prior", "sample"]
COMMANDS += ["complete", "interpolate", "encode", "decode", "compress", "decompress"]
COMMANDS += ["evaluate", "study", "bench", "export-page", "grade", "release"]
SLOW = ("torch", "numpy", "matplotlib", "IPython", "nbformat", "nbclient", "nbgrader", "zmq", "jupyter_client")

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
        "exactly a training grid",
        "Kullback-Leibler divergence",
        "true faces",
        "plainly wrong",
        "evaluation_truth.png",
        "evaluation_faces.png",
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
            if path.is_file() and path.suffix not in (".json", ".html")  # the report is the demo's alone
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
        return Image.open(tmp_path / "smileys" / "smoke" / "samples.png").tobytes()  # not what the file says of itself

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


def test_a_pretrained_demo_shows_its_images_before_it_turns_any_others_into_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    class RenderedError(Exception):
        pass

    def no_images(*_: object) -> None:
        raise RenderedError

    monkeypatch.setattr(smileys, "draw", no_images)
    with pytest.raises(RenderedError):
        cli.cli.main(["demo", "--pretrained", "--output", str(tmp_path)], standalone_mode=False)
    said = capsys.readouterr().out
    assert "random_sample_2.png" in said and "4/5 codes" in said
    assert (tmp_path / "smileys" / "pretrained-smoke" / "samples.png").exists()


def test_where_there_is_no_renderer_it_says_what_cannot_be_said(
    tmp_path: Path, capsys: Captured, real_data: None
) -> None:
    assert run("evaluate", "--dataset", "fashion_mnist", "--output", str(tmp_path), "--part", "codes") == 0
    assert "No renderer is known for these images" in capsys.readouterr().out
    run("evaluate", "--output", str(tmp_path), "--part", "codes")
    assert "No renderer" not in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_what_it_does_and_gives_an_example(command: str, capsys: Captured) -> None:
    assert run(command, "--help") == 0
    assert f"Example: lpvq {command}" in capsys.readouterr().out


def test_the_commands_are_those_of_the_design(capsys: Captured) -> None:
    assert run("--help") == 0
    said = capsys.readouterr().out
    assert all(f"\n  {command} " in said for command in COMMANDS)
    assert list(cli.cli.commands) == COMMANDS
    places = [said.index(f"\n  {command} ") for command in COMMANDS]
    assert places == sorted(places) and "...\n  " not in said


def test_help_and_version_and_mistakes_load_nothing_that_is_slow() -> None:
    code = f"""
import sys
from lpvq.cli import main
for arguments in sys.argv[1:]:
    try:
        main(arguments.split())
    except SystemExit:
        print("loaded", arguments, [name for name in {SLOW!r} if name in sys.modules])
"""
    asked = ["--help", "--version", "", *(f"{command} --help" for command in COMMANDS), "demo --seed x", "train"]
    result = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True, check=True)
    loaded = [line for line in result.stdout.splitlines() if line.startswith("loaded")]
    assert loaded == [f"loaded {arguments} []" for arguments in asked]


def test_the_names_that_the_command_line_knows_are_those_of_the_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuple(profiles.PROFILES) == cli.PROFILES
    assert cli.PARTS == report.PARTS
    assert tuple(studies.STUDIES) == cli.STUDIES
    monkeypatch.delenv("LPVQ_PROFILE")
    (profile,) = (option for option in cli.cli.commands["demo"].params if option.name == "profile")
    assert profile.default == profiles.profile_name()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--dataset", "cats"], "data set 'cats' is unknown"),
        (["demo", "--dataset", "folder:/no/such/folder"], "'/no/such/folder' does not exist"),
        (["demo", "--profile", "fast"], "'fast' is not one of 'smoke', 'laptop', 'long', 'full'"),
        (["demo", "--device", "gpu"], "device 'gpu' cannot be used here"),
        (["demo", "--seed", "-1"], "-1 is not in the range"),
        (["demo", "--seed", "x"], "'x' is not a valid integer"),
        (["demo", "--size", "30"], "size must be a multiple of 4, got 30"),
        (["demo", "--colour", "red"], "No such option '--colour'"),
        (["train"], "No such command 'train'. Did you mean train-vqvae or train-prior?"),
        (["demo", "pets"], "to use other images: lpvq demo --dataset pets"),
        (["smaple"], "Did you mean sample?"),
        (["complete", __file__, "--erase", "1,2,3"], "--erase must be four whole numbers such as 0,16,32,32"),
        (["complete", __file__, "--erase", "9,2,3,4"], "--erase must go from left to right"),
        (["encode", __file__, "--pretrained"], "1 of 1 pictures cannot be read"),
        (["decode", __file__, "--pretrained"], "is not a file of latent codes"),
        (
            ["sample", "--pretrained", "--label", "angry"],
            "label 'angry' is unknown; expected one of happy (0), sad (1)",
        ),
        (["sample", "--pretrained", "--label", "3"], "label '3' is unknown"),
        (["sample", "--pretrained", "--temperature", "-1"], "temperature must be at least 0"),
        (["sample", "--pretrained", "--top-k", "0"], "top_k must be a whole number and at least 1"),
        (["sample", "--pretrained", "--top-p", "1.5"], "top_p must be above 0"),
        (["sample", "--count", "0"], "0 is not in the range"),
        (["evaluate", "--dataset", "mnist", "--pretrained"], "mnist"),
    ],
)
def test_a_readers_mistake_is_one_line_and_status_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: Captured
) -> None:
    output = [] if len(arguments) == 1 else ["--output", str(tmp_path)]
    assert run(*arguments, *output) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("lpvq: ") and said.count("\n") == 1
    assert not list(tmp_path.rglob("*.pt")), "something was written before the mistake was seen"


def test_an_unknown_profile_in_the_environment_is_a_mistake_too(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("LPVQ_PROFILE", "fast")
    assert run("demo") == 2
    assert (
        "(env var: 'LPVQ_PROFILE'): 'fast' is not one of 'smoke', 'laptop', 'long', 'full'" in capsys.readouterr().err
    )


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


# Ctrl-C and other signals, in processes of their own.

STOPPED = "lpvq: stopped; the same command goes on from here"


def train_quickly(output: Path, before_each_step: Callable[[int], None]) -> None:
    """``lpvq train-vqvae`` with the recipe of these tests; ``before_each_step`` is given the step, counted from 1."""
    PROFILES["smoke"] = quick_recipe()
    runtime._fast_at_bfloat16 = lambda _: False  # or each process would find out for itself
    forward, steps = VQVAE.forward, count(1)

    def step(self: VQVAE, images: Tensor) -> VQVAEOutput:
        if self.training:
            before_each_step(next(steps))
        return forward(self, images)

    VQVAE.forward = step
    cli.main(["train-vqvae", "--output", str(output)])


def train_and_send(output: Path, kind: int | None) -> None:
    """Train, and send a signal in the middle of the third step of this process."""
    train_quickly(output, lambda step: signal.raise_signal(kind) if step == 3 and kind else None)


@pytest.mark.parametrize(("kind", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_is_one_line_and_its_status_and_the_next_run_goes_on(kind: int, status: int, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "smileys" / "smoke"
    for beginning in ("no vqvae.pt for smileys in the profile smoke yet: training it", "training goes on"):
        stopped = in_new_process(train_and_send, tmp_path / "out", kind)
        assert beginning in stopped.out
        assert (stopped.status, stopped.err.strip()) == (status, STOPPED)
        kept = {path.name for path in folder.iterdir()}
        # Six steps: the first run stops after three of them, the second in the last one.
        assert "vqvae.checkpoint" in kept and "vqvae.pt" not in kept
    assert in_new_process(train_and_send, tmp_path / "out", None).status == 0
    assert in_new_process(train_and_send, tmp_path / "whole", None).status == 0
    assert (folder / "vqvae.pt").read_bytes() == (tmp_path / "whole" / "smileys" / "smoke" / "vqvae.pt").read_bytes()


def test_a_second_sigterm_kills_the_command_at_once(tmp_path: Path) -> None:
    killed = in_new_process(train_and_send_two, tmp_path)
    assert killed.status == -signal.SIGTERM and not list(tmp_path.rglob("*.checkpoint"))


def train_and_send_two(output: Path) -> None:
    train_quickly(output, lambda step: [signal.raise_signal(signal.SIGTERM) for _ in range(2 * (step == 3))])


def train_ignoring(output: Path, kind: int) -> None:
    """Train with a signal ignored, as ``nohup`` or a job in the background has it, and send it."""
    signal.signal(kind, signal.SIG_IGN)
    train_and_send(output, kind)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_ignored_stays_so(kind: int, tmp_path: Path) -> None:
    finished = in_new_process(train_ignoring, tmp_path, kind)
    assert (finished.status, finished.err) == (0, "")
    assert (tmp_path / "smileys" / "smoke" / "vqvae.pt").exists()


def interrupt_while_putting_away(output: Path, place: str) -> None:
    """Train, send Ctrl-C in the third step, and three more around a call that comes after it."""
    owner, name = {
        "a checkpoint is written": (trainer, "write_checkpoint"),
        "the lock is released": (FileLock, "release"),
        "the bar is closed": (tqdm, "close"),
        "the line is printed": (cli, "_fail"),
        "the process exits": (sys, "exit"),
    }[place]
    function, is_armed = getattr(owner, name), False

    def with_three_more(*arguments: Any, **options: Any) -> Any:
        if not is_armed:
            return function(*arguments, **options)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        try:
            return function(*arguments, **options)
        finally:
            signal.raise_signal(signal.SIGINT)

    def arm(step: int) -> None:
        nonlocal is_armed
        is_armed = step >= 3
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    setattr(owner, name, with_three_more)
    train_quickly(output, arm)


@pytest.mark.parametrize(
    "place",
    [
        "a checkpoint is written",
        "the lock is released",
        "the bar is closed",
        "the line is printed",
        "the process exits",
    ],
)
def test_impatient_fingers_see_one_line_wherever_the_others_come(place: str, tmp_path: Path) -> None:
    stopped = in_new_process(interrupt_while_putting_away, tmp_path, place)
    assert (stopped.status, stopped.err.strip()) == (130, STOPPED)
    assert in_new_process(train_and_send, tmp_path, None).status == 0


def train_and_tell(output: Path, told: Path) -> None:
    """Train, and let a file grow by a byte before each step."""

    def tell(_: int) -> None:
        with told.open("ab") as file:
            file.write(b".")

    train_quickly(output, tell)


def test_four_ctrl_c_at_random_moments_are_one_line_each_time(tmp_path: Path) -> None:
    chance = random.Random(0)
    for number in range(12):
        told = tmp_path / f"told {number}"
        told.touch()
        training = Running(train_and_tell, tmp_path / str(number), told)
        step = chance.randint(1, 5)
        while told.stat().st_size < step and training.is_alive():
            pass
        for _ in range(4):
            training.send(signal.SIGINT)
            for _ in range(chance.randrange(200_000)):  # some milliseconds, on any machine other ones
                pass
        stopped = training.finish()
        if stopped.status == 0:
            continue  # it was finished before the first one came
        assert (stopped.status, stopped.err.strip()) == (130, STOPPED), f"the {number}th time"


def test_four_ctrl_c_end_the_real_command_without_a_traceback(tmp_path: Path) -> None:
    chance = random.Random(1)
    command = [sys.executable, "-m", "lpvq", "train-vqvae", "--output", str(tmp_path)]
    for number in range(3):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = next((line for line in process.stdout if "training" in line), "")
        assert "training it" in line or "training goes on" in line
        for _ in range(4):
            process.send_signal(signal.SIGINT)
            for _ in range(chance.randrange(10 ** (number + 4))):
                pass
        _, complained = process.communicate()
        if process.returncode == 0:
            break  # it was finished before the first one came
        assert (process.returncode, complained.strip()) == (130, STOPPED), f"the {number}th time"


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


# Pictures of one's own.


def write_shapes(folder: Path, number: int, first: int = 0) -> None:
    """Discs and squares, each of another size and colour; and what else lies in a folder."""
    for i in range(first, first + number):
        image = Image.new("RGB", (90 + i, 80), (250 - 9 * i, 240, 200))
        kind = "discs" if i % 2 else "squares $5_to_$10"
        draw = ImageDraw.Draw(image)
        (draw.ellipse if i % 2 else draw.rectangle)((20 + i, 15, 60, 65), fill=(20 * i, 60, 200 - 9 * i))
        (folder / kind).mkdir(parents=True, exist_ok=True)
        image.save(folder / kind / f"{i:02}.jpg")


@pytest.mark.filterwarnings("always")
def test_ten_pictures_go_from_the_command_to_the_report_and_more_of_them_begin_anew(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(cli.webbrowser, "open", opened.append)
    write_shapes(tmp_path / "in", 10)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    command = ["--dataset", f"folder:{tmp_path / 'in'}", "--output", str(tmp_path / "out")]
    assert run("demo", *command) == 0
    said = capsys.readouterr()
    assert said.err.count("notes.txt") == 1 and not opened  # there is no screen
    assert "With only 7 pictures to learn from, these will be memorised" in said.out and "fog" in said.out
    page = tmp_path / "out" / "folder-in" / "smoke" / "report.html"
    assert str(page) in said.out
    text = page.read_text()
    check_page(text)
    assert (
        "squares $5_to_$10" in text
        and "--label discs --temperature" in text
        and "1 no picture" in text
        and "notes.txt" in text
        and "fog" in text
    )

    monkeypatch.setattr(cli, "_has_screen", lambda: True)
    assert run("demo", *command) == 0
    assert "training it" not in capsys.readouterr().out and opened == [page.as_uri()]
    assert run("sample", *command, "--label", "SQUARES  $5_to_$10", "--count", "2") == 0
    described = Image.open(page.with_name("samples.png")).text
    settings = json.loads(described["Settings"])
    assert settings["seed"] == settings["draw_seed"] == 0 and settings["label"] == "SQUARES  $5_to_$10"

    write_shapes(tmp_path / "in", 4, 10)
    capsys.readouterr()
    assert run("demo", *command, "--no-open") == 0
    assert capsys.readouterr().out.count("was made from other images or codes than there are now: training it") == 2
    assert len(opened) == 1

    write_shapes(tmp_path / "other" / "in", 8)
    assert run("train-vqvae", "--dataset", f"folder:{tmp_path / 'other' / 'in'}", *command[2:]) == 0
    assert (tmp_path / "out" / "folder-in-2" / "smoke" / "vqvae.pt").exists()


def check_page(text: str) -> None:
    """One file, without anything from elsewhere, with a text for each picture."""
    assert not re.search(r"""(src|href)=["'](?!data:)|https?://|<script|<link|url\(|@import""", text)
    pictures = re.findall(r"<img [^>]*>", text)
    assert pictures and all(' alt="' in picture for picture in pictures)
    assert "image/gif" in text and text.count("<svg") == 2 and "prefers-color-scheme: dark" in text
    for heading in ("Your pictures", "What the codes keep", "New pictures", "A grid being drawn", "Three numbers"):
        assert f"<h2>{heading}</h2>" in text
    assert "How to go on" in text and "What was left out" in text and "@media print" in text


def test_pictures_of_ones_own_are_encoded_decoded_completed_and_mixed(tmp_path: Path, capsys: Captured) -> None:
    faces = load("smileys", "test", 32, 2)
    for index in range(2):
        Image.fromarray(faces.images[index].movedim(0, -1).numpy()).save(tmp_path / f"{index}.png")
    a, b = (str(tmp_path / f"{index}.png") for index in range(2))
    known = ["--pretrained", "--output", str(tmp_path / "out")]
    folder = tmp_path / "out" / "smileys" / "pretrained-smoke"
    assert run("encode", a, b, *known) == 0
    vqvae, _ = load_pretrained("smileys")
    codes = LatentCodes.load(folder / "encoded.npz")
    assert torch.equal(codes.codes, vqvae.encode(faces.floats()))
    assert run("decode", str(folder / "encoded.npz"), *known) == 0
    decoded = np.asarray(Image.open(folder / "decoded_encoded" / "001.png"))
    expected = vqvae.decode(codes.codes)[1].movedim(0, -1).mul(255).round().byte().numpy()
    assert (decoded == expected).all()
    assert run("complete", a, "--erase", "0,16,32,32", "--count", "2", *known) == 0
    assert run("complete", a, "--erase", "0,0,32,32", *known) == 2
    assert "all of the square in the middle is erased: the picture has 32 × 32" in capsys.readouterr().err
    assert run("interpolate", a, b, "--steps", "3", *known) == 0
    with Image.open(folder / "interpolation.gif") as moving:
        assert moving.n_frames > 1
    assert run("sample", "--count", "2", "--gif", "--png-each", "--codes", *known) == 0
    drawn = LatentCodes.load(folder / "samples.npz")
    assert len(drawn) == 2 and drawn.class_names == ("happy", "sad", "surprised")
    assert {path.name for path in (folder / "samples").iterdir()} == {"000.png", "001.png"}
    with Image.open(folder / "sample.gif") as moving:
        assert moving.n_frames > 30
    written = [*folder.glob("*.png"), *folder.glob("*/*.png")]
    assert all(json.loads(Image.open(path).text["Settings"])["profile"] == "smoke" for path in written)


def test_what_is_completed_is_what_was_erased(tmp_path: Path) -> None:
    Image.new("RGB", (160, 64)).save(tmp_path / "wide.png")
    known = own_pictures._known(tmp_path / "wide.png", (48, 32, 80, 64), 32, (8, 8))
    expected = torch.ones(8, 8, dtype=torch.bool)
    expected[4:, :4] = False  # the square in the middle goes from 48 to 112
    assert torch.equal(known, expected)
    with pytest.raises(InputError, match="no part of the square"):
        own_pictures._known(tmp_path / "wide.png", (0, 0, 40, 64), 32, (8, 8))


def test_sampling_turns_no_images_into_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("train-prior", "--output", str(tmp_path)) == 0
    monkeypatch.setattr(VQVAE, "encode", None)
    assert run("sample", "--output", str(tmp_path), "--count", "2") == 0
