"""One, two and four processes make the same models, codes, samples and figures, and go on after all that can happen."""

import signal
from pathlib import Path
from typing import Any

import jobs
import pytest
import torch
from several import in_processes, results_of

from lpvq import InputError, TrainConfig, cli, distributed
from lpvq.files import read_json
from lpvq.training.shards import Shards

# Numbers that show their order: with eight bits less, each sum would be the same in all orders.
PARTS = torch.randn(8, 1000, generator=torch.Generator().manual_seed(0)) * 10.0 ** torch.arange(8)[:, None]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """What each process has found, for each number of processes."""
    return {
        number: results_of(number, jobs.whole_way, tmp_path_factory.mktemp("way"), {"shards": 4})
        for number in (1, 2, 4)
    }


@pytest.mark.parametrize("number", [2, 4])
def test_several_processes_make_what_one_makes_to_the_last_bit(
    number: int, ways: dict[int, list[dict[str, Any]]]
) -> None:
    (alone,) = ways[1]
    assert sum(moved > 0 for moved in alone["restarted"]) > 3  # the start, and steps after it
    for found in ways[number]:
        assert found == alone


def test_a_fast_order_ends_within_half_a_per_cent(ways: dict[int, list[dict[str, Any]]], tmp_path: Path) -> None:
    fast = results_of(2, jobs.whole_way, tmp_path, {"shards": 4, "fast_reduce": True})
    assert fast[0] == fast[1] and fast[0]["prior"] != ways[1][0]["prior"]
    exactly, fastest = (found["losses"][-1][1] for found in (ways[1][0], fast[0]))
    assert fastest == pytest.approx(exactly, rel=0.005)
    about = read_json(tmp_path / "smileys" / "smoke" / "prior.json")
    assert about["settings"]["shards"] == 4 and about["settings"]["fast_reduce"]


def test_a_training_that_is_stopped_and_killed_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    (whole,) = results_of(1, jobs.train_until_told, tmp_path / "whole", {})
    # One process is told to stop: all stop after the same step, and the first one keeps it.
    stopped = results_of(2, jobs.train_until_told, tmp_path / "c", {2: (1, signal.SIGTERM)})
    assert stopped == [("SystemExit", 143)] * 2
    killed = in_processes(4, jobs.train_until_told, tmp_path / "c", {5: (2, signal.SIGKILL)})
    assert [one.status for one in killed] == [0, 0, -signal.SIGKILL, 0]
    assert all(one.result == ("ProcessLostError", 0) for one in killed if one.status == 0)
    assert results_of(1, jobs.train_until_told, tmp_path / "c", {6: (0, signal.SIGTERM)}) == [("SystemExit", 143)]
    assert results_of(2, jobs.train_until_told, tmp_path / "c", {}) == [whole] * 2


def test_where_the_user_has_made_the_group_all_begin_with_the_weights_of_the_first() -> None:
    (alone,) = results_of(1, jobs.train_in_a_group_of_ones_own, 3)
    assert results_of(2, jobs.train_in_a_group_of_ones_own, 3) == [alone, alone]


def test_a_mistake_is_said_once(tmp_path: Path) -> None:
    arguments = ["train-vqvae", "--profile", "smoke", "--shards", "1", "--output", str(tmp_path)]
    finished = in_processes(2, jobs.command, arguments, None)
    assert [one.status for one in finished] == [2, 2]
    assert "".join(one.err for one in finished).splitlines() == [
        "lpvq: training VQ-VAE: 2 processes cannot share batches of 1 shards; expected shards that are a power of two "
        "and a multiple of 2"
    ]


def test_a_process_that_is_killed_ends_all_with_one_line_and_the_next_start_goes_on(tmp_path: Path) -> None:
    arguments = ["train-vqvae", "--profile", "smoke", "--device", "cpu", "--output", str(tmp_path)]
    first, second = in_processes(2, jobs.command, arguments, 3)
    assert (first.status, second.status) == (1, -signal.SIGKILL)
    (line,) = first.err.splitlines()
    assert line.startswith("lpvq: another process has ended") and "the same command goes on" in line
    assert "gloo" not in line  # where it was compiled, and what it supposes
    first, second = in_processes(2, jobs.command, arguments, None)
    assert (first.status, second.status) == (0, 0) and (first.err, second.out, second.err) == ("", "", "")
    assert "trained in" in first.out and (tmp_path / "smileys" / "smoke" / "vqvae.pt").exists()


def test_parts_are_added_in_pairs() -> None:
    a, b, c, d = PARTS[:4]
    assert torch.equal(distributed.sum_in_order(iter([a, b, c, d])), (a + b) + (c + d))
    assert not torch.equal(distributed.sum_in_order([a, b, c, d]), ((a + b) + c) + d)
    with pytest.raises(ValueError, match="power of two"):
        distributed.sum_in_order([a, b, c])


def test_processes_add_up_in_the_same_pairs() -> None:
    alone = distributed.sum_in_order(PARTS)
    assert not torch.equal(alone, PARTS.cumsum(0)[-1])
    # torchrun starts processes again beside the same store, where those before have left their addresses.
    for found in results_of(4, jobs.add_up, PARTS.tolist(), starts=2):
        assert found == [alone.tolist()] * 2


def test_a_plain_process_does_all_itself() -> None:
    assert (distributed.count(), distributed.rank(), distributed.is_first()) == (1, 0, True)
    assert list(distributed.in_order(str, [1, 2, 3])) == ["1", "2", "3"]
    assert distributed.from_first(lambda: 5) == 5 and distributed.from_all(5) == [5]
    assert distributed.local_rank() is None and distributed.usual_shards() == 1


def test_a_batch_is_cut_into_shards_of_the_same_size() -> None:
    shards = Shards("training", TrainConfig(steps=1, shards=4), 30)
    assert shards.batch_size == 28 and [len(shard) for shard in shards.mine(torch.arange(28))] == [7, 7, 7, 7]
    with pytest.raises(InputError, match="a batch of 3 cannot be cut into 4 shards"):
        Shards("training", TrainConfig(steps=1, shards=4), 3)
    with pytest.raises(InputError, match="power of two"):
        TrainConfig(steps=1, shards=3)


def test_commands_for_one_process_say_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "2")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["bench"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "lpvq: lpvq bench runs in one process: leave torchrun out\n"
