# /// script
# requires-python = ">=3.11"
# dependencies = ["packaging", "pypi-simple", "requests"]
# ///
"""Is the whole matrix needed? On a schedule: on Mondays, for dependencies move too, else if there is a new release.

Writes ``needed=true`` or ``needed=false`` to the file that ``GITHUB_OUTPUT`` names (standard output without one).
"""

import os
import sys
from datetime import UTC, date, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from matrix.errors import CaliperError
from matrix.index import configured_index, fetch_releases
from matrix.releases import read_releases

MONDAY = 0


def reason(event: str, today: date, listed: Path, index: str) -> str:
    """Return why the matrix is needed; empty if it is not."""
    if event != "schedule":
        return f"asked for by {event}"
    if today.weekday() == MONDAY:
        return "weekly"
    known = read_releases(listed)
    there = fetch_releases(known.subject, today, index)
    new = [release.version for release in there.releases if release.version not in {r.version for r in known.releases}]
    return f"new: {', '.join(new)}" if new else ""


def main() -> int:
    """Decide for the list and the day (today) that are given, and tell the next job."""
    listed, *day = sys.argv[1:]
    today = date.fromisoformat(day[0]) if day else datetime.now(UTC).date()
    try:
        why = reason(os.environ.get("GITHUB_EVENT_NAME", "schedule"), today, Path(listed), configured_index())
    except CaliperError as error:
        print(error, file=sys.stderr)
        return 2
    print(why or "no new release")
    outcome = f"needed={'true' if why else 'false'}\n"
    output = os.environ.get("GITHUB_OUTPUT")
    if output:
        with Path(output).open("a", encoding="utf-8") as file:
            file.write(outcome)
    else:
        print(outcome, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
