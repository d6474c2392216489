"""The checkers of 07_sampling: each says "correct" to a right answer and names the usual wrong ones."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq import PixelCNN
from lpvq.course.exercises import notebook_07
from lpvq.data import loading
from lpvq.experiments.workspace import Workspace
from lpvq.models.sampling import SamplingOptions, restrict_logits

TOY = torch.tensor([0.50, 0.25, 0.15, 0.07, 0.03], dtype=torch.float64)


def complaint(exercise: str, answer: Any) -> str:
    return notebook_07.CHECKERS[exercise](answer) or "correct"


def toy(**options: Any) -> Tensor:
    return restrict_logits(TOY.log()[None], SamplingOptions(**options))[0]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> tuple[PixelCNN, Tensor, Tensor]:
    """A small prior with random weights, grids and labels, in place of the workspace's."""
    torch.manual_seed(0)
    prior = PixelCNN(5, (8, 8), num_blocks=1, hidden_channels=8, num_classes=3)
    found = prior, torch.randint(5, (64, 8, 8)), torch.randint(3, (64,))
    monkeypatch.setattr(notebook_07, "_test_grids", lambda: found)
    return found


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (0.4107, "correct"),
        (torch.tensor(0.4107), "correct"),
        (1 / 0.4107, "this is 1 / T"),
        (1.0, "too large by 0.589"),
        (0.25, "too small by 0.161"),
    ],
)
def test_the_temperature_of_half_the_entropy(answer: Any, expected: str) -> None:
    assert expected in complaint("7.1", answer)


def test_half_the_entropy_is_half_the_entropy() -> None:
    half = torch.special.entr(toy(temperature=0.4107).softmax(0)).sum()
    assert half.item() == pytest.approx(torch.special.entr(TOY).sum().item() / 2, abs=2e-3)


def test_all_controls_in_their_order() -> None:
    logits = toy(temperature=0.5, top_k=3, top_p=0.92)
    right = logits.softmax(0)
    assert (right > 0).sum() == 2
    assert complaint("7.2", right) == complaint("7.2", right.float()) == "correct"
    top_p_first = toy(top_p=0.92).mul(2).softmax(0)
    top_p_first[top_p_first.argsort()[:-3]] = 0
    assert "too early" in complaint("7.2", top_p_first / top_p_first.sum())
    assert "multiplied" in complaint("7.2", toy(temperature=2, top_k=3, top_p=0.92).softmax(0))
    assert "logits, not" in complaint("7.2", logits)
    assert "shape (5,), got (1, 5)" in complaint("7.2", right[None])


def test_moods(models: tuple[PixelCNN, Tensor, Tensor]) -> None:
    prior, codes, _ = models
    first = codes[0, :4].flatten().expand(3, -1)
    right = prior.generate(first, labels=torch.arange(3), temperature=0)
    assert complaint("7.3", right) == "correct"
    hot = prior.generate(first, labels=torch.arange(3), temperature=2)
    assert "not the most probable one" in complaint("7.3", hot)
    changed = right.clone()
    changed[1, 0, 3] = (changed[1, 0, 3] + 1) % 5
    assert complaint("7.3", changed).startswith("1 of the given codes have changed")
    assert "shape" in complaint("7.3", right[:1])
    assert complaint("7.3", right.float()) == "codes are int64, these are torch.float32"


def test_which_half_fits(models: tuple[PixelCNN, Tensor, Tensor]) -> None:
    prior, codes, labels = models
    joined = torch.cat([codes[:, :4], codes[:1, 4:].expand(64, -1, -1)], 1)
    with torch.no_grad():
        logits = prior(joined, labels[:1].expand(64))
    nats = F.cross_entropy(logits, joined, reduction="none")
    assert complaint("7.4", nats[:, 4:].sum((1, 2))) == "correct"
    assert "nats of the whole grid" in complaint("7.4", nats.sum((1, 2)))
    assert "nats of the upper half" in complaint("7.4", nats[:, :4].sum((1, 2)))
    assert "the mean over" in complaint("7.4", nats[:, 4:].mean((1, 2)))
    assert "shape (64,), got (64, 4, 8)" in complaint("7.4", nats[:, 4:])


def test_they_are_asked_of_what_the_notebook_left_without_drawing_an_image(
    in_a_moment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LPVQ_OUTPUT", str(tmp_path))
    workspace = Workspace("smileys")
    kept = workspace.prior, workspace.test_codes

    def no_images(*_: object) -> None:
        raise AssertionError("an image is drawn for a check")

    monkeypatch.setattr(loading.smileys, "draw", no_images)
    prior, codes, labels = notebook_07._test_grids()
    assert torch.equal(codes, kept[1].codes[:64])
    assert torch.equal(labels, kept[1].labels[:64])
    with torch.no_grad():
        assert torch.equal(prior(codes, labels), kept[0](codes, labels))
