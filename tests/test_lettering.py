"""Names: drawn as they are or by a number, and the same however they are typed."""

import io

import pytest
from matplotlib.figure import Figure

from lpvq import lettering
from lpvq.lettering import can_be_drawn, class_titles, on_one_line, same_name, without_mathematics


def test_a_name_that_no_font_has_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "_add_font", lambda signs: False)
    can_be_drawn.cache_clear()
    names = ["cats", "猫", "under $5", "a\nb", "a name that is much too long for a picture", "बिल्ली", ""]
    assert class_titles(names) == (*("cats", "class 1", "under $5", "a b", "a name that is …", "class 5", "(no name)"),)
    can_be_drawn.cache_clear()


def test_titles_that_look_the_same_are_told_apart() -> None:
    assert class_titles(["café", "cafe\u0301", "tea"]) == ("0: café", "1: café", "tea")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("cafe\u0301", "café"),
        ("CAFÉ", "café"),
        ("a b", "a\nb"),
        (" a  b ", "a b"),
        ("ＡＢＣ", "abc"),
        ("straße", "STRASSE"),
        ("a\u00a0b", "a b"),
        ("½", "1\u20442"),
        ("ﬁne", "fine"),
        ("Å", "\u212b"),
    ],
)
def test_a_name_is_the_same_however_it_is_typed(typed: str, meant: str) -> None:
    assert same_name(typed) == same_name(meant)


def test_prices_are_no_formula() -> None:
    for name in ("$5_to_$10", r"$\up$ 10", "$", "$$", r"\$5$"):
        figure = Figure()
        figure.suptitle(without_mathematics(name))
        figure.savefig(io.BytesIO(), dpi=20)
    assert on_one_line("a\tb\u2028c\x00") == "a b c"
