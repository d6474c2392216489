"""Measure compression: whether all comes back, how large files are and how fast, and what other formats make of it.

    .venv/bin/python tests/measure_compression.py round-trips smileys --pretrained --count 10000
    .venv/bin/python tests/measure_compression.py rates fashion_mnist --seed 1
    .venv/bin/python tests/measure_compression.py drawing smileys --pretrained
    .venv/bin/python tests/measure_compression.py everything fashion_mnist --seed 1
    .venv/bin/python tests/measure_compression.py formats fashion_mnist --error 0.0478
    .venv/bin/python tests/measure_compression.py damages smileys --pretrained --count 256
    .venv/bin/python tests/measure_compression.py coders
    .venv/bin/python tests/measure_compression.py compiled smileys --pretrained

Times need an otherwise idle machine with two cores. Models are those of the profile laptop, in the folder where the
commands of lpvq have theirs, and are trained first where there are none. ``--profile smoke --count 300`` tries all of
it in a minute or two.

``round-trips`` packs test images, and unpacks them in other processes with other batch sizes, numbers of threads and
methods. It takes more than half an hour, nearly all of it for the plain method.

``rates`` compares the size of the file with the nats of both priors, and times ``lpvq compress`` and ``lpvq
decompress`` as whole commands.

``drawing`` times the prior in whole numbers beside the float prior that it was made of, in turns.

``everything`` packs training and test images with the models inside, and says how large the models and the error are.

``formats`` puts the same images on one sheet, and halves the settings of each format until it has the one of fewest
bytes that keeps the error. Every setting tried is printed. It takes half an hour; ``--slow`` adds JPEG XL at effort 9,
which takes hours more unless ``--count`` chooses fewer images. JPEG XL needs a package that nothing else here needs,
and is left out without it: ``.venv/bin/python -m pip install imagecodecs==2026.3.6``.

``damages`` changes one bit of a file 150 times and cuts it short 50 times, and says what became of it: as it is, where
the checksum tells, and sealed with a new checksum, as somebody would who wants to do harm.

``coders`` packs the same symbols with our entropy coder and with constriction, and unpacks them.

``compiled`` compares the logits of the prior in whole numbers with those of the same prior, compiled by torch. It needs
a C++ compiler and some minutes.

The error is the mean squared error, divided by the variance of all pixels of the same images.
"""

import argparse
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import numpy as np
import torch

import coders
import other_formats
from lpvq import InputError
from lpvq.compression.archive import compress, models_for, read_codes, read_images
from lpvq.compression.file_format import Reader
from lpvq.data.images import ImageData
from lpvq.data.latent_codes import extract_codes
from lpvq.data.loading import load
from lpvq.evaluation.codes import evaluate_reconstruction
from lpvq.experiments.compressing import decompress_images, models_of
from lpvq.experiments.workspace import Workspace
from lpvq.runtime import without_bars
from lpvq.training.losses import grid_nll
from processes import in_new_process

WAYS = ((256, 1, "cached"), (64, 2, "cached"), (100, 2, "plain"))  # batch size, threads, method
TURNS, SYMBOLS, ALPHABET = 9, 2**17, 128
DIGEST = 16

Chosen = argparse.Namespace


def workspace_of(chosen: Chosen) -> Workspace:
    """Return the workspace whose models are measured."""
    return Workspace(chosen.dataset, chosen.profile, seed=chosen.seed, pretrained=chosen.pretrained)


def images_of(chosen: Chosen, *splits: str) -> ImageData:
    """Return the first images of some splits, one after the other."""
    parts = [load(chosen.dataset, split, limit=chosen.count) for split in splits]
    images, labels = (torch.cat([getattr(part, name) for part in parts]) for name in ("images", "labels"))
    return replace(parts[0], images=images, labels=labels, factors=None)[: chosen.count]


def say(*parts: object) -> None:
    """Print at once: these measurements take their time."""
    print(*parts, flush=True)


def say_versions(*packages: str) -> None:
    """Name the version of each package that is there."""
    for name in packages:
        try:
            say(f"{name} {version(name)}")
        except PackageNotFoundError:
            say(f"{name} is not installed")


@contextmanager
def packed(chosen: Chosen, data: ImageData, with_model: bool = False) -> Iterator[Path]:
    """Pack images to a file, which is there for a while."""
    models = models_of(workspace_of(chosen))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "images.lpvq")
        compress(file, [(data.images, data.labels)], data.class_names, models, with_model)
        yield file


# Round trips.


