"""The prior in whole numbers that is shipped: the same logits and frequencies in whatever way they are computed."""

import pytest
import torch
from torch import Tensor

from lpvq import PixelCNN, load_pretrained
from lpvq.models.pretrained import load_whole_number_prior
from lpvq.models.whole_number_prior import WholeNumberPixelCNN

GRIDS = 64
LABELS = torch.arange(GRIDS) % 3

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.fixture(scope="module")
def model() -> WholeNumberPixelCNN:
    _, prior = load_pretrained("smileys")
    assert isinstance(prior, PixelCNN)
    return load_whole_number_prior("smileys", prior)


@pytest.fixture(scope="module")
def codes(model: WholeNumberPixelCNN) -> Tensor:
    """Half of them faces, half of them noise, which no range was measured on."""
    random = torch.Generator().manual_seed(0)
    faces = model.generate(labels=LABELS[: GRIDS // 2], generator=random)
    return torch.cat([faces, torch.randint(model.latent_dim, faces.shape, generator=random)])


@pytest.fixture(scope="module")
def expected(model: WholeNumberPixelCNN, codes: Tensor) -> Tensor:
    """Logits (B, H, W, K), all grids at once, on one thread."""
    torch.set_num_threads(1)
    return model(codes, LABELS).movedim(1, -1).double()


def logits(model: WholeNumberPixelCNN, codes: Tensor, labels: Tensor, method: str) -> Tensor:
    """Logits (B, H, W, K), by one forward pass or position by position."""
    if method == "plain":
        return model(codes, labels).movedim(1, -1)
    height, width = codes.shape[1:]
    sampler = model.sampler(labels, len(codes), (height, width), "cached")
    found = []
    for row in range(height):
        sampler.begin_row(codes, row)
        found += [sampler.logits_at(codes, row, column).clone() for column in range(width)]
    return torch.stack(found, dim=1).unflatten(1, (height, width))


# One pass on one thread in float32 is what is expected; of two of the other ways, each pair occurs.
@pytest.mark.parametrize(
    ("method", "threads", "kind"),
    [
        ("plain", 2, torch.float32),
        ("plain", 1, torch.float64),
        ("cached", 1, torch.float32),
        ("cached", 2, torch.float64),
    ],
)
def test_no_way_to_compute_them_gives_others(
    method: str, threads: int, kind: torch.dtype, model: WholeNumberPixelCNN, codes: Tensor, expected: Tensor
) -> None:
    torch.set_num_threads(threads)
    permuted = codes.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    first = permuted[:1]
    assert not permuted.is_contiguous() and not first.is_contiguous()
    try:
        model.to(kind)
        for grids in (codes if kind == torch.float32 else permuted, codes[:1], first):
            found, right = logits(model, grids, LABELS[: len(grids)], method), expected[: len(grids)]
            assert found.dtype == kind and torch.equal(found.double(), right)
            assert torch.equal(model.frequencies(found), model.frequencies(right))
    finally:
        model.float()


@needs_cuda
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", ["plain", "cached"])
def test_a_gpu_gives_no_others(
    method: str, kind: torch.dtype, model: WholeNumberPixelCNN, codes: Tensor, expected: Tensor
) -> None:
    try:
        model.to("cuda", kind)
        for part in (slice(None), slice(0, 1)):
            found = logits(model, codes[part].cuda(), LABELS[part].cuda(), method)
            assert torch.equal(found.double().cpu(), expected[part])
            assert torch.equal(model.frequencies(found).cpu(), model.cpu().frequencies(expected[part]))
            model.to("cuda")
    finally:
        model.to("cpu", torch.float32)
