"""What readers write in the lessons does what the package does: each definition is taken out of its notebook."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from lpvq import VQVAE, extract_codes
from lpvq.data.images import ImageData
from lpvq.data.latent_codes import LatentCodes
from lpvq.data.loading import load
from lpvq.evaluation.codes import mean_patches
from lpvq.evaluation.distances import frechet_distance, neighbourhoods
from lpvq.evaluation.estimates import bootstrap
from lpvq.evaluation.nearest_face import find_nearest_faces
from lpvq.evaluation.prior import evaluate_prior
from lpvq.evaluation.truth import evaluate_factors
from lpvq.models import gated
from lpvq.models.cached_sampler import CachedSampler
from lpvq.models.contexts import CoarseFeatures, position_features
from lpvq.models.pixelcnn import PixelCNN
from lpvq.models.sampling import SamplingOptions, restrict_logits, sample_code
from written import CACHE, of_notebook


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def faces() -> ImageData:
    return load("smileys", "test", limit=40)


@pytest.fixture(scope="module")
def vqvae(faces: ImageData) -> VQVAE:
    """With a codebook that has begun with vectors of images."""
    model = VQVAE(3, num_codes=16, code_dim=4, hidden_channels=8)
    model(faces.floats())
    return model.eval()


@pytest.fixture(scope="module")
def codes(vqvae: VQVAE, faces: ImageData) -> LatentCodes:
    return extract_codes(vqvae, faces)


@pytest.mark.parametrize("width", [32, 24])
def test_04_codes_are_extracted_and_rows_are_not_taken_for_columns(width: int, vqvae: VQVAE, faces: ImageData) -> None:
    part = ImageData(faces.images[:, :, :, :width], faces.labels, faces.class_names, faces.name)
    by_hand = of_notebook("04_latent_codes", "extract", device="cpu").extract(vqvae, part)
    assert by_hand.shape == (40, 8, width // 4)
    assert torch.equal(by_hand, extract_codes(vqvae, part).codes)
    vectors = vqvae.encoder(part.floats([0]))
    assert by_hand[0, 5, 2] == vqvae.quantizer.assign(vectors[:, :, 5:6, 2:3])


def test_04_mean_patches(codes: LatentCodes, faces: ImageData) -> None:
    mean_patch = of_notebook("04_latent_codes", "mean_patch").mean_patch
    package = mean_patches(codes.codes, faces, 4, codes.num_codes)
    for code in codes.codes.unique().tolist():
        assert torch.allclose(mean_patch(code, faces.floats(), codes.codes), package[code], atol=1e-5)


def test_04_baselines(codes: LatentCodes) -> None:
    bits_needed = of_notebook("04_latent_codes", "bits_needed").bits_needed
    learned, asked = codes[:30], codes[30:]
    judged = evaluate_prior(
        PixelCNN(16, 8, num_blocks=1, hidden_channels=4, num_classes=3), learned, asked, pixels=1024
    )
    by_place = torch.stack([torch.bincount(column, minlength=16) for column in learned.codes.flatten(1).T])
    for name, table in {"unigram": by_place.sum(0, keepdim=True), "unigram per position": by_place}.items():
        assert bits_needed(table, asked.codes.flatten(1)).mean().item() == pytest.approx(
            judged[name].bits.value, abs=1e-4
        )


def test_05_a_cropped_kernel_does_what_a_masked_one_does() -> None:
    found = of_notebook("05_causal_convolutions", "look_up", "look_left")
    features, kernel = torch.randn(2, 4, 7, 11), torch.randn(6, 4, 3, 3)
    rows_below, columns_right = torch.tensor([1.0, 1, 0])[:, None], torch.tensor([1.0, 1, 0])
    masked_up = F.conv2d(features, kernel * rows_below, padding=1)
    assert torch.allclose(found.look_up(features, kernel[:, :, :2], own=True), masked_up, atol=1e-5)
    row = kernel[:, :, :1]
    masked_left = F.conv2d(features, row * columns_right, padding=(0, 1))
    assert torch.allclose(found.look_left(features, row[..., :2], own=True), masked_left, atol=1e-5)


@pytest.fixture(scope="module")
def grids() -> tuple[torch.Tensor, torch.Tensor]:
    """Grids of six codes that are not square, and labels."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(6, (4, 5, 7), generator=generator), torch.tensor([0, 1, 2, 1])


