"""The checkers of 07_sampling: each says "correct" to a right answer and names the usual wrong ones."""

from math import log
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from answers import expect, forms_of_number, forms_of_tensor
from lpvq import PixelCNN
from lpvq.course.exercises import notebook_07
from lpvq.course.exercises.notebook_07 import CHECKERS
from lpvq.data import loading
from lpvq.experiments.workspace import Workspace
from lpvq.models.sampling import SamplingOptions, restrict_logits

TOY = torch.tensor([0.50, 0.25, 0.15, 0.07, 0.03], dtype=torch.float64)


def toy(**options: Any) -> Tensor:
    return restrict_logits(TOY.log()[None], SamplingOptions(**options))[0]


def test_7_1_the_temperature_of_half_the_entropy() -> None:
    entropy = torch.special.entr(TOY).sum().item()
    right = 0.4107
    assert torch.special.entr(toy(temperature=right).softmax(0)).sum().item() == pytest.approx(entropy / 2, abs=2e-3)
    expect(
        CHECKERS["7.1"],
        [*forms_of_number(right), 0.411, 0.41, torch.tensor(right)],
        [
            (1 / right, "this is 1 / T"),
            (0.5, "half the temperature"),
            (entropy / 2 / log(2), "half the entropy, in bits"),
            (entropy / 2, "half the entropy, in nats"),
            (entropy / log(2), "the entropy at T = 1, in bits"),
            (entropy, "the entropy at T = 1, in nats"),
            (1.0, "T = 1 changes nothing"),
            (0.01, "halve on"),
            (0.25, "0.25 is too small"),
            (0.4, "0.4 is a little too small"),
            (2, "2 is too large"),
            (-0.3, "too small"),
            (toy(temperature=right), "expected a number, got Tensor of shape (5,)"),
            (None, "got None"),
        ],
        secrets=["0.41"],
    )


def test_7_2_all_controls_in_their_order() -> None:
    logits = toy(temperature=0.5, top_k=3, top_p=0.92)
    right = logits.softmax(0)
    assert (right > 0).sum() == 2
    squares = TOY**2
    expect(
        CHECKERS["7.2"],
        [
            *forms_of_tensor(right),
            right.float(),
            [0.8, 0.2, 0, 0, 0],
            squares / squares[:2].sum() * torch.tensor([1, 1, 0, 0, 0]),
        ],
        [
            (toy(temperature=0.5, top_k=3).softmax(0), "too early"),
            (toy(temperature=2, top_k=3, top_p=0.92).softmax(0), "multiplied"),
            (toy(top_k=3, top_p=0.92).softmax(0), "the temperature is missing"),
            (toy(temperature=0.5).softmax(0), "only the temperature"),
            (TOY, "nothing is changed"),
            (squares / squares.sum() * (right > 0), "scaled to sum to one"),
            (TOY * (right > 0), "the temperature is missing"),
            (TOY * (right > 0) / 0.75, "once codes are dropped"),
            (toy(top_k=1).softmax(0), "the most probable code alone"),
            (right[:2], "give all five"),
            (logits, "the logits, not"),
            (right[None], "expected the shape (5,), got (1, 5)"),
            (right.flip(0), "4 of 5 values are wrong, the first at [0]"),
            (2, "expected the shape (5,), got ()"),
            ([0.8, 0.2], "give all five"),
            ([0.8, 0.2, ..., 0, 0], "still ..."),
        ],
        secrets=["0.8", "0.2"],
    )


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> tuple[PixelCNN, Tensor, Tensor]:
    """A small prior, which minds the label, with grids and labels, in place of the workspace's."""
    torch.manual_seed(0)
    prior = PixelCNN(5, (8, 8), num_blocks=1, hidden_channels=8, num_classes=3).eval()
    with torch.no_grad():
        list(prior.head.parameters())[-2].mul_(8)
        prior.blocks[0].label_shift.weight.normal_(std=3)
    found = prior, torch.randint(5, (64, 8, 8)), torch.randint(3, (64,))
    monkeypatch.setattr(notebook_07, "_test_grids", lambda: found)
    return found


@torch.no_grad()
def greedily(prior: PixelCNN, grid: Tensor, labels: list[int], first_row: int = 4) -> Tensor:
    """Code by code, from a row on."""
    grids = grid.expand(len(labels), -1, -1).clone()
    for row in range(first_row, 8):
        for column in range(8):
            grids[:, row, column] = prior(grids, torch.tensor(labels))[:, :, row, column].argmax(1)
    return grids


