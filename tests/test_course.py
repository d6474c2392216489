"""What notebooks share."""

from pathlib import Path

import pytest
import torch

from lpvq import course, pipeline
from lpvq.exercises import notebook_00
from lpvq.exercises.comparing import compare_number, compare_tensor


def test_a_notebook_begins_with_its_profile_and_seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LPVQ_PROFILE", "smoke")
    monkeypatch.setenv("LPVQ_DEVICE", "cpu")
    monkeypatch.setattr(pipeline, "OUTPUT", tmp_path)
    workspace = course.begin("smileys", seed=3)
    assert workspace.folder == tmp_path / "smileys" / "smoke" and workspace.seed == 3
    assert torch.initial_seed() == 3
    assert capsys.readouterr().out == "profile smoke, device cpu, seed 3\n"
    assert torch.__version__ in course.describe_setup()


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (..., "not done yet"),
        (2, "correct"),
        (2.4, "not yet: 2.4 is too large by 0.4"),
        (1, "not yet: 1 is too small by 1"),
        ("two", "not yet: expected a number, got str"),
        (torch.tensor(2), "correct"),
    ],
)
def test_a_check_says_how_an_answer_stands(
    answer: object, verdict: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(notebook_00.CHECKERS, "0.9", lambda given: compare_number(given, 2, 0.1))
    course.check("0.9", answer)
    assert capsys.readouterr().out == f"exercise 0.9: {verdict}\n"


def test_a_checker_that_fails_gives_a_sentence_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(notebook_00.CHECKERS, "0.9", lambda given: given.nothing)
    course.check("0.9", 3)
    assert "not yet: checking it failed with AttributeError" in capsys.readouterr().out


def test_tensors_are_compared_in_kind_shape_and_value() -> None:
    expected = torch.tensor([1.0, 2.0])
    assert compare_tensor(torch.tensor([1.0, 2.0]), expected) is None
    assert compare_tensor([1.0, 2.0], expected) == "expected a tensor, got list"
    assert "expected the shape (2,), got (1,)" in str(compare_tensor(torch.ones(1), expected))
    assert "0.5" in str(compare_tensor(torch.tensor([1.0, 2.5]), expected))
