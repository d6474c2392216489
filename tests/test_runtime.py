"""The device and the progress bar."""

import io
import sys

import pytest
import torch

from lpvq import InputError
from lpvq.runtime import choose_device, progress


def test_the_device_is_the_one_named_then_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPVQ_DEVICE", "cpu:0")
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device() == torch.device("cpu:0")


def test_without_a_word_the_fastest_device_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LPVQ_DEVICE", raising=False)
    for cuda, mps, expected in [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert choose_device() == torch.device(expected)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:x", "meta"])
def test_a_device_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=name):
        choose_device(name)


def test_the_bar_is_shown_in_a_terminal_and_not_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (True, False):
        stream = io.StringIO()
        stream.isatty = lambda terminal=terminal: terminal
        monkeypatch.setattr(sys, "stderr", stream)
        assert list(progress(range(3), "counting")) == [0, 1, 2]
        assert ("counting" in stream.getvalue()) == terminal


def test_a_short_loop_shows_no_bar_whatever_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(progress(range(3), "counting", least=4)) == [0, 1, 2]
    with progress(None, "moving", total=3, least=4) as bar:
        bar.update(3)
    assert stream.getvalue() == ""
    list(progress(range(4), "counting", least=4))
    assert "counting" in stream.getvalue()
