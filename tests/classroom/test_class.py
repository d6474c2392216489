"""A class without kernels: by hand, through spreadsheets; pages; similarity; deadlines, the list, platforms."""

# ruff: noqa: E501 (lines of data)

import csv
import io
import json
import os
import re
from collections.abc import Callable
from datetime import datetime
from html import unescape
from pathlib import Path

import pytest
from nbformat import NotebookNode, v4
from odd_inputs import PNG
from submissions import ASSIGNMENTS, PROJECT, VECTORS, cell_of, hand_in, solved

from lpvq.classroom import csv_files, feedback, grades, grading, hand_page, results, roster, similarity
from lpvq.classroom.assignments import about, class_of, load_assignments
from lpvq.classroom.grades import Grade
from lpvq.classroom.grading import Graded, grade
from lpvq.classroom.limits import Limits
from lpvq.classroom.roster import Listed
from lpvq.classroom.rules import Rules
from lpvq.classroom.sandbox import Run
from lpvq.course import questions
from lpvq.paths import shipped

LIMITS = Limits()
STUDENTS = ("Jürgen Müller_12_assignsubmission_file_", "00417", "ada", "=1+1")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[NotebookNode]:
    """Nothing is run: every cell succeeds, but those that say "fails". What would have been run is noted."""
    ran: list[NotebookNode] = []

    def run(notebook: NotebookNode, *_: object) -> Run:
        ran.append(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.execution_count = 1
                if "raise NotImplementedError" in cell.source:
                    cell.outputs = [v4.new_output("error", ename="NotImplementedError", evalue="", traceback=[])]
        return Run(notebook)

    monkeypatch.setattr(grading, "run", run)
    return ran


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def graded(folder: Path, rules: Rules | None = None) -> Graded:
    return grade(folder / "in", ASSIGNMENTS, folder / "out", LIMITS, 1, rules=rules)


def totals(folder: Path) -> dict[str, str]:
    return {row["student"]: row["total"] for row in rows(folder / "out" / VECTORS.name / "points.csv")}


# --- by hand, through spreadsheets

Saved = Callable[[list[list[str]]], bytes]


def table(
    separator: str = ",", encoding: str = "utf-8-sig", end: str = "\r\n", quote: bool = False, top: str = ""
) -> Saved:
    def save(cells: list[list[str]]) -> bytes:
        shown = [[f'"{cell}"' if quote or separator in cell else cell for cell in row] for row in cells]
        return (top + end.join(separator.join(row) for row in shown) + end).encode(encoding)

    return save


def each(change: Callable[[str], str], column: int, save: Saved = table()) -> Saved:  # noqa: B008
    return lambda cells: save([cells[0], *([*r[:column], change(r[column]), *r[column + 1 :]] for r in cells[1:])])


SPREADSHEETS: dict[str, Saved] = {
    "as it was": table(end="\n"),
    "Excel, commas": table(),
    "Excel, semicolons": table(";"),
    "Excel, Windows' letters": table(";", "cp1252"),
    "Excel, commas and Windows' letters": table(",", "cp1252"),
    "Excel, Unicode text": table("\t", "utf-16"),
    "Excel, separator on top": table(";", "cp1252", top="sep=;\r\n"),
    "Excel on a Mac, long ago": table(";", "cp1252", end="\r"),
    "LibreOffice": table(quote=True),
    "LibreOffice, no mark": table(encoding="utf-8", end="\n"),
    "Numbers": table(";", "utf-8", end="\n"),
    "decimal commas": each(lambda points: f"{points},0", 2, table(";")),
    "decimal commas, quoted": each(lambda points: f"{points},00", 2),
    "white space": each(lambda points: f" {points} ", 2),
    "zeros lost": each(lambda name: name.lstrip("0"), 0),
    "numbers with a point": each(lambda name: f"{int(name)}.0" if name.isdigit() else name, 0),
    "opened as cp1252": each(lambda name: name.encode().decode("cp1252"), 0),
    "opened on a Mac": each(lambda name: name.encode().decode("mac-roman"), 0),
    "accents apart": each(lambda name: name.replace("ü", "u\u0308"), 0),
    "no accents at all": each(lambda name: name.replace("ü", "?"), 0),
    "capitals": each(str.upper, 0),
    "rows sorted": lambda cells: table()([cells[0], *sorted(cells[1:], reverse=True)]),
    "empty rows": lambda cells: table()([*cells, [""] * len(cells[0]), [""] * len(cells[0])]),
    "columns moved": lambda cells: table()([row[::-1] for row in cells]),
    "a column more": lambda cells: table()([[*row, "x"] for row in cells]),
    "a column less": lambda cells: table()([row[:-1] for row in cells]),
}


@pytest.fixture(scope="module")
def first_time(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[str]]]:
    folder = tmp_path_factory.mktemp("by_hand")
    for student in STUDENTS:
        hand_in(folder / "in", student, VECTORS, solved(VECTORS, student))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grading, "run", lambda notebook, *_: Run(_ran(notebook)))
        graded(folder)
    path = folder / "out" / VECTORS.name / "by_hand.csv"
    cells = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    return folder, [cells[0], *([*row[:2], "3", row[3], "schön", row[5]] for row in cells[1:])]