def unpacked(chosen: Chosen, file: Path, batch_size: int, threads: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes and the classes in a file; called in a process of its own."""
    torch.set_num_threads(threads)
    reader = Reader(file)
    parts = read_codes(reader, models_for(reader, models_of(workspace_of(chosen))), batch_size, method)
    codes, classes = zip(*parts, strict=True)
    return torch.cat(codes).numpy(), torch.cat(classes).numpy()


def round_trips(chosen: Chosen) -> None:
    """Print for each way of unpacking how many grids came back as they were."""
    data = images_of(chosen, "test")
    codes = extract_codes(workspace_of(chosen).vqvae, data).codes.numpy()
    with packed(chosen, data) as file:
        for way in WAYS:
            started = time.monotonic()
            process = in_new_process(unpacked, chosen, file, *way)
            assert process.status == 0, process.err
            found, classes = process.result
            same = (found == codes).all((1, 2)) & (classes == data.labels.numpy())
            seconds = time.monotonic() - started
            say("batches of {}, {} threads, {}:".format(*way), f"{same.sum():,} of {len(data):,} same, {seconds:.0f} s")


# Rates.


def rates(chosen: Chosen) -> None:
    """Print what the likelihood promises, what the file takes, and how fast the commands are."""
    say_versions("torch", "numpy")
    workspace, data = workspace_of(chosen), images_of(chosen, "test")
    codes = extract_codes(workspace.vqvae, data)
    say(f"MSE / variance: {evaluate_reconstruction(workspace.vqvae, data).relative_error.value:.4f}")
    nats = [grid_nll(prior, codes).double() for prior in (workspace.prior, workspace.whole_number_prior)]
    floats, wholes = (each.mean().item() for each in nats)
    say(f"nats per image: {floats:.2f}; in whole numbers {wholes:.2f} ({wholes / floats - 1:+.2%})")
    counts = torch.bincount(data.labels).double()
    of_labels = -torch.xlogy(counts, counts / counts.sum()).sum()
    with packed(chosen, data) as file:
        size = file.stat().st_size
    for name, each in zip(("float", "whole-number"), nats, strict=True):
        promised = ((each.sum() + of_labels) / math.log(256)).item()
        say(f"bytes by the nats of the {name} prior, labels included: {promised:,.0f}; file {size / promised - 1:+.2%}")
    say(f"bytes of the file: {size:,}, {size / len(data):.2f} an image")
    time_commands(chosen, len(data))


def time_commands(chosen: Chosen, count: int) -> None:
    """Print images a second, from the start of a command to its end."""
    options = ["--profile", chosen.profile, "--seed", str(chosen.seed), *["--pretrained"] * chosen.pretrained]
    with tempfile.TemporaryDirectory() as folder:
        file, pictures = Path(folder, "images.lpvq"), Path(folder, "pictures")
        pack = ["compress", chosen.dataset, str(file), "--split", "test", "--count", str(count)]
        unpack = ["decompress", str(file), str(pictures), "--dataset", chosen.dataset]
        for name, command, threads in (("packed", pack, 1), ("unpacked to PNGs", unpack, 2)):
            started = time.monotonic()
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
            command = [sys.executable, "-m", "lpvq", *command, *options]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
            say(f"{name}, threads: {threads}, images a second: {count / (time.monotonic() - started):.0f}")


def drawing(chosen: Chosen) -> None:
    """Print how long both priors take to draw, medians of some turns."""
    say_versions("torch", "numpy")
    workspace = workspace_of(chosen)
    priors = {"float": workspace.prior, "whole numbers": workspace.whole_number_prior}
    for threads, number in ((1, 1), (1, 64), (2, 1), (2, 64)):
        torch.set_num_threads(threads)
        labels = torch.arange(number) % len(workspace.class_names)
        times: dict[str, list[float]] = {name: [] for name in priors}
        for _ in range(TURNS + 1):
            for name, prior in priors.items():
                started = time.perf_counter()
                prior.generate(labels=labels, generator=torch.Generator().manual_seed(0))
                times[name].append(time.perf_counter() - started)
        floats, wholes = (1000 * median(times[name][1:]) for name in priors)  # in the first turn all is new
        way = f"grids: {number}, threads: {threads}, ms: {floats:.1f}"
        say(f"{way}; in whole numbers {wholes:.1f}, {wholes / floats:.2f}×")


# Other formats.


def everything(chosen: Chosen) -> None:
    """Print how many bytes all images take together with the models, and how large the error is."""
    say_versions("torch", "numpy")
    torch.set_num_threads(2)
    data = images_of(chosen, "train", "test")
    started = time.monotonic()
    with packed(chosen, data, with_model=True) as file:
        say(f"packed in {time.monotonic() - started:.0f} s")
        started, done, squared = time.monotonic(), 0, 0.0
        reader = Reader(file)
        for images, classes in read_images(reader, models_for(reader, None)):
            some = data[done : done + len(images)]
            assert torch.equal(classes, some.labels)
            squared += (images.double() - some.images.double()).square().sum().item() / 255**2
            done += len(images)
        assert done == len(data)
        say(f"unpacked, without writing PNGs, in {time.monotonic() - started:.0f} s")
        say(f"{done:,} images, {file.stat().st_size:,} bytes, {len(reader.header.models):,} of them the models")
        say(f"MSE / variance: {squared / data.images.numel() / data.variance():.4f}")


def formats(chosen: Chosen) -> None:
    """Print for each format all settings tried, and the one of fewest bytes."""
    say_versions("pillow", "imagecodecs")
    say(other_formats.codecs())
    sheet = other_formats.sheet_of(images_of(chosen, "train", "test").images)
    say(f"a sheet of {' × '.join(map(str, sheet.shape))}, an error of at most {chosen.error}")
    for name, (there_and_back, settings) in other_formats.formats(sheet.ndim == 2, chosen.slow).items():
        kept = {}
        for setting, size, error in other_formats.halved(there_and_back, settings, sheet, chosen.error):
            say(f"    {name} {setting:g}: {size:,} bytes, MSE / variance {error:.4f}")
            if error <= chosen.error:
                kept[size] = f"{name} {setting:g}: {size:,} bytes, MSE / variance {error:.4f}"
        say(kept[min(kept)] if kept else f"{name}: an error above that in all settings")


# Damages.


def damaged(content: bytes) -> Iterator[bytes]:
    """The content with one bit changed, 150 times, and cut short, 50 times."""
    chance = random.Random(0)
    for place in chance.sample(range(len(content)), 150):
        yield content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]
    for cut in chance.sample(range(len(content)), 50):
        yield content[:cut]


def outcome(workspace: Workspace, content: bytes) -> str:
    """What becomes of such a file, and whether anything is left of one that is refused."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "images.lpvq")
        file.write_bytes(content)
        try:
            decompress_images(workspace, file, Path(folder, "pictures"))
        except InputError:
            return "refused" if [*Path(folder).iterdir()] == [file] else "refused, and something is left"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "read"


def damages(chosen: Chosen) -> None:
    """Print what became of each kind of damage, with models inside and without."""
    workspace, data = workspace_of(chosen), images_of(chosen, "test")
    for with_model in (False, True):
        with packed(chosen, data, with_model) as file, without_bars():
            content = file.read_bytes()
            as_it_is = Counter(outcome(workspace, some) for some in damaged(content))
            sealed = Counter(
                outcome(workspace, some + blake2b(some, digest_size=DIGEST).digest())
                for some in damaged(content[:-DIGEST])
            )
        say(f"{len(content):,} bytes, models inside: {with_model}; {dict(as_it_is)}; sealed anew: {dict(sealed)}")


# Coders.


def coders_beside_each_other(chosen: Chosen) -> None:
    """Print bytes and symbols a second of both coders, medians of some turns."""
    say_versions("numpy", "constriction")
    ends, symbols, bits = coders.some_symbols(SYMBOLS, ALPHABET)
    say(f"{SYMBOLS:,} of {ALPHABET} symbols, which should take {bits.sum() / 8:,.0f} bytes")
    ways = {f"ours, lanes: {lanes}": (coders.encode, coders.decode, (ends, lanes)) for lanes in (1, 64)}
    try:
        version("constriction")
        given = (coders.probabilities(ends),)
        ways["constriction"] = coders.encode_with_constriction, coders.decode_with_constriction, given
    except PackageNotFoundError:
        pass
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    sizes = {}
    for _ in range(TURNS):
        for name, (encode, decode, given) in ways.items():
            moments = [time.perf_counter()]
            content = encode(symbols, *given)
            moments.append(time.perf_counter())
            found = decode(content, *given)
            moments.append(time.perf_counter())
            assert (found == symbols).all()
            times[name].append((moments[1] - moments[0], moments[2] - moments[1]))
            sizes[name] = len(content)
    for name, of_both in times.items():
        packing, unpacking = (SYMBOLS / median(each) for each in zip(*of_both, strict=True))
        say(f"{name}: {sizes[name]:,} bytes, symbols a second: packed {packing:,.0f}, unpacked {unpacking:,.0f}")


# Compiled.


@torch.inference_mode()
def compiled(chosen: Chosen) -> None:
    """Print how many logits of compiled models are the same."""
    say_versions("torch")
    workspace = workspace_of(chosen)
    prior, random = workspace.whole_number_prior, torch.Generator().manual_seed(0)
    codes = torch.randint(prior.latent_dim, (64, *prior.image_size), generator=random)
    labels = torch.arange(len(codes)) % len(workspace.class_names)
    expected = prior(codes, labels).double()
    for kind in (torch.float32, torch.float64):
        prior.to(kind)
        for number in (64, 1):
            torch.compiler.reset()
            found = torch.compile(prior, dynamic=False)(codes[:number], labels[:number])
            same = (found.double() == expected[:number]).sum()
            say(f"{kind}, batches of {number}: {same:,} of {found.numel():,} logits same")
    prior.float()


MEASUREMENTS = {
    "round-trips": round_trips,
    "rates": rates,
    "drawing": drawing,
    "everything": everything,
    "formats": formats,
    "damages": damages,
    "coders": coders_beside_each_other,
    "compiled": compiled,
}


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("dataset", nargs="?", default="smileys", help="images, and whose models")
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--seed", type=int, default=0, help="of the models")
    parser.add_argument("--pretrained", action="store_true", help="the models that come with the project")
    parser.add_argument("--count", type=int, help="the first so many images")
    parser.add_argument("--error", type=float, default=0.0478, help="for formats: what they have to keep")
    parser.add_argument("--slow", action="store_true", help="for formats: JPEG XL at effort 9 too")
    arguments = parser.parse_args()
    MEASUREMENTS[arguments.what](arguments)


if __name__ == "__main__":
    main()
