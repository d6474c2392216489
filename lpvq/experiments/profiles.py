"""The profiles: which models are made from a data set, and how long they train."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lpvq.data.loading import DEFAULT_SIZE
from lpvq.errors import InputError
from lpvq.training.config import TrainConfig, whole_number


@dataclass(frozen=True)
class Recipe:
    """All that decides which models are made from a data set.

    Attributes:
        size: height and width of the images; None for the set's own.
        train_images: how many training images to use, None for all.
        test_images: how many test images to use, None for all.
        validation_images: how many of the training images are held out to choose the best weights by, at most a tenth.
        num_codes: K of the codebook.
        code_dim: D of the codebook.
        vqvae_channels: width of encoder and decoder.
        downsample: pixels per code, in each direction.
        encoder_blocks: residual blocks of the encoder.
        decoder_blocks: residual blocks of the decoder.
        quantizer: see ``lpvq.models.other_quantizers.make_quantizer``.
        levels: 1, or 2 for a prior that draws a coarse grid first, see ``lpvq.models.coarse_to_fine``.
        prior_images: how many images the prior learns the codes of, if there can be more than the VQ-VAE learns from
            (smileys); None for those of the VQ-VAE.
        prior_blocks: gated blocks of the PixelCNN.
        prior_channels: width of the PixelCNN.
        prior_kernel: kernel size of the PixelCNN.
        prior_position: whether the PixelCNN is told where in the grid it is.
        prior_codebook: whether it knows the vectors of the codebook.
        prior_attentions: layers of attention of the PixelCNN.
        vqvae: how to train the VQ-VAE.
        prior: how to train the PixelCNN.
        classifier: how to train the classifier that evaluation needs.
        sampled_images: how many images evaluation draws.
    """

    size: int | None
    train_images: int | None
    test_images: int | None
    validation_images: int
    num_codes: int
    code_dim: int
    vqvae_channels: int
    downsample: int
    encoder_blocks: int
    decoder_blocks: int
    quantizer: Mapping[str, Any]
    levels: int
    prior_images: int | None
    prior_blocks: int
    prior_channels: int
    prior_kernel: int
    prior_position: bool
    prior_codebook: bool
    prior_attentions: int
    vqvae: TrainConfig
    prior: TrainConfig
    classifier: TrainConfig
    sampled_images: int


# The one place where the profiles are defined. They say how long things train, never what is taught.
_LAPTOP = Recipe(
    size=None,
    train_images=None,
    test_images=None,
    validation_images=1000,
    num_codes=256,
    code_dim=16,
    vqvae_channels=64,
    downsample=4,
    encoder_blocks=0,
    decoder_blocks=4,
    quantizer={"kind": "entropy-constrained", "rate_weight": 0.35},
    levels=1,
    prior_images=None,
    prior_blocks=8,
    prior_channels=64,
    prior_kernel=3,
    prior_position=False,
    prior_codebook=True,
    prior_attentions=0,
    vqvae=TrainConfig(steps=2000, batch_size=64, learning_rate=2e-3, muon_rate=4e-3),
    prior=TrainConfig(steps=3400, batch_size=32, learning_rate=1e-3, muon_rate=4e-3),
    classifier=TrainConfig(steps=1000, batch_size=64, learning_rate=2e-3, weight_decay=0.01, validations=10),
    sampled_images=10_000,
)


_SMOKE = replace(
    _LAPTOP,
    train_images=512,
    test_images=128,
    validation_images=64,
    prior_images=640,  # more than the VQ-VAE learns from, as in the longer profiles
    num_codes=32,
    vqvae_channels=16,
    prior_blocks=2,
    prior_channels=16,
    vqvae=TrainConfig(steps=60, batch_size=32, learning_rate=3e-3, muon_rate=4e-3, validations=3),
    prior=TrainConfig(steps=60, batch_size=32, learning_rate=3e-3, muon_rate=4e-3, validations=3),
    classifier=TrainConfig(steps=60, batch_size=32, learning_rate=3e-3, validations=3),
    sampled_images=128,
)


# Grey images of clothes and digits need fewer codes, and there are fewer of them to learn from. With Muon their VQ-VAE
# spends fewer nats at the same error, but decodes to pictures that a classifier tells from real ones more easily.
_LAPTOP_GREY: dict[str, Any] = {
    "num_codes": 128,
    "quantizer": {"kind": "entropy-constrained", "rate_weight": 0.46},
    "classifier": TrainConfig(steps=3000, batch_size=64, learning_rate=2e-3, weight_decay=0.01, validations=10),
    "vqvae": TrainConfig(steps=4500, batch_size=64, learning_rate=2e-3),
    "prior": TrainConfig(steps=2000, batch_size=64, learning_rate=1e-3, muon_rate=4e-3),
}
# Digits are simpler than clothes: they lose little with codes that are still easier to predict.
_LAPTOP_DIGITS: dict[str, Any] = {**_LAPTOP_GREY, "quantizer": {"kind": "entropy-constrained", "rate_weight": 1.0}}
# Smileys are simpler still, and drawn on demand: enough of them that a prior does not memorise them, and that
# evaluation is exact.
_LAPTOP_SMILEYS: dict[str, Any] = {
    "train_images": 50_000,
    "test_images": 10_000,
    "prior_images": 110_000,
    "quantizer": {"kind": "entropy-constrained", "rate_weight": 1.0},
    "vqvae": TrainConfig(steps=1200, batch_size=64, learning_rate=2e-3, muon_rate=4e-3),
}
# Larger images have grids of more codes: a coarse grid is drawn first, and there is less time for each image.
_LAPTOP_MEDIUM: dict[str, Any] = {
    "levels": 2,
    "prior_blocks": 6,
    "prior_position": True,
    "vqvae": TrainConfig(steps=1000, batch_size=32, learning_rate=2e-3, muon_rate=4e-3),
    "prior": TrainConfig(steps=2500, batch_size=8, learning_rate=1e-3, muon_rate=4e-3),
}
_LAPTOP_MEDIUM_SMILEYS: dict[str, Any] = {
    "train_images": 20_000,
    "test_images": 2000,
    "prior_images": 20_000,
    # With a larger weight, pale faces lose their outline on a pale background.
    "quantizer": {"kind": "entropy-constrained", "rate_weight": 0.6},
}
_LAPTOP_LARGE: dict[str, Any] = {
    **_LAPTOP_MEDIUM,
    "train_images": 6000,
    "test_images": 1000,
    "validation_images": 100,
    "num_codes": 512,
    "decoder_blocks": 2,
    "prior_blocks": 6,
    "vqvae": TrainConfig(steps=700, batch_size=16, learning_rate=2e-3, muon_rate=4e-3, validations=10),
    "prior": TrainConfig(steps=1800, batch_size=4, learning_rate=1e-3, muon_rate=4e-3, validations=10),
}
_LAPTOP_LARGE_SMILEYS: dict[str, Any] = {
    "prior_images": 9000,
    "quantizer": {"kind": "entropy-constrained", "rate_weight": 1.0},
}


# Some hours on two cores.
_LONG = replace(
    _LAPTOP,
    vqvae=TrainConfig(steps=10_000, batch_size=64, learning_rate=2e-3, muon_rate=4e-3),
    prior_channels=96,
    prior_position=True,
    prior_attentions=2,
    prior=TrainConfig(steps=20_000, batch_size=64, learning_rate=1e-3, muon_rate=3e-3),
)
# Minutes on a large GPU.
_FULL = replace(
    _LONG,
    num_codes=512,
    vqvae_channels=128,
    prior_blocks=12,
    prior_channels=128,
    vqvae=TrainConfig(steps=8000, batch_size=128, learning_rate=2e-3, muon_rate=4e-3),
    prior=TrainConfig(steps=15_000, batch_size=128, learning_rate=1e-3, muon_rate=3e-3),
)
_FULL_SMILEYS: dict[str, Any] = {
    "train_images": 50_000,
    "test_images": 10_000,
    "prior_images": 2_000_000,
    "quantizer": {"kind": "entropy-constrained", "rate_weight": 1.0},
}
# Most of a day on two cores, or an hour on a GPU: the weights that the project ships are trained with this.
_LONG_SMILEYS: dict[str, Any] = {
    **_FULL_SMILEYS,
    "prior": TrainConfig(steps=30_000, batch_size=128, learning_rate=1e-3, muon_rate=3e-3),
}
_LONG_LARGE: dict[str, Any] = {
    "train_images": 8000,
    "test_images": 1000,
    "validation_images": 100,
    "num_codes": 512,
    "decoder_blocks": 2,
    "vqvae": TrainConfig(steps=5000, batch_size=16, learning_rate=2e-3, muon_rate=4e-3),
    "levels": 2,
    "prior_channels": 64,
    "prior_attentions": 0,  # in a grid of 1,024 codes it takes most of the time, which is better spent on more steps
    "prior": TrainConfig(steps=12_000, batch_size=8, learning_rate=1e-3, muon_rate=3e-3),
}
_LONG_LARGE_SMILEYS: dict[str, Any] = {
    "prior_images": 100_000,
    "prior": TrainConfig(steps=24_000, batch_size=32, learning_rate=1e-3, muon_rate=3e-3),
}


SNAPSHOTS = (0.1, 0.25, 0.5, 0.75)
"""The shares of a training after which a model is kept as it is then, to be looked at."""

PROFILES = {"smoke": _SMOKE, "laptop": _LAPTOP, "long": _LONG, "full": _FULL}
_MEDIUM_GRID, _LARGE_GRID = 16, 24  # codes in each direction
_CHANGES: dict[tuple[str, ...], dict[str, Any]] = {
    ("laptop", "fashion_mnist"): _LAPTOP_GREY,
    ("laptop", "mnist"): _LAPTOP_DIGITS,
    ("laptop", "smileys"): _LAPTOP_SMILEYS,
    ("laptop", "medium"): _LAPTOP_MEDIUM,
    ("laptop", "large"): _LAPTOP_LARGE,
    ("laptop", "medium", "smileys"): _LAPTOP_MEDIUM_SMILEYS,
    ("laptop", "large", "smileys"): _LAPTOP_LARGE_SMILEYS,
    ("long", "smileys"): _LONG_SMILEYS,
    ("long", "large"): _LONG_LARGE,
    ("long", "large", "smileys"): _LONG_LARGE_SMILEYS,
    ("full", "smileys"): _FULL_SMILEYS,
}
"""What is different in a profile: for a data set, then for a scale of images, then for a data set at that scale."""


def profile_name(name: str | None = None) -> str:
    """Return the profile to use: ``name``, or what ``LPVQ_PROFILE`` says, or "laptop"; ``InputError`` if unknown."""
    name = name or os.environ.get("LPVQ_PROFILE") or "laptop"
    if name not in PROFILES:
        raise InputError(f"profile {name!r} is unknown; expected one of {', '.join(PROFILES)}")
    return name


def recipe_for(
    dataset: str,
    profile: str,
    size: int | None = None,
    seed: int = 0,
    compile: bool = False,
    levels: int | None = None,
    shards: int = 1,
    fast_reduce: bool = False,
) -> Recipe:
    """Return the recipe that a profile has for a data set.

    Args:
        dataset: its name.
        profile: its name.
        size: height and width of the images in pixels; what the profile says where None.
        seed: of the trainings of both models, 0 … 2⁶³ − 1. The classifier's stays: one classifier judges the images of
            all seeds.
        compile: whether to train the prior with ``torch.compile``.
        levels: 1 or 2; what the profile says where None.
        shards: of a batch in all trainings, see ``TrainConfig``.
        fast_reduce: see there.

    Raises:
        InputError: a size that the VQ-VAE cannot divide into codes; a number that is not a seed.
    """
    recipe = PROFILES[profile]
    if size is not None:
        size = whole_number("size", size, recipe.downsample)
        if size % recipe.downsample:
            raise InputError(f"size must be a multiple of {recipe.downsample}, got {size}")
    scale = _scale(size, recipe.downsample)
    for key in ((profile, dataset), (profile, scale), (profile, scale, dataset)):
        recipe = replace(recipe, **_CHANGES.get(key, {}))
    if size == DEFAULT_SIZE and dataset.startswith(("smileys", "folder:")):
        size = None  # the same recipe as when no size is given
    vqvae, prior = replace(recipe.vqvae, seed=seed), replace(recipe.prior, seed=seed, compile=compile)
    shared: dict[str, Any] = {"shards": shards, "fast_reduce": fast_reduce}
    vqvae, prior, classifier = (replace(training, **shared) for training in (vqvae, prior, recipe.classifier))
    if levels is not None:
        recipe = replace(recipe, levels=whole_number("levels", levels, 1))
    elif size is not None and size % (2 * recipe.downsample):
        recipe = replace(recipe, levels=1)  # it cannot be halved into whole codes
    if recipe.levels > 2:
        raise InputError(f"levels must be 1 or 2, got {levels}")
    return replace(recipe, size=size or recipe.size, vqvae=vqvae, prior=prior, classifier=classifier)


def _scale(size: int | None, downsample: int) -> str:
    """Small, medium or large, by the grid of codes."""
    grid = (size or DEFAULT_SIZE) // downsample
    return "large" if grid >= _LARGE_GRID else "medium" if grid >= _MEDIUM_GRID else "small"


def coarse_size(size: int | None, downsample: int) -> int:
    """Return the size of the small pictures whose codes are the coarse level of pictures of ``size``.

    Args:
        size: height and width in pixels; None where the recipe names none.
        downsample: pixels per code in each direction.

    Returns:
        32, which most models are trained for, where it divides a larger size; otherwise half of the size.

    Raises:
        InputError: a size that cannot be halved into whole codes.
    """
    if size is not None and size > DEFAULT_SIZE and size % DEFAULT_SIZE == 0:
        return DEFAULT_SIZE
    unit = 2 * downsample
    if size is None or size % unit:
        such = DEFAULT_SIZE if size is None else -(-size // unit) * unit
        raise InputError(
            f"two levels need a size that is a multiple of {unit}, such as {such}; got {size or 'no size'}"
        )
    return size // 2