def test_7_3_moods(models: tuple[PixelCNN, Tensor, Tensor]) -> None:
    prior, codes, _ = models
    first, labels = codes[0, :4].flatten().expand(3, -1), torch.arange(3)
    right = prior.generate(first, labels=labels, temperature=0)
    assert len(right.unique(dim=0)) == 3  # or no order of labels could be told from another
    changed = right.clone()
    changed[1, 0, 3] = (changed[1, 0, 3] + 1) % 5
    late = greedily(prior, codes[0], [0, 1, 2], first_row=5)
    assert not torch.equal(late[:, 4], right[:, 4])
    expect(
        CHECKERS["7.3"],
        [
            *forms_of_tensor(right),
            greedily(prior, codes[0], [0, 1, 2]),
            prior.generate(first, labels=labels, top_k=1),
            right.int(),
            [prior.generate(first[:1], labels=labels[i : i + 1], temperature=0)[0] for i in range(3)],
        ],
        [
            (right.flip(0), "the labels are in another order"),
            (right[[1, 2, 0]], "the labels are in another order"),
            (right[[0, 2, 1]], "the labels are in another order"),
            (right[:1].expand(3, -1, -1), "the same label"),
            (right[2:].expand(3, -1, -1), "the same label"),
            (prior.generate(first, labels=labels, temperature=2), "not the most probable one"),
            (late, "not the most probable one"),
            (greedily(prior, codes[1], [0, 1, 2]), "of the given codes have changed"),
            (changed, "1 of the given codes have changed"),
            (torch.cat([right[:, 4:], codes[:1, 4:].expand(3, -1, -1)], 1), "keep the lower four rows"),
            (codes[:1].expand(3, -1, -1), "the lower half is that of the image itself"),
            (right[:1], "expected the shape (3, 8, 8), got (1, 8, 8)"),
            (right.flatten(1), "expected the shape (3, 8, 8), got (3, 64)"),
            (right + 0.5, "no codes"),
            (right - 1, "no codes"),
            (right + 5, "no codes"),
            ("moods", "expected three grids of codes, got str"),
        ],
    )


def test_7_4_which_half_fits(models: tuple[PixelCNN, Tensor, Tensor]) -> None:
    prior, codes, labels = models
    joined = torch.cat([codes[:, :4], codes[:1, 4:].expand(64, -1, -1)], 1)
    turned = torch.cat([codes[:1, :4].expand(64, -1, -1), codes[:, 4:]], 1)

    @torch.no_grad()
    def cost(grids: Tensor, own: Tensor | None = None) -> Tensor:
        return F.cross_entropy(
            prior(grids, labels[:1].expand(len(grids)) if own is None else own), grids, reduction="none"
        )

    nats = cost(joined)
    right = nats[:, 4:].sum((1, 2))
    with torch.no_grad():
        logs = prior(joined, labels[:1].expand(64)).log_softmax(1).gather(1, joined[:, None])[:, 0]
    expect(
        CHECKERS["7.4"],
        [
            *forms_of_tensor(right),
            -logs[:, 4:].sum((1, 2)),
            [cost(one[None])[0, 4:].sum() for one in joined],
        ],
        [
            (nats.sum((1, 2)), "nats of the whole grid"),
            (nats[:, :4].sum((1, 2)), "nats of the upper half"),
            (nats[:, 4:].mean((1, 2)), "the mean over the codes of the half"),
            (nats.mean((1, 2)), "the mean over all codes"),
            (nats[:, 4:], "the nats of each code; take"),
            (nats, "the nats of each code of the grid"),
            (nats[:, 4:].sum(2), "of each row"),
            (-right, "log-probabilities"),
            (right / log(2), "bits"),
            (cost(joined, labels)[:, 4:].sum((1, 2)), "its own label"),
            (cost(codes, labels)[:, 4:].sum((1, 2)), "the test grids themselves"),
            (cost(turned)[:, 4:].sum((1, 2)), "the upper half is always"),
            (right[:63], "expected the shape (64,), got (63,)"),
            (right.sum(), "expected the shape (64,), got ()"),
            (right.roll(1), "values are wrong"),
            (right.log(), "all of its values are wrong"),
            (lambda i: right[i], "expected a tensor, got a function"),
        ],
    )


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
