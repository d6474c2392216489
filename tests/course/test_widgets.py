"""The explorers without a page: what each draws for a setting, and what its controls and the mouse do to it."""

import base64
import gc
import io
import weakref
from types import SimpleNamespace

import ipywidgets
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from ipywidgets import IntSlider
from jupyter_client.manager import start_new_kernel
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from lpvq import VQVAE, InputError, PixelCNN, VectorQuantizer
from lpvq.course import widgets
from lpvq.course.widgets import lifetime, plane
from lpvq.course.widgets.codebook import sort_by_likeness
from lpvq.course.widgets.drawing import paint
from lpvq.course.widgets.explorer import TOUCH, Explorer, Spot
from lpvq.course.widgets.receptive_field import layers_needed, seen_by_masked, seen_by_two_stacks
from lpvq.course.widgets.sampling import find_candidates
from lpvq.data import smileys as rendered
from lpvq.models.coarse_to_fine import CoarseToFine
from lpvq.models.gated import Stacks
from lpvq.models.sampling import SamplingOptions
from lpvq.plotting import HIDDEN

PNG = b"\x89PNG"
NAMES = ("happy", "sad", "surprised")


@pytest.fixture
def prior():
    prior = PixelCNN(8, (4, 4), num_blocks=2, hidden_channels=8, num_classes=3)
    for parameter in prior.parameters():  # so large that the class matters
        nn.init.normal_(parameter, std=0.4)
    return prior


@pytest.fixture
def images(smileys):
    return smileys.floats(torch.arange(3))


@pytest.fixture
def codebook(vqvae, images):
    return widgets.CodebookExplorer(vqvae, images)


@pytest.fixture
def player(vqvae, prior):
    return widgets.SamplingPlayer(vqvae, prior, NAMES)


@pytest.fixture
def completion(vqvae, prior, images):
    return widgets.CompletionExplorer(vqvae, prior, images, torch.tensor([0, 1, 2]), NAMES)


@pytest.fixture
def board(vqvae, prior):
    return widgets.DrawingBoard(vqvae, prior, NAMES)


@pytest.fixture(params=["codebook", "player", "completion", "board", "receptive field", "plane"])
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
    spot = explorer.spot(125, 75)  # 100 pixels to an inch, from the upper left corner
    assert (spot.axes, spot.row, spot.column) == ("right", 1, 0)
    assert (spot.y, spot.x) == pytest.approx((1, 0))
    back = explorer.spot(*explorer.place_of("right", 0, 1))
    assert (back.row, back.column) == (0, 1)


def mouse(explorer, *events):
    """Send what a page sends: the kind, the place in the picture, and whether a button is held."""
    for kind, x, y, buttons in events:
        explorer._on_mouse({"type": kind, "dataX": 1.5 * x, "dataY": 1.5 * y, "buttons": buttons})


class Listening(Upsampling):
    def __init__(self):
        self.heard = []
        super().__init__()

    def pick(self, kind, spot):
        self.heard.append((kind, spot.column))

    def target(self, spot):
        return (spot.row - 0.5, spot.column - 0.5, spot.row + 0.5, spot.column + 0.5)


def test_the_mouse_counts_only_over_axes_and_moves_only_with_a_button():
    explorer = Listening()
    mouse(explorer, ("mousemove", 125, 25, 1), ("mousedown", 9, 25, 1), ("mousedown", 125, 25, 1))
    mouse(explorer, ("mousemove", 125, 25, 1), ("mousemove", 20, 25, 1), ("mouseup", 175, 25, 0))
    mouse(explorer, ("mousemove", 125, 25, 0), ("mouseup", 125, 25, 0))
    assert explorer.heard == [("mousedown", 0), ("mousemove", 0), ("mouseup", 1)]


@pytest.mark.parametrize("end", [("mouseup", 9, 25, 0), ("mousemove", 125, 25, 0), ("mouseleave", 300, 25, 1)])
def test_a_drag_ends_wherever_the_button_is_released(end):
    explorer = Listening()
    mouse(explorer, ("mousedown", 125, 25, 1), ("mousemove", 175, 25, 1), end, ("mousemove", 175, 25, 1))
    assert explorer.heard == [("mousedown", 0), ("mousemove", 1), ("mouseup", 1)]


