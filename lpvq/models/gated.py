"""The network of the gated PixelCNN: two stacks of causal convolutions over a grid of codes.

- van den Oord, Kalchbrenner, Kavukcuoglu (2016a), Pixel Recurrent Neural Networks, arXiv:1601.06759.
- van den Oord et al. (2016b), Conditional Image Generation with PixelCNN Decoders, arXiv:1606.05328: the gated block
  and the two stacks that together have no blind spot.

Two stacks of features walk through the layers side by side. At row r, the *vertical* stack knows the rows above r, all
columns of them. At row r and column c, the *horizontal* stack knows the codes left of c in row r and, through a link,
what the vertical stack knows. Only the first layer has mask type A: it leaves out the row (vertical) or the column
(horizontal) itself. After that (mask type B) a feature may look at its own position, because what stands there already
excludes the code.

Shapes: B grids of H × W, C channels, K codes, R = kernel_size // 2 rows or columns of reach.
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpvq.errors import InputError
from lpvq.models.attention import AttentionToRowsAbove, rows_above
from lpvq.models.causal import HorizontalConv, VerticalConv
from lpvq.models.contexts import COARSE_FEATURES, POSITION_CHANNELS, CoarseFeatures, position_features
from lpvq.models.vqvae import VQVAE


def gate(x: Tensor) -> Tensor:
    """Return tanh(a) · σ(b), (B, C, H, W), where a and b are the two halves of the channels of ``x`` (B, 2C, H, W).

    Equation 2 of 2016b. tanh says what a feature is, between −1 and 1; σ says how much of it passes, between 0 and 1.
    """
    a, b = x.chunk(2, dim=1)
    return _tanh(a) * torch.sigmoid(b)


def _tanh(x: Tensor) -> Tensor:
    """tanh(x), on a CPU and in full precision as 2σ(2x) − 1: σ takes a seventh of the time there.

    The two differ by rounding, 1e-7. In half precision the subtraction would cancel most of the digits.
    """
    if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
        return 2 * torch.sigmoid(2 * x) - 1
    return torch.tanh(x)


class GatedBlock(nn.Module):
    """One layer of both stacks (figure 2 of 2016b).

    The link from the vertical to the horizontal stack is taken before the gate. Nothing flows back, or the vertical
    stack would learn of codes in its own row. Class labels shift the input of both gates (equation 4 of 2016b).

    Args:
        channels: C.
        kernel_size: odd, at least 3.
        num_classes: how many labels there are; None for a block without labels.

    Attributes:
        vertical: C to 2C channels, both halves of the vertical gate.
        link: 2C to 2C, 1 × 1: from the vertical stack to the horizontal one.
        horizontal: C to 2C, both halves of the horizontal gate. It has no bias because ``link``, which is added to it,
            has one.
        output: C to C, 1 × 1, of what is added to the horizontal features. It has no bias because all that follows
            has one.
        label_shift: 4C numbers for each label: 2C for the vertical gate, then 2C for the horizontal one.
        context_shifts: for each context, a 1 × 1 convolution to such 4C numbers for each position.
    """

    def __init__(
        self, channels: int, kernel_size: int, num_classes: int | None, context_channels: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.vertical = VerticalConv(channels, 2 * channels, kernel_size)
        self.link = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.horizontal = HorizontalConv(channels, 2 * channels, kernel_size, bias=False)
        self.output = nn.Conv2d(channels, channels, 1, bias=False)
        self.label_shift = None if num_classes is None else nn.Embedding(num_classes, 4 * channels)
        self.context_shifts = nn.ModuleList(
            [nn.Conv2d(known, 4 * channels, 1, bias=False) for known in context_channels]
        )

    def forward(
        self, v: Tensor, h: Tensor, labels: Tensor | None, contexts: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor]:
        """Return the vertical and horizontal features of the next layer.

        Args:
            v: vertical features, (B, C, H, W).
            h: horizontal features, (B, C, H, W).
            labels: int64 (B,), for a block with labels.
            contexts: for a block with contexts, each (B, channels, H, W), or (1, channels, H, W) for all grids alike.

        Returns:
            new features, as ``v`` and ``h``, both (B, C, H, W).
        """
        features = self.vertical(v)  # (B, 2C, H, W), what the vertical gate is given
        mixed = self.horizontal(h) + self.link(features)  # (B, 2C, H, W), what the horizontal gate is given
        if self.label_shift is not None:
            # In the type of the features: a float32 shift would turn bfloat16 features into float32.
            shifts = self.label_shift(labels)[:, :, None, None].to(features.dtype)  # (B, 4C, 1, 1)
            shift_v, shift_h = shifts.chunk(2, dim=1)  # both (B, 2C, 1, 1)
            features, mixed = features + shift_v, mixed + shift_h
        for context_shift, context in zip(self.context_shifts, contexts, strict=True):
            shift_v, shift_h = context_shift(context).chunk(2, dim=1)  # both (B or 1, 2C, H, W)
            features, mixed = features + shift_v, mixed + shift_h
        return gate(features), h + self.output(gate(mixed))


class Stacks(nn.Module):
    """The whole network, from codes to logits.

    Args:
        latent_dim: K, the number of distinct codes.
        num_blocks: number of gated blocks.
        kernel_size: of all causal convolutions, odd, at least 3.
        hidden_channels: C, the width of both stacks.
        num_classes: how many labels there are; None for a network without labels.
        position: whether the blocks are told where in the grid a position is.
        num_attentions: how many of the blocks are followed by a layer of attention, evenly spread, the last among them.
        code_dim: D, the length of the codebook's vectors, for a network that knows them; None for one that does not.
        coarse_vqvae: the one whose codes make a coarser grid, known from the start; None for a network without one.
        coarse_factor: how many positions a coarse code stands for in each direction.

    Attributes:
        embedding: a vector of C numbers for each code.
        vertical_input: the first layer of the vertical stack, mask type A.
        horizontal_input: the first layer of the horizontal stack, mask type A.
        blocks: the gated blocks.
        attentions: each by the number of the block that it follows, counted from 0 and written as a text.
        head: from the last horizontal features, C channels, to K logits, position by position.
        codebook: the vectors that codes stand for, (K, D), about 1 in size; zero until ``set_codebook``.
        coarse_features: from coarse codes to features for each position; None for a network without them.
    """

    codebook: Tensor

    def __init__(
        self,
        latent_dim: int,
        num_blocks: int,
        kernel_size: int,
        hidden_channels: int,
        num_classes: int | None,
        position: bool = False,
        num_attentions: int = 0,
        code_dim: int | None = None,
        coarse_vqvae: VQVAE | None = None,
        coarse_factor: int = 4,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(latent_dim, hidden_channels)
        self.vertical_input = VerticalConv(hidden_channels, hidden_channels, kernel_size, mask_type="A")
        self.horizontal_input = HorizontalConv(hidden_channels, hidden_channels, kernel_size, mask_type="A")
        self.position = position
        contexts = ([POSITION_CHANNELS] if position else []) + ([] if coarse_vqvae is None else [COARSE_FEATURES])
        self.blocks = nn.ModuleList(
            [GatedBlock(hidden_channels, kernel_size, num_classes, contexts) for _ in range(num_blocks)]
        )
        self.attentions = nn.ModuleDict(
            {str(block): AttentionToRowsAbove(hidden_channels) for block in evenly(num_blocks, num_attentions)}
        )
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(hidden_channels, 4 * hidden_channels, 1),
            nn.ReLU(),
            nn.Conv2d(4 * hidden_channels, latent_dim, 1),
        )
        self.codebook_input: nn.Linear | None = None
        self.codebook_output: nn.Linear | None = None
        if code_dim is not None:
            self.register_buffer("codebook", torch.zeros(latent_dim, code_dim))
            self.codebook_input = nn.Linear(code_dim, hidden_channels, bias=False)
            self.codebook_output = nn.Linear(4 * hidden_channels, code_dim, bias=False)
            # What a code has to itself begins small, and grows where its vector does not say enough.
            nn.init.normal_(self.embedding.weight, std=0.02)
            nn.init.normal_(self.codebook_input.weight, std=code_dim**-0.5)
        self.coarse_features = None if coarse_vqvae is None else CoarseFeatures(coarse_vqvae, coarse_factor)

    def forward(self, codes: Tensor, labels: Tensor | None = None, coarse: Tensor | None = None) -> Tensor:
        """Return logits (B, K, H, W), at each position those of its code given the codes before it.

        Args:
            codes: int64 (B, H, W) in 0 … K − 1.
            labels: int64 (B,) in 0 … num_classes − 1, for a network with labels.
            coarse: int64 (B, H / coarse_factor, W / coarse_factor), for a network with coarse codes.
        """
        # An embedding has its channels last in memory, and the convolutions leave them there: it is the faster layout.
        embedded = self.embedding(codes)  # (B, H, W, C)
        if self.codebook_input is not None:
            embedded = embedded + self.codebook_input(F.embedding(codes, self.codebook))
        embedded = embedded.movedim(-1, 1)  # (B, C, H, W)
        height, width = embedded.shape[2:]
        contexts = self.contexts(height, width, coarse)
        if self.attentions:
            seen = position_features(height, width, embedded), rows_above(height, width, embedded)
        v, h = self.vertical_input(embedded), self.horizontal_input(embedded)  # both (B, C, H, W)
        for number, block in enumerate(self.blocks):
            v, h = block(v, h, labels, contexts)
            if str(number) in self.attentions:
                h = self.attentions[str(number)](h, v, embedded, *seen)
        if self.codebook_output is None:
            return self.head(h)
        hidden = self.head[:-1](h)  # (B, 4C, H, W)
        return F.conv2d(hidden, self.logit_weights()[:, :, None, None], cast(Tensor, self.head[-1].bias))

    def contexts(self, height: int, width: int, coarse: Tensor | None) -> list[Tensor]:
        """Return what the blocks are told about each position before any code is known.

        Args:
            height: H of the grids.
            width: W of the grids.
            coarse: coarse codes, int64 (B, h, w), for a network with them.

        Returns:
            maps of features, each (B or 1, channels, H, W).
        """
        maps = [position_features(height, width, self.embedding.weight)] if self.position else []
        return maps if self.coarse_features is None else [*maps, self.coarse_features(coarse)]

    def set_codebook(self, codebook: Tensor) -> None:
        """Tell a network with ``code_dim`` what its codes stand for.

        Args:
            codebook: the vectors of a VQ-VAE's codebook, (K, D).

        Raises:
            InputError: the network knows no codebook, or one of another shape.
        """
        if self.codebook_input is None or codebook.shape != self.codebook.shape:
            expected = (
                "none: it was made without code_dim" if self.codebook_input is None else tuple(self.codebook.shape)
            )
            raise InputError(f"a codebook of shape {tuple(codebook.shape)} was given; this model takes {expected}")
        vectors = codebook.detach().to(self.codebook) - codebook.detach().to(self.codebook).mean(0)
        self.codebook.copy_(vectors / vectors.square().mean().sqrt().clamp(min=1e-12))

    def code_vectors(self) -> Tensor:
        """Return a vector for each code, (K, C): its own, and what the network makes of the codebook's."""
        own = self.embedding.weight
        return own if self.codebook_input is None else own + self.codebook_input(self.codebook)

    def logit_weights(self) -> Tensor:
        """Return what the logit of each code makes of the head's hidden features, (K, 4C), in the same two parts."""
        own = cast(Tensor, self.head[-1].weight).flatten(1)
        return own if self.codebook_output is None else own + self.codebook @ self.codebook_output.weight


def evenly(blocks: int, number: int) -> list[int]:
    """Return ``number`` of the numbers 0 … ``blocks`` − 1, as evenly spaced as possible, the last among them."""
    return [round((index + 1) * blocks / number) - 1 for index in range(number)]
