"""Names of all kinds as a picture or a line can show them: prices, other scripts, accents, what no font has."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from unicodedata import category, normalize

_LONGEST = 16  # characters above a picture an inch wide


def without_mathematics(text: str) -> str:
    """Return ``text`` for matplotlib, which would take what stands between two dollar signs for a formula."""
    return text.replace("$", r"\$")


def class_titles(names: Sequence[str]) -> tuple[str, ...]:
    """Return what stands above pictures of each class: its name, if it can be drawn, no two the same.

    A name that no font of this machine can draw becomes "class" and its number; a long one is shortened.
    """
    shown = [_shortened(on_one_line(name)) for name in names]
    titles = [text if can_be_drawn(text) else f"class {number}" for number, text in enumerate(shown)]
    often = Counter(titles)
    return tuple(f"{number}: {title}" if often[title] > 1 else title for number, title in enumerate(titles))


def on_one_line(name: str) -> str:
    """Return a name as one line of text, its accents composed, without invisible characters."""
    seen = "".join(" " if category(sign) in ("Cc", "Zl", "Zp") else sign for sign in normalize("NFC", name))
    return " ".join(seen.encode(errors="replace").decode().split()) or "(no name)"


def same_name(name: str) -> str:
    """Return a form of a name that is the same however it is typed: capitals, accents in two ways, kinds of spaces."""
    return on_one_line(normalize("NFKC", name)).casefold()


@cache
def can_be_drawn(text: str) -> bool:
    """Whether matplotlib's fonts have all characters of a text; another font of this machine that does is added."""
    lacking = {ord(sign) for sign in text if not sign.isspace()} - _signs_of_usual_fonts()
    return not lacking or _add_font(frozenset(lacking))


@cache
def _signs_of_usual_fonts() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())


@cache
def _add_font(signs: frozenset[int]) -> bool:
    import matplotlib
    from matplotlib.font_manager import fontManager, get_font

    for entry in fontManager.ttflist:
        try:
            has_all = signs <= get_font(entry.fname).get_charmap().keys()
        except (OSError, RuntimeError):  # a font of coloured pictures, or a broken one
            continue
        if has_all and entry.style == "normal":
            matplotlib.rcParams["font.family"] = [*matplotlib.rcParams["font.family"], entry.name]
            return True
    return False


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
