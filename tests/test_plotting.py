"""Pictures: the pixels that went in come out, and each has its description."""

import base64
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from PIL import Image

from lpvq import plotting
from lpvq.evaluation.estimates import Estimate


def opened(figure: Figure) -> Image.Image:
    return Image.open(io.BytesIO(plotting.render(figure, "a description")))


def test_a_picture_is_a_png_with_its_description(tmp_path: Path) -> None:
    plotting.save(plotting.plot_images(torch.rand(3, 3, 8, 8)), tmp_path / "new" / "a.png", "three images")
    with Image.open(tmp_path / "new" / "a.png") as image:
        assert image.format == "PNG" and image.info["Description"] == "three images"


def test_images_keep_their_colours_and_their_pixels() -> None:
    image = torch.zeros(1, 3, 2, 2)
    image[0, 0, 0, 0] = image[0, 1, 0, 1] = image[0, 2, 1, 0] = 1  # red, green / blue, black
    pixels = np.asarray(opened(plotting.plot_images(image, inches=2)).convert("RGB"))
    height, width = pixels.shape[:2]
    quarters = [
        pixels[height // 4, width // 4],
        pixels[height // 4, 3 * width // 4],
        pixels[3 * height // 4, width // 4],
    ]
    assert [quarter.tolist() for quarter in quarters] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    # Enlarged without smoothing, only the margin and four colours remain.
    colours = {tuple(colour) for colour in pixels.reshape(-1, 3).tolist()}
    assert colours <= {(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)}


def test_grey_images_are_drawn_on_the_full_scale() -> None:
    pixels = np.asarray(opened(plotting.plot_images(torch.full((1, 1, 4, 4), 0.5), inches=2)).convert("RGB"))
    assert abs(int(pixels[pixels.shape[0] // 2, pixels.shape[1] // 2, 0]) - 128) <= 1


def test_codes_are_drawn_beside_their_images_with_their_numbers() -> None:
    codes = torch.tensor([[[0, 1], [2, 33]]])
    figure = plotting.plot_with_codes(
        [torch.rand(1, 3, 8, 8)] * 2, codes, 34, ["a"], ["image", "codes", "reconstruction"]
    )
    assert [axis.get_title() for axis in figure.axes] == ["image", "codes", "reconstruction"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["0", "1", "2", "33"]
    assert figure.axes[0].get_ylabel() == "a"


def test_codes_are_shown_as_the_patches_that_they_stand_for() -> None:
    patches = torch.rand(5, 3, 2, 2)
    codes = torch.tensor([[4, 0, 1], [1, 1, 3]])
    figure = Figure()
    axis = figure.subplots()
    plotting.put_codes(axis, codes, patches, present=codes != 0)
    shown = axis.images[0].get_array()
    assert shown.shape == (4, 6, 3) and not axis.texts
    assert np.allclose(shown[2:4, 4:6], patches[3].movedim(0, -1))
    assert np.allclose(shown[:2, 2:4], plotting.HIDDEN)  # that code is not there
    assert (axis.get_xlim(), axis.get_ylim()) == ((-0.5, 2.5), (1.5, -0.5))  # a unit is a code


def test_grey_patches_stay_grey() -> None:
    axis = Figure().subplots()
    plotting.put_codes(axis, torch.tensor([[1, 0]]), torch.tensor([0.0, 0.5])[:, None, None, None])
    assert axis.images[0].get_array().tolist() == [[[0.5] * 3, [0.0] * 3]]


def test_codes_without_patches_have_colours_without_an_order() -> None:
    colours = plotting.code_colours()
    assert len(np.unique(colours, axis=0)) > 500
    for number, least in ((8, 0.25), (64, 0.1)):
        gaps = np.linalg.norm(colours[:number, None] - colours[None, :number], axis=-1)
        assert gaps[~np.eye(number, dtype=bool)].min() > least
    steps = np.diff(colours[:256].mean(1))  # on an ordered scale all have the same sign
    assert 0.3 < (steps > 0).mean() < 0.7
    assert (plotting.looks_of(np.array([3, 515]), 1000)[0] == colours[3]).all()  # more codes than colours


def test_large_grids_are_drawn_without_numbers() -> None:
    figure = plotting.plot_with_codes([torch.rand(1, 3, 32, 32)], torch.zeros(1, 9, 9), 4, [""], ["codes", "decoded"])
    assert not figure.axes[0].texts


def test_curves_have_labelled_axes_and_are_told_apart_without_colour() -> None:
    history = [{"step": step, "train_loss": 1 / step, "valid_loss": 2 / step, "seconds": 0.0} for step in (1, 2, 3)]
    axis = plotting.plot_history(history, "nats per code").axes[0]
    assert axis.get_xlabel() and axis.get_ylabel() == "nats per code" and axis.get_legend()
    assert len({line.get_linestyle() for line in axis.lines}) == 2
    curves = {line.get_label(): line for line in axis.lines}
    assert curves["training"].get_ydata() == pytest.approx([1, 1 / 2, 1 / 3])
    assert curves["validation"].get_ydata() == pytest.approx([2, 1, 2 / 3])
    assert all(list(line.get_xdata()) == [1, 2, 3] for line in curves.values())


def test_usage_is_drawn_from_the_most_frequent_code_down() -> None:
    axis = plotting.plot_usage(torch.tensor([1, 0, 3])).axes[0]
    assert [bar.get_height() for bar in axis.patches] == pytest.approx([75, 25, 0])


def test_outside_of_a_notebook_the_description_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    plotting.show(plotting.plot_usage(torch.tensor([1, 2])), "how often each of two codes occurs")
    assert capsys.readouterr().out == "how often each of two codes occurs\n"


def test_a_page_gets_a_sharp_picture_with_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[dict, dict]] = []
    monkeypatch.setattr(plotting, "running_in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda data, metadata, raw: shown.append((data, metadata)))
    plotting.show(plotting.plot_usage(torch.tensor([1, 2])), 'codes, "0" < "1"')
    ((data, metadata),) = shown
    small = Image.open(io.BytesIO(data["image/png"]))
    assert 'alt="codes, &quot;0&quot; &lt; &quot;1&quot;"' in data["text/html"]
    assert f'width="{small.width}"' in data["text/html"]
    sharp = Image.open(io.BytesIO(base64.b64decode(data["text/html"].partition("base64,")[2].rstrip('">'))))
    assert sharp.size == (2 * small.width, 2 * small.height)
    assert data["text/plain"] == metadata["image/png"]["alt"] == 'codes, "0" < "1"'


def test_a_figure_that_nobody_describes_is_told_by_its_titles(capsys: pytest.CaptureFixture[str]) -> None:
    plotting.show(plotting.plot_images(torch.rand(2, 3, 4, 4), ["happy", "sad"]))
    assert capsys.readouterr().out == f"{plotting.UNDESCRIBED}: happy, sad\n"
    plotting.show(plotting.plot_images(torch.rand(1, 3, 4, 4)))
    assert capsys.readouterr().out == f"{plotting.UNDESCRIBED}\n"


def test_a_page_shows_a_figure_that_is_the_last_value_of_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    figure = plotting.plot_images(torch.rand(2, 3, 4, 4), ["happy", "sad"])
    plotting.show_last_values()
    assert set(shell.display_formatter.format(figure)[0]) == {"text/plain"}  # this is no page
    monkeypatch.setattr(plotting, "running_in_notebook", lambda: True)
    plotting.show_last_values()
    data, metadata = shell.display_formatter.format(figure)
    assert Image.open(io.BytesIO(data["image/png"])).format == "PNG" and "<img" in data["text/html"]
    assert data["text/plain"] == metadata["image/png"]["alt"] == f"{plotting.UNDESCRIBED}: happy, sad"


def test_probabilities_are_drawn_with_the_numbers_of_their_codes() -> None:
    axis = plotting.plot_probabilities(torch.tensor([0.1, 0.6, 0.05, 0.25]), most=3).axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "3", "0"]
    assert [bar.get_height() for bar in axis.patches] == pytest.approx([0.6, 0.25, 0.1])


def test_the_whole_way_names_each_of_its_stations() -> None:
    image, codes = torch.rand(3, 8, 8), torch.zeros(2, 2, dtype=torch.int64)
    figure = plotting.plot_whole_way(image, codes, image, codes, image, patches=4)
    said = [axis.get_title() for axis in figure.axes] + [text.get_text() for axis in figure.axes for text in axis.texts]
    for station in (
        "an image",
        "encode",
        "its codes",
        "decode",
        "its reconstruction",
        "draw",
        "new codes",
        "a new image",
    ):
        assert station in said


def test_codes_in_use_are_shown_with_what_they_stand_for() -> None:
    counts = torch.tensor([0, 50, 30, 20])
    patches = torch.rand(4, 3, 4, 4)
    figure = plotting.plot_codes_in_use(counts, torch.tensor([1, 2, 3, 0]), [0.5, 0.3, 0.2, 0], patches, patches)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == ["1\n50.0%", "2\n30.0%", "3\n20.0%", "0\n0.0%"]
    images = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    assert np.allclose(images[0], patches[0].movedim(0, -1)) and len(images) == 8


def test_bars_have_their_values_and_intervals() -> None:
    figure = plotting.plot_bars({"a": Estimate(3.0, 0.1), "b": Estimate(1.5, 0.0)}, "bits")
    (axis,) = figure.axes
    assert [bar.get_width() for bar in axis.patches] == [3.0, 1.5]
    assert [text.get_text() for text in axis.texts] == ["3", "1.5"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"] and axis.yaxis_inverted()


def test_what_cannot_be_negative_has_no_interval_below_0() -> None:
    figure = plotting.plot_bars({"rare": Estimate(0.001, 0.002), "lost": Estimate(-1.0, 0.5)}, "share")
    segments = figure.axes[0].collections[0].get_segments()
    assert segments[0][:, 0] == pytest.approx([0, 0.001 + 1.96 * 0.002])
    assert segments[1][:, 0] == pytest.approx([-1 - 1.96 * 0.5, -1 + 1.96 * 0.5])


def test_quality_shows_every_set_with_all_its_figures() -> None:
    names = ("precision", "recall", "density", "coverage")
    overlaps = {name: [Estimate(value, 0.01)] * 2 for name, value in zip(names, (0.9, 0.8, 1.1, 0.7), strict=True)}
    figure = plotting.plot_quality({"x": Estimate(0.5, 0.1), "y": Estimate(50.0, 1.0)}, overlaps)
    left, right = figure.axes
    assert left.get_xscale() == "log" and [bar.get_width() for bar in left.patches] == [0.5, 50]
    assert [text.get_text() for text in right.get_legend().get_texts()] == [
        *("precision", "recall", "density", "coverage")
    ]
    points = [line.get_xdata().tolist() for line in right.lines if line.get_linestyle() == "None"]
    assert points[:4] and [0.9, 0.9] in points and [0.7, 0.7] in points


def test_rows_of_images_have_titles() -> None:
    images = torch.rand(3, 1, 4, 4)
    figure = plotting.plot_rows([images, images], ["generated", "nearest"])
    assert [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()] == ["generated", "nearest"]
    assert len(figure.axes) == 6


def test_names_stand_above_the_first_row() -> None:
    images = torch.rand(3, 1, 4, 4)
    figure = plotting.plot_rows([images, images], ["generated", "nearest"], ["eyes", "skin", "several"])
    assert [axis.get_title() for axis in figure.axes] == ["eyes", "skin", "several", "", "", ""]


def test_what_is_seen_and_what_never_is_stand_in_their_cells() -> None:
    seen = {("blur", "recall"): 0.05, ("copies", "recall"): None, ("blur", "class"): 1.0, ("copies", "class"): 0.2}
    (axis,) = plotting.plot_sensitivity(["blur", "copies"], ["recall", "class"], seen).axes
    texts = {text.get_position(): text.get_text() for text in axis.texts}
    assert texts == {(0, 0): "from 5%", (1, 0): "never", (0, 1): "from 100%", (1, 1): "from 20%"}
    assert [label.get_text() for label in axis.get_yticklabels()] == ["recall", "class"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["blur", "copies"]


def test_panels_show_every_line_with_its_intervals() -> None:
    lines = {"all": [Estimate(1.0, 0.1), Estimate(2.0, 0.2)], "some": [Estimate(3.0, 0.1), Estimate(4.0, 0.1)]}
    figure = plotting.plot_panels({"wrong": lines, "true": lines}, [0.5, 1.0], "temperature")
    assert [axis.get_title() for axis in figure.axes] == ["wrong", "true"]
    for axis in figure.axes:
        drawn = [container.lines[0].get_ydata().tolist() for container in axis.containers]
        assert drawn == [[1, 2], [3, 4]] and axis.get_xlabel() == "temperature"
    low, high = figure.axes[0].containers[0].lines[2][0].get_segments()[1][:, 1]
    assert (low, high) == (pytest.approx(2 - 1.96 * 0.2), pytest.approx(2 + 1.96 * 0.2))
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["all", "some"]


def test_frequencies_are_shown_beside_what_they_would_be_if_all_were_equal() -> None:
    factors = {f"eyes {number}": {"dots": 0.25, "wide": 0.75} for number in range(5)}
    figure = plotting.plot_frequencies(factors, "generated faces (%)")
    axis = figure.axes[0]
    assert [bar.get_height() for bar in axis.patches] == [25, 75]
    assert axis.lines[0].get_ydata() == [50, 50]
    assert axis.get_title() == "eyes 0" and axis.get_ylabel() == "generated faces (%)"
    assert sum(bool(axis.patches) for axis in figure.axes) == sum(axis.axison for axis in figure.axes) == 5


def test_recipes_are_told_apart_in_the_trade_off() -> None:
    recipes = [("codes", "32"), ("codes", "64"), ("grid", "4 × 4")]
    figure = plotting.plot_trade_off(recipes, [50.0, 60.0, 40.0], [0.05, 0.04, 0.1])
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.texts] == ["32", "64", "4 × 4"]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["codes", "grid"]
    assert axis.collections[0].get_offsets().tolist() == [[50, 0.05], [60, 0.04]]


def test_a_recipe_that_failed_is_named_outside_of_the_picture() -> None:
    recipes = [("codes", "32"), ("codes", "64"), ("restarts", "off")]
    (axis,) = plotting.plot_trade_off(recipes, [50.0, 60.0, 9.0], [0.05, 0.04, 0.27]).axes
    assert "restarts off, 9 nats, error 0.27" in axis.texts[-1].get_text()
    assert sum(len(points.get_offsets()) for points in axis.collections) == 2 and axis.get_ylim()[1] < 0.1


def test_each_position_has_its_own_number() -> None:
    values = torch.tensor([[torch.nan, 1.0, 2.0], [3.0, 4.0, 5.0]])
    first, second, *_ = plotting.plot_positions({"a": values, "b": 2 * values}, "bits").axes
    written = {text.get_position(): text.get_text() for text in first.texts}
    assert written == {(1, 0): "1.0", (2, 0): "2.0", (0, 1): "3.0", (1, 1): "4.0", (2, 1): "5.0"}
    assert first.images[0].get_clim() == second.images[0].get_clim() == (0, 10)
