"""Files of compressed images: exact, whole or refused, and read by whoever has the models or finds them inside."""

import json
import lzma
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from lpvq import VQVAE, InputError, PixelCNN
from lpvq.compression import archive, packed_models, packing
from lpvq.compression.archive import Models, compress, models_for, read_codes, read_images
from lpvq.compression.file_format import Reader, Writer
from lpvq.compression.packed_models import PictureDecoder, pack_models, unpack_models
from lpvq.experiments import compressing
from lpvq.experiments.compressing import decompress_images
from lpvq.models.whole_number_conversion import whole_number_prior
from processes import in_new_process

NAMES = ("happy", "sad", "surprised")
DIGEST = 16


def make_models(seed: int = 0) -> Models:
    torch.manual_seed(seed)
    vqvae = VQVAE(in_channels=3, num_codes=8, code_dim=4, hidden_channels=8, decoder_blocks=1).eval()
    prior = PixelCNN(8, (4, 4), 2, 3, 8, num_classes=3, position=True, num_attentions=1).requires_grad_(False)
    codes = torch.randint(8, (30, 4, 4))
    return Models(whole_number_prior(prior, codes, torch.arange(30) % 3), vqvae, NAMES, "tests")


@pytest.fixture(scope="module")
def models() -> Models:
    return make_models()


@pytest.fixture(scope="module")
def images() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(2)
    pixels = torch.randint(256, (20, 3, 16, 16), generator=random, dtype=torch.uint8)
    return pixels, torch.randint(3, (20,), generator=random)


@pytest.fixture(scope="module", params=[False, True], ids=["without models", "with models"])
def written(
    request: pytest.FixtureRequest, models: Models, images: tuple[Tensor, Tensor], tmp_path_factory
) -> tuple[bytes, bool]:
    path = tmp_path_factory.mktemp("written") / "a.lpvq"
    assert compress(path, [images], NAMES, models, with_model=request.param) == 20
    return path.read_bytes(), request.param


def all_codes(
    path: Path, models: Models | None, batch_size: int = 256, method: str = "cached"
) -> tuple[Tensor, Tensor]:
    reader = Reader(path)
    parts = list(read_codes(reader, models_for(reader, models), batch_size, method))
    codes, classes = zip(*parts, strict=True)
    return torch.cat(codes), torch.cat(classes)


def elsewhere(path: Path) -> tuple[list, list, int]:
    torch.set_num_threads(2)
    codes, classes = all_codes(path, None, 7, "plain")
    return codes.tolist(), classes.tolist(), torch.get_num_threads()


