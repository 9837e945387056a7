"""``caliper-matrix floor``: the lowest release from which everything that is used works."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from matrix import cli
from matrix.answers import options as common
from matrix.answers.floor import Floor, floor
from matrix.rows import ranges

EXAMPLES = """examples:
  caliper-matrix floor
  caliper-matrix floor --function Registry.push --function Registry.pull
  caliper-matrix floor --test 'oras/tests/test_provider.py::*' --json

Everything that was recorded from outside counts as used, functions and tests, unless --function or --test name some.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_results(parser, EXAMPLES)
    common.add_uses(parser)


def run(options: argparse.Namespace) -> int:
    """Print the floor: 0, or 1 where there is none."""
    results = common.results_of(options)
    found = floor(results, common.uses_of(results, options))
    print(common.as_json(asdict(found)) if options.json else "\n".join(_lines(found, results.releases)))
    return cli.FINE if found.specifier else cli.FINDINGS


def _lines(found: Floor, order: tuple[str, ...]) -> Iterator[str]:
    if found.specifier is None:
        yield f"no floor: on {found.stopped_by}, the recorded release, something that is used does not work"
        yield from (f"  {text}" for text in common.few(found.stopped))
        return
    yield f"{found.subject}{found.specifier}"
    counts = {"functions": len(found.uses.functions), "tests": len(found.uses.tests)}
    uses = " and ".join(f"{count} {name}" for name, count in counts.items() if count)
    yield f"Everything used ({uses}) works on each release that this admits, of those judged (up to {order[-1]})."
    if found.stopped_by:
        yield f"{found.stopped_by}, the one below, does not work for all, or is not known to:"
        yield from (f"  {text}" for text in common.few(found.stopped))
    else:
        yield "It is the first release there is."
    if found.unknown:
        yield f"Unknown, and so excluded: {ranges(found.unknown, order)}"
    if found.also:
        yield f"Below the floor these work all the same: {ranges(found.also, order)}"
        yield f"between them these do not, or are unknown: {ranges(found.holes, order)}"
    if found.newer_failing:
        yield f"Newer releases that do not work: {ranges(found.newer_failing, order)}"
    if found.uses.left_out:
        yield f"Not judged on any release, and so left out: {', '.join(common.few(found.uses.left_out))}"
