"""A whole-number prior, to be used as a ``PixelCNN`` is: likelihood, sampling, and frequencies for a coder."""

from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.models.attention import heads_for
from lpvq.models.checks import ArrayLike, int64_tensor
from lpvq.models.exact_sums import LARGEST_SUM, ExactLinear, largest_sum, scaled
from lpvq.models.gated import evenly
from lpvq.models.grid_prior import GridPrior, ImageSize
from lpvq.models.sampling import FullForwardSampler, GridSampler, SamplingOptions, sample_grid
from lpvq.models.saving import Pretrained
from lpvq.models.whole_number import (
    ASKED,
    EMBEDDED,
    FEATURES,
    GATED,
    HIDDEN,
    LARGEST_ENTRIES,
    TABLES,
    TOTAL,
    Attention,
    Layer,
    falling,
    gate,
    normalised_largest,
    whole,
)
from lpvq.models.whole_number_sampler import WholeNumberSampler, cache_bytes
from lpvq.runtime import full_precision, progress

_CACHE_BYTES = 128 * 2**20
_TEMPERATURE_BITS, _LARGEST_FACTOR = 16, 2**28


class WholeNumberPixelCNN(Pretrained, GridPrior):
    """A gated PixelCNN in whole numbers, see ``lpvq.models.whole_number``; ``whole_number_prior`` makes one of a prior.

    Its logits, its probabilities and, from the same random numbers, its codes are the same on every machine: whatever
    the batch, the method, the number of threads, the device, in float32 and in float64.

    Args:
        latent_dim: K, the number of distinct codes.
        image_size: height and width of the largest grids.
        num_blocks: number of gated blocks.
        kernel_size: odd, at least 3.
        hidden_channels: C, the width of both stacks.
        num_classes: for a model of p(codes | label); None for p(codes).
        position: whether the blocks are told where in the grid a position is.
        num_attentions: how many of the blocks are followed by a layer of attention to all rows above.

    Attributes:
        vectors: whole numbers for each code, (K, C).
        vertical_input: from R · kernel_size · C numbers to C.
        horizontal_input: from R · C numbers to C.
        layers: the gated blocks.
        inner: C to 4C, the hidden layer of the head.
        outer: 4C to K.
        gate_table: of τ, multiples of 2⁻³.
        weight_table: of exp, for attention.
        frequency_table: of exp, for frequencies.
    """

    FILE = "whole_number_prior.pt"

    vectors: Tensor
    gate_table: Tensor
    weight_table: Tensor
    frequency_table: Tensor

    def __init__(
        self,
        latent_dim: int,
        image_size: Sequence[int],
        num_blocks: int,
        kernel_size: int,
        hidden_channels: int,
        num_classes: int | None,
        position: bool,
        num_attentions: int,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "latent_dim": latent_dim,
            "image_size": list(image_size),
            "num_blocks": num_blocks,
            "kernel_size": kernel_size,
            "hidden_channels": hidden_channels,
            "num_classes": num_classes,
            "position": position,
            "num_attentions": num_attentions,
        }
        if latent_dim > TOTAL // 4:
            raise InputError(f"a whole-number prior can have {TOTAL // 4} codes at most, got {latent_dim}")
        height, width = image_size
        self.latent_dim, self.image_size, self.num_classes = latent_dim, (height, width), num_classes
        self.num_blocks, self.reach, self.channels = num_blocks, kernel_size // 2, hidden_channels
        self.num_coarse_codes, self.coarse_factor = None, 1
        size = self.image_size if position else None
        after = evenly(num_blocks, num_attentions)
        self.register_buffer("vectors", torch.zeros(latent_dim, hidden_channels, dtype=torch.int16))
        self.vertical_input = ExactLinear(self.reach * kernel_size * hidden_channels, hidden_channels)
        self.horizontal_input = ExactLinear(self.reach * hidden_channels, hidden_channels)
        self.layers = nn.ModuleList()
        for number in range(num_blocks):
            attention = (
                Attention(hidden_channels, heads_for(hidden_channels), self.image_size) if number in after else None
            )
            self.layers.append(Layer(hidden_channels, kernel_size, num_classes, size, attention))
        self.inner = ExactLinear(hidden_channels, 4 * hidden_channels)
        self.outer = ExactLinear(4 * hidden_channels, latent_dim)
        for name, length in TABLES.items():
            self.register_buffer(f"{name}_table", torch.zeros(length, dtype=torch.int32))

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.vectors.device

    @property
    def dtype(self) -> torch.dtype:
        """What the sums are computed in: float32 or float64, with the same result."""
        return cast(Tensor, self.vertical_input.bias).dtype

    def forward(self, codes: ArrayLike, labels: ArrayLike | None = None, coarse: ArrayLike | None = None) -> Tensor:
        """Return logits (B, K, H, W) for each code given the codes before it (and the label), in 1/256 nats.

        Args:
            codes: int64 (B, H, W) in 0 … K − 1.
            labels: int64 (B,) in 0 … num_classes − 1; for a model with classes, and only for one.
            coarse: None.

        Returns:
            whole numbers, in ``dtype``.

        Raises:
            InputError: no codes, or codes or labels of another type, shape or range; grids larger than
                ``image_size`` for a model that knows where it is.
        """
        codes = int64_tensor("codes", codes, self.device)
        labels = self._as_labels(labels)
        self._as_coarse(coarse)
        self._check(codes, labels, None)
        self.check_size(codes.shape[1:])
        with full_precision():
            return self._logits(codes, labels).movedim(-1, 1)

    def _logits(self, codes: Tensor, labels: Tensor | None) -> Tensor:
        """Logits (B, H, W, K)."""
        kind, size, reach = self.dtype, codes.shape[1:], self.reach
        table = self.gate_values()
        embedded = self.vectors.to(kind)[codes]  # (B, H, W, C)
        v = whole(_sum(self.vertical_input, _windows(embedded, range(-reach, 0), range(-reach, reach + 1))), GATED)
        h = _sum(self.horizontal_input, _windows(embedded, [0], range(-reach, 0)))
        for layer in cast(list[Layer], list(self.layers)):
            features = _sum(layer.vertical, _windows(v, range(-reach, 1), range(-reach, reach + 1)))  # (B, H, W, 2C)
            mixed = _sum(layer.link, whole(scaled(features, layer.link_shift), FEATURES))
            mixed = mixed + _sum(layer.horizontal, _windows(whole(h, FEATURES), [0], range(-reach, 1)))
            shift_v, shift_h = (layer.of_labels(labels)[:, None, None] + layer.of_places(size)).chunk(2, dim=-1)
            v = gate(features + shift_v, table)
            h = h + _sum(layer.output, gate(mixed + shift_h, table))
            if layer.attention is not None:
                h = h + self._attend(layer.attention, h, v, embedded)
        hidden = whole(_sum(self.inner, whole(h, FEATURES).relu()), HIDDEN).relu()
        return _sum(self.outer, hidden).floor()

    def _attend(self, attention: Attention, h: Tensor, v: Tensor, embedded: Tensor) -> Tensor:
        """Return what attention adds to the horizontal features h, (B, H, W, C)."""
        _, height, width, _ = h.shape
        places = attention.places(height, width)  # (N, C) and (N, 2C)
        queries = attention.queries(whole(h, FEATURES).flatten(1, 2), places[0], attention.query.matrix(self.dtype))
        both = attention.keys_and_values(
            v.flatten(1, 2), embedded.flatten(1, 2), places[1], attention.key_value.matrix(self.dtype)
        )
        both = torch.cat([attention.nothing.to(both).expand(len(both), 1, -1), both], dim=1)
        keys, values = (attention.in_heads(part) for part in both.chunk(2, dim=-1))
        row = torch.arange(height * width, device=h.device) // width
        hidden = F.pad(row[None, :] >= row[:, None], (1, 0), value=False)  # (N, 1 + N)
        weights = self.weight_table.double()
        found = attention.found(attention.in_heads(queries), keys, values.double(), hidden, weights)
        return _sum(attention.output, found.transpose(1, 2).flatten(2).to(h.dtype)).unflatten(1, (height, width))

    def gate_values(self) -> Tensor:
        """Return the gate's table as numbers up to 2⁸, in ``dtype``."""
        return self.gate_table.to(self.dtype) / 8

    def frequencies(self, logits: Tensor) -> Tensor:
        """Return how often each code occurs in ``TOTAL`` cases: whole numbers, at least 1, float64 (…, K).

        Args:
            logits: in 1/256 nats, (…, K).
        """
        below = logits.amax(-1, keepdim=True) - logits
        return self._shared_out(falling(below, self.frequency_table))

    def _shared_out(self, weights: Tensor) -> Tensor:
        """Share out ``TOTAL`` in proportion to ``weights`` (…, K), int32; each gets at least 1, float64 (…, K)."""
        shares = weights.double()
        total = shares.sum(-1, keepdim=True)
        shares.mul_(float(TOTAL - self.latent_dim)).div_(total).floor_().add_(1.0)
        # What rounding down has left over goes to the most probable code, the first of several.
        rest = float(TOTAL) - shares.sum(-1, keepdim=True)
        return shares.scatter_add_(-1, weights.argmax(-1, keepdim=True), rest)

    def intervals(self, codes: ArrayLike, labels: ArrayLike | None = None) -> tuple[Tensor, Tensor]:
        """Return the part of 0 … ``TOTAL`` that each code has: where it starts, and how long it is.

        Args:
            codes: int64 (B, H, W) in 0 … K − 1.
            labels: int64 (B,), see ``forward``.

        Returns:
            both int64 (B, H, W).
        """
        codes = int64_tensor("codes", codes, self.device)
        sizes = self.frequencies(self(codes, labels).movedim(1, -1))  # (B, H, W, K)
        own = codes[..., None]
        size = sizes.gather(-1, own)
        end = sizes.cumsum(-1).gather(-1, own)
        return (end - size).squeeze(-1).long(), size.squeeze(-1).long()

    @torch.inference_mode()
    def nll(self, codes: ArrayLike, labels: ArrayLike | None = None, coarse: ArrayLike | None = None) -> Tensor:
        """Return −log p(codes | labels) in nats per grid, float64 (B,).

        Args:
            codes: int64 (B, H, W) in 0 … K − 1.
            labels: int64 (B,), see ``forward``.
            coarse: None.

        Raises:
            InputError: as ``forward``.
        """
        self._as_coarse(coarse)
        _, size = self.intervals(codes, labels)
        return -(size / TOTAL).double().log().flatten(1).sum(1)

    def draw(self, logits: Tensor, options: SamplingOptions, uniform: Tensor) -> Tensor:
        """Draw a code for each row of logits, given a random number for each; whole numbers decide.

        Args:
            logits: in 1/256 nats, (B, K).
            options: temperature, top-k, top-p.
            uniform: random numbers in [0, 1), of 24 bits, in float32 or float64 (B,).

        Returns:
            codes, int64 (B,).
        """
        below = logits.amax(-1, keepdim=True) - logits
        if options.temperature == 0:
            return below.argmin(-1)
        if options.temperature != 1:
            factor = min(round(2**_TEMPERATURE_BITS / max(options.temperature, 1e-9)), _LARGEST_FACTOR)
            below = (below.double() * factor * 2.0**-_TEMPERATURE_BITS).floor()
        sizes = _restricted(self._shared_out(falling(below, self.frequency_table)), options)
        ends = sizes.cumsum(-1)
        # A random number of 24 bits times a sum of 22: exact.
        fallen_on = (uniform[:, None] * ends[:, -1:]).floor_()
        return torch.searchsorted(ends, fallen_on, right=True)[:, 0]

    @torch.inference_mode(False)
    def generate(
        self,
        start_sequence: ArrayLike | None = None,
        image_size: ImageSize | None = None,
        batch_size: int | None = None,
        labels: ArrayLike | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        known: ArrayLike | None = None,
        generator: torch.Generator | None = None,
        method: Literal["cached", "plain"] = "cached",
        coarse: ArrayLike | None = None,
    ) -> Tensor:
        """Draw grids of codes, int64 (B, H, W), on the model's device; the same from the same random numbers anywhere.

        Args:
            start_sequence: see ``PixelCNN.generate``, also for the other arguments.
            image_size: height and width to draw.
            batch_size: how many.
            labels: int64 (B,).
            temperature: the logits are divided by it.
            top_k: draw from the ``top_k`` most probable codes only.
            top_p: draw only from the smallest set of most probable codes that together have this probability.
            known: which codes of ``start_sequence`` stay.
            generator: the source of randomness, on any device; torch's global one of the CPU where None.
            method: "cached" or "plain"; both draw the same codes.
            coarse: None.

        Raises:
            InputError: as ``PixelCNN.generate``.
        """
        options = SamplingOptions(temperature, top_k, top_p)
        if method not in ("cached", "plain"):
            raise InputError(f"method must be 'cached' or 'plain', got {method!r}")
        if generator is not None and not isinstance(generator, torch.Generator):
            raise InputError(f"generator must be a torch.Generator, got {generator!r}")
        codes, mask = self.start(start_sequence, image_size, batch_size, labels, known)
        labels = self._as_labels(labels)
        self._as_coarse(coarse)
        self._check(codes, labels, None)
        self.check_size(codes.shape[1:])
        source = "cpu" if generator is None else generator.device
        uniform = torch.rand(codes.shape, generator=generator, device=source).to(self.device).double()
        with torch.inference_mode(), full_precision():
            self._sample(codes, mask, labels, options, uniform, method)
        return codes

    def _sample(
        self,
        codes: Tensor,
        mask: Tensor,
        labels: Tensor | None,
        options: SamplingOptions,
        uniform: Tensor,
        method: str,
    ) -> None:
        """Fill the grids in place, part by part."""
        size = max(1, _CACHE_BYTES // cache_bytes(self, codes.shape[1:]))
        parts = [slice(first, first + size) for first in range(0, len(codes), size)]
        draws = sum(int((~mask[part]).any(dim=0).sum()) for part in parts)
        description = "drawing codes" if len(parts) == 1 else f"drawing codes in {len(parts)} parts"
        with progress(None, description, total=draws, least=256) as bar:
            for part in parts:
                label = None if labels is None else labels[part]
                sampler = self.sampler(label, len(codes[part]), codes.shape[1:], method)
                for _ in sample_grid(sampler, codes[part], mask[part], options, uniform[part], self.draw):
                    bar.update()

    def sampler(self, labels: Tensor | None, batch: int, size: Sequence[int], method: str) -> GridSampler:
        """Return what gives the logits of one position after another.

        Args:
            labels: int64 (B,), for a model with classes.
            batch: B.
            size: H and W of the grids.
            method: "cached" or "plain".
        """
        if method == "plain":
            return FullForwardSampler(self, labels)
        return WholeNumberSampler(self, labels, batch, size)

    def check_size(self, size: Sequence[int]) -> None:
        """Raise ``InputError`` for grids larger than those that a model knows the places of."""
        knows = self.config["position"] or self.config["num_attentions"]
        if knows and (size[0] > self.image_size[0] or size[1] > self.image_size[1]):
            raise InputError(f"this model knows grids up to {self.image_size}, got {tuple(size)}")

    def check_sums(self) -> None:
        """Raise ``InputError`` unless all sums are exact, whatever the codes, and the tables are valid."""
        for name, largest in LARGEST_ENTRIES.items():
            table = cast(Tensor, getattr(self, f"{name}_table")).long()
            falls = name == "gate" or bool(table[0] > 0 and table[-1] >= 0 and (table.diff() <= 0).all())
            if not falls or int(table.abs().max()) > largest:
                raise InputError(f"the {name} table of this model is not valid")
        bounds = {"the vertical input": largest_sum([(self.vertical_input, EMBEDDED)])}
        residual = [(self.horizontal_input, EMBEDDED)]
        for number, layer in enumerate(cast(list[Layer], list(self.layers))):
            more_v, more_h = layer.largest_shifts()
            bounds[f"vertical {number}"] = largest_sum([(layer.vertical, GATED)], more_v)
            bounds[f"horizontal {number}"] = largest_sum([(layer.horizontal, FEATURES), (layer.link, FEATURES)], more_h)
            residual.append((layer.output, GATED))
            if (attention := layer.attention) is not None:
                attention.check()
                more_q, more_kv = attention.largest_places()
                bounds[f"query {number}"] = largest_sum([(attention.query, normalised_largest(self.channels))], more_q)
                bounds[f"key and value {number}"] = largest_sum([(attention.key_value, GATED)], more_kv)
                bounds[f"scores {number}"] = ASKED**2 * self.channels / attention.heads
                residual.append((attention.output, ASKED))
        bounds |= {
            "the horizontal features": largest_sum(residual),
            "the hidden layer": largest_sum([(self.inner, FEATURES)]),
            "the logits": largest_sum([(self.outer, HIDDEN)]),
        }
        too_large = [name for name, bound in bounds.items() if not bound < LARGEST_SUM]
        if too_large or int(self.vectors.abs().max()) > EMBEDDED:
            raise InputError(f"sums of this model would not be exact: {', '.join(too_large) or 'its vectors'}")


def _sum(layer: ExactLinear, x: Tensor) -> Tensor:
    """What a layer makes of whole numbers (…, in): (…, out)."""
    return cast(Tensor, layer(x))


def _windows(x: Tensor, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
    """For each position of x (B, H, W, C), what stands at the given distances, side by side: (B, H, W, … · C)."""
    _, height, width, _ = x.shape
    above, left, right = -min(rows), -min(columns), max(0, *columns)
    padded = F.pad(x, (0, 0, left, right, above, 0))
    parts = [
        padded[:, above + row : above + row + height, left + column : left + column + width]
        for row in rows
        for column in columns
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def _restricted(sizes: Tensor, options: SamplingOptions) -> Tensor:
    """Frequencies (B, K) of the codes that top-k and top-p leave, 0 for the others."""
    if options.top_k is None and options.top_p is None:
        return sizes
    kept, codes = sizes.sort(dim=-1, descending=True, stable=True)
    before = kept.cumsum(-1) - kept
    rank = torch.arange(kept.shape[-1], device=kept.device)
    out = rank >= (options.top_k or kept.shape[-1])
    if options.top_p is not None:
        reached = kept.masked_fill(out, 0).sum(-1, keepdim=True) * options.top_p
        out = out | ((before >= reached) & (rank > 0))
    return torch.zeros_like(sizes).scatter(-1, codes, kept.masked_fill(out, 0))