def _ran(notebook: NotebookNode) -> NotebookNode:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = 1
    return notebook


@pytest.mark.parametrize("program", SPREADSHEETS)
def test_points_arrive_through_any_spreadsheet(first_time: tuple[Path, list[list[str]]], program: str) -> None:
    folder, cells = first_time
    path = folder / "out" / VECTORS.name / "by_hand.csv"
    path.write_bytes(SPREADSHEETS[program](cells))
    warnings = graded(folder).warnings
    assert set(totals(folder).values()) == {"20"} and warnings == []
    assert {row["comment"] for row in rows(path)} == {"schön"}


def test_points_of_a_name_that_is_nobodys_are_named_and_kept_apart(first_time: tuple[Path, list[list[str]]]) -> None:
    folder, cells = first_time
    path = folder / "out" / VECTORS.name / "by_hand.csv"
    path.write_bytes(each(lambda name: f"{name}x", 0)(cells))
    warnings = graded(folder).warnings
    assert set(totals(folder).values()) == {"17"} and len(warnings) == len(STUDENTS)
    assert 'line 2: "\'=1+1x" is nobody' in warnings[0] or "is nobody who handed this in" in warnings[0]
    assert [row["points"] for row in rows(path)].count("3") == len(STUDENTS)  # not lost either
    path.write_bytes(table()(cells))
    graded(folder)
    assert set(totals(folder).values()) == {"20"}


def test_an_answer_that_changed_since_is_asked_for_again(tmp_path: Path) -> None:
    hand_in(tmp_path / "in", "ada", VECTORS, solved(VECTORS, "ada"))
    graded(tmp_path)
    path = tmp_path / "out" / VECTORS.name / "by_hand.csv"
    path.write_text(path.read_text().replace("q1-8-answer,,3,,", "q1-8-answer,2,3,good,"))
    graded(tmp_path)
    assert totals(tmp_path) == {"ada": "19"}
    notebook = solved(VECTORS, "ada")
    cell_of(notebook, "q1-8-answer").source += " And more."
    hand_in(tmp_path / "again", "ada", VECTORS, notebook).replace(tmp_path / "in" / "ada" / "new.ipynb")
    warnings = graded(tmp_path).warnings
    assert totals(tmp_path) == {"ada": "17"} and "has changed since it was given 2 points" in warnings[0]
    (row,) = rows(path)
    assert row["points"] == "" and row["comment"] == "(for an earlier answer, 2 points) good"
    assert "grade it again" in rows(path.with_name("points.csv"))[0]["remarks"]


# --- tables


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+1", "-1-1", "@x", "\t=1", "\r=1", "=1\n"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert csv_files.harmless(text).startswith("'") and csv_files.unharmed(csv_files.harmless(text)) == text.strip()


def test_cells_are_short_lines_without_escapes() -> None:
    assert csv_files.harmless("\x1b[2Ja\x00b\n\u202ec") == "[2Ja b c" and len(csv_files.harmless("x" * 10**6)) <= 1000
    assert csv_files.harmless("-1.5") == "-1.5"


# --- pages