def test_what_a_click_would_touch_is_framed_and_changes_the_cursor():
    explorer = Listening()
    mouse(explorer, ("mousemove", 175, 75, 0))  # the lower right of four squares of the right half
    assert "left: 75.00%; top: 50.00%; width: 25.00%; height: 50.00%" in explorer._mark.value
    assert "lpvq-here" in explorer._image._dom_classes
    mouse(explorer, ("mousemove", 20, 75, 0))
    assert explorer._mark.value == "" and "lpvq-here" not in explorer._image._dom_classes


def test_what_can_be_touched_is_outlined_and_said(explorer):
    for axes in explorer.figure.axes:
        outlined = any(patch.get_edgecolor() == to_rgba(TOUCH) for patch in axes.patches)
        assert outlined or not axes.get_label()
    assert explorer.hint in explorer.children[-3].value and explorer.hint


def test_a_picture_has_no_ground_of_its_own_and_its_letters_suit_any_page(explorer):
    corner = Image.open(io.BytesIO(explorer._image.value)).convert("RGBA").getpixel((0, 0))
    assert corner[3] == 0  # a white box, on a dark page
    for axes in explorer.figure.axes:
        title = np.array(to_rgb(axes.title.get_color()))
        assert all(contrast(title, page) > 4 for page in (1.0, 17 / 255))  # JupyterLab's pages


def contrast(colour, grey):
    """The ratio of the brightness of a colour to that of a page (WCAG 2.2); above 3 large letters are legible."""

    def brightness(colour):
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        return float(linear @ np.array([0.2126, 0.7152, 0.0722])) + 0.05

    first, second = sorted((brightness(np.array(colour)), brightness(np.full(3, grey))))
    return second / first


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


# --- how long they live


def run_cell(monkeypatch, cell, run):
    parent = {"metadata": {"cellId": cell} if cell else {}, "header": {"msg_id": run}}
    shell = SimpleNamespace(get_parent=lambda: parent)
    monkeypatch.setattr(lifetime, "get_ipython", lambda: shell)


def widgets_there_are():
    return set(ipywidgets.widgets.widget._instances)


def test_an_explorer_ends_when_its_cell_is_run_again(monkeypatch):
    before = widgets_there_are()
    run_cell(monkeypatch, "a", "1")
    first, beside = widgets.PlaneExplorer(), widgets.PlaneExplorer()
    run_cell(monkeypatch, "b", "2")
    of_another_cell = widgets.ReceptiveFieldExplorer()
    there = len(widgets_there_are() - before)
    run_cell(monkeypatch, "a", "3")
    again, beside_again = widgets.PlaneExplorer(), widgets.PlaneExplorer()
    assert first.comm is None and beside.comm is None
    assert all(explorer.comm for explorer in (of_another_cell, again, beside_again))
    assert len(widgets_there_are() - before) == there  # layouts, styles and links too


def test_a_closed_explorer_holds_nothing_even_if_the_history_of_outputs_holds_it(monkeypatch, vqvae, prior):
    explorer = widgets.SamplingPlayer(vqvae, prior, NAMES)
    held = [weakref.ref(part) for part in (explorer.prior, explorer.figure, explorer.patches, explorer._image)]
    explorer.close()
    gc.collect()
    assert [part() for part in held] == [None] * 4
    assert explorer.comm is None


def test_memory_stays_level_when_a_cell_is_run_thirty_times(monkeypatch, vqvae, prior):
    history = []  # of the outputs

    def there_are():
        gc.collect()
        kinds = [type(thing) for thing in gc.get_objects()]
        return [kinds.count(kind) for kind in (PixelCNN, Figure, ipywidgets.IntSlider)]

    for run in range(30):
        run_cell(monkeypatch, "a", str(run))
        history.append(widgets.SamplingPlayer(vqvae, prior, NAMES))
        if run == 1:
            counts = there_are()
    assert there_are() == counts


