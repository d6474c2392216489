"""Single pictures of the reader's own: to codes and back, completed, and mixed with each other."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from lpvq import plotting
from lpvq.data.folders import readable
from lpvq.data.latent_codes import LatentCodes
from lpvq.data.loading import DEFAULT_SIZE
from lpvq.data.pictures import NoPictureError, patient_pillow, read_picture, upright_size
from lpvq.errors import InputError
from lpvq.evaluation.codes import decode_entries
from lpvq.experiments.animation import write_gif
from lpvq.experiments.workspace import Workspace
from lpvq.files import checksum, write_atomically
from lpvq.lettering import class_titles
from lpvq.models.sampling import SamplingOptions

_SHOWN = 60
_COLUMNS = 10


def read_pictures(workspace: Workspace, files: Sequence[Path]) -> Tensor:
    """Read pictures as the workspace's VQ-VAE takes them: the square in the middle of each, resized.

    Returns:
        (N, C, H, W), floats in [0, 1].

    Raises:
        InputError: one of them is not a picture; all such files are named.
    """
    size = workspace.recipe.size or (28 if workspace.vqvae.in_channels == 1 else DEFAULT_SIZE)
    read, problems = [], []
    with patient_pillow():
        for file in files:
            try:
                read.append(torch.from_numpy(read_picture(file, size).copy()))
            except NoPictureError as error:
                detail = f" ({error.detail})" if error.detail else ""
                problems.append(f"{readable(str(file))}: {error}{detail}")
    if problems:
        raise InputError(f"{len(problems)} of {len(files)} pictures cannot be read: {'; '.join(problems)}")
    images = torch.stack(read).movedim(-1, 1).float() / 255
    return images if workspace.vqvae.in_channels == 3 else images.mean(1, keepdim=True)


def encode_pictures(workspace: Workspace, files: Sequence[Path]) -> list[Path]:
    """Write the codes of pictures, ``encoded.npz``, and a picture of what was read beside what the codes keep."""
    images = read_pictures(workspace, files)
    codes = workspace.vqvae.encode(images.to(workspace.device)).cpu()
    path = workspace.path("encoded.npz")
    as_set(workspace, codes).save(path)
    shown = slice(min(len(codes), _COLUMNS))
    decoded = workspace.vqvae.decode(codes[shown].to(workspace.device)).cpu()
    figure = plotting.plot_with_codes(
        [images[shown], decoded],
        codes[shown],
        decode_entries(workspace.vqvae),
        class_titles([file.stem for file in files[shown]]),
        ["picture", "codes", "reconstruction"],
    )
    picture = workspace.path("encoded.png")
    plotting.save(figure, picture, "Pictures, their grids of codes and their reconstructions", workspace.settings)
    return [path, picture]


def as_set(workspace: Workspace, codes: Tensor, labels: Tensor | None = None) -> LatentCodes:
    """Return codes int64 (N, h, w) as a set that can be kept; of pictures without a class if there are no labels."""
    names = ("pictures",) if labels is None else workspace.class_names
    labels = torch.zeros(len(codes), dtype=torch.int64) if labels is None else labels
    vqvae = workspace.vqvae
    return LatentCodes(codes, labels, vqvae.quantizer.num_codes, names, workspace.dataset, checksum(vqvae))


def decode_files(workspace: Workspace, files: Sequence[Path]) -> list[Path]:
    """Write the pictures that files of codes stand for: an overview, and each picture in a folder of its own."""
    paths = []
    for file in files:
        codes = LatentCodes.load(file)
        codes.check_made_by(workspace.vqvae)
        images = workspace.vqvae.decode(codes.codes.long().to(workspace.device)).cpu()
        overview = workspace.path(f"decoded_{file.stem}.png")
        figure = plotting.plot_images(images[:_SHOWN], columns=_COLUMNS)
        plotting.save(figure, overview, f"Pictures decoded from {file.name}", workspace.settings)
        paths.append(overview)
        write_each(images, workspace.path(f"decoded_{file.stem}"), f"decoded from {file.name}", workspace.settings)
        paths.append(workspace.path(f"decoded_{file.stem}"))
    return paths


def write_each(images: Tensor, folder: Path, description: str, settings: Mapping[str, Any]) -> None:
    """Write each of ``images`` (N, C, H, W), floats in [0, 1], pixel for pixel, to ``000.png`` and so on."""
    for number, image in enumerate(images):
        write_atomically(folder / f"{number:03}.png", as_png(image, description, {**settings, "number": number}))


def as_png(image: Tensor, description: str, settings: Mapping[str, Any]) -> bytes:
    """Return an image (C, H, W), floats in [0, 1], as a PNG file that says what it is."""
    about = PngImagePlugin.PngInfo()
    for name, text in plotting.texts_of(description, settings).items():
        about.add_itxt(name, text)
    buffer = BytesIO()
    as_picture(image).save(buffer, "PNG", pnginfo=about)
    return buffer.getvalue()


def as_picture(image: Tensor) -> Image.Image:
    """Return an image (C, H, W), floats in [0, 1], as a picture with a pixel for each."""
    values = image.detach().cpu().clamp(0, 1).mul(255).round().byte().movedim(0, -1).numpy()
    return Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)


def complete(
    workspace: Workspace,
    file: Path,
    erase: tuple[int, int, int, int],
    labels: Tensor,
    options: SamplingOptions,
    seed: int | None = None,
) -> list[Path]:
    """Erase a part of a picture and have it drawn anew, once for each label, given the codes around it.

    The codes around it have seen a little of what is erased, as the encoder's view reaches over the edge.

    Args:
        workspace: whose models to use.
        file: the picture.
        erase: left, top, right and bottom of what is erased, in pixels of the picture as it is seen.
        labels: of the completions, int64 (N,).
        options: how codes are drawn.
        seed: decides what is drawn; the workspace's where None.

    Returns:
        where the picture is.

    Raises:
        InputError: it is not a picture, or no part of the square in its middle is erased, or all of it is.
    """
    image = read_pictures(workspace, [file])
    codes = workspace.vqvae.encode(image.to(workspace.device))
    known = _known(file, erase, image.shape[-1], codes.shape[1:])
    generator = torch.Generator(workspace.device).manual_seed(workspace.seed if seed is None else seed)
    drawn = workspace.prior.generate(
        start_sequence=codes.expand(len(labels), -1, -1),
        known=known.to(workspace.device),
        labels=labels.to(workspace.device),
        generator=generator,
        **asdict(options),
    )
    completed = workspace.vqvae.decode(drawn).cpu()
    side = workspace.vqvae.downsample
    erased = torch.where(known.repeat_interleave(side, 0).repeat_interleave(side, 1), image, plotting.HIDDEN)
    names = class_titles(workspace.class_names)
    figure = plotting.plot_images(
        torch.cat([image, erased, completed]),
        ["picture", "erased", *(names[label] for label in labels.tolist())],
        min(len(labels) + 2, 8),
        1.4,
    )
    path = workspace.path(f"completed_{_plain(file.stem)}.png")
    settings = {**workspace.settings, **asdict(options), "erase": list(erase), "draw_seed": seed}
    plotting.save(figure, path, "A picture, what is erased of it, and its completions", settings)
    return [path]


def _known(file: Path, erase: tuple[int, int, int, int], size: int, grid: Sequence[int]) -> Tensor:
    """Which codes are kept, bool (h, w): those whose patch of the square in the middle is nowhere erased."""
    with patient_pillow():
        width, height = upright_size(file)
    square = min(width, height)
    left, top, right, bottom = erase
    scale = grid[0] / square
    columns = ((left - (width - square) / 2) * scale, (right - (width - square) / 2) * scale)
    rows = ((top - (height - square) / 2) * scale, (bottom - (height - square) / 2) * scale)
    places = torch.arange(grid[0])
    in_rows = (places + 1 > rows[0]) & (places < rows[1])
    in_columns = (places + 1 > columns[0]) & (places < columns[1])
    known = ~(in_rows[:, None] & in_columns)
    if known.all() or not known.any():
        what = "no part" if known.all() else "all"
        raise InputError(
            f"{what} of the square in the middle is erased: the picture has {width} × {height} pixels, and its square "
            f"goes from {(width - square) // 2},{(height - square) // 2} to "
            f"{(width + square) // 2},{(height + square) // 2}; got {left},{top},{right},{bottom}"
        )
    return known


def interpolate(workspace: Workspace, first: Path, last: Path, steps: int) -> list[Path]:
    """Write the way from one picture to another through codes: their vectors are mixed, the nearest codes decoded.

    Args:
        workspace: whose VQ-VAE to use.
        first: a picture.
        last: another picture.
        steps: how many pictures the way has, both ends included; at least 2.

    Returns:
        where a picture of all and an animation are.
    """
    vqvae = workspace.vqvae
    codes = vqvae.encode(read_pictures(workspace, [first, last]).to(workspace.device))
    begin, end = vqvae.quantizer.lookup(codes)
    shares = torch.linspace(0, 1, steps, device=workspace.device)[:, None, None, None]
    with torch.inference_mode():
        between = vqvae.quantizer.assign((1 - shares) * begin + shares * end)
    images = vqvae.decode(between).cpu()
    path, moving = workspace.path("interpolation.png"), workspace.path("interpolation.gif")
    figure = plotting.plot_images(images, [f"{share:.0%}" for share in shares.flatten().tolist()], min(steps, 10))
    description = "From one picture to another through the vectors of their codes"
    plotting.save(figure, path, description, workspace.settings)
    forth = [as_picture(image) for image in images]
    write_gif([*forth, *reversed(forth)], moving, {**workspace.settings, "steps": steps})
    return [path, moving]


def _plain(name: str) -> str:
    return readable(name).replace("/", "_")