def page_of(notebook: NotebookNode, one: Grade | None = None) -> str:
    points: dict[str, float | None] = {question.name: 0.0 for question in VECTORS.questions}
    return feedback.page(VECTORS, one or Grade("ada", points), notebook)


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))",
        "[x](data:text/html,alert(1))",
        "[x](vbscript:alert(1))",
        "![x](https://example.org/track.png)",
        "<img src=https://example.org/track.png onerror=alert(1)>",
        "<img src='data:image/png;base64,x' onload='alert(1)'>",
        "<svg><script>alert(1)</script></svg>",
        "<iframe src=https://example.org></iframe>",
        "<a href='JaVaScRiPt:alert(1)'>x</a>",
        "<style>@import 'https://example.org/x.css'</style>",
        "<form action=https://example.org><input name=x></form>",
        "<meta http-equiv=refresh content='0;url=https://example.org'>",
        "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
        "$\\text{<script>alert(1)</script>}$",
        "<base href=https://example.org>",
        "<p style='background:url(https://example.org/x)'>x</p>",
    ],
)
def test_nothing_that_a_student_writes_runs_or_is_fetched(text: str) -> None:
    html = v4.new_output("display_data", data={"text/html": text})
    page = page_of(v4.new_notebook(cells=[v4.new_markdown_cell(text), v4.new_code_cell("x", outputs=[html])]))
    body = page[page.index("<body") :]
    assert not re.search(r"<(script|iframe|style|form|meta|base|svg|link|object|embed)\b", body, re.IGNORECASE)
    assert not re.search(r"\s(on\w+|style|srcset|xlink:href)\s*=", re.sub(r"&\w+;|&#\d+;", "", body), re.IGNORECASE)
    for _, address in re.findall(r"<[^>]*\s(src|href|action)=\"([^\"]*)\"", body):
        assert address.startswith(("#", "data:image/"))
    assert "default-src 'none'" in unescape(page) and "script-src" not in page


def test_formulas_are_drawn_without_a_network() -> None:
    page = page_of(v4.new_notebook(cells=[v4.new_markdown_cell("$x^2$ and $$\\frac{1}{2}$$ and $\\undefined{")]))
    assert "<msup>" in page and "<mfrac>" in page and "MathJax" not in page and "http-equiv" in page


def test_a_pasted_picture_is_shown() -> None:
    cell = v4.new_markdown_cell("![a](attachment:my%20pic.png)", attachments={"my pic.png": {"image/png": PNG}})
    assert f"data:image/png;base64,{PNG}" in page_of(v4.new_notebook(cells=[cell]))
    cell = v4.new_markdown_cell("![a](attachment:x.png)")
    assert "the picture x.png was not handed in" in page_of(v4.new_notebook(cells=[cell]))


def test_a_cell_of_any_length_is_shown_at_once() -> None:
    cells = [v4.new_code_cell("x = [" + "1, " * 200_000 + "]"), v4.new_markdown_cell("*a" * 200_000)]
    assert "more characters" in page_of(v4.new_notebook(cells=cells))


def test_hidden_tests_are_taken_out_of_whatever_shows_them() -> None:
    hidden = "share = (nearest_codes(z, codebook) == distances.argmin(1)).double().mean().item()"
    shown = [
        v4.new_output("stream", name="stdout", text=form) for form in (hidden, repr([hidden, "'"]), json.dumps(hidden))
    ]
    shown += [v4.new_output("display_data", data={"text/html": f"<pre>{hidden}</pre>"})]
    shown += [v4.new_output("error", ename="E", evalue="e", traceback=[f"---> {hidden}"])]
    notebook = v4.new_notebook(cells=[v4.new_code_cell("print(In)", outputs=shown)])
    page = page_of(notebook)
    assert "nearest_codes(z, codebook)" not in page and page.count("(a hidden test)") == 5
    assert feedback.shows_hidden(notebook, feedback.hidden_lines(VECTORS))
    error = v4.new_output("error", ename="E", evalue="e", traceback=["\x1b[31m1 / 0\x1b[0m"])
    innocent = v4.new_notebook(cells=[*solved(VECTORS).cells, v4.new_code_cell("1 / 0", outputs=[error])])
    assert not feedback.shows_hidden(innocent, feedback.hidden_lines(VECTORS))


def test_a_page_is_written_once_and_by_no_clock(tmp_path: Path) -> None:
    hand_in(tmp_path / "in", "ada", VECTORS, solved(VECTORS, "ada"))
    graded(tmp_path)
    page = tmp_path / "out" / VECTORS.name / "feedback" / "ada.html"
    os.utime(page, (2**33, 2**33))  # a clock that was wrong
    graded(tmp_path)
    assert page.stat().st_mtime == 2**33
    path = page.parents[1] / "by_hand.csv"
    path.write_text(path.read_text().replace("q1-8-answer,,3,,", "q1-8-answer,2,3,good,"))
    graded(tmp_path)
    assert "<b>19</b> of 20" in page.read_text() and "good" in page.read_text()


