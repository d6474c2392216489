"""Exercises of 10_your_own_images."""

from collections.abc import Mapping
from functools import cache
from math import log2
from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import (
    Checker,
    Complaint,
    as_number,
    as_numbers,
    as_tensor,
    call,
    checker,
    compare_number,
    same,
)
from lpvq.data.loading import load
from lpvq.models.pretrained import load_pretrained

_PATIENTS = {"A": 6, "B": 4, "C": 1, "D": 5, "E": 2}
_LOOK = {
    "A": "compare what is measured of codes and prior with what is measured of the drawn faces",
    "B": "one of the lines about the codes is at its end",
    "C": "which of its lines is not as it should be?",
    "D": "go down the sheet: which line is the first that differs between training and unseen pictures?",
    "E": "a label harms, but are drawn faces of the right class?",
}
_CLASSES, _SHUFFLED = 3, 0.5
_FACES, _SIDE = 100, 32


@checker
def _diagnoses(answer: Any) -> str | None:
    if not isinstance(answer, Mapping):
        answer = dict(zip(_PATIENTS, _listed(answer), strict=True))
    if set(answer) != set(_PATIENTS):
        return f"expected a dictionary with a number for each of {', '.join(_PATIENTS)}"
    given = {name: as_number(answer[name]) for name in _PATIENTS}
    if strange := [number for number in given.values() if number not in range(1, 8)]:
        return f"{strange[0]:g} is not a number from the list"
    if len(set(given.values())) < len(given):
        return "every patient has something different, and here two have the same"
    wrong = [name for name, number in given.items() if number != _PATIENTS[name]]
    return f"{wrong[0]}: {_LOOK[wrong[0]]}" if wrong else None


def _listed(answer: Any) -> list[float]:
    """The numbers of an answer that is a list of them, or an array or tensor."""
    expected = "a dictionary from each letter to a number"
    values = as_tensor(answer, expected).double().flatten().tolist()
    if len(values) != len(_PATIENTS):
        raise Complaint(f"expected {expected}, got {len(values)} of {len(_PATIENTS)} numbers")
    return values


@checker
def _half_shuffled(answer: Any) -> str | None:
    share, bits = as_numbers(answer, "share of the right class", "bits a label saves")
    by_chance = _SHUFFLED / _CLASSES
    right = 1 - _SHUFFLED + by_chance
    class_bits, open_bits = log2(_CLASSES), _entropy(right, by_chance, by_chance)
    saved = class_bits - open_bits
    if abs(share - saved) <= _ROUND and abs(bits - right) <= _ROUND:
        return "the order is: the share first, then the bits"
    slips = {
        "a label that is drawn anew may be right by chance": 1 - _SHUFFLED,
        "that is the share of the wrong class": 1 - right,
        "there are three classes, not two": 1 - _SHUFFLED / 2,
        "that would be so if every label were drawn anew": 1 / _CLASSES,
        "that is how often a label that is drawn anew is right by chance; most of the others are kept": by_chance,
        "this is in per cent; the question asks for a share": 100 * right,
        "of the labels that are drawn anew a third is right, not two thirds": 1 - _SHUFFLED / _CLASSES,
    }
    if complaint := compare_number(share, right, _ROUND, slips):
        return f"share: {complaint}"
    slips = {
        "that is what a label saves when all of them are right": class_bits,
        "labels of which half are right do not save half: nobody knows which half": class_bits / 2,
        "that is the share of the right ones, times what a right label saves; nobody knows which are right": (
            right * class_bits
        ),
        "that is the entropy that is left once the label is known; how much less is it than without?": open_bits,
        "these are nats": saved / log2(2.718281828),
        "the class is not the one that is named or one other: there are two others": class_bits
        - _entropy(right, 2 * by_chance),
        "without the label, three classes are open, not two": 1 - _entropy(right, 2 * by_chance),
        "the sign is wrong": -saved,
        "that is the number per code; the question asks for bits per picture": saved / 64,
    }
    complaint = compare_number(bits, saved, _ROUND, slips)
    return f"bits: {complaint}" if complaint else None


_ROUND = 0.004  # answers are rounded to two digits


def _entropy(*shares: float) -> float:
    return -sum(share * log2(share) for share in shares)


@cache
def _cost(by: int, how: str = "right") -> float:
    """What the grids of faces cost on average, in nats, when they were moved by some pixels."""
    if by == 0 and how != "right":
        return _cost(0)
    vqvae, prior = load_pretrained("smileys")
    faces = load("smileys", "test", limit=_FACES)
    images, places = faces.floats(), torch.arange(_SIDE)
    moved = {
        "right": lambda: images[..., (places - by).clamp(min=0)],
        "left": lambda: images[..., (places + by).clamp(max=_SIDE - 1)],
        "down": lambda: images[:, :, (places - by).clamp(min=0)],
        "round": lambda: images.roll(by, -1),
    }[how]()
    with torch.no_grad():
        return prior.nll(vqvae.encode(moved), faces.labels).mean().item()


