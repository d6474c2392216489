"""A machine without any sets, and without a network."""

from pathlib import Path

import pytest
from fake_sets import Network

from lpvq import paths
from lpvq.data import known_sets


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    return Network(monkeypatch)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Network) -> Path:
    """No set is on this machine and none can be downloaded; the folder of the project, in which data/ is."""
    monkeypatch.setattr(paths, "CHECKOUT", tmp_path)
    monkeypatch.setattr(known_sets, "DEBIAN", tmp_path / "debian")
    monkeypatch.delenv("LPVQ_DATA", raising=False)
    return tmp_path
