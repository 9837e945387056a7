"""The rows of judged calls to the files in a results folder: the same bytes for the same rows, in any order."""

import gzip
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from matrix import heatmap
from matrix.cells import Extras, Function, GapError, Mask, Table, build
from matrix.files import atomic_write
from matrix.report import machine, page, summary
from matrix.rows import CALL_COLUMNS, VERDICTS, CallRow, ReleaseRow, TestRow, Verdict

__all__ = [
    "VERDICTS",
    "CallRow",
    "Extras",
    "Function",
    "GapError",
    "Mask",
    "ReleaseRow",
    "Summary",
    "Table",
    "TestRow",
    "Verdict",
    "build",
    "write_results",
]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a caller tells about results that were written.

    ``verdicts`` counts cells, ``replayed`` of ``calls`` the recorded calls that could be replayed on the recorded
    release, and ``working`` of ``functions`` what works on each release.
    """

    folder: Path
    functions: int
    verdicts: Mapping[str, int]
    replayed: int
    calls: int
    working: Mapping[str, int]


def write_results(
    subject: str,
    recorded_release: str,
    as_of: str,
    *,
    calls: Iterable[CallRow],
    tests: Iterable[TestRow],
    releases: Iterable[ReleaseRow],
    extras: Extras,
    out: Path,
) -> Summary:
    """Write the results into the folder ``out``, each file whole or not at all, and return what they say.

    What turned is told by comparing with the results that ``out`` held before.

    Raises:
        GapError: the rows hold no verdict for some function and release, or what no list of ours names.
        OSError: the folder cannot be written.
    """
    table = build(subject, recorded_release, as_of, calls=calls, tests=tests, releases=releases, extras=extras)
    for name, content in _files(table, out).items():
        atomic_write(out / name, content)
    replayed = [table.replayed(tier) for tier in ("boundary", "inner")]
    return Summary(
        folder=out,
        functions=len(table.functions),
        verdicts=Counter(cell.verdict for cell in table.cells.values()),
        replayed=sum(part for part, _ in replayed),
        calls=sum(whole for _, whole in replayed),
        working={release: table.working(release)[0] for release in table.versions},
    )


def _files(table: Table, out: Path) -> dict[str, bytes]:
    """Return the content of each file; ``matrix.csv`` last, so that it stands for the folder being complete."""
    pictures = heatmap.draw(table)
    matrix = matrix_csv(table)
    writers: dict[str, Callable[[], bytes]] = {
        "calls.csv.gz": lambda: _packed(_csv(table.calls[list(CALL_COLUMNS)])),
        "tests.csv": lambda: _csv(_graded(table, "gated")),
        "tests-ungated.csv": lambda: _csv(_graded(table, "ungated")),
        "releases.csv": lambda: _csv(_releases(table)),
        "run.json": lambda: machine.to_json(table.extras.run),
        "matrix.json": lambda: machine.matrix_json(table),
        "junit.xml": lambda: machine.junit(table),
        "heatmap.png": lambda: pictures["png"],
        "heatmap.svg": lambda: pictures["svg"],
        "report.html": lambda: page.render(table),
        "summary.md": lambda: summary.render(table, matrix, out),
        "matrix.csv": lambda: matrix,
    }
    return {name: write() for name, write in writers.items()}


def matrix_csv(table: Table) -> bytes:
    """Return ``matrix.csv``: a row per function, a column per release, a verdict in each cell."""
    rows = [
        [row.function, row.tier, " ".join(row.profiles), row.calls, row.unreplayable]
        + [cell.verdict for cell in table.row(row)]
        for row in table.functions
    ]
    columns = ["function", "tier", "profiles", "calls", "unreplayable", *table.versions]
    return _csv(pd.DataFrame(rows, columns=columns))


def _graded(table: Table, grading: str) -> pd.DataFrame:
    """Return the tests with a column per release, by one of the two gradings."""
    wide = table.tests.pivot_table(index=["test", "profile"], columns="release", values=grading, aggfunc="first")
    return wide.reindex(columns=list(table.versions)).reset_index()


def _releases(table: Table) -> pd.DataFrame:
    """Return the releases with how many functions and (gated) tests work, of those that are known to or not to."""
    working = table.tests[table.tests["gated"] == "works"]["release"].value_counts()
    rows = []
    for row in table.releases:
        functions, total = table.working(row.release)
        yanked = "yes" if row.yanked else "no"
        told = [row.release, row.uploaded, yanked, row.installed, row.plain_import, row.python]
        rows.append([*told, functions, total, int(working.get(row.release, 0))])
    columns = ["release", "uploaded", "yanked", "installed", "plain_import", "python"]
    return pd.DataFrame(rows, columns=[*columns, "functions_working", "functions_total", "tests_working"])


def _csv(frame: pd.DataFrame) -> bytes:
    text = frame.to_csv(index=False, lineterminator="\n")
    return str(text).encode("utf-8", "backslashreplace")


def _packed(data: bytes) -> bytes:
    """Return ``data`` in gzip without a time or a name in its header."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(data)
    return packed.getvalue()
