"""Measure what recording costs the program that is recorded, as ratios of processor time in one run.

python benchmarks/recording.py [--python EXE] [--rounds N]

EXE is the Python of an environment with the recorded release of oras and what its suite needs besides; without it one
is made. The suite (anonymous profile) runs bare, under the recorder where the subject is another package that it never
calls (at most 1.02 x), with boundary calls (2 x) and with inner calls too (5 x): in turns, the least of each counts.
"""

import argparse
import os
import resource
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from matrix import installer
from matrix.recording import Interpreter, Job, hooked, scratch, scratch_environment
from matrix.releases import read_releases
from matrix.services import Control, load_services
from matrix.subject import load_subject
from matrix.suite.source import find_suite

PROFILE = "anonymous"
# One pushes 16 GiB where no preset scales it, as bare; the others ask for a host that only the recorder redirects.
LEFT_OUT = "not chunked_push and not ssl and not many_tags"
NEVER_CALLED = ("colorsys",)
LIMITS = {"not called": 1.02, "boundary calls": 2.0, "inner calls too": 5.0}


def make_python(venv: Path) -> Path:
    """Make an environment with the latest release of oras and what its suite needs, and return its Python."""
    subject, listed = load_subject("oras"), read_releases(Path("traces/oras.releases.json"))
    installer.make_environment(venv, subject.python)
    wanted = [f"oras=={listed.judged()[-1].version}", *subject.also, *subject.test_requires]
    installer.install(wanted, python=venv / "bin" / "python", as_of=listed.as_of)
    return venv / "bin" / "python"


def run(kind: str, python: str) -> float:
    """Run the suite one way, and return the seconds of processor time that it took."""
    subject = load_subject("oras")
    interpreter = Interpreter.ask(python)
    with scratch() as folder, load_services(subject.services, subject.options)(PROFILE) as services:
        find_suite(subject, interpreter.site, None, folder / "cache").copy(folder / "work")
        env = {**os.environ, **scratch_environment(folder, Path(python).parent), **services.env}
        pytest = [str(Path(python).with_name("pytest")), "-k", LEFT_OUT, *subject.command[1:]]
        quiet = ("sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", *pytest)
        job = Job(subject, PROFILE, interpreter, quiet, folder, folder / "work", env, services)
        job = replace(job, inner=kind == "inner calls too")
        if kind == "not called":
            job = replace(job, subject=replace(subject, modules=NEVER_CALLED, presets=()))
        raw = folder / "raw"
        raw.mkdir()
        with Control(services.services, folder) as control:
            if kind == "bare":
                return used_by(job)
            with hooked(interpreter.site, job.configure(raw, control.address)):
                return used_by(job)


def used_by(job: Job) -> float:
    """Run a job's command and return its processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    job.run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Measure, print, and return 1 where a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="the environment's Python")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is run (default: 3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="caliper-bench-") as folder:
        python = options.python or str(make_python(Path(folder, "venv")))
        rounds = [{kind: run(kind, python) for kind in ("bare", *LIMITS)} for _ in range(options.rounds)]
    times = {kind: [times[kind] for times in rounds] for kind in rounds[0]}
    bare = min(times["bare"])
    print(f"bare: {bare:.2f} s of processor")
    ratios = {kind: min(times[kind]) / bare for kind in LIMITS}
    for kind, ratio in ratios.items():
        print(f"{kind}: {min(times[kind]):.2f} s, {ratio:.2f} x (at most {LIMITS[kind]})")
    return 0 if all(ratio <= LIMITS[kind] for kind, ratio in ratios.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
