"""The list of a class: who should have handed in, and under which number platforms know them.

It is a table with a column for the id (``id``, ``student``, ``username`` or ``login``), and perhaps more: the name, an
email address, the platform's number. A learning platform may have exported it, or somebody written it by hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lpvq.classroom import csv_files
from lpvq.classroom.names import folded, is_within
from lpvq.errors import InputError

_COLUMNS = {
    "id": ("sis login id", "username", "login", "student id", "id number", "matriculation", "id"),
    "name": ("name", "full name", "student name", "student", "vollständiger name"),
    "first": ("first name", "firstname", "vorname"),
    "last": ("last name", "surname", "lastname", "nachname"),
    "email": ("email", "email address", "e-mail", "e-mail-adresse"),
    "number": ("number", "identifier", "canvas id", "participant"),  # Canvas' own export calls it "id"
}


@dataclass(frozen=True)
class Listed:
    """Somebody on the list.

    Attributes:
        id: what the student's own numbers are drawn from.
        name: in full; "" where the list has none.
        email: "" where the list has none.
        number: the platform's; "" where the list has none.
    """

    id: str
    name: str = ""
    email: str = ""
    number: str = ""

    def is_called(self, folder: str, number: str | None = None) -> bool:
        """Return whether the name of a folder or a file means this student."""
        if self.number and number and self.number.rpartition(" ")[2] == number:
            return True
        ways = (self.id, self.name, self.email.partition("@")[0])
        squeezed = "".join(folded(part) for part in (self.name.split()[-1:] + self.name.split()[:-1]))
        return any(way and is_within(way, folder) for way in ways) or bool(
            squeezed and folded(folder).partition("_")[0] == squeezed  # Canvas: lovelaceada
        )


def read(path: str | Path) -> list[Listed]:
    """Read a list.

    Raises:
        InputError: it cannot be read, or has no column for ids.
    """
    path = Path(path)
    try:
        rows = csv_files.read(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    found = []
    for _, row in rows:
        facts = {what: next((row[name] for name in names if row.get(name)), "") for what, names in _COLUMNS.items()}
        name = facts["name"] or f"{facts['first']} {facts['last']}".strip()
        identity = facts["id"] or facts["email"].partition("@")[0]
        if identity:
            number = facts["number"] or (row.get("id", "") if row.get("sis login id") else "")
            found.append(Listed(identity, _turned(name), facts["email"], number))
    if not found:
        columns = ", ".join(rows[0][1]) if rows else "none"
        raise InputError(f"{path} lists nobody: its columns are {columns}; expected one named id; also name, email")
    return found


def match(listed: Sequence[Listed], folders: Sequence[tuple[str, str | None]]) -> dict[str, Listed]:
    """Return the person on a list that each folder belongs to.

    Args:
        listed: the list.
        folders: names, with the platform's number where there is one.

    Returns:
        by folder; folders that fit nobody, or several, are left out.
    """
    found = {}
    for folder, number in folders:
        exact = [one for one in listed if folded(one.id) == folded(folder)]
        fitting = exact or [one for one in listed if one.is_called(folder, number)]
        if len(fitting) == 1:
            found[folder] = fitting[0]
    return found


def _turned(name: str) -> str:
    """``Ada Lovelace``, also for ``Lovelace, Ada``."""
    last, comma, first = name.partition(",")
    return f"{first.strip()} {last.strip()}" if comma else name
