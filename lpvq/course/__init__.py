"""What the notebooks share: how each begins, the checks of its exercises, and the tests of assignments."""

from lpvq.course.checking import check
from lpvq.course.definitions import definitions
from lpvq.course.own_models import find, keep, note
from lpvq.course.processes import Processes
from lpvq.course.questions import NotYetError, agree, question, random_for
from lpvq.course.setup import begin, describe_setup
from lpvq.course.watching import Watch, watch_prior, watch_vqvae

__all__ = [
    "NotYetError",
    "Processes",
    "Watch",
    "agree",
    "begin",
    "check",
    "definitions",
    "describe_setup",
    "find",
    "keep",
    "note",
    "question",
    "random_for",
    "watch_prior",
    "watch_vqvae",
]
