"""``caliper-matrix replay``: judge any environment by a trace: a working tree, a fork, a patched copy."""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from matrix import cli
from matrix.baseline import Baseline, masks_path, read_baseline
from matrix.commands.which_registry import add_registry_option, on_registry
from matrix.files import atomic_write
from matrix.judging import sort_reports
from matrix.replaying import replay_trace
from matrix.rows import VERDICTS, CallRow, TestRow
from matrix.subject import FOLDER, Subject, load_subject
from matrix.trace import Trace, read_trace

EXAMPLES = """\
examples:
  caliper-matrix replay traces/oras-0.2.43-anonymous.trace.jsonl.gz --python .venv/bin/python
  caliper-matrix replay humanize.trace.jsonl.gz --python other/bin/python -o run.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("trace", type=Path, metavar="TRACE", help="the recorded trace")
    parser.add_argument("--python", type=Path, required=True, metavar="EXE", help="the environment's Python")
    parser.add_argument("--subject", metavar="NAME", help="name, or a .toml file (default: the trace's)")
    parser.add_argument("--release", default="", metavar="NAME", help="what to call what is installed there")
    parser.add_argument("--also", type=Path, metavar="FOLDER", help="what the suite needs, put last on the path")
    add_registry_option(parser)
    parser.add_argument("-o", "--out", type=Path, metavar="RUN", help="write what the agent reported")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")


def run(options: argparse.Namespace) -> int:
    """Replay, and tell what does not work."""
    trace = read_trace(options.trace)
    subject = on_registry(subject_of(trace, options.subject), options.registry)
    release = options.release or trace.header["release"]
    replay = replay_trace(subject, release, options.python.absolute(), options.trace, trace, also=options.also)
    if options.out:
        profiles = {trace.header["profile"]: {"trace": trace.digest, "reports": replay.reports}}
        facts = {"run": 1, "subject": subject.name, "release": release, "profiles": profiles}
        atomic_write(options.out, json.dumps(facts, sort_keys=True).encode())
    path = masks_path(options.trace)
    baseline = read_baseline(path, trace) if path.exists() else Baseline(trace.digest)
    calls, tests = baseline.judge(trace).rows(release, sort_reports(replay.reports))
    print(as_json(calls, tests) if options.json else as_text(calls, tests))
    return cli.FINE


def subject_of(trace: Trace, name: str | None) -> Subject:
    """Return the subject that a trace is of: the named one, the one that ships with us, or what the header says."""
    if name:
        return load_subject(name)
    own = str(trace.header["subject"])
    if (FOLDER / f"{own}.toml").exists():
        return load_subject(own)
    return Subject(name=own, modules=tuple(trace.header["modules"]), command=tuple(trace.header["command"]))


def as_json(calls: list[CallRow], tests: list[TestRow]) -> str:
    """Return the verdicts for a script."""
    made: dict[str, Any] = {
        "calls": [{name: getattr(row, name) for name in CallRow.__slots__} for row in calls],
        "tests": [{name: getattr(row, name) for name in TestRow.__slots__} for row in tests],
    }
    return json.dumps(made, indent=1)


def as_text(calls: list[CallRow], tests: list[TestRow]) -> str:
    """Return what does not work, a line a function, and the counts."""
    counts = Counter(row.verdict for row in calls)
    worst: dict[tuple[str, str], CallRow] = {}
    for row in calls:
        if row.verdict not in ("ok", "differs"):
            worst.setdefault((row.function, row.verdict), row)
    lines = [f"{row.verdict:12} {row.function}: {row.detail}" for row in worst.values()]
    works = sum(row.ungated == "works" for row in tests)
    told = [verdict.name for verdict in reversed(VERDICTS) if counts[verdict.name]]
    summary = ", ".join(f"{counts[name]} {name}" for name in told)
    return "\n".join([*sorted(lines), f"{len(calls)} calls: {summary}; {works} of {len(tests)} tests work"])