def test_the_cause_stands_before_what_the_test_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    errors = {
        "q1-1-answer": ("Timeout", "took longer than 30 s"),
        "q1-2-answer": ("SyntaxError", "invalid syntax (3862.py, line 3)"),
        "q1-3-answer": ("NameError", "name 'np' is not defined"),
    }

    def run(notebook: NotebookNode, *_: object) -> Run:
        for cell in _ran(notebook).cells:
            name = about(cell).get("grade_id", "")
            if name in errors:
                cell.outputs = [v4.new_output("error", ename=errors[name][0], evalue=errors[name][1], traceback=[])]
            elif name in ("q1-1-tests", "q1-2-tests", "q1-3-tests"):
                cell.outputs = [v4.new_output("error", ename="NotYetError", evalue="question 1: x", traceback=[])]
        return Run(notebook)

    monkeypatch.setattr(grading, "run", run)
    hand_in(tmp_path / "in", "ada", VECTORS, solved(VECTORS, "ada"))
    (one,) = graded(tmp_path).grades[VECTORS.name]
    assert one.messages == {
        "q1-1-tests": "the answer cell took longer than 30 s; question 1: x",
        "q1-2-tests": "the answer cell has a SyntaxError at line 3 (invalid syntax); question 1: x",
        "q1-3-tests": "the answer cell ends with a NameError (name 'np' is not defined); question 1: x",
    }


def test_the_page_for_a_person_has_all_answers_and_what_points_are_for(tmp_path: Path) -> None:
    for student in ("ada", "<script>alert(1)</script>", "bob"):
        notebook = solved(PROJECT, student)
        cell_of(notebook, "q4-5-answer").source = f"the answer of {student}"
        hand_in(tmp_path / "in", student.replace("/", "_"), PROJECT, notebook)
    graded(tmp_path)
    page = (tmp_path / "out" / PROJECT.name / "by_hand.html").read_text()
    assert page.count("<article") == 9 and "the answer of ada" in page and "alert(1)</script>" not in page
    question = next(question for question in PROJECT.questions if question.name == "q4-5-answer")
    assert [points for points, _ in hand_page.criteria(question)] == [1, 1, 1]
    assert "for the search for near-copies" in page and 'class="anonymous"' in page
    assert "default-src 'none'" in unescape(page) and "script-src 'sha256-" in unescape(page)


def test_every_written_answer_says_what_its_points_are_for() -> None:
    for assignment in ASSIGNMENTS:
        for question in assignment.questions:
            if question.by_hand:
                assert sum(points for points, _ in hand_page.criteria(question)) == question.points, question.name


# --- similar answers


def renamed(notebook: NotebookNode) -> NotebookNode:
    for cell in notebook.cells:
        if about(cell).get("solution"):
            cell.source = cell.source.replace("vectors", "vs").replace("chosen", "c1") + "\n# mine\n"
    return notebook


def varied(student: str, number: int) -> NotebookNode:
    """A right notebook in words of its own."""
    notebook = solved(VECTORS, student)
    for cell in notebook.cells:
        if about(cell).get("solution") and cell.cell_type == "code":
            signs = (f"{k} {'+-*/%@&|'[(number * k * k + k) % 8]} " for k in range(90))
            cell.source += f"\n\ncheck = {''.join(signs)} 1"
        elif about(cell).get("solution"):
            cell.source = " ".join(f"{student} word{number * k}" for k in range(40))
    return notebook


def test_a_copy_with_other_names_is_found_beside_its_original() -> None:
    answers = {f"s{i}": similarity.answers_of(VECTORS, varied(f"s{i}", i)) for i in range(1, 8)}
    assert similarity.similar(answers) == []
    answers["copy"] = similarity.answers_of(VECTORS, renamed(varied("s3", 3)))
    (pair,) = similarity.similar(answers)
    assert pair.students == ("copy", "s3") and len(pair.questions) >= 8
    assert similarity.beside([pair])["copy"].startswith("s3 (")


def test_untouched_and_short_answers_are_like_nobodys() -> None:
    assert similarity.answers_of(VECTORS, VECTORS.release) == {}