@pytest.fixture
def kernel():
    """Runs code in a kernel of its own, as the cell of that name, and tells how many widgets there are then."""
    manager, client = start_new_kernel()

    def run(code, **metadata):
        count = {"widgets": "len(__import__('ipywidgets').widgets.widget._instances)"}
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": count}
        message = client.session.msg("execute_request", content, metadata=metadata)
        client.shell_channel.send(message)
        while (reply := client.get_shell_msg(timeout=300))["parent_header"]["msg_id"] != message["msg_id"]:
            pass
        assert reply["content"]["status"] == "ok", reply["content"]
        return int(reply["content"]["user_expressions"]["widgets"]["data"]["text/plain"])

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("page", [{"cellId": "a"}, {}])
def test_a_kernel_knows_which_cell_is_run_again(kernel, page):
    run = "from lpvq.course import widgets; widgets.PlaneExplorer()"
    once = kernel(run, **page)
    assert once > 10 and kernel(run, **page) == once
    assert kernel(run + " ", **({"cellId": "b"} if page else {})) == 2 * once  # another cell


def test_where_no_page_tells_which_cell_runs_explorers_stay(monkeypatch):
    run_cell(monkeypatch, None, "1")
    first = widgets.PlaneExplorer()
    run_cell(monkeypatch, None, "2")
    assert widgets.PlaneExplorer().comm and first.comm


def test_only_what_there_was_at_first_is_exempt_from_the_search_for_garbage():
    widgets.PlaneExplorer()
    frozen = gc.get_freeze_count()
    for _ in range(3):
        widgets.PlaneExplorer()
    assert gc.get_freeze_count() <= frozen  # what is freed counts no more


# --- the codebook


def test_entries_that_look_alike_stand_together():
    patches = torch.linspace(0, 1, 12)[torch.randperm(12)][:, None, None, None].expand(-1, 3, 2, 2)
    wall = sort_by_likeness(patches)
    assert wall.shape == (3, 4) and sorted(wall.flatten().tolist()) == list(range(12))
    rows = patches[wall][:, :, 0, 0, 0].mean(1)
    assert rows.tolist() in (sorted(rows.tolist()), sorted(rows.tolist(), reverse=True))
    assert sort_by_likeness(patches[:7]).tolist()[-1][-2:] == [-1, -1]  # three in a row, and the last alone


def test_entries_of_a_row_are_sorted_too():
    red, blue = torch.meshgrid(torch.linspace(0, 1, 4), torch.linspace(0, 0.2, 4), indexing="ij")
    patches = torch.stack([red, torch.zeros(4, 4), blue]).flatten(1).T[torch.randperm(16)][..., None, None]
    wall = patches[sort_by_likeness(patches)][..., 0, 0]
    for sorted_by, along in ((wall[..., 0], 0), (wall[..., 2], 1)):
        steps = sorted_by.diff(dim=along)
        assert (steps > 0).all() or (steps < 0).all()


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
    codebook.pick("mousedown", Spot("codebook", 1.2, 1.7))  # 8 entries, three in a row
    chosen = int(codebook.wall[1, 2])
    assert [codebook.controls[name].value for name in ("row", "column", "code")] == [3, 1, chosen]
    codebook.pick("mousedown", Spot("codebook", 2, 2))  # where a ninth would be
    codebook.pick("mousemove", Spot("codes", 0, 0))
    assert codebook.codes[3, 1] == chosen and codebook.controls["row"].value == 3


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


def expected_at(prior, drawn, labels, row, column):
    with torch.no_grad():
        return prior(drawn, labels)[0, :, row, column].softmax(0)


def test_the_player_draws_what_generate_draws(player, prior):
    options = {"temperature": 0.7, "top_k": 5, "top_p": 0.9}
    player.set(step=6, seed=3, label=2, **options)
    labels = torch.tensor([2])
    drawn = prior.generate(labels=labels, generator=torch.Generator().manual_seed(3), **options)
    assert torch.equal(player.codes, drawn[0])
    code = int(drawn[0, 1, 2])
    expected = expected_at(prior, drawn, labels, 1, 2)
    assert f"next code is {code}, to which the prior gives a probability of {expected[code]:.2f}" in player.description


def test_only_codes_that_are_drawn_so_far_are_shown(player, vqvae):
    player.set(step=6)
    grid, so_far, ending, _ = player.figure.axes
    tiles = grid.images[0].get_array().reshape(4, 4, 4, 4, 3).swapaxes(1, 2).reshape(16, -1)
    hidden = [bool(np.allclose(tile, HIDDEN)) for tile in tiles]
    assert hidden == [False] * 6 + [True] * 10
    image = vqvae.decode(player.codes[None])[0].movedim(0, -1).numpy()
    assert np.allclose(ending.images[0].get_array(), image, atol=1e-6)
    assert np.allclose(so_far.images[0].get_array()[8:], HIDDEN)