def test_06_the_gate_and_the_block() -> None:
    found = of_notebook("06_gated_pixelcnn", "gate", "GatedBlock")
    halves = torch.randn(2, 16, 5, 7, dtype=torch.float64)
    assert torch.allclose(found.gate(halves), gated.gate(halves), rtol=0, atol=1e-12)
    mine, package = found.GatedBlock(8, num_classes=3).double(), gated.GatedBlock(8, 3, num_classes=3).double()
    mine.load_state_dict(package.state_dict())
    given = *torch.randn(2, 2, 8, 5, 7, dtype=torch.float64), torch.tensor([2, 0])
    for by_me, by_package in zip(mine(*given), package(*given), strict=True):
        assert torch.allclose(by_me, by_package, rtol=0, atol=1e-12)


@torch.no_grad()
def test_06_the_model_its_costs_and_a_prior_that_was_told_a_codebook(grids: tuple[torch.Tensor, torch.Tensor]) -> None:
    found = of_notebook("06_gated_pixelcnn", "MyPixelCNN", "nats_per_code", "nats_per_grid")
    told = PixelCNN(6, (5, 7), num_blocks=3, hidden_channels=8, num_classes=3, code_dim=4)
    told.set_codebook(torch.randn(6, 4))
    for parameter in told.parameters():
        parameter.normal_(std=0.3)
    mine = found.MyPixelCNN(6, num_blocks=3, channels=8, num_classes=3)
    mine.load_state_dict(told.without_codebook().state_dict())
    assert torch.allclose(mine(*grids), told(*grids), atol=1e-4)
    assert torch.allclose(found.nats_per_grid(mine, *grids), told.nll(*grids), rtol=1e-5)
    mean = F.cross_entropy(mine(*grids), grids[0])
    assert torch.allclose(found.nats_per_code(mine, *grids).mean(), mean)


def test_06_what_a_model_must_hold_is_true_of_the_package_s(grids: tuple[torch.Tensor, torch.Tensor]) -> None:
    given = {
        "grids": grids[0],
        "grid_labels": grids[1],
        "all_grids": torch.cartesian_prod(*[torch.arange(3)] * 4).view(81, 2, 2),
    }
    names = "influence", "count_mistakes", "nats_per_code", "nats_per_grid", "sum_of_probabilities"
    found = of_notebook("06_gated_pixelcnn", *names, **given)
    settings = {"hidden_channels": 8, "num_classes": 3}
    assert found.count_mistakes(PixelCNN(6, (5, 7), num_blocks=7, **settings).double()) == (0, 0)
    tiny = PixelCNN(3, 2, num_blocks=2, **settings).double()
    assert [found.sum_of_probabilities(tiny, label) for label in range(3)] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(0.3, None, None), (2.5, None, None), (1, 1, None), (1, 5, None), (1, None, 0.01), (1, None, 0.9), (1.7, 20, 0.9)],
)
def test_07_temperature_top_k_and_top_p(temperature: float, top_k: int | None, top_p: float | None) -> None:
    found = of_notebook("07_sampling", "soften", "keep_top_k", "keep_top_p")
    logits = 3 * torch.randn(50, 256, dtype=torch.float64)
    mine = found.soften(logits, temperature)
    mine = found.keep_top_k(mine, top_k) if top_k else mine
    mine = found.keep_top_p(mine, top_p) if top_p else mine
    package = restrict_logits(logits, SamplingOptions(temperature, top_k, top_p))
    assert torch.equal(mine.isfinite(), package.isfinite())
    assert torch.allclose(mine.softmax(-1), package.softmax(-1))


def test_07_grids_are_drawn_and_completed(grids: tuple[torch.Tensor, torch.Tensor]) -> None:
    found = of_notebook("07_sampling", "sample_grids", "complete_grids")
    codes, labels = grids
    prior = PixelCNN(6, (5, 7), num_blocks=2, hidden_channels=8, num_classes=3).double()
    uniform = torch.rand(4, 5, 7, generator=torch.Generator().manual_seed(7), dtype=torch.float64)

    def drawn(**options: Any) -> torch.Tensor:
        return prior.generate(labels=labels, generator=torch.Generator().manual_seed(7), **options)

    assert torch.equal(found.sample_grids(prior, labels, uniform)[-1], drawn())
    chessboard = (torch.arange(5)[:, None] + torch.arange(7)) % 2 == 0
    given = codes.masked_fill(~chessboard, -1)
    mine = found.complete_grids(prior, given, chessboard, labels, uniform)
    assert torch.equal(mine, drawn(start_sequence=given, known=chessboard))
    assert torch.equal(mine[:, chessboard], codes[:, chessboard])


def test_08_a_code_is_picked() -> None:
    pick = of_notebook("08_fast_sampling", "pick").pick
    logits, u = torch.randn(1000, 32), torch.rand(1000)
    assert torch.equal(pick(logits, u), sample_code(logits, SamplingOptions(), u))


