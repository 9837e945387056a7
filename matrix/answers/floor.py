"""The lowest release from which everything that is used works, as a version specifier."""

from collections.abc import Mapping
from dataclasses import dataclass

from matrix.answers.results import Results
from matrix.answers.uses import Answer, Uses, answers
from matrix.rows import NO, UNKNOWN, YES


@dataclass(frozen=True, slots=True)
class Floor:
    """The releases around the recorded one that all work.

    ``specifier`` is the widest that admits no judged release that is not known to work: it excludes those within that
    are ``unknown``. ``stopped`` tells why the release below does not work, ``also`` lists releases below the floor
    that work all the same, above ``holes`` that do not. Without a specifier, the recorded release itself does not work.
    """

    subject: str
    specifier: str | None
    lowest: str | None
    stopped_by: str | None
    stopped: tuple[str, ...]
    unknown: tuple[str, ...]
    also: tuple[str, ...]
    holes: tuple[str, ...]
    newer_failing: tuple[str, ...]
    uses: Uses


def floor(results: Results, uses: Uses) -> Floor:
    """Return the floor for what is used."""
    judged = answers(results, uses)
    order = results.releases
    middle = order.index(results.recorded_release)
    low, high = _block(order, judged, middle)
    lowest = next((place for place in range(low, middle + 1) if judged[order[place]].works == YES), None)
    if lowest is None:
        nothing: tuple[str, ...] = ()
        against = judged[results.recorded_release].against
        return Floor(
            results.subject, None, None, results.recorded_release, against, nothing, nothing, nothing, nothing, uses
        )
    inside = order[lowest : high + 1]
    unknown = tuple(release for release in inside if judged[release].works == UNKNOWN)
    also = tuple(release for release in order[:lowest] if judged[release].works == YES)
    first = order.index(also[0]) if also else lowest
    below = order[lowest - 1] if lowest else None
    return Floor(
        subject=results.subject,
        specifier=_specifier(order, lowest, high, unknown),
        lowest=order[lowest],
        stopped_by=below,
        stopped=judged[below].against if below else (),
        unknown=unknown,
        also=also,
        holes=tuple(release for release in order[first:lowest] if judged[release].works != YES),
        newer_failing=tuple(release for release in order[high + 1 :] if judged[release].works == NO),
        uses=uses,
    )


def _block(order: tuple[str, ...], judged: Mapping[str, Answer], middle: int) -> tuple[int, int]:
    """Return the ends of the run of releases around ``middle`` in which none fails; an empty run if that one does."""
    low = middle + 1
    while low > 0 and judged[order[low - 1]].works != NO:
        low -= 1
    high = middle
    while high + 1 < len(order) and judged[order[high + 1]].works != NO:
        high += 1
    return low, high


def _specifier(order: tuple[str, ...], lowest: int, high: int, unknown: tuple[str, ...]) -> str:
    parts = [f">={order[lowest]}"]
    if high + 1 < len(order):
        parts.append(f"<{order[high + 1]}")
    return ",".join([*parts, *(f"!={release}" for release in unknown)])
