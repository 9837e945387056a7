"""What is said of a table in the picture, the report and the summary alike."""

from collections.abc import Sequence

from matrix.cells import Table
from matrix.rows import NO, UNKNOWN, YES

TIERS = {"boundary": "Called from outside {subject}", "inner": "Called only from inside {subject}"}
WORKS = {YES: "works", NO: "does not work", UNKNOWN: "unknown"}


def title(table: Table) -> str:
    """Return the first line, of the picture and of the page."""
    return f"{table.subject}: what works on each of {len(table.releases)} releases"


def subtitle(table: Table) -> str:
    """Return what the table rests on: recorded release, date, Python, and the share of calls replayed."""
    parts = [f"recorded on {table.recorded_release}", f"as of {table.as_of}"]
    if table.extras.python:
        parts.append(f"Python {table.extras.python}")
    for tier in TIERS:
        replayed, total = table.replayed(tier)
        if total:
            parts.append(f"{replayed:,} of {total:,} {tier} calls replayed ({percent(replayed, total)})")
    return "  ·  ".join(parts)


def percent(part: int, whole: int) -> str:
    """Return a share, ``0 %`` and ``100 %`` only where it is exactly that."""
    tenths = part * 1000 // whole if whole else 0
    if part in {0, whole}:
        return f"{tenths // 10} %"
    return f"{tenths / 10:.1f} %" if tenths else "under 0.1 %"


def notes(table: Table) -> str:
    """Return a line about the releases that do not import when installed alone, empty where all do."""
    reasons: dict[str, list[str]] = {}
    for row in table.releases:
        if row.plain_import.startswith("no"):
            reasons.setdefault(row.plain_import.partition(":")[2].strip() or "no reason given", []).append(row.release)
    told = "; ".join(f"{_few(releases)} ({reason})" for reason, releases in reasons.items())
    return f"Installed alone, these do not import: {told}" if told else ""


def _few(releases: Sequence[str]) -> str:
    most = 4
    return ", ".join(releases) if len(releases) <= most else f"{releases[0]} and {len(releases) - 1} more"