# --- the class: deadline, list, platforms, regrading


def test_being_late_costs_what_the_rule_says(tmp_path: Path) -> None:
    due = datetime(2026, 11, 20, 12)
    for student, hours in {"in-time": -1, "late": 1, "later": 25}.items():
        path = hand_in(tmp_path / "in", student, VECTORS, solved(VECTORS, student))
        os.utime(path, (due.timestamp() + 3600 * hours,) * 2)
    graded(tmp_path, Rules(due, per_day=0.1, longest=1))
    assert totals(tmp_path) == {"in-time": "17", "late": "15.3", "later": "0"}
    said = {row["student"]: row["remarks"] for row in rows(tmp_path / "out" / VECTORS.name / "points.csv")}
    assert "1 day late: counts 90%" in said["late"] and "2 days late: counts 0%" in said["later"]
    graded(tmp_path)
    assert set(totals(tmp_path).values()) == {"17"}


LISTS: dict[str, bytes] = {
    "by hand": b"id,name\nada,Ada Lovelace\nbob,Bob Stone\nkim,Kim Park\n",
    "semicolons": "id;name\nada;Ada Lovelace\nbob;Bob Stone\nkim;Kim Pärk\n".encode("cp1252"),
    "moodle": b"Identifier,Full name,Email address\nParticipant 4711,Ada Lovelace,ada@x.org\nParticipant 12,Bob Stone,bob@x.org\n"
    b"Participant 13,Kim Park,kim@x.org\n",
    "canvas": b'Student,ID,SIS Login ID\n"Lovelace, Ada",4711,ada\n"Stone, Bob",12,bob\n"Park, Kim",13,kim\n',
}


@pytest.mark.parametrize("kind", LISTS)
def test_who_is_missing_is_known_from_the_list(tmp_path: Path, kind: str) -> None:
    (tmp_path / "list.csv").write_bytes(LISTS[kind])
    listed = roster.read(tmp_path / "list.csv")
    found = roster.match(listed, [("Ada Lovelace_4711_assignsubmission_file_", "4711"), ("bob", None), ("eve", None)])
    assert {folder: one.id for folder, one in found.items()} == {
        "Ada Lovelace_4711_assignsubmission_file_": "ada", "bob": "bob",
    } or kind == "canvas"  # fmt: skip
    assert len(listed) == 3 and len(found) == 2


def test_the_tables_say_who_is_missing_and_who_is_no_one(tmp_path: Path) -> None:
    for student in ("ada", "eve"):
        hand_in(tmp_path / "in", student, VECTORS, solved(VECTORS, student))
    listed = (Listed("ada", "Ada Lovelace", "ada@x.org", "4711"), Listed("kim", "Kim Park"))
    warnings = graded(tmp_path, Rules(roster=listed)).warnings
    name = VECTORS.name
    assert warnings == [f"{name}: 1 of the list handed in nothing: Kim Park", f"{name}: not on the list: eve"]
    folder = tmp_path / "out" / name
    assert "Kim Park" in (folder / "class.html").read_text()
    ada = rows(folder / "moodle.csv")[0]
    assert (ada["Identifier"], ada["Full name"], ada["Grade"]) == ("Participant 4711", "Ada Lovelace", "17")
    assert rows(folder / "canvas.csv")[1]["SIS Login ID"] == "ada"


def test_platforms_get_the_numbers_that_they_gave(tmp_path: Path) -> None:
    hand_in(tmp_path / "in", "Ada Lovelace_4711_assignsubmission_file_", VECTORS, solved(VECTORS, "ada lovelace"))
    graded(tmp_path)
    (ada,) = rows(tmp_path / "out" / VECTORS.name / "moodle.csv")
    assert (ada["Identifier"], ada["Full name"]) == ("Participant 4711", "Ada Lovelace")


def test_one_question_is_graded_anew_and_no_other_point_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(tmp_path / "in", "ada", VECTORS, solved(VECTORS, "ada"))
    graded(tmp_path)
    failing = ["q1-1-tests", "q1-2-tests"]

    def run(notebook: NotebookNode, *_: object) -> Run:
        for cell in _ran(notebook).cells:
            if about(cell).get("grade_id") in failing:
                cell.outputs = [v4.new_output("error", ename="NotYetError", evalue="no", traceback=[])]
        return Run(notebook)

    monkeypatch.setattr(grading, "run", run)
    grade(tmp_path / "in", ASSIGNMENTS, tmp_path / "out", Limits(seconds=99), 1, rules=Rules(question="q1-2-tests"))
    (row,) = rows(tmp_path / "out" / VECTORS.name / "points.csv")
    assert (row["q1-1-tests"], row["q1-2-tests"], row["total"]) == ("1", "0", "15")
    assert "q1-2-tests was graded anew: 2 became 0" in row["remarks"]


