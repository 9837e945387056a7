"""The front door: `nox -s matrix` judges every release of oras, `nox -s tests` tests this project.

A release by itself: `nox -s "release(oras='0.2.30')"`.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import nox
from nox.logger import logger

nox.needs_version = ">=2026.10.20"  # --parallel

HERE = Path(__file__).parent
# By its path: another package called `matrix` may be installed where nox is.
sys.path.insert(0, str(HERE))

from matrix import sessions  # noqa: E402
from matrix.staleness import file_digest  # noqa: E402

sessions.define(HERE / "matrix" / "subjects" / "oras.toml", folder=HERE, source=HERE)

CODE = ("matrix", "tests", "benchmarks", "container", "scripts", "noxfile.py")


def install(session: nox.Session, *groups: str) -> None:
    """Install this project with dependency groups, unless that was done before with the same pyproject.toml."""
    stamp = session.env_dir / "caliper.txt"
    wanted = f"{sys.version}\n{file_digest(HERE / 'pyproject.toml')}"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        session.install("--editable", ".", *(word for group in groups for word in ("--group", group)))
        stamp.write_text(wanted, encoding="utf-8")


@nox.session(default=False)
def tests(session: nox.Session) -> None:
    """Run the tests, with their coverage (-- what pytest takes)."""
    install(session, "test")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    if not session.posargs:
        session.run("coverage", "report", "--skip-covered", "--skip-empty")


@nox.session(default=False)
def minimums(session: nox.Session) -> None:
    """Run the tests with the oldest dependencies that pyproject.toml allows (-- what pytest takes)."""
    session.install("--resolution", "lowest-direct", "--editable", ".", "--group", "test")
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def lint(session: nox.Session) -> None:
    """Check style and types."""
    install(session, "lint", "test")
    present = [path for path in CODE if (HERE / path).exists()]
    session.run("ruff", "check", *present)
    session.run("ruff", "format", "--check", *present)
    session.run("mypy", *present)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure what docs promise, in ratios (-- NAME … for some of benchmarks/)."""
    install(session, "test")
    chosen = session.posargs or sorted(path.stem for path in (HERE / "benchmarks").glob("[a-z]*.py"))
    for name in chosen:
        session.run("python", f"benchmarks/{name}.py")


@nox.session(default=False)
def image(session: nox.Session) -> None:
    """Build the container image as caliper-matrix, and check it: hardened, stopped, killed at 20 moments."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:  # noqa: S603
        logger.error("no Docker daemon answers: start one, or set DOCKER_HOST")
        sys.exit(2)  # a session's own error would be 1
    install(session, "test")
    checks = {"CALIPER_IMAGE": "caliper-matrix", "CALIPER_IMAGE_ROUNDS": "20"}
    session.run("pytest", *(session.posargs or ["tests/test_image.py"]), env=checks)


@nox.session(default=False)
def accuracy(session: nox.Session) -> None:
    """Score the map of other packages against the truth (-- NAME … --record --mutants 30; default: all of them)."""
    install(session, "test")
    session.run("python", "benchmarks/subjects/accuracy.py", *session.posargs)
