"""What the page holds from the models: a prior in whole numbers, a VQ-VAE with rounded weights, patches, names."""

from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lpvq.models.exact_sums import ExactLinear, scaled
from lpvq.models.other_quantizers import EntropyConstrainedQuantizer
from lpvq.models.vqvae import VQVAE, ResidualBlock, Upsampling
from lpvq.models.whole_number import (
    ASKED,
    FEATURES,
    GATED,
    HIDDEN,
    TOTAL,
    Attention,
    Layer,
    normalised_largest,
)
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.page.packing import Packed, whole
from lpvq.page.rounding import noting_moments, round_rows

Arrays = dict[str, Packed]

_BIAS_STEP = -1
_STEPS = 2  # to a unit, of what labels and places add
# The largest whole numbers that weights of the VQ-VAE become. Those of the encoder decide a code; those of the decoder
# are pixels, which are to be within 2/255.
_LARGEST_OF_ENCODER, _LARGEST_OF_DECODER, _LARGEST_OF_CODEBOOK = 127, 380, 2047


def prior_contents(model: WholeNumberPixelCNN) -> tuple[dict[str, Any], Arrays]:
    """Return the facts and the arrays that ``js/prior.js`` computes with."""
    layers = cast(list[Layer], list(model.layers))
    attentions = [number for number, layer in enumerate(layers) if layer.attention is not None]
    facts = {
        "codes": model.latent_dim,
        "height": model.image_size[0],
        "width": model.image_size[1],
        "channels": model.channels,
        "reach": model.reach,
        "blocks": model.num_blocks,
        "attentions": attentions,
        "heads": cast(Attention, layers[attentions[0]].attention).heads if attentions else 1,
        "total": TOTAL,
        "largest": {
            "gated": GATED,
            "features": FEATURES,
            "hidden": HIDDEN,
            "asked": ASKED,
            "normalised": normalised_largest(model.channels),
        },
    }
    arrays: Arrays = {"vectors": whole(model.vectors.numpy())}
    for name, module in model.named_modules():
        if isinstance(module, ExactLinear):
            arrays |= _matrix(name, module)
        elif isinstance(module, Layer):
            arrays[f"{name}.link_shift"] = Packed(module.link_shift.view(1).numpy(), "int8")
            for what in ("label", "row", "column"):
                table = getattr(module, f"{what}_shifts")
                if table is not None:
                    arrays[f"{name}.{what}_shifts"] = _in_steps(table)
        elif isinstance(module, Attention):
            for what in ("query", "key_value"):
                for axis in ("rows", "columns"):
                    arrays[f"{name}.{what}_{axis}"] = _in_steps(getattr(module, f"{what}_{axis}"))
            arrays[f"{name}.nothing"] = whole(_integers(module.nothing))
            arrays[f"{name}.alike"] = Packed(module.alike.numpy(), "int8")
            arrays[f"{name}.epsilon"] = Packed(module.epsilon.view(1).numpy(), "float64")
            arrays[f"{name}.score_shift"] = Packed(module.score_shift.view(1).numpy(), "int8")
    arrays["gate_table"] = whole(model.gate_table.numpy())
    for name in ("weight_table", "frequency_table"):
        table = getattr(model, name).numpy()
        arrays[f"{name}.first"] = Packed(table[:2], "int32", 24)
        arrays[f"{name}.off"] = Packed(_off_series(table), "int8")
    return facts, arrays


@torch.no_grad()
def vqvae_contents(vqvae: VQVAE, images: Tensor) -> tuple[dict[str, Any], Arrays]:
    """Return the facts and the arrays that ``js/vqvae.js`` computes with.

    Args:
        vqvae: its weights are rounded.
        images: like those that it is for, (B, C, H, W) in [0, 1].
    """
    kernels = {name: layer for name, layer in vqvae.named_modules() if isinstance(layer, nn.Conv2d | Upsampling)}
    with noting_moments(kernels, _seen) as moments:
        vqvae.decode(vqvae.encode(images))
    arrays: Arrays = {}
    for name, layer in kernels.items():
        arrays |= _kernel(name, layer, moments[name])
    facts = {"encoder": _layers(vqvae.encoder), "decoder": _layers(vqvae.decoder)}
    quantizer = vqvae.quantizer
    codebook = quantizer.codebook
    step = codebook.abs().amax() / _LARGEST_OF_CODEBOOK
    arrays["codebook"] = whole(_integers(codebook / step))
    arrays["codebook_step"] = Packed(step.view(1).numpy(), "float64")
    rates = torch.zeros(quantizer.num_codes)
    if isinstance(quantizer, EntropyConstrainedQuantizer):
        rates = quantizer.rates()
    arrays["rates"] = Packed(rates.numpy(), "float64")
    return facts, arrays


