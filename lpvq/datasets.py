"""Images in: drawn smileys, Fashion-MNIST, MNIST, CIFAR-10, or a folder of your own pictures.

Every set comes whole, in memory, as uint8 tensors: batches are then an index away, without loader workers.
"""

import gzip
import math
import os
import tempfile
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from lpvq import smileys
from lpvq.errors import InputError
from lpvq.runtime import in_batches, progress

DATA = Path(__file__).parent.parent / "data"
DEBIAN = Path("/usr/share/dataset-fashion-mnist")
SPLITS = ("train", "test")
KNOWN = ("smileys", "fashion_mnist", "mnist", "cifar10", "folder:PATH")

_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_FASHION = "FashionMNIST"  # as torchvision calls it
_IDX_SETS = {"fashion_mnist": (_FASHION, _CLOTHES), "mnist": ("MNIST", _DIGITS)}
_IDX_OF_BYTES = b"\x00\x00\x08"
_GZIP = b"\x1f\x8b"
DEFAULT_SIZE = 32
_RESIZED_AT_ONCE = 4096
_PIXELS_AT_ONCE = 2**17
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_TEST_EVERY = 10
_NAMED_IN_WARNING = 3


@dataclass(frozen=True)
class ImageData:
    """A set of images in memory.

    Attributes:
        images: uint8 (N, C, H, W), 0 to 255.
        labels: int64 (N,), indices into ``class_names``.
        class_names: what the labels mean.
        name: the name that ``load`` was given.
        factors: for smileys, what each was drawn from: name to a tensor (N,), see ``smileys.draw_factors``.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    name: str
    factors: dict[str, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, items: slice) -> "ImageData":
        """Return some of the images, with their labels and factors."""
        factors = self.factors and {name: values[items] for name, values in self.factors.items()}
        return replace(self, images=self.images[items], labels=self.labels[items], factors=factors)

    def floats(self, indices: Tensor | Sequence[int] | slice | None = None) -> Tensor:
        """Return images as models take them, float32 (B, C, H, W) in [0, 1]: all, or those at ``indices``."""
        images = self.images if indices is None else self.images[indices]
        return images.float().div_(255)

    def batches(self) -> list[Tensor]:
        """Return the indices of all images, in order, in batches that are small whatever the size of an image."""
        return in_batches(len(self), self.images[:1, 0].numel(), _PIXELS_AT_ONCE)


def load(
    name: str,
    split: str = "train",
    size: int | None = None,
    limit: int | None = None,
    root: str | Path | None = None,
    seed: int = 0,
) -> ImageData:
    """Load a set of images.

    Fashion-MNIST, MNIST and CIFAR-10 are looked for in ``root``, or where that is None in the project's ``data/``;
    then in the folder that the environment variable ``LPVQ_DATA`` names; then, Fashion-MNIST, where Debian's package
    ``dataset-fashion-mnist`` puts it. Only then are they downloaded, to ``root`` or ``data/``.

    Args:
        name: ``"smileys"`` (drawn, nothing to download), ``"fashion_mnist"``, ``"mnist"``, ``"cifar10"``, or
            ``"folder:PATH"`` with a folder of PNG, JPEG, WebP or BMP files. Its subfolders, searched at any depth,
            are the classes; files outside them are a class named after the folder itself. In the order of their
            paths, the first file and every tenth after it are the test split, the others the train split.
        split: ``"train"`` or ``"test"``.
        size: height and width in pixels, resized with antialiasing. None is 32 for smileys and folders, whose
            pictures are first cropped to the square in the middle, and the set's own size for the others.
        limit: the first so many images; None is all of them. Of smileys there are as many as asked for, by default
            20,000 to train and 4,000 to test, and the first are the same ones whatever the number.
        root: the folder that holds the set (not for smileys or folders).
        seed: smileys only: another seed, other faces.

    Raises:
        InputError: an unknown name or split; a size or limit below 1; a set that is neither there nor can be
            downloaded; a file that is truncated or something else; a folder that is missing or has no pictures.
    """
    if split not in SPLITS:
        raise InputError(f"split {split!r} is unknown; expected one of {', '.join(SPLITS)}")
    for what, value in (("size", size), ("limit", limit)):
        if value is not None and value < 1:
            raise InputError(f"{what} must be at least 1, got {value}")
    if name == "smileys":
        return _load_smileys(split, size, limit, seed)
    if name in _IDX_SETS:
        return _resized(_load_idx_set(name, split, limit, root), size)
    if name == "cifar10":
        return _resized(_load_cifar10(split, limit, root), size)
    kind, _, path = name.partition(":")
    if kind == "folder" and path:
        return _load_folder(name, Path(path).expanduser(), split, size or DEFAULT_SIZE, limit)
    raise InputError(f"data set {name!r} is unknown; expected one of {', '.join(KNOWN)}")


def _load_smileys(split: str, size: int | None, limit: int | None, seed: int) -> ImageData:
    if seed < 0:
        raise InputError(f"seed must be at least 0, got {seed}")
    factors = smileys.draw_factors(limit or smileys.NUMBER[split], seed, stream=SPLITS.index(split))
    images = smileys.draw(factors, size or DEFAULT_SIZE)
    return ImageData(images, factors["mouth"].clone(), smileys.FACTORS["mouth"], "smileys", factors)


# Sets that others have made: on this machine already, or downloaded.


def _load_idx_set(name: str, split: str, limit: int | None, root: str | Path | None) -> ImageData:
    kind, class_names = _IDX_SETS[name]
    prefix = "train" if split == "train" else "t10k"
    files = [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"]
    image_file, label_file = _find_or_download(name, kind, files, _idx_folders(kind, root), _home(root))
    images, labels = _read_idx(image_file, dimensions=3), _read_idx(label_file, dimensions=1)
    if len(images) != len(labels) or labels.max(initial=0) >= len(class_names):
        raise InputError(
            f"{image_file} ({len(images)} images) and {label_file} ({len(labels)} labels up to "
            f"{labels.max(initial=0)}) are not the images and labels of {name}; delete them and get the set again"
        )
    pixels = torch.from_numpy(images[:limit].copy())[:, None]
    return ImageData(pixels, torch.from_numpy(labels[:limit].astype(np.int64)), class_names, name)


def _load_cifar10(split: str, limit: int | None, root: str | Path | None) -> ImageData:
    kind = _torchvision_set("CIFAR10")
    names = [file for file, _ in kind.train_list + kind.test_list] + [kind.meta["filename"]]
    files = [f"{kind.base_folder}/{name}" for name in names]
    folder = _find_or_download("cifar10", "CIFAR10", files, _places(root), _home(root))[0].parent
    try:
        data = kind(folder.parent, train=split == "train")  # checks the files before it unpickles them
    except (RuntimeError, OSError) as error:
        raise InputError(f"{folder} is damaged or not CIFAR-10; delete it and get it again") from error
    pixels = torch.from_numpy(data.data[:limit]).permute(0, 3, 1, 2).contiguous()
    return ImageData(pixels, torch.tensor(data.targets[:limit]), tuple(data.classes), "cifar10")


def _torchvision_set(kind: str) -> Any:
    """One of torchvision's data sets. Importing torchvision takes more than a second, and smileys do without."""
    from torchvision import datasets

    return getattr(datasets, kind)


