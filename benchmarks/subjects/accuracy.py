"""How well the map of other packages agrees with the truth: `nox -s accuracy -- NAME …`.

For each package of this folder: record its latest suite (with ``--record``; else the committed trace is used), replay
it on the releases of ``benchmarks/traces/NAME.releases.json``, run the suite itself there, and try mutants. The scores
are in ``results/NAME/accuracy.json``, with each wrong verdict.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from matrix import installer
from matrix.environment import prepare
from matrix.releases import read_releases
from matrix.staleness import masks_of, traces_of
from matrix.subject import load_subject

HERE = Path(__file__).parent
FOLDER = HERE.parent
ROOT = FOLDER.parent
TRACES = FOLDER / "traces"
STEPS = ("replay", "truth", "mutants")


def main() -> int:
    """Measure the packages that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = sorted(path.stem for path in HERE.glob("*.toml"))
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"of {', '.join(known)} (default: all)")
    parser.add_argument("--record", action="store_true", help="record the suite anew")
    parser.add_argument("--only", action="append", choices=STEPS, help="only this step (default: all)")
    parser.add_argument("--mutants", type=int, default=200, metavar="N", help="how many (default: 200)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at a time (default: 2)")
    options = parser.parse_args()
    for name in options.name or known:
        Measuring(name, options.jobs).run(options.only or STEPS, record=options.record, mutants=options.mutants)
    return 0


class Measuring:
    """Measures one package."""

    def __init__(self, name: str, jobs: int) -> None:
        """Say where everything of it is."""
        self.jobs = jobs
        self.path = HERE / f"{name}.toml"
        self.subject = load_subject(self.path)
        self.list = TRACES / f"{name}.releases.json"
        self.listed = read_releases(self.list)
        self.cache = ROOT / ".nox" / ".cache" / "caliper" / "subjects" / name
        self.results = ROOT / "results" / name

    def run(self, steps: tuple[str, ...], *, record: bool, mutants: int) -> None:
        """Take the steps."""
        if record:
            self.record()
        if "replay" in steps:
            for release in self.listed.judged():
                self.ours("release", release.version, "--venv", self.venv(release.version), "--brief", *self.options)
            self.ours("matrix", *self.options, "--out", self.results)
        stage: list[str | Path] = ["--cache", self.cache / "truth", "--out", self.results, "--jobs", str(self.jobs)]
        where: list[str | Path] = ["--subject", self.path, "--releases", self.list, *stage]
        if "truth" in steps:
            self.ours("truth", "--tests", *where)
        if "mutants" in steps:
            self.ours("mutants", str(mutants), *where)

    def venv(self, version: str) -> Path:
        """Return the environment of a release: the one that truth uses."""
        return self.cache / "truth" / "venvs" / version

    @property
    def options(self) -> list[str | Path]:
        """Return what tells a command which package it is about."""
        found = traces_of(self.subject.name, TRACES)
        traces = [word for trace in found for word in ("--trace", trace)]
        return ["--subject", self.path, "--releases", self.list, "--cache", self.cache, *traces]

    def record(self) -> None:
        """Record the latest release's suite, in an environment that has what it needs."""
        for old in traces_of(self.subject.name, TRACES):
            old.unlink()
            masks_of(old).unlink(missing_ok=True)
        latest = self.listed.judged()[-1]
        venv = self.cache / "recording"
        shutil.rmtree(venv, ignore_errors=True)
        installer.make_environment(venv, self.subject.python)
        python = prepare(venv, self.subject.name, latest, self.listed.as_of).python
        beside = [*self.subject.also, *self.subject.test_requires]
        installer.install(beside, python=python, as_of=self.listed.as_of, exempt=self.subject.name)
        for profile in self.subject.profiles:
            trace = TRACES / f"{self.subject.name}-{latest.version}-{profile}.trace.jsonl.gz"
            where: list[str | Path] = ["--subject", self.path, "--releases", self.list, "--cache", self.cache / "truth"]
            self.ours("record", *where, "--profile", profile, "--python", python, "-o", trace)

    def ours(self, *arguments: str | Path) -> None:
        """Run a subcommand of ours, in the folder of the benchmarks: its ``traces`` are those that count."""
        command = [sys.executable, "-P", "-m", "matrix", *map(str, arguments)]
        subprocess.run(command, cwd=FOLDER, check=True)  # noqa: S603 # our own


if __name__ == "__main__":
    sys.exit(main())
