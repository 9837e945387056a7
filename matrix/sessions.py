"""The nox sessions that draw a map: for our own noxfile, for those of other projects, and for the one that ships.

A noxfile of another project, in an environment that has nox and caliper-matrix::

    from matrix import sessions

    sessions.define("subjects/humanize.toml", folder=".")

This module loads with every noxfile, in the parent and in each of its children: standard library, nox and
`matrix.staleness` only.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nox
from nox.logger import logger

from matrix import staleness, warm

WORKER = "--parallel-worker" in sys.argv
_MAP_SESSIONS = ("matrix", "release")


@dataclass(frozen=True, slots=True)
class Engine:
    """The interpreter that has caliper-matrix: an environment that nox makes of ``source``, else the one of nox."""

    folder: Path
    source: Path | None

    @property
    def home(self) -> Path:
        """The folder of the environment that is made of the source, beside those of the releases."""
        return self.folder / ".nox" / "engine"

    def run(self, session: nox.Session, *arguments: str | Path, log: bool = True) -> None:
        """Run a subcommand of ours."""
        # Whatever is said about bytecode around us: to compile a hundred modules each time is a tenth of a replay.
        env = {"PYTHONDONTWRITEBYTECODE": None}
        python = self.python(session.cache_dir.parent / "engine")
        session.run(*python, "-m", "matrix", *map(str, arguments), env=env, external=True, log=log)

    def python(self, home: Path) -> list[str]:
        """Return how it is started, from its environment if it has one."""
        # -P: a folder called `matrix` in the project around us must not stand in for ours.
        return [sys.executable if self.source is None else str(home / "bin" / "python"), "-P"]

    @property
    def inputs(self) -> str:
        """What the environment is made of. The source itself is installed editable, so it is no part of it."""
        return f"{sys.version}\n{staleness.file_digest(self.source / 'pyproject.toml') if self.source else ''}"

    @property
    def needed(self) -> list[str]:
        """The session that has to run first, if any."""
        if self.source is None or _stamped(self.home / "caliper.txt") == self.inputs:
            return []
        return ["engine"]


def _stamped(stamp: Path) -> str:
    try:
        return stamp.read_text(encoding="utf-8")
    except OSError:
        return ""


def define(
    subject: str | Path, *, folder: str | Path, source: str | Path | None = None, results: str | Path | None = None
) -> None:
    """Define the sessions of one subject: ``release(NAME='…')`` for each release, ``matrix``, ``record``, ``update``.

    Traces and the list of releases lie in ``traces/`` of ``folder``, results go to ``results`` (``results/`` there),
    into a folder of the subject's name. With ``source``, a checkout of caliper-matrix, an environment is made for it;
    without, it has to be installed beside nox.

    Where ``CALIPER_REGISTRY`` names another registry than the embedded one, its traces lie in a folder of its name in
    ``traces/``, and its results beside the others.
    """
    root = Path(folder).absolute()
    needs_uv()
    engine = Engine(root, Path(source).absolute() if source else None)
    plan = make_plan(Path(subject), root, Path(results).absolute() if results else root / "results")
    nox.options.envdir = root / ".nox"
    nox.options.default_venv_backend = "uv"
    nox.options.reuse_venv = "yes"
    nox.options.sessions = ["matrix"]
    stale = staleness.stale_releases(plan) if plan.traces and not WORKER else ()  # a worker knows what it is to do
    if stale and _draws_map(sys.argv[1:], os.environ):
        # Only then: the sessions of other jobs should print while they run, and not at their end.
        # More than there are cores: a third of a session's time is waiting, for the index, a registry, or each other.
        nox.options.parallel = (os.cpu_count() or 1) + 2
        nox.options.stop_on_first_error = True
        if len(stale) > 1 and not engine.needed:
            alike = [stale[0], "--venv", "", "--python", plan.python, *plan_options(plan)]
            warm.start(engine.python(engine.home), alike)
    if WORKER:
        logger.setLevel("WARNING")  # the line of result says it all
    if engine.source is not None:
        _define_engine(engine)
    _define_release(engine, plan)
    _define_matrix(engine, plan, stale)
    _define_record(engine, plan)
    _define_data(engine, plan)


def needs_uv() -> None:
    """End with one line where nox was installed without uv."""
    try:
        import uv  # noqa: F401, PLC0415
    except ImportError:
        if shutil.which("uv") is None:
            sys.exit("These sessions need uv: run them by `uvx --from 'nox[uv]' nox`, or `pip install 'nox[uv]'`.")


def make_plan(subject: Path, root: Path, results: Path) -> staleness.Plan:
    """Return which files a map is made of and where it goes."""
    try:
        facts = staleness.subject_facts(subject)
    except ValueError as error:
        sys.exit(str(error))
    cache = root / ".nox" / ".cache" / "caliper"
    python = judging_python(facts.python, cache)
    registry = staleness.registry_label(os.environ.get(staleness.REGISTRY_VARIABLE, ""))
    label = "-".join([facts.name, *([] if python == facts.python else [f"py{python}"]), *filter(None, [registry])])
    return staleness.Plan(
        name=facts.name,
        subject=subject.absolute(),
        releases=root / "traces" / f"{facts.name}.releases.json",
        traces=staleness.traces_of(facts.name, root / "traces" / registry),
        cache=cache / label,
        results=results / label,
        python=python,
        services=facts.services,
        registry=registry,
    )


def judging_python(wanted: str, cache: Path) -> str:
    """Return the version of Python that judges: the wanted one, or the present one where that cannot be had.

    Whether it can is found out once, by uv, and kept in ``cache``: children of this process must see the same answer.
    """
    if wanted == staleness.PRESENT:
        return wanted
    known = cache / f"python-{wanted}.json"
    try:
        return str(json.loads(known.read_bytes()))
    except (OSError, ValueError):
        pass
    has = any(_uv_python(verb, wanted) for verb in ("find", "install"))
    chosen = wanted if has else staleness.PRESENT
    cache.mkdir(parents=True, exist_ok=True)
    known.write_text(json.dumps(chosen), encoding="utf-8")
    if not has:
        logger.warning(f"Python {wanted} cannot be had here: Python {chosen} judges. Remove {known} to look again.")
    return chosen


def _uv_python(verb: str, version: str) -> bool:
    from nox.virtualenv import UV  # noqa: PLC0415 # runs uv

    command = [UV, "python", verb, "--no-config", version]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603 # uv as nox found it


def _draws_map(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Tell whether nox was asked for the map, or for nothing in particular, which is the map as well."""
    words = [*arguments, *environ.get("NOXSESSION", "").replace(",", " ").split()]
    chooses = {"-s", "-e", "--session", "--sessions", "-k", "-t", "-l", "--list"} & set(
        words
    ) or "NOXSESSION" in environ
    return not chooses or any(name in words for name in _MAP_SESSIONS)


