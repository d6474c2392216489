"""HTML of what nobody has read: markdown, code and outputs, without scripts, and without anything from a network.

Formulas become MathML, which browsers draw by themselves. Pages say by a Content-Security-Policy that nothing in
them may run or be fetched, so what a sanitizer lets through does no harm either.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import nh3
from latex2mathml.converter import convert
from markupsafe import Markup, escape
from nbconvert.filters import strip_ansi
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_MOST_CODE = 20_000  # characters of a cell that are shown in colours; 400 kB would take a minute
_MOST_TEXT = 100_000  # characters of a text that are shown at all
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
_MATHML = {
    *("math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub", "msup", "msubsup"),
    *("munder", "mover", "munderover", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom", "menclose"),
}
_OF_MATHML = {
    *("display", "displaystyle", "scriptlevel", "mathvariant", "mathcolor", "mathsize", "stretchy", "fence", "form"),
    *("accent", "accentunder", "width", "height", "depth", "lspace", "rspace", "minsize", "maxsize", "separator"),
    *("linethickness", "movablelimits", "symmetric", "notation", "columnalign", "columnspacing", "columnlines"),
    *("rowspacing", "rowlines"),
}
_TOKEN = re.compile("\ue000(\\d+)\ue001")
_LINKS = {"http", "https", "mailto", "data"}


def code(source: str) -> Markup:
    """Return Python code as HTML, in colours."""
    shown = shortened(source, _MOST_TEXT)
    if len(source) > _MOST_CODE:
        return Markup("<pre>{}</pre>").format(shown)
    return Markup(highlight(shown, get_lexer_by_name("ipython3"), HtmlFormatter(nowrap=False)))


def style_of_code() -> Markup:
    """Return the style sheet for ``code``."""
    return Markup(HtmlFormatter(style="default").get_style_defs(".highlight"))


def shortened(text: str, most: int) -> str:
    """Return a text, or its start and how much more there was."""
    return text if len(text) <= most else f"{text[:most]}\n(… {len(text) - most:,} more characters)"


def markdown(text: str, pictures: Mapping[str, Mapping[str, str]] | None = None) -> Markup:
    """Return a markdown cell as HTML.

    Args:
        text: of the cell.
        pictures: its attachments, by name and kind.
    """
    renderer = _Renderer(pictures or {})
    text = shortened(text, _MOST_TEXT).replace("\ue000", "").replace("\ue001", "")
    try:
        made = MarkdownWithMath(renderer=renderer).render(text)
    except Exception:  # texts that the parser stumbles over: shown as they are
        return Markup("<pre>{}</pre>").format(text)
    return Markup(_TOKEN.sub(lambda match: renderer.formulas[int(match[1])], sanitized(made)))


def sanitized(page: str) -> str:
    """Return HTML without scripts, forms, frames, styles, and pictures from elsewhere."""
    return nh3.clean(
        page,
        tags=nh3.ALLOWED_TAGS | {"img", "section", "input"} - {"form"},
        attributes={**nh3.ALLOWED_ATTRIBUTES, "img": {"src", "alt", "title"}, "*": {"title", "colspan", "rowspan"}},
        attribute_filter=_keep_attribute,
        url_schemes=_LINKS,
        strip_comments=True,
    )


def _keep_attribute(tag: str, name: str, value: str) -> str | None:
    if name in ("src", "href"):
        is_picture = value.startswith(tuple(f"data:{kind};base64," for kind in _PICTURES))
        is_data = value.lstrip().lower().startswith("data:")
        return value if (tag == "img" and is_picture) or (tag != "img" and not is_data) else None
    return value


def formula(text: str, is_block: bool = False) -> str:
    """Return LaTeX as MathML, or as it stands if it is not LaTeX."""
    try:
        if len(text) > 5000:
            raise ValueError("too long for a formula")
        made = convert(text, display="block" if is_block else "inline")
        parts = ElementTree.fromstring(made).iter()
        if not all(part.tag.removeprefix(_NAMESPACE) in _MATHML and set(part.attrib) <= _OF_MATHML for part in parts):
            raise ValueError("more than a formula")  # the converter passes on what stands in \\text
    except Exception:  # of many kinds: students write anything between dollars
        return str(Markup("<code>{}</code>").format(text))
    return made


def output(shown: NotebookNode) -> Markup:
    """Return an output as HTML: the richest of its kinds that is harmless."""
    if shown.output_type == "stream":
        return Markup('<pre class="{}">{}</pre>').format(shown.name, _plain(shown.text))
    if shown.output_type == "error":
        lines = "\n".join(shown.traceback) or f"{shown.ename}: {shown.evalue}"
        return Markup('<pre class="error">{}</pre>').format(_plain(lines))
    data = shown.data
    for kind in _PICTURES:
        if kind in data and (address := picture(kind, data[kind])):
            sizes = {name: int(size) for name, size in shown.metadata.get(kind, {}).items()}
            return Markup('<img src="{}" alt="what the cell shows"{}>').format(
                address, Markup("").join(Markup(' {}="{}"').format(*size) for size in sizes.items())
            )
    if isinstance(data.get("text/html"), str):
        return Markup(sanitized(shortened(data["text/html"], _MOST_TEXT)))
    if isinstance(data.get("text/markdown"), str):
        return markdown(data["text/markdown"])
    if isinstance(data.get("text/latex"), str):
        return markdown(data["text/latex"])
    text = data.get("text/plain") or (f"({', '.join(data)})" if data else "")
    return Markup("<pre>{}</pre>").format(_plain(str(text)))


def picture(kind: str, value: Any) -> str | None:
    """Return an address that itself holds the picture; None if it is not one."""
    text = "".join(map(str, value)) if isinstance(value, list) else value
    if kind not in _PICTURES or not isinstance(text, str):
        return None
    if kind == "image/svg+xml" and "<" in text:  # in an <img>, none of its scripts runs
        return f"data:{kind};base64,{base64.b64encode(text.encode('utf-8', 'replace')).decode()}"
    text = "".join(text.split())
    try:
        return f"data:{kind};base64,{text}" if base64.b64decode(text, validate=True) else None
    except (binascii.Error, ValueError):
        return None


def _plain(text: str) -> str:
    return shortened(strip_ansi(text), _MOST_TEXT)


class _Renderer(IPythonRenderer):
    """Shows attachments, and keeps formulas aside, which no sanitizer would understand."""

    def __init__(self, pictures: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__(escape=False, exclude_anchor_links=True)
        self.pictures = pictures
        self.formulas: list[str] = []

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if url.startswith("attachment:"):
            name = url.removeprefix("attachment:")
            kinds = self.pictures.get(name) or self.pictures.get(unquote(name)) or {}
            found = [address for kind in _PICTURES if (address := picture(kind, kinds.get(kind)))]
            if not found:
                return str(escape(f"(the picture {unquote(name)} was not handed in, or is damaged)"))
            url = found[0]
        elif not url.startswith("data:"):
            return str(Markup("(a picture that lies elsewhere: {})").format(url))
        return str(Markup('<img src="{}" alt="{}">').format(url, text))

    def _aside(self, text: str, is_block: bool) -> str:
        self.formulas.append(formula(text, is_block))
        return f"\ue000{len(self.formulas) - 1}\ue001"

    def block_math(self, body: str) -> str:
        return f"<p>{self._aside(body, True)}</p>"

    def inline_math(self, body: str) -> str:
        return self._aside(body, False)

    def latex_environment(self, name: str, body: str) -> str:
        whole = f"\\begin{{{name}}}{body}\\end{{{name}}}"
        return f"<p>{self._aside(whole, True)}</p>"
