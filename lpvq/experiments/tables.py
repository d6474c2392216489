"""What ``lpvq evaluate`` and ``lpvq study`` print, from the figures that were measured."""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from lpvq.experiments.studies import Point

Result = dict[str, Any]


def format_part(part: str, figures: Result) -> str:
    """Return the table of one part of a ``Report``."""
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
    share = figures["share_of_unigram"]
    rows.append(("prior / unigram", "" if share is None else f"{share:.1%}", "", ""))
    rows.append(("training", f"{figures['seconds']:.0f} s", "", ""))
    return text_table(
        "prior: the PixelCNN on test images", ["", "bits per code", "nats per image", "bits per pixel"], rows
    )


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
    memorisation = [
        f"  memorisation, by {space}: {found['found']:.1%} of generated images are nearer to a reconstructed training "
        f"image than {found['expected']:.1%} of reconstructed test images are (p = {found['p_value']:.2g})"
        for space, found in figures["memorisation"].items()
    ]
    title = f"samples: {number:,} images against as many training images"
    fid = figures["inception_fid_of_samples"]
    usual = [] if fid is None else [f"  FID of the prior samples, with Inception's features: {fid:.2f}"]
    return "\n".join(
        [text_table(title, head, rows), *usual, f"  the classifier is right about: {accuracies}", *memorisation]
    )


def _truth(figures: Result) -> str:
    head = ["total variation from the truth", "generated", "reconstructed", "true faces"]
    single = [factor for factor in figures["factors"] if "×" not in factor["name"]]
    pairs = [factor for factor in figures["factors"] if "×" in factor["name"]]
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


def format_study(points: Sequence[Point]) -> str:
    """Return the table of a study: for each recipe the mean over seeds, and from two seeds on their spread."""
    rows = []
    for group, name in dict.fromkeys((point.group, point.name) for point in points):
        runs = [point for point in points if (point.group, point.name) == (group, name)]
        row = [group, name]
        for what, digits in (("error", 4), ("nats", 1), ("perplexity", 1)):
            row.append(_mean_and_spread([getattr(run, what) for run in runs], digits))
        rows.append([*row, f"{mean(run.usage for run in runs):.0%}"])
    head = ["", "", "MSE / variance", "nats per image", "perplexity", "codes in use"]
    seeds = len({point.seed for point in points})
    title = "recipes, trained equally long" + (f"; mean and standard deviation over {seeds} seeds" * (seeds > 1))
    return text_table(title, head, rows)


def _mean_and_spread(values: Sequence[float], digits: int) -> str:
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{spread}"


def _estimate(value: Result, digits: int) -> str:
    return f"{value['value']:.{digits}f} ± {value['error']:.{digits}f}"


def text_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as what stands in them, the first one at the left, the others at the right."""
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
