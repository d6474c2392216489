"""Latent codes on disk: an ``.npz`` file without pickles, which is read without trust.

Such a file is a zip archive of arrays in numpy's ``.npy`` format: a header with type and shape, then the values.
Nothing in it is run, and no memory is taken for what a header merely claims.
"""

import io
import math
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from lpvq.errors import InputError
from lpvq.files import write_atomically

# What the file holds: for each array the kinds of its type (i and u: whole numbers, U: text) and its axes.
_ARRAYS = {
    "codes": ("iu", "NHW"),
    "labels": ("iu", "N"),
    "num_codes": ("iu", ""),
    "class_names": ("U", "C"),
    "dataset": ("U", ""),
    "vqvae_checksum": ("U", ""),
    "data_checksum": ("U", ""),
}
# And where there are two levels, the same for the coarse codes, apart from what both levels share.
_COARSE_ARRAYS = {f"coarse_{name}": _ARRAYS[name] for name in ("codes", "num_codes", "vqvae_checksum")}
_KINDS = {"iu": "whole numbers", "U": "text"}
# Half a million grids of 32 × 32 codes of two bytes; the images that they stand for would need 25 GB.
_LARGEST = 2**30
_LONGEST_HEADER = 2**16 + 12  # bytes, in version (1, 0)


def write_codes_file(path: str | Path, arrays: dict[str, Any]) -> None:
    """Write the arrays of a codes file, atomically and compressed.

    Args:
        path: of the file.
        arrays: ``codes``, ``labels``, ``num_codes``, ``class_names``, ``dataset``, ``vqvae_checksum`` and
            ``data_checksum``; and for two levels ``coarse_codes``, ``coarse_num_codes`` and
            ``coarse_vqvae_checksum``.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def read_codes_file(path: str | Path) -> dict[str, Any]:
    """Read what ``write_codes_file`` wrote; types and shapes are those that are expected, values are not checked.

    Returns:
        by name: ``codes`` (N, H, W) as they are in the file, of any integer type, ``labels`` as an int64 array (N,),
        ``num_codes`` as an int, ``class_names`` as a list of texts, and the others as texts; with two levels also
        ``coarse_codes`` (N, h, w) and the others that ``write_codes_file`` names.

    Raises:
        InputError: there is no such file, or it is truncated, damaged or something else.
    """
    try:
        with ZipFile(path) as archive:
            found = sorted(archive.namelist())
            arrays = _ARRAYS | _COARSE_ARRAYS if any(name.startswith("coarse_") for name in found) else _ARRAYS
            expected = sorted(f"{name}.npy" for name in arrays)
            if found != expected:
                raise InputError(f"it holds {found}, expected {expected}")
            return {name: _read_array(archive, name, *what) for name, what in arrays.items()}
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: extract the codes first") from None
    except Exception as error:  # a damaged archive raises many kinds: of zip, of zlib, RuntimeError, SyntaxError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path} is not a file of latent codes as LatentCodes.save writes them ({reason}): extract the codes again"
        ) from error


def _read_array(archive: ZipFile, name: str, kinds: str, axes: str) -> Any:
    """Read one array; its header is believed only where it agrees with the bytes that are there."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.file_size > _LARGEST:
        raise InputError(f"{name} takes {entry.file_size / 2**30:.1f} GiB, expected at most {_LARGEST / 2**30:.0f}")
    content = archive.read(entry)  # checks the CRC
    stream = io.BytesIO(content[:_LONGEST_HEADER])
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise InputError(f"{name} is in version {version} of numpy's format, expected (1, 0)")
    shape, in_columns, kind = np.lib.format.read_array_header_1_0(stream)
    if kind.kind not in kinds or len(shape) != len(axes):
        raise InputError(
            f"{name} has the type {kind} and the shape {shape}, "
            f"expected {_KINDS[kinds]} and {len(axes)} axes ({', '.join(axes)})"
        )
    values = np.frombuffer(content, kind, offset=stream.tell())
    if 0 in shape or values.size != math.prod(shape):
        raise InputError(f"{name} has the shape {shape} and {values.size} values")
    values = values.reshape(shape, order="F" if in_columns else "C")
    if axes == "NHW":
        return values
    return values.astype(np.int64) if kinds == "iu" and axes else values.tolist()
