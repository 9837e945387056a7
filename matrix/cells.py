"""Rows of judged calls to one verdict per function and release."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

import pandas as pd

from matrix.rows import (
    INSTALL_ERROR,
    NO,
    RANK,
    UNREPLAYABLE,
    VERDICTS,
    YES,
    CallRow,
    ReleaseRow,
    TestRow,
    module_of,
    version_key,
    works,
)

GRADES = ("works", "fails", "unknown")
STATUSES = ("replayed", "install-error")
FAILS = {verdict.name: verdict.works == NO for verdict in VERDICTS}
# What makes two rows the same call.
CALL = ["profile", "test", "call", "tier", "function"]


class GapError(ValueError):
    """The rows do not hold what they must: an error of ours, raised because a guess would look like a verdict."""


@dataclass(frozen=True, slots=True)
class Mask:
    """A field of a call's outcome that differed between two replays on the recorded release, and is not compared."""

    profile: str
    call: int
    function: str
    field: str


@dataclass(frozen=True, slots=True)
class Extras:
    """What the results tell besides the rows.

    ``modules`` names the module of each function (else it is read from the path), ``masks`` the fields that are not
    compared, and ``run`` what varies between runs: versions, host, durations.
    """

    python: str = ""
    run: Mapping[str, object] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    masks: tuple[Mask, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """One row of the matrix; ``calls`` and ``unreplayable`` count the calls of its tier on the recorded release."""

    function: str
    module: str
    tier: str
    profiles: tuple[str, ...]
    calls: int
    unreplayable: int

    @property
    def name(self) -> str:
        """The definition path without its module."""
        return self.function.removeprefix(f"{self.module}.")


@dataclass(frozen=True, slots=True)
class Cell:
    """One function on one release: its verdict, the reason most of such calls give, and how many calls say what."""

    verdict: str
    detail: str = ""
    judged: int = 0
    failing: int = 0
    unreplayable: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """The matrix: functions by tier, module and path, releases in version order, one cell for each pair."""

    subject: str
    recorded_release: str
    as_of: str
    extras: Extras
    releases: tuple[ReleaseRow, ...]
    functions: tuple[Function, ...]
    cells: Mapping[tuple[str, str], Cell]
    calls: pd.DataFrame
    tests: pd.DataFrame

    @property
    def versions(self) -> tuple[str, ...]:
        """The releases' versions, in order."""
        return tuple(row.release for row in self.releases)

    def row(self, function: Function) -> list[Cell]:
        """Return the cells of a function, in the order of the releases."""
        return [self.cells[function.function, release] for release in self.versions]

    def replayed(self, tier: str) -> tuple[int, int]:
        """Return how many of the tier's recorded calls could be replayed on the recorded release, and of how many."""
        calls = self.calls[(self.calls["release"] == self.recorded_release) & (self.calls["tier"] == tier)]
        return int((calls["verdict"] != UNREPLAYABLE).sum()), len(calls)

    def working(self, release: str) -> tuple[int, int]:
        """Return how many functions work on a release, and of how many that is known there."""
        answers = [works(self.cells[function.function, release].verdict) for function in self.functions]
        return answers.count(YES), answers.count(YES) + answers.count(NO)


def build(
    subject: str,
    recorded_release: str,
    as_of: str,
    *,
    calls: Iterable[CallRow],
    tests: Iterable[TestRow],
    releases: Iterable[ReleaseRow],
    extras: Extras,
) -> Table:
    """Return the table of the rows, the same for any order of them.

    Raises:
        GapError: a pair without a row, a name that no list holds, or nothing at all to show.
    """
    ordered = tuple(sorted(releases, key=lambda row: version_key(row.release)))
    known = [row.release for row in ordered]
    frame = _frame(CallRow, calls, [*CALL, "release", "verdict", "detail"], known)
    graded = _frame(TestRow, tests, ["test", "profile", "release"], known)
    _check(frame, graded, ordered, recorded_release)
    functions = _functions(frame[frame["release"] == recorded_release], extras.modules)
    cells = _cells(frame, functions, ordered)
    return Table(subject, recorded_release, as_of, extras, ordered, functions, cells, frame, graded)


def _frame(kind: type, rows: Iterable[Any], order: list[str], releases: list[str]) -> pd.DataFrame:
    """Return the rows sorted by ``order``, releases in version order."""
    names = [column.name for column in fields(kind)]
    frame = pd.DataFrame.from_records(list(map(attrgetter(*names), rows)), columns=names)
    for row in sorted(set(frame["release"]) - set(releases)):
        message = f"there is a {kind.__name__} for {row}, which is none of the releases"
        raise GapError(message)
    places = {release: place for place, release in enumerate(releases)}
    keyed = frame.assign(**{"release ": frame["release"].map(places)})
    by = ["release " if name == "release" else name for name in order]
    return keyed.sort_values(by, kind="stable", ignore_index=True)[names]


def _check(calls: pd.DataFrame, tests: pd.DataFrame, releases: tuple[ReleaseRow, ...], recorded: str) -> None:
    """Raise GapError if a name is unknown or a replayed release lacks a call or a test that another has."""
    replayed = [row.release for row in releases if row.status == "replayed"]
    _known(calls["verdict"], RANK, "verdict")
    _known(calls["tier"], ("boundary", "inner"), "tier")
    _known(tests["gated"], GRADES, "grade")
    _known(tests["ungated"], GRADES, "grade")
    _known((row.status for row in releases), STATUSES, "status")
    if len({row.release for row in releases}) != len(releases):
        message = "a release is there twice"
        raise GapError(message)
    if recorded not in replayed or calls.empty:
        message = f"there is nothing replayed on {recorded}, the recorded release"
        raise GapError(message)
    stray = calls[(calls["verdict"] == INSTALL_ERROR) & calls["release"].isin(replayed)]
    if not stray.empty:
        message = f"{INSTALL_ERROR} on a release that was replayed: {_place(stray, CALL)}"
        raise GapError(message)
    _complete(calls, CALL, replayed)
    _complete(tests, ["test", "profile"], [row.release for row in releases])


def _known(names: Iterable[str], allowed: Iterable[str], kind: str) -> None:
    for name in sorted(set(names) - set(allowed)):
        message = f"{name!r} is no {kind}"
        raise GapError(message)


def _complete(frame: pd.DataFrame, key: list[str], releases: list[str]) -> None:
    """Raise GapError, naming the first gap, unless each release has exactly one row for each key."""
    rows = frame[frame["release"].isin(releases)]
    doubled = rows[rows.duplicated([*key, "release"])]
    if not doubled.empty:
        message = f"there are two rows for {_place(doubled, key)}"
        raise GapError(message)
    wanted = frame[key].drop_duplicates()
    if len(rows) == len(wanted) * len(releases):
        return
    for release in releases:
        merged = wanted.merge(rows.loc[rows["release"] == release, key], how="left", indicator=True)
        gap = merged[merged["_merge"] == "left_only"]
        if not gap.empty:
            message = f"there is no row for {_place(gap.assign(release=release), key)}"
            raise GapError(message)


def _place(rows: pd.DataFrame, key: list[str]) -> str:
    first = rows.iloc[0]
    return ", ".join(f"{name} {first[name]}" for name in [*key, "release"])


def _functions(recorded: pd.DataFrame, modules: Mapping[str, str]) -> tuple[Function, ...]:
    """Return the rows of the matrix from the calls on the recorded release."""
    found = []
    for path, rows in recorded.groupby("function", sort=True):
        name = str(path)
        tier = str(rows["tier"].min())  # "boundary" sorts before "inner"
        own = rows[rows["tier"] == tier]
        profiles = tuple(sorted(set(own["profile"])))
        unreplayable = int((own["verdict"] == UNREPLAYABLE).sum())
        found.append(Function(name, modules.get(name) or module_of(name), tier, profiles, len(own), unreplayable))
    return tuple(sorted(found, key=lambda row: (row.tier, row.module, row.function)))


def _cells(
    calls: pd.DataFrame, functions: tuple[Function, ...], releases: tuple[ReleaseRow, ...]
) -> dict[tuple[str, str], Cell]:
    """Return the cell of each function on each release."""
    tiers = {row.function: row.tier for row in functions}
    own = calls[calls["tier"] == calls["function"].map(tiers)]
    judged = _worst(own)
    cells = {}
    for row in releases:
        for name in tiers:
            if row.status == INSTALL_ERROR:
                cells[name, row.release] = Cell(INSTALL_ERROR, row.reason)
            else:
                cells[name, row.release] = judged[name, row.release]
    return cells


def _worst(rows: pd.DataFrame) -> dict[tuple[str, str], Cell]:
    """Return the worst verdict of each pair; calls that are unreplayable count only where no call could be judged."""
    place = ["function", "release"]
    ranked = rows.assign(rank=rows["verdict"].map(RANK), no=rows["verdict"].map(FAILS))
    # The ranks of what is no judgement come last, so the smallest rank is theirs only where there is nothing else.
    ranked["unreplayable"] = ranked["verdict"] == UNREPLAYABLE
    counts = ranked.groupby(place).agg(
        worst=("rank", "min"), calls=("rank", "size"), failing=("no", "sum"), unreplayable=("unreplayable", "sum")
    )
    worst = ranked.join(counts["worst"], on=place)
    reasons = worst[worst["rank"] == worst["worst"]].groupby([*place, "detail"]).size().rename("n").reset_index()
    reasons = reasons.sort_values([*place, "n", "detail"], ascending=[True, True, False, True])
    told = counts.join(reasons.drop_duplicates(place).set_index(place)["detail"]).reset_index()
    columns = [*place, "worst", "detail", "calls", "failing", "unreplayable"]
    return {
        (function, release): Cell(VERDICTS[worst].name, detail, calls - unreplayable, failing, unreplayable)
        for function, release, worst, detail, calls, failing, unreplayable in told[columns].itertuples(
            index=False, name=None
        )
    }