# --- trouble that is one student's alone


@pytest.mark.parametrize("broken", ["points_of", "restore", "run"])
def test_an_exception_is_the_remark_of_one_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    for student in ("ada", "bob"):
        hand_in(tmp_path / "in", student, VECTORS, solved(VECTORS, student))
    real = getattr(grading, broken)

    def fails(*values: object) -> object:
        if any("bob" in json.dumps(value, default=str) for value in values):
            raise RuntimeError("at bob's")
        return real(*values)

    monkeypatch.setattr(grading, broken, fails)
    graded(tmp_path)
    assert totals(tmp_path) == {"ada": "17", "bob": ""}
    said = {row["student"]: row["remarks"] for row in rows(tmp_path / "out" / VECTORS.name / "points.csv")}
    assert "RuntimeError: at bob's" in said["bob"] and "bob" not in said["ada"]


def test_a_page_that_cannot_be_made_is_a_remark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(tmp_path / "in", "ada", VECTORS, solved(VECTORS, "ada"))

    def fails(*_: object) -> None:
        raise RuntimeError("no page")

    monkeypatch.setattr(feedback, "page", fails)
    graded(tmp_path)
    (row,) = rows(tmp_path / "out" / VECTORS.name / "points.csv")
    assert row["total"] == "17" and "no feedback page" in row["remarks"]


def test_a_run_that_was_lost_is_tried_again_alone_and_is_no_grade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(tmp_path / "in", "ada", VECTORS, solved(VECTORS, "ada"))
    answers = [Run(v4.new_notebook(), "Python was killed", True, True)] * 2
    monkeypatch.setattr(grading, "run", lambda notebook, *_: answers.pop() if answers else Run(_ran(notebook)))
    graded(tmp_path)
    assert answers == [] and totals(tmp_path) == {"ada": ""}
    (row,) = rows(tmp_path / "out" / VECTORS.name / "points.csv")
    assert "no grade: Python was killed" in row["remarks"] and "a second time, alone" in row["remarks"]
    graded(tmp_path)  # nothing of that was kept
    assert totals(tmp_path) == {"ada": "17"}


def test_what_a_busy_machine_ended_is_no_grade_and_what_it_slowed_down_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = hand_in(tmp_path / "in", "ada", VECTORS, solved(VECTORS, "ada"))
    stopped: str | None = None
    monkeypatch.setattr(grading.watching, "is_machine_busy", lambda: True)
    monkeypatch.setattr(grading, "run", lambda notebook, *_: Run(_ran(notebook), stopped, is_doubtful=True))
    graded(tmp_path)
    (row,) = rows(tmp_path / "out" / VECTORS.name / "points.csv")
    page = tmp_path / "out" / VECTORS.name / "feedback" / "ada.html"
    assert row["total"] == "17" and "run the command again later" in row["remarks"]
    assert 'id="q1-2-tests"' in page.read_text()  # where the page's table links to
    stopped = "took more than 240 s in all"
    path.write_text(path.read_text() + " ")
    graded(tmp_path)
    (row,) = rows(tmp_path / "out" / VECTORS.name / "points.csv")
    assert row["total"] == "" and row["remarks"].startswith("no grade: took more than 240 s")
    assert "No grade yet" in page.read_text() and "whose work" not in page.read_text()
    assert "q1-2-tests" not in page.read_text()
    monkeypatch.setattr(grading, "run", lambda notebook, *_: Run(_ran(notebook)))
    graded(tmp_path)  # nothing of that was kept
    assert totals(tmp_path) == {"ada": "17"}


