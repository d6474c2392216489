"""The explorers without a page: what each draws for a setting, and what its controls and the mouse do to it."""

import base64

import pytest
import torch
import torch.nn.functional as F
from ipywidgets import IntSlider
from matplotlib.figure import Figure
from torch import nn

from lpvq import PixelCNN, VectorQuantizer
from lpvq.course import widgets
from lpvq.course.widgets import plane
from lpvq.course.widgets.codebook import decode_entries
from lpvq.course.widgets.explorer import Explorer, Spot
from lpvq.course.widgets.receptive_field import layers_needed, seen_by_masked, seen_by_two_stacks
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.gated import Stacks

PNG = b"\x89PNG"


@pytest.fixture
def prior():
    return PixelCNN(8, (4, 4), num_blocks=2, hidden_channels=8, num_classes=3)


@pytest.fixture
def images(smileys):
    return smileys.floats(torch.arange(3))


@pytest.fixture
def codebook(vqvae, images):
    return widgets.CodebookExplorer(vqvae, images)


@pytest.fixture
def player(vqvae, prior):
    return widgets.SamplingPlayer(vqvae, prior, ("happy", "sad", "surprised"))


@pytest.fixture
def completion(vqvae, prior, images):
    return widgets.CompletionExplorer(vqvae, prior, images, torch.tensor([0, 1, 2]))


@pytest.fixture(params=["codebook", "player", "completion", "receptive field", "plane"])
def explorer(request):
    simple = {"receptive field": widgets.ReceptiveFieldExplorer, "plane": widgets.PlaneExplorer}
    return simple[request.param]() if request.param in simple else request.getfixturevalue(request.param)


class Upsampling(Explorer):
    """As small as an explorer can be: twice a number."""

    def __init__(self):
        self.drawn = 0
        super().__init__({"number": IntSlider(1, 0, 9), "other": IntSlider(1, 0, 9)}, [])

    def plot(self, number, other):
        self.drawn += 1
        figure = Figure((2, 1))
        figure.add_axes((0.5, 0, 0.5, 1), label="right").set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5))
        return figure, f"{10 // number * 2 * number}"


# --- what all have in common


def test_a_picture_follows_its_controls():
    explorer = Upsampling()
    explorer.controls["number"].value = 5
    assert (explorer.description, explorer.drawn) == ("20", 2)


def test_several_controls_are_set_with_one_picture():
    explorer = Upsampling()
    explorer.set(number=2, other=3)
    assert (explorer.description, explorer.drawn) == ("20", 2)


def test_an_error_is_said_and_no_picture_stays():
    explorer = Upsampling()
    before = explorer.figure
    explorer.set(number=0)
    assert explorer.description.startswith("No picture: ZeroDivisionError")
    assert explorer.figure is not before and not explorer.figure.axes
    explorer.set(number=1)
    assert explorer.description == "20"


def test_a_point_of_the_picture_is_a_place_in_its_axes():
    explorer = Upsampling()
    assert explorer.spot(10, 50) is None  # left of the axes
    assert explorer.spot(125, 75) == Spot("right", 1, 0)  # 100 pixels to an inch, from the upper left corner
    assert explorer.spot(*explorer.place_of("right", 0, 1)) == Spot("right", 0, 1)


def test_the_mouse_counts_only_over_axes_and_moves_only_with_a_button():
    class Listening(Upsampling):
        def pick(self, kind, spot):
            heard.append((kind, spot))

    heard = []
    explorer = Listening()
    for kind, x, buttons in (("mousedown", 250, 1), ("mousemove", 250, 0), ("mousemove", 250, 1), ("mouseup", 9, 0)):
        explorer._on_mouse({"type": kind, "dataX": x, "dataY": 50, "buttons": buttons})  # two pixels for one
    assert heard == [("mousedown", Spot("right", 0, 0)), ("mousemove", Spot("right", 0, 0))]


def test_a_page_without_widgets_gets_the_picture(explorer):
    data, metadata = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert base64.b64decode(data["image/png"]).startswith(PNG)
    assert data["text/plain"] == explorer.description == metadata["image/png"]["alt"]
    assert not explorer.description.startswith("No picture")


def test_the_same_setting_gives_the_same_picture(explorer):
    before = explorer._image.value
    torch.rand(3)  # what else is drawn in a notebook must not matter
    explorer.refresh()
    assert explorer._image.value == before


def test_what_is_done_to_a_model_later_does_not_change_the_picture(player, vqvae, prior):
    before = player._image.value
    with torch.no_grad():
        for parameter in [*vqvae.parameters(), *prior.parameters()]:
            parameter.zero_()
    player.refresh()
    assert player._image.value == before


# --- the codebook


def test_an_entry_is_decoded_among_its_like(vqvae):
    entries = decode_entries(vqvae)
    alone = vqvae.decode(torch.full((1, 3, 3), 5))[0, :, 4:8, 4:8]
    assert entries.shape == (8, 3, 4, 4)
    assert torch.allclose(entries[5], alone, atol=1e-6)  # in a batch, sums may be rounded in another order


