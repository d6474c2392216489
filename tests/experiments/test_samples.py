"""Samples: each option changes what is drawn, and each picture shows what its name says."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from lpvq import InputError, plotting
from lpvq.evaluation.codes import decode_entries
from lpvq.experiments import samples
from lpvq.experiments.workspace import Workspace
from lpvq.models.sampling import SamplingOptions


@pytest.fixture
def workspace(tmp_path: Path, in_a_moment: None) -> Workspace:
    return Workspace(output=tmp_path)


@pytest.fixture
def plotted(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What was plotted with its codes: images, codes, what they stand for, titles, columns."""
    calls: list[tuple] = []
    plot = plotting.plot_with_codes
    monkeypatch.setattr(plotting, "plot_with_codes", lambda *given: calls.append(given) or plot(*given))
    return calls


def test_the_seed_the_temperature_and_both_cuts_decide_what_is_drawn(workspace: Workspace) -> None:
    def drawn(seed: int | None = None, **options: float) -> torch.Tensor:
        return samples.sample(workspace, 6, options=SamplingOptions(**options), seed=seed)[1]

    usual = drawn()
    assert torch.equal(usual, drawn(seed=workspace.seed)) and not torch.equal(usual, drawn(seed=1))
    # The most probable code each time: the same whatever the seed, and by three ways.
    greedy = drawn(temperature=0)
    assert not torch.equal(greedy, usual)
    for only in ({"temperature": 0.0}, {"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-6}):
        assert torch.equal(drawn(seed=1, **only), greedy)
    # Far from 0, the temperature makes all codes equally likely; top_k leaves as many as it says at each place.
    assert len(drawn(temperature=1e4).unique()) == 8
    assert len(drawn(temperature=1e4, top_k=2)[:, 0, 0].unique()) <= 2


def test_images_are_what_the_codes_decode_to_for_the_labels_asked_for(workspace: Workspace) -> None:
    images, codes, labels = samples.sample(workspace, 7)
    assert torch.equal(images, workspace.vqvae.decode(codes)) and labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    generator = torch.Generator().manual_seed(workspace.seed)
    assert torch.equal(codes, workspace.prior.generate(labels=labels, generator=generator))
    assert samples.sample(workspace, 3, label=2)[2].tolist() == [2, 2, 2]


def test_no_images_and_labels_that_there_are_not_are_refused(workspace: Workspace) -> None:
    with pytest.raises(InputError, match=r"label must be in 0 … 2, got -1"):
        samples.sample(workspace, 1, label=-1)
    with pytest.raises(InputError, match="expected at least 1 image to draw, got 0"):
        samples.sample(workspace, 0)


def test_each_sample_is_plotted_with_its_codes_and_its_class(workspace: Workspace, plotted: list[tuple]) -> None:
    images, codes, labels = samples.sample(workspace, 6)
    written = samples.write_samples(workspace, images, codes, labels)
    assert [path.name for path in written] == ["samples.png", "sample_1.png", "sample_5.png"]  # there is no eighth
    for index, ((image,), code, patches, titles, columns) in zip((1, 5), plotted, strict=True):
        assert torch.equal(image[0], images[index]) and torch.equal(code[0], codes[index])
        assert torch.equal(patches, decode_entries(workspace.vqvae)) and columns == ["codes drawn", "decoded"]
        assert titles == [workspace.class_names[index % 3]]
        with Image.open(workspace.path(f"sample_{index}.png")) as picture:
            assert f"for class {titles[0]}" in picture.info["Description"]


def test_random_samples_are_of_all_codes_and_of_the_seed(workspace: Workspace, plotted: list[tuple]) -> None:
    written = samples.write_random_samples(workspace)
    assert [path.name for path in written] == [f"random_sample_{index}.png" for index in range(3)]
    for (image,), codes, *_ in plotted:
        assert torch.equal(image, workspace.vqvae.decode(codes))
    drawn = torch.cat([codes for _, codes, *_ in plotted])
    # 192 codes of 8: that one is left out has a chance of 8 · (7/8)^192, less than one in ten million.
    assert drawn.unique().tolist() == list(range(8)) and len(drawn.flatten(1).unique(dim=0)) == 3
    workspace.seed = 1
    samples.write_random_samples(workspace)
    assert not torch.equal(torch.cat([codes for _, codes, *_ in plotted[3:]]), drawn)


def test_reconstructions_are_of_the_test_images_of_their_numbers(workspace: Workspace, plotted: list[tuple]) -> None:
    written = samples.write_reconstructions(workspace)
    assert [path.name for path in written] == [f"reconstructed_image_{index}.png" for index in (1, 4, 7)]
    for index, ((image, decoded), codes, _, titles, columns) in zip((1, 4, 7), plotted, strict=True):
        assert torch.equal(image, workspace.test_data.floats([index]))
        # A batch of one may be rounded otherwise than a larger one.
        assert torch.equal(codes, workspace.vqvae.encode(image)) and torch.equal(decoded, workspace.vqvae.decode(codes))
        assert titles == [workspace.class_names[workspace.test_data.labels[index]]]
        assert columns == ["image", "codes", "reconstruction"]


def test_very_many_grids_are_drawn_part_by_part(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_POSITIONS", 64)
    monkeypatch.setattr(samples, "_POSITIONS_IN_PART", 128)  # two grids of 8 × 8
    codes, labels = samples.sample_codes(workspace, 5)
    generator = torch.Generator().manual_seed(workspace.seed)
    parts = [workspace.prior.generate(labels=part, generator=generator) for part in labels.split(2)]
    assert torch.equal(codes, torch.cat(parts)) and labels.tolist() == [0, 1, 2, 0, 1]
