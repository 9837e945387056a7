"""``caliper-matrix explain``: why a function has its verdict on a release."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from matrix import cli
from matrix.answers import options as common
from matrix.answers.explain import Explanation, explain
from matrix.rows import ranges

EXAMPLES = """examples:
  caliper-matrix explain oras.provider.Registry.push 0.2.42
  caliper-matrix explain Registry.push 0.2.42 --json
"""
MOST = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("function", metavar="FUNCTION", help="its definition path, or the end of it")
    parser.add_argument("release", metavar="RELEASE", help="the release")
    common.add_results(parser, EXAMPLES)
    parser.add_argument("--all", action="store_true", help=f"list all calls that do not work, not the first {MOST}")


def run(options: argparse.Namespace) -> int:
    """Print the verdict, its reason, and the calls that do not work."""
    results = common.results_of(options)
    found = explain(results, options.function, options.release)
    most = None if options.all else MOST
    print(common.as_json(asdict(found)) if options.json else "\n".join(_lines(found, results.releases, most)))
    return cli.FINE


def _lines(found: Explanation, order: tuple[str, ...], most: int | None) -> Iterator[str]:
    yield f"{found.function} on {found.release}: {found.verdict} ({found.meaning})"
    if found.detail:
        yield f"  {found.detail}"
    if found.failing:
        yield f"  {found.failing} of {found.judged} judged calls do not work"
    if found.unreplayable:
        yield f"  {found.unreplayable} calls could not be replayed"
    if found.elsewhere:
        yield f"  the same on {ranges(found.elsewhere, order)}"
    if found.calls is None:
        yield "The calls themselves are in calls.csv.gz, which `nox -s matrix` writes; it is not there."
        return
    if found.calls:
        yield "Calls that do not work or could not be replayed:"
    for row in found.calls[:most]:
        told = f"  {row.verdict}: call {row.call} of {row.test or 'no test'} [{row.profile}, {row.tier}]"
        yield told + (f": {row.detail}" if row.detail and row.detail != found.detail else "")
    if most is not None and len(found.calls) > most:
        yield f"  … and {len(found.calls) - most} more (--all lists them)"
