"""Which cells differ between two versions of one CSV table of verdicts. Standard library only: scripts use it too."""

import csv
import io
from dataclasses import dataclass
from typing import final

from matrix.errors import CaliperError

# What comes before the releases in matrix.csv.
ROW_COLUMNS = ("function", "tier", "profiles", "calls", "unreplayable")
ABSENT = ""


class TableError(CaliperError):
    """A file that should be a matrix.csv is none."""


@final
@dataclass(frozen=True, slots=True)
class Turned:
    """One cell that was ``before`` and is ``after``; empty where the table has no such cell."""

    function: str
    release: str
    before: str
    after: str


def turned(before: bytes, after: bytes) -> list[Turned]:
    """Return the cells that differ, by function, and by release in the order of the tables.

    Raises:
        TableError: one of them is no matrix.csv.
    """
    old, new = _cells(before), _cells(after)
    places = dict.fromkeys([*new, *old])
    order = {release: number for number, release in enumerate(dict.fromkeys(release for _, release in places))}
    cells = [
        Turned(function, release, old.get((function, release), ABSENT), new.get((function, release), ABSENT))
        for function, release in sorted(places, key=lambda place: (place[0], order[place[1]]))
    ]
    return [cell for cell in cells if cell.before != cell.after]


def _cells(table: bytes) -> dict[tuple[str, str], str]:
    try:
        rows = list(csv.DictReader(io.StringIO(table.decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        rows = []
    if not rows or not set(ROW_COLUMNS) <= rows[0].keys() or any(None in row or None in row.values() for row in rows):
        message = f"this is no matrix.csv: its columns are not {', '.join(ROW_COLUMNS)} and releases"
        raise TableError(message)
    return {
        (row["function"], release): verdict
        for row in rows
        for release, verdict in row.items()
        if release not in ROW_COLUMNS
    }
