"""One page that shows what was made of a set of images: ``report.html``, with all pictures inside, for any browser."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from shlex import quote
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.data.folders import LeftOut, readable
from lpvq.evaluation.distances import NearestSoFar
from lpvq.experiments.animation import draw_grid, gif
from lpvq.experiments.own_pictures import as_picture
from lpvq.experiments.workspace import Workspace
from lpvq.files import write_atomically
from lpvq.lettering import on_one_line
from lpvq.runtime import progress
from lpvq.training.trainer import History

FEW = 500
"""This many pictures or fewer are memorised."""

_OWN, _RECONSTRUCTED, _BESIDE_NEAREST = 24, 8, 12
_LOOKED_AT = 16  # pixels: the height at which pictures are compared
_NAMED = 200  # files that are left out
_WIDTH, _HEIGHT, _MARGIN = 560, 220, 46

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #ffffff; --soft: #f1f1ee; --line: #c9c9c4; --quiet: #55554f;
  --one: #0072b2; --two: #b34700; --note: #fff3cf; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececec; --paper: #17181a; --soft: #232528; --line: #45484d;
  --quiet: #b4b7bb; --one: #67bdf0; --two: #ff9d5c; --note: #40370f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .4rem; }
p { margin: .4rem 0 .8rem; max-width: 46rem; }
.quiet, figcaption { color: var(--quiet); }
.note { background: var(--note); padding: .7rem 1rem; border-radius: .4rem; }
.row { display: flex; flex-wrap: wrap; gap: .9rem; margin: .8rem 0; }
figure { margin: 0; }
figcaption { font-size: .85rem; max-width: 9.5rem; overflow-wrap: anywhere; }
img.pixels { image-rendering: pixelated; width: 72px; height: 72px; background: #fff; display: inline-block; }
.pair img.pixels { width: 64px; height: 64px; margin-right: 4px; }
img.wide { max-width: 100%; height: auto; background: #fff; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .9rem; }
.number { background: var(--soft); border-radius: .5rem; padding: .8rem 1rem; }
.number b { display: block; font-size: 1.8rem; line-height: 1.2; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; background: var(--soft); border-radius: .5rem; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
pre { background: var(--soft); padding: .7rem 1rem; border-radius: .4rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
li { overflow-wrap: anywhere; }
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; }
  figure, .number, svg { break-inside: avoid; } }
"""


def write_page(
    workspace: Workspace, images: Tensor, codes: Tensor, labels: Tensor, measured: Mapping[str, Mapping[str, Any]]
) -> Path:
    """Write ``report.html``, one file that needs no other and no network; return where it is.

    Args:
        workspace: what it is about.
        images: generated ones, (N, C, H, W), floats in [0, 1].
        codes: of the generated images, int64 (N, h, w).
        labels: what they were made for, int64 (N,).
        measured: the figures of the parts "codes" and "prior" of a ``Report``.
    """
    name = _title(workspace)
    parts = [
        f"<h1>{escape(name)}: from pictures to new pictures</h1>",
        _about(workspace),
        *(f'<p class="note">{escape(note)}</p>' for note in warnings_of(workspace)),
        *_own_pictures(workspace),
        *_reconstructions(workspace),
        *_new_pictures(workspace, images, labels),
        *_animation(workspace, codes[0], _class_name(workspace, int(labels[0]))),
        *_numbers(workspace, codes, measured),
        *_curves(workspace),
        *_left_out(workspace),
        *_how_to_go_on(workspace),
    ]
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(name)} – lpvq</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )
    path = workspace.path("report.html")
    write_atomically(path, page.encode(errors="replace"))
    return path


def warnings_of(workspace: Workspace) -> list[str]:
    """Return what has to be said alongside all numbers and pictures of a workspace."""
    notes = []
    if workspace.profile == "smoke" and not workspace.pretrained:
        notes.append(
            "The profile smoke trains for seconds, to test that everything runs: its new pictures are fog. "
            "The profile laptop takes minutes."
        )
    number = len(workspace.all_train_data)
    if workspace.prepared is not None and number < FEW:
        notes.append(
            f"With only {number} pictures to learn from, these will be memorised: new pictures will be copies of them, "
            "or mixtures. From some hundreds of one kind on, there is something to learn."
        )
    return notes


