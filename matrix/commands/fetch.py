"""``caliper-matrix fetch``: published results back from a registry."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from matrix.commands.publish import add_registry_options
from matrix.publish import Published, Reference, Remote, pull
from matrix.publish.artifact import PublishError
from matrix.turned import Turned, turned

EPILOG = """\
examples:
  caliper-matrix fetch ghcr.io/owner/oras-matrix
  caliper-matrix fetch ghcr.io/owner/oras-matrix:2026-11-20 -o before
  caliper-matrix fetch ghcr.io/owner/oras-matrix --diff

Every digest is checked before the first file is written. With --diff the exit status is 1 if cells differ.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("reference", metavar="REF", help="what: HOST[:PORT]/NAME[:TAG][@sha256:…]")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="where to (published/SUBJECT)")
    parser.add_argument(
        "--diff", action="store_true", help="print which cells differ from the local results; write only with -o"
    )
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="the local results (results/SUBJECT)")
    add_registry_options(parser)


def run(options: argparse.Namespace) -> int:
    """Fetch, then write or compare."""
    remote = Remote(Reference.parse(options.reference), plain_http=options.plain_http, ca_file=options.ca_file)
    published = pull(remote)
    folder = options.output or (None if options.diff else Path("published") / published.subject)
    if folder:
        published.write(folder)
    cells = _compare(published, options.results or Path("results") / published.subject) if options.diff else []
    print(_as_json(published, folder, cells) if options.json else _as_text(published, folder, cells, diff=options.diff))
    return int(bool(cells))


def _compare(published: Published, results: Path) -> list[Turned]:
    try:
        local = (results / "matrix.csv").read_bytes()
    except OSError as error:
        message = f"{results / 'matrix.csv'} cannot be compared with: {error.strerror}"
        raise PublishError(message) from None
    if "matrix.csv" not in published.files:
        message = "what was published holds no matrix.csv to compare with"
        raise PublishError(message)
    return turned(published.files["matrix.csv"], local)


def _as_json(published: Published, folder: Path | None, cells: Sequence[Turned]) -> str:
    outcome = {
        "digest": published.digest,
        "annotations": dict(published.annotations),
        "folder": str(folder) if folder else None,
        "files": sorted(published.files),
        "turned": [dataclasses.asdict(cell) for cell in cells],
    }
    return json.dumps(outcome, indent=2)


def _as_text(published: Published, folder: Path | None, cells: Sequence[Turned], *, diff: bool) -> str:
    lines = []
    if folder:
        lines.append(f"fetched {published.subject} {published.release}: {len(published.files)} files in {folder}")
    if diff:
        lines += [f"{cell.function} {cell.release}: {cell.before or '-'} -> {cell.after or '-'}" for cell in cells]
        lines.append(f"{len(cells)} cells differ from what was published")
    return "\n".join(lines)
