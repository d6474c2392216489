"""Measure trainings of several processes: how fast they are, and that they end the same whatever happens to them.

    .venv/bin/python tests/measure_processes.py speed
    .venv/bin/python tests/measure_processes.py kills [SIGKILLS [SIGTERMS]]

``speed`` needs an otherwise idle machine with two cores and takes some minutes. It trains the models of the profile
laptop for some steps: one process of one thread, one of two threads, two of one thread each, and these with
``--fast-reduce``; and prints steps a second, and the share of a step in which a process waits for the other or sends.

``kills`` trains both models of the profile smoke with torchrun, and ends it at random moments: so often one process
with SIGKILL, and so often all of it with SIGTERM, as schedulers do. Each next start has another number of processes.
Whenever a training comes to its end, its weights have to be those of one that nobody disturbed, and the next begins;
and so they have to be where torchrun itself starts the processes again (``--max-restarts``).
"""

import argparse
import hashlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = 60
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]

STEP = """
import sys, time
from dataclasses import replace
from statistics import median
import torch
from lpvq import distributed, train_prior, train_vqvae
from lpvq.data.latent_codes import LatentCodes
from lpvq.data.loading import load
from lpvq.experiments.profiles import recipe_for
from lpvq import VQVAE, PixelCNN

kind, steps, shards, fast = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "fast"
recipe = recipe_for("smileys", "laptop", shards=shards, fast_reduce=fast)
torch.manual_seed(0)
spent = [0.0]

def timed(name):
    function = getattr(distributed, name)
    def call(*arguments, **options):
        started = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spent[0] += time.perf_counter() - started
    setattr(distributed, name, call)

if kind == "vqvae":
    data = load("smileys", limit=2000)
    model = VQVAE(3, recipe.num_codes, recipe.code_dim, recipe.vqvae_channels, recipe.downsample,
                  recipe.encoder_blocks, recipe.decoder_blocks, recipe.quantizer)
    train, config = train_vqvae, recipe.vqvae
else:
    codes = torch.randint(recipe.num_codes, (2000, 8, 8))
    data = LatentCodes(codes, torch.arange(2000) % 4, recipe.num_codes, ("a", "b", "c", "d"), "random", "")
    model = PixelCNN(recipe.num_codes, 8, recipe.prior_blocks, recipe.prior_kernel, recipe.prior_channels, 4,
                     num_attentions=recipe.prior_attentions)
    train, config = train_prior, recipe.prior
timed("_sum_of_all")
timed("_fast_sum")
times, last = [], [time.perf_counter()]

def after_step(step, history):
    now = time.perf_counter()
    times.append((now - last[0], spent[0]))
    last[0], spent[0] = now, 0.0

with distributed.joined(torch.device("cpu")):
    train(model, data, replace(config, steps=steps, validations=1), after_step=after_step)
later = times[steps // 4:-1]  # without the last step, which validates
weights = sum(parameter.numel() for parameter in model.parameters())
if distributed.local_rank() in (None, 0):
    seconds, waited = (sum(column) for column in zip(*later))
    print(f"{len(later) / seconds:.2f} steps a second, {waited / seconds:.0%} of it waiting or sending, "
          f"{4 * weights / 2**20:.2f} MiB of gradients")
"""


def speed(kind: str, processes: int, threads: int, shards: int, how: str = "exact") -> str:
    """Return what a training of so many processes comes to."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "step.py")
        script.write_text(STEP)
        run = [sys.executable] if processes == 1 else [*TORCHRUN, "--nproc-per-node", str(processes)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        command = [*run, str(script), kind, str(STEPS), str(shards), how]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def measure_speed() -> None:
    """Print the table, each row three times: a busy moment shows."""
    rows = {
        "one process of one thread, whole batches": (1, 1, 1),
        "one process of one thread, four shards": (1, 1, 4),
        "one process of two threads, whole batches": (1, 2, 1),
        "two processes of one thread, four shards": (2, 1, 4),
        "two processes of one thread, two shards": (2, 1, 2),
        "two processes of one thread, four shards, fast": (2, 1, 4, "fast"),
    }
    for kind in ("vqvae", "prior"):
        for name, how in rows.items():
            for _ in range(3):
                print(f"{kind:6} {name:48} {speed(kind, *how)}", flush=True)


def start(output: Path, processes: int, restarts: int = 0) -> subprocess.Popen:
    """Start the training of both models, in a session of its own."""
    run = [*TORCHRUN, "--nproc-per-node", str(processes), "--max-restarts", str(restarts), "-m", "lpvq"]
    command = [*run, "train-prior", "--profile", "smoke", "--device", "cpu", "--output", str(output)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children_of(process: subprocess.Popen) -> list[int]:
    """The processes that torchrun has started (on Linux)."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in listed.read_text().split()] if process.poll() is None else []


def sums_of(output: Path) -> str:
    """One checksum for the weights of both models."""
    folder = output / "smileys" / "smoke"
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in ("vqvae.pt", "prior.pt"))).hexdigest()[:16]


def disturb(process: subprocess.Popen, output: Path, kind: int, after: float, chance: random.Random) -> bool:
    """Send a signal after some seconds; return whether there was still something to train."""
    time.sleep(after)
    workers = children_of(process)
    if not workers or (output / "smileys" / "smoke" / "prior.pt").exists():
        return False
    if kind == signal.SIGTERM:
        process.send_signal(kind)  # torchrun passes it on to all
    else:
        os.kill(chance.choice(workers), kind)
    return True


def measure_kills(kills: int, terms: int) -> None:
    """Print what became of each start, and whether the weights at the end of each training are the right ones."""
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        whole, disturbed, again = (Path(folder, name) for name in ("whole", "disturbed", "again"))
        started = time.monotonic()
        assert start(whole, 1).wait() == 0
        usual = time.monotonic() - started
        print(f"undisturbed, one process: {usual:.0f} s, {sums_of(whole)}", flush=True)
        left = chance.sample([signal.SIGKILL] * kills + [signal.SIGTERM] * terms, kills + terms)
        for processes in itertools.cycle((1, 2, 4)):
            process = start(disturbed, processes)
            # From the first steps on; where nothing is left to train by then, this training has come to its end.
            after = chance.uniform(0.4, 0.95) * usual
            hit = bool(left) and disturb(process, disturbed, left[-1], after, chance)
            _, said = process.communicate()
            lines = [line for line in said.splitlines() if line.startswith("lpvq:")]
            name = left.pop().name if hit else "not disturbed"
            status = process.returncode
            print(f"{processes} processes, {name} after {after:.1f} s: status {status}, {lines}", flush=True)
            if not hit:
                assert status == 0, said
                print(f"    {sums_of(disturbed)}", "the same" * (sums_of(disturbed) == sums_of(whole)), flush=True)
                shutil.rmtree(disturbed)
                if not left:
                    break
        process = start(again, 2, restarts=3)
        hit = disturb(process, again, signal.SIGKILL, 0.7 * usual, chance)
        assert process.wait() == 0
        name = "started again by torchrun" if hit else "not disturbed"
        print(f"{name}: {sums_of(again)}", "the same" * (sums_of(again) == sums_of(whole)))


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "kills"))
    parser.add_argument("kills", nargs="?", type=int, default=10, help="how many SIGKILLs")
    parser.add_argument("terms", nargs="?", type=int, default=5, help="how many SIGTERMs")
    arguments = parser.parse_args()
    if arguments.what == "speed":
        measure_speed()
    else:
        measure_kills(arguments.kills, arguments.terms)


if __name__ == "__main__":
    main()
