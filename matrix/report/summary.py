"""The matrix in a page of Markdown, for a job's summary: ``summary.md``."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from matrix.cells import Table
from matrix.report.causes import causes
from matrix.report.turns import group, order_of
from matrix.rows import VERDICTS, ranges
from matrix.turned import TableError, turned
from matrix.words import percent, subtitle, title

TURNED = "## What turned in the last change of these results"
MOST_CAUSES, MOST_TURNED = 12, 40


def render(table: Table, matrix: bytes, out: Path) -> bytes:
    """Return ``summary.md``: ``matrix`` is the new ``matrix.csv``, ``out`` holds the results before it, if any.

    Where nothing turned, what the last summary says of turning stays: writing equal results again changes nothing.
    """
    sections = [
        f"# {title(table)}",
        subtitle(table),
        f"![{title(table)}](heatmap.png)",
        "## Verdicts",
        "\n".join(_verdicts(table)),
        "## Why, by how much it explains",
        "\n".join(_causes(table)),
        TURNED,
        _turned(table, matrix, out),
        *_scores(out / "accuracy.json"),
        "## Releases",
        "\n".join(_releases(table)),
    ]
    return ("\n\n".join(sections) + "\n").encode("utf-8", "backslashreplace")


def text(value: str) -> str:
    """Return a value so that Markdown shows it as it is, in one line of a table."""
    return re.sub(r"([\\`*_\[\]<>|#&~$])", r"\\\1", " ".join(value.split()))


def _verdicts(table: Table) -> Iterator[str]:
    counts = Counter(cell.verdict for cell in table.cells.values())
    total = len(table.cells)
    yield "| verdict | works | cells | share | means |"
    yield "|---|---|---:|---:|---|"
    for verdict in VERDICTS:
        count = counts[verdict.name]
        if count:
            shown = percent(count, total)
            yield f"| {verdict.name} | {verdict.works} | {count:,} | {shown} | {verdict.meaning} |"


def _causes(table: Table) -> Iterator[str]:
    found = causes(table)
    if not found:
        yield "Everything works everywhere."
        return
    yield "| verdict | reason | functions | releases | cells |"
    yield "|---|---|---|---|---:|"
    for cause in found[:MOST_CAUSES]:
        functions = cause.functions[0] if len(cause.functions) == 1 else f"{len(cause.functions)} functions"
        place = ranges(cause.releases, table.versions)
        yield f"| {cause.verdict} | {text(cause.detail)} | {text(functions)} | {text(place)} | {cause.cells:,} |"
    if len(found) > MOST_CAUSES:
        yield f"\n{len(found) - MOST_CAUSES} more reasons are in `report.html`."


def _turned(table: Table, matrix: bytes, out: Path) -> str:
    try:
        before = (out / "matrix.csv").read_bytes()
        cells = turned(before, matrix)
    except FileNotFoundError:
        return "There are no earlier results to compare with."
    except TableError:
        return "The earlier results cannot be read."
    if not cells:
        return _kept(out / "summary.md")
    turns = group(cells)
    order = order_of(turns, table.versions)
    lines = [
        f"- {text(turn.function)}: {turn.before or 'not there'} → **{turn.after or 'not there'}**"
        f" on {text(turn.place(order))}"
        for turn in turns[:MOST_TURNED]
    ]
    more = [f"\n… and {len(turns) - MOST_TURNED} more"] if len(turns) > MOST_TURNED else []
    return "\n".join([*lines, *more])


def _kept(path: Path) -> str:
    """Return what an earlier summary says of turning."""
    try:
        summary = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        summary = ""
    section = summary.partition(f"{TURNED}\n\n")[2].partition("\n\n## ")[0]
    return section or "Nothing turned."


def _scores(path: Path) -> Iterator[str]:
    """Yield the section of scores, if there is such a file."""
    try:
        scores = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return
    lines = list(_shares(scores))
    if lines:
        yield "## Scores"
        yield "\n".join(["| score | share | of |", "|---|---:|---:|", *lines])


def _shares(scores: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a line for each score, wherever it is: an object with a numerator and a denominator."""
    if not isinstance(scores, dict):
        return
    part, whole = scores.get("numerator"), scores.get("denominator")
    if isinstance(part, int) and isinstance(whole, int):
        yield f"| {text(', '.join(path).replace('_', ' '))} | {percent(part, whole)} | {part:,} / {whole:,} |"
        return
    for name in sorted(scores):
        yield from _shares(scores[name], (*path, str(name)))


def _releases(table: Table) -> Iterator[str]:
    graded = Counter(zip(table.tests["release"], table.tests["gated"], strict=True))
    yield "| release | uploaded | functions that work | tests that work | imports alone |"
    yield "|---|---|---:|---:|---|"
    for row in reversed(table.releases):
        working, total = table.working(row.release)
        tests = graded[row.release, "works"]
        total_tests = tests + graded[row.release, "fails"]
        alone = text(row.plain_import if row.status == "replayed" else f"{row.status}: {row.reason}")
        functions = f"{working} / {total}" if total else "unknown"
        tested = f"{tests} / {total_tests}" if total_tests else "unknown"
        yield f"| {text(row.release)} | {row.uploaded[:10]} | {functions} | {tested} | {alone} |"
