"""The matrix as one HTML file that needs no network, and no JavaScript either: ``report.html``."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined

from matrix.cells import Cell, Function, Table
from matrix.palette import STYLES
from matrix.report.causes import causes
from matrix.rows import UNREPLAYABLE, VERDICTS, YES, ranges, works
from matrix.words import TIERS, WORKS, subtitle, title


@dataclass(frozen=True, slots=True)
class Shown:
    """A cell as the page shows it: the number of its cause (0 if it works), its counts and its own reason in words."""

    verdict: str
    cause: int
    counts: str
    detail: str


@dataclass(frozen=True, slots=True)
class Group:
    """The functions of a module in a tier, each with its cells."""

    tier: str
    module: str
    rows: tuple[tuple[Function, tuple[Shown, ...]], ...]


def render(table: Table) -> bytes:
    """Return the page, the same bytes for the same table."""
    environment = Environment(
        loader=PackageLoader("matrix", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = causes(table)
    counts = {verdict.name: 0 for verdict in VERDICTS}
    for cell in table.cells.values():
        counts[cell.verdict] += 1
    html = environment.get_template("report.html.jinja").render(
        table=table,
        title=title(table),
        subtitle=subtitle(table),
        verdicts=[verdict for verdict in VERDICTS if counts[verdict.name]],
        counts=counts,
        styles=STYLES,
        answers=WORKS,
        tiers={tier: text.format(subject=table.subject) for tier, text in TIERS.items()},
        groups=list(_groups(table)),
        causes=[(cause, ranges(cause.releases, table.versions)) for cause in found],
        masks=sorted(table.extras.masks, key=lambda mask: (mask.profile, mask.call, mask.field)),
        unreplayable=_unreplayable(table),
        working={release: table.working(release) for release in table.versions},
        tests=_tests(table),
    )
    return (html.rstrip() + "\n").encode("utf-8", "backslashreplace")


def _groups(table: Table) -> Iterator[Group]:
    numbers = {(cause.verdict, cause.detail): number for number, cause in enumerate(causes(table), 1)}
    for (tier, module), functions in groupby(table.functions, key=lambda row: (row.tier, row.module)):
        rows = tuple((row, tuple(_shown(cell, numbers) for cell in table.row(row))) for row in functions)
        yield Group(tier, module, rows)


def _shown(cell: Cell, numbers: dict[tuple[str, str], int]) -> Shown:
    counts = []
    if cell.failing:
        counts.append(f"{cell.failing} of {cell.judged} calls fail")
    if cell.unreplayable:
        counts.append(f"{cell.unreplayable} cannot be replayed")
    broken = works(cell.verdict) != YES
    number = numbers[cell.verdict, cell.detail] if broken else 0
    return Shown(cell.verdict, number, ", ".join(counts), "" if broken else cell.detail)


def _unreplayable(table: Table) -> list[tuple[str, str, int]]:
    """Return what the trace cannot express on the recorded release: function, reason, number of calls."""
    calls = table.calls
    rows = calls[(calls["release"] == table.recorded_release) & (calls["verdict"] == UNREPLAYABLE)]
    sizes = Counter(zip(rows["function"], rows["detail"], strict=True))
    return [(function, detail, count) for (function, detail), count in sorted(sizes.items())]


def _tests(table: Table) -> dict[str, tuple[int, int]]:
    """Return for each release how many tests work, and of how many that is known."""
    grades = {release: [0, 0] for release in table.versions}
    for release, grade in zip(table.tests["release"], table.tests["gated"], strict=True):
        grades[release][0] += grade == "works"
        grades[release][1] += grade != "unknown"
    return {release: (working, known) for release, (working, known) in grades.items()}
