"""``caliper-matrix changes``: what turned between two results folders."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from matrix import cli
from matrix.answers import options as common
from matrix.answers.changes import Changes, changes
from matrix.answers.results import find_folder, read_results
from matrix.report.turns import Turn, order_of

EXAMPLES = """examples:
  caliper-matrix changes before/oras results/oras
  caliper-matrix changes published/oras --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("before", type=Path, metavar="BEFORE", help="the older results")
    parser.add_argument("after", type=Path, nargs="?", metavar="AFTER", help="the newer ones (the only in results)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print what turned, what broke first."""
    before, after = read_results(options.before), read_results(find_folder(options.after))
    found = changes(before, after)
    if options.json:
        told = {**asdict(found), "functions": _as_json(found.functions), "tests": _as_json(found.tests)}
        print(common.as_json(told))
    else:
        print("\n".join(_lines(found, after.releases)))
    return cli.FINE


def _as_json(turns: list[Turn]) -> list[dict[str, object]]:
    return [{"kind": turn.kind, **asdict(turn)} for turn in turns]


def _lines(found: Changes, releases: tuple[str, ...]) -> Iterator[str]:
    order = order_of([*found.functions, *found.tests], releases)
    for name, turns in (("functions", found.functions), ("tests", found.tests)):
        if turns:
            yield f"{name}:"
        for turn in turns:
            was, now = turn.before or "not there", turn.after or "not there"
            yield f"  {turn.kind}: {turn.function}: {was} -> {now} on {turn.place(order)}"
    for name, added in (("new releases", found.added), ("releases that are gone", found.removed)):
        if added:
            yield f"{name}: {', '.join(added)}"
    if not (found.functions or found.tests or found.added or found.removed):
        yield "nothing turned"