@torch.no_grad()
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_08_the_cache_step_by_step_and_with_known_codes(
    kernel_size: int, grids: tuple[torch.Tensor, torch.Tensor]
) -> None:
    found = of_notebook("08_fast_sampling", *CACHE, "sample_grids")
    codes, labels = grids
    model = PixelCNN(6, (5, 7), num_blocks=2, kernel_size=kernel_size, hidden_channels=8, num_classes=3).double()
    for parameter in model.parameters():
        parameter.normal_(std=0.5)
    mine, theirs = found.GridCache(model, labels, 4, 7), CachedSampler(model, labels, 4, (5, 7))
    for row in range(5):
        for steps in (mine, theirs):
            steps.begin_row(codes, row)
        for column in range(7):
            both = [steps.logits_at(codes, row, column) for steps in (mine, theirs)]
            assert torch.allclose(*both, rtol=0, atol=1e-10)
    for known in (torch.arange(5)[:, None].expand(5, 7) < 2, torch.arange(7).expand(5, 7) < 3):
        generator = torch.Generator().manual_seed(6)
        u = torch.rand(4, 5, 7, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
        drawn = found.sample_grids(found.GridCache(model, labels, 4, 7), u, codes, known)
        assert torch.equal(drawn, model.generate(codes, known=known, labels=labels, generator=generator))


def test_09_the_bootstrap() -> None:
    resample = of_notebook("09_how_good_is_it", "resample").resample
    bits = torch.rand(50, dtype=torch.float64)
    mean = lambda rows: rows.mean().item()  # noqa: E731
    assert torch.allclose(resample(mean, bits, times=20), bootstrap(mean, bits, resamples=20))


def test_09_local_errors(faces: ImageData) -> None:
    local_error = of_notebook("09_how_good_is_it", "local_error").local_error
    nearest = find_nearest_faces(faces.floats().flip(3))
    assert torch.allclose(local_error(faces.floats().flip(3), nearest.faces), nearest.local_errors, atol=1e-6)


def test_09_distances() -> None:
    found = of_notebook("09_how_good_is_it", "frechet", "frechet_of_one_feature", "inside_balls")
    # Every combination of some values of two features: they are exactly uncorrelated, so here adding up is right.
    square = torch.cartesian_prod(torch.randn(20), torch.randn(20)).double()
    oblong = square * torch.tensor([2.0, 3.0]) + 1
    of_each = [found.frechet_of_one_feature(square[:, i], oblong[:, i]) for i in range(2)]
    assert found.frechet(square, oblong) == pytest.approx(sum(of_each), abs=1e-6)
    real, other = torch.randn(60, 5), 1.5 * torch.randn(50, 5)
    assert found.frechet(real, other) == pytest.approx(frechet_distance(real, other), abs=1e-4)
    package, in_real = neighbourhoods(real, other, k=3), found.inside_balls(other, real, k=3)
    assert in_real.any(1).double().mean() == pytest.approx(package.precision.value)
    assert found.inside_balls(real, other, k=3).any(1).double().mean() == pytest.approx(package.recall.value)
    assert in_real.sum() / 50 / 3 == pytest.approx(package.density.value)


def test_09_total_variation() -> None:
    found = of_notebook("09_how_good_is_it", "frequencies", "total_variation")
    eyes, mouths = torch.randint(4, (200,)), torch.randint(3, (200,))
    factors = {"eyes": tuple("abcd"), "mouth": tuple("xyz")}
    given = {"eyes": eyes, "mouth": mouths}
    truths = {one.name: one.samples for one in evaluate_factors(factors, given, given, [given])}
    for name, values in {"eyes": (eyes, 4), "mouth": (mouths, 3), "eyes × mouth": (3 * eyes + mouths, 12)}.items():
        frequencies, equal = found.frequencies(*values), torch.full((values[1],), 1 / values[1])
        assert found.total_variation(frequencies, equal) == pytest.approx(truths[name], abs=1e-6)


def test_11_features_of_positions_and_of_coarse_codes(vqvae: VQVAE) -> None:
    found = of_notebook("11_coarse_to_fine", "my_position_features", "MyCoarseFeatures")
    assert torch.allclose(found.my_position_features(5, 7), position_features(5, 7, torch.zeros(1))[0], atol=1e-5)
    theirs = CoarseFeatures(deepcopy(vqvae), factor=2)
    mine = found.MyCoarseFeatures(deepcopy(vqvae), factor=2)
    mine.load_state_dict(theirs.state_dict())
    codes = torch.randint(16, (2, 8, 6))
    assert mine(codes).shape == (2, 32, 16, 12)
    assert torch.allclose(mine(codes), theirs(codes), atol=1e-6)