def _define_engine(engine: Engine) -> None:
    @nox.session(
        name="engine",
        python=None if sys.version_info >= (3, 11) else ">=3.11",
        default=False,
        allow_parallel=True,
    )
    def make_engine(session: nox.Session) -> None:
        """Install caliper-matrix for the other sessions; nothing is done while its pyproject.toml is the same."""
        if engine.needed:
            session.install("--editable", str(engine.source))
            (session.env_dir / "caliper.txt").write_text(engine.inputs, encoding="utf-8")


def plan_options(plan: staleness.Plan) -> list[str]:
    """Return the options by which a subcommand is told of the plan."""
    options = ["--subject", str(plan.subject), "--releases", str(plan.releases), "--cache", str(plan.cache)]
    return options + [word for trace in plan.traces for word in ("--trace", str(trace))]


def _define_release(engine: Engine, plan: staleness.Plan) -> None:
    versions = [entry.version for entry in staleness.listed_releases(plan.releases)[1] if entry.judged]

    @nox.session(
        name="release", python=plan.python, reuse_venv=True, default=False, allow_parallel=True, requires=engine.needed
    )
    @nox.parametrize(plan.name, versions)
    def judge_release(session: nox.Session, **parameters: str) -> None:
        """Install one release and replay the recorded calls on it."""
        if not plan.traces:
            session.error(f"there is no trace of {plan.name} yet: `nox -s record` makes one")
        venv = session.virtualenv.location
        brief = ["--brief"] if session.parallel else []
        options = ["--venv", venv, "--python", plan.python, *brief, *plan_options(plan), *session.posargs]
        status = warm.run(["release", parameters[plan.name], *options])
        if status is None:
            engine.run(session, "release", parameters[plan.name], *options, log=False)
        elif status:
            session.error(f"release {parameters[plan.name]} was not judged")


