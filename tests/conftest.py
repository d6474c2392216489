"""Small models and sets that several test files use."""

import os
import signal
from collections.abc import Iterator

import pytest
import torch

from lpvq import VQVAE, LatentCodes
from lpvq.data import known_sets
from lpvq.data.images import ImageData
from lpvq.data.loading import load
from lpvq.experiments.profiles import PROFILES
from quick import quick_recipe

# What takes minutes, in files of few tests: begun first, or one of two workers would end alone with it.
LONG = (
    "tests/browser/test_browser_notebooks.py",
    "tests/classroom/test_nbgrader.py",
    "tests/classroom/test_grading.py",
    "tests/test_wheel.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long first; pytest-xdist keeps this order with ``--no-loadscope-reorder``."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(autouse=True)
def _reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    """One seed and one thread: another number of threads changes the last bits, and tests compare them."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Signals do what they do in a terminal, even in a job behind "&", which ignores some, and what starts it.

    Afterwards the handlers are put back: ``cli.main`` is made to end the process, and leaves its own.
    """
    usual = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL}
    here = {getattr(signal, name): handler for name, handler in usual.items() if hasattr(signal, name)}
    before = {kind: signal.signal(kind, handler) for kind, handler in here.items()}
    yield
    for kind, handler in before.items():
        signal.signal(kind, handler)


@pytest.fixture
def smileys() -> ImageData:
    return load("smileys", limit=96, size=16)


@pytest.fixture
def vqvae() -> VQVAE:
    return VQVAE(in_channels=3, num_codes=8, code_dim=4, hidden_channels=8)


@pytest.fixture
def codes() -> LatentCodes:
    """Grids whose rows repeat, so that there is something to learn."""
    rows = torch.randint(8, (96, 4, 1), generator=torch.Generator().manual_seed(0))
    return LatentCodes(rows.expand(96, 4, 5).contiguous(), torch.arange(96) % 3, 8, ("a", "b", "c"), "rows", "f00d")


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real Fashion-MNIST, where it is on this machine; where LPVQ_DATA promises it, it must be."""

    def skip(*_: object) -> None:
        if os.environ.get("LPVQ_DATA"):
            raise AssertionError("LPVQ_DATA is set, but Fashion-MNIST is not there")
        pytest.skip("Fashion-MNIST is not on this machine")

    monkeypatch.setattr(known_sets, "download", skip)


@pytest.fixture
def in_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smoke profile, made to take a second, on the CPU."""
    monkeypatch.setitem(PROFILES, "smoke", quick_recipe())
    monkeypatch.setenv("LPVQ_PROFILE", "smoke")
    monkeypatch.setenv("LPVQ_DEVICE", "cpu")