def test_another_position_brings_its_code_and_another_code_goes_there(codebook, vqvae, images):
    own = vqvae.encode(images)[0]
    codebook.set(row=1, column=2)
    assert codebook.controls["code"].value == own[1, 2]
    wanted = (int(own[1, 2]) + 1) % 8
    codebook.controls["code"].value = wanted
    changed = own.clone()
    changed[1, 2] = wanted
    assert torch.equal(codebook.codes, changed)
    assert "1 are not the image's own" in codebook.description


def test_the_mouse_picks_positions_and_entries(codebook):
    codebook.pick("mousedown", Spot("codes", 3, 1))
    codebook.pick("mousedown", Spot("codebook", 4 * 1 + 2, 4 * 2))  # 8 entries of 4 × 4 pixels, three in a row
    assert [codebook.controls[name].value for name in ("row", "column", "code")] == [3, 1, 5]
    codebook.pick("mousedown", Spot("codebook", 4 * 2, 4 * 2))  # where a ninth would be
    codebook.pick("mousemove", Spot("codes", 0, 0))
    assert codebook.codes[3, 1] == 5


def test_two_codes_are_swapped_everywhere_and_brought_back(codebook):
    own = codebook.codes.clone()
    code = codebook.controls["code"].value
    codebook.set(other=(code + 1) % 8)
    codebook.swap()
    swapped = own.clone()
    swapped[own == code], swapped[own == (code + 1) % 8] = (code + 1) % 8, code
    assert torch.equal(codebook.codes, swapped)
    codebook.set(image=0)
    assert torch.equal(codebook.codes, own)


# --- sampling


def test_the_player_draws_what_generate_draws(player, prior, vqvae, monkeypatch):
    decoded = []
    monkeypatch.setattr(player.vqvae, "decode", lambda codes: decoded.append(codes) or vqvae.decode(codes))
    options = {"temperature": 0.7, "top_k": 5, "top_p": 0.9}
    player.set(step=6, seed=3, label=2, **options)
    labels = torch.tensor([2])
    drawn = prior.generate(labels=labels, generator=torch.Generator().manual_seed(3), **options)
    assert torch.equal(decoded[-1].flatten()[:6], drawn.flatten()[:6])
    assert (decoded[-1].flatten()[6:] == drawn[0, 0, 0]).all()
    with torch.no_grad():
        expected = prior(drawn, labels)[0, :, 1, 2].softmax(0)
    code = int(drawn[0, 1, 2])
    assert f"next code is {code}, to which the prior gives a probability of {expected[code]:.2f}" in player.description


@pytest.mark.parametrize("step", [0, 16])
def test_the_player_has_a_beginning_and_an_end(player, step):
    player.set(step=step)
    assert player.description.startswith(f"{step} of 16 codes")


def test_a_prior_without_classes_is_played_too(vqvae):
    player = widgets.SamplingPlayer(vqvae, PixelCNN(8, 4, num_blocks=1, hidden_channels=8))
    assert player.description.startswith("5 of 16 codes, seed 0,")


def test_of_two_levels_the_fine_one_is_played_given_the_coarse_one(vqvae, monkeypatch):
    coarse_prior = PixelCNN(8, 2, num_blocks=1, hidden_channels=8)
    fine_prior = PixelCNN(8, 4, num_blocks=1, hidden_channels=8, coarse_vqvae=vqvae, coarse_factor=2)
    for parameter in fine_prior.parameters():  # so large, of the VQ-VAE too, that the coarse codes matter
        nn.init.normal_(parameter, std=0.5)
    fine_prior.coarse_features.vqvae.quantizer.code_sums.normal_(std=5)
    prior = CoarseToFine(coarse_prior, vqvae, fine_prior)
    player = widgets.SamplingPlayer(vqvae, prior)
    decoded = []
    monkeypatch.setattr(player.vqvae, "decode", lambda codes: decoded.append(codes) or vqvae.decode(codes))
    player.set(step=16, seed=3, top_k=5)
    drawn = prior.generate(generator=torch.Generator().manual_seed(3), top_k=5)
    assert torch.equal(decoded[-1], drawn)
    coarse = coarse_prior.generate(generator=torch.Generator().manual_seed(3), top_k=5)
    with torch.no_grad():
        expected = fine_prior(drawn, coarse=coarse)[0, :, 3, 3].softmax(0)
    assert f"a probability of {expected[drawn[0, 3, 3]]:.2f}" in player.description


def test_bars_show_what_is_drawn_from(player):
    player.set(step=0, temperature=0)
    heights = [bar.get_height() for bar in player.figure.axes[2].patches]
    prior_bars, drawn_from = heights[:9], heights[9:]  # 8 codes and the others
    assert sum(prior_bars) == pytest.approx(1) and max(prior_bars) < 1
    assert sorted(drawn_from) == [0] * 8 + [1]


# --- completion