def _define_matrix(engine: Engine, plan: staleness.Plan, stale: Sequence[str]) -> None:
    due = not WORKER and (bool(stale) or staleness.results_stale(plan))

    @nox.session(
        name="matrix",
        python=False,
        allow_parallel=True,
        requires=[*(engine.needed if due else []), *(f"release({plan.name}={version!r})" for version in stale)],
    )
    def draw_matrix(session: nox.Session) -> None:
        """Judge what changed since the last time, and write the matrix, the picture and the report."""
        if not plan.traces:
            session.error(f"there is no trace of {plan.name} yet: `nox -s record` makes one")
        left = staleness.stale_releases(plan)
        if left and not session.posargs:
            session.error(f"{len(left)} releases are not judged: run this without --no-dependencies")
        if not staleness.results_stale(plan) and not session.posargs:
            session.log(f"nothing changed since {plan.results / 'matrix.csv'} was written")
            return
        began = staleness.results_inputs(plan)
        options = [*plan_options(plan), "--out", str(plan.results), *session.posargs]
        engine.run(session, "matrix", *options, log=False)
        staleness.stamp_results(plan, began)


def _define_record(engine: Engine, plan: staleness.Plan) -> None:
    as_of, entries = staleness.listed_releases(plan.releases)
    judged = [entry.version for entry in entries if entry.judged]

    @nox.session(name="record", python=plan.python, reuse_venv=False, default=False, requires=engine.needed)
    def record(session: nox.Session) -> None:
        """Record the suite of the latest release anew, each profile (-- PROFILE … for some)."""
        if not judged:
            session.error(f"{plan.releases} has no releases: `nox -s update` asks the index for them")
        facts = staleness.subject_facts(plan.subject)
        day = ["--exclude-newer", f"{as_of}T00:00:00Z", "--exclude-newer-package", f"{plan.name}=9999-01-01T00:00:00Z"]
        session.install(*day, f"{plan.name}=={judged[-1]}", *facts.beside)
        for profile in session.posargs or facts.profiles:
            trace = plan.releases.parent / plan.registry / f"{plan.name}-{judged[-1]}-{profile}.trace.jsonl.gz"
            options = ["--profile", profile, "--python", f"{session.bin}/python", "-o", str(trace)]
            where: list[str | Path] = ["--subject", plan.subject, "--releases", plan.releases, "--cache", plan.cache]
            engine.run(session, "record", *where, *options)


def _define_data(engine: Engine, plan: staleness.Plan) -> None:
    def define_command(name: str, summary: str, *options: str | Path) -> None:
        def run_command(session: nox.Session) -> None:
            engine.run(session, name, *options, *session.posargs)

        run_command.__doc__ = summary
        nox.session(name=name, python=False, default=False, requires=engine.needed)(run_command)

    @nox.session(name="update", python=False, default=False, requires=engine.needed)
    def update(session: nox.Session) -> None:
        """Ask the index which releases there are, and write the list anew (-- --as-of 2026-11-20)."""
        arguments: list[str | Path] = ["releases", plan.name, "--update", "--file", plan.releases, *session.posargs]
        engine.run(session, *arguments)

    subject: list[str | Path] = ["--subject", plan.subject, "--releases", plan.releases, "--python", plan.python]
    truth: list[str | Path] = [*subject, "--cache", plan.cache / "truth", "--out", plan.results]
    define_command("truth", "Run the subject's own suite on every release: what the map is scored against.", *truth)
    define_command("mutants", "Replay on the release with planted faults, and count those that show.", *truth)
    reading: list[str | Path] = ["--subject", plan.subject, "--list", plan.releases, "--results", plan.results]
    define_command("predict", "Tell by reading alone what works on each release, and score that.", *reading)
    define_command("publish", "Publish the results to a registry (-- HOST/NAME).", "--results", plan.results)
