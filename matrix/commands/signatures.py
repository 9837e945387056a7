"""``caliper-matrix signatures``: build the database of every release's signatures, without importing any."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matrix import cli
from matrix.commands.options import add_subject_options, database, releases_of
from matrix.releases import Release
from matrix.signatures import build, store
from matrix.signatures.export import release_data

EXAMPLES = """examples:
  caliper-matrix signatures
  caliper-matrix signatures --releases 0.2.42,0.2.43
  caliper-matrix signatures --releases 0.2.43 --json | jq '.releases[0].modules["oras.container"]'

A release that cannot be read is kept with its reason; the others go on. What is stored is described in
docs/signatures.md, so that the database can be asked with any SQLite client.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_subject_options(parser, EXAMPLES)
    parser.add_argument("--releases", metavar="V,V", help="only these (default: all in the list)")
    parser.add_argument("--downloads", type=Path, metavar="FOLDER", help="where wheels and sdists are kept")
    parser.add_argument("--jobs", type=positive, metavar="N", help="processes that read (default: one a processor)")
    parser.add_argument("--json", action="store_true", help="print all that is known of the releases as JSON")


def positive(text: str) -> int:
    """Return a number of processes, or raise ValueError."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def run(options: argparse.Namespace) -> int:
    """Bring the database up to date and say what was done; 2 where a release could not be fetched."""
    wanted = _wanted(options)
    path = database(options)
    outcomes = build.build(path, wanted, downloads=options.downloads, jobs=options.jobs)
    print(_json(path, wanted) if options.json else _table(path, outcomes))
    absent = [one for one in outcomes if one.absent]
    for one in absent:
        print(f"caliper-matrix: {one.version}: {one.reason}", file=sys.stderr)
    return cli.USAGE if absent else cli.FINE


def _wanted(options: argparse.Namespace) -> list[Release]:
    listed = releases_of(options)
    if options.releases is None:
        return list(listed.releases)
    return [listed.find(version) for version in options.releases.split(",")]


def _table(path: Path, outcomes: Iterable[build.Outcome]) -> str:
    listed = list(outcomes)
    lines = [f"{one.version:14} {one.status}: {one.reason}" for one in listed if one.reason]
    with store.open_store(path) as connection:
        lines += [f"{release:14} {module}: {reason}" for release, module, reason in store.unreadable(connection)]
    counts = ", ".join(f"{sum(one.status == status for one in listed)} {status}" for status in build.STATUSES)
    return "\n".join([*lines, f"{path}: {counts}"])


def _json(path: Path, wanted: Iterable[Release]) -> str:
    with store.open_store(path) as connection:
        stored = store.stored_archives(connection)
        releases = store.load_releases(connection, [one.version for one in wanted if one.version in stored])
    data: dict[str, Any] = {"format": 1, "releases": [release_data(release) for release in releases.values()]}
    return json.dumps(data, indent=1, ensure_ascii=False)