def test_a_notebook_with_the_id_of_another_in_the_class_is_named(tmp_path: Path, at_once: list[NotebookNode]) -> None:
    for student, calls_itself in {"ada": "ada", "bob": "ada", "eve": "eva"}.items():
        hand_in(tmp_path / "in", student, VECTORS, solved(VECTORS, calls_itself))
    (ada, bob, eve) = graded(tmp_path).grades[VECTORS.name]
    asked = "has the id of ada, who is in this class too: whose work is it? No total until you say: --own-work bob"
    assert bob.notes == [asked] and bob.total is None and (ada.total, eve.total) == (17, 17)
    page = results.page_of(tmp_path / "out" / VECTORS.name, "bob")
    assert "No grade yet" in page.read_text() and "whose work" not in page.read_text()
    assert totals(tmp_path) == {"ada": "17", "bob": "", "eve": "17"}
    assert ada.remarks == [] and eve.remarks == [
        "calls itself 'eva', not 'eve': its own numbers are those of that name"
    ]
    (_, bob, _) = graded(tmp_path, rules=Rules(own_work=("bob",))).grades[VECTORS.name]
    assert bob.notes == ["has the id of ada, who is in this class too"] and bob.total == 17
    assert "No grade yet" not in page.read_text()


@pytest.mark.parametrize("spoil", ["garbage", "folder", "notebook"])
def test_what_was_kept_and_is_damaged_is_made_anew(tmp_path: Path, at_once: list[NotebookNode], spoil: str) -> None:
    hand_in(tmp_path / "in", "ada", VECTORS, solved(VECTORS, "ada"))
    graded(tmp_path)
    path, executed = grades.kept(tmp_path / "out" / VECTORS.name, "ada")
    if spoil == "garbage":
        path.write_bytes(b"\xff{")
    elif spoil == "folder":
        path.unlink()
        (path / "x").mkdir(parents=True)
    else:
        executed.unlink()
    graded(tmp_path)
    assert totals(tmp_path) == {"ada": "17"} and len(at_once) == 2


def test_everybody_is_in_the_table_with_what_was_found(tmp_path: Path) -> None:
    hand_in(tmp_path / "in", "ada", VECTORS, solved(VECTORS, "ada"))
    (tmp_path / "in" / "bob").mkdir()
    (tmp_path / "in" / "kim").mkdir()
    (tmp_path / "in" / "kim" / "homework.pdf").write_bytes(b"%PDF-1.7")
    graded(tmp_path)
    said = {row["student"]: row["remarks"] for row in rows(tmp_path / "out" / VECTORS.name / "points.csv")}
    assert "nothing in it" in said["bob"] and "homework.pdf: the file is not a notebook (a PDF)" in said["kim"]
    assert {row["student"] for row in rows(tmp_path / "out" / "students.csv")} == {"ada", "bob", "kim"}
    assert totals(tmp_path) == {"ada": "17", "bob": "", "kim": ""}


@pytest.mark.parametrize(
    "code",
    ["def question(x): pass", "get_ipython().ast_transformers", "import lpvq.course.questions as q", "question = 3"],
)
def test_a_cell_that_touches_what_tests_are_made_of_is_named(tmp_path: Path, code: str) -> None:
    notebook = solved(VECTORS, "ada")
    notebook.cells.insert(5, v4.new_code_cell(code))
    hand_in(tmp_path / "in", "ada", VECTORS, notebook)
    (one,) = graded(tmp_path).grades[VECTORS.name]
    assert "touches what tests are made of" in one.notes[0]


def test_a_class_has_numbers_of_its_own_and_is_graded_by_them(tmp_path: Path, at_once: list[NotebookNode]) -> None:
    (autumn,) = [one for one in load_assignments(shipped("assignments"), "autumn 2026") if one.name == VECTORS.name]
    setup = cell_of(autumn.release, "q1-setup").source
    assert "of_class('autumn 2026')" in setup and class_of(autumn.release.cells) == "autumn 2026"
    hand_in(tmp_path / "in", "ada", autumn, solved(autumn, "ada"))
    (one,) = grade(tmp_path / "in", [autumn], tmp_path / "out", LIMITS, 1).grades[VECTORS.name]
    assert one.total == 17 and one.remarks == []
    (one,) = graded(tmp_path).grades[VECTORS.name]  # nobody said which class: no zero comes of that
    assert one.total is None and "handed out to the class 'autumn 2026'" in one.remarks[0] and len(at_once) == 1
    before = questions.random_for("ada", "x").random()
    try:
        questions.of_class("autumn 2026")
        assert questions.random_for("ada", "x").random() != before
    finally:
        questions.of_class("")
    assert questions.random_for("ada", "x").random() == before
