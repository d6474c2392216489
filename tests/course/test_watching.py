"""What a training shows of itself, and how it is stopped and goes on, here and in a kernel of Jupyter."""

import os
import signal
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from jupyter_client.manager import start_new_kernel
from torch import Tensor, nn

from lpvq import VQVAE, PixelCNN, TrainConfig, course, extract_codes, runtime, train_vqvae
from lpvq.course import watching
from lpvq.course.watching import Watch, plot_training, watch_prior, watch_vqvae
from lpvq.data.latent_codes import LatentCodes
from lpvq.training import trainer
from lpvq.training.interrupts import Stopped

Shown = list[tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shown]:
    """What a notebook would be shown: data and metadata, in order; bars apart."""
    seen: Shown = []

    def display(data: dict[str, Any], metadata: dict[str, Any] | None = None, **_: Any) -> SimpleNamespace:
        if "<progress" not in data["text/html"]:
            seen.append((data, metadata or {}))
        return SimpleNamespace(update=display)

    for module in (watching, trainer, runtime):
        monkeypatch.setattr(module, "running_in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", display)
    at_the_end: list[Callable[[], None]] = []  # of a cell
    events = SimpleNamespace(
        register=lambda _, act: at_the_end.append(act), unregister=lambda _, act: at_the_end.remove(act)
    )
    monkeypatch.setattr(watching, "_events", lambda: events)
    yield seen
    for act in list(at_the_end):
        act()
    assert not at_the_end


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(watching.time, "monotonic", lambda: clock.now)
    return clock


def train(
    model: nn.Linear, ran: list[int] | None = None, stop_at: int | None = None, rate: float = 0.1, look: Any = None
) -> Watch:
    """A loop as a reader writes it, with random data; ``ran`` notes its steps, and in one of them it is stopped."""
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    watch = Watch(look, model, adam)
    for step in watch.steps(8, "a line"):
        loss = (model(torch.randn(4, 2)) - 1).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        watch.note(loss)
        if ran is not None:
            ran.append(step)
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)
    return watch


def line(outputs: int = 1) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(2, outputs)


def test_outside_of_a_notebook_nothing_is_shown() -> None:
    def look() -> Tensor:
        raise AssertionError("nobody looks")

    assert len(train(line(), look=look).losses) == 8


def test_a_loop_shows_pictures_and_leaves_one_that_every_page_can_show(shown: Shown) -> None:
    train(line(), look=lambda: (torch.full((5, 3, 8, 8), 0.5), torch.tensor([[3, 4], [4, 4]])))
    (first, _), (last, metadata) = shown
    assert "after 0 steps, 2 codes in use." in first["text/plain"] and "image/png" not in first
    assert "after 8 steps, 2 codes in use, and the loss, now" in last["text/plain"] and "image/png" in last
    assert metadata["image/png"]["alt"] == last["text/plain"]


def test_to_be_looked_at_changes_nothing_in_a_training(shown: Shown) -> None:
    model = line()
    losses = train(model).losses
    watched = line()

    def look() -> Tensor:
        assert not watched.training
        return torch.rand(5, 3, 8, 8)

    assert train(watched, look=look).losses == losses
    assert watched.training and torch.equal(watched.weight, model.weight)


def test_looking_takes_at_most_two_per_cent_of_the_time(shown: Shown, clock: SimpleNamespace) -> None:
    def look() -> Tensor:
        clock.now += 0.4
        return torch.zeros(4, 1, 8, 8)

    for _ in Watch(look).steps(1000):
        clock.now += 0.1
    assert 5 <= len(shown) <= 100 * 0.02 / 0.4 + 3  # with the first, the last, and the one after the first


def test_a_loop_that_is_stopped_goes_on_as_if_it_had_not_been() -> None:
    whole = line()
    losses = train(whole).losses
    with pytest.raises(Stopped, match=r"^stopped at step 4 of 8; run the cell again to go on$"):
        train(line(), stop_at=3)
    again = line()
    assert train(again, ran := []).losses == losses and ran == [4, 5, 6, 7]
    assert torch.equal(again.weight, whole.weight)
    train(line(), ran := [])  # it was taken up once
    assert ran == list(range(8))


def test_what_goes_on_does_so_at_the_rate_that_the_cell_says_now() -> None:
    stopped, again = line(), line()
    with pytest.raises(Stopped):
        train(stopped, stop_at=3)
    train(again, rate=0.0)
    assert torch.equal(again.weight, stopped.weight)


def test_another_model_begins_anew() -> None:
    with pytest.raises(Stopped):
        train(line(), stop_at=3)
    train(line(2), ran := [])
    assert ran == list(range(8))