def _title(workspace: Workspace) -> str:
    kind, _, path = workspace.dataset.partition(":")
    return on_one_line(readable(Path(path).name)) if path else kind


def _class_name(workspace: Workspace, label: int) -> str:
    return on_one_line(workspace.class_names[label])


def _about(workspace: Workspace) -> str:
    size = workspace.test_data.images.shape[-1]
    learning, test, classes = len(workspace.all_train_data), len(workspace.test_data), len(workspace.class_names)
    return (
        f'<p class="quiet">{learning:,} pictures to learn from and {test:,} to test on, '
        f"{classes} {'class' if classes == 1 else 'classes'}, at {size} × {size} pixels. Profile "
        f"{workspace.profile}, seed {workspace.seed}.</p>"
    )


def _own_pictures(workspace: Workspace) -> list[str]:
    train = workspace.train_data
    figures = [
        _figure([train.floats([index])[0]], f"A training picture, class {name}", name)
        for index, name in _with_names(workspace, train.labels[:_OWN])
    ]
    what = "Your pictures" if workspace.prepared is not None else "The pictures"
    return [
        f"<h2>{what}</h2>",
        "<p>Some of those to learn from, as they were read: upright, the square in the middle, made small.</p>",
        _row(figures),
    ]


def _reconstructions(workspace: Workspace) -> list[str]:
    test = workspace.test_data
    images = test.floats(slice(_RECONSTRUCTED))
    codes = workspace.vqvae.encode(images.to(workspace.device))
    decoded = workspace.vqvae.decode(codes).cpu()
    figures = [
        _figure([images[index], decoded[index]], f"A test picture, class {name}, and its reconstruction", name)
        for index, name in _with_names(workspace, test.labels[:_RECONSTRUCTED])
    ]
    height, width = codes.shape[1:]
    return [
        "<h2>What the codes keep</h2>",
        f"<p>Pictures that no training has seen, and beside each what comes back from its {height} × {width} codes. "
        "What is lost here, no new picture can have.</p>",
        _row(figures),
    ]


def _new_pictures(workspace: Workspace, images: Tensor, labels: Tensor) -> list[str]:
    shown = images[:_BESIDE_NEAREST]
    nearest = _nearest(workspace, shown)
    train = workspace.train_data
    figures = [
        _figure(
            [shown[index], train.floats([int(nearest[index])])[0]],
            f"A new picture of class {name}, and the training picture nearest to it",
            name,
        )
        for index, name in _with_names(workspace, labels[:_BESIDE_NEAREST])
    ]
    rest = [
        _figure([images[index]], f"A new picture of class {name}", "")
        for index, name in _with_names(workspace, labels)
        if index >= _BESIDE_NEAREST
    ]
    return [
        "<h2>New pictures</h2>",
        "<p>At the left of each pair a picture that was drawn, at the right the training picture nearest to it. Where "
        "the two are the same, it was memorised.</p>",
        _row(figures),
        *(["<p>More of them:</p>", _row(rest)] if rest else []),
    ]


