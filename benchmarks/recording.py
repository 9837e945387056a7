"""Measure what recording costs the program that is recorded, as ratios of processor time in one run.

python benchmarks/recording.py [NAME …] [--python EXE] [--rounds N]

NAME is a subject (default: oras, and tomlkit, whose parser makes half a million calls a second). EXE is the Python of
an environment with its recorded release and what its suite needs besides; without it one is made. The suite runs bare,
under the recorder where the subject is another package that it never calls (at most 1.02 x), with the probes alone,
which count and keep no call (1.25 x), with boundary calls (2 x) and, where the subject's file asks for them, with inner
calls too (5 x): in turns, the least of each counts.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from matrix import installer
from matrix.recording import Interpreter, Job, hooked, scratch, scratch_environment
from matrix.releases import ReleaseList, read_releases
from matrix.services import Control, load_services
from matrix.subject import Subject, load_subject
from matrix.suite.source import find_suite

HERE = Path(__file__).parent
# Of oras, one pushes 16 GiB where no preset scales it, as bare; the others ask for a host that only the recorder
# redirects.
LEFT_OUT = {"oras": ("-k", "not chunked_push and not ssl and not many_tags")}
NEVER_CALLED = ("colorsys",)
LIMITS = {"not called": 1.02, "probes alone": 1.25, "boundary calls": 2.0, "inner calls too": 5.0}


@dataclass(frozen=True, slots=True)
class Suite:
    """The suite of a subject's latest release, and the Python that runs it."""

    subject: Subject
    listed: ReleaseList
    python: Path
    cache: Path

    @staticmethod
    def find(name: str, folder: Path, python: str | None) -> "Suite":
        """Return the suite of a subject of ours; without a Python, an environment is made in ``folder``."""
        ours = name == "oras"
        subject = load_subject(name if ours else HERE / "subjects" / f"{name}.toml")
        listed = read_releases((HERE.parent if ours else HERE) / "traces" / f"{name}.releases.json")
        made = Suite(subject, listed, Path(python or folder / name / "bin" / "python"), folder)
        if python is None:
            made.install(folder / name)
        return made

    def install(self, venv: Path) -> None:
        """Make an environment with the latest release and what its suite needs."""
        installer.make_environment(venv, self.subject.python)
        wanted = [f"{self.subject.name}=={self.listed.judged()[-1].version}", *self.subject.also]
        wanted += self.subject.test_requires
        installer.install(wanted, python=self.python, as_of=self.listed.as_of, exempt=self.subject.name)

    @property
    def kinds(self) -> tuple[str, ...]:
        """In which ways it is run."""
        return ("bare", *(kind for kind in LIMITS if kind != "inner calls too" or self.subject.inner))

    def run(self, kind: str) -> float:
        """Run the suite one way, and return the seconds of processor time that it took."""
        subject, profile = self.subject, next(iter(self.subject.profiles))
        interpreter = Interpreter.ask(str(self.python))
        release = self.listed.find(interpreter.release(subject.name))
        with scratch() as folder, load_services(subject.services, subject.options)(profile) as services:
            find_suite(subject, interpreter.site, release, self.cache).copy(folder / "work")
            env = {**os.environ, **scratch_environment(folder, self.python.parent), **services.env}
            pytest = [str(self.python.with_name("pytest")), *LEFT_OUT.get(subject.name, ()), *subject.command[1:]]
            quiet = ("sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", *pytest)
            job = Job(subject, profile, interpreter, quiet, folder, folder / "work", env, services)
            job = replace(job, inner=kind == "inner calls too")
            if kind == "not called":
                job = replace(job, subject=replace(subject, modules=NEVER_CALLED, presets=()))
            raw = folder / "raw"
            raw.mkdir()
            with Control(services.services, folder) as control:
                if kind == "bare":
                    return used_by(job)
                config = job.configure(raw, control.address)
                if kind == "probes alone":
                    count_only(config)
                with hooked(interpreter.site, config):
                    return used_by(job)


def count_only(config: Path) -> None:
    """Let the recorder count calls, and keep none."""
    settings = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**settings, "counts_only": True}), encoding="utf-8")


def used_by(job: Job) -> float:
    """Run a job's command and return its processor time.

    Raises:
        SystemExit: the suite fails, so that nothing that was measured means anything.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    status = job.run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if status:
        message = f"{job.subject.name}: the suite exits with {status}"
        raise SystemExit(message)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(suite: Suite, rounds: int) -> bool:
    """Print what recording a suite costs, and say whether all is within the budget."""
    times = [{kind: suite.run(kind) for kind in suite.kinds} for _ in range(rounds)]
    least = {kind: min(found[kind] for found in times) for kind in suite.kinds}
    print(f"{suite.subject.name}, bare: {least['bare']:.2f} s of processor")
    ratios = {kind: least[kind] / least["bare"] for kind in suite.kinds if kind != "bare"}
    for kind, ratio in ratios.items():
        print(f"{suite.subject.name}, {kind}: {least[kind]:.2f} s, {ratio:.2f} x (at most {LIMITS[kind]})", flush=True)
    return all(ratio <= LIMITS[kind] for kind, ratio in ratios.items())


def main(words: Iterable[str] | None = None) -> int:
    """Measure, print, and return 1 where a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", metavar="NAME", help="a subject (default: oras and tomlkit)")
    parser.add_argument("--python", help="the environment's Python, for one subject")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is run (default: 3)")
    options = parser.parse_args(None if words is None else list(words))
    names = options.name or ["oras", "tomlkit"]
    with tempfile.TemporaryDirectory(prefix="caliper-bench-") as folder:
        suites = [Suite.find(name, Path(folder), options.python) for name in names]
        return 0 if min([measure(suite, options.rounds) for suite in suites]) else 1


if __name__ == "__main__":
    sys.exit(main())