def test_candidates_are_the_most_probable_codes_and_the_one_that_is_drawn(player, prior):
    for step in range(16):
        player.set(step=step)
        row, column = divmod(step, 4)
        expected = expected_at(prior, player.codes[None], torch.tensor([0]), row, column)
        codes, probabilities, drawn_from, drawn = player.candidates()
        assert codes == expected.argsort(descending=True).tolist()
        assert probabilities == pytest.approx(expected[codes].tolist()) and drawn_from == probabilities
        assert codes[drawn] == player.codes[row, column]


def test_a_drawn_code_that_is_improbable_is_the_last_candidate():
    logits = -torch.arange(20.0)
    assert find_candidates(logits, 15, SamplingOptions()).codes == [*range(9), 15]
    coldest = find_candidates(logits, 0, SamplingOptions(temperature=0))
    assert coldest.drawn_from == [1] + [0] * 9 and coldest.expected[0] < 0.7
    restricted = find_candidates(logits, 0, SamplingOptions(top_k=2))
    assert restricted.drawn_from[:3] == pytest.approx([0.731, 0.269, 0], abs=1e-3)


@pytest.mark.parametrize("step", [0, 6, 15])
def test_another_candidate_is_written_and_the_rest_drawn_anew_from_the_same_random_numbers(player, prior, step):
    player.set(step=step, seed=3, label=1)
    before = player.codes.clone()
    candidates = player.candidates()
    place = (candidates.drawn + 2) % 8
    player.pick("mousedown", Spot("candidates", 0.1, place + 0.2))
    start = torch.tensor([[*before.flatten()[:step].tolist(), candidates.codes[place]]])
    again = prior.generate(start, labels=torch.tensor([1]), generator=torch.Generator().manual_seed(3))
    assert torch.equal(player.codes, again[0]) and player.codes.flatten()[step] == candidates.codes[place]
    assert player.controls["step"].value == step + 1
    assert player.description.endswith("Written by hand: 1.")


def test_the_code_that_was_drawn_anyway_changes_nothing(player):
    before = player.codes.clone()
    player.write(player.candidates().codes[player.candidates().drawn])
    assert torch.equal(player.codes, before)


def test_codes_written_later_are_forgotten_and_a_new_seed_forgets_all(player):
    for step in (2, 9, 5):
        player.set(step=step)
        player.write(player.candidates().codes[-1])
    assert player._written == [2, 5]
    player.set(seed=0)  # the same one: as it was drawn
    assert player._written == [] and "by hand" not in player.description


def test_a_click_on_the_grid_goes_there_and_one_beside_it_nowhere(player):
    player.pick("mousedown", Spot("codes", 1.4, 2.6))
    assert player.controls["step"].value == 7
    player.pick("mousedown", Spot("codes", 0, 4.2))
    player.pick("mousedown", Spot("candidates", 0, 8.4))  # there are eight
    assert player.controls["step"].value == 7 and player._written == []


def test_a_candidate_is_chosen_and_written_by_keyboard(player):
    player.set(step=4)
    player.controls["candidate"].value = 3
    code = player.candidates().codes[2]
    next(button for button in buttons_of(player) if button.description == "write it").click()
    assert player.codes[1, 0] == code and player.controls["candidate"].value == 1


def buttons_of(explorer):
    return [part for part in lifetime.parts_of(explorer) if isinstance(part, ipywidgets.Button)]


@pytest.mark.parametrize("step", [0, 16])
def test_the_player_has_a_beginning_and_an_end(player, step):
    player.set(step=step)
    assert player.description.startswith(f"{step} of 16 codes")


def test_a_prior_without_classes_is_played_too(vqvae):
    player = widgets.SamplingPlayer(vqvae, PixelCNN(8, 4, num_blocks=1, hidden_channels=8))
    assert player.description.startswith("5 of 16 codes, seed 0,")


