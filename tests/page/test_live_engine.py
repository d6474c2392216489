"""What the page computes is what Python computes: codes bit for bit, pixels nearly."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import shipped_page
import torch
from playwright.sync_api import Page

from lpvq import PixelCNN, load_pretrained
from lpvq.data.loading import load
from lpvq.models.whole_number_conversion import whole_number_prior
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.page import contents, export, packing
from lpvq.page.coarsening import coarsen
from lpvq.page.rounding import round_rows

SETTINGS = [(1.0, 1.0), (0.7, 0.9), (1.6, 0.6), (0.0, 1.0)]
Draw = Callable[..., dict[str, Any]]


def uniforms(number: int, size: tuple[int, int]) -> list[list[float]]:
    """The random numbers that ``expected`` draws with."""
    return torch.rand(number, *size, generator=torch.Generator().manual_seed(7)).double().flatten(1).tolist()


def expected(model: WholeNumberPixelCNN, labels: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return model.generate(
        labels=labels, temperature=temperature, top_p=top_p if top_p < 1 else None, generator=generator
    )


@pytest.fixture(scope="module")
def tiny() -> tuple[WholeNumberPixelCNN, str]:
    """A prior with all that one can have, and the same as the page has it."""
    torch.manual_seed(0)
    prior = PixelCNN(8, (4, 5), 3, 5, 8, num_classes=3, position=True, num_attentions=2)
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    codes, labels = torch.randint(8, (60, 4, 5)), torch.arange(60) % 3
    model = whole_number_prior(prior.eval().requires_grad_(False), codes, labels)
    coarsen(model, codes, labels)
    facts, arrays = contents.prior_contents(model)
    return model, packing.pack({"prior": facts}, {f"prior.{name}": packed for name, packed in arrays.items()})


@pytest.mark.parametrize(("temperature", "top_p"), SETTINGS)
def test_a_thousand_grids_are_those_of_python(tiny, draw: Draw, temperature: float, top_p: float) -> None:
    model, models = tiny
    labels = torch.arange(1000) % 3
    codes = expected(model, labels, temperature, top_p)
    drawn = draw(models, labels.tolist(), uniforms(1000, (4, 5)), temperature, top_p)
    assert drawn["codes"] == codes.flatten(1).tolist()
    logits = model(codes[:1], labels[:1])[0].flatten(1).T
    assert drawn["logits"] == logits.tolist()


def test_one_weight_that_is_changed_is_noticed(tiny, draw: Draw) -> None:
    _, models = tiny
    names = [name for name in packing.unpack(models)[1] if name.endswith(".weight")]
    assert len(names) == 2 + 3 * 4 + 2 * 3 + 2
    given = [0, 1], uniforms(2, (4, 5)), 1.0, 1.0
    as_it_is = draw(models, *given)
    unnoticed = [name for name in names if draw(models, *given, change=name)["logits"] == as_it_is["logits"]]
    assert unnoticed == []


def test_what_is_packed_is_unpacked(tiny) -> None:
    model, models = tiny
    facts, arrays = packing.unpack(models)
    assert facts["prior"]["channels"] == 8
    shifts = model.layers[0].row_shifts
    assert (arrays["prior.layers.0.row_shifts"] / 2 == shifts.numpy()).all() and shifts.abs().max() > 0
    with pytest.raises(ValueError, match="does not fit"):
        packing.pack({}, {"x": packing.Packed(torch.tensor([300]).numpy(), "int8")})


def test_rounding_makes_up_for_what_it_changes() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(500, 20, generator=generator, dtype=torch.float64) @ torch.randn(
        20, 20, generator=generator, dtype=torch.float64
    )
    weight = torch.randn(6, 20, generator=generator, dtype=torch.float64)
    step = torch.full((6,), 0.25, dtype=torch.float64)
    rounded = round_rows(weight, step, inputs.T @ inputs, 127)
    assert (rounded == rounded.round()).all()

    def error(whole: torch.Tensor) -> float:
        return float((inputs @ (whole * step[:, None] - weight).T).square().mean())

    assert error(rounded) < 0.6 * error((weight / 0.25).round())


# --- the page that comes with the project


@pytest.fixture(scope="module")
def shipped() -> Any:
    return shipped_page.read()


def test_the_shipped_page_is_what_the_command_makes(shipped) -> None:
    page, models, facts, _ = shipped
    assert page == export.make_page(models), "lpvq export-page makes it anew"
    assert len(page.encode()) <= export.LARGEST
    assert facts["made_of"] == export.made_of()
    assert not re.search(r"(?:src|href)=", re.sub(r'<script type="text/plain".*?</script>', "", page, flags=re.DOTALL))


def test_the_shipped_page_draws_what_python_draws(shipped, draw: Draw) -> None:
    _, models, facts, arrays = shipped
    model = shipped_page.prior_in(facts, arrays)
    labels = torch.arange(20) % 3
    codes = expected(model, labels, 1.0, 1.0)
    assert draw(models, labels.tolist(), uniforms(20, (8, 8)), 1.0, 1.0)["codes"] == codes.flatten(1).tolist()
    changed = draw(models, [0], uniforms(1, (8, 8)), 1.0, 1.0, change="prior.layers.3.vertical.weight")
    assert changed["logits"] != model(codes[:1], labels[:1])[0].flatten(1).T.tolist()


def test_the_shipped_page_encodes_and_decodes_nearly_as_python_does(shipped, engine: Page) -> None:
    _, models, _, _ = shipped
    vqvae, _ = load_pretrained("smileys")
    faces = load("smileys", split="test", limit=20).floats()
    codes = vqvae.encode(faces)
    pixels = vqvae.decode(codes).permute(0, 2, 3, 1).flatten(1)
    found, worst = engine.evaluate(
        """async ([models, faces, codes, pixels]) => {
            const all = await unpack(models);
            const arrays = Object.fromEntries(Object.entries(all.arrays)
                .map(([name, numbers]) => [name.replace("vqvae.", ""), numbers]));
            const vqvae = new Vqvae(all.vqvae, arrays);
            const off = codes.map((grid, number) => {
                const decoded = vqvae.decode(Int32Array.from(grid));
                return Math.max(...pixels[number].map((x, i) => Math.abs(x - decoded[i])));
            });
            return [faces.map((face) => [...vqvae.encode(Float64Array.from(face), 32)]), Math.max(...off)];
        }""",
        [models, faces.permute(0, 2, 3, 1).flatten(1).tolist(), codes.flatten(1).tolist(), pixels.tolist()],
    )
    assert worst < 2 / 255
    assert (torch.tensor(found) == codes.flatten(1)).float().mean() > 0.995
