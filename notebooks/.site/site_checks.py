"""What must hold for every page: its links lead somewhere, its pictures have texts, it loads nothing from elsewhere."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

MEGABYTE = 1_000_000
LARGEST = 60 * MEGABYTE

_ELSEWHERE = re.compile(r"(?:[a-z]+:)?//", re.IGNORECASE)
_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')]+)""")
_LOADED = {"audio", "embed", "iframe", "img", "input", "object", "script", "source", "track", "video"}
# A link element is loaded if it is one of these; others, such as the one to the next page, are only said.
_LOADED_LINKS = {"stylesheet", "icon", "shortcut icon", "preload", "modulepreload", "manifest"}


@dataclass
class Page(HTMLParser):
    """What a page leads to, loads and shows.

    Attributes:
        ids: what links can point to.
        links: where it leads to, and what it loads, as written.
        loaded: what it loads.
        silent: pictures without a text.
    """

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    pictures: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Take in an element."""
        given = {name: value or "" for name, value in attributes}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        for name in ("href", "src", "data", "poster"):
            if name not in given or (tag, name) == ("base", "href"):
                continue
            self.links.append(given[name])
            if tag in _LOADED or (tag == "link" and given.get("rel", "") in _LOADED_LINKS):
                self.loaded.append(given[name])
        self.loaded += _STYLE.findall(given.get("style", ""))
        if tag == "img":
            self.pictures += 1
            if not given.get("alt", "").strip():
                self.silent.append(given.get("src", "")[:60])


def check(site: Path) -> tuple[list[str], str]:
    """Return what is wrong with a site, and how much was looked at."""
    pages = {path: read(path) for path in sorted(site.rglob("*.html"))}
    faults = [f"{path.relative_to(site)}: {fault}" for path in pages for fault in faults_of(path, pages)]
    for path in site.rglob("*.css"):
        faults += [f"{path.relative_to(site)}: loads {found}" for found in _STYLE.findall(path.read_text())]
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    if size > LARGEST:
        faults.append(f"{size / MEGABYTE:.0f} MB are more than {LARGEST / MEGABYTE:.0f}")
    links = sum(not _ELSEWHERE.match(link) for page in pages.values() for link in page.links)
    pictures = sum(page.pictures for page in pages.values())
    return faults, f"{len(pages)} pages, {links} links inside, {pictures} pictures, {size / MEGABYTE:.1f} MB"


def read(path: Path) -> Page:
    """Read a page."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def faults_of(path: Path, pages: dict[Path, Page]) -> list[str]:
    """Return what is wrong with a page, of all."""
    page = pages[path]
    faults = [f"the picture {name} has no text" for name in page.silent]
    faults += [f"loads {address}" for address in page.loaded if _ELSEWHERE.match(address)]
    return faults + [
        f"leads to {link}, which is not there" for link in page.links if not _leads_somewhere(link, path, pages)
    ]


def _leads_somewhere(link: str, path: Path, pages: dict[Path, Page]) -> bool:
    """Whether a link of a page leads to what is there, as far as this can be seen without a network."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return False
    return not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].ids
