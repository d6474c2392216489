"""Names of students: as folders and files carry them, as tables show them, as result files are called."""

import hashlib
import re
import unicodedata

_MOODLE = re.compile(r"^(?P<name>.+?)_(?P<number>\d+)_assignsubmission_[a-z]+_?", re.IGNORECASE)
_CANVAS = re.compile(r"^(?P<name>[^\W\d_]\w*?)_(?P<late>LATE_)?(?P<number>\d+)_(?P<file>\d+)_(?P<rest>.+)$")
_COPY = re.compile(r"(?: \((\d+)\)|-(\d+)|[ _-]?(?:copy|kopie)[ _-]?(\d*))$", re.IGNORECASE)
_LONGEST = 100  # bytes of a file's name that come from a student's; a file system takes 255
_WORD = re.compile(r"[^\W_]+")


def shown(name: str) -> str:
    """Return a name from the file system as people read it: composed, in one line, Latin-1 where it is not UTF-8."""
    try:
        raw = name.encode("utf-8", "surrogateescape")  # the bytes that the file system has
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "replace")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    text = unicodedata.normalize("NFC", text)
    return "".join(
        " " if unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") else letter for letter in text
    ).strip()


def file_name(student: str) -> str:
    """Return what a student's files are called: the name or, if no file system takes it, most of it.

    Two students never share a name: where something had to change, a part of a checksum follows.
    """
    kept = re.sub(r'[/\\:*?"<>|\x00-\x1f]', "_", student)
    if kept == student and len(kept.encode()) <= _LONGEST and kept.strip(". ") == kept != "":
        return kept
    start = kept.encode()[: _LONGEST - 20].decode("utf-8", "ignore").strip(". ")
    return f"{start}-{hashlib.sha256(student.encode()).hexdigest()[:8]}"


def platform_student(name: str) -> tuple[str, str | None, bool] | None:
    """Return what a learning platform has put before a file's or into a folder's name.

    Moodle writes ``Ada Lovelace_4711_assignsubmission_file_…``, Canvas ``lovelaceada_LATE_4711_8888_….ipynb``.

    Returns:
        the student, with the platform's number; the number; whether the name says that this came late. None where the
        name is not a platform's.
    """
    if match := _MOODLE.match(name):
        return f"{match['name']}_{match['number']}", match["number"], False
    if match := _CANVAS.match(name):
        return f"{match['name']}_{match['number']}", match["number"], bool(match["late"])
    return None


def person(student: str) -> str:
    """Return a student's name without what a platform appends to it."""
    match = _MOODLE.match(student)
    return match["name"] if match else student


def copy_number(stem: str) -> int:
    """Return which copy a file is by its name: 2 for ``homework (2)``, 0 for a file that is no copy."""
    match = _COPY.search(stem)
    return 0 if match is None else int(next((digits for digits in match.groups() if digits), 1))


def folded(name: str) -> str:
    """Return a name without what two spellings of it may differ in: capitals, white space at the ends, composition."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def is_within(student_id: str, name: str) -> bool:
    """Return whether an id is a folder's name or words of it: ``ada`` is in ``Ada_4711_file_``, not in ``Adam``."""
    wanted, words = _WORD.findall(folded(student_id)), _WORD.findall(folded(name))
    if not wanted:
        return False
    length = len(wanted)
    if any(words[start : start + length] == wanted for start in range(len(words) - length + 1)):
        return True
    return length > 1 and set(wanted) <= set(words)  # "Lovelace, Ada" for "ada lovelace"
