"""Submissions for the tests of the classroom: right ones, typical wrong ones, and hostile ones."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode, v4

from lpvq.classroom.assignments import Assignment, about, load_assignments
from lpvq.paths import shipped

VECTORS, CAUSAL, SAMPLING, PROJECT, JUDGING, LEVELS = ASSIGNMENTS = load_assignments(shipped("assignments"))


def solved(assignment: Assignment, student: str = "ada") -> NotebookNode:
    """Return what a student who knows everything hands in."""
    answers = {about(cell)["grade_id"]: cell.source for cell in assignment.source.cells if about(cell).get("solution")}
    notebook = deepcopy(assignment.release)
    for cell in notebook.cells:
        cell.source = answers.get(about(cell).get("grade_id"), cell.source).replace('"your id"', f'"{student}"')
    return notebook


def cell_of(notebook: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if about(cell).get("grade_id") == name)


def hand_in(folder: Path, student: str, assignment: Assignment, notebook: NotebookNode) -> Path:
    """Write a submission where nbgrader would have it."""
    path = folder / student / assignment.name / f"{assignment.name}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    return path


@dataclass(frozen=True)
class Wrong:
    """A typical wrong answer.

    Attributes:
        name: what is wrong.
        assignment: where.
        answer: the cell.
        right: a piece of the solution.
        instead: what the student wrote in its place.
        loses: the questions that it loses, and no others.
        because: a part of what the student is told.
    """

    name: str
    assignment: Assignment
    answer: str
    right: str
    instead: str
    loses: tuple[str, ...]
    because: str

    def notebook(self, student: str = "ada") -> NotebookNode:
        notebook = solved(self.assignment, student)
        self.spoil(notebook)
        return notebook

    def spoil(self, notebook: NotebookNode) -> None:
        cell = cell_of(notebook, self.answer)
        assert cell.source.count(self.right) == 1, f"{self.name}: {self.right!r} is not in the solution any more"
        cell.source = cell.source.replace(self.right, self.instead)


WRONG = [
    Wrong(
        "beta on the wrong term",
        VECTORS,
        "q1-4-answer",
        "F.mse_loss(entries, z.detach()) + beta * F.mse_loss(z, entries.detach())",
        "beta * F.mse_loss(entries, z.detach()) + F.mse_loss(z, entries.detach())",
        ("q1-4-more-tests",),
        "β is on the term that moves the entries",
    ),
    Wrong(
        "permute forgotten",
        VECTORS,
        "q1-1-answer",
        "    vectors = z.movedim(1, -1)  # (B, H, W, D)",
        "    vectors = z.reshape(z.shape[0], *z.shape[2:], z.shape[1])",
        ("q1-1-tests", "q1-1-more-tests"),
        "the codes of three places",
    ),
    Wrong(
        "update before lookup",
        VECTORS,
        "q1-6-answer",
        "return codes, codebook[codes], new_counts, new_sums",
        "return codes, (new_sums / new_counts[:, None])[codes], new_counts, new_sums",
        ("q1-6-tests",),
        "look up first, then learn",
    ),
    Wrong(
        "counts from zero",
        VECTORS,
        "q1-5-start-answer",
        "torch.ones(len(entries)), entries.clone()",
        "torch.zeros(len(entries)), entries.clone()",
        ("q1-5-start-tests",),
        "with a count of 0",
    ),
    Wrong(
        "first row leaks",
        CAUSAL,
        "q2-1-answer",
        "    return F.conv2d(F.pad(x, (reach, reach, reach, bottom)), weight, bias)",
        "    every = F.conv2d(F.pad(x, (reach, reach, reach, 0)), weight, bias)\n    return every[:, :, shifted:]",
        ("q2-1-more-tests",),
        "the first row, which has nothing above it",
    ),
    Wrong(
        "H and W swapped",
        CAUSAL,
        "q2-1-answer",
        "    return F.conv2d(F.pad(x, (reach, reach, reach, bottom)), weight, bias)",
        "    return F.conv2d(F.pad(x, (reach, reach, reach, reach)), weight, bias)[:, :, : x.shape[3]]",
        ("q2-1-tests", "q2-1-more-tests"),
        "expected the shape (1, 1, 3, 2), got (1, 1, 2, 2)",
    ),
    Wrong(
        "residual in the first layer",
        CAUSAL,
        "q2-5-answer",
        "return up(x), left(x)",
        "return up(x), x + left(x)",
        ("q2-5-tests",),
        "h sees the code at its own place",
    ),
    Wrong(
        "link after the gate",
        CAUSAL,
        "q2-4-answer",
        'F.conv2d(f, w["link"])',
        'F.conv2d(given_gate(f).repeat(1, 2, 1, 1), w["link"])',
        ("q2-4-more-tests",),
        "the link takes what has passed the gate",
    ),
    Wrong(
        "temperature multiplied",
        SAMPLING,
        "q3-1-answer",
        "(logits / temperature)",
        "(logits * temperature)",
        ("q3-1-tests",),
        "divide, do not multiply",
    ),
    Wrong(
        "top-p drops the first code",
        SAMPLING,
        "q3-2-answer",
        "    before = ordered.cumsum(-1) - ordered\n    before[:, 0] = 0\n",
        "    before = ordered.cumsum(-1)\n",
        ("q3-2-tests", "q3-2-more-tests"),
        "0.5 and 0.25 stay",
    ),
    Wrong(
        "completion overwrites given codes",
        SAMPLING,
        "q3-4-answer",
        "torch.where(\n                known[:, row, column], codes[:, row, column], drawn\n            )",
        "drawn",
        ("q3-4-more-tests",),
        "the first row, which begins with a known 3",
    ),
    Wrong(
        "a cache off by one",
        SAMPLING,
        "q3-5-answer",
        "        return self.bias + torch.einsum",
        "        seen = F.pad(seen, (0, 0, 1, -1))\n        return self.bias + torch.einsum",
        ("q3-5-tests", "q3-5-more-tests"),
        "the first y",
    ),
    Wrong(
        "each feature alone",
        JUDGING,
        "q5-3-answer",
        "torch.trace(cov_a + cov_b - 2 * root(half @ cov_b @ half))",
        "(cov_a.diagonal().sqrt() - cov_b.diagonal().sqrt()).square().sum()",
        ("q5-3-more-tests",),
        "how two of them move together",
    ),
    Wrong(
        "errors of two sets added",
        JUDGING,
        "q5-2-answer",
        "(each.std(correction=1) / len(each) ** 0.5).item()",
        "((first.var() + second.var()) / len(each)).sqrt().item()",
        ("q5-2-tests",),
        "how hard the images are",
    ),
    Wrong(
        "grids side by side",
        LEVELS,
        "q6-2-answer",
        "features.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)",
        "features.repeat(1, 1, factor, factor)",
        ("q6-2-tests",),
        "laid side by side",
    ),
    Wrong(
        "the coarse grid hidden",
        LEVELS,
        "q6-4-answer",
        "F.conv2d(coarse, weight, padding=weight.shape[-1] // 2)",
        "F.conv2d(F.pad(coarse, (weight.shape[-1] - 1, 0, weight.shape[-1] - 1, 0)), weight)",
        ("q6-4-more-tests",),
        "nothing is to be hidden",
    ),
]


def nothing(notebook: NotebookNode) -> None:
    """Leave a notebook as it is."""


Spoil = Callable[[NotebookNode], object]


def in_answer(name: str, text: str) -> Spoil:
    """Put code in place of an answer."""
    return lambda notebook: cell_of(notebook, name).update(source=text)


def without(*names: str) -> Spoil:
    """Delete cells."""

    def spoil(notebook: NotebookNode) -> None:
        notebook.cells = [cell for cell in notebook.cells if about(cell).get("grade_id") not in names]

    return spoil


def twice(name: str) -> Spoil:
    """Copy a cell, with its metadata and its id."""

    def spoil(notebook: NotebookNode) -> None:
        notebook.cells.insert(0, deepcopy(cell_of(notebook, name)))

    return spoil


def begun_with(text: str) -> Spoil:
    """Put a cell of the student's own at the start."""
    return lambda notebook: notebook.cells.insert(0, v4.new_code_cell(text))