def _nearest(workspace: Workspace, images: Tensor) -> Tensor:
    """The index of the training picture nearest to each of ``images``, by what is seen at a small size."""

    def small(some: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(some, _LOOKED_AT).flatten(1)

    nearest, train = NearestSoFar(small(images)), workspace.train_data
    for batch in progress(train.batches(), "looking for the nearest pictures", least=256):
        nearest.look_at(small(train.floats(batch)))
    return nearest.found()[1]


def _animation(workspace: Workspace, codes: Tensor, name: str) -> list[str]:
    content = gif(draw_grid(workspace, codes), workspace.settings)
    alternative = f"A grid of codes of class {name} is drawn code by code, at its right the picture it becomes"
    return [
        "<h2>A grid being drawn</h2>",
        "<p>Code by code, in reading order; each shown as the patch that it stands for, and at the right what is "
        "decoded so far.</p>",
        f'<img class="wide" alt="{escape(alternative)}" src="data:image/gif;base64,{_text(content)}">',
    ]


def _numbers(workspace: Workspace, codes: Tensor, measured: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lost = measured["codes"]["reconstruction"]["relative_error"]["value"]
    bits = {one["name"]: one["bits"]["value"] for one in measured["prior"]["likelihoods"]}
    copies = _copies(workspace, codes)
    told = [
        (
            f"{lost:.1%}",
            "of what differs between pixels is lost in the codes (mean squared error by variance, on test pictures). "
            "Less is better; 0 is perfect, and 100% what one colour for all would reach.",
        ),
        (
            f"{bits['prior']:.2f} bits",
            f"for each code is what the prior needs on test pictures. {_beside_counting(bits)} On training pictures it "
            f"needs {bits['prior, training images']:.2f}: much less there means memorised.",
        ),
        (
            f"{copies} of {len(codes)}",
            "grids that were drawn are, code for code, the grid of a training picture. Many say that pictures are "
            "repeated; simple pictures are repeated by chance, too.",
        ),
    ]
    cards = [f'<div class="number"><b>{number}</b>{escape(text)}</div>' for number, text in told]
    return ["<h2>Three numbers</h2>", '<div class="numbers">', *cards, "</div>"]


def _beside_counting(bits: Mapping[str, float]) -> str:
    """Say what a prior's bits are worth."""
    counting = f"If it only knew how often each code occurs, it would need {bits['unigram']:.2f}."
    if bits["prior"] < bits["unigram"]:
        return f"Less is better. {counting}"
    return f"{counting} So it has learned nothing that holds for pictures it has not seen."


def _copies(workspace: Workspace, codes: Tensor) -> int:
    """How many grids exactly equal one that was learned from."""
    learned, copied = workspace.train_codes, torch.zeros(len(codes), dtype=torch.bool)
    flat = codes.flatten(1)
    for some in learned.codes[: len(learned) - workspace.num_held_out(len(learned))].flatten(1).split(2**14):
        # Most already differ in the first codes.
        for index, grid in enumerate(flat):
            alike = some[(some[:, :4] == grid[:4]).all(1)]
            copied[index] |= bool((alike == grid).all(1).any())
    return int(copied.sum())


def _curves(workspace: Workspace) -> list[str]:
    if workspace.pretrained:
        return []
    curves = [
        _curve(workspace.vqvae_about["history"], "VQ-VAE: error (MSE / variance)"),
        _curve(workspace.prior_about["history"], "Prior: nats per code"),
    ]
    return [
        "<h2>How the training went</h2>",
        "<p>The solid line is the loss on training pictures (of the VQ-VAE with what the codes cost), the dashed line "
        "that on pictures held out. Where the dashed line rises again, training longer memorises.</p>",
        '<div class="curves">',
        *curves,
        "</div>",
    ]


def _curve(history: History, title: str) -> str:
    """A drawing of training and validation loss over the steps."""
    lines = {"train_loss": [one["train_loss"] for one in history], "valid_loss": [one["valid_loss"] for one in history]}
    steps = [one["step"] for one in history]
    values = [value for line in lines.values() for value in line]
    low, high, last = min(values), max(values), steps[-1]

    def at(step: int, value: float) -> str:
        x = _MARGIN + (_WIDTH - _MARGIN - 12) * step / last
        y = 30 + (_HEIGHT - 62) * (high - value) / ((high - low) or 1)
        return f"{x:.1f},{y:.1f}"

    paths = []
    for (key, line), (colour, dash) in zip(lines.items(), (("one", ""), ("two", "7 5")), strict=True):
        points = " ".join(at(step, value) for step, value in zip(steps, line, strict=True))
        paths.append(
            f'<polyline points="{points}" fill="none" stroke="var(--{colour})" stroke-width="2.5" '
            f'stroke-dasharray="{dash}"><title>{key}</title></polyline>'
        )
    name = f"{title}, over {last:,} steps: from {values[0]:.3g} to {lines['valid_loss'][-1]:.3g} on held-out pictures"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(name)}">'
        f'<text x="10" y="19">{escape(title)}</text>'
        f'<text x="6" y="42">{high:.3g}</text><text x="6" y="{_HEIGHT - 32}">{low:.3g}</text>'
        f'<line x1="{_MARGIN}" y1="{_HEIGHT - 30}" x2="{_WIDTH - 12}" y2="{_HEIGHT - 30}" stroke="var(--line)"/>'
        f'<text x="{_MARGIN}" y="{_HEIGHT - 11}">step 0</text>'
        f'<text x="{_WIDTH - 12}" y="{_HEIGHT - 11}" text-anchor="end">{last:,}</text>' + "".join(paths) + "</svg>"
    )


