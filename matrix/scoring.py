"""How well what the replay says of tests agrees with how they really end."""

import csv
import io
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matrix.accuracy import share
from matrix.errors import CaliperError

WORKS, FAILS, UNKNOWN = "works", "fails", "unknown"
# What pytest says of a test, in the words of `tests.csv`; of an outcome that is not here nothing can be said.
MEANING = {"passed": WORKS, "failed": FAILS, "error": FAILS}


class WideTableError(CaliperError):
    """A CSV file that should have a row per test and a column per release has not."""

    def __init__(self, path: Path, reason: str) -> None:
        """Keep the file."""
        super().__init__(f"{path}: {reason}; make it anew")
        self.path = path


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One test, run in one profile on one release (or mutant)."""

    test: str
    profile: str
    release: str


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A case that the replay judges (``replayed``: works or fails) otherwise than ``truth``, pytest's outcome."""

    case: Case
    replayed: str
    truth: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many cases agree, and which do not.

    ``false_works`` are said to work and do not, ``false_fails`` the reverse; on ``unknown`` ones the replay says
    nothing; ``left_out`` cases have no truth (skipped, or not passing on the recorded release either).
    """

    agree: int
    false_works: tuple[Disagreement, ...]
    false_fails: tuple[Disagreement, ...]
    unknown: tuple[Case, ...]
    left_out: int

    @property
    def judged(self) -> int:
        """How many cases have a truth and a verdict."""
        return self.agree + len(self.false_works) + len(self.false_fails)

    @property
    def cases(self) -> int:
        """How many cases have a truth."""
        return self.judged + len(self.unknown)


def passing_tests(truth: Mapping[Case, str], recorded: str) -> set[tuple[str, str]]:
    """Return the tests, with their profiles, that pass on the recorded release."""
    return {
        (case.test, case.profile) for case, outcome in truth.items() if (case.release, outcome) == (recorded, "passed")
    }


def compare(replayed: Mapping[Case, str], truth: Mapping[Case, str], passing: Collection[tuple[str, str]]) -> Agreement:
    """Compare verdicts (works, fails, unknown) with outcomes of pytest.

    Only tests that are ``passing`` on the recorded release are compared: the recording of one that fails says how it
    failed. A case that the replay does not list is unknown.
    """
    agree, left_out = 0, 0
    wrong: dict[str, list[Disagreement]] = {WORKS: [], FAILS: []}
    unknown = []
    for case, outcome in sorted(truth.items()):
        verdict = replayed.get(case, UNKNOWN)
        if (case.test, case.profile) not in passing or outcome not in MEANING:
            left_out += 1
        elif verdict == UNKNOWN:
            unknown.append(case)
        elif verdict == MEANING[outcome]:
            agree += 1
        else:
            wrong[verdict].append(Disagreement(case, verdict, outcome))
    return Agreement(agree, tuple(wrong[WORKS]), tuple(wrong[FAILS]), tuple(unknown), left_out)


def as_scores(agreement: Agreement, explain: Callable[[Case], str] = lambda _: "") -> dict[str, Any]:
    """Return an agreement as JSON data: each share with numerator and denominator, each disagreement listed.

    ``explain`` gives the reason that is printed beside a disagreement.
    """
    disagreements = [*agreement.false_works, *agreement.false_fails]
    return {
        "agree": share(agreement.agree, agreement.judged),
        "false_works": share(len(agreement.false_works), agreement.judged),
        "false_fails": share(len(agreement.false_fails), agreement.judged),
        "unknown": share(len(agreement.unknown), agreement.cases),
        "left_out": agreement.left_out,
        "disagreements": [
            {**asdict(wrong.case), "replayed": wrong.replayed, "truth": wrong.truth, "reason": explain(wrong.case)}
            for wrong in disagreements
        ],
    }


def by_release(agreement: Agreement, releases: Iterable[str]) -> dict[str, list[str]]:
    """Return the releases that have disagreements, in the order of ``releases``, with the tests concerned."""
    wrong = [(item.case.release, item.case.test) for item in (*agreement.false_works, *agreement.false_fails)]
    tests = {release: sorted(test for other, test in wrong if other == release) for release in releases}
    return {release: names for release, names in tests.items() if names}


def read_cases(path: Path) -> dict[Case, str]:
    """Read ``tests.csv``, ``truth.csv`` and their like: ``test, profile``, then a column per release.

    Raises:
        WideTableError: it is not such a file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError) as error:
        raise WideTableError(path, f"can't be read ({error})") from error
    if header[:2] != ["test", "profile"] or any(len(row) != len(header) for row in rows):
        raise WideTableError(path, "has not the columns `test, profile`, then releases, in every row")
    return {
        Case(test, profile, release): value
        for test, profile, *values in rows
        for release, value in zip(header[2:], values, strict=True)
    }


def render_cases(cases: Mapping[Case, str], releases: Iterable[str]) -> str:
    """Return the text of such a file, sorted by test and profile, with the columns in the order of ``releases``.

    A case that is not there is ``error``: its file could not be run.
    """
    releases = list(releases)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["test", "profile", *releases])
    for test, profile in sorted({(case.test, case.profile) for case in cases}):
        writer.writerow([test, profile, *(cases.get(Case(test, profile, release), "error") for release in releases)])
    return text.getvalue()
