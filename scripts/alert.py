# /// script
# requires-python = ">=3.11"
# dependencies = ["packaging"]
# ///
"""Open an issue for each release that turned red: functions that worked in the committed results and do not now.

A release that is new is compared with the one before it. An issue that is open for the release is not opened twice.
"""

import csv
import io
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from matrix.rows import NO, YES, works
from matrix.turned import ROW_COLUMNS

Verdicts = dict[str, dict[str, str]]


def by_release(table: str) -> Verdicts:
    """Return function and verdict for each release, in the order of the table."""
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    releases = [column for column in rows[0] if column not in ROW_COLUMNS] if rows else []
    return {release: {row["function"]: row[release] for row in rows} for release in releases}


def turned_red(before: Verdicts, after: Verdicts) -> dict[str, list[str]]:
    """Return what worked and does not, a line each, for the releases that have such functions.

    Without committed results nothing is news.
    """
    red: dict[str, list[str]] = {}
    previous = None
    for release, verdicts in after.items():
        old = before.get(release) or (after[previous] if previous else {})
        lines = [
            f"`{function}`: {old[function]} → {verdict}"
            for function, verdict in sorted(verdicts.items())
            if function in old and works(old[function]) == YES and works(verdict) == NO
        ]
        if lines:
            red[release] = lines
        previous = release
    return red if before else {}


def run(*command: str) -> str:
    """Run a command and return what it prints; its failure is ours."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> int:
    """Compare with the commit that is checked out, and open what is missing."""
    table = (Path(sys.argv[1]) / "matrix.csv").as_posix()
    committed = run("git", "ls-files", "--", table) and run("git", "show", f"HEAD:{table}")
    red = turned_red(by_release(committed), by_release(Path(table).read_text(encoding="utf-8")))
    known = run("gh", "issue", "list", "--state", "open", "--limit", "500", "--json", "title", "--jq", ".[].title")
    for release, lines in red.items():
        title = f"Release {release} turned red"
        if title not in known.splitlines():
            shown = [f"- {line}" for line in lines[:100]]
            body = "\n".join([f"{len(lines)} functions worked and do not any more:", "", *shown])
            print(run("gh", "issue", "create", "--title", title, "--body", body), end="")
    print(f"{len(red)} releases turned red")
    return 0


if __name__ == "__main__":
    sys.exit(main())
