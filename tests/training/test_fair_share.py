"""Trainings take their share of the processors: at the start, and again at each validation."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lpvq import LatentCodes, PixelCNN, TrainConfig, course, threads, train_prior
from lpvq.threads import FairShare


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bool]:
    """Each time a share is taken: whether this process was known as a training then."""
    times: list[bool] = []
    monkeypatch.setattr(threads.tempfile, "gettempdir", lambda: str(tmp_path))

    def take(self: FairShare, say: bool = False) -> int:
        times.append(bool(threads._at_work()))
        return torch.get_num_threads()

    monkeypatch.setattr(FairShare, "take", take)
    return times


def test_a_share_is_taken_at_the_start_and_at_each_validation(codes: LatentCodes, taken: list[bool]) -> None:
    model = PixelCNN(8, (4, 5), num_blocks=1, hidden_channels=4, num_classes=3)
    config = TrainConfig(steps=6, batch_size=16, validations=3)
    history = train_prior(model, codes, config, codes)
    assert taken == [True] * 4
    assert not threads._at_work()
    assert [record["threads"] for record in history] == [torch.get_num_threads()] * 3
    with pytest.raises(KeyboardInterrupt):
        train_prior(model, codes, replace(config, seed=1), codes, after_step=interrupt)
    assert not threads._at_work()


def interrupt(step: int, history: object) -> None:
    raise KeyboardInterrupt


def test_a_notebook_begins_with_its_share(
    taken: list[bool], in_a_moment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LPVQ_OUTPUT", str(tmp_path))
    course.begin()
    assert taken == [False]
