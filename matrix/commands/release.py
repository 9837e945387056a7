"""``caliper-matrix release``: install one release in an environment, replay the traces there, keep the outcomes.

The sessions of the noxfile run this; what they pass by options has defaults for calling it by hand.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matrix import bytecode, cli, environment, installer, staleness
from matrix.commands.which_registry import add_registry_option, on_registry
from matrix.errors import CaliperError
from matrix.files import atomic_write
from matrix.processes import die_with_parent, end_on_terminate
from matrix.releases import Release, ReleaseList, read_releases
from matrix.subject import FOLDER, Subject, load_subject

FORMAT = 1
REPLAYED, INSTALL_ERROR = "replayed", "install-error"
YES = "yes"
EXAMPLES = """\
examples:
  caliper-matrix release 0.2.30 --venv /tmp/v
  caliper-matrix release 0.2.30 --venv /tmp/v --python 3.12 --subject subjects/mine.toml --trace mine.trace.jsonl.gz
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("release", metavar="VERSION", help="the release")
    parser.add_argument("--venv", type=Path, required=True, help="its environment; made where there is none")
    parser.add_argument("--python", metavar="X.Y", help="the Python to make it with (default: the subject's)")
    parser.add_argument("--subject", default="oras", help="name, or a .toml file (default: oras)")
    parser.add_argument("--releases", type=Path, metavar="FILE", help="(default: traces/NAME.releases.json)")
    parser.add_argument("--trace", type=Path, action="append", metavar="FILE", help="(default: those in traces/)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="(default: .nox/.cache/caliper/NAME)")
    add_registry_option(parser)
    parser.add_argument("--brief", action="store_true", help="one of many: print one line, replay traces one by one")
    parser.add_argument("--json", action="store_true", help="print the run file's path and facts as JSON")


class NoTraceError(CaliperError):
    """There is nothing to replay."""

    def __init__(self, name: str, folder: Path) -> None:
        """Say how to get a trace."""
        super().__init__(
            f"there is no trace of {name} in {folder}/; `caliper-matrix record` makes one, --trace names one"
        )


class KeepingError(CaliperError):
    """Outcomes cannot be kept."""

    def __init__(self, folder: Path, error: OSError) -> None:
        """Say where, and why."""
        reason = error.strerror or str(error)
        super().__init__(f"{folder}: nothing can be written ({reason}); mend that, or name another --cache")


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a release before and after its replay; the content of a run file."""

    subject: str
    release: str
    status: str
    reason: str
    installed: str
    plain_import: str
    python: str
    resolved: dict[str, str]
    conflicts: list[str]
    profiles: dict[str, Any]


def run(options: argparse.Namespace) -> int:
    """Judge the release and print what came of it."""
    die_with_parent()
    end_on_terminate()
    began = time.time()
    subject = on_registry(load_subject(options.subject), options.registry)
    plan = _plan(options, subject)
    if not plan.traces:
        raise NoTraceError(subject.name, Path("traces", plan.registry))
    listed = read_releases(plan.releases)
    release = listed.find(options.release)
    inputs = staleness.inputs(plan, release.version)
    try:
        result = _judge(subject, plan, listed, release, options.venv, thrifty=options.brief)
        size = _keep(plan, result, inputs)
        facts = {"inputs": inputs, "size": size, "code": staleness.code_used()}
        staleness.write_stamp(plan.stamp(release.version), facts)
    except OSError as error:
        raise KeepingError(plan.cache, error) from error
    if options.json:
        print(_as_json(plan, result))
    else:
        print(_line(result, time.time() - began))
        if not options.brief and result.status == REPLAYED:
            print(_verdicts(plan, result))
    return cli.FINE


def prepare(arguments: Sequence[str]) -> None:
    """Load what a replay with these arguments takes, into a process that forks for each."""
    from matrix.replaying import prepare_replays  # noqa: PLC0415

    parser = argparse.ArgumentParser()
    configure(parser)
    options = parser.parse_args(arguments)
    subject = on_registry(load_subject(options.subject), options.registry)
    plan = _plan(options, subject)
    prepare_replays(subject, plan.traces, _checked(plan))
    staleness.code_used()  # it remembers digests


def _plan(options: argparse.Namespace, subject: Subject) -> staleness.Plan:
    name, registry = subject.name, staleness.registry_label(options.registry)
    label = f"{name}-{registry}" if registry else name
    return staleness.Plan(
        name=name,
        subject=Path(options.subject)
        if Path(options.subject).suffix == ".toml"
        else FOLDER / f"{options.subject}.toml",
        releases=options.releases or Path("traces", f"{name}.releases.json"),
        traces=tuple(sorted(options.trace)) if options.trace else staleness.traces_of(name, Path("traces", registry)),
        cache=options.cache or Path(".nox/.cache/caliper", label),
        results=Path("results", label),
        python=options.python or subject.python or staleness.PRESENT,
        services=subject.services,
        registry=registry,
    )


def _judge(
    subject: Subject, plan: staleness.Plan, listed: ReleaseList, release: Release, venv: Path, *, thrifty: bool
) -> Run:
    if not venv.exists():
        installer.make_environment(venv, plan.python)
    try:
        there = environment.prepare(venv, subject.name, release, listed.as_of)
    except installer.InstallError as error:
        python = environment.read_environment(venv).python_version
        return Run(subject.name, release.version, INSTALL_ERROR, error.reason, "", "", python, {}, [], {})
    also = environment.shared_folder(subject.also, there, listed.as_of, plan.cache)
    bytecode.lend(plan.cache / "bytecode", there)
    profiles = _replay(subject, release, there, plan, also, thrifty=thrifty)
    bytecode.keep(plan.cache / "bytecode", there, subject.name)
    return Run(
        subject=subject.name,
        release=release.version,
        status=REPLAYED,
        reason="",
        installed=release.version,
        plain_import=_plain_import(profiles),
        python=there.python_version,
        resolved=dict(there.packages),
        conflicts=environment.conflicts(also, there) if also else [],
        profiles=profiles,
    )


def _replay(
    subject: Subject,
    release: Release,
    there: environment.Environment,
    plan: staleness.Plan,
    also: Path | None,
    *,
    thrifty: bool,
) -> dict[str, Any]:
    from matrix.replaying import replay_release  # noqa: PLC0415 # a release that cannot be installed needs none of it

    python, checked = there.python.absolute(), _checked(plan)
    return replay_release(subject, release.version, python, plan.traces, also=also, checked=checked, thrifty=thrifty)


def _checked(plan: staleness.Plan) -> Path:
    """Return the folder that notes which traces are valid."""
    return plan.cache / "checked"


def _plain_import(profiles: Mapping[str, Any]) -> str:
    """Return whether the release imports with what it declares and nothing else: ``yes``, or ``no:`` and why."""
    problems = [profile["plain_import"] for profile in profiles.values() if profile["plain_import"]]
    return f"no: {problems[0]}" if problems else YES


def _keep(plan: staleness.Plan, result: Run, inputs: dict[str, Any]) -> int:
    """Write the run file and return its size in bytes."""
    document = {"run": FORMAT, **{name: getattr(result, name) for name in Run.__slots__}, "inputs": inputs}
    data = json.dumps(document, sort_keys=True).encode()
    atomic_write(plan.run_file(result.release), data)
    return len(data)


def _as_json(plan: staleness.Plan, result: Run) -> str:
    facts = {name: getattr(result, name) for name in Run.__slots__ if name != "profiles"}
    return json.dumps({"run_file": str(plan.run_file(result.release)), **facts}, indent=1)


def _line(result: Run, seconds: float) -> str:
    start = f"{result.subject} {result.release} (Python {result.python})"
    if result.status == INSTALL_ERROR:
        return f"{start}: cannot be installed: {result.reason}"
    remarks = [f"{start}: replayed in {seconds:.1f} s"]
    if result.plain_import != YES:
        remarks.append(f"imports alone: {result.plain_import}")
    return "; ".join(remarks + result.conflicts)


def _verdicts(plan: staleness.Plan, result: Run) -> str:
    """Return what does not work, a line a function, and the counts, for each trace."""
    from matrix.baseline import Baseline, masks_path, read_baseline  # noqa: PLC0415 # not needed for the map
    from matrix.commands.replay import as_text  # noqa: PLC0415
    from matrix.judging import sort_reports  # noqa: PLC0415
    from matrix.replaying import checked_trace  # noqa: PLC0415

    parts = []
    for path in plan.traces:
        trace = checked_trace(path, _checked(plan))
        masks = masks_path(path)
        baseline = read_baseline(masks, trace) if masks.exists() else Baseline(trace.digest)
        reports = sort_reports(result.profiles[trace.header["profile"]]["reports"])
        calls, tests = baseline.judge(trace).rows(result.release, reports)
        parts.append(f"{trace.header['profile']}:\n{as_text(calls, tests)}")
    return "\n".join(parts)
