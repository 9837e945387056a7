"""``caliper-matrix verify``: whether a version specifier admits a release that does not work."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from matrix import cli
from matrix.answers import options as common
from matrix.answers.verify import Verified, verify
from matrix.rows import ranges

EXAMPLES = """examples:
  caliper-matrix verify 'oras>=0.2.42'
  caliper-matrix verify '>=0.2.30,!=0.2.34' --function Registry.pull
  caliper-matrix verify 'oras~=0.2.40' --strict --json

The exit status is 1 if the specifier admits a release that does not work (with --strict: that is not known to).
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("specifier", metavar="SPEC", help="a version specifier, or a requirement of the subject")
    common.add_results(parser, EXAMPLES)
    common.add_uses(parser)
    parser.add_argument("--strict", action="store_true", help="count a release that is unknown as one that fails")


def run(options: argparse.Namespace) -> int:
    """Print what the specifier admits: 0 if all of it works, else 1."""
    results = common.results_of(options)
    found = verify(results, common.uses_of(results, options), options.specifier)
    print(common.as_json(asdict(found)) if options.json else "\n".join(_lines(found, results.releases)))
    bad = bool(found.failing) or (options.strict and bool(found.unknown))
    return cli.FINDINGS if bad else cli.FINE


def _lines(found: Verified, order: tuple[str, ...]) -> Iterator[str]:
    admitted = len(found.working) + len(found.failing) + len(found.unknown)
    yield f"{found.specifier or 'any version'} admits {admitted} of {len(order)} judged releases: " + ", ".join(
        f"{len(group)} {name}"
        for name, group in (("work", found.working), ("do not work", found.failing), ("unknown", found.unknown))
        if group
    )
    for name, group in (("does not work", found.failing), ("unknown", found.unknown)):
        for release, answer in group.items():
            first, more = answer.against[0], len(answer.against) - 1
            yield f"  {release} {name}: {first}" + (f", and {more} more" if more else "")
    if found.refused:
        yield f"not admitted, though they work: {ranges(found.refused, order)}"
