"""What of the subject is used, and on which releases all of that works."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from matrix.answers.results import NoSuchError, Results, ResultsError
from matrix.rows import NO, UNKNOWN, YES, works

GRADED = {"works": YES, "fails": NO, "unknown": UNKNOWN}


@dataclass(frozen=True, slots=True)
class Uses:
    """The functions and tests that a question is about, and what of them is judged nowhere and so left out."""

    functions: tuple[str, ...]
    tests: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a release works for all uses (``yes``, ``no`` or ``unknown``), and what speaks against it."""

    works: str
    against: tuple[str, ...]


def select(results: Results, functions: Sequence[str] = (), tests: Sequence[str] = (), *, inner: bool = False) -> Uses:
    """Return what is used: the functions and tests that match the patterns, or everything that was called from outside.

    What is unknown on the recorded release itself cannot be judged anywhere, and is left out. ``inner`` adds, where no
    pattern is given, the functions that are called only from inside the subject.

    Raises:
        NoSuchError: a pattern matches nothing.
        ResultsError: nothing is left to judge.
    """
    if functions or tests:
        called = [name for pattern in functions for name in _matching(results.cells, pattern, "function")]
        tested = [name for pattern in tests for name in _matching(results.tests, pattern, "test")]
    else:
        called = [name for name, tier in results.tiers.items() if inner or tier == "boundary"]
        tested = list(results.tests)
    recorded = results.recorded_release
    unjudged = [name for name in called if works(results.cells[name][recorded]) == UNKNOWN]
    unjudged += [name for name in tested if results.tests[name][recorded] == "unknown"]
    known_functions = tuple(name for name in dict.fromkeys(called) if name not in unjudged)
    known_tests = tuple(name for name in dict.fromkeys(tested) if name not in unjudged)
    if not known_functions and not known_tests:
        message = f"{results.folder}: none of what is asked for could be judged on {recorded}, so nothing can be said"
        raise ResultsError(message)
    return Uses(known_functions, known_tests, tuple(dict.fromkeys(unjudged)))


def _matching(names: Iterable[str], pattern: str, kind: str) -> list[str]:
    """Return the names that are ``pattern``, end with it after a dot or a colon, or match it as a shell pattern."""
    known = list(names)
    ends = (f".{pattern}", f"::{pattern}")
    found = [
        name
        for name in known
        if pattern in (name, name.rpartition(" [")[0])
        or name.rpartition(" [")[0].endswith(ends)
        or name.endswith(ends)
        or fnmatchcase(name, pattern)
    ]
    if not found:
        raise NoSuchError(pattern, known, kind=kind)
    return found


def answers(results: Results, uses: Uses) -> Mapping[str, Answer]:
    """Return for each release whether everything that is used works."""
    return {release: _answer(results, uses, release) for release in results.releases}


def _answer(results: Results, uses: Uses, release: str) -> Answer:
    said = list(_said(results, uses, release))
    for worst in (NO, UNKNOWN):
        against = tuple(text for works, text in said if works == worst)
        if against:
            return Answer(worst, against)
    return Answer(YES, ())


def _said(results: Results, uses: Uses, release: str) -> Iterator[tuple[str, str]]:
    for function in uses.functions:
        verdict = results.cells[function][release]
        detail = results.reason(function, release).get("detail", "")
        yield works(verdict), f"{function}: {verdict}" + (f" ({detail})" if detail else "")
    for test in uses.tests:
        grade = results.tests[test][release]
        yield GRADED[grade], f"{test}: {grade}"
