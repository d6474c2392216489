"""What ``lpvq evaluate`` prints, from the figures that were measured."""

from collections.abc import Sequence
from typing import Any

Result = dict[str, Any]

WITHOUT_TRUTH = (
    "No renderer is known for these images. So nothing here says of a single image whether it could exist, or how far "
    "a likelihood is from the best possible one: look at the pictures, and see what each measure misses on smileys."
)
"""What is said about sets other than smileys."""


def format_part(part: str, figures: Result) -> str:
    """Return the table of one part of a ``Report``: its name, and the figures that ``Report.measure`` returned."""
    return {"codes": _codes, "prior": _prior, "samples": _samples, "truth": _truth}[part](figures)


def _codes(figures: Result) -> str:
    reconstruction, codes = figures["reconstruction"], figures["test_codes"]
    rows = [
        ("error, MSE / variance", _estimate(reconstruction["relative_error"], 4)),
        ("PSNR", f"{reconstruction['psnr']:.2f} dB"),
        ("SSIM", _estimate(reconstruction["ssim"], 4)),
        ("codes in use", f"{codes['usage']:.0%} of {len(figures['counts'])}"),
        ("perplexity", f"{codes['perplexity']:.1f}"),
        ("training", f"{figures['seconds']:.0f} s"),
    ]
    return text_table("codes: the VQ-VAE on test images", ["", ""], rows)


def _prior(figures: Result) -> str:
    rows = [
        (
            likelihood["name"],
            _estimate(likelihood["bits"], 3),
            f"{likelihood['nats_per_grid']:.1f}",
            f"{likelihood['bits_per_pixel']:.4f}",
        )
        for likelihood in figures["likelihoods"]
    ]
    source = figures["source"]
    if source:
        nats = source["nats"]["value"]
        known = next(likelihood for likelihood in figures["likelihoods"] if likelihood["name"] == "prior")
        per_nat = known["bits"]["value"] / known["nats_per_grid"], known["bits_per_pixel"] / known["nats_per_grid"]
        bits = {name: value * per_nat[0] for name, value in source["nats"].items()}
        name = "source" if source["parts"] == 1 else "source, at most"
        rows.append((name, _estimate(bits, 3), f"{nats:.1f}", f"{nats * per_nat[1]:.4f}"))
    share = figures["share_of_unigram"]
    rows.append(("prior / unigram", "" if share is None else f"{share:.1%}", "", ""))
    rows.append(("training", f"{figures['seconds']:.0f} s", "", ""))
    head = ["", "bits per code", "nats per image", "bits per pixel"]
    lines = [text_table("prior: the PixelCNN on test images", head, rows)]
    if source:
        lines.append(
            f"  the prior lacks {_estimate(source['prior_above'], 1)} nats per image: its Kullback-Leibler divergence "
            "from the source"
        )
    return "\n".join(lines)


def _samples(figures: Result) -> str:
    head = ["", "Fréchet distance", "step", "precision", "recall", "density", "coverage", "right class"]
    rows = []
    for quality in figures["sets"]:
        near = [f"{quality['neighbourhoods'][name]['value']:.3f}" for name in head[3:7]]
        accuracy = "" if quality["accuracy"] is None else _estimate(quality["accuracy"], 3)
        step = "" if quality["step"] is None else _estimate(quality["step"], 3)
        rows.append((quality["name"], _estimate(quality["frechet"], 3), step, *near, accuracy))
    number = figures["sets"][0]["number"]
    accuracies = ", ".join(
        f"{name} {accuracy['value']:.1%}" for name, accuracy in figures["classifier_accuracy"].items()
    )
    copies = [
        f"  {_tails(figures['memorisation'], side, word)}"
        for side, word in (("near", "near a training image"), ("far", "far from all of them"))
    ]
    grids = {
        name: f"{100 * share['value']:.2f} ± {100 * share['error']:.2f}%"
        for name, share in figures["repeated_grids"].items()
    }
    copies.append(
        f"  exactly a training grid: {grids['generated']} of generated grids, {grids['held_out']} of test grids"
    )
    title = f"samples: {number:,} images against as many training images"
    fid = figures["inception_fid_of_samples"]
    usual = [] if fid is None else [f"  FID of the prior samples, with Inception's features: {fid:.2f}"]
    return "\n".join([text_table(title, head, rows), *usual, f"  the classifier is right about: {accuracies}", *copies])


def _tails(memorisation: Result, side: str, where: str) -> str:
    """How many generated images lie where few held-out ones do, by each way to measure a distance."""
    found = ", ".join(
        f"{tails[side]['found']:.1%} by {space} (of reconstructed test images {tails[side]['expected']:.1%}; "
        f"p = {tails[side]['p_value']:.2g})"
        for space, tails in memorisation.items()
    )
    return f"{where}: {found}"


def _truth(figures: Result) -> str:
    return "\n".join([_faces(figures["faces"]), _factors(figures["factors"])])


def _faces(faces: Result) -> str:
    kinds = list(faces["sets"][0]["kinds"])
    head = ["", "local error", "true", "plainly wrong", *kinds]
    rows = [
        (
            one["name"],
            f"{one['median']:.4f}",
            percentage(**one["true"]),
            percentage(**one["wrong"]),
            *(f"{100 * one['kinds'][kind]['value']:.1f}%" for kind in kinds),
        )
        for one in faces["sets"]
    ]
    number = faces["sets"][0]["number"]
    title = f"truth: {number:,} faces beside the nearest that the renderer can draw; what is plainly wrong"
    return "\n".join(
        [
            text_table(title, head, rows),
            f"  true to the renderer: with a local error up to {faces['threshold']:.4f}, as 99% of reconstructions",
        ]
    )


def _factors(factors: list[Result]) -> str:
    head = ["total variation from the truth", "generated", "reconstructed", "true faces"]
    single = [factor for factor in factors if "×" not in factor["name"]]
    pairs = [factor for factor in factors if "×" in factor["name"]]
    pairs.sort(key=lambda factor: factor["calibration"] - factor["samples"])
    rows = [
        (factor["name"], f"{factor['samples']:.3f}", f"{factor['reconstructions']:.3f}", f"{factor['calibration']:.3f}")
        for factor in [*single, *pairs[:3]]
    ]
    rarest = sorted(
        (
            (frequency * len(factor["values"]), f"{factor['name']} {value}")
            for factor in single
            for value, frequency in zip(factor["values"], factor["frequencies"], strict=True)
        )
    )[:3]
    lacking = ", ".join(f"{name} ({share:.0%})" for share, name in rarest)
    return "\n".join(
        [text_table("truth: factors of generated faces (and the three worst pairs)", head, rows),
         f"  rarest, beside how often they should be: {lacking}"]
    )  # fmt: skip


def _estimate(value: Result, digits: int) -> str:
    return f"{value['value']:.{digits}f} ± {value['error']:.{digits}f}"


def percentage(value: float, error: float) -> str:
    """Return a share, 0 … 1, and its standard error as text, in per cent."""
    return f"{100 * value:.1f} ± {100 * error:.1f}%"


def text_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text: a line, the title and the rows.

    Args:
        title: of the table.
        head: one for each column; where all are empty, there is no such row.
        rows: the cells of each row, as many as in ``head``. The first column stands at the left, the others at the
            right.
    """
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "  " + "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in ([head, *rows] if any(head) else rows)
    ]  # fmt: skip
    line = "─" * max(len(title), *(len(text) for text in lines))
    return "\n".join([line, title, *lines])