def test_a_vqvae_in_training_shows_the_same_images_and_ends_with_its_last_weights(shown, smileys) -> None:
    vqvae = VQVAE(3, 8, 4, 8)
    watch = watch_vqvae(vqvae, smileys.floats(slice(6)))
    history = train_vqvae(vqvae, smileys, TrainConfig(steps=3, validations=3), after_step=watch)
    watch._finish()
    assert "after 1 step, " in shown[0][0]["text/plain"]
    assert f"after 3 steps, {len(vqvae.encode(smileys.floats(slice(6))).unique())} codes" in shown[-1][0]["text/plain"]
    assert f"now {history[-1]['train_loss']:.3g}." in shown[-1][0]["text/plain"]


def test_a_prior_in_training_draws_from_the_same_numbers(codes: LatentCodes) -> None:
    vqvae, prior = VQVAE(3, 8, 4, 8), PixelCNN(8, (4, 5), num_blocks=1, hidden_channels=8, num_classes=3)
    watch = watch_prior(prior, vqvae, codes[:3])
    assert watch.look is not None
    (first, drawn), (second, _) = watch.look(), watch.look()
    assert torch.equal(first, second) and first.shape == (4, 3, 16, 20) and len(drawn) == 16


def test_a_prior_that_is_given_coarse_codes_draws_with_them(smileys) -> None:
    fine, coarse = VQVAE(3, 8, 4, 8), VQVAE(3, 8, 4, 8)
    codes = extract_codes(fine, smileys, coarse, 2)
    prior = PixelCNN(8, 4, num_blocks=1, hidden_channels=8, coarse_vqvae=coarse, coarse_factor=2)
    assert watch_prior(prior, fine, codes)._look()[0].shape == (4, 3, 16, 16)


def test_in_a_notebook_a_workspace_shows_its_trainings(shown, in_a_moment, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LPVQ_OUTPUT", str(tmp_path))
    workspace = course.begin()
    assert workspace.vqvae is not None and len(shown) == 1
    assert workspace.prior is not None and len(shown) == 2
    assert workspace.classifier is not None and len(shown) == 2  # which makes no pictures


def test_a_curve_of_many_losses_has_few_points() -> None:
    points = watching._means([float(step) for step in range(130)])
    assert len(points) == 44 and points[0] == (3, 1.0) and points[-1] == (130, 129.0)
    _, said = plot_training(None, None, 1, [])
    assert said == "Training, after 1 step."


@pytest.mark.parametrize("pictures", [None, torch.rand(4, 3, 8, 8)])
def test_every_number_of_the_axis_is_inside_the_picture(pictures: Tensor | None) -> None:
    figure, _ = plot_training(pictures, None, 1200, [(60 * index, 1 / index) for index in range(1, 21)])
    axis = figure.axes[-1]
    axis.set(xlim=(0, 12_500), xticks=[0, 12_500])  # at worst, a number stands at the very end
    figure.draw_without_rendering()
    assert axis.get_xticklabels()[-1].get_window_extent().x1 <= figure.bbox.x1


def test_in_a_kernel_a_stop_leaves_one_sentence_and_the_cell_goes_on() -> None:
    manager, client = start_new_kernel(extra_arguments=["--log-level=ERROR"])

    def run(code: str) -> tuple[list[str], list[str]]:
        """What a cell shows as text, and its traceback."""
        texts: list[str] = []
        reply = client.execute_interactive(
            code, timeout=120, output_hook=lambda message: texts.append(str(message["content"].get("data", "")))
        )
        return texts, reply["content"].get("traceback", [])

    cell = """
model = VQVAE(3, 8, 4, 8)
watch = course.watch_vqvae(model, faces.floats())
def stop(step, history):
    watch(step, history)
    if step == 2:
        os.kill(os.getpid(), signal.SIGINT)
_ = train_vqvae(model, faces, TrainConfig(steps=4, validations=4), after_step=stop)
"""
    try:
        run("import os, signal; from lpvq import VQVAE, TrainConfig, course, load_images, train_vqvae")
        run("faces = load_images('smileys', limit=16, size=16)")
        _, said = run(cell)
        assert said == ["stopped at step 2 of 4; run the cell again to go on"]
        texts, said = run(cell)
        assert said == [] and "after 3 steps" in "".join(texts) and "after 4 steps" in texts[-2] + texts[-1]
        assert not any("after 1 step" in text for text in texts)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_the_course_has_what_notebooks_need() -> None:
    assert (course.Watch, course.watch_vqvae, course.watch_prior) == (Watch, watch_vqvae, watch_prior)
