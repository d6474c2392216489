"""The page as one file: template, styles and scripts put together, with the trained models of the project inside."""

import re
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from lpvq.data import smileys
from lpvq.data.images import ImageData
from lpvq.data.latent_codes import extract_codes
from lpvq.data.loading import load
from lpvq.errors import InputError
from lpvq.evaluation.codes import decode_entries, mean_patches
from lpvq.files import write_atomically
from lpvq.models.code_usage import code_counts
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.pretrained import load_pretrained_and_about
from lpvq.models.vqvae import VQVAE
from lpvq.models.whole_number_conversion import whole_number_prior
from lpvq.page import contents, packing
from lpvq.page.coarsening import coarsen

HERE = Path(__file__).parent
ENGINE = ("unpack", "whole_numbers", "attention", "prior", "sampling", "vqvae")
"""The scripts that compute, each after those that it needs."""
SCRIPTS = (*ENGINE, "cells", "pictures", "pair", "drawing", "draw_panel", "complete_panel", "paint_panel", "main")
LARGEST = 2_000_000
"""How many bytes the page may have."""

RECIPE = 1
"""To be counted up when the same weights are to become different numbers."""

_NAME = "smileys"
_LOOKED_AT = 1000  # faces that tell how weights are best rounded
_PATCHES_OF = 5000  # faces that tell what each code stands for

_ABOUT = (
    "The networks are a VQ-VAE and a gated PixelCNN, trained on rendered faces by the course <em>lpvq</em>. "
    "Their weights are rounded so that they fit into this file; what the second one computes is the same, number for "
    "number, in every browser."
)

_MODELS = re.compile(r'<script type="text/plain" id="models">(.*?)</script>', re.DOTALL)


def scripts(names: tuple[str, ...] = SCRIPTS) -> str:
    """Return scripts of the page, one after another."""
    return "\n".join((HERE / "js" / f"{name}.js").read_text(encoding="utf-8") for name in names)


def export_page(path: Path) -> str:
    """Write the page, with the trained models that come with the project; return what is to be said about it.

    Models that are already in it, of the same weights, are used again.

    Args:
        path: of the file.

    Raises:
        InputError: the page would be too large.
        OSError: the disk is full or not writable.
    """
    models = models_in(path.read_text(encoding="utf-8")) if path.exists() else ""
    again = models and packing.unpack(models)[0]["made_of"] == made_of()
    page = make_page(models if again else pack_models()).encode()
    if len(page) > LARGEST:
        raise InputError(f"the page would have {len(page):,} bytes, more than {LARGEST:,}")
    write_atomically(path, page)
    return f"{len(page):,} bytes, {'the models as they were' if again else 'the models packed anew'}"


def pack_models() -> str:
    """Return the trained models that come with the project as the page holds them; takes half a minute."""
    (vqvae, _), (prior, _) = load_pretrained_and_about(_NAME)
    faces = load(_NAME, limit=_PATCHES_OF)
    codes = extract_codes(vqvae, faces)
    some, labels = codes.codes[:_LOOKED_AT].long(), codes.labels[:_LOOKED_AT]
    model = whole_number_prior(cast(PixelCNN, prior), some, labels)
    coarsen(model, some, labels)
    prior_facts, prior_arrays = contents.prior_contents(model)
    vqvae_facts, vqvae_arrays = contents.vqvae_contents(vqvae, faces.floats(slice(_LOOKED_AT)))
    arrays = {f"prior.{name}": packed for name, packed in prior_arrays.items()}
    arrays |= {f"vqvae.{name}": packed for name, packed in vqvae_arrays.items()}
    arrays["patches"] = contents.patches_contents(_patches(vqvae, codes.codes, faces))
    facts = {
        "made_of": made_of(),
        "labels": faces.class_names,
        "colours": {name: [round(255 * float(part)) for part in rgb] for name, rgb in smileys.palette().items()},
        "prior": prior_facts,
        "vqvae": vqvae_facts,
    }
    return packing.pack(facts, arrays)


def make_page(models: str) -> str:
    """Return the page.

    Args:
        models: what ``packing.pack`` made of the models.
    """
    if "</" in models or "<!--" in models:  # base 85 has no slash, and the second is as good as impossible
        raise ValueError("the models as text would end the script that holds them")
    parts = {
        "style": (HERE / "page.css").read_text(encoding="utf-8"),
        "scripts": scripts(),
        "about": _ABOUT,
        "models": models,
    }
    template = (HERE / "template.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _patches(vqvae: VQVAE, codes: Tensor, faces: ImageData) -> Tensor:
    """What each code stands for in faces: the mean of its patches; if they have none, what it decodes to."""
    number = vqvae.quantizer.num_codes
    means = mean_patches(codes, faces, vqvae.downsample, number)
    known = code_counts(codes.flatten().long(), number) > 0
    return means.where(known[:, None, None, None], decode_entries(vqvae))


def made_of() -> dict[str, Any]:
    """Return what tells models packed in one way from others: checksums of their weights, and the recipe."""
    (_, vqvae), (_, prior) = load_pretrained_and_about(_NAME)
    return {"vqvae": vqvae["weights_sha256"], "prior": prior["weights_sha256"], "recipe": RECIPE}


def models_in(page: str) -> str:
    """Return the models that a page holds, as they were given to ``make_page``."""
    found = _MODELS.search(page)
    return found[1] if found else ""
