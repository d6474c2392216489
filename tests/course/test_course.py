"""What notebooks share."""

import sys
from pathlib import Path

import pytest
import torch

from lpvq import course
from lpvq.course.exercises import notebook_00
from lpvq.course.exercises.comparing import compare_number
from lpvq.runtime import progress


def test_a_notebook_begins_with_its_profile_and_seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LPVQ_PROFILE", "smoke")
    monkeypatch.setenv("LPVQ_DEVICE", "cpu")
    monkeypatch.setenv("LPVQ_OUTPUT", str(tmp_path))
    workspace = course.begin("smileys", seed=3)
    assert workspace.folder == tmp_path / "smileys" / "smoke" and workspace.seed == 3
    assert torch.initial_seed() == 3
    assert capsys.readouterr().out == "profile smoke, device cpu, seed 3\n"
    assert torch.__version__ in course.describe_setup()


def test_a_notebook_takes_the_models_that_come_with_the_project(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LPVQ_OUTPUT", str(tmp_path))
    assert course.begin(pretrained=True).prior.latent_dim == 256
    assert "training" not in capsys.readouterr().out


def test_they_are_offered_where_training_takes_minutes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LPVQ_OUTPUT", str(tmp_path))
    monkeypatch.setenv("LPVQ_PROFILE", "laptop")
    assert "pretrained=True" in (course.begin().offer or "")
    assert course.begin("mnist").offer is None  # there are none
    monkeypatch.setenv("LPVQ_PROFILE", "smoke")
    assert course.begin().offer is None


def test_the_offer_is_made_before_a_whole_training_and_not_before_a_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LPVQ_OUTPUT", str(tmp_path))
    monkeypatch.setenv("LPVQ_PROFILE", "smoke")
    workspace = course.begin()
    workspace.offer = "or take ours"
    assert workspace.vqvae is not None
    assert capsys.readouterr().out.count("or take ours") == 1
    assert workspace.train_until("prior", 0.5) is not None and workspace.prior is not None
    assert "or take ours" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (..., "not done yet"),
        ((..., ...), "not done yet"),
        ({"a": ..., "b": ...}, "not done yet"),
        ([2, ...], "not yet: a part of it is still ..."),
        ([], "not yet: expected a number, got list"),
        (2, "correct"),
        (2.4, "not yet: 2.4 is too large"),
        (1, "not yet: 1 is too small"),
        ("two", "not yet: expected a number, got str"),
        (torch.tensor(2), "correct"),
        ([2], "correct"),
    ],
)
def test_a_check_says_how_an_answer_stands(
    answer: object, verdict: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(notebook_00.CHECKERS, "0.9", lambda given: compare_number(given, 2, 0.1))
    course.check("0.9", answer)
    assert capsys.readouterr().out == f"exercise 0.9: {verdict}\n"


def test_a_check_shows_no_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setitem(
        notebook_00.CHECKERS, "0.9", lambda _: [print("seen") for _ in progress(range(3), "x")] and None
    )
    course.check("0.9", 3)
    shown = capsys.readouterr()
    assert shown.out.startswith("seen\nseen\nseen\n") and shown.err == ""


def test_a_checker_that_fails_gives_a_sentence_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(notebook_00.CHECKERS, "0.9", lambda given: given.nothing)
    course.check("0.9", 3)
    assert "not yet: checking it failed with AttributeError" in capsys.readouterr().out


def test_a_question_says_that_its_tests_pass_or_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with course.question("1.1"):
        course.agree(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0]), "a tensor")
        course.agree(torch.tensor(3.0, requires_grad=True), 3, "a number")
    assert capsys.readouterr() == ("question 1.1: these tests pass\n", "")
    with (
        pytest.raises(course.NotYetError, match=r"^question 1\.1: not yet: a number: 2 is too small$"),
        course.question("1.1"),
    ):
        course.agree(2, 3, "a number")
    with pytest.raises(course.NotYetError, match=r"^question 1\.1: not done yet$"), course.question("1.1"):
        raise NotImplementedError
    with pytest.raises(ZeroDivisionError), course.question("1.1"):
        1 / 0  # noqa: B018
    assert capsys.readouterr().out == ""


def test_jupyter_shows_what_a_question_says_and_no_traceback() -> None:
    assert course.NotYetError("question 1.1: not done yet")._render_traceback_() == ["question 1.1: not done yet"]


def test_a_warning_is_no_failure_below_nbgrader(capsys: pytest.CaptureFixture[str]) -> None:
    with course.question("1.1"):
        print("careful", file=sys.stderr)
    assert capsys.readouterr() == ("careful\nquestion 1.1: these tests pass\n", "")


def test_each_student_has_numbers_of_their_own() -> None:
    draw = [
        course.random_for(who, what).random() for who, what in (("ada", "x"), (" Ada", "x"), ("ada", "y"), ("bob", "x"))
    ]
    assert draw[0] == draw[1] and len(set(draw)) == 3
    assert course.random_for("ada", "hello").randrange(1000) == 93  # on every machine