@checker
def _moved(answer: Any) -> str | None:
    given = as_numbers(answer, "as they are", "moved by 1", "moved by 2")
    right = [_cost(by) for by in range(3)]
    if _all_near(given, right):
        return None
    if _all_near(given, [right[0], right[2], right[1]]):
        return "the last two are exchanged: 1 pixel comes before 2"
    if _all_near(given, right[::-1]):
        return "the order is the other way round: as they are comes first"
    for what, factor in (
        ("these are bits", 1 / 0.6931472),
        ("these are nats per code; the question is for the whole grid", 1 / 64),
        ("these are bits per code; the question is for the whole grid, in nats", 1 / 0.6931472 / 64),
        ("these are sums over the faces; take their means", _FACES),
        ("the sign is wrong", -1.0),
    ):
        if _all_near(given, [factor * cost for cost in right]):
            return what
    for what, how in (
        ("the faces were moved to the left", "left"),
        ("the faces were moved up or down; the columns come last", "down"),
        ("what leaves at the right comes in again at the left; let the first column go on there", "round"),
    ):
        if _all_near(given, [_cost(by, how) for by in range(3)]):
            return what
    if _all_near(given, [_cost(4 * by) for by in range(3)]):
        return "the faces were moved by whole codes, of four pixels; the question asks for pixels"
    if _all_near(given, [right[0], right[1] - right[0], right[2] - right[0]]):
        return "these are the differences; the question asks what each costs"
    if _all_near(given, [right[0]] * 3):
        return "nothing was moved"
    for what, mine, cost in zip(("as they are", "moved by 1", "moved by 2"), given, right, strict=True):
        if complaint := compare_number(mine, cost, _within(cost)):
            return f"{what}: {complaint}"
    return None


def _within(cost: float) -> float:
    return 0.01 * abs(cost)


def _all_near(given: list[float], expected: list[float]) -> bool:
    return all(abs(mine - cost) <= _within(cost) for mine, cost in zip(given, expected, strict=True))


@checker
def _twins(answer: Any) -> str | None:
    for channels, height, width in ((3, 4, 5), (1, 6, 3)):
        unseen, learned, right = _pictures(channels, height, width)
        found = as_tensor(call(answer, unseen.clone(), learned.clone()), "True or False for each unseen picture")
        if same(found, right, 0):
            continue
        complaint = _slip_of_twins(found, right, unseen, learned)
        return f"with unseen pictures {tuple(unseen.shape)} and {len(learned)} others: {complaint}"
    return None


def _pictures(channels: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Unseen pictures, pictures learned from, and which of the unseen are among the others, bool (9,)."""
    generator = torch.Generator().manual_seed(channels)
    learned = torch.randint(256, (12, channels, height, width), generator=generator).byte()
    unseen = torch.randint(256, (9, channels, height, width), generator=generator).byte()
    unseen[0] = learned[5]
    unseen[1] = learned[11]
    unseen[2] = learned[5]  # a second copy
    unseen[3] = learned[3]
    unseen[3, -1, -1, -1] += 1  # all but one pixel, and that by one level
    unseen[4] = unseen[8]  # twins among the unseen
    unseen[5] = learned[7].flip(-1)  # mirrored: the same pixels in another order
    unseen[6, 0] = learned[6, 0] if channels > 1 else unseen[6, 0]  # one channel alone
    unseen[7] = learned[7]  # at the same place
    return unseen, learned, torch.tensor([True, True, True, False, False, False, False, True, False])


def _slip_of_twins(found: Tensor, right: Tensor, unseen: Tensor, learned: Tensor) -> str:
    equal = (unseen[:, None] == learned[None]).flatten(2)  # (N, M, C · H · W)
    sums = unseen.flatten(1).long().sum(1)[:, None] == learned.flatten(1).long().sum(1)
    near = (unseen[:, None].int() - learned[None].int()).abs().flatten(2).amax(2) <= 1
    among_unseen = (unseen[:, None] == unseen[None]).flatten(2).all(2).sum(1) > 1
    slips: tuple[tuple[str, Tensor], ...] = (
        ("this is how many there are; the question asks for True or False for each unseen picture", right.sum()),
        ("this is their share; the question asks for True or False for each unseen picture", right.double().mean()),
        (
            "these are the numbers of the twins; the question asks for True or False for each unseen picture",
            right.nonzero(),
        ),
        (
            "these are the numbers of the twins; the question asks for True or False for each unseen picture",
            right.nonzero()[:, 0],
        ),
        ("this says which have no twin; the question asks for the opposite", ~right),
        ("this says which of those learned from have a twin", equal.all(2).any(0)),
        ("this is a table of all pairs; is there any, for each unseen one?", equal.all(2)),
        ("this counts for each unseen picture; the question asks for True or False", equal.all(2).sum(1)),
        ("not all of them have a twin, and one equal pixel does not make one", equal.any(2).any(1)),
        ("the same pixels in another order are no twin: equal sums are not enough", sums.any(1)),
        ("a picture that differs in one pixel is no twin", near.any(1)),
        ("these are twins among the unseen; the question asks for twins in the other set", among_unseen),
        ("twins among the unseen do not count", equal.all(2).any(1) | among_unseen),
        ("one equal channel is no twin", _channel(equal, unseen).all(3).any(2).any(1)),
        ("a twin may stand anywhere in the other set", equal.all(2).diagonal()),
        ("this is the nearest of the others; is it the same?", equal.sum(2).argmax(1)),
    )
    for why, wrong in slips:
        if same(found, wrong, 1e-6):
            return why
    if found.shape != right.shape:
        return f"expected the shape {tuple(right.shape)}, got {tuple(found.shape)}"
    if ((found != 0) & (found != 1)).any():
        return "expected True or False for each unseen picture, got other numbers"
    missed, invented = ((found == 0) & right).sum(), ((found == 1) & ~right).sum()
    return f"{missed} twins are missed, and {invented} pictures are called twins that are not"


def _channel(equal: Tensor, pictures: Tensor) -> Tensor:
    """(N, M, C · H · W) to (N, M, C, H · W)."""
    return equal.unflatten(2, (pictures.shape[1], -1))


CHECKERS: dict[str, Checker] = {"10.1": _diagnoses, "10.2": _half_shuffled, "10.3": _moved, "10.4": _twins}
