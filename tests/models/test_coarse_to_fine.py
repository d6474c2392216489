"""Two levels: what is drawn first, what the fine prior is told, and what is kept."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lpvq import VQVAE, InputError, PixelCNN
from lpvq.models.coarse_to_fine import CoarseToFine


def some_models(seed: int = 0, coarse_codes: int = 5, **options: int | None) -> dict[str, VQVAE | PixelCNN]:
    """Untrained models of 16 × 24 pixels: 4 × 6 fine codes, 2 × 3 coarse ones; weights so large that all matters."""
    torch.manual_seed(seed)
    classes = {"num_classes": 2, **options}
    coarse_vqvae = VQVAE(3, coarse_codes, 3, 8)
    models = {
        "coarse_prior": PixelCNN(coarse_codes, (2, 3), 2, hidden_channels=6, **classes),
        "vqvae": VQVAE(3, 7, 3, 8),
        "fine_prior": PixelCNN(7, (4, 6), 2, hidden_channels=6, coarse_vqvae=coarse_vqvae, coarse_factor=2, **classes),
    }
    for name in ("coarse_prior", "fine_prior"):
        for parameter in models[name].parameters():
            if parameter.requires_grad:
                nn.init.normal_(parameter, std=0.5)
    return {name: model.eval() for name, model in models.items()}


@pytest.fixture
def model() -> CoarseToFine:
    return CoarseToFine(**some_models())


def draw(model: CoarseToFine, *arguments: Tensor, seed: int = 0, **options: object) -> Tensor:
    return model.generate(*arguments, generator=torch.Generator().manual_seed(seed), **options)


LABELS = torch.tensor([0, 1, 1])


def test_it_is_used_as_a_prior_of_one_level(model: CoarseToFine) -> None:
    assert (model.latent_dim, model.image_size, model.num_classes, model.num_blocks) == (7, (4, 6), 2, 2)
    codes = draw(model, labels=LABELS)
    assert codes.shape == (3, 4, 6) and codes.dtype == torch.int64
    assert torch.equal(codes, draw(model, labels=LABELS)) and not torch.equal(codes, draw(model, labels=LABELS, seed=1))
    assert draw(model, labels=LABELS, image_size=(2, 8)).shape == (3, 2, 8)
    assert CoarseToFine(**some_models(num_classes=None)).generate(batch_size=2).shape == (2, 4, 6)
    assert model.vqvae.decode(codes).shape == (3, 3, 16, 24)


def test_the_coarse_grid_is_drawn_first_and_the_fine_one_given_it(model: CoarseToFine) -> None:
    generator = torch.Generator().manual_seed(0)
    how = {"labels": LABELS, "temperature": 0.8, "top_p": 0.9, "top_k": 3, "generator": generator}
    coarse = model.coarse_prior.generate(image_size=(2, 3), **how)
    fine = model.fine_prior.generate(coarse=coarse, **how)
    assert torch.equal(draw(model, labels=LABELS, temperature=0.8, top_p=0.9, top_k=3), fine)


def test_given_coarse_codes_only_the_fine_ones_are_drawn(model: CoarseToFine) -> None:
    coarse = torch.randint(5, (3, 2, 3))
    expected = model.fine_prior.generate(labels=LABELS, coarse=coarse, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw(model, labels=LABELS, coarse=coarse), expected)


@pytest.mark.parametrize("method", ["cached", "plain"])
def test_both_methods_draw_the_same(model: CoarseToFine, method: str) -> None:
    assert torch.equal(draw(model.double(), labels=LABELS), draw(model.double(), labels=LABELS, method=method))


def test_its_likelihood_is_that_of_both_levels(model: CoarseToFine) -> None:
    codes, coarse = torch.randint(7, (3, 4, 6)), torch.randint(5, (3, 2, 3))
    levels = model.coarse_prior.nll(coarse, LABELS) + model.fine_prior.nll(codes, LABELS, coarse)
    assert torch.equal(model.nll(codes, LABELS, coarse), levels)
    assert torch.equal(model.nll(codes, LABELS), model.nll(codes, LABELS, model.coarsen(codes)))


def test_coarse_codes_are_those_of_the_shrunken_picture(model: CoarseToFine) -> None:
    codes = torch.randint(7, (2, 4, 6))
    picture = model.vqvae.decode(codes)  # (2, 3, 16, 24)
    shrunken = picture.view(2, 3, 8, 2, 12, 2).mean((3, 5))
    assert torch.equal(model.coarsen(codes), model.coarse_vqvae.encode(shrunken))


def test_what_is_known_stays_and_its_coarse_codes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    models = some_models()
    model = CoarseToFine(**models)
    codes = torch.randint(7, (2, 8, 12))
    known = torch.zeros(8, 12, dtype=torch.bool)
    known[:, :8] = True
    asked = []
    generate = model.coarse_prior.generate

    def noted(*arguments: Tensor, **options: object) -> Tensor:
        asked.append((arguments, options))
        return generate(*arguments, **options)

    monkeypatch.setattr(model.coarse_prior, "generate", noted)
    drawn = draw(model, codes, known=known, labels=LABELS[:2])
    assert torch.equal(drawn[:, known], codes[:, known])
    [((given,), options)] = asked
    # Four of six columns of coarse codes are of known codes; the fourth has unknown neighbours.
    assert options["known"].tolist() == [[[True] * 3 + [False] * 3] * 4] * 2
    assert torch.equal(given[:, :, :3], model.coarsen(codes.masked_fill(~known, 0))[:, :, :3])


def test_the_first_codes_may_be_given(model: CoarseToFine) -> None:
    first = torch.randint(7, (3, 9))
    assert torch.equal(draw(model, first, labels=LABELS).flatten(1)[:, :9], first)


def test_it_can_be_saved_and_loaded(model: CoarseToFine, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "both")
    loaded = CoarseToFine.from_pretrained(tmp_path / "both")
    assert torch.equal(draw(loaded, labels=LABELS), draw(model, labels=LABELS))
    (tmp_path / "both" / "fine_prior.pt").unlink()
    with pytest.raises(InputError, match=r"fine_prior.pt does not exist"):
        CoarseToFine.from_pretrained(tmp_path / "both")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coarse_prior", "the coarse codes do not fit: 5 and 6"),
        ("fine_prior", "the coarse codes do not fit: 6 and 5"),
    ],
)
def test_models_that_do_not_fit_are_refused(name: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        CoarseToFine(**{**some_models(), name: some_models(coarse_codes=6)[name]})


def test_a_fine_prior_without_coarse_codes_is_refused() -> None:
    with pytest.raises(InputError, match="made with a coarse_vqvae"):
        CoarseToFine(**{**some_models(), "fine_prior": PixelCNN(7, (4, 6), 1, hidden_channels=4, num_classes=2)})


def test_a_size_that_is_no_multiple_is_refused(model: CoarseToFine) -> None:
    with pytest.raises(InputError, match="multiples of 2"):
        model.generate(labels=LABELS, image_size=(3, 4))
