"""Cells grouped by why they do not work."""

from collections.abc import Iterator
from dataclasses import dataclass

from matrix.cells import Table
from matrix.rows import RANK, YES, works


@dataclass(frozen=True, slots=True)
class Cause:
    """A verdict and a reason that cells share; functions and releases in the order of the table."""

    verdict: str
    detail: str
    functions: tuple[str, ...]
    releases: tuple[str, ...]
    cells: int


def causes(table: Table) -> list[Cause]:
    """Return why cells do not work or are unknown, what covers most cells first."""
    found: dict[tuple[str, str], tuple[dict[str, None], set[str], list[str]]] = {}
    for function, release, verdict, detail in _broken(table):
        functions, releases, cells = found.setdefault((verdict, detail), ({}, set(), []))
        functions[function] = None
        releases.add(release)
        cells.append(release)
    told = [
        Cause(
            verdict,
            detail,
            tuple(functions),
            tuple(release for release in table.versions if release in releases),
            len(cells),
        )
        for (verdict, detail), (functions, releases, cells) in found.items()
    ]
    return sorted(told, key=lambda cause: (-cause.cells, RANK[cause.verdict], cause.detail))


def _broken(table: Table) -> Iterator[tuple[str, str, str, str]]:
    for function in table.functions:
        for release, cell in zip(table.versions, table.row(function), strict=True):
            if works(cell.verdict) != YES:
                yield function.function, release, cell.verdict, cell.detail