def test_of_two_levels_the_fine_one_is_played_given_the_coarse_one(vqvae):
    coarse_prior = PixelCNN(8, 2, num_blocks=1, hidden_channels=8)
    fine_prior = PixelCNN(8, 4, num_blocks=1, hidden_channels=8, coarse_vqvae=vqvae, coarse_factor=2)
    for parameter in fine_prior.parameters():  # so large, of the VQ-VAE too, that the coarse codes matter
        nn.init.normal_(parameter, std=0.5)
    fine_prior.coarse_features.vqvae.quantizer.code_sums.normal_(std=5)
    prior = CoarseToFine(coarse_prior, vqvae, fine_prior)
    player = widgets.SamplingPlayer(vqvae, prior)
    player.set(step=16, seed=3, top_k=5)
    drawn = prior.generate(generator=torch.Generator().manual_seed(3), top_k=5)
    assert torch.equal(player.codes, drawn[0])
    coarse = coarse_prior.generate(generator=torch.Generator().manual_seed(3), top_k=5)
    with torch.no_grad():
        expected = fine_prior(drawn, coarse=coarse)[0, :, 3, 3].softmax(0)
    assert f"a probability of {expected[drawn[0, 3, 3]]:.2f}" in player.description
    player.set(step=6)
    code = player.candidates().codes[-1]
    player.write(code)
    generator = torch.Generator().manual_seed(3)
    coarse_prior.generate(generator=generator, top_k=5)
    start = torch.tensor([[*drawn.flatten()[:6].tolist(), code]])
    assert torch.equal(player.codes, fine_prior.generate(start, coarse=coarse, generator=generator, top_k=5)[0])


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
    completion.set(label=2)
    of_another_class = prior.generate(
        own.expand(6, -1, -1), known=known, labels=torch.tensor([2] * 6), generator=torch.Generator().manual_seed(5)
    )
    assert torch.equal(drawn[-1], of_another_class) and not torch.equal(again, of_another_class)


def test_a_drag_erases_a_rectangle_in_any_direction(completion):
    completion.pick("mousemove", Spot("image", 1, 1))  # before it begins
    completion.pick("mousedown", Spot("image", 13, 9))  # pixels: row 3, column 2
    before = completion.description
    completion.pick("mousemove", Spot("image", 9, 9))
    assert completion.description == before and "<i" in completion._mark.value  # framed, not completed each time
    completion.pick("mouseup", Spot("image", 5, -1))
    completion.pick("mousemove", Spot("image", 0, 15))  # after it has ended
    assert (completion.controls["rows"].value, completion.controls["columns"].value) == ((1, 3), (0, 2))


def test_a_frame_is_in_the_picture_that_is_erased_and_the_class_above_the_completions(completion, images):
    completion.set(image=1, rows=(1, 2), columns=(0, 1))
    picture, *others = completion.figure.axes
    frames = [(patch.get_xy(), patch.get_width(), patch.get_height()) for patch in picture.patches]
    assert ((-0.5, 3.5), 8, 8) in frames  # from row 4, in pixels
    shown = picture.images[0].get_array()
    assert np.allclose(shown[12:], images[1].movedim(0, -1)[12:])
    assert [axes.get_title() for axes in others if axes.get_title()] == ["completed as sad"]
    completion.set(label=2)
    assert "completions as surprised" in completion.description
    completion.set(image=0)
    assert "completions as happy" in completion.description  # what it is


def test_a_prior_without_classes_completes_too(vqvae, images):
    prior = PixelCNN(8, 4, num_blocks=1, hidden_channels=8)
    explorer = widgets.CompletionExplorer(vqvae, prior, images, torch.tensor([0, 1, 2]))
    explorer.set(image=1)
    assert "and 6 completions: temperature 1" in explorer.description


# --- the board


def test_a_line_is_as_thick_as_the_brush_and_reaches_both_ends():
    canvas = np.zeros((9, 9, 3))
    paint(canvas, (1, 1), (1, 6), 1, np.ones(3))
    assert canvas[..., 0].nonzero()[0].tolist() == [1] * 6 and canvas[1, 1:7].all()
    paint(canvas, (7, 4), (4, 4), 3, np.array([0, 1, 0]))
    assert canvas[5, :, 1].nonzero()[0].tolist() == [3, 4, 5] and canvas[8, 4, 1] == 1  # round: one pixel further
    paint(canvas, (0, 8), (0, 8), 1, np.ones(3))
    assert canvas[0].sum() == 3  # a single pixel, in the corner


