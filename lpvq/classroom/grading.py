"""Grade a folder of submissions, offline: each is put right, run in a sandbox, and scored as nbgrader would.

    handed in ──restore──▶ notebook as it should be ──sandbox.run──▶ executed ──points──▶ tables and pages

It runs students' code; ``lpvq.classroom.sandbox`` says what holds it back, and what does not. Whatever goes wrong
with one submission becomes that student's remark, and everybody else's grade is as it would be.
"""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import nbformat
from nbformat import NotebookNode, v4

from lpvq.classroom import (
    by_hand,
    class_page,
    feedback,
    grades,
    hand_page,
    handed_in,
    platforms,
    results,
    roster,
    similarity,
    watching,
)
from lpvq.classroom.assignments import Assignment, about, class_of
from lpvq.classroom.grades import Grade
from lpvq.classroom.handed_in import HandedIn, Submission
from lpvq.classroom.limits import Limits
from lpvq.classroom.names import is_within
from lpvq.classroom.reading import UnreadableError, cells_of
from lpvq.classroom.restoring import named_in, restore
from lpvq.classroom.rules import Rules
from lpvq.classroom.sandbox import CalledOffError, Run, run
from lpvq.classroom.scoring import points_of
from lpvq.runtime import progress

_MEDDLES = ("question", "get_ipython", "random_for", "agree", "NotYetError")


@dataclass
class Graded:
    """What grading a folder has given.

    Attributes:
        grades: of each assignment that was handed in, by name; a line for every student. Notebooks that belong to no
            assignment are under "".
        students: all that was found, by student.
        warnings: what concerns no single student.
    """

    grades: dict[str, list[Grade]] = field(default_factory=dict)
    students: list[HandedIn] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def grade(
    folder: str | Path,
    assignments: Sequence[Assignment],
    output: str | Path,
    limits: Limits,
    jobs: int,
    is_confined: bool = False,
    rules: Rules | None = None,
) -> Graded:
    """Grade all submissions below a folder, and write tables and pages.

    Each assignment gets a folder below ``output``; ``lpvq.classroom.results`` says what is in it. What was graded
    before is not run again unless it has changed; what stands in ``by_hand.csv`` is added up anew each time.

    Args:
        folder: see ``handed_in.find``.
        assignments: what they may be answers to.
        output: where the results go.
        limits: of each submission.
        jobs: how many are run at a time.
        is_confined: lock each in; that has to be possible, see ``lpvq.classroom.confinement``.
        rules: deadlines, a roster, and what else concerns the class.
    """
    output, rules = Path(output), rules or Rules()
    graded = Graded(students=handed_in.find(folder, assignments))
    work = _Work(output, limits, is_confined, rules)
    submissions = [one for student in graded.students for one in student.submissions.values()]
    found, doubtful = work.run_all(submissions, jobs)
    for submission in progress(doubtful, "once more, alone") if doubtful else ():
        found[submission.student, _name(submission)] = work.grade_again(submission)
    for (_, name), one in found.items():
        graded.grades.setdefault(name, []).append(one)
    for student in graded.students:
        for other in student.others:
            remark = f"{other.item.name} belongs to no assignment, or cannot be read"
            graded.grades.setdefault("", []).append(Grade(student.student, {}, [remark], file=other.name))
    for assignment in assignments:
        if assignment.name in graded.grades:
            given = graded.grades[assignment.name]
            given += _missing(graded.students, {one.student for one in given})
            _finish(assignment, given, graded, output / assignment.name, rules)
    results.write_students(output, graded.students, graded.grades)
    return graded


def _name(submission: Submission) -> str:
    return submission.assignment.name if submission.assignment else ""


