"""Who handed in what: layouts, platforms, archives, litter, links; nothing is run here."""

# ruff: noqa: E501 (lines of data)

import os
import zipfile
from pathlib import Path

import nbformat
import pytest
from odd_inputs import ENDINGS, LITTER, tarred, whole, zipped
from submissions import ASSIGNMENTS, CAUSAL, SAMPLING, VECTORS, hand_in, solved

from lpvq.classroom.handed_in import HandedIn, find
from lpvq.classroom.names import file_name, is_within, shown
from lpvq.errors import InputError


def put(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def found(folder: Path) -> dict[str, HandedIn]:
    return {one.student: one for one in find(folder, ASSIGNMENTS)}


def taken(folder: Path) -> dict[str, str]:
    """The file of the first assignment that counts, by student."""
    return {name: one.submissions[VECTORS.name].name for name, one in found(folder).items() if one.submissions}


# --- layouts

MOODLE, MOODLE_TEXT = "Ada Lovelace_4711_assignsubmission_file_", "Ada Lovelace_4711_assignsubmission_onlinetext_"
LAYOUTS: dict[str, tuple[dict[str, bytes], dict[str, str]]] = {
    "folders": ({"ada/x.ipynb": whole("ada"), "bob/y.ipynb": whole("bob")}, {"ada": "x.ipynb", "bob": "y.ipynb"}),
    "nbgrader": ({f"ada/{VECTORS.name}/{VECTORS.name}.ipynb": whole("ada")}, {"ada": f"{VECTORS.name}/{VECTORS.name}.ipynb"}),
    "loose": ({"ada.ipynb": whole("ada"), "bob.ipynb.txt": whole("bob")}, {"ada": "ada.ipynb", "bob": "bob.ipynb.txt"}),
    "below the assignment": ({f"{VECTORS.name}/ada/x.ipynb": whole("ada")}, {"ada": "x.ipynb"}),
    "moodle": ({f"{MOODLE}/x.ipynb": whole("ada")}, {MOODLE: "x.ipynb"}),
    "moodle without folders": ({f"{MOODLE}x.ipynb": whole("ada")}, {"Ada Lovelace_4711": f"{MOODLE}x.ipynb"}),
    "moodle with a text": ({f"{MOODLE}/x.ipynb": whole("ada"), f"{MOODLE_TEXT}/onlinetext.html": b"<p>x"}, {MOODLE: "x.ipynb"}),
    "canvas": ({"lovelaceada_31_812_x-1.ipynb": whole("ada")}, {"lovelaceada_31": "lovelaceada_31_812_x-1.ipynb"}),
    "canvas, late": ({"lovelaceada_LATE_31_812_x.ipynb": whole("a")}, {"lovelaceada_31": "lovelaceada_LATE_31_812_x.ipynb"}),
    "one zip each": ({"ada.zip": zipped(("x.ipynb", whole("ada"))), "bob.zip": zipped(("b/y.ipynb", whole("b")))},
                     {"ada": "x.ipynb", "bob": "b/y.ipynb"}),
    "a zip of all": ({"all.zip": zipped(("in/ada/x.ipynb", whole("ada")), ("in/bob/y.ipynb", whole("bob")))},
                     {"ada": "x.ipynb", "bob": "y.ipynb"}),
    "a zip of all, moodle": ({"all.zip": zipped((f"{MOODLE}/x.ipynb", whole("ada")))}, {MOODLE: "x.ipynb"}),
    "a zip of all, canvas": ({"all.zip": zipped(("lovelaceada_31_812_x.ipynb", whole("ada")), ("bobb_32_9_y.ipynb", whole("b")))},
                             {"lovelaceada_31": "lovelaceada_31_812_x.ipynb", "bobb_32": "bobb_32_9_y.ipynb"}),
    "a zip of zips": ({"all.zip": zipped(("s/ada.zip", zipped(("x.ipynb", whole("ada")))), ("s/bob.zip", zipped(("y.ipynb", whole("b")))))},
                      {"ada": "x.ipynb", "bob": "y.ipynb"}),
    "a tar of all": ({"all.tar.gz": tarred(("ada/x.ipynb", whole("ada")), ("bob/y.ipynb", whole("bob")))},
                     {"ada": "x.ipynb", "bob": "y.ipynb"}),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_students_are_found_in_every_layout(tmp_path: Path, layout: str) -> None:
    files, expected = LAYOUTS[layout]
    put(tmp_path, files)
    assert taken(tmp_path) == expected


def test_a_platform_that_calls_it_late_is_heard(tmp_path: Path) -> None:
    put(tmp_path, LAYOUTS["canvas, late"][0])
    (one,) = find(tmp_path, ASSIGNMENTS)
    assert one.submissions[VECTORS.name].is_called_late and one.number == "31"


def test_each_assignment_of_a_student_is_found(tmp_path: Path) -> None:
    for assignment in (VECTORS, CAUSAL, SAMPLING):
        hand_in(tmp_path, "ada", assignment, solved(assignment))
    assert set(found(tmp_path)["ada"].submissions) == {VECTORS.name, CAUSAL.name, SAMPLING.name}


def test_a_folder_with_nothing_in_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds nothing"):
        find(tmp_path, ASSIGNMENTS)
    with pytest.raises(InputError, match="is not a folder"):
        find(tmp_path / "x", ASSIGNMENTS)


# --- endings, archives, litter


@pytest.mark.parametrize("kind", ENDINGS)
def test_every_student_is_found_whatever_the_file_is_called(tmp_path: Path, kind: str) -> None:
    files, is_gradable = ENDINGS[kind]
    (tmp_path / kind).mkdir()
    put(tmp_path / kind, files)
    one = found(tmp_path)[kind]
    readable = [submission for submission in one.submissions.values() if submission.is_readable]
    assert [submission.assignment for submission in readable] == [VECTORS] * is_gradable
    assert is_gradable or one.not_taken or one.submissions, "nothing said of it"


def test_what_editors_and_systems_leave_behind_does_not_count(tmp_path: Path) -> None:
    put(tmp_path, {"ada/1_vector_quantizer.ipynb": whole("ada"), **LITTER})
    os.utime(tmp_path / "ada/1_vector_quantizer.ipynb", (1, 1))  # older than all of it
    (one,) = find(tmp_path, ASSIGNMENTS)
    assert one.student == "ada" and one.not_taken == [] and one.others == []
    assert one.submissions[VECTORS.name].name == "1_vector_quantizer.ipynb"


def test_an_archive_writes_nothing_and_is_read_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "in", {"ada/bomb.zip": zipped(*((f"{i}.ipynb", bytes(10**6)) for i in range(20)))})
    monkeypatch.setattr("lpvq.classroom.archives._LARGEST_ARCHIVE", 10**7)
    assert found(tmp_path / "in")["ada"].not_taken == ["bomb.zip: an archive with too much in it: unpack it"]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_encrypted_member_and_a_link_in_an_archive_are_named(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.ipynb")
    link.external_attr = 0o120777 << 16
    (tmp_path / "ada").mkdir()
    with zipfile.ZipFile(tmp_path / "ada" / "h.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("secret.ipynb", whole("ada"))
    raw = bytearray((tmp_path / "ada" / "h.zip").read_bytes())
    place = raw.rindex(b"PK\x01\x02")
    raw[place + 8] |= 1  # the flag of encryption, in the list of members
    (tmp_path / "ada" / "h.zip").write_bytes(raw)
    assert found(tmp_path)["ada"].not_taken == ["h.zip/link.ipynb: a link", "h.zip/secret.ipynb: encrypted"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are of Unix")
def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    ada = tmp_path / "ada"
    (ada / "homework.ipynb").mkdir(parents=True)
    (ada / "homework.ipynb" / "x").write_bytes(b"x")
    os.mkfifo(ada / "pipe.ipynb")
    for name, target in {"zero": "/dev/zero", "dangling": "nowhere", "circle": "circle.ipynb", "up": ".."}.items():
        (ada / f"{name}.ipynb").symlink_to(target)
    (tmp_path / "mallory").symlink_to(ada)
    put(tmp_path, {"ada/real.ipynb": whole("ada")})
    students = found(tmp_path)
    assert students["ada"].submissions[VECTORS.name].name == "real.ipynb"
    assert len(students["ada"].not_taken) == 6 and "pipe.ipynb: no file but a pipe" in students["ada"].what_else
    assert students["mallory"].submissions == {} and "a link" in students["mallory"].what_else


# --- names


def test_names_that_are_no_utf8_long_or_composed_otherwise_are_taken(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path)
    for name in (b"M\xfcller", b"a" * 240, "Jose\u0301".encode(), "Jos\u00e9 2".encode()):
        os.mkdir(raw + b"/" + name)
        with open(raw + b"/" + name + b"/x.ipynb", "wb") as file:
            file.write(whole("x"))
    assert set(taken(tmp_path)) == {"Müller", "a" * 240, "José", "José 2"}


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 125, "a/b", "..", "", "x\ny", "=1+1", "a\\b", "con:", "\ud83d"])
def test_files_of_results_have_names_that_every_system_takes(name: str) -> None:
    made = file_name(shown(name))
    assert len(made.encode()) <= 110 and not set(made) & set('/\\:*?"<>|\n') and made.strip(". ")


def test_two_students_never_share_a_file() -> None:
    names = ["a" * 200, "a" * 201, "a/b", "a:b", "a_b"]
    assert len({file_name(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("student", "folder", "expected"),
    [
        ("ada", "ada", True),
        ("ADA ", "Ada_4711_assignsubmission_file_", True),
        ("4711", "Ada Lovelace_4711_file_", True),
        ("ada lovelace", "Lovelace, Ada (4711)", True),
        ("ada", "adam", False),
        ("your id", "ada", False),
        ("", "ada", False),
        ("José", "Jose\u0301_12", True),
        ("47", "4711", False),
        ("ada.lovelace", "ada_lovelace", True),
    ],
)
def test_ids_are_recognised_in_the_names_of_folders(student: str, folder: str, expected: bool) -> None:
    assert is_within(student, folder) == expected


# --- versions


def test_the_latest_version_counts_and_is_named(tmp_path: Path) -> None:
    put(tmp_path, {"ada/old.ipynb": whole("ada"), "ada/new.ipynb": whole("ada"), "ada/broken.ipynb": b"{"})
    for name, time in {"old": 1, "new": 2, "broken": 3}.items():
        os.utime(tmp_path / "ada" / f"{name}.ipynb", (time, time))
    one = found(tmp_path)["ada"].submissions[VECTORS.name]
    assert one.name == "new.ipynb" and one.remarks == ("2 versions: new.ipynb counts, not old.ipynb",)


def test_of_files_of_one_time_the_highest_copy_counts(tmp_path: Path) -> None:
    names = [
        "1_vector_quantizer.ipynb",
        "1_vector_quantizer (1).ipynb",
        "1_vector_quantizer (10).ipynb",
        "1_vector_quantizer (2).ipynb",
    ]
    put(tmp_path, {f"ada/{name}": whole("ada") for name in names})
    for name in names:
        os.utime(tmp_path / "ada" / name, (1, 1))
    assert taken(tmp_path) == {"ada": "1_vector_quantizer (10).ipynb"}


def test_an_untouched_copy_that_came_later_does_not_count(tmp_path: Path) -> None:
    hand_in(tmp_path, "ada", VECTORS, solved(VECTORS))
    os.utime(tmp_path / "ada" / VECTORS.name / f"{VECTORS.name}.ipynb", (1, 1))
    put(tmp_path, {"ada/again.ipynb": nbformat.writes(VECTORS.release).encode()})
    assert taken(tmp_path) == {"ada": f"{VECTORS.name}/{VECTORS.name}.ipynb"}
