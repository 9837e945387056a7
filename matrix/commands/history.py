"""``caliper-matrix history``: each release in which a function changed, and what replay says of it there."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from matrix import cli
from matrix.commands.options import add_subject_options, built, name_of
from matrix.grid import read_grid
from matrix.history import Entry, history

EXAMPLES = """examples:
  caliper-matrix history oras.provider.Registry.push
  caliper-matrix history oras.client.OrasClient --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("function", metavar="FUNCTION", help="a definition path, or any path that leads to it")
    add_subject_options(parser, EXAMPLES)
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="whose verdicts to show (default: results/NAME)")
    parser.add_argument("--json", action="store_true", help="print the releases as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the history."""
    entries = history(options.function, list(built(options).values()), _verdicts(options))
    if options.json:
        data = {"format": 1, "function": options.function, "releases": [asdict(entry) for entry in entries]}
        print(json.dumps(data, indent=1, ensure_ascii=False))
    else:
        print("\n".join(_lines(entries)))
    return cli.FINE


def _verdicts(options: argparse.Namespace) -> dict[str, str]:
    """Return what replay says of the function on each release, nothing where it was not replayed."""
    path = (options.results or Path("results", name_of(options))) / "matrix.csv"
    if not path.exists():
        return {}
    cells = read_grid(path).cells
    return {release: verdict for (function, release), verdict in cells.items() if function == options.function}


def _lines(entries: Iterable[Entry]) -> list[str]:
    lines = []
    for entry in entries:
        lines.append(f"{entry.release:12} {entry.verdict or '':14} {entry.signature or ''}".rstrip())
        lines += [f"  {change}" for change in entry.changes]
    return lines