@dataclass
class _Work:
    """Runs submissions, and keeps what came of them."""

    output: Path
    limits: Limits
    is_confined: bool
    rules: Rules
    cancelled: Event = field(default_factory=Event)

    def run_all(
        self, submissions: Sequence[Submission], jobs: int
    ) -> tuple[dict[tuple[str, str], Grade], list[Submission]]:
        """Grade all of them; return the grades, and which have to be run again because of what ran alongside."""
        found: dict[tuple[str, str], Grade] = {}
        doubtful = []
        with ThreadPoolExecutor(jobs) as pool:  # a thread waits for a process, which does the work
            waiting = {pool.submit(self.grade_or_find, submission): submission for submission in submissions}
            try:
                for done in progress(as_completed(waiting), "grading", total=len(waiting)):
                    submission = waiting[done]
                    one, is_doubtful = done.result()
                    found[submission.student, _name(submission)] = one
                    if is_doubtful:
                        doubtful.append(submission)
            except BaseException:
                self.cancelled.set()
                pool.shutdown(cancel_futures=True)
                raise
        return found, doubtful

    def grade_or_find(self, submission: Submission) -> tuple[Grade, bool]:
        """Grade a submission, unless that was done before; return also whether to do it once more, alone."""
        return self._guarded(submission, is_alone=False)

    def grade_again(self, submission: Submission) -> Grade:
        """Grade a submission while nothing else runs; what is still lost then is no grade."""
        return self._guarded(submission, is_alone=True)[0]

    def _guarded(self, submission: Submission, is_alone: bool) -> tuple[Grade, bool]:
        try:
            return self._grade(submission, is_alone)
        except CalledOffError:
            raise
        except Exception as error:  # whatever it holds, it is this student's trouble alone
            remark = f"could not be graded ({type(error).__name__}: {str(error)[:200]})"
            return Grade(submission.student, {}, [*submission.remarks, remark], file=submission.name), not is_alone

    def _grade(self, submission: Submission, is_alone: bool) -> tuple[Grade, bool]:
        assignment = submission.assignment
        if assignment is None:
            remark = f"{submission.item.name} belongs to no assignment, or cannot be read"
            return Grade(submission.student, {}, [remark], file=submission.name), False
        folder, content = self.output / assignment.name, submission.item.read()
        identity = self._identity(assignment, content, submission)
        before = grades.find(folder, submission.student, identity)
        if before is not None:
            return _described(before, submission), False
        if self.rules.question is not None:
            before = grades.find(folder, submission.student, None)
        one, executed, ran = self._anew(submission, assignment, content)
        is_still_doubtful = ran is not None and (ran.is_lost or (ran.is_doubtful and watching.is_machine_busy()))
        if is_alone:
            later = ": the machine was busy, so run the command again later" if is_still_doubtful else ""
            one.remarks.append(f"was run a second time, alone{later}")
        if ran is not None and ran.is_doubtful and not is_alone:
            return one, True
        if is_still_doubtful and ran is not None and ran.stopped:  # what was not reached might have been right
            said = [f"no grade: {ran.stopped}", *one.remarks[1:]]
            return _described(Grade(submission.student, {}, said), submission), False
        if before is not None and before.identity and self.rules.question is not None:
            _keep_all_but(self.rules.question, one, before)
        if not is_still_doubtful:
            one.identity = identity
        if not is_still_doubtful or before is None:  # a doubtful one, for its page: without identity it runs again
            grades.keep(folder, one, executed)
        return _described(one, submission), False

    def _identity(self, assignment: Assignment, content: bytes, submission: Submission) -> str:
        parts = (content, nbformat.writes(assignment.source).encode(), repr(self.limits).encode())
        return hashlib.sha256(b"\0".join((*parts, submission.student.encode("utf-8", "replace")))).hexdigest()

    def _anew(
        self, submission: Submission, assignment: Assignment, content: bytes
    ) -> tuple[Grade, NotebookNode, Run | None]:
        of = {question.name: question.points for question in assignment.questions}
        try:
            cells = cells_of(content)
        except UnreadableError as error:
            nothing: dict[str, float | None] = {question.name: 0.0 for question in assignment.questions}
            return Grade(submission.student, nothing, [str(error)], of=of), v4.new_notebook(), None
        ours, theirs = class_of(assignment.release.cells), class_of(cells)
        if theirs and theirs != ours:
            said = f"no grade: handed out to the class {theirs!r}, whose numbers these are: grade with --class"
            return Grade(submission.student, {}, [said]), v4.new_notebook(), None
        notebook, remarks = restore(assignment, cells, submission.student)
        remarks = [*_on_identity(submission.student, notebook), *remarks]
        notes = _on_meddling(notebook)
        made = run(notebook, self.limits, self.cancelled, self.is_confined)
        if made.is_lost:
            return Grade(submission.student, {}, [f"no grade: {made.stopped}", *remarks]), made.notebook, made
        if made.stopped:
            remarks.insert(0, f"{made.stopped}; what comes after brings no points")
        if feedback.shows_hidden(made.notebook, feedback.hidden_lines(assignment)):
            remarks.append("an output showed hidden tests: taken out of the feedback")
        points, messages = points_of(assignment, made.notebook)
        one = Grade(submission.student, points, remarks, messages, of=of, notes=notes)
        one.answers = by_hand.answers_of(assignment, made.notebook)
        return one, made.notebook, made


def _keep_all_but(question: str, one: Grade, before: Grade) -> None:
    """Put all points and messages back as they were before, except for one question."""
    for name in before.points:
        if name != question and name in one.points:
            one.points[name] = before.points[name]
            one.messages.pop(name, None)
            if name in before.messages:
                one.messages[name] = before.messages[name]
    if one.points.get(question) != before.points.get(question):
        old, new = (0 if points is None else points for points in (before.points.get(question), one.points[question]))
        one.remarks.append(f"{question} was graded anew: {old:g} became {new:g}")


def _described(one: Grade, submission: Submission) -> Grade:
    """A grade with what is known of the file, which may change without its content."""
    one.file, one.time = submission.name, submission.item.time
    late = ["the platform calls it late"] if submission.is_called_late else []
    one.remarks = list(dict.fromkeys([*submission.remarks, *late, *one.remarks]))
    return one


