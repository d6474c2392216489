"""The drawings of 11_coarse_to_fine."""

import numpy as np
import pytest
import torch

from lpvq import plotting
from lpvq.course.drawings import notebook_11 as drawings


def test_both_levels_stand_below_one_another():
    fine, coarse = torch.randint(9, (16, 12)), torch.randint(5, (8, 6))
    figure = drawings.plot_levels(torch.rand(3, 64, 48), fine, torch.rand(3, 32, 24), coarse, (9, 5))
    assert plotting.render(figure, "levels")
    panels = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title() for axis in panels] == [
        *("64 × 48 pixels", "16 × 12 fine codes"),
        *("32 × 24 pixels", "8 × 6 coarse codes"),
    ]
    for axis, codes in ((panels[1], fine), (panels[3], coarse)):
        assert np.allclose(axis.images[0].get_array(), plotting.code_colours()[codes])


def test_beginnings_are_curves_over_the_rows():
    figure = drawings.plot_beginnings({"real": [1.0, 0.5, 0.0], "drawn": [1.0, 0.7, float("nan")]})
    assert plotting.render(figure, "beginnings")
    first, second = figure.axes[0].lines
    assert first.get_ydata().tolist() == [1, 0.5, 0] and first.get_linestyle() != second.get_linestyle()
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["real", "drawn"]


def test_waves_share_a_scale():
    figure = drawings.plot_waves(torch.rand(3, 16, 16) / 2, ["a", "b", "c"])
    assert plotting.render(figure, "waves")
    panels = [axis for axis in figure.axes if axis.images]
    assert [axis.images[0].get_clim() for axis in panels] == [(-1, 1)] * 3


def test_counts_stand_above_their_bars():
    counts = {"plain": {"true": 0.25, "wrong": 0.5}, "told": {"true": 0.75, "wrong": 0.0}}
    figure = drawings.plot_counts(counts, "faces (%)")
    assert plotting.render(figure, "counts")
    bars = sorted(figure.axes[0].patches, key=lambda bar: bar.get_x())
    assert [bar.get_height() for bar in bars] == pytest.approx([25, 50, 75, 0])
    assert [text.get_text() for text in figure.axes[0].texts] == ["25", "75", "50", "0"]
