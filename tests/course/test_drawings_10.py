"""The drawings of 10_your_own_images."""

import torch

from lpvq import plotting
from lpvq.course.drawings import notebook_10 as drawings


def test_the_stages_stand_in_their_order():
    figure = drawings.plot_stages()
    assert plotting.render(figure, "stages")
    texts = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    places = [texts[name] for name in ("pictures", "codes", "prior", "new pictures")]
    assert places == sorted(places)


def test_a_sheet_has_a_line_for_each_measure_and_a_dot_for_each_patient():
    healthy = {name: (low + high) / 2 for name, (low, high) in drawings.SCALES.items()}
    ill = healthy | {"bits per code": 14.4, "a label saves": -330.0}
    figure = drawings.plot_sheet({"healthy": healthy, "patient one": ill})
    assert plotting.render(figure, "sheet")
    axis = figure.axes[0]
    dots = [dot.get_offsets()[0].tolist() for dot in axis.collections]
    rows = list(drawings.SCALES)
    assert dots.count([0.5, 0.0]) == 2
    assert [1.0, rows.index("bits per code")] in dots, "what is off the scale stands at its end"
    assert [0.0, rows.index("a label saves")] in dots
    texts = [text.get_text() for text in axis.texts]
    assert {"14", "-330", "patient\none"} <= set(texts)
    assert [label.get_text() for label in axis.get_yticklabels()] == rows


def test_the_report_card_shows_all_it_is_given():
    pictures = {name: torch.rand(5, 3, 16, 16) for name in ("unseen", "decoded", "drawn", "nearest")}
    bits = {"uniform": 7.0, "prior": 1.25}
    distances = {"unseen": torch.rand(30, dtype=torch.float64), "drawn": torch.rand(20, dtype=torch.float64) + 1}
    figure = drawings.plot_report_card(pictures, bits, distances, (0.1, 1.5))
    assert plotting.render(figure, "card")
    images = [axis for axis in figure.axes if axis.images]
    assert len(images) == 20
    assert [axis.get_ylabel() for axis in images if axis.get_ylabel()] == list(pictures)
    bars, shares = (axis for axis in figure.axes if not axis.images)
    assert [bar.get_width() for bar in bars.patches] == [7.0, 1.25] and bars.yaxis_inverted()
    assert [text.get_text() for text in bars.texts] == ["7.00", "1.25"]
    assert [text.get_text() for text in shares.get_legend().get_texts()] == list(distances)
    assert [line.get_xdata()[0] for line in shares.lines] == [0.1, 1.5]
