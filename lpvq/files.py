"""Files that are whole or not there: atomic writes, weights with their configuration beside them, checksums.

Weights are a plain state dict (``NAME.pt``) and a JSON file beside it (``NAME.json``) with the constructor's
arguments, the checksum of the weights and whatever the writer wants to say about how they were made.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, TypeVar

import torch
from torch import Tensor, nn

from lpvq import distributed
from lpvq.errors import InputError

Model = TypeVar("Model", bound=nn.Module)

_FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)  # what a whole model can be cast to
_NAMED = 40  # characters of a file's name that its temporary file's name repeats, which must not become too long
_CHECKED = b"lpvq checked "


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write ``content`` to ``path`` such that a reader sees the old file or the new one, never a part.

    Raises:
        OSError: the disk is full or not writable; the old file, if there was one, is untouched.
    """
    path = Path(path)
    try:
        with new_file(path) as file:
            file.write(content)
    except OSError as error:
        size = len(content) / 2**20
        error.filename = str(path)
        error.strerror = f"{error.strerror}: {size:.1f} MiB could not be written, the file is as it was before"
        raise


@contextmanager
def new_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` once all of it is written; where that fails, nothing is left of it.

    Of several processes that share their work, the first one writes it, and what the others write is forgotten.

    Raises:
        OSError: the disk is full or not writable; the old file, if there was one, is untouched.
    """
    if not distributed.is_first():
        yield io.BytesIO()
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        with temporary.open("xb") as file:  # readable by those whom the user's umask allows
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Make a folder that is called ``path`` once all is in it; where that fails, nothing is left of it.

    Raises:
        InputError: something with this name exists and is not an empty folder.
        OSError: the disk is full or not writable.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path} exists already: name a folder that does not, or delete it")
    temporary = _beside(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        with suppress(FileNotFoundError):
            path.rmdir()
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _beside(path: Path) -> Path:
    """A name in the same folder that nothing has yet."""
    return path.with_name(f".{path.stem[:_NAMED]}.{token_hex(8)}")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def _content(path: Path) -> bytes:
    """What a file holds; ``InputError`` where there is none, or something else in its place."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:  # a folder, a file of somebody else's, a broken disk
        raise InputError(f"{path} cannot be read ({error.strerror}): move it away and make it anew") from error


def read_json(path: str | Path) -> Any:
    """Read a JSON file; ``InputError`` where there is none or it cannot be read."""
    path = Path(path)
    try:
        return json.loads(_content(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); delete it and make it again") from None


def write_tensors(path: str | Path, value: Any, checked: bool = False) -> str:
    """Write tensors in plain containers as ``torch.save`` does, atomically.

    Args:
        path: of the file.
        value: tensors, numbers and texts in dictionaries, lists and tuples.
        checked: put a line with the checksum of the rest before it, for files that no other file describes.

    Returns:
        the SHA-256 of what ``torch.save`` made, as hexadecimal digits.
    """
    buffer = io.BytesIO()
    torch.save(value, buffer)
    content = buffer.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    write_atomically(path, _CHECKED + sha256.encode() + b"\n" + content if checked else content)
    return sha256


def read_tensors(path: str | Path, expected_sha256: str | None = None, checked: bool = False) -> Any:
    """Read what ``write_tensors`` wrote, to the CPU, without running any pickled code.

    Args:
        path: of the file.
        expected_sha256: what ``write_tensors`` returned; None where that is not known.
        checked: whether the file begins with its own checksum.

    Raises:
        InputError: the file is missing, truncated, foreign, or not the one whose checksum was expected.
    """
    path = Path(path)
    content = _content(path)
    if checked:
        line, _, content = content.partition(b"\n")
        expected_sha256 = line.removeprefix(_CHECKED).decode(errors="replace")
    if expected_sha256 not in (None, hashlib.sha256(content).hexdigest()):
        described = "what its first line describes" if checked else "the file its .json describes"
        raise InputError(f"{path} is damaged or not {described}; delete it and make it again")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds here: zip, pickle, end of file, plain RuntimeError
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} holds no tensors that can be read ({reason}); make it again") from error


def checksum(model: nn.Module) -> str:
    """Return the SHA-256 of a model's weights and buffers, as 64 hexadecimal digits.

    It is the same on every device, and a different one after any change of a name, a type, a shape or a value.

    Raises:
        InputError: the model holds something other than plain numbers in memory (sparse or meta tensors, for example).
    """
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        kind = str(tensor.dtype).removeprefix("torch.") if isinstance(tensor, Tensor) else type(tensor).__name__
        try:
            values = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
            content = values.view(torch.uint8).numpy()  # numpy does not know every type of number, but it knows bytes
        except (AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
            raise InputError(f"{name} has no checksum: it is {kind}, not a plain tensor in memory") from error
        digest.update(f"{name} {kind} {tuple(tensor.shape)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def save_model(model: nn.Module, path: str | Path, about: dict[str, Any] | None = None) -> None:
    """Write a model's weights to ``path`` and its configuration to the ``.json`` beside it.

    Args:
        model: a module whose ``config`` holds its constructor's arguments.
        path: where the weights go, ending in ``.pt``.
        about: more to put into the JSON file (how it was trained, on what).
    """
    path = Path(path)
    weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    sha256 = write_tensors(path, weights)
    # The JSON file comes second: as long as it is not there or names other weights, the pair is not complete.
    description = {"model": type(model).__name__, "config": model.config, "weights_sha256": sha256, **(about or {})}
    write_json(path.with_suffix(".json"), description)


def load_model(kind: type[Model], path: str | Path) -> tuple[Model, dict[str, Any]]:
    """Read what ``save_model`` wrote. No pickled code is run.

    Args:
        kind: the class of the model.
        path: of the weights, ending in ``.pt``; the JSON file lies beside it.

    Returns:
        the model, in eval mode, on the CPU, in the type of its weights; and what its JSON file says.

    Raises:
        InputError: missing, truncated or foreign files, another kind of model, weights that do not fit or hold NaN or
            infinity.
    """
    path = Path(path)
    about = _read_about(kind, path.with_suffix(".json"))
    weights = read_tensors(path, about["weights_sha256"])
    try:
        with torch.device("meta"):  # no memory, so that a wrong size costs nothing
            outline = kind(**about["config"])
        cast = _check_weights(weights, outline)
        model = kind(**about["config"]).to(cast)
        model.load_state_dict(weights)
    # A foreign configuration can make a constructor raise almost anything: sizes overflow, or texts stand for sizes.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} does not fit this version's {kind.__name__} ({reason}); make it again") from error
    return model.eval(), about


def _read_about(kind: type[nn.Module], path: Path) -> dict[str, Any]:
    """The JSON file beside the weights of a ``kind``; ``InputError`` where it describes something else."""
    about = read_json(path)
    found = about.get("model") if isinstance(about, dict) else about
    if not isinstance(about, dict) or found != kind.__name__:
        raise InputError(f"{path} describes {found!r:.80}, expected a {kind.__name__}")
    for name, expected in (("config", dict), ("weights_sha256", str)):
        if not isinstance(about.get(name), expected):
            raise InputError(f"{path} has no {name!r} that can be used, got {about.get(name)!r:.80}; make it again")
    return about


def _check_weights(weights: Any, outline: nn.Module) -> torch.dtype:
    """Return the type to cast a model to before it loads ``weights``.

    Args:
        weights: what the file holds.
        outline: the model without values, in its usual type.

    Raises:
        InputError: names, shapes or types are not those of the model, or a value is NaN or infinity.
    """
    expected = outline.state_dict()
    if not isinstance(weights, dict) or weights.keys() != expected.keys():
        odd = sorted(map(str, set(weights) ^ set(expected))) if isinstance(weights, dict) else type(weights).__name__
        raise InputError(f"it holds other tensors than the model: {odd!s:.200}")
    for name, tensor in weights.items():
        if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta:
            raise InputError(f"{name} is no plain tensor")
    # A model that was cast as a whole is saved as it was. Its first parameter tells; all others have to agree.
    parameter = next((name for name, _ in outline.named_parameters()), None)
    cast = torch.float32 if parameter is None else weights[parameter].dtype
    if cast not in _FLOATS:
        raise InputError(f"{parameter} is {cast}, expected one of {_FLOATS}")
    for name, wanted in outline.to(cast).state_dict().items():
        found = weights[name]
        if (found.dtype, found.shape) != (wanted.dtype, wanted.shape):
            raise InputError(
                f"{name} is {found.dtype} of shape {tuple(found.shape)}, "
                f"expected {wanted.dtype} of shape {tuple(wanted.shape)}"
            )
        if not found.isfinite().all():
            raise InputError(f"{name} holds NaN or infinity")
    return cast
