"""The predictions as a heatmap of the same form as the replay's."""

import pandas as pd

from matrix import heatmap
from matrix.cells import Cell, Extras, Function, Table
from matrix.grid import Grid
from matrix.predict import UNKNOWN
from matrix.releases import ReleaseList
from matrix.rows import UNREPLAYABLE, ReleaseRow, module_of


def draw(listed: ReleaseList, recorded_release: str, predicted: Grid) -> dict[str, bytes]:
    """Return the picture as ``png`` and ``svg``, the same bytes for the same table."""
    return heatmap.draw(table_of(listed, recorded_release, predicted))


def table_of(listed: ReleaseList, recorded_release: str, predicted: Grid) -> Table:
    """Return the predictions as the table that the heatmap draws; nothing in it was installed or replayed.

    What is unknown to a reader has the mark of what replay cannot judge.
    """
    uploaded = {one.version: one.uploaded for one in listed.releases}
    releases = tuple(
        ReleaseRow(
            name,
            uploaded.get(name, ""),
            yanked=False,
            installed=name,
            plain_import="",
            python="",
            status="replayed",
            reason="",
        )
        for name in predicted.releases
    )
    functions = tuple(
        Function(row.function, module_of(row.function), row.tier, tuple(row.profiles.split()), int(row.calls), 0)
        for row in predicted.rows
    )
    cells = {place: Cell(UNREPLAYABLE if verdict == UNKNOWN else verdict) for place, verdict in predicted.cells.items()}
    calls = pd.DataFrame(columns=["release", "tier", "verdict"])
    tests = pd.DataFrame(columns=["release", "gated"])
    ordered = tuple(sorted(functions, key=lambda row: (row.tier, row.module, row.function)))
    named = f"{listed.subject}, predicted by reading"
    return Table(named, recorded_release, listed.as_of, Extras(), releases, ordered, cells, calls, tests)
