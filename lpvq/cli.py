"""The ``lpvq`` command: the steps from images to new images, one command each, and ``demo`` for all of them.

What a command needs is imported only when that command runs, so that ``lpvq --help`` answers at once.
"""

import codecs
import io
import json
import os
import re
import signal
import sys
import warnings
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import asdict
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lpvq.classroom.limits import Limits
from lpvq.environment import check_memory, check_threads, needs_extra
from lpvq.errors import InputError, ProcessLostError
from lpvq.paths import output_folder, shipped

if TYPE_CHECKING:
    from torch import Tensor

    from lpvq.experiments.workspace import Workspace
    from lpvq.models.sampling import SamplingOptions

# The names of what is defined in ``lpvq.experiments``, which takes seconds to import; a test compares them.
PROFILES = ("smoke", "laptop", "long", "full")
PARTS = ("codes", "prior", "samples", "truth")
STUDIES = ("trade-off", "quantizers", "priors", "measures", "sampling", "combinations")

_DEMO_IMAGES = 60
_STOPPED = "stopped; the same command goes on from here"
_PLAIN = {"─": "-", "×": "x", "±": "+-", "é": "e", "…": "..."}  # where an encoding lacks what tables are made of

_WORKSPACE_OPTIONS = [
    click.option("--dataset", default="smileys", show_default=True, metavar="NAME",
                 help="smileys, fashion_mnist, mnist, cifar10, or folder:PATH with your own pictures."),
    click.option("--profile", type=click.Choice(PROFILES), envvar="LPVQ_PROFILE", show_envvar=True, default="laptop",
                 show_default=True,
                 help="How long to train: smoke (seconds), laptop (minutes on two cores), long (hours), full (a GPU)."),
    click.option("--output", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
                 help="Where all results go, in FOLDER/<dataset>/<profile>/.  [default: LPVQ_OUTPUT, or output/]"),
    click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True,
                 help="Decides all that is random in training."),
    click.option("--device", metavar="NAME", help="cpu, cuda or mps.  [default: LPVQ_DEVICE, or the fastest there is]"),
    click.option("--size", type=click.IntRange(min=8), metavar="PIXELS",
                 help="Height and width of the images.  [default: 32, or the data set's own]"),
    click.option("--compile", is_flag=True,
                 help="Train the prior with torch.compile: up to a tenth faster, after half a minute."),
    click.option("--levels", type=click.IntRange(1, 2),
                 help="Levels of codes: with 2, a coarse grid is drawn first.  [default: 2 for large images]"),
]  # fmt: skip
_SHARING_OPTIONS = [
    click.option("--shards", type=click.IntRange(min=1), metavar="N",
                 help="Cut the batches of a training into N parts, which torchrun's processes share.  "
                      "[default: 1; 4 under torchrun]"),
    click.option("--fast-reduce", is_flag=True,
                 help="Let processes add up in the order that is fastest: their number then changes the last digits."),
]  # fmt: skip
_DRAWING_OPTIONS = [
    click.option("--label", metavar="CLASS", help="One class for all, by name or number.  [default: all in turn]"),
    click.option("--draw-seed", type=click.IntRange(0, 2**63 - 1), metavar="N",
                 help="A different number gives different images.  [default: as --seed]"),
    click.option("--temperature", type=float, default=1.0, show_default=True,
                 help="Below 1: more typical images. Above 1: more varied. 0: the most probable code each time."),
    click.option("--top-k", type=int, metavar="N", help="Draw from the N most probable codes only."),
    click.option("--top-p", type=float, metavar="P", help="Draw from the most probable codes that make up P (0 to 1)."),
]  # fmt: skip
_PRETRAINED = click.option("--pretrained", is_flag=True, help="Use the trained weights that come with the project.")


def _with(options: Sequence[Callable], command: Callable) -> Callable:
    for option in reversed(options):
        command = option(command)
    return command


def _workspace_options(command: Callable) -> Callable:
    return _with(_WORKSPACE_OPTIONS, command)


def _sharing_options(command: Callable) -> Callable:
    return _with(_SHARING_OPTIONS, command)


def _options_without_dataset(command: Callable) -> Callable:
    return _with(_WORKSPACE_OPTIONS[1:], command)


