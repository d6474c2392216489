"""What Sphinx does not do by itself: texts of pictures, links to the glossary, links out of the site."""

import hashlib
import os
from base64 import b64decode
from functools import cache
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from site_sources import ROOT, read_terms


def setup(app: Sphinx) -> None:
    """Tell Sphinx when to call what is below."""
    app.connect("doctree-read", describe_pictures)
    app.connect("doctree-read", link_files_outside)
    app.connect("doctree-resolved", link_terms)


def describe_pictures(app: Sphinx, page: nodes.document) -> None:
    """Give the pictures of a notebook the texts that its file has for them, which MyST-NB does not read."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    texts = {}
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                name = hashlib.sha256(b64decode(output.data["image/png"])).hexdigest()  # as MyST-NB calls the file
                texts[name] = output.metadata["image/png"]["alt"]
    for image in page.findall(nodes.image):
        image["alt"] = texts.get(Path(image["uri"]).stem, image.get("alt", ""))


def link_files_outside(app: Sphinx, page: nodes.document) -> None:
    """Let links to files that are no pages lead to the repository; where its address is not known, to nothing."""
    folder = (ROOT / app.env.docname).parent
    for link in list(page.findall(addnodes.pending_xref)):
        target = folder / link["reftarget"]
        if link["reftype"] != "myst" or link["refdomain"] is not None or not target.exists():
            continue  # of what does not exist either, Sphinx complains
        address = repository()
        if address is None:
            link.replace_self(link.children)
        else:
            path = os.path.relpath(target, ROOT)
            link.replace_self(nodes.reference("", "", *link.children, refuri=f"{address}/blob/HEAD/{path}"))


def link_terms(app: Sphinx, page: nodes.document, name: str) -> None:
    """Make a term of the glossary a link to its meaning where a lesson brings it in, which it does in italics."""
    if Path(app.env.doc2path(name)).suffix != ".ipynb":
        return
    find = app.env.domains.standard_domain.resolve_xref
    for emphasis in list(page.findall(nodes.emphasis)):
        said = emphasis.astext().lower()
        forms = (said, said.removesuffix("s"), said.removesuffix("ies") + "y")  # *entries* leads to "entry"
        term = next((form for form in forms if form in meanings()), None)
        if term is None or isinstance(emphasis.parent, nodes.reference | nodes.title):
            continue
        link = find(app.env, name, app.builder, "term", term, addnodes.pending_xref(), emphasis.deepcopy())
        if link is not None:
            link["reftitle"] = meanings()[term]
            emphasis.replace_self(link)


@cache
def meanings() -> dict[str, str]:
    """Return what each term of the glossary means, by the term in small letters."""
    return {term.lower(): meaning for terms, meaning, _ in read_terms() for term in terms}


def repository() -> str | None:
    """Return the address of the repository, which is known where GitHub makes the site."""
    server, name = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    return f"{server}/{name}" if server and name else None
