"""The smoke profile, made to take a second."""

from dataclasses import replace

from lpvq import TrainConfig
from lpvq.experiments.profiles import PROFILES, Recipe

_SMOKE = PROFILES["smoke"]


def quick_recipe(steps: int = 6) -> Recipe:
    """What ``PROFILES["smoke"]`` is in most tests: the models and images of smoke, but few of both."""
    training = TrainConfig(steps=steps, batch_size=16, validations=2)
    trainings = {"vqvae": training, "prior": training, "classifier": training}
    return replace(_SMOKE, train_images=64, test_images=32, prior_images=None, num_codes=8, **trainings)
