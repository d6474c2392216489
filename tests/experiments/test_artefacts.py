"""Artefacts: found where they are of the settings that are asked for; refused or passed over where they are not."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock, Timeout

from lpvq import VQVAE, InputError, PixelCNN
from lpvq.experiments import artefacts
from lpvq.experiments.artefacts import ArtefactStore
from lpvq.files import checksum
from processes import in_new_process

CPU = torch.device("cpu")
SETTINGS = {"dataset": "smileys", "seed": 0, "data_checksum": "aa", "vqvae_checksum": "bb"}
HISTORY: list[Any] = [{"step": 3, "train_loss": 1.0, "seconds": 2.5, "precision": "bfloat16"}]


@pytest.fixture
def store(tmp_path: Path) -> ArtefactStore:
    return ArtefactStore(tmp_path / "smileys" / "smoke")


@pytest.fixture
def prior() -> PixelCNN:
    return PixelCNN(8, (4, 5), 1, hidden_channels=4)


def find(store: ArtefactStore, **changes: Any) -> Any:
    return store.find(PixelCNN, "prior", {**SETTINGS, **changes}, CPU)


def test_what_is_kept_is_found_again_with_what_is_said_of_it(store: ArtefactStore, prior: PixelCNN) -> None:
    assert find(store) is None and not store.has("prior")
    about = store.keep(prior, "prior", SETTINGS, HISTORY)
    model, found = find(store)
    assert store.has("prior") and checksum(model) == checksum(prior) and not model.training
    assert about == {"settings": SETTINGS, "seconds": 2.5, "precision": "bfloat16", "history": HISTORY}
    assert about.items() <= found.items()
    assert about.items() <= json.loads(store.path("prior.json").read_text()).items()


def test_a_model_without_any_validation_yet_says_no_time_and_no_precision(
    store: ArtefactStore, prior: PixelCNN
) -> None:
    about = store.keep(prior, "prior", SETTINGS, [])
    assert (about["seconds"], about["precision"], about["history"]) == (None, None, [])
    assert find(store) is not None


def test_other_settings_are_refused_by_name_and_checksums_are_not_spelled_out(
    store: ArtefactStore, prior: PixelCNN
) -> None:
    store.keep(prior, "prior", SETTINGS, HISTORY)
    with pytest.raises(InputError, match=r"prior\.pt was made with other settings \(seed was 0, is 1\): delete it"):
        find(store, seed=1)
    with pytest.raises(InputError, match=r"\(dataset was 'smileys', is 'mnist', seed was 0, is 1\)"):
        find(store, dataset="mnist", seed=1)
    with pytest.raises(InputError, match=r"\(seed was 0, is 1\)"):
        find(store, seed=1, data_checksum="cc")
    with pytest.raises(InputError, match=r"\(rate was None, is 3\)"):  # a setting that an older version had not
        find(store, rate=3)


@pytest.mark.parametrize("changed", [["data_checksum"], ["vqvae_checksum"], ["data_checksum", "vqvae_checksum"]])
def test_what_was_made_of_other_data_is_passed_over_without_a_word(
    changed: list[str], store: ArtefactStore, prior: PixelCNN, capsys: pytest.CaptureFixture[str]
) -> None:
    store.keep(prior, "prior", SETTINGS, HISTORY)
    assert find(store, **dict.fromkeys(changed, "cc")) is None
    assert store.has("prior") and capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "prior.json is not valid JSON"),
        ("{", "prior.json is not valid JSON"),
        ("[" * 100_000, "prior.json is not valid JSON"),
        ("\xff", "prior.json is not valid JSON"),
        ("[]", "prior.json does not say how prior.pt was made"),
        ("3", "prior.json does not say how prior.pt was made"),
        ("null", "prior.json does not say how prior.pt was made"),
        ("{}", r"\(settings, history, seconds, precision missing\): delete both files"),
    ],
    ids=range(8),
)
def test_a_damaged_description_is_refused_by_name(
    content: str, message: str, store: ArtefactStore, prior: PixelCNN
) -> None:
    store.keep(prior, "prior", SETTINGS, HISTORY)
    store.path("prior.json").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=message):
        find(store)
    assert store.path("prior.json").read_text(encoding="latin-1") == content


WRONG: dict[str, list[Any]] = {
    "settings": [None, [], "x", 3],
    "seconds": [{}, [], "x"],
    "precision": [{}, [], 3],
    "history": [None, {}, "x", 3],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_a_description_with_a_wrong_part_is_refused_by_its_name(
    key: str, value: Any, store: ArtefactStore, prior: PixelCNN
) -> None:
    store.keep(prior, "prior", SETTINGS, HISTORY)
    about = json.loads(store.path("prior.json").read_text())
    for damaged in ({**about, key: value}, {name: about[name] for name in about if name != key}):
        store.path("prior.json").write_text(json.dumps(damaged))
        with pytest.raises(InputError, match=rf"how prior.pt was made \({key} missing\): delete both files, or choose"):
            find(store)


@pytest.mark.parametrize("damage", ["pt gone", "pt short", "pt a folder", "json a folder", "another kind"])
def test_damaged_weights_are_refused_by_name(damage: str, store: ArtefactStore, prior: PixelCNN) -> None:
    store.keep(prior, "prior", SETTINGS, HISTORY)
    weights, described = store.path("prior.pt"), store.path("prior.json")
    if damage == "pt short":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif damage == "another kind":
        store.keep(VQVAE(3, 8, 4, 8), "prior", SETTINGS, HISTORY)
    else:
        path = described if damage == "json a folder" else weights
        path.unlink()
        if damage.endswith("folder"):
            path.mkdir()
    with pytest.raises(InputError, match=r"prior\.(pt|json)"):
        find(store)


def test_the_checkpoint_of_a_kept_model_is_removed_with_what_a_kill_has_left_of_it(
    store: ArtefactStore, prior: PixelCNN
) -> None:
    store.keep(prior, "prior", SETTINGS, HISTORY)
    for name in ("prior.checkpoint", ".prior.0123456789abcdef", "vqvae.checkpoint", ".vqvae.0123456789abcdef"):
        store.path(name).write_bytes(b"x")
    store.keep(prior, "prior", SETTINGS, HISTORY)
    left = {path.name for path in store.folder.iterdir()}
    assert left == {"prior.pt", "prior.json", "vqvae.checkpoint", ".vqvae.0123456789abcdef"}
    store.path("prior.checkpoint").write_bytes(
        b"x"
    )  # as a process leaves it that is killed right after it has kept one
    assert find(store) is not None and not store.path("prior.checkpoint").exists()


# One process at a time.


def test_what_is_found_is_not_made_and_locks_nothing(store: ArtefactStore) -> None:
    assert store.find_or_make(lambda: 5, lambda: pytest.fail("it is there")) == 5
    assert not store.folder.exists()


def is_held(store: ArtefactStore) -> bool:
    """Whether another process would have to wait."""
    lock = FileLock(store.path(".lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def test_what_is_not_found_is_made_while_no_other_process_does(store: ArtefactStore) -> None:
    looks: list[bool] = []

    def look() -> None:
        looks.append(store.folder.exists() and is_held(store))

    made = store.find_or_make(look, lambda: "held" if is_held(store) else "not held")
    assert made == "held" and looks == [False, True] and not is_held(store)


def test_what_another_process_has_made_meanwhile_is_not_made_again(store: ArtefactStore) -> None:
    found = iter([None, 5])
    assert store.find_or_make(lambda: next(found), lambda: pytest.fail("it is there")) == 5


def test_a_process_that_waits_says_so_once(store: ArtefactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.folder.mkdir(parents=True)
    other = FileLock(store.path(".lock"))
    other.acquire()
    said: list[str] = []

    def note(line: str, **_: object) -> None:
        said.append(line)
        other.release()  # the other one is done

    monkeypatch.setattr(artefacts, "print", note, raising=False)
    with store.alone(), store.alone():  # what is made may need another thing that is made
        pass
    assert said == [f"another process is at work in {store.folder}: waiting for it"]


def test_whatever_is_raised_while_alone_lets_the_others_in(store: ArtefactStore) -> None:
    for error in (InputError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), store.alone(), store.alone():
            assert is_held(store)
            raise error
        assert not is_held(store)


def take_the_lock_and_die(store: ArtefactStore) -> None:
    with store.alone():
        signal.raise_signal(signal.SIGKILL)


def test_a_killed_process_holds_nothing(store: ArtefactStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_new_process(take_the_lock_and_die, store).status == -signal.SIGKILL
    assert store.path(".lock").exists()
    with store.alone():
        assert capsys.readouterr().out == ""
