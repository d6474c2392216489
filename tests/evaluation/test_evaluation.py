"""Evaluation: each figure against a computation of its own, and each has to move when what it measures is spoilt."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torchmetrics.image import fid

from lpvq import VQVAE, InputError, LatentCodes, PixelCNN
from lpvq.data.images import ImageData
from lpvq.data.loading import load
from lpvq.data.smileys import FACTORS
from lpvq.evaluation import samples
from lpvq.evaluation.codes import evaluate_reconstruction, mean_patches
from lpvq.evaluation.distances import frechet_distance, nearest_neighbours
from lpvq.evaluation.estimates import Estimate
from lpvq.evaluation.memorisation import evaluate_memorisation, nearest_training_images
from lpvq.evaluation.prior import evaluate_prior, marginal_nll
from lpvq.evaluation.samples import evaluate_samples, inception_distance
from lpvq.evaluation.truth import evaluate_factors
from lpvq.training.losses import grid_nll

PIXELS = 320


def flat_prior() -> PixelCNN:
    """A prior that knows nothing: all codes equally likely."""
    model = PixelCNN(8, (4, 5), num_blocks=1, hidden_channels=4, num_classes=3)
    for parameter in model.head.parameters():
        nn.init.zeros_(parameter)
    return model


def lively_prior() -> PixelCNN:
    """A prior that finds some codes likelier than others, and differently for each label."""
    model = PixelCNN(8, (4, 5), num_blocks=1, hidden_channels=4, num_classes=3)
    nn.init.normal_(model.head[-1].weight, std=1.0)
    nn.init.normal_(model.blocks[0].label_shift.weight, std=2.0)
    return model.eval()


def test_the_error_is_measured_in_eval_mode_against_the_variance_of_the_same_scaling(
    vqvae: VQVAE, smileys: ImageData
) -> None:
    vqvae.train()
    counts = vqvae.quantizer.code_counts.clone()
    result = evaluate_reconstruction(vqvae, smileys)
    assert vqvae.training and torch.equal(vqvae.quantizer.code_counts, counts)
    images = smileys.floats()
    decoded = vqvae.decode(vqvae.encode(images))
    assert result.mse == pytest.approx((decoded - images).square().mean().item(), rel=1e-5)
    assert result.variance == pytest.approx(images.var().item(), rel=1e-4)
    assert result.relative_error.value == pytest.approx(result.mse / result.variance)
    by_image = (decoded - images).square().mean((1, 2, 3)) / images.var()
    assert result.relative_error.error == pytest.approx(by_image.std().item() / math.sqrt(96), rel=0.01)
    assert result.psnr == pytest.approx(-10 * math.log10(result.mse))


class _Decoding(VQVAE):
    """A VQ-VAE whose reconstructions are what the test says."""

    def __init__(self, made: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__(3, 8, 4, 8)
        self.made = made

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        self.images = images
        return torch.zeros(len(images), 4, 4, dtype=torch.int64)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return self.made(self.images)


def test_the_mean_colour_alone_has_a_relative_error_of_about_one(smileys: ImageData) -> None:
    mean = smileys.floats().mean()
    result = evaluate_reconstruction(_Decoding(lambda images: torch.full_like(images, mean)), smileys)
    assert result.relative_error.value == pytest.approx(1, abs=1e-3)


def test_error_psnr_and_similarity_get_worse_with_noise(smileys: ImageData) -> None:
    def noisy(spread: float) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda images: (images + spread * torch.randn_like(images)).clamp(0, 1)

    little, much = (evaluate_reconstruction(_Decoding(noisy(spread)), smileys) for spread in (0.01, 0.1))
    assert little.relative_error.value < much.relative_error.value
    assert little.psnr > much.psnr + 15  # a tenth of the noise is a hundredth of its square: 20 decibels, less clamping
    assert 1 > little.ssim.value > much.ssim.value + 0.05


def test_the_patches_of_a_code_are_averaged() -> None:
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    images[0, 0, :2, 2:] = torch.tensor([[10, 20], [30, 40]])  # position (0, 1) of the first grid
    images[1, 0, 2:, :2] = torch.tensor([[30, 20], [30, 60]])  # position (1, 0) of the second
    codes = torch.zeros(2, 2, 2, dtype=torch.int64)
    codes[0, 0, 1] = codes[1, 1, 0] = 2
    data = ImageData(images, torch.zeros(2, dtype=torch.int64), ("a",), "patches")
    patches = mean_patches(codes, data, 2, 4)
    torch.testing.assert_close(patches[2, 0] * 255, torch.tensor([[20.0, 20.0], [30.0, 50.0]]))
    assert patches[0].eq(0).all() and patches[1].eq(0.5).all()


def test_patches_keep_their_channels_and_batches_make_no_difference(
    smileys: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = torch.randint(5, (96, 4, 4))
    patches = mean_patches(codes, smileys, 4, 5)
    image, row, column = (codes == 3).nonzero().T
    wanted = torch.stack(
        [
            smileys.floats()[i, :, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4]
            for i, r, c in zip(image, row, column, strict=True)
        ]
    )
    torch.testing.assert_close(patches[3], wanted.mean(0))
    monkeypatch.setattr("lpvq.data.images._PIXELS_AT_ONCE", 16 * 16 * 7)
    torch.testing.assert_close(mean_patches(codes, smileys, 4, 5), patches)


def test_a_prior_that_knows_nothing_is_as_good_as_uniform(codes: LatentCodes) -> None:
    result = evaluate_prior(flat_prior(), codes, codes, PIXELS)
    assert result["uniform"].bits.value == pytest.approx(3)
    for name in ("prior", "prior, label unknown", "prior, training images"):
        rung = result[name]
        assert rung.bits.value == pytest.approx(3, abs=1e-5) and rung.bits.error == pytest.approx(0, abs=1e-5)
        assert rung.nats_per_grid == pytest.approx(20 * math.log(8), rel=1e-5)
        assert rung.bits_per_pixel == pytest.approx(3 * 20 / PIXELS, rel=1e-5)
    assert result.share_of_unigram_entropy == pytest.approx(3 / result.unigram_entropy, rel=1e-5)


def test_baselines_are_learned_from_the_training_codes_alone(codes: LatentCodes) -> None:
    # Training: position 0 is always 0, all others always 1. Test: everything is 1.
    train = replace(codes, codes=torch.ones_like(codes.codes))
    train.codes[:, 0, 0] = 0
    test = replace(codes, codes=torch.ones_like(codes.codes))
    result = evaluate_prior(flat_prior(), train, test, PIXELS)
    assert result["unigram"].bits.value == pytest.approx(-math.log2((96 * 19 + 1) / (96 * 20 + 8)))
    impossible, sure = -math.log2(1 / (96 + 8)), -math.log2(97 / (96 + 8))
    assert result["unigram per position"].bits.value == pytest.approx((impossible + 19 * sure) / 20)
    assert result.unigram_entropy == 0 and result.share_of_unigram_entropy is None


def test_each_position_has_its_own_unigram(codes: LatentCodes) -> None:
    position = torch.arange(20).view(4, 5) % 8
    fixed = replace(codes, codes=position.expand(96, 4, 5).contiguous())
    result = evaluate_prior(flat_prior(), fixed, fixed, PIXELS)
    assert result["unigram per position"].bits.value == pytest.approx(-math.log2(97 / 104))
    assert result["unigram"].bits.value > 2.9


def test_the_gap_between_training_and_test_images_is_seen(codes: LatentCodes) -> None:
    prior = lively_prior()
    unlikely = grid_nll(prior, codes).argsort(descending=True)[:48]
    test = replace(codes, codes=codes.codes[unlikely], labels=codes.labels[unlikely])
    result = evaluate_prior(prior, codes, test, PIXELS)
    assert result["prior, training images"].bits.value < result["prior"].bits.value
    expected = grid_nll(prior, codes[:48]).mean().item()
    assert result["prior, training images"].nats_per_grid == pytest.approx(expected, rel=1e-5)


def test_without_the_label_the_likelihood_is_the_mean_over_labels(codes: LatentCodes) -> None:
    prior = lively_prior()
    by_label = torch.stack(
        [torch.exp(-grid_nll(prior, replace(codes, labels=torch.full((96,), label))).double()) for label in range(3)]
    )
    torch.testing.assert_close(marginal_nll(prior, codes), -by_label.mean(0).log())
    unlabelled = PixelCNN(8, (4, 5), num_blocks=1, hidden_channels=4).eval()
    assert torch.equal(marginal_nll(unlabelled, codes), grid_nll(unlabelled, codes))


def test_the_standard_error_shrinks_with_the_number_of_grids(codes: LatentCodes) -> None:
    prior = lively_prior()
    four_times = replace(codes, codes=codes.codes.repeat(4, 1, 1), labels=codes.labels.repeat(4))
    once, more = (evaluate_prior(prior, codes, test, PIXELS)["prior"].bits for test in (codes, four_times))
    assert once.error / more.error == pytest.approx(2)
    values = grid_nll(prior, codes).double() / 20 / math.log(2)
    assert once.error == pytest.approx(values.std(correction=0).item() / math.sqrt(96))


def test_codes_of_two_kinds_are_refused(codes: LatentCodes) -> None:
    with pytest.raises(InputError, match="another codebook or grid"):
        evaluate_prior(flat_prior(), replace(codes, num_codes=9), codes, PIXELS)
    with pytest.raises(InputError, match="latent_dim"):
        evaluate_prior(flat_prior(), codes, replace(codes, num_codes=9), PIXELS)


def test_a_set_is_judged_worse_the_more_noise_it_has() -> None:
    real, others = torch.randn(400, 4), torch.randn(400, 4)
    sets = {f"{noise}": others + noise * torch.randn(400, 4) for noise in (0, 1, 4)}
    correct = torch.arange(400) < 300
    judged = evaluate_samples(real, sets, {"1": correct})
    distances = [one.frechet.value for one in judged]
    assert distances == sorted(distances) == [frechet_distance(real, features) for features in sets.values()]
    coverage = [one.neighbourhoods.coverage.value for one in judged]
    assert coverage == sorted(coverage, reverse=True)
    assert [one.name for one in judged] == ["0", "1", "4"] and judged[0].number == 400
    assert judged[1].accuracy == Estimate(0.75, pytest.approx(math.sqrt(0.75 * 0.25 / 400)))
    assert judged[0].accuracy is None and judged[2].accuracy is None


def test_a_small_step_is_seen_although_the_distances_vary_more() -> None:
    real, others = torch.randn(400, 4), torch.randn(400, 4)
    same, changed = evaluate_samples(real, {"same": others, "changed": others + 0.1}, {})
    assert same.step is None and changed.step is not None
    assert changed.step.value == pytest.approx(changed.frechet.value - same.frechet.value)
    # The shift adds 2·0.1·(difference of means) + 4·0.1², of which only the first part varies: by 2·0.1·√(4·2/400).
    assert changed.step.error == pytest.approx(0.2 * math.sqrt(8 / 400), rel=0.3)


@pytest.mark.parametrize(("honest", "generated", "below"), [(5, 4, 2), (6, 6, 0), (4, 5, 5)])
def test_the_probability_of_so_many_copies_is_that_of_all_orders(honest: int, generated: int, below: int) -> None:
    # All orders of honest and generated distances are equally likely; count those with so many below the second honest.
    total = honest + generated
    orders = list(itertools.combinations(range(total), honest))
    reached = sum(order[1] - 1 >= below for order in orders)
    distances = torch.tensor([-1.0] * below + [10.0] * (generated - below))
    result = evaluate_memorisation(torch.arange(honest).float(), distances, expected=2 / honest)
    assert result.p_value == pytest.approx(reached / len(orders))
    assert (result.threshold, result.found) == (1.0, below / generated)


def test_honest_models_are_called_copiers_as_rarely_as_promised() -> None:
    generator = torch.Generator().manual_seed(0)
    p_values = torch.tensor(
        [
            evaluate_memorisation(torch.rand(300, generator=generator), torch.rand(300, generator=generator)).p_value
            for _ in range(2000)
        ]
    )
    # A discrete test: at most the promised rate, plus four standard errors.
    for rate in (0.01, 0.05, 0.2):
        assert (p_values <= rate).float().mean() <= rate + 4 * math.sqrt(rate * (1 - rate) / 2000)


def test_planted_copies_are_found() -> None:
    training, honest, fresh = torch.randn(500, 8), torch.randn(300, 8), torch.randn(300, 8)
    clean, distances, nearest = nearest_training_images(fresh, training, honest)
    assert clean.p_value > 0.01
    expected, index = nearest_neighbours(fresh, training)
    assert torch.equal(distances, expected) and torch.equal(nearest, index)
    planted = fresh.clone()
    planted[:15] = training[:15] + 0.01 * torch.randn(15, 8)
    found, _, nearest = nearest_training_images(planted, training, honest)
    assert found.p_value < 1e-3 and found.found >= 0.05
    assert nearest[:15].tolist() == list(range(15))


def test_the_truth_is_total_variation_per_factor_and_pair() -> None:
    factors = {"colour": ("red", "blue"), "size": ("small", "large")}
    biased = {"colour": torch.tensor([0, 0, 0, 1]), "size": torch.tensor([0, 1, 0, 1])}
    fair = {"colour": torch.tensor([0, 0, 1, 1]), "size": torch.tensor([0, 1, 0, 1])}
    colour, size, both = evaluate_factors(factors, biased, fair, [fair, biased])
    assert (colour.name, size.name, both.name) == ("colour", "size", "colour × size")
    assert colour.values == ("red", "blue") and colour.frequencies == (0.75, 0.25)
    assert both.values == ("red small", "red large", "blue small", "blue large")
    assert both.frequencies == (0.5, 0.25, 0, 0.25)
    assert (colour.samples, size.samples, both.samples) == (0.25, 0, 0.25)
    assert (both.reconstructions, both.calibration) == (0, 0.125)


def test_a_mode_that_is_dropped_shows_in_the_truth() -> None:
    data = load("smileys", "test", limit=2000, size=8)
    true = {name: data.factors[name] for name in FACTORS}
    winks = data.factors["eyes"] == FACTORS["eyes"].index("wink")
    dropped = {name: values[~winks] for name, values in true.items()}
    by_name = {one.name: one for one in evaluate_factors(FACTORS, dropped, true, [true])}
    assert by_name["eyes"].samples == pytest.approx(0.25, abs=0.01)
    assert by_name["eyes"].calibration < 0.03 and by_name["skin"].samples < 0.05
    assert by_name["eyes"].frequencies[FACTORS["eyes"].index("wink")] == 0


def test_the_frechet_distance_agrees_with_an_independent_implementation() -> None:
    class AsTheyAre(nn.Module):
        num_features = 8

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return features

    mix = torch.randn(8, 8)
    real, others = torch.randn(500, 8) @ mix, torch.randn(400, 8).exp()
    metric = fid.FrechetInceptionDistance(AsTheyAre()).set_dtype(torch.float64)
    metric.update(real, real=True)
    metric.update(others, real=False)
    assert frechet_distance(real, others) == pytest.approx(metric.compute().item(), rel=1e-3)


def test_the_usual_fid_is_left_out_where_its_weights_are_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(samples, "find_spec", lambda name: object())
    assert inception_distance(torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)) is None


def test_the_usual_fid_sees_all_images_in_three_channels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[tuple[tuple[int, ...], bool]] = []

    class StandIn:
        def __init__(self, normalize: bool, feature_extractor_weights_path: str) -> None:
            assert normalize and Path(feature_extractor_weights_path).exists()

        def update(self, images: torch.Tensor, real: bool) -> None:
            seen.append((tuple(images.shape), real))

        def compute(self) -> torch.Tensor:
            return torch.tensor(12.5)

    weights = tmp_path / "checkpoints" / samples._INCEPTION
    weights.parent.mkdir()
    weights.touch()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(samples, "find_spec", lambda name: object())
    monkeypatch.setattr(fid, "FrechetInceptionDistance", StandIn)
    assert inception_distance(torch.rand(100, 1, 8, 8), torch.rand(30, 1, 8, 8)) == 12.5
    assert seen == [((64, 3, 8, 8), True), ((36, 3, 8, 8), True), ((30, 3, 8, 8), False)]
