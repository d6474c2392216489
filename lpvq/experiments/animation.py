"""Animations: a grid of codes being drawn, beside the picture that it becomes."""

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lpvq import plotting
from lpvq.evaluation.codes import decode_entries
from lpvq.experiments.workspace import Workspace
from lpvq.files import write_atomically

_SIDE = 256  # pixels of a picture in an animation
_GAP = 12
_FRAMES = 64
_MILLISECONDS, _REST = 70, 2000


def draw_grid(workspace: Workspace, codes: Tensor) -> list[Image.Image]:
    """Return the frames of one grid of codes, int64 (h, w), being drawn in reading order, and what it decodes to."""
    total = codes.numel()
    steps = sorted({round(step) for step in np.linspace(0, total, min(total, _FRAMES) + 1)})
    drawn = (torch.arange(total) < torch.tensor(steps)[:, None]).view(-1, *codes.shape)
    images = workspace.vqvae.decode(torch.where(drawn, codes, codes[0, 0]).to(workspace.device)).cpu()
    side = workspace.vqvae.downsample
    tiles = plotting.looks_of(codes.numpy(), decode_entries(workspace.vqvae))  # (h, w, s, s, 3)
    grid = tiles.swapaxes(1, 2).reshape(codes.shape[0] * side, codes.shape[1] * side, 3)
    seen = drawn.repeat_interleave(side, 1).repeat_interleave(side, 2).numpy()[..., None]
    frames = []
    for shown, image in zip(seen, images.movedim(1, -1).numpy(), strict=True):
        pair = [np.where(shown, pixels, plotting.HIDDEN) for pixels in (grid, np.broadcast_to(image, grid.shape))]
        frames.append(_beside(pair))
    return [frames[-1], *frames]  # printed, or where nothing moves, it shows the first


def _beside(pair: Sequence[NDArray]) -> Image.Image:
    """Two pictures of the same size, floats in [0, 1], side by side."""
    scale = max(1, _SIDE // pair[0].shape[0])
    large = [Image.fromarray((pixels * 255).round().astype(np.uint8)) for pixels in pair]
    size = (large[0].width * scale, large[0].height * scale)
    frame = Image.new("RGB", (2 * size[0] + _GAP, size[1]), "white")
    for index, picture in enumerate(large):
        frame.paste(picture.resize(size, Image.Resampling.NEAREST), (index * (size[0] + _GAP), 0))
    return frame


def gif(frames: Sequence[Image.Image], settings: Mapping[str, Any]) -> bytes:
    """Return an animation that rests on its last frame and begins anew; ``settings`` are its comment."""
    large = [frame.convert("RGB").resize(_enlarged(frame.size), Image.Resampling.NEAREST) for frame in frames]
    durations = [*[_MILLISECONDS] * (len(frames) - 1), _REST]
    buffer = BytesIO()
    comment = json.dumps(settings).encode()[:255]
    large[0].save(buffer, "GIF", save_all=True, append_images=large[1:], duration=durations, loop=0, comment=comment)
    return buffer.getvalue()


def write_gif(frames: Sequence[Image.Image], path: Path, settings: Mapping[str, Any]) -> None:
    """Write an animation, atomically."""
    write_atomically(path, gif(frames, settings))


def _enlarged(size: tuple[int, int]) -> tuple[int, int]:
    scale = max(1, _SIDE // size[1])
    return size[0] * scale, size[1] * scale