def _drawing_options(command: Callable) -> Callable:
    return _with(_DRAWING_OPTIONS, command)


class _Command(click.Command):
    """Looks at the environment before it runs, because torch is imported after that."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        check_threads(os.environ)
        check_memory()
        return self._invoke_together(ctx) if _perhaps_of_several() else super().invoke(ctx)

    def _invoke_together(self, ctx: click.Context) -> Any:
        """Run the command as one of several processes if torchrun has started it: only the first prints anything."""
        from lpvq import distributed
        from lpvq.runtime import choose_device

        if distributed.local_rank() is None:
            return super().invoke(ctx)
        if "shards" not in ctx.params:
            if int(os.environ["WORLD_SIZE"]) > 1:
                raise InputError(f"lpvq {ctx.info_name} runs in one process: leave torchrun out")
            return super().invoke(ctx)
        with distributed.joined(choose_device(ctx.params["device"])), ExitStack() as stack:
            if not distributed.is_first():
                silent = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.enter_context(redirect_stdout(silent))
                warnings.showwarning = lambda *_, **__: None
            return super().invoke(ctx)


class _Commands(click.Group):
    """The commands in the order of the steps, each with its whole first sentence; a near name is suggested."""

    command_class = _Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command does."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(1000)) for name, command in self.commands.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if "Did you mean" in error.message or args[0].startswith("-"):
                raise
            near = [name for name in self.commands if args[0] in name] or get_close_matches(args[0], self.commands, 2)
            folder = f" Did you mean demo --dataset folder:{args[0]}?" if Path(args[0]).is_dir() else ""
            hint = f" Did you mean {' or '.join(near)}?" if near else folder
            raise click.UsageError(error.message + hint, ctx) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="lpvq")
def cli() -> None:
    """VQ-VAE, discrete codes and a gated PixelCNN prior: from images to new images.

    Each command makes what it needs from the steps before it, and finds what is already made. Ctrl-C loses nothing:
    the same command goes on.

    Example: lpvq demo --dataset fashion_mnist
    """


@cli.command()
@_workspace_options
@_sharing_options
@_PRETRAINED
@click.option(
    "--open/--no-open",
    "opened",
    default=True,
    show_default=True,
    help="Open the report in a browser, where there is a screen.",
)
def demo(opened: bool, **options: Any) -> None:
    """Do all of the steps below, and show the results on one page, report.html.

    Example: lpvq demo --pretrained
    """  # fmt: skip
    from lpvq.experiments.page import write_page
    from lpvq.models.sampling import SamplingOptions

    workspace = _workspace(options)
    _train_vqvae(workspace, "1/5 ")
    if workspace.pretrained:  # new images need no old ones, which take a minute to turn into codes
        _train_prior(workspace, "2/5 ")
        drawn = _sample(workspace, "3/5 ", _DEMO_IMAGES, None, SamplingOptions())
        _extract_codes(workspace, "4/5 ")
    else:
        _extract_codes(workspace, "2/5 ")
        _train_prior(workspace, "3/5 ")
        drawn = _sample(workspace, "4/5 ", _DEMO_IMAGES, None, SamplingOptions())
    measured = _evaluate(workspace, "5/5 ", ("codes", "prior"))
    page = write_page(workspace, *drawn, measured)
    click.echo(f"all of it on one page:\n    {page}")
    if opened and _has_screen():
        webbrowser.open(page.as_uri())


@cli.command()
@_workspace_options
@_sharing_options
def train_vqvae(**options: Any) -> None:
    """Train the VQ-VAE: images to codes and back.

    Example: lpvq train-vqvae --dataset folder:holiday --size 64
    """
    _train_vqvae(_workspace(options))


@cli.command()
@_workspace_options
@_sharing_options
@_PRETRAINED
def extract_codes(**options: Any) -> None:
    """Turn all images into grids of codes.

    Example: lpvq extract-codes --dataset fashion_mnist
    """
    _extract_codes(_workspace(options))


@cli.command()
@_workspace_options
@_sharing_options
def train_prior(**options: Any) -> None:
    """Train the gated PixelCNN on the codes.

    Example: lpvq train-prior --dataset fashion_mnist
    """
    _train_prior(_workspace(options))


@cli.command()
@_workspace_options
@_sharing_options
@_PRETRAINED
@click.option("--count", type=click.IntRange(min=1), default=_DEMO_IMAGES, show_default=True, help="How many images.")
@_drawing_options
@click.option("--gif", is_flag=True, help="Also an animation of the first grid being drawn.")
@click.option("--png-each", is_flag=True, help="Also each image in a file of its own, pixel for pixel.")
@click.option("--codes", "keep_codes", is_flag=True, help="Also the codes, for lpvq decode.")
def sample(
    count: int,
    label: str | None,
    draw_seed: int | None,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    gif: bool,
    png_each: bool,
    keep_codes: bool,
    **options: Any,
) -> None:
    """Draw new codes and decode them to new images.

    Example: lpvq sample --pretrained --label happy --temperature 0.8
    """
    from lpvq.models.sampling import SamplingOptions

    workspace, how = _workspace(options), SamplingOptions(temperature, top_k, top_p)
    images, codes, labels = _sample(workspace, "", count, label, how, draw_seed)
    settings = _drawn_with(workspace, how, label, draw_seed)
    if gif:
        from lpvq.experiments.animation import draw_grid, write_gif

        write_gif(draw_grid(workspace, codes[0]), workspace.path("sample.gif"), settings)
        _echo_paths([workspace.path("sample.gif")])
    if png_each:
        from lpvq.experiments.own_pictures import write_each

        write_each(images, workspace.path("samples"), "an image generated by a PixelCNN prior and a VQ-VAE", settings)
        _echo_paths([workspace.path("samples")])
    if keep_codes:
        from lpvq.experiments.own_pictures import as_set

        as_set(workspace, codes, labels).save(workspace.path("samples.npz"))
        _echo_paths([workspace.path("samples.npz")])


_PICTURE = click.Path(exists=True, dir_okay=False, path_type=Path)


@cli.command()
@_workspace_options
@_PRETRAINED
@_drawing_options
@click.option("--count", type=click.IntRange(min=1), default=6, show_default=True, help="How many completions.")
@click.option("--erase", required=True, metavar="LEFT,TOP,RIGHT,BOTTOM", help="What to erase, in pixels of PICTURE.")
@click.argument("picture", type=_PICTURE)
def complete(
    picture: Path,
    erase: str,
    count: int,
    label: str | None,
    draw_seed: int | None,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    **options: Any,
) -> None:
    """Erase a part of a picture of your own, and have it drawn anew.

    Example: lpvq complete face.png --pretrained --erase 0,16,32,32
    """
    import torch

    from lpvq.experiments import own_pictures
    from lpvq.models.sampling import SamplingOptions

    box = _box(erase)
    workspace = _workspace(options)
    index = _class_index(workspace, label)
    classes = torch.arange(count) % len(workspace.class_names)
    labels = classes if index is None else torch.full((count,), index)
    how = SamplingOptions(temperature, top_k, top_p)
    _echo_paths(own_pictures.complete(workspace, picture, box, labels, how, draw_seed))


@cli.command()
@_workspace_options
@_PRETRAINED
@click.option("--steps", type=click.IntRange(min=2, max=200), default=9, show_default=True, help="Pictures on the way.")
@click.argument("first", type=_PICTURE)
@click.argument("last", type=_PICTURE)
def interpolate(first: Path, last: Path, steps: int, **options: Any) -> None:
    """Go from one picture to another through their codes: a row of pictures, and an animation.

    Example: lpvq interpolate a.png b.png --pretrained
    """
    from lpvq.experiments import own_pictures

    _echo_paths(own_pictures.interpolate(_workspace(options), first, last, steps))


@cli.command()
@_workspace_options
@_PRETRAINED
@click.argument("pictures", type=_PICTURE, nargs=-1, required=True)
def encode(pictures: tuple[Path, ...], **options: Any) -> None:
    """Turn pictures of your own into grids of codes.

    Example: lpvq encode face.png --pretrained
    """
    from lpvq.experiments import own_pictures

    _echo_paths(own_pictures.encode_pictures(_workspace(options), pictures))


@cli.command()
@_workspace_options
@_PRETRAINED
@click.argument("codes", type=_PICTURE, nargs=-1, required=True)
def decode(codes: tuple[Path, ...], **options: Any) -> None:
    """Turn files of codes, as encode and sample --codes write them, back into pictures.

    Example: lpvq decode encoded.npz --pretrained
    """
    from lpvq.experiments import own_pictures

    _echo_paths(own_pictures.decode_files(_workspace(options), codes))


@cli.command()
@click.option("--dataset", metavar="NAME", help="Whose models to use.  [default: those of FOLDER_OR_SET itself]")
@_options_without_dataset
@_PRETRAINED
@click.option(
    "--split",
    type=click.Choice(["train", "test", "all"]),
    default="all",
    show_default=True,
    help="Which part of a set.",
)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="The first N images.  [default: all]")
@click.option("--with-model", is_flag=True, help="Put the models into the file: it can be decompressed without them.")
@click.argument("folder_or_set")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def compress(
    folder_or_set: str,
    file: Path,
    dataset: str | None,
    split: str,
    count: int | None,
    with_model: bool,
    **options: Any,
) -> None:
    """Compress images to a file of the size of their likelihood: the codes, packed with a prior in whole numbers.

    The prior must have one level, so --pretrained --size 128 is refused.

    Example: lpvq compress smileys faces.lpvq --pretrained --split test
    """  # fmt: skip
    from lpvq.experiments import compressing

    source = compressing.as_dataset(folder_or_set)
    workspace = _workspace({"dataset": dataset or source, **options})
    splits = ("train", "test") if split == "all" else (split,)
    number = compressing.compress_images(workspace, source, file, splits, count, with_model)
    size = file.stat().st_size
    click.echo(f"{number:,} images in {size:,} bytes, {size / number:.2f} for each")
    _echo_paths([file])


@cli.command()
@_workspace_options
@_PRETRAINED
@click.argument("file", type=_PICTURE)
@click.argument("folder", type=click.Path(path_type=Path))
def decompress(file: Path, folder: Path, **options: Any) -> None:
    """Turn a file that lpvq compress has written back into pictures, a folder for each class.

    The models are those in the file or, where it has none, those of --dataset, which must be the ones that it was
    compressed with.

    Example: lpvq decompress faces.lpvq faces --pretrained
    """
    from lpvq.experiments import compressing

    number = compressing.decompress_images(_workspace(options), file, folder)
    click.echo(f"{number:,} pictures")
    _echo_paths([folder])


@cli.command()
@_workspace_options
@_sharing_options
@_PRETRAINED
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this part; may be repeated.")
def evaluate(parts: tuple[str, ...], **options: Any) -> None:
    """Measure codes, prior and samples, and how true the samples are where the truth is known (smileys).

    Samples and truth need a small classifier, which is trained the first time. What was measured before, for the same
    models, is not measured again.

    Example: lpvq evaluate --dataset fashion_mnist
    """
    _evaluate(_workspace(options), "", parts)


@cli.command()
@_workspace_options
@_PRETRAINED
@click.argument("name", type=click.Choice(STUDIES))
def study(name: str, **options: Any) -> None:
    """Carry out an experiment that is too long for a notebook. What is finished is not done again.

    NAME is trade-off (recipes: what is lost, against what the codes cost; an hour or two in the profile laptop),
    quantizers (ways to learn a codebook; as long), priors (what makes a better one in the same time; as long), and for
    smileys also measures (which measure sees which fault; minutes),
    sampling (what temperature and top-p do; minutes) or combinations (does a prior draw what it has never seen; half an
    hour).

    Example: lpvq study trade-off --dataset fashion_mnist
    """
    from lpvq.experiments import studies

    workspace = _workspace(options)
    click.echo(studies.study(workspace, name).table)
    _echo_paths([workspace.path(f"study_{name}.{kind}") for kind in ("json", "png")])


@cli.command("bench")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True, help="Runs to take medians of.")
def bench_command(as_json: bool, runs: int) -> None:
    """Measure how fast this machine samples and trains, beside the plain ways; takes minutes and needs an idle machine.

    Example: lpvq bench --json > bench.json
    """
    from lpvq.experiments import bench

    rows, machine = bench.measure(runs), bench.about_the_machine()
    if as_json:
        listed = [{**asdict(row), "ratio": row.ratio} for row in rows]
        click.echo(json.dumps({"machine": machine, "runs": runs, "rows": listed}, indent=2))
    else:
        click.echo(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items()))
        click.echo(f"{bench.format_table(rows)}\nMedians of {runs} runs.")


@cli.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where it goes.  [default: live.html in LPVQ_OUTPUT or output/]",
)
def export_page(output: Path | None) -> None:
    """Make live.html: one file for playing with the trained models, in any browser, without a network.

    Example: lpvq export-page --output faces.html
    """
    from lpvq.page import export

    path = output or output_folder() / "live.html"
    click.echo(f"one page, {export.export_page(path)}:")
    _echo_paths([path])


@cli.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where tables and feedback go.  [default: FOLDER-graded]",
)
@click.option(
    "--sources",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=shipped("assignments"),
    help="Where the assignments with their solutions are.  [default: those of the course]",
)
@click.option(
    "--seconds",
    type=click.IntRange(min=1),
    default=Limits.seconds,
    show_default=True,
    help="The longest that a submission may run.",
)
@click.option(
    "--memory",
    type=click.FloatRange(min=1),
    default=Limits.memory / 2**30,
    show_default=True,
    help="How many GiB a submission may take (on Linux).",
)
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count(), help="How many run at a time.")
@click.option("--roster", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A table of the class.")
@click.option("--deadline", type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d"]), help="When it was due, in local time.")
@click.option(
    "--late", type=click.FloatRange(0, 100), default=0, help="Per cent of the points that each day late costs."
)
@click.option(
    "--own-work",
    multiple=True,
    help="A student whose work counts although the notebook has the id of another in the class.",
)
@click.option("--class", "class_name", default="", help="The name of the class, as given to lpvq release.")
@click.option("--question", help="Grade this test alone anew, by its id; all other points stay as they were.")
@click.option(
    "--unconfined", is_flag=True, help="Run students' code with your own rights, where it cannot be locked in."
)
def grade(
    folder: Path,
    output: Path | None,
    sources: Path,
    seconds: int,
    memory: float,
    jobs: int,
    roster: Path | None,
    class_name: str,
    deadline: datetime | None,
    late: float,
    own_work: tuple[str, ...],
    question: str | None,
    unconfined: bool,
) -> None:
    """Grade what students handed in: FOLDER holds a folder for each student, with notebooks.

    This runs the students' code: on Linux locked in by bubblewrap, without your files and the network; anywhere else
    only if you say --unconfined. What was graded before and has not changed is not graded again.

    Example: lpvq grade submitted
    """  # fmt: skip
    with needs_extra("classroom"):
        from lpvq.classroom import assignments, confinement, grading, rules, tables
        from lpvq.classroom import roster as rosters

    why_not = confinement.why_not()
    if why_not and not unconfined:
        raise InputError(
            f"students' code cannot be locked in on this machine: {why_not}. It would see your files and your network: "
            "use a container as notebooks/assignments/README.md has it, or say --unconfined"
        )
    confinement.hide_this_process()
    output = output or folder.resolve().with_name(f"{folder.resolve().name}-graded")
    limits = Limits(seconds=seconds, memory=int(memory * 2**30))
    listed = tuple(rosters.read(roster)) if roster else ()
    of_class = rules.Rules(deadline, late / 100, roster=listed, own_work=own_work, question=question)
    known = assignments.load_assignments(sources, class_name)
    graded = grading.grade(folder, known, output, limits, jobs, not unconfined, of_class)
    if unconfined:
        click.echo("Nothing was locked in: the code ran with your rights.", err=True)
    click.echo(tables.format_grades(graded.grades))
    for warning in graded.warnings:
        click.echo(warning, err=True)
    _echo_paths([output / "students.csv", *(output / name / "points.csv" for name in graded.grades if name)])


@cli.command()
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where they go.  [default: release/ in LPVQ_OUTPUT or output/]",
)
@click.option(
    "--sources",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=shipped("assignments"),
    help="Where the assignments with their solutions are.  [default: those of the course]",
)
@click.option("--class", "class_name", default="", help="A name that gives this class different numbers from the last.")
def release(output: Path | None, sources: Path, class_name: str) -> None:
    """Make the student versions of the assignments: without solutions or hidden tests, and run once to be sure.

    Example: lpvq release --output handed-out
    """  # fmt: skip
    with needs_extra("classroom"):
        from lpvq.classroom import assignments

    _echo_paths(assignments.release(output or output_folder() / "release", sources, class_name))


def _workspace(options: dict[str, Any]) -> "Workspace":
    from lpvq import distributed
    from lpvq.experiments.workspace import Workspace
    from lpvq.threads import FairShare

    if distributed.count() == 1:
        FairShare().take(say=True)
    return Workspace(**options)


def _train_vqvae(workspace: "Workspace", number: str = "") -> None:
    click.echo(f"{number}VQ-VAE for {workspace.dataset}, profile {workspace.profile}")
    quantizer, seconds = workspace.vqvae.quantizer, workspace.vqvae_about["seconds"]
    click.echo(f"    {quantizer.num_codes} codes of {quantizer.code_dim} numbers, trained in {seconds:.0f} s")


def _extract_codes(workspace: "Workspace", number: str = "") -> None:
    click.echo(f"{number}codes")
    for name, codes in (("training", workspace.train_codes), ("test", workspace.test_codes)):
        about = codes.describe()
        height, width = codes.grid
        click.echo(
            f"    {len(codes):,} {name} grids of {height} × {width}; {about['usage']:.0%} of {codes.num_codes} codes "
            f"in use, perplexity {about['perplexity']:.1f}"
        )


def _train_prior(workspace: "Workspace", number: str = "") -> None:
    click.echo(f"{number}PixelCNN on these codes")
    if workspace.coarse is not None:
        _train_prior(workspace.coarse, "    coarse codes, of smaller images: ")
        click.echo("    fine codes, given the coarse ones:")
    blocks, seconds = workspace.prior.num_blocks, workspace.prior_about["seconds"]
    click.echo(f"    {blocks} gated blocks, trained in {seconds:.0f} s")


def _sample(
    workspace: "Workspace",
    number: str,
    count: int,
    label: str | None,
    options: "SamplingOptions",
    seed: int | None = None,
) -> "tuple[Tensor, Tensor, Tensor]":
    from lpvq.experiments import samples
    from lpvq.lettering import class_titles, on_one_line

    click.echo(f"{number}{count} new images")
    images, codes, labels = samples.sample(workspace, count, _class_index(workspace, label), options, seed)
    settings = _drawn_with(workspace, options, label, seed)
    paths = samples.write_samples(workspace, images, codes, labels, settings)
    _echo_paths(paths + samples.write_random_samples(workspace))
    names = workspace.class_names
    numbered = [index for index, title in enumerate(class_titles(names)) if title == f"class {index}"]
    if numbered:
        known = ", ".join(f"class {index} is {on_one_line(names[index])}" for index in numbered)
        click.echo(f"    no font of this machine has all signs of these names, so the pictures say numbers: {known}")
    if workspace.profile == "smoke" and not workspace.pretrained:
        click.echo("    the profile smoke trains for seconds, for tests: these are fog; laptop takes minutes")
    return images, codes, labels


def _drawn_with(
    workspace: "Workspace", options: "SamplingOptions", label: str | None, seed: int | None
) -> dict[str, Any]:
    """What the pictures say about how they were drawn."""
    from lpvq.data.folders import readable

    drawn = {**asdict(options), "label": None if label is None else readable(label)}
    return {**workspace.settings, **drawn, "draw_seed": workspace.seed if seed is None else seed}


def _box(erase: str) -> tuple[int, int, int, int]:
    """Four whole numbers between commas, as ``complete`` takes them."""
    try:
        left, top, right, bottom = (int(part) for part in erase.replace(" ", "").split(","))
    except ValueError:
        raise InputError(
            f"--erase must be four whole numbers such as 0,16,32,32 (left, top, right, bottom), got {erase!r}"
        ) from None
    if left >= right or top >= bottom:
        raise InputError(f"--erase must go from left to right and from top to bottom, got {erase!r}")
    return left, top, right, bottom


def _has_screen() -> bool:
    """Whether somebody sits at this machine, so that a page can be opened."""
    if not sys.stdout.isatty() or any(name in os.environ for name in ("CI", "SSH_CONNECTION", "SSH_TTY")):
        return False
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _class_index(workspace: "Workspace", label: str | None) -> int | None:
    if label is None:
        return None
    from lpvq.data.folders import readable
    from lpvq.lettering import on_one_line, same_name

    names, label = workspace.class_names, readable(label)
    if label in names:
        return names.index(label)
    if label.isdecimal() and int(label) < len(names):
        return int(label)
    alike = [number for number, name in enumerate(names) if same_name(name) == same_name(label)]
    if len(alike) == 1:
        return alike[0]
    problem = "could be several classes" if alike else "is unknown"
    known = ", ".join(f"{on_one_line(names[number])} ({number})" for number in alike or range(len(names)))
    raise InputError(f"label {label!r} {problem}; expected one of {known}")


def _evaluate(workspace: "Workspace", number: str, parts: Sequence[str]) -> dict[str, Any]:
    """Measure ``parts``, or all parts that the data set has; return the figures."""
    from lpvq.experiments import samples, tables
    from lpvq.experiments.page import warnings_of
    from lpvq.experiments.report import Report

    click.echo(f"{number}measuring on {len(workspace.test_data):,} test images")
    pictures = samples.write_reconstructions(workspace)
    report = Report(workspace)
    measured = {}
    for part in parts or report.parts:
        measured[part] = report.measure(part)
        click.echo(tables.format_part(part, measured[part]))
        pictures += report.pictures(part)
    if "truth" not in report.parts:
        click.echo(tables.WITHOUT_TRUTH)
    for note in warnings_of(workspace):
        click.echo(note)
    _echo_paths([*pictures, workspace.path("evaluation.json")])
    return measured


def _echo_paths(paths: Sequence[Path]) -> None:
    for path in paths:
        click.echo(f"    {path}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake is one line and status 2, never a traceback."""
    warnings.showwarning = lambda message, *_, **__: click.echo(f"lpvq: warning: {message}", err=True)
    _let_every_terminal_show_everything()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored, as for a job with "&"
        signal.signal(signal.SIGINT, _interrupt_once)
    try:
        status = cli.main(args=arguments, prog_name="lpvq", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        status = 2
    except click.ClickException as error:
        status = _fail(error.format_message() + _hint(error), 2)
    except InputError as error:
        status = _fail(str(error), 2)
    except (KeyboardInterrupt, click.Abort):
        status = _fail(_STOPPED, 128 + signal.SIGINT)
    except SystemExit as stopped:  # of a training that SIGTERM or SIGHUP has stopped
        status = _fail(_STOPPED, int(stopped.code or 0))
    except ProcessLostError as error:
        status = _fail(f"{error}; the same command goes on from the last checkpoint", 1)
    except OSError as error:
        status = _fail(str(error), 1)
    sys.exit(status)


def _hint(error: click.ClickException) -> str:
    """What to type instead of a folder or a data set that stands alone."""
    alone = re.search(r"unexpected extra arguments? \((.*?)[ )]", error.format_message())
    if alone is None or not isinstance(error, click.UsageError) or error.ctx is None:
        return ""
    named = alone[1]
    dataset = f"folder:{named}" if Path(named).expanduser().is_dir() else named
    return f"; to use other images: {error.ctx.command_path} --dataset {dataset}"


def _let_every_terminal_show_everything() -> None:
    """Replace characters that the encoding of the terminal or log lacks, so that they do not end the command."""
    codecs.register_error("lpvq", _in_plain_characters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="lpvq")


def _in_plain_characters(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that cannot be encoded, and where to go on: tables stay readable."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in lacking), error.end


def _interrupt_once(*_: object) -> None:
    """Stop at Ctrl-C, and ignore what impatient fingers send while things are put away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _fail(message: str, status: int) -> int:
    if _perhaps_of_several():
        from lpvq import distributed

        if not distributed.is_first_to_fail():
            return status
    click.echo(f"lpvq: {' '.join(message.split())}", err=True)
    return status


def _perhaps_of_several() -> bool:
    """Whether it is worth the second of loading torch to ask ``distributed`` if torchrun has started this process."""
    return "LOCAL_RANK" in os.environ


if __name__ == "__main__":
    main()