def _left_out(workspace: Workspace) -> list[str]:
    prepared = workspace.prepared
    if prepared is None:
        return []
    if not prepared.left_out:
        return ["<h2>What was left out</h2>", "<p>Nothing: every file was read.</p>"]
    by_reason: dict[str, list[LeftOut]] = {}
    for one in prepared.left_out:
        by_reason.setdefault(one.reason, []).append(one)
    items = []
    for reason, some in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        named = [on_one_line(readable(one.name)) + (f" ({one.detail})" if one.detail else "") for one in some[:_NAMED]]
        more = f", and {len(some) - _NAMED} more" if len(some) > _NAMED else ""
        items.append(f"<li><b>{len(some)} {escape(reason)}</b>: {escape(', '.join(named))}{more}</li>")
    return ["<h2>What was left out</h2>", "<ul>", *items, "</ul>"]


def _how_to_go_on(workspace: Workspace) -> list[str]:
    dataset = readable(workspace.dataset)
    quoted = quote(dataset)
    options = f"--dataset {quoted}" + (" --pretrained" if workspace.pretrained else "")
    if workspace.recipe.size is not None:
        options += f" --size {workspace.recipe.size}"
    if workspace.profile != "laptop" and not workspace.pretrained:
        options += f" --profile {workspace.profile}"
    label = quote(_class_name(workspace, 0))
    tries = [
        ("more of one class, closer to the usual", f"lpvq sample {options} --label {label} --temperature 0.8"),
        ("the same with an animation and a file for each", f"lpvq sample {options} --gif --png-each"),
        ("how far new pictures are from yours", f"lpvq evaluate {options}"),
        ("train for hours instead of minutes", f"lpvq demo --dataset {quoted} --profile long"),
    ]
    lines = "\n\n".join(f"# {what}\n{command}" for what, command in tries)
    return ["<h2>How to go on</h2>", f"<pre>{escape(lines)}</pre>"]


def _with_names(workspace: Workspace, labels: Tensor) -> list[tuple[int, str]]:
    return [(index, _class_name(workspace, label)) for index, label in enumerate(labels.tolist())]


def _figure(images: Sequence[Tensor], alternative: str, caption: str) -> str:
    texts = [alternative, *[""] * (len(images) - 1)]  # said once for both of a pair
    pictures = "".join(
        f'<img class="pixels" alt="{escape(text)}" src="data:image/png;base64,{_png(image)}">'
        for image, text in zip(images, texts, strict=True)
    )
    told = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure{' class=' + chr(34) + 'pair' + chr(34) if len(images) > 1 else ''}>{pictures}{told}</figure>"


def _row(figures: Sequence[str]) -> str:
    return f'<div class="row">{"".join(figures)}</div>'


def _png(image: Tensor) -> str:
    buffer = BytesIO()
    as_picture(image).save(buffer, "PNG")
    return _text(buffer.getvalue())


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
