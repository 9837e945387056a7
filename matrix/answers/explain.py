"""Why a function has its verdict on a release."""

from dataclasses import dataclass

from matrix.answers.results import Results, find_function, find_release, read_calls
from matrix.rows import MEANING, RANK, YES, CallRow, works


@dataclass(frozen=True, slots=True)
class Explanation:
    """A cell, in full; ``calls`` are those that do not work or are unknown, worst first, None where none are stored."""

    function: str
    release: str
    verdict: str
    works: str
    meaning: str
    detail: str
    judged: int | None
    failing: int | None
    unreplayable: int | None
    elsewhere: tuple[str, ...]
    calls: tuple[CallRow, ...] | None


def explain(results: Results, function: str, release: str) -> Explanation:
    """Return why; ``elsewhere`` are the other releases on which the function has the same verdict for the same reason.

    Raises:
        NoSuchError: there is no such function or release.
    """
    name, version = find_function(results, function), find_release(results, release)
    verdict = results.cells[name][version]
    reason = results.reason(name, version)
    detail = reason.get("detail", "")
    calls = read_calls(results.folder, function=name, release=version)
    return Explanation(
        function=name,
        release=version,
        verdict=verdict,
        works=works(verdict),
        meaning=MEANING[verdict].meaning,
        detail=detail,
        judged=reason.get("judged"),
        failing=reason.get("failing"),
        unreplayable=reason.get("unreplayable"),
        elsewhere=tuple(
            other
            for other in results.releases
            if other != version
            and results.cells[name][other] == verdict
            and results.reason(name, other).get("detail", "") == detail
        ),
        calls=None if calls is None else _failing(calls),
    )


def _failing(calls: list[CallRow]) -> tuple[CallRow, ...]:
    found = [row for row in calls if works(row.verdict) != YES]
    return tuple(sorted(found, key=lambda row: (RANK[row.verdict], row.profile, row.call)))