def test_the_palette_is_what_smileys_are_made_of(board):
    colours = rendered.palette()
    assert len(colours) == 6 + 5 + 2 and colours["dark"] == pytest.approx([48 / 255, 36 / 255, 40 / 255])
    board.start_from_smiley()
    known = {tuple((255 * colour).round().astype(int)) for colour in colours.values()}
    pixels = [tuple(pixel) for pixel in (255 * board.canvas).round().astype(int).reshape(-1, 3)]
    assert sum(pixel in known for pixel in pixels) > len(pixels) / 2  # the others are on an edge


def draw(board, *events):
    """Send what a page sends of the canvas, which is 160 pixels wide there, ten for one."""
    for kind, x, y, buttons in events:
        event = {"relativeX": x, "relativeY": y, "boundingRectWidth": 160, "boundingRectHeight": 160}
        board._on_canvas({"type": kind, "buttons": buttons, **event})


def test_a_drag_draws_in_the_colour_that_is_chosen_and_nothing_later(board):
    board.choose("white")
    board._brush.value = 1
    before = board.canvas.copy()
    draw(board, ("mousemove", 5, 5, 1))  # pressed elsewhere
    draw(board, ("mousedown", 15, 25, 1), ("mousemove", 55, 25, 1), ("mouseup", 55, 25, 0), ("mousemove", 155, 155, 1))
    changed = (board.canvas != before).any(-1)
    assert changed.nonzero()[0].tolist() == [2] * 5 and changed.nonzero()[1].tolist() == [1, 2, 3, 4, 5]
    assert (board.canvas[changed] == 1).all()
    shown = np.asarray(Image.open(io.BytesIO(board._paper.value)))
    assert (shown == (255 * board.canvas).round()).all()


def test_a_drawing_is_encoded_and_completed_as_each_class(board, vqvae, prior):
    board.start_from_smiley()
    assert "not encoded" in board.description
    image = torch.from_numpy(board.canvas).movedim(-1, 0)[None]
    codes = vqvae.encode(image)
    board.encode()
    shown = {axes.get_title(): axes.images[0].get_array() for axes in board.figure.axes}
    assert np.allclose(shown["decoded"], vqvae.decode(codes)[0].movedim(0, -1), atol=1e-6)
    assert np.allclose(shown["sad"], HIDDEN)
    board.erase_mouth()
    known = torch.ones(4, 4, dtype=torch.bool)
    known[2, 0:3] = False  # in eighths: rows 4 to 6, columns 1 to 6
    rows, columns = board.controls["rows"].value, board.controls["columns"].value
    assert (rows, columns) == ((2, 2), (0, 2))
    completed = vqvae.decode(
        prior.generate(
            codes.expand(3, -1, -1), known=known, labels=torch.arange(3), generator=torch.Generator().manual_seed(0)
        )
    )
    for name, completion in zip(NAMES, completed, strict=True):
        shown = next(axes for axes in board.figure.axes if axes.get_title() == name).images[0].get_array()
        assert np.allclose(shown, completion.movedim(0, -1), atol=1e-6)


def test_a_frame_is_dragged_over_what_to_erase(board):
    board._use.value = "frame what to erase"
    before = board.canvas.copy()
    draw(board, ("mousedown", 130, 50, 1), ("mousemove", 90, 90, 1))
    assert board._over.value.count("<i") == 2  # the brush and the frame
    draw(board, ("mouseleave", 60, 90, 1))
    assert (board.controls["rows"].value, board.controls["columns"].value) == ((1, 2), (1, 3))
    assert "completed: happy, sad, surprised" in board.description and (board.canvas == before).all()


def test_a_change_of_the_drawing_takes_back_what_was_made_of_another(board):
    board.erase_mouth()
    board.dab(3, 3)
    assert "not encoded" in board.description
    board.encode()
    board.clear()
    assert "not encoded" in board.description and (board.canvas == board.palette["dark"]).all()


def test_smileys_to_start_from_differ_and_are_always_the_same(board, vqvae, prior):
    canvases = []
    for begun in (board, board, widgets.DrawingBoard(vqvae, prior)):
        begun.start_from_smiley()
        canvases.append(begun.canvas)
    assert (canvases[0] == canvases[2]).all() and (canvases[0] != canvases[1]).any()