def _missing(students: Sequence[HandedIn], have: set[str]) -> list[Grade]:
    """A line for each student without a submission of an assignment, with what was found instead."""
    lines = []
    for student in students:
        if student.student not in have:
            found = [*student.not_taken, *(f"{other.name}: of no assignment" for other in student.others)]
            said = f"nothing that can be graded: {', '.join(found[:8])}" if found else "nothing handed in"
            lines.append(Grade(student.student, {}, [said]))
    return lines


def _on_identity(student: str, notebook: NotebookNode) -> list[str]:
    """Whether the numbers drawn are those of the student who handed it in."""
    named = named_in(notebook)
    if named is None or is_within(named, student):
        return []
    return [f"calls itself {named!r}, not {student!r}: its own numbers are those of that name"]


def _other_named(student: str, notebook: NotebookNode, given: Sequence[Grade]) -> str | None:
    """Somebody else in the class whose id a notebook has; None where it has nobody's but the student's own."""
    named = named_in(notebook)
    if named is None or is_within(named, student):
        return None
    return next((one.student for one in given if is_within(named, one.student)), None)


def _on_meddling(notebook: NotebookNode) -> list[str]:
    """Whether a cell that is not of the assignment gives a new meaning to what tests are made of."""
    found = set()
    for cell in notebook.cells:
        if cell.cell_type == "code" and (not about(cell) or about(cell).get("solution")):
            lines = [line.strip() for line in cell.source.splitlines()]
            for word in _MEDDLES:
                starts = (f"{word} =", f"{word}=", f"def {word}(", f"class {word}(", f"class {word}:")
                if any(line.startswith(starts) for line in lines):
                    found.add(word)
            text = cell.source
            found |= {
                word for word in ("input_transformers", "ast_transformers", "lpvq.course.questions") if word in text
            }
            if "get_ipython()" in text:
                found.add("get_ipython")
    return [f"a cell touches what tests are made of ({', '.join(sorted(found))}): read it"] if found else []


def _finish(assignment: Assignment, given: list[Grade], graded: Graded, folder: Path, rules: Rules) -> None:
    """Add what a person gave, and write an assignment's tables and pages."""
    given.sort(key=lambda one: one.student)
    rules.apply(assignment, given)
    read = by_hand.read(folder / by_hand.FILE, assignment, given)
    graded.warnings += [f"{assignment.name}: {warning}" for warning in read.warnings]
    executed = {}
    for one in given:
        executed[one.student] = grades.executed_of(folder, one.student) if one.points else v4.new_notebook()
        other = _other_named(one.student, executed[one.student], given)
        one.is_held_back = other is not None and one.student not in rules.own_work
        if other is not None:
            asked = f": whose work is it? No total until you say: --own-work {shlex.quote(one.student)}"
            one.notes.insert(0, f"has the id of {other}, who is in this class too{asked * one.is_held_back}")
        mine = {name: read.points.get((one.student, name), (None, "")) for name in one.points}
        mine = {name: given for name, given in mine.items() if given != (None, "")}
        one.by_hand = mine
        try:
            feedback.write(results.page_of(folder, one.student), assignment, one, executed[one.student])
        except Exception as error:
            one.remarks.append(f"no feedback page ({type(error).__name__}: {str(error)[:200]})")
    by_hand.write(folder / by_hand.FILE, assignment, given, read)
    compared = {name: similarity.answers_of(assignment, notebook) for name, notebook in executed.items()}
    pairs = similarity.similar(compared)
    results.write(folder, assignment, given, pairs)
    numbers = {student.student: student.number for student in graded.students if student.number}
    listed = roster.match(rules.roster, [(one.student, numbers.get(one.student)) for one in given])
    absent = [one.name or one.id for one in rules.roster if one not in listed.values()]
    strangers = [one.student for one in given if one.student not in listed] if rules.roster else []
    if absent:
        graded.warnings.append(f"{assignment.name}: {len(absent)} of the list handed in nothing: {', '.join(absent)}")
    if strangers:
        graded.warnings.append(f"{assignment.name}: not on the list: {', '.join(strangers)}")
    platforms.write(folder, assignment, given, numbers, listed)
    try:
        hand_page.write(folder / "by_hand.html", assignment, given, executed)
        class_page.write(folder / "class.html", assignment, given, pairs, _as_written(executed), absent)
    except Exception as error:
        graded.warnings.append(f"{assignment.name}: a page is missing ({type(error).__name__}: {str(error)[:200]})")


def _as_written(executed: Mapping[str, NotebookNode]) -> dict[str, dict[str, str]]:
    """The text of each cell of an assignment, by student."""
    return {
        student: {about(cell)["grade_id"]: cell.source for cell in notebook.cells if about(cell)}
        for student, notebook in executed.items()
    }