def test_another_process_reads_it_with_another_batch_size_number_of_threads_and_method(
    models: Models, images: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    compress(tmp_path / "a", [images], NAMES, models, with_model=True, batch_size=6)
    codes, classes, threads = in_new_process(elsewhere, tmp_path / "a").result
    assert threads == 2
    assert codes == models.decoder.encode(images[0].float() / 255).tolist()
    assert classes == images[1].tolist()


def test_its_size_is_the_likelihood_of_its_codes(models: Models, tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(2)
    images = torch.randint(256, (600, 3, 16, 16), generator=random, dtype=torch.uint8)
    labels = torch.zeros(600, dtype=torch.int64)
    compress(tmp_path / "a", [(images, labels)], ("happy",), models)
    nats = models.prior.nll(models.decoder.encode(images.float() / 255), labels).sum()
    (block,) = Reader(tmp_path / "a").blocks
    assert 1 <= block.length / (nats.item() / torch.tensor(256.0).log().item()) < 1.005
    assert (tmp_path / "a").stat().st_size - block.length < 80


def test_images_come_back_as_the_decoder_makes_them_of_their_codes(
    written: tuple[bytes, bool], models: Models, images: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(written[0])
    reader = Reader(tmp_path / "a")
    (found,) = list(read_images(reader, models_for(reader, None if written[1] else models)))
    expected = models.decoder.decode(models.decoder.encode(images[0].float() / 255)).mul(255).round()
    assert (found[0] - expected).abs().max() <= written[1]
    assert torch.equal(found[1], images[1])
    header = reader.header
    assert (header.grid, header.channels, header.downsample, header.class_names) == ((4, 4), 3, 4, NAMES)
    assert header.made_by == "tests" and header.labels == (0, 1, 2)


def test_a_class_is_told_to_the_prior_by_its_name(
    models: Models, images: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    compress(tmp_path / "a", [images], ("Sad", "of another kind", "happy"), models)
    assert Reader(tmp_path / "a").header.labels == (1, 0, 0)
    assert torch.equal(all_codes(tmp_path / "a", models)[1], images[1])


def test_grey_and_coloured_images_are_made_alike(models: Models, images: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    grey = images[0][:, :1]
    compress(tmp_path / "grey", [(grey, images[1])], NAMES, models)
    compress(tmp_path / "same", [(grey.expand(-1, 3, -1, -1), images[1])], NAMES, models)
    assert (tmp_path / "grey").read_bytes() == (tmp_path / "same").read_bytes()


def test_images_are_written_as_they_come(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "GROUP", 8)
    monkeypatch.setattr(packing, "GROUP", 8)
    monkeypatch.setattr(archive, "_CODES_IN_BLOCK", 10 * 16)
    happened = []
    write_block = archive.Writer.block
    monkeypatch.setattr(archive.Writer, "block", lambda *given: happened.append("written") or write_block(*given))

    def parts() -> Iterator[tuple[Tensor, Tensor]]:
        random = torch.Generator().manual_seed(2)
        for _ in range(4):
            happened.append("read")
            some = torch.randint(256, (15, 3, 16, 16), generator=random, dtype=torch.uint8)
            yield some, torch.randint(3, (15,), generator=random)

    assert compress(tmp_path / "a", parts(), NAMES, models) == 60
    assert happened == ["read", "written", "read", "written", "written"] * 2
    reader = Reader(tmp_path / "a")
    assert [int(block.counts.sum()) for block in reader.blocks] == [10] * 6
    read = [codes for codes, _ in read_codes(reader, models)]
    expected = [models.decoder.encode(some.float() / 255) for some, _ in parts()]
    assert torch.equal(torch.cat(read), torch.cat(expected))


def attempt(content: bytes, with_models: bool, models: Models, folder: Path) -> str | None:
    """What is said when somebody decompresses such a file; nothing must be left of it then."""
    path = folder / "a.lpvq"
    path.write_bytes(content)
    workspace: Any = None if with_models else SimpleNamespace(is_trained=lambda: True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compressing, "models_of", lambda _: models)
            decompress_images(workspace, path, folder / "out")
    except InputError as error:
        assert [found.name for found in folder.iterdir()] == ["a.lpvq"]
        return str(error)
    for file in sorted((folder / "out").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    (folder / "out").rmdir()
    return None


def damaged(content: bytes) -> Iterator[bytes]:
    """The content with one bit changed, in its first 80 bytes, at 50 places all over it and in its last 20; and cut."""
    size = len(content)
    places = [*range(80), *(number * size // 50 for number in range(50)), *range(size - 20, size)]
    for number, place in enumerate(places):
        yield content[:place] + bytes([content[place] ^ (1 << number % 8)]) + content[place + 1 :]
    for cut in range(50):
        yield content[: cut * size // 50]


def test_a_damaged_file_is_refused_and_nothing_is_left_of_it(
    written: tuple[bytes, bool], models: Models, tmp_path: Path
) -> None:
    said = [attempt(content, written[1], models, tmp_path) for content in damaged(written[0])]
    assert len(said) == 200 and all(message and "a.lpvq" in message for message in said)
    assert sum("get it again" in message for message in said) > 180
    assert "not a file that lpvq compress has written" in said[0]


def test_a_file_that_somebody_has_made_up_is_refused_or_read_but_never_ends_otherwise(
    written: tuple[bytes, bool], models: Models, tmp_path: Path
) -> None:
    said = []
    for content in damaged(written[0][:-DIGEST]):
        sealed = content + blake2b(content, digest_size=DIGEST).digest()
        said.append(attempt(sealed, written[1], models, tmp_path))
    assert len(said) == 200 and sum(message is not None for message in said) > 50


def test_a_newer_file_a_missing_one_and_one_of_other_models_are_named(
    written: tuple[bytes, bool], tmp_path: Path
) -> None:
    path = tmp_path / "a"
    with pytest.raises(InputError, match="a cannot be read: no such file"):
        Reader(path)
    path.write_bytes(written[0][:6] + b"\x02" + written[0][7:])
    with pytest.raises(InputError, match="newer version of lpvq"):
        Reader(path)
    path.write_bytes(written[0])
    reader = Reader(path)
    if not written[1]:
        for other in (None, make_models(seed=1)):
            with pytest.raises(InputError, match=r"compressed by the models of tests \(fingerprint [0-9a-f]{16}\)"):
                models_for(reader, other)


def test_nothing_is_written_of_images_that_the_models_do_not_take(
    models: Models, images: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no images"):
        compress(tmp_path / "a", [], NAMES, models)
    with pytest.raises(InputError, match="8 × 16 pixels, the models take 16 × 16"):
        compress(tmp_path / "a", [(images[0][:, :, :8], images[1])], NAMES, models)
    with pytest.raises(InputError, match="8 × 16 pixels"):
        compress(tmp_path / "a", [images] * 20 + [(images[0][:, :, :8], images[1])], NAMES, models)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("quantizer", [None, {"kind": "fsq", "levels": [3, 3]}])
def test_packed_models_give_the_same_probabilities_and_nearly_the_same_pictures(models: Models, quantizer) -> None:
    size = {"num_codes": 8, "code_dim": 4} if quantizer is None else {"num_codes": 9, "code_dim": 2}
    vqvae = VQVAE(in_channels=1, hidden_channels=8, quantizer=quantizer, **size).eval()
    codes = torch.randint(8, (10, 4, 4))
    assert torch.equal(PictureDecoder.of(vqvae).decode(codes), vqvae.decode(codes))
    prior, decoder = unpack_models(pack_models(models.prior, vqvae, codes))
    labels = torch.arange(10) % 3
    assert torch.equal(prior(codes, labels), models.prior(codes, labels))
    assert 0 < (decoder.decode(codes) - vqvae.decode(codes)).abs().max() <= 0.5 / 255


def described_as(packed: bytes, part: str, **changes: Any) -> bytes:
    """Packed models whose description says something else of a part of them."""
    content = lzma.decompress(packed)
    start = 4 + int.from_bytes(content[:4], "little")
    about = json.loads(content[4:start])
    about[part] |= changes
    text = json.dumps(about).encode()
    filters = packed_models._FILTERS
    made = len(text).to_bytes(4, "little") + text + content[start:]
    return lzma.compress(made, lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=filters)


def attempt_with(header: dict[str, Any], written: bytes, folder: Path) -> str | None:
    """What is said of a file with models inside whose header says something else, its checksum right."""
    (folder / "whole.lpvq").write_bytes(written)
    reader = Reader(folder / "whole.lpvq")
    with (folder / "other.lpvq").open("wb") as file:
        writer = Writer(file, replace(reader.header, **header))
        for block in reader.blocks:
            writer.block(block.counts, reader.content(block))
        writer.finish()
    content = (folder / "other.lpvq").read_bytes()
    for name in ("whole", "other"):
        (folder / f"{name}.lpvq").unlink()
    return attempt(content, True, make_models(), folder)


@pytest.fixture(scope="module")
def with_models(models: Models, images: tuple[Tensor, Tensor], tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("with_models") / "a"
    compress(path, [images], NAMES, models, with_model=True)
    return path.read_bytes()


TABLES: dict[str, Callable[[Any], object]] = {
    "frequencies of nothing": lambda prior: prior.frequency_table.zero_(),
    "frequencies that rise": lambda prior: prior.frequency_table.copy_(prior.frequency_table.flip(0)),
    "frequencies below nothing": lambda prior: prior.frequency_table[-1].fill_(-5),
    "frequencies too large": lambda prior: prior.frequency_table[0].fill_(2**31 - 1),
    "weights of nothing": lambda prior: prior.weight_table.zero_(),
    "weights too large": lambda prior: prior.weight_table[:9].fill_(2**20),
    "a gate too large": lambda prior: prior.gate_table[3].fill_(-(2**30)),
    "epsilon 0": lambda prior: prior.layers[1].attention.epsilon.zero_(),
    "epsilon below 0": lambda prior: prior.layers[1].attention.epsilon.fill_(-1e30),
    "epsilon too large": lambda prior: prior.layers[1].attention.epsilon.fill_(1e30),
    "alike below 0": lambda prior: prior.layers[1].attention.alike.fill_(-128),
    "alike too large": lambda prior: prior.layers[1].attention.alike[2:].fill_(4),
    "nothing too large": lambda prior: prior.layers[1].attention.nothing[0].fill_(1000),
    "score_shift too large": lambda prior: prior.layers[1].attention.score_shift.fill_(127),
}


@pytest.mark.parametrize("what", TABLES)
def test_tables_that_nobody_makes_are_refused(what: str, models: Models, with_models: bytes, tmp_path: Path) -> None:
    prior = deepcopy(models.prior)
    TABLES[what](prior)
    packed = pack_models(prior, models.decoder, torch.zeros(1, 4, 4, dtype=torch.int64))
    said = attempt_with({"models": packed}, with_models, tmp_path)
    assert said and "a.lpvq is damaged (its models cannot be read: " in said
    assert "table of this model is not valid" in said or "out of range" in said


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("prior", {"image_size": [4, -4]}),
        ("prior", {"image_size": "44"}),
        ("prior", {"image_size": [4]}),
        ("prior", {"image_size": [129, 128]}),
        ("prior", {"num_blocks": 10**6}),
        ("prior", {"num_attentions": 3}),
        ("prior", {"kernel_size": 4}),
        ("prior", {"position": 1}),
        ("prior", {"hidden_channels": 2**19}),
        ("prior", {"latent_dim": 9}),
        ("decoder", {"decoder_blocks": 10**6}),
        ("decoder", {"downsample": 5}),
        ("decoder", {"in_channels": 2}),
        ("decoder", {"num_codes": True}),
        ("decoder", {"\x1b[31m": 1}),
    ],
)
def test_sizes_that_no_model_has_are_refused(
    part: str, changes: dict[str, Any], models: Models, with_models: bytes, tmp_path: Path
) -> None:
    packed = pack_models(models.prior, models.decoder, torch.zeros(1, 4, 4, dtype=torch.int64))
    said = attempt_with({"models": described_as(packed, part, **changes)}, with_models, tmp_path)
    assert said and "a.lpvq is damaged (its models cannot be read: " in said and said.isprintable()


@pytest.mark.parametrize("side", [64, 128, 2**16 - 1])
def test_a_prior_that_tells_no_places_has_no_larger_grids_for_it(
    side: int, models: Models, with_models: bytes, tmp_path: Path
) -> None:
    prior = PixelCNN(8, (4, 4), 2, 3, 8, num_classes=3).requires_grad_(False)
    whole = whole_number_prior(prior, torch.zeros(3, 4, 4, dtype=torch.int64), torch.arange(3))
    packed = pack_models(whole, models.decoder, torch.zeros(1, 4, 4, dtype=torch.int64))
    packed = described_as(packed, "prior", image_size=[side, side])
    header = {"models": packed, "grid": (side, side)}
    said = attempt_with(header, with_models, tmp_path)
    assert said and ("codes are too large" in said) == (side > 128)


def test_too_large_models_are_not_put_into_a_file(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_models, "_LARGEST_CACHE", 1000)
    with pytest.raises(InputError, match="too much memory"):
        pack_models(models.prior, models.decoder, torch.zeros(1, 4, 4, dtype=torch.int64))


def test_names_that_somebody_has_made_up_reach_no_terminal_as_they_are(
    written: tuple[bytes, bool], models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lpvq.compression.file_format.on_one_line", lambda name: name)  # as a writer could
    (tmp_path / "a").write_bytes(written[0])
    header = Reader(tmp_path / "a").header
    with (tmp_path / "b").open("wb") as file:
        Writer(file, replace(header, made_by="\x1b]0;x\x07", class_names=("\x1b[2J", "b", "c"))).finish()
    monkeypatch.undo()
    found = Reader(tmp_path / "b").header
    assert found.made_by == "]0;x" and found.class_names == ("[2J", "b", "c")


def test_a_version_that_never_was_and_a_bare_signature_are_damaged(tmp_path: Path) -> None:
    for content in (b"\x89LPVQ\n", b"\x89LPVQ\n\x00" + bytes(100)):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(InputError, match="is damaged"):
            Reader(tmp_path / "a")
