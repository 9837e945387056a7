"""``caliper-matrix trace show``: what a trace holds, for a look before it is published."""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matrix import cli
from matrix.contents import Contents, look_through
from matrix.spelling import spell_event
from matrix.trace import Event, Trace, TraceError, read_trace

EXAMPLES = """examples:
  caliper-matrix trace show traces/oras-0.2.43-anonymous.trace.jsonl.gz
  caliper-matrix trace show TRACE --test oras/tests/test_oras.py::test_basic_oras
  caliper-matrix trace show TRACE --json
"""
MOST = 15


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("action", choices=["show"], help="what to do with it")
    parser.add_argument("trace", metavar="TRACE", type=Path, help="a .trace.jsonl.gz file")
    parser.add_argument("--test", metavar="ID", help="list the events of one test (or the end of its id)")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(options: argparse.Namespace) -> int:
    """Print what the trace holds, or the events of one test."""
    trace = read_trace(options.trace)
    if options.test is not None:
        events = list(events_of(trace, find_test(options.trace, trace, options.test)))
        print(
            json.dumps(events, indent=1) if options.json else "\n".join(line for e in events for line in spell_event(e))
        )
        return cli.FINE
    found = look_through(trace)
    summary = summarize(trace, found, options.trace.stat().st_size)
    print(json.dumps(summary, indent=1) if options.json else "\n".join(shown(summary)))
    return cli.FINE


def find_test(path: Path, trace: Trace, wanted: str) -> str:
    """Return the id that is meant, or raise TraceError."""
    known = list(dict.fromkeys(event["id"] for event in trace.events if event["e"] == "test"))
    found = [test for test in known if test == wanted] or [test for test in known if test.endswith(wanted)]
    if len(found) != 1:
        several = f"{len(found)} tests end with {wanted!r}" if found else f"holds no test {wanted!r}"
        raise TraceError(path, f"{several}; `caliper-matrix trace show {path.name}` lists them")
    return str(found[0])


def events_of(trace: Trace, test: str) -> Iterator[Event]:
    """Yield the events of one test."""
    current = ""
    for event in trace.events:
        if event["e"] == "test":
            current = event["id"]
        elif current == test:
            yield event


def summarize(trace: Trace, found: Contents, size: int) -> dict[str, Any]:
    """Return what a trace holds, as data."""
    calls: dict[str, Counter[str]] = {"boundary": Counter(), "inner": Counter()}
    tests: Counter[str] = Counter()
    for test, call in trace.calls():
        calls[call["tier"]][call["function"]] += 1
        tests[test] += 1
    return {
        "header": trace.header,
        "packed": size,
        "digest": trace.digest,
        "events": dict(Counter(event["e"] for event in trace.events).most_common()),
        "definitions": dict(Counter(line["def"] for line in trace.definitions).most_common()),
        "functions": {tier: dict(sorted(counted.items())) for tier, counted in calls.items()},
        "tests": {test: {"outcome": outcome, "calls": tests[test]} for test, outcome in trace.end["tests"].items()},
        "contents": [{"size": size, "name": name, "digest": digest} for size, name, digest in found.contents],
        "variables": list(found.variables),
        "secrets": [{"line": where, "what": what} for where, what in found.secrets],
    }


def shown(summary: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a summary for people."""
    header = summary["header"]
    yield f"{header['subject']} {header['release']}, profile {header['profile']}, on Python {header['python']}"
    yield f"  recorded by caliper-matrix {header['tool']}: {' '.join(header['command'])}"
    yield f"  {summary['packed']:,} bytes packed, sha256 {summary['digest']}"
    for kind in ("events", "definitions"):
        yield f"{kind}: " + (", ".join(f"{count} {name}" for name, count in summary[kind].items()) or "none")
    for tier, counted in summary["functions"].items():
        yield f"{tier} calls: {sum(counted.values())} of {len(counted)} functions"
    outcomes = Counter(test["outcome"] for test in summary["tests"].values())
    yield (
        f"tests: {len(summary['tests'])} (" + ", ".join(f"{n} {outcome}" for outcome, n in outcomes.most_common()) + ")"
    )
    yield from (f"  {test}  {facts['outcome']}, {facts['calls']} calls" for test, facts in summary["tests"].items())
    yield "What would be published:"
    contents = summary["contents"]
    yield f"  contents: {len(contents)}, {sum(content['size'] for content in contents):,} bytes; the largest are"
    yield from (
        f"    {content['size']:>10,}  {content['name'] or content['digest'][:16]}" for content in contents[:MOST]
    )
    yield f"  variables that were set: {', '.join(summary['variables']) or 'none'}"
    yield f"  texts that look like secrets: {len(summary['secrets']) or 'none'}"
    yield from (f"    {secret['line']}: {secret['what']}" for secret in summary["secrets"])
