"""A notebook with every explorer, each in a cell of its own, on the trained models of the course."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode, v4

SETUP = """
from lpvq import extract_codes, load_pretrained
from lpvq.course import widgets
from lpvq.data.loading import load
from lpvq.evaluation.codes import mean_patches

vqvae, prior = load_pretrained("smileys")
train = load("smileys", limit=500)
patches = mean_patches(extract_codes(vqvae, train).codes, train, vqvae.downsample, 256)
faces = load("smileys", split="test", limit=8)
"""
EXPLORERS = {
    "codebook": "widgets.CodebookExplorer(vqvae, faces.floats(), patches)",
    "sampling": "widgets.SamplingPlayer(vqvae, prior, faces.class_names, patches)",
    "completion": "widgets.CompletionExplorer(vqvae, prior, faces.floats(), faces.labels, faces.class_names)",
    "board": "widgets.DrawingBoard(vqvae, prior, faces.class_names, patches)",
    "receptive_field": "widgets.ReceptiveFieldExplorer()",
    "plane": "widgets.PlaneExplorer()",
}


def make_notebook(*names: str) -> NotebookNode:
    """Return a notebook with these explorers, in this order."""
    cells = [v4.new_code_cell(source.strip()) for source in (SETUP, *(EXPLORERS[name] for name in names))]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def make_here(name: str) -> object:
    """Return an explorer of this process, to compare with the one in the page."""
    known: dict = {}
    exec(SETUP, known)
    return eval(EXPLORERS[name], known)


def write_notebook(path: Path, *names: str) -> None:
    """Write that notebook to a file."""
    nbformat.write(make_notebook(*names), path)