def _home(root: str | Path | None) -> Path:
    """Where a set is looked for first and downloaded to."""
    return DATA if root is None else Path(root).expanduser()


def _places(root: str | Path | None) -> list[Path]:
    named = os.environ.get("LPVQ_DATA")
    return [_home(root), Path(named).expanduser()] if named else [_home(root)]


def _idx_folders(kind: str, root: str | Path | None) -> list[Path]:
    folders = []
    for place in _places(root):
        folders.append(place / kind / "raw")
        # MNIST and Fashion-MNIST have the same file names. Files that lie in no folder of the set's name are taken for
        # Fashion-MNIST, as Debian has it, and for MNIST only where the reader says that this is its folder.
        if kind == _FASHION or (root is not None and place == _home(root)):
            folders.append(place)
    return [*folders, DEBIAN] if kind == _FASHION else folders


def _find_or_download(name: str, kind: str, files: list[str], folders: list[Path], home: Path) -> list[Path]:
    paths = _find(files, folders)
    if paths is None:
        _download(name, kind, home, folders)
        paths = _find(files, folders)
    assert paths is not None, f"torchvision's download of {name} has not brought {files}"
    return paths


def _find(files: list[str], folders: list[Path]) -> list[Path] | None:
    """Return where all the files are, gzipped or not, in the first folder that has them all."""
    for folder in folders:
        paths = []
        for file in files:
            either = (folder / file, folder / f"{file}.gz")
            paths += [path for path in either if path.is_file()][:1]
        if len(paths) == len(files):
            return paths
    return None