def test_all_that_a_mouse_does_on_the_board_is_done_by_keyboard(board):
    colours = {button.tooltip: button for button in buttons_of(board) if button.tooltip}
    colours["rose"].click()
    board._row.value, board._column.value, board._brush.value = 7, 2, 1
    buttons = {button.description: button for button in buttons_of(board)}
    buttons["dab"].click()
    assert board.canvas[7, 2] == pytest.approx(board.palette["rose"])
    buttons["encode"].click()
    assert "what they decode to" in board.description
    board.controls["rows"].value = (0, 1)
    assert "rows 0 to 1" in board.description


def test_a_board_of_a_prior_without_classes_completes_three_times(vqvae):
    board = widgets.DrawingBoard(vqvae, PixelCNN(8, 4, num_blocks=1, hidden_channels=8))
    board.erase_mouth()
    assert "completed: completion 1, completion 2, completion 3" in board.description


def test_a_board_for_grey_images_is_refused(prior):
    grey = VQVAE(in_channels=1, num_codes=8, code_dim=4, hidden_channels=8)
    with pytest.raises(InputError, match="a drawing has 3 channels, this VQ-VAE has 1"):
        widgets.DrawingBoard(grey, prior)


def test_a_finger_draws_as_a_mouse_does(board):
    before = board.canvas.copy()
    touch = {"relativeX": 15, "relativeY": 25, "boundingRectWidth": 160, "boundingRectHeight": 160}
    for kind in ("touchstart", "touchend"):
        board._events._dom_handlers({"type": kind, "changedTouches": [touch]})
    assert (board.canvas != before).any()


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


def test_an_entry_is_dragged_to_another_place_and_learns_from_there():
    explorer = widgets.PlaneExplorer()
    explorer.set(step=4, start="at points")  # the second batch, already moved
    entry = 3
    x, y = explorer._moment.after[entry].tolist()
    explorer.pick("mousedown", Spot("plane", y + 0.01, x))
    explorer.pick("mousemove", Spot("plane", 0.5, 0.5))
    explorer.pick("mouseup", Spot("plane", -1.2, 1.4))
    assert explorer.controls["step"].value == 6  # the assignment of the next batch
    assert explorer._moment.after[entry].tolist() == pytest.approx([1.4, -1.2])
    assert "own moves: 1" in explorer.description
    explorer.set(step=7)
    moved = plane.learn(7, 0.8, 1.0, "at points", [(2, 3, 1.4, -1.2)])
    assert torch.equal(explorer._moment.after, moved.after)
    others = [code for code in range(8) if code != entry]
    unmoved = plane.learn(6, 0.8, 1.0, "at points")
    assert torch.equal(plane.learn(6, 0.8, 1.0, "at points", explorer._moves).after[others], unmoved.after[others])


def test_only_what_is_near_an_entry_is_dragged_and_later_moves_are_forgotten():
    explorer = widgets.PlaneExplorer()
    explorer.pick("mousedown", Spot("plane", 1.5, 1.5))  # entries start in the other corner
    explorer.pick("mouseup", Spot("plane", 0, 0))
    assert explorer._moves == []
    explorer.set(step=30)
    explorer.move(1, 0.0, 0.0)
    explorer.set(step=3)
    explorer.move(2, 1.0, 1.0)
    assert explorer._moves == [(1, 2, 1.0, 1.0)]
    explorer.move_none()
    assert explorer._moves == [] and "own moves" not in explorer.description


def test_an_entry_is_moved_by_keyboard():
    explorer = widgets.PlaneExplorer()
    before = explorer._moment.after[2]
    explorer._entry.value = 2
    for arrow in "→↑↑":
        next(button for button in buttons_of(explorer) if button.description == arrow).click()
    assert (explorer._moment.after[2] - before).tolist() == pytest.approx([0.2, 0.4], abs=1e-6)


def test_a_grid_and_the_plane_are_played(player):
    for explorer, slider in ((player, "step"), (widgets.PlaneExplorer(), "step")):
        play = next(part for part in lifetime.parts_of(explorer) if isinstance(part, ipywidgets.Play))
        assert (play.min, play.max) == (0, explorer.controls[slider].max)
        assert play.link.target == (explorer.controls[slider], "value")
