"""From a trained ``PixelCNN`` to one in whole numbers, without training it anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.models.attention import AttentionToRowsAbove
from lpvq.models.contexts import axis_features
from lpvq.models.exact_sums import FINE, Source, fit, scaled, unit_for, units_for
from lpvq.models.gated import GatedBlock
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.whole_number import (
    ASKED,
    EMBEDDED,
    FEATURES,
    GATE_UNIT,
    GATED,
    GATED_UNIT,
    HIDDEN,
    LOGIT_UNIT,
    NORM_UNIT,
    SCORE_UNIT,
    SPREAD,
    Attention,
    Layer,
    make_tables,
    normalised_largest,
)
from lpvq.models.whole_number_prior import WholeNumberPixelCNN

_SHIFT_STEPS = 2  # to a unit, of what labels and places add


def whole_number_prior(prior: PixelCNN, codes: Tensor, labels: Tensor | None = None) -> WholeNumberPixelCNN:
    """Return a prior in whole numbers that gives nearly the same probabilities, on the CPU.

    Args:
        prior: a trained one, of one level.
        codes: grids like those that it is for, int64 (B, H, W): they tell how large the features become. A few hundred
            of its training codes are enough.
        labels: their labels, int64 (B,), for a prior with classes.

    Raises:
        InputError: a prior with coarse codes, or one whose numbers are too large; codes or labels that do not fit.
    """
    if prior.num_coarse_codes is not None:
        raise InputError("a prior that is given coarse codes cannot be turned into whole numbers")
    names = ("latent_dim", "image_size", "num_blocks", "kernel_size", "hidden_channels", "num_classes", "position")
    model = WholeNumberPixelCNN(**{name: prior.config[name] for name in (*names, "num_attentions")})
    # In float64 on the CPU, where a sum in another order rounds to the same whole numbers; in float32 one in a million
    # does not, and the files of two machines would not match.
    prior = deepcopy(prior).cpu().double().without_codebook().eval()
    ranges = _ranges(prior, codes.cpu(), None if labels is None else labels.cpu())
    _convert(prior, ranges, model)
    model.check_sums()
    return model.eval()


@torch.no_grad()
def _convert(prior: PixelCNN, ranges: dict[str, Tensor], model: WholeNumberPixelCNN) -> None:
    vectors = prior.embedding.weight.double()
    unit_e = unit_for(vectors.abs().max(), EMBEDDED)
    model.vectors.copy_(scaled(vectors, -unit_e).round())
    for name, table in make_tables().items():
        getattr(model, f"{name}_table").copy_(table)
    unit_v = unit_for(ranges["v"].max(), GATED)  # of what goes into the first block
    units_h = units_for(ranges["h"], FEATURES)
    units_h = units_h.clamp(min=int(units_h.max()) - SPREAD)
    conv = prior.vertical_input.conv
    found, bias = fit([Source(_flat(conv), unit_e, EMBEDDED)], cast(Tensor, conv.bias), unit_v)
    model.vertical_input.keep(*found[0], bias)

    # The horizontal features are one long sum: of the input layer, and of what each layer adds.
    conv = prior.horizontal_input.conv
    sources, readers = [Source(_flat(conv), unit_e, EMBEDDED)], [model.horizontal_input]
    units_v = [unit_v, *[GATED_UNIT] * (prior.num_blocks - 1)]
    for number, (layer, unit) in enumerate(zip(cast(list[Layer], list(model.layers)), units_v, strict=True)):
        block = cast(GatedBlock, prior.blocks[number])
        largest = float(ranges[f"features {number}"].max())
        _convert_block(block, layer, unit, units_h, largest, prior.image_size)
        sources.append(Source(block.output.weight.flatten(1), GATED_UNIT, GATED))
        readers.append(layer.output)
        if layer.attention is not None:
            attention = cast(AttentionToRowsAbove, prior.attentions[str(number)])
            units = [unit_for(ranges[f"{name} {number}"].max(), ASKED) for name in ("queries", "keys", "values")]
            _convert_attention(attention, layer.attention, units, unit_e, units_h, prior.image_size)
            sources.append(Source(attention.output.weight, units[2], ASKED))
            readers.append(layer.attention.output)
    found, bias = fit(sources, cast(Tensor, conv.bias), units_h)
    for reader, part in zip(readers, found, strict=True):
        reader.keep(*part, bias)

    inner, outer = (conv for conv in prior.head if isinstance(conv, nn.Conv2d))
    unit_u = unit_for(ranges["hidden"].max(), HIDDEN)
    found, bias = fit([Source(inner.weight.flatten(1), units_h, FEATURES)], cast(Tensor, inner.bias), unit_u)
    model.inner.keep(*found[0], bias)
    found, bias = fit(
        [Source(outer.weight.flatten(1), unit_u, HIDDEN)], cast(Tensor, outer.bias), LOGIT_UNIT, largest_weight=FINE
    )
    model.outer.keep(*found[0], bias)


def _convert_block(
    block: GatedBlock, layer: Layer, unit_v: int, units_h: Tensor, largest: float, size: tuple[int, int]
) -> None:
    twice = torch.ones(2 * block.output.weight.shape[0], dtype=torch.float64)
    twice[: len(twice) // 2] = 2  # what adds to a, see ``lpvq.models.whole_number``
    if layer.label_shifts is not None and block.label_shift is not None:
        layer.label_shifts.copy_(_in_steps(block.label_shift.weight.double() * twice.repeat(2), GATE_UNIT))
    if layer.row_shifts is not None and layer.column_shifts is not None:
        weight = cast(nn.Conv2d, block.context_shifts[0]).weight.flatten(1).double() * twice.repeat(2)[:, None]
        for table, part, length in zip((layer.row_shifts, layer.column_shifts), weight.chunk(2, 1), size, strict=True):
            table.copy_(_in_steps(axis_features(length).T @ part.T, GATE_UNIT))
    more_v, more_h = layer.largest_shifts()
    conv = block.vertical.conv
    vertical, bias = fit(
        [Source(_flat(conv) * twice[:, None], unit_v, GATED)], cast(Tensor, conv.bias) * twice, GATE_UNIT, more_v
    )
    layer.vertical.keep(*vertical[0], bias)
    link = block.link.weight.flatten(1).double() * twice[:, None] / twice
    unit = unit_for(torch.tensor(2 * largest), FEATURES)
    layer.link_shift.fill_(GATE_UNIT - unit)
    # Half a step of the gate's unit has been added to what the link reads, and it rounds down to its own unit.
    too_much = (2.0**GATE_UNIT - 2.0**unit) / 2
    bias = cast(Tensor, block.link.bias) * twice - link.sum(1) * too_much
    horizontal = _flat(block.horizontal.conv) * twice[:, None]
    found, bias = fit(
        [
            Source(horizontal, units_h.repeat(horizontal.shape[1] // len(units_h)), FEATURES),
            Source(link, unit, FEATURES),
        ],
        bias,
        GATE_UNIT,
        more_h,
    )
    layer.horizontal.keep(*found[0])
    layer.link.keep(*found[1], bias)


def _convert_attention(
    attention: AttentionToRowsAbove,
    layer: Attention,
    units: list[int],
    unit_e: int,
    units_h: Tensor,
    size: tuple[int, int],
) -> None:
    unit_q, unit_k, unit_values = units
    channels = attention.query.weight.shape[0]
    scale = (channels // attention.heads) ** -0.5
    rows, columns = (axis_features(length).T for length in size)  # (H, P / 2), (W, P / 2)
    for name, linear, table_unit, factor in (
        ("query", attention.query_place, unit_q, torch.tensor(scale)),
        ("key_value", attention.key_value_place, unit_k, _of_values(channels, unit_k - unit_values)),
    ):
        for axis, features, part in zip(("rows", "columns"), (rows, columns), linear.weight.chunk(2, 1), strict=True):
            table = features @ part.double().T * factor
            getattr(layer, f"{name}_{axis}").copy_(_in_steps(table, table_unit))
    more_q, more_kv = layer.largest_places()
    norm, query = attention.norm, attention.query
    weight = query.weight.double() * scale
    bias = cast(Tensor, query.bias) * scale + weight @ norm.bias.double()
    found, bias = fit(
        [Source(weight * norm.weight, NORM_UNIT, normalised_largest(channels))], bias, unit_q, more_q, FINE
    )
    layer.query.keep(*found[0], bias)
    unit = int(units_h.min())
    layer.alike.copy_(units_h - unit)
    layer.epsilon.fill_(max(1.0, round(norm.eps * channels**3 * 4.0**-unit)))
    factor = _of_values(channels, unit_k - unit_values)
    weight = attention.key_value.weight.double() * factor[:, None]
    weight[:, channels:] *= 2.0 ** (unit_e - GATED_UNIT)  # as if embedded codes were in the unit of vertical features
    bias = cast(Tensor, attention.key_value.bias) * factor
    found, bias = fit([Source(weight, GATED_UNIT, GATED)], bias, unit_k, more_kv, FINE)
    layer.key_value.keep(*found[0], bias)
    nothing = scaled(attention.nothing.double() * factor, -unit_k)
    layer.nothing.copy_(nothing.round().clamp(-ASKED, ASKED))
    layer.score_shift.fill_(unit_q + unit_k - SCORE_UNIT)


def _of_values(channels: int, exponent: int) -> Tensor:
    """Return 1 for keys and a power of two for values, float64 (2C,): both as if in the unit of keys."""
    return torch.ones(2 * channels, dtype=torch.float64).where(torch.arange(2 * channels) < channels, 2.0**exponent)


def _flat(conv: nn.Conv2d) -> Tensor:
    """A kernel as a matrix for what stands side by side: float64 (out, rows · columns · in)."""
    return conv.weight.double().permute(0, 2, 3, 1).flatten(1)


def _in_steps(values: Tensor, unit: int) -> Tensor:
    """What is added to a sum, in its unit, in multiples of a half."""
    return (scaled(values, -unit) * _SHIFT_STEPS).round() / _SHIFT_STEPS


@torch.no_grad()
def _ranges(prior: PixelCNN, codes: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
    """Return the largest absolute values of features over a set of grids: by name, for each channel."""
    largest: dict[str, Tensor] = {}

    def note(name: str, x: Tensor) -> None:
        here = x.abs().amax([axis for axis in range(x.ndim) if axis != 1])
        largest[name] = torch.maximum(largest[name], here) if name in largest else here

    with _noting(prior, note):
        for first in range(0, len(codes), 64):
            some = slice(first, first + 64)
            prior(codes[some], None if labels is None else labels[some])
    return largest


@contextmanager
def _noting(prior: PixelCNN, note: Any) -> Iterator[None]:
    hooks = [
        prior.vertical_input.register_forward_hook(lambda _, __, out: note("v", out)),
        prior.horizontal_input.register_forward_hook(lambda _, __, out: note("h", out)),
        prior.head[2].register_forward_hook(lambda _, __, out: note("hidden", out)),
    ]
    for index, block in enumerate(cast(list[GatedBlock], list(prior.blocks))):
        hooks.append(block.register_forward_hook(lambda _, __, out: note("h", out[1])))
        hooks.append(block.vertical.register_forward_hook(lambda _, __, out, name=f"features {index}": note(name, out)))
    for number, layer in prior.attentions.items():
        hooks.append(layer.register_forward_hook(lambda _, __, out: note("h", out)))
        _note_attention(cast(AttentionToRowsAbove, layer), number, note)
    yield
    for hook in hooks:
        hook.remove()


def _note_attention(layer: AttentionToRowsAbove, number: str, note: Any) -> None:
    queries, keys_and_values = layer.queries, layer.keys_and_values

    def noted_queries(*given: Tensor) -> Tensor:
        made = queries(*given)
        note(f"queries {number}", made)
        return made

    def noted_keys_and_values(*given: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = keys_and_values(*given)
        note(f"keys {number}", keys)
        note(f"values {number}", values)
        return keys, values

    # These are methods of a copy of the prior, which is thrown away.
    setattr(layer, "queries", noted_queries)  # noqa: B010
    setattr(layer, "keys_and_values", noted_keys_and_values)  # noqa: B010
