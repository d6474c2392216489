"""Which answers are like each other: code by what it does, whatever its names and comments are; prose by its words.

It finds copies, and names them to somebody who reads both. It is no proof: short answers come out alike by themselves,
so only long ones count, and of those only what few in the class have in common.
"""

import io
import keyword
import tokenize
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nbformat import NotebookNode
from rapidfuzz import process
from rapidfuzz.distance import Indel

from lpvq.classroom.assignments import Assignment, about

_LONG_CODE = 25  # tokens; from this many on, an answer is the student's own
_LONG_TEXT = 15  # words
_ALIKE = 0.93  # where 1 means the same
_COMMON = 0.2  # of the class; what more have in common is what the text or the hint says


@dataclass(frozen=True)
class Pair:
    """Two students whose answers are alike.

    Attributes:
        students: both, in order.
        questions: those whose answers are alike and not what many in the class wrote.
        of: how many answers both gave that are long enough to be compared.
    """

    students: tuple[str, str]
    questions: tuple[str, ...]
    of: int


def answers_of(assignment: Assignment, executed: NotebookNode) -> dict[str, str]:
    """Return the answers that can be compared, as texts in which names, comments and layout make no difference."""
    stubs = {about(cell)["grade_id"]: cell.source for cell in assignment.release.cells if about(cell).get("solution")}
    found = {}
    for cell in executed.cells:
        name = about(cell).get("grade_id", "")
        if name not in stubs or cell.source.strip() == stubs[name].strip():
            continue
        if cell.cell_type == "code":
            made = _skeleton(cell.source)
            is_long = len(made) - len(_skeleton(stubs[name])) >= _LONG_CODE
        else:
            made = " ".join(cell.source.casefold().split())
            is_long = len(made.split()) >= _LONG_TEXT
        if is_long:
            found[name] = made
    return found


def similar(answers: Mapping[str, Mapping[str, str]]) -> list[Pair]:
    """Return the pairs of students whose answers are alike, the most alike first.

    Args:
        answers: of each student, what ``answers_of`` gives.

    Returns:
        pairs alike in at least two of the answers that both gave, or in the only one; and in a third of them or more.
    """
    students = sorted(answers)
    shared: dict[tuple[str, str], list[str]] = {}
    for question in sorted({name for given in answers.values() for name in given}):
        those = [student for student in students if question in answers[student]]
        texts = [answers[student][question] for student in those]
        common = Counter(texts)
        often = max(5, _COMMON * len(those))
        scores = process.cdist(texts, texts, scorer=Indel.normalized_similarity, score_cutoff=_ALIKE, dtype=float)
        for first, second in zip(*(scores >= _ALIKE).nonzero(), strict=True):
            if first < second and max(common[texts[first]], common[texts[second]]) <= often:
                shared.setdefault((those[first], those[second]), []).append(question)
    pairs = []
    for both, questions in shared.items():
        of = len(set(answers[both[0]]) & set(answers[both[1]]))
        if len(questions) >= min(2, of) and len(questions) >= of / 3:
            pairs.append(Pair(both, tuple(questions), of))
    return sorted(pairs, key=lambda pair: (-len(pair.questions) / pair.of, -len(pair.questions), pair.students))


def beside(pairs: Sequence[Pair]) -> dict[str, str]:
    """Return for each student in a pair, in words, whose answers are alike."""
    said: dict[str, list[str]] = {}
    for pair in pairs:
        for student, other in (pair.students, pair.students[::-1]):
            said.setdefault(student, []).append(f"{other} ({len(pair.questions)} of {pair.of} answers)")
    return {student: ", ".join(others[:5]) for student, others in said.items()}


def _skeleton(source: str) -> str:
    """Code as one letter a token: names by the order in which they come, no comments, no layout, no texts."""
    letters: list[str] = []
    names: dict[str, str] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                letters.append(names.setdefault(token.string, chr(0xE000 + len(names))))
            elif token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER):
                letters.append(chr(0x4E00 + sum(map(ord, token.string)) * 31 % 0x5000))
            elif token.type == tokenize.STRING:
                letters.append("s")
    except (tokenize.TokenError, SyntaxError):  # what cannot be run can still be copied
        return "".join(source.split())
    return "".join(letters)