def _download(name: str, kind: str, home: Path, tried: list[Path]) -> None:
    """Let torchvision download a set to ``home``; what is not complete never gets there."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".download-") as temporary:
            _torchvision_set(kind)(temporary, download=True)
            for path in sorted(Path(temporary).rglob("*")):
                if path.is_file() and path.suffix != ".gz":  # archives, unpacked by now
                    target = home / path.relative_to(temporary)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)
    except (OSError, RuntimeError, HTTPException) as error:
        raise InputError(_not_found(name, kind, home, tried, error)) from error


def _not_found(name: str, kind: str, home: Path, tried: list[Path], error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    ways = ["set LPVQ_DATA to a folder that has it", f"put its files under {home}", "run this once with a network"]
    if kind == _FASHION:
        ways[1] += " or install Debian's package dataset-fashion-mnist"
    return (
        f"{name} is in none of {', '.join(map(str, tried))}, and downloading it failed ({reason}); "
        f"to get it: {'; '.join(f'({i}) {way}' for i, way in enumerate(ways, 1))}"
    )


def _read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an idx file of bytes, gzipped or not: 3 dimensions for images (N, H, W), 1 for labels (N,)."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it and get it again") from error
    header = 4 + 4 * dimensions
    if content[:4] != _IDX_OF_BYTES + bytes([dimensions]) or len(content) < header:
        raise InputError(f"{path} is no idx file of {dimensions}-dimensional bytes; delete it and get the right one")
    shape = np.frombuffer(content, ">u4", dimensions, offset=4).tolist()
    values = np.frombuffer(content, np.uint8, offset=header)
    if len(values) != math.prod(shape):
        raise InputError(f"{path} is truncated or damaged: {shape} and {len(values)} bytes; delete it, get it again")
    return values.reshape(shape)


def _resized(data: ImageData, size: int | None) -> ImageData:
    if size is None or data.images.shape[-2:] == (size, size):
        return data
    from torchvision.transforms.functional import resize  # only here, see ``_torchvision_set``

    # In parts, because torchvision makes floats of them.
    parts = [resize(part, [size, size], antialias=True) for part in data.images.split(_RESIZED_AT_ONCE)]
    return replace(data, images=torch.cat(parts))


# Folders of pictures.


def _load_folder(name: str, folder: Path, split: str, size: int, limit: int | None) -> ImageData:
    files = _list_pictures(folder)
    class_names = sorted({_class_of(file, folder) for file in files})
    chosen = [file for i, file in enumerate(files) if (i % _TEST_EVERY == 0) == (split == "test")]
    if not chosen:
        raise InputError(f"{folder} has one picture, which is the test split; add more for the {split} split")
    Random(0).shuffle(chosen)  # the first ones, and the last ones, are of all classes
    images, labels, unreadable = [], [], []
    for file in progress(chosen, "reading pictures", least=256):
        try:
            images.append(_read_picture(file, size))
            labels.append(class_names.index(_class_of(file, folder)))
        except Exception as error:  # a damaged file makes Pillow raise almost anything
            unreadable.append((file, error))
        if len(images) == limit:
            break
    _report_unreadable(unreadable, folder, len(chosen))
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return ImageData(pixels, torch.tensor(labels), tuple(class_names), name)


def _list_pictures(folder: Path) -> list[Path]:
    """Return the pictures in a folder, at any depth, in the order of their paths; hidden files are left out."""
    if not folder.is_dir():
        raise InputError(f"folder {str(folder)!r} does not exist; expected folder:PATH with a folder of pictures")
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES}
    visible = [name for name, path in files.items() if path.is_file() and not any(p[0] == "." for p in name.parts)]
    if not visible:
        raise InputError(f"folder {str(folder)!r} has no pictures; expected files ending in {' '.join(_PICTURES)}")
    return [files[name] for name in sorted(visible, key=Path.as_posix)]


def _class_of(file: Path, folder: Path) -> str:
    first, *rest = file.relative_to(folder).parts
    return first if rest else folder.resolve().name


def _report_unreadable(unreadable: list[tuple[Path, Exception]], folder: Path, number: int) -> None:
    if not unreadable:
        return
    named = [f"{path.relative_to(folder)} ({error})" for path, error in unreadable[:_NAMED_IN_WARNING]]
    more = ", …" if len(unreadable) > len(named) else ""
    message = f"{len(unreadable)} of {number} pictures in {folder} cannot be read: {', '.join(named)}{more}"
    if len(unreadable) == number:
        raise InputError(message)
    warnings.warn(f"{message}; they are left out", stacklevel=4)  # at the line that called load


def _read_picture(file: Path, size: int) -> NDArray[np.uint8]:
    """Read one picture: upright, over white, the square in its middle, (size, size, 3)."""
    with Image.open(file) as opened:
        opened.draft("RGB", (2 * size, 2 * size))  # spares most of the work of decoding a large JPEG
        upright = ImageOps.exif_transpose(opened)
        return np.asarray(ImageOps.fit(_to_rgb(upright), (size, size), Image.Resampling.BILINEAR))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # convert() would cut 16 bits off at 255
        grey = (np.asarray(image).astype(np.uint32) + 128) // 257
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), coloured).convert("RGB")
    return image.convert("RGB")
