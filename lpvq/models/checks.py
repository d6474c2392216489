"""What the models refuse: vectors and codes that cannot be."""

import torch
from torch import Tensor

from lpvq.errors import InputError


def check_vectors(z: Tensor, code_dim: int) -> Tensor:
    """Return ``z``; raise ``InputError`` unless it has the shape (B, ``code_dim``, H, W) and is finite."""
    if z.ndim != 4 or z.shape[1] != code_dim:
        raise InputError(f"expected vectors of shape (B, {code_dim}, H, W), got {tuple(z.shape)}")
    if z.numel() and not torch.stack(z.detach().aminmax()).isfinite().all():
        raise InputError("the vectors to quantize hold NaN or infinity: check the images, lower the learning rate")
    return z


def check_codes(codes: Tensor, num_codes: int) -> None:
    """Raise ``InputError`` unless ``codes`` are int64 and all in 0 … ``num_codes`` − 1."""
    if codes.dtype != torch.int64:
        raise InputError(f"codes must be int64, got {codes.dtype}")
    if codes.numel() == 0:
        return
    lowest, highest = (int(bound) for bound in codes.aminmax())
    if lowest < 0 or highest >= num_codes:
        raise InputError(f"codes must be in 0 … {num_codes - 1}, got {lowest} … {highest}")
