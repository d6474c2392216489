"""Recording and replaying, on a machine without a GPU: what is asked of ``torch.cuda``, in which order and where."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from lpvq.models.cuda_graphs import CUDAGraphRunner


class FakeGPUs:
    """Stands for ``torch.cuda``: knows the current device, where streams were made, and what was recorded on them."""

    def __init__(self) -> None:
        self.current = 0
        self.recording: FakeGraph | None = None
        self.done: list[tuple[str, int, int]] = []

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        before, self.current = self.current, device.index
        yield
        self.current = before

    @contextmanager
    def stream(self, stream: "FakeStream") -> Iterator[None]:
        with self.device(torch.device("cuda", stream.device)):
            yield

    @contextmanager
    def graph(self, graph: "FakeGraph", stream: "FakeStream | None" = None) -> Iterator[None]:
        assert stream is not None, "torch would take a stream of its own, on the device of the first graph of all"
        self.recording = graph
        with self.stream(stream):
            yield
        self.recording = None

    def work(self, number: int) -> None:
        """A step."""
        if self.recording is not None:
            self.recording.number = number
        self.done.append(("done" if self.recording is None else "recorded", number, self.current))


class FakeStream:
    def __init__(self, gpus: FakeGPUs) -> None:
        self.device = gpus.current

    def wait_stream(self, other: "FakeStream") -> None:
        assert self.device == other.device


class FakeGraph:
    number: int

    def __init__(self, gpus: FakeGPUs) -> None:
        self.gpus = gpus

    def replay(self) -> None:
        self.gpus.done.append(("replayed", self.number, self.gpus.current))


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> FakeGPUs:
    gpus = FakeGPUs()
    for name, fake in {
        "CUDAGraph": lambda: FakeGraph(gpus),
        "Stream": lambda: FakeStream(gpus),
        "current_stream": lambda: FakeStream(gpus),
        "device": gpus.device,
        "graph": gpus.graph,
        "stream": gpus.stream,
    }.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return gpus


def test_a_replayed_step_is_done_once_recorded_once_and_then_replayed(gpus: FakeGPUs) -> None:
    run = CUDAGraphRunner(torch.device("cuda", 0))
    for number in (0, 1, 0, 1, 1):
        run(gpus.work, number)
    new = [(what, number) for what, number, _ in gpus.done]
    assert new[:4] == [("done", 0), ("recorded", 0), ("done", 1), ("recorded", 1)]
    assert new[4:] == [("replayed", 0), ("replayed", 1), ("replayed", 1)]


def test_a_step_is_recorded_on_the_device_of_its_memory_whatever_torchs_current_one_is(gpus: FakeGPUs) -> None:
    CUDAGraphRunner(torch.device("cuda", 0))(gpus.work, 0)
    CUDAGraphRunner(torch.device("cuda", 1))(gpus.work, 0)
    assert gpus.done == [("done", 0, 0), ("recorded", 0, 0), ("done", 0, 1), ("recorded", 0, 1)]
    assert gpus.current == 0
