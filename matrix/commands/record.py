"""``caliper-matrix record``: run a command under the recorder, and keep what it did with the subject as a trace."""

import argparse
import contextlib
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from matrix import cli
from matrix.baseline import compare_runs, masks_path, write_baseline
from matrix.commands.which_registry import add_registry_option, on_registry
from matrix.judging import Reports, sort_reports
from matrix.recording import AGENT, Recording, RecordingError, default_python, record_command, record_subject
from matrix.releases import read_releases
from matrix.replaying import replay_trace
from matrix.subject import SDIST, Subject, load_subject
from matrix.trace import read_trace

EXAMPLES = """\
examples:
  caliper-matrix record --subject oras --profile anonymous --python .venv/bin/python
  caliper-matrix record --module humanize -o humanize.trace.jsonl.gz -- pytest tests
  caliper-matrix record --module mypackage --python .venv/bin/python -- python script.py

The exit status is the command's own.
"""
# How often the recorded release is replayed to find what is noise.
BASELINE_RUNS = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("--subject", metavar="NAME", help="a subject that ships with this package, or a .toml file")
    parser.add_argument("--profile", help="the profile of the subject to record (default: its first)")
    parser.add_argument(
        "--module", action="append", default=[], metavar="NAME", help="the package to record, without a subject file"
    )
    parser.add_argument("--package", metavar="NAME", help="the distribution that holds it (default: the module's name)")
    parser.add_argument("--python", metavar="EXE", help="the environment's Python (default: python3 on the path)")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="TRACE", help="(default: NAME-VERSION-PROFILE.trace.jsonl.gz)"
    )
    add_registry_option(parser)
    parser.add_argument(
        "--network", action="store_true", help="let the command talk to other machines, which no replay will do"
    )
    parser.add_argument(
        "--releases", type=Path, metavar="FILE", help="names the suite's archive (default: traces/NAME.releases.json)"
    )
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="(default: .nox/.cache/caliper/NAME)")
    parser.add_argument("words", nargs="*", metavar="-- COMMAND", help="what to run (default: the subject's command)")


def run(options: argparse.Namespace) -> int:
    """Record, and say in one line what the trace holds."""
    if not options.subject and not options.module:
        message = "say what to record: --subject NAME, or --module NAME -- COMMAND"
        raise RecordingError(message)
    python = str(Path(options.python).absolute()) if options.python else default_python()
    if options.subject:
        subject = on_registry(load_subject(options.subject), options.registry)
        recording, out = subjects(options, subject, python)
    else:
        if not options.words:
            message = "say what to run: caliper-matrix record --module NAME -- COMMAND"
            raise RecordingError(message)
        name = options.package or options.module[0]
        subject = Subject(name=name, modules=tuple(options.module), command=tuple(options.words))
        on_registry(subject, options.registry)
        out = options.out or Path(f"{name}.trace.jsonl.gz")
        recording = record_command(subject, python, out, options.words, network=options.network)
    counts = f"{recording.calls} calls of {recording.functions} functions in {len(recording.tests)} tests"
    print(f"caliper-matrix: {counts}: {out}", file=sys.stderr)
    tell_remarks(recording)
    return recording.status if not options.subject else cli.FINE


def tell_remarks(recording: Recording) -> None:
    """Print what was lost or refused while recording."""
    for trouble in sorted(set(recording.troubles)):
        print(f"caliper-matrix: lost while recording: {trouble}", file=sys.stderr)
    for refusal in recording.refusals:
        print(f"caliper-matrix: while recording, {refusal}", file=sys.stderr)


def subjects(options: argparse.Namespace, subject: Subject, python: str) -> tuple[Recording, Path]:
    """Record a profile of a subject, and find its baseline."""
    profile = options.profile or next(iter(subject.profiles))
    if profile not in subject.profiles:
        message = f"{profile}: no such profile of {subject.name}; known are {', '.join(subject.profiles)}"
        raise RecordingError(message)
    out = options.out or Path(f"{subject.name}-{profile}.trace.jsonl.gz")
    listed = None
    if subject.suite_from == SDIST:
        listed = read_releases(options.releases or Path("traces", f"{subject.name}.releases.json"))
    cache = options.cache or Path(".nox/.cache/caliper", subject.name)
    recording = record_subject(
        subject, profile, python, out, options.words, network=options.network, listed=listed, cache=cache
    )
    if recording.status:
        failed = f"the suite of {subject.name} failed under the recorder (exit status {recording.status})"
        message = "; ".join([f"{failed}: its trace says nothing", *recording.refusals])
        out.unlink()
        raise RecordingError(message)
    make_baseline(subject, python, out)
    return recording, out


@contextlib.contextmanager
def as_a_stranger(python: Path) -> Iterator[Path]:
    """Give a Python that runs the agent as another user, and elsewhere: what depends on that is noise."""
    with tempfile.TemporaryDirectory(prefix="caliper-elsewhere-") as folder:
        program = Path(folder, "python")
        command = shlex.join([str(python), str(AGENT / "stranger.py")])
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        program.chmod(0o700)
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            yield program
        finally:
            tempfile.tempdir = before


def make_baseline(subject: Subject, python: str, out: Path) -> None:
    """Replay a trace on the release that it was recorded on, and keep what is noise beside it."""
    trace = read_trace(out)
    release = trace.header["release"]

    def replayed(program: Path) -> Reports:
        return sort_reports(replay_trace(subject, release, program, out, trace, also=None).reports)

    runs = [replayed(Path(python)) for _ in range(BASELINE_RUNS - 1)]
    with as_a_stranger(Path(python)) as stranger:
        runs.append(replayed(stranger))
    baseline = compare_runs(trace, *runs)
    write_baseline(masks_path(out), baseline)
    left = len(baseline.unreplayable)
    print(
        f"caliper-matrix: {sum(1 for _ in trace.calls()) - left} calls replay as recorded, {left} do not",
        file=sys.stderr,
    )