def test_what_is_not_erased_stays(completion, vqvae, prior, images, monkeypatch):
    drawn = []
    monkeypatch.setattr(completion.vqvae, "decode", lambda codes: drawn.append(codes) or vqvae.decode(codes))
    completion.set(image=1, rows=(1, 2), columns=(0, 1), seed=5)
    own = vqvae.encode(images)[1]
    known = torch.ones(4, 4, dtype=torch.bool)
    known[1:3, 0:2] = False
    assert drawn[-1].shape == (6, 4, 4)
    assert torch.equal(drawn[-1][:, known], own[known].expand(6, -1))
    again = prior.generate(
        own.expand(6, -1, -1), known=known, labels=torch.tensor([1] * 6), generator=torch.Generator().manual_seed(5)
    )
    assert torch.equal(drawn[-1], again)


def test_a_drag_erases_a_rectangle_in_any_direction(completion):
    completion.pick("mousemove", Spot("image", 1, 1))  # before it begins
    completion.pick("mousedown", Spot("image", 13, 9))  # pixels: row 3, column 2
    completion.pick("mousemove", Spot("image", 9, 9))
    completion.pick("mouseup", Spot("image", 5, -1))
    completion.pick("mousemove", Spot("image", 0, 15))  # after it has ended
    assert (completion.controls["rows"].value, completion.controls["columns"].value) == ((1, 3), (0, 2))


# --- the receptive field


def seen_by_gradient(network, position, height, width):
    x = torch.randn(1, 8, height, width, requires_grad=True)
    network(x)[0, :, position[0], position[1]].sum().backward()
    return x.grad[0].abs().sum(0) > 0


@pytest.mark.parametrize("layers", [1, 2, 4, 9])
@pytest.mark.parametrize("position", [(0, 0), (2, 0), (5, 3), (6, 10)])
def test_two_stacks_see_what_the_network_sees(layers, position):
    stacks = Stacks(8, layers - 1, kernel_size=3, hidden_channels=8, num_classes=None)
    stacks.embedding = nn.Identity()
    by_network = seen_by_gradient(lambda x: stacks(x.movedim(1, -1)), position, 7, 11)
    assert torch.equal(seen_by_two_stacks(position, layers, 7, 11), by_network)


@pytest.mark.parametrize("layers", [1, 2, 4, 9])
@pytest.mark.parametrize("position", [(0, 0), (2, 0), (5, 3), (6, 10)])
def test_a_masked_stack_sees_what_masked_convolutions_see(layers, position):
    def masked(x):
        for layer in range(layers):
            mask = torch.tensor([[1.0, 1, 1], [1, float(layer > 0), 0], [0, 0, 0]])
            x = F.elu(F.conv2d(x, torch.randn(8, 8, 3, 3) * mask, padding=1))
        return x

    assert torch.equal(seen_by_masked(position, layers, 7, 11), seen_by_gradient(masked, position, 7, 11))


def test_each_place_has_the_fewest_layers_that_see_it():
    needed = layers_needed(seen_by_two_stacks, (2, 2), 2, 4, 5)
    assert needed.tolist() == [[2, 2, 2, 2, 2], [2, 2, 2, 2, 2], [2, 1, 0, 0, 0], [0, 0, 0, 0, 0]]


def test_a_click_picks_the_position_and_the_words_count():
    explorer = widgets.ReceptiveFieldExplorer()
    explorer.pick("mousedown", Spot("two stacks", 3, 11))  # a click on the edge of the last column
    assert explorer.controls["column"].value == 10
    explorer.pick("mousedown", Spot("two stacks", 3, 8))
    explorer.set(layers=11)
    assert "of 41 earlier positions one masked stack misses 1, two stacks miss 0" in explorer.description


# --- the plane


def test_a_batch_is_assigned_then_moves_entries_then_restarts_some():
    assigned, moved, restarted = (plane.learn(step, decay=0.8, threshold=1.0, start="in a corner") for step in range(3))
    assert torch.equal(assigned.before, assigned.after)
    assert torch.equal(assigned.codes, torch.cdist(assigned.points, assigned.before).argmin(1))
    assert torch.equal(moved.before, assigned.after) and torch.equal(restarted.before, moved.after)
    chosen = assigned.codes.bincount(minlength=8) > 0
    stayed = torch.isclose(moved.before, moved.after, atol=1e-6).all(dim=1)
    assert torch.equal(stayed, ~chosen)
    jumped = (restarted.before != restarted.after).any(dim=1)
    assert torch.equal(jumped, moved.counts < 1)
    assert all((restarted.points == entry).all(dim=1).any() for entry in restarted.after[jumped])


def test_the_steps_are_those_of_the_quantizer():
    quantizer = VectorQuantizer(8, 2, decay=0.6, restart_threshold=0)
    first = plane.learn(0, decay=0.6, threshold=0, start="at points")
    quantizer.code_sums.copy_(first.before)
    quantizer.started.fill_(True)
    for batch in range(4):
        moment = plane.learn(3 * batch + 2, decay=0.6, threshold=0, start="at points")
        quantizer(moment.points.T[None, :, :, None])
        assert torch.allclose(quantizer.codebook, moment.after)


def test_the_words_say_what_happens():
    explorer = widgets.PlaneExplorer()
    explorer.set(step=2)
    assert "entries with a count below 1 restart" in explorer.description
    explorer.set(threshold=0.0)
    assert "0 entries with a count below 0 restart" in explorer.description