def patches_contents(patches: Tensor) -> Packed:
    """Return the patches that codes stand for, (K, C, s, s) in [0, 1], as bytes (K, s, s, C)."""
    return Packed((patches.permute(0, 2, 3, 1) * 255).round().byte().numpy(), "uint8")


def _matrix(name: str, layer: ExactLinear) -> Arrays:
    """A matrix of whole numbers, each row without the factors of two that all of its numbers share."""
    weight = layer.weight.numpy().astype(np.int64)
    joined = np.bitwise_or.reduce(weight, axis=1)
    twos = np.where(joined == 0, 0, np.log2(np.maximum(joined & -joined, 1)).astype(np.int64))
    arrays = {
        f"{name}.weight": whole(weight >> twos[:, None], "int16"),
        f"{name}.exponent": Packed(layer.exponent.numpy() + twos, "int8"),
    }
    if layer.bias is not None:
        # A bias is counted in the smallest steps that its row can have.
        step = scaled(torch.ones(len(twos)), torch.from_numpy(layer.exponent.numpy() + twos).clamp(max=_BIAS_STEP))
        arrays[f"{name}.bias"] = whole(_integers(layer.bias / step))
    return arrays


def _layers(layers: nn.Module) -> list[dict[str, Any]]:
    """Facts about the layers of a network, in their order."""
    facts: list[dict[str, Any]] = []
    for layer in layers.children():
        match layer:
            case nn.ReLU():
                facts.append({"kind": "relu"})
            case ResidualBlock():
                facts.append({"kind": "residual", "layers": _layers(layer.layers)})
            case Upsampling():
                facts.append({"kind": "upsampling"})
            case nn.Conv2d():
                kernel, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
                facts.append({"kind": "convolution", "kernel": kernel, "stride": stride, "padding": padding})
    return facts


def _kernel(name: str, layer: nn.Module, moments: Tensor) -> Arrays:
    """A kernel in whole numbers, with a step for each row."""
    weight = _flat(layer).double()
    largest = _LARGEST_OF_ENCODER if name.startswith("encoder") else _LARGEST_OF_DECODER
    step = weight.abs().amax(1) / largest
    return {
        f"{name}.weight": whole(_integers(round_rows(weight, step, moments, largest))),
        f"{name}.step": Packed(step.float().numpy(), "float64"),
        f"{name}.bias": Packed(cast(Tensor, layer.bias).numpy(), "float64"),
    }


def _seen(layer: nn.Module, x: Tensor) -> Tensor:
    """What the kernel of a layer is multiplied with, (N, rows · columns · in), of features (B, in, H, W)."""
    around, kernel, stride = 1, 2, 1  # of one of the four convolutions that an upsampling is
    if isinstance(layer, nn.Conv2d):
        around, kernel, stride = int(layer.padding[0]), layer.kernel_size[0], layer.stride[0]
    x = F.pad(x, [around] * 4, mode="replicate") if around else x
    windows = F.unfold(x, kernel, stride=stride).unflatten(1, (x.shape[1], -1))  # (B, in, rows · columns, positions)
    return windows.permute(0, 3, 2, 1).flatten(2).flatten(0, 1)


def _flat(layer: nn.Module) -> Tensor:
    """Return a kernel as a matrix for what stands side by side, (out, rows · columns · in).

    For a transposed convolution: the four convolutions that make an even or odd row and column, one below another.
    """
    weight = cast(Tensor, layer.weight)
    if isinstance(layer, nn.Conv2d):
        return weight.permute(0, 2, 3, 1).flatten(1)
    # An even row is made by rows 3 and 1 of the kernel, an odd one by 2 and 0; and so are columns.
    parts = [
        weight[:, :, rows][:, :, :, columns].permute(1, 2, 3, 0).flatten(1)
        for rows in ((3, 1), (2, 0))
        for columns in ((3, 1), (2, 0))
    ]
    return torch.cat(parts)


def _off_series(table: NDArray) -> NDArray[np.int64]:
    """How far each entry of a table of exp is from going on as the first two do; the page makes the table from this.

    Products and quotients of doubles are the same everywhere, unlike exp.
    """
    first, second = table[:2].astype(np.float64)
    expected = np.floor(table[1:-1] * second / first + 0.5)
    return (table[2:] - expected).astype(np.int64)


def _in_steps(table: Tensor) -> Packed:
    return whole(_integers(table * _STEPS))


def _integers(numbers: Tensor) -> NDArray[np.int64]:
    return numbers.round().numpy().astype(np.int64)
