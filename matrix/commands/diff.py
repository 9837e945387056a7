"""``caliper-matrix diff``: what changed between two releases, and what of it a trace uses."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from matrix import cli
from matrix.commands.options import add_subject_options, built, database
from matrix.diff import Change, compare, used
from matrix.predict import NEGATIVE, Predictor, predict, recorded_calls
from matrix.signatures import store
from matrix.signatures.lookup import Namespace
from matrix.signatures.model import ReleaseSource
from matrix.signatures.modules import Found
from matrix.trace import read_trace

EXAMPLES = """examples:
  caliper-matrix diff 0.2.42 0.2.43
  caliper-matrix diff 0.1.30 0.2.1 --used-by traces/oras-0.2.43-anonymous.trace.jsonl.gz
  caliper-matrix diff 1.0 2.0 --subject humanize --json

exit status: 1 when --used-by finds something breaking, 0 otherwise, 2 when a release or a trace cannot be read.
`!` marks what breaks calls that worked, `?` a guess from likeness.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("before", metavar="A", help="the release to start from")
    parser.add_argument("after", metavar="B", help="the release to compare with")
    add_subject_options(parser, EXAMPLES)
    parser.add_argument(
        "--used-by", type=Path, action="append", metavar="TRACE", help="keep what this trace calls; may be given twice"
    )
    parser.add_argument("--json", action="store_true", help="print the changes as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the changes."""
    releases = built(options, [options.before, options.after])
    before, after = releases[options.before], releases[options.after]
    with store.open_store(database(options)) as connection:
        changes = compare(Namespace(before), Namespace(after), lambda digest: store.load_body(connection, digest))
    if options.used_by:
        changes = _used(changes, before, after, options.used_by)
    print(_json(options, changes) if options.json else _text(changes))
    return cli.FINDINGS if options.used_by and any(change.breaking for change in changes) else cli.FINE


def _used(changes: list[Change], before: ReleaseSource, after: ReleaseSource, traces: Iterable[Path]) -> list[Change]:
    """Keep what the traces call on the older release, and see which of their calls do not bind on the newer one."""
    predictor = Predictor(Namespace(before))
    uses: dict[str, set[str]] = {}
    broken: set[str] = set()
    for path in traces:
        trace = read_trace(path)
        calls = recorded_calls(str(trace.header.get("profile", "")), trace.events)
        for call, row in zip(calls, predict(after, calls), strict=True):
            target = predictor.place(call)
            if isinstance(target, Found):
                uses.setdefault(target.path, set()).add(call.test)
                broken |= {target.path} if row.verdict in NEGATIVE else set()
    return used(changes, uses, broken)


def _text(changes: Iterable[Change]) -> str:
    lines = []
    for change in changes:
        marks = f"{'!' if change.breaking else ' '}{'?' if change.guess else ' '}"
        detail = f": {change.detail}" if change.detail else ""
        lines.append(f"{marks} {change.kind:19} {change.path}{detail}")
        lines += [f"       used by {test}" for test in change.tests]
    return "\n".join(lines) or "nothing changed that a signature shows"


def _json(options: argparse.Namespace, changes: Iterable[Change]) -> str:
    data = {"format": 1, "before": options.before, "after": options.after, "changes": [asdict(one) for one in changes]}
    return json.dumps(data, indent=1, ensure_ascii=False)
