"""What holds for a class: who is in it, a deadline, what being late costs, and what is to be graded anew."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lpvq.classroom.assignments import Assignment
from lpvq.classroom.grades import Grade
from lpvq.classroom.roster import Listed

_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Rules:
    """What holds for a class.

    Attributes:
        deadline: of what is graded; None for none.
        per_day: the share of the points that each begun day after it costs.
        longest: how many days late are accepted; after that nothing counts. None for any number.
        roster: who is in the class; empty where there is no list.
        own_work: students whose work counts although it has the id of another in the class.
        question: the one test that is graded anew, all other points staying as they were; None for all.
    """

    deadline: datetime | None = None
    per_day: float = 0.0
    longest: int | None = None
    roster: tuple[Listed, ...] = ()
    own_work: tuple[str, ...] = ()
    question: str | None = None

    def apply(self, assignment: Assignment, grades: Sequence[Grade]) -> None:
        """Say for each grade how late it is, by the time at which its file was written, and what that costs."""
        for grade in grades:
            grade.days_late, grade.factor = 0, 1.0
            if self.deadline is None or not grade.points:
                continue
            if not grade.time:
                grade.remarks.append("when it was written is not known: look whether it is late")
                continue
            grade.days_late = max(0, math.ceil((grade.time - self.deadline.timestamp()) / _DAY))
            if grade.days_late:
                is_too_late = self.longest is not None and grade.days_late > self.longest
                grade.factor = 0.0 if is_too_late else max(0.0, 1 - self.per_day * grade.days_late)
                days = "1 day" if grade.days_late == 1 else f"{grade.days_late} days"
                grade.remarks.append(f"{days} late: counts {grade.factor:.0%}")
