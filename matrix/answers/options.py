"""The options that commands about results share."""

import argparse
import json
from pathlib import Path

from matrix.answers.results import Results, find_folder, read_results
from matrix.answers.uses import Uses, select


def add_results(parser: argparse.ArgumentParser, examples: str) -> None:
    """Declare ``--results`` and ``--json``, and show examples below the help."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = examples
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="the results (the only folder in results)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_uses(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say what is used."""
    matching = "NAME, or the end of it, or a pattern such as 'oras.provider.*'; can be repeated"
    parser.add_argument(
        "--function", action="append", default=[], metavar="NAME", help=f"only this function: {matching}"
    )
    parser.add_argument("--test", action="append", default=[], metavar="NAME", help="only this test: likewise")
    parser.add_argument("--inner", action="store_true", help="count functions that only the subject itself calls, too")


def results_of(options: argparse.Namespace) -> Results:
    """Return the results that the options name."""
    return read_results(find_folder(options.results))


def uses_of(results: Results, options: argparse.Namespace) -> Uses:
    """Return what is used according to the options."""
    return select(results, options.function, options.test, inner=options.inner)


def as_json(value: object) -> str:
    """Return JSON for people and for programs."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def few(texts: tuple[str, ...], most: int = 5) -> list[str]:
    """Return the first lines, and how many more there are."""
    return [*texts[:most], *([f"… and {len(texts) - most} more"] if len(texts) > most else [])]
