"""The checkers of 07_sampling: each says "correct" to a right answer and names the usual wrong ones."""

from collections.abc import Callable
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from answers import expect, forms_of_numbers, forms_of_tensor
from lpvq import PixelCNN
from lpvq.course.exercises import notebook_07
from lpvq.course.exercises.notebook_07 import CHECKERS
from lpvq.data import loading
from lpvq.experiments.workspace import Workspace


def min_p(logits: Tensor, share: float) -> Tensor:
    probabilities = logits.softmax(-1)
    return logits.masked_fill(probabilities < share * probabilities.amax(-1, keepdim=True), -torch.inf)


def by_logarithm(logits: Tensor, share: float) -> Tensor:
    return logits.where(logits >= logits.amax(-1, keepdim=True) + log(share) - 1e-9, -torch.inf)


def row_by_row(logits: Tensor, share: float) -> list[list[float]]:
    rows = [row.softmax(0) for row in logits]
    return [
        [float(x) if p >= share * row.max() else -float("inf") for x, p in zip(xs, row, strict=True)]
        for xs, row in zip(logits, rows, strict=True)
    ]


def rescaled(logits: Tensor, share: float) -> np.ndarray:
    return min_p(logits, share).log_softmax(-1).numpy()


def keep(stays: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, float], Tensor]:
    """With another idea of which codes stay, given the probabilities and the share."""
    return lambda logits, share: logits.where(stays(logits.softmax(-1), share), -torch.inf)


def in_place(logits: Tensor, share: float) -> Tensor:
    return logits.copy_(min_p(logits, share))


def test_7_1_min_p() -> None:
    best = lambda p: p.amax(-1, keepdim=True)  # noqa: E731
    expect(
        CHECKERS["7.1"],
        [min_p, by_logarithm, row_by_row, rescaled, lambda logits, share: min_p(logits, share).requires_grad_()],
        [
            (min_p(torch.zeros(1, 5), 0.2), "expected a function, got Tensor"),
            (lambda logits, share: ..., "not done yet"),
            (lambda logits: logits, "the function fails with TypeError"),
            (lambda logits, share: logits, "all codes stay"),
            (lambda logits, share: min_p(logits, share).softmax(-1), "these are probabilities; return logits"),
            (lambda logits, share: logits.softmax(-1) * min_p(logits, share).isfinite(), "do not sum to 1"),
            (lambda logits, share: min_p(logits, share).nan_to_num(neginf=0), "no probability of 0"),
            (keep(lambda p, share: p >= share), "here it is the probability itself"),
            (keep(lambda p, share: p >= share * p.max()), "of its own"),
            (lambda logits, share: logits.where(logits >= share * best(logits), -torch.inf), "with logits"),
            (keep(lambda p, share: p < share * best(p)), "that should go"),
            (keep(lambda p, share: p > share * best(p)), "the share 1: "),
            (keep(lambda p, share: p == best(p)), "only the most probable code stays"),
            (keep(lambda p, share: p >= best(p) - share), "with logits"),
            (keep(lambda p, share: p >= share * p.mean(-1, keepdim=True)), "with logits"),
            (lambda logits, share: 2 * min_p(logits, share), "their logits are changed"),
            (lambda logits, share: min_p(logits, share)[0], "expected the shape (1, 5), got (5,)"),
            (lambda logits, share: min_p(logits, share) * torch.nan, "not a number (NaN)"),
            (in_place, "make a new tensor"),
        ],
    )


def test_7_2_how_many_are_left() -> None:
    expect(
        CHECKERS["7.2"],
        [*forms_of_numbers(2, 3, 4, 2), np.array([2, 3, 4, 2]), [torch.tensor(2), np.int64(3), 4.0, 2]],
        [
            ((1, 2, 3, 2), "the code that crosses p"),
            ((3, 3, 2, 2), "multiplied by the temperature"),
            ((3, 2, 1, 3), "that are dropped"),
            ((3, 3, 4, 2), "in the first"),
            ((2, 2, 4, 2), "in the second"),
            ((2, 3, 3, 2), "in the third"),
            ((2, 3, 4, 3), "in the last"),
            ((3, 5, 5, 2), "top-p has not been applied"),
            ((1, 1, 1, 1), "4 of 4 wrong: run your functions"),
            ((2, 3, 5, 2), "1 of 4 wrong"),
            ((0, 3, 4, 2), "at least one always stays"),
            ((2, 3, 6, 2), "there are 5 codes"),
            ((2.5, 3, 4, 2), "there are 5 codes"),
            ((2, 3, 4), "expected four numbers (1, 2, 3, 4), got 3"),
            (2, "got a single one"),
            ((2, 3, ..., 2), "still ..."),
            ("2342", "got str"),
        ],
        secrets=["[2", "(2"],
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
            (right + 0.5, "not codes"),
            (right - 1, "not codes"),
            (right + 5, "not codes"),
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
