"""New images: those of the seed and the label, and the pictures of them that are written."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from workspaces import make

from lpvq import InputError
from lpvq.experiments import samples
from lpvq.experiments.workspace import Workspace
from lpvq.models.sampling import SamplingOptions

pytestmark = pytest.mark.usefixtures("in_a_moment")


@pytest.fixture
def finished(tmp_path: Path) -> Workspace:
    workspace = make(tmp_path)
    workspace.prior  # noqa: B018
    return workspace


def test_another_seed_draws_other_images_from_the_same_models(finished: Workspace) -> None:
    first, second = (samples.sample(finished, 4, seed=seed)[1] for seed in (0, 1))
    assert torch.equal(first, samples.sample(finished, 4)[1])
    assert not torch.equal(first, second)


def test_samples_are_those_of_the_seed_and_the_classes_take_turns(finished: Workspace) -> None:
    images, codes, labels = samples.sample(finished, 5)
    assert images.shape == (5, 3, 32, 32) and codes.shape == (5, 8, 8) and labels.tolist() == [0, 1, 2, 0, 1]
    assert torch.equal(samples.sample(finished, 5)[1], codes)
    assert torch.equal(images, finished.vqvae.decode(codes))
    assert samples.sample(finished, 2, label=2)[2].tolist() == [2, 2]
    greedy = samples.sample(finished, 4, 0, SamplingOptions(temperature=0))[1]
    assert torch.equal(greedy, greedy[:1].expand_as(greedy))
    with pytest.raises(InputError, match="label must be in 0 … 2, got 3"):
        samples.sample(finished, 1, label=3)


def test_pictures_and_figures_are_written_under_their_names(finished: Workspace) -> None:
    images, codes, labels = samples.sample(finished, 9)
    written = samples.write_samples(finished, images, codes, labels)
    written += samples.write_random_samples(finished) + samples.write_reconstructions(finished)
    assert sorted(path.name for path in written) == [
        "random_sample_0.png",
        "random_sample_1.png",
        "random_sample_2.png",
        "reconstructed_image_1.png",
        "reconstructed_image_4.png",
        "reconstructed_image_7.png",
        "sample_1.png",
        "sample_5.png",
        "sample_8.png",
        "samples.png",
    ]
    for path in written:
        with Image.open(path) as picture:
            assert picture.info["Description"] and np.asarray(picture).std() > 0
