"""Tables as spreadsheets write and read them: any separator, any encoding, and no cell that they would run."""

import csv
import io
import re
import unicodedata
from collections.abc import Sequence

from lpvq.classroom.reading import decoded

_LONGEST = 1000  # characters of a cell; a remark that is longer helps nobody
_NUMBER = re.compile(r"[+-]?[\d.,]+")


def written(rows: Sequence[Sequence[str]]) -> bytes:
    """Return a table as the content of a file. It begins with a mark, or Excel would assume Windows' encoding."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def harmless(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula, in one line and of bounded length."""
    line = one_line(text, _LONGEST)
    return f"'{line}" if line[:1] in ("=", "+", "-", "@") and not _NUMBER.fullmatch(line) else line


def one_line(text: str, most: int) -> str:
    """Return a text in one line, without a terminal's escapes, and no longer than ``most`` characters."""
    letters = (" " if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") else letter for letter in text)
    line = " ".join("".join(letters).split())
    return line if len(line) <= most else f"{line[: most - 2]} …"


def unharmed(text: str) -> str:
    """Return what ``harmless`` was given."""
    return text[1:] if text[:1] == "'" and text[1:2] in ("=", "+", "-", "@") else text


def read(content: bytes) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a table with their line numbers, whatever program wrote it.

    Excel writes commas or semicolons, by country, in Windows' or in Apple's own encoding, as UTF-8 or UTF-16 with tabs,
    and may put ``sep=;`` on top; LibreOffice and Numbers differ again. Names of columns are in small letters.
    """
    text = decoded(content).lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    skipped = 0
    if text.lower().startswith("sep="):
        separator, (_, _, text), skipped = text[4:5], text.partition("\n"), 1
    else:
        first = text.lstrip("\n").partition("\n")[0]
        separator = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text), delimiter=separator if separator in (",", ";", "\t", "|") else ",")
    header: list[str] | None = None
    found = []
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if header is None:
            header = [cell.strip().lower() for cell in row]
            continue
        cells = {name: unharmed(cell.strip()) for name, cell in zip(header, row, strict=False) if name}
        found.append((rows.line_num + skipped, cells))
    return found
