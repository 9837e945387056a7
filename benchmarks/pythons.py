"""Compare what traces recorded on several Pythons say, and what one trace says on several Pythons.

python benchmarks/pythons.py [--recorded-on 3.11 3.12 3.13] [--replayed-on 3.8 3.13] [--keep FOLDER] [VERSION …]

* recorded on: the suite is recorded on each of these Pythons, the traces are replayed in the same environments (of the
  Python that judges), and `matrix.csv` has to be the same.
* replayed on: the trace recorded on the Python that judges is replayed in environments of these Pythons; each verdict
  that is not the same is printed, with the reason. Which of them are truly the Python's is for a person to say.

The VERSIONs are releases (default: some of each age); the recorded one is always among them.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matrix import environment, installer
from matrix.commands.matrix import judges
from matrix.judging import Judge, sort_reports
from matrix.releases import ReleaseList, read_releases
from matrix.replaying import replay_release
from matrix.rows import CallRow, ReleaseRow, TestRow
from matrix.subject import Subject, load_subject
from matrix.suite.stage import Stage
from matrix.table import Extras, build, matrix_csv

ROOT = Path(__file__).parents[1]
STEP = 8  # every so many releases there is one that is compared
SHOWN = 40  # differences that are printed of each pair
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the traces say of some releases."""

    calls: Sequence[CallRow]
    tests: Sequence[TestRow]
    releases: Sequence[ReleaseRow]

    def by_call(self, release: str) -> dict[Key, CallRow]:
        """Return the rows of a release by profile, test and number: how equal traces name a call."""
        return {(row.profile, row.test, row.call): row for row in self.calls if row.release == release}


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the environments and the traces are kept, and what is compared."""

    toml: str
    subject: Subject
    listed: ReleaseList
    recorded: str
    versions: Sequence[str]
    folder: Path

    def stage(self, python: str) -> Stage:
        """Return the environments of a Python."""
        return Stage(self.subject, self.listed, self.recorded, python, self.folder / "environments" / python)

    def record(self, python: str) -> list[Path]:
        """Record all profiles on a Python, unless that was done, and return the traces."""
        out = [self.folder / "traces" / python / f"{name}.trace.jsonl.gz" for name in self.subject.profiles]
        missing = [path for path in out if not path.exists()]
        venv = self.folder / "recording" / python
        if missing and not venv.exists():
            installer.make_environment(venv, python)
            wanted = [f"{self.subject.name}=={self.recorded}", *self.subject.also, *self.subject.test_requires]
            made = environment.read_environment(venv).python
            installer.install(wanted, python=made, as_of=self.listed.as_of, exempt=self.subject.name)
        for path in missing:
            path.parent.mkdir(parents=True, exist_ok=True)
            profile = path.name.partition(".")[0]
            executable = venv.absolute() / "bin" / "python"
            command = [sys.executable, "-P", "-m", "matrix", "record", "--subject", self.toml, "--profile", profile]
            command += ["--python", str(executable), "-o", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # ours
            if done.returncode:
                sys.exit(f"recording on {python} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return out

    def judge(self, traces: Sequence[Path], python: str) -> Judged:
        """Replay traces on all releases in environments of a Python."""
        made = Judged([], [], [])
        judged = judges(list(traces))
        for version in self.versions:
            self.replay(traces, judged, python, version, made)
        return made

    def replay(self, traces: Sequence[Path], judged: Sequence[Judge], python: str, version: str, made: Judged) -> None:
        """Add to ``made`` what the traces say of a release."""
        stage = self.stage(python)
        try:
            there = stage.environment(version)
        except installer.InstallError as error:
            made.releases.append(row(version, "install-error", error.reason))  # type: ignore[attr-defined]
            rows = [judge.not_installed(version, error.reason) for judge in judged]
        else:
            also = environment.shared_folder(self.subject.also, there, self.listed.as_of, stage.cache)
            interpreter, checked = there.python.absolute(), stage.cache / "checked"
            profiles = replay_release(self.subject, version, interpreter, traces, also=also, checked=checked)
            made.releases.append(row(version, "replayed", ""))  # type: ignore[attr-defined]
            reports = [sort_reports(profiles[judge.trace.header["profile"]]["reports"]) for judge in judged]
            rows = [judge.rows(version, found) for judge, found in zip(judged, reports, strict=True)]
        for calls, tests in rows:
            made.calls.extend(calls)  # type: ignore[attr-defined]
            made.tests.extend(tests)  # type: ignore[attr-defined]

    def matrix(self, judged: Judged) -> bytes:
        """Return ``matrix.csv``."""
        table = build(
            self.subject.name,
            self.recorded,
            self.listed.as_of,
            calls=judged.calls,
            tests=judged.tests,
            releases=judged.releases,
            extras=Extras(),
        )
        return matrix_csv(table)


def row(version: str, status: str, reason: str) -> ReleaseRow:
    """Return the row of a release."""
    return ReleaseRow(version, "", yanked=False, installed=version, plain_import="yes", python="", status=status,
                      reason=reason)  # fmt: skip


def differing_lines(one: bytes, other: bytes) -> list[str]:
    """Return the cells that differ between two files, or the rows that only one has."""
    header, *left = [line.split(",") for line in one.decode().splitlines()]
    _, *right = [line.split(",") for line in other.decode().splitlines()]
    known, found = {line[0]: line for line in left}, {line[0]: line for line in right}
    lines = [f"only in one of them: {name}" for name in sorted(known.keys() ^ found.keys())]
    for name in sorted(known.keys() & found.keys()):
        pairs = zip(header, known[name], found[name], strict=True)
        lines += [f"{name}, {column}: {left}, {right}" for column, left, right in pairs if left != right]
    return lines


def differing_calls(one: Mapping[Key, CallRow], other: Mapping[Key, CallRow]) -> list[str]:
    """Return the calls whose verdicts differ, alike ones together."""
    kinds = Counter(
        f"{known.function} ({known.tier}): {known.verdict}, {found.verdict}: {found.detail or known.detail}"
        for known, found in ((one[key], other[key]) for key in sorted(one.keys() & other.keys()))
        if known.verdict != found.verdict
    )
    return [f"{count} x {kind}" for kind, count in kinds.most_common()]


def show(title: str, lines: Sequence[str], whole: int | str) -> None:
    """Print what differs."""
    print(f"{title}: {len(lines)} differ (of {whole})", flush=True)
    for line in lines[:SHOWN]:
        print(f"  {line}", flush=True)


def compare_recordings(bench: Bench, pythons: Sequence[str], judging: str) -> bool:
    """Compare the maps that traces of several Pythons give in the same environments."""
    maps = {}
    for python in pythons:
        maps[python] = bench.matrix(bench.judge(bench.record(python), judging))
    first, *others = pythons
    cells = (maps[first].count(b"\n") - 1) * len(bench.versions)
    for python in others:
        lines = differing_lines(maps[first], maps[python])
        show(f"recorded on {python} beside {first}, replayed on {judging}, cells", lines, cells)
    return len(set(maps.values())) == 1


def compare_replays(bench: Bench, pythons: Sequence[str], judging: str) -> None:
    """Compare what the trace of the judging Python says in environments of other Pythons."""
    traces = bench.record(judging)
    known = bench.judge(traces, judging)
    for python in pythons:
        found = bench.judge(traces, python)
        for version in bench.versions:
            status = next(row for row in found.releases if row.release == version)
            if status.status != "replayed":
                print(f"replayed on {python}, {version}: cannot be installed: {status.reason}", flush=True)
                continue
            one, other = known.by_call(version), found.by_call(version)
            show(f"replayed on {python} beside {judging}, {version}, calls", differing_calls(one, other), len(one))


def main() -> int:
    """Compare; return 1 where maps are not equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="*", metavar="VERSION", help="the releases (default: some)")
    parser.add_argument("--subject", default="oras", help="name, or a .toml file (default: oras)")
    parser.add_argument("--recorded-on", nargs="*", default=["3.11", "3.12", "3.13"], metavar="X.Y")
    parser.add_argument("--replayed-on", nargs="*", default=["3.8", "3.13"], metavar="X.Y")
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="work there, and leave it")
    options = parser.parse_args()
    subject = load_subject(options.subject)
    listed = read_releases(ROOT / "traces" / f"{subject.name}.releases.json")
    every = [release.version for release in listed.judged()]
    chosen = {listed.find(version).version for version in options.version or every[::STEP]} | {every[-1]}
    judging = subject.python or "3.11"
    with tempfile.TemporaryDirectory(prefix="caliper-bench-") as scratch:
        folder = (options.keep or Path(scratch)).absolute()
        versions = [version for version in every if version in chosen]
        bench = Bench(options.subject, subject, listed, every[-1], versions, folder)
        equal = compare_recordings(bench, options.recorded_on, judging) if options.recorded_on else True
        if options.replayed_on:
            compare_replays(bench, options.replayed_on, judging)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
