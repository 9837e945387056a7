"""``matrix.csv`` and ``predictions.csv`` as data: a row per function, a column per release, a verdict in each cell."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matrix.errors import CaliperError
from matrix.turned import ROW_COLUMNS

Cells = Mapping[tuple[str, str], str]


class GridError(CaliperError):
    """A file of cells that cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class GridRow:
    """What stands before the cells of a function, as text."""

    function: str
    tier: str
    profiles: str
    calls: str
    unreplayable: str


@dataclass(frozen=True, slots=True)
class Grid:
    """The table: rows and releases in their order, and the verdict of each function on each release."""

    rows: tuple[GridRow, ...]
    releases: tuple[str, ...]
    cells: Cells

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions, in the order of the rows."""
        return tuple(row.function for row in self.rows)


def read_grid(path: Path) -> Grid:
    """Read such a file.

    Raises:
        GridError: it is not there, or is no such table.
    """
    try:
        header, *lines = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), strict=True)
    except OSError as error:
        message = (
            f"{path} cannot be read ({error.strerror}): run `nox -s matrix` first, or name the folder with --results"
        )
        raise GridError(message) from error
    except (ValueError, csv.Error) as error:
        message = f"{path} is no table of verdicts ({error}): write it anew"
        raise GridError(message) from error
    width = len(ROW_COLUMNS)
    if tuple(header[:width]) != ROW_COLUMNS or any(len(line) != len(header) for line in lines):
        message = f"{path} is no table of verdicts: its columns are not {', '.join(ROW_COLUMNS)} and releases"
        raise GridError(message)
    releases = tuple(header[width:])
    cells = {
        (line[0], release): verdict for line in lines for release, verdict in zip(releases, line[width:], strict=True)
    }
    return Grid(tuple(GridRow(*line[:width]) for line in lines), releases, cells)


def render_grid(grid: Grid) -> bytes:
    """Return the table as the bytes of its file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*ROW_COLUMNS, *grid.releases])
    for row in grid.rows:
        shown = (row.function, row.tier, row.profiles, row.calls, row.unreplayable)
        writer.writerow([*shown, *(grid.cells[row.function, release] for release in grid.releases)])
    return text.getvalue().encode("utf-8", "backslashreplace")
