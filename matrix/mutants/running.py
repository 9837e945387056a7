"""The suite and the replay on each mutant: what is so, and what is said."""

import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from matrix import environment
from matrix.files import atomic_write
from matrix.mutants.selection import Key, Start, Unchanged, where_felt
from matrix.mutants.sites import Site, mutate
from matrix.suite.server import Answer, SuiteServer, kill_all
from matrix.suite.stage import Selection, Stage, States

NOT_RUN = "not run"  # of a test: too many before it took too long, and it is left out of the scores
PATIENCE = 3  # tests that take too long, of one mutant: the others that loop would say nothing new
TEST_LIMIT = 4.0  # seconds of CPU; the slowest test of oras takes a tenth of it, and a mutant may loop for ever

# What the replay says of some tests on a package that lies in a folder: works, fails or unknown.
Replay = Callable[[Path, Collection[Key]], Mapping[Key, str]]


@dataclass(frozen=True, slots=True)
class Trial:
    """A mutant with what the suite found (pytest's outcomes) and what the replay said, by (test, profile)."""

    site: Site
    truth: Mapping[Key, str]
    replayed: Mapping[Key, str]


@dataclass(frozen=True, slots=True)
class Package:
    """The installed files of a subject's modules, by path relative to the folder ``site`` that they lie in."""

    site: Path
    modules: tuple[str, ...]
    files: tuple[str, ...]

    @staticmethod
    def of(site: Path, modules: Sequence[str]) -> "Package":
        """Find the files."""
        roots = [site / module.replace(".", "/") for module in modules]
        files = [path for root in roots for path in (*root.rglob("*"), root.with_suffix(".py")) if path.is_file()]
        kept = {str(path.relative_to(site)) for path in files if "__pycache__" not in path.parts}
        return Package(site, tuple(modules), tuple(sorted(kept)))

    def sources(self, suite: str) -> dict[str, str]:
        """Return the text of the Python files, without those of the suite."""
        names = [name for name in self.files if name.endswith(".py") and not (suite and name.startswith(f"{suite}/"))]
        return {name: (self.site / name).read_text(encoding="utf-8") for name in names}

    @contextmanager
    def copied(self, file: str = "", source: str = "") -> Iterator[Path]:
        """Make a folder with the package, in which ``file`` has another text; the others are links to what is there."""
        folder = Path(tempfile.mkdtemp(prefix="caliper-mutant-"))
        try:
            for name in self.files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                if name == file:
                    (folder / name).write_text(source, encoding="utf-8")
                else:
                    link_or_copy(self.site / name, folder / name)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Make a hard link, or a copy where the file systems are two."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The suite on the recorded release as it is.

    How tests end and what they execute, what was imported besides, and what the services held before each test.
    """

    selected: Mapping[str, Selection]
    states: Mapping[str, States]
    suite: Unchanged
    warm: tuple[str, ...]

    @property
    def passing(self) -> frozenset[Key]:
        """The tests that pass."""
        return frozenset(key for key, outcome in self.suite.outcomes.items() if outcome == "passed")


def measure(stage: Stage, package: Package, profiles: Sequence[str]) -> Baseline:
    """Run the suite on the recorded release and see which lines it reaches.

    It runs on a copy: what pytest does with the package, should it stand on it itself, is not what the tests do.
    """
    selected: dict[str, Selection] = {}
    outcomes: dict[Key, str] = {}
    entered: dict[Key, frozenset[Start]] = {}
    lines: dict[Key, dict[str, frozenset[int]]] = {}
    modules: set[str] = set()
    states = {profile: States() for profile in profiles}
    with stage.serve(stage.environment(stage.recorded)) as server, package.copied() as site:
        for profile in profiles:
            selected[profile] = stage.select(server, profile)
            answer = stage.run(server, profile, selected[profile], overlay=site, reach=site, states=states[profile])
            outcomes |= {(test, profile): outcome for test, (outcome, _) in answer.outcomes.items()}
            entered |= {(test, profile): starts(found, site) for test, found in answer.entered.items()}
            lines |= {(test, profile): by_file(found, site) for test, found in answer.reached.items()}
            modules |= set(answer.modules)
    return Baseline(selected, states, Unchanged(outcomes, entered, lines), tuple(stage.besides(modules)))


def starts(found: Iterable[Sequence[Any]], site: Path) -> frozenset[Start]:
    """Return functions with their files relative to a folder."""
    return frozenset((os.path.relpath(file, site), line) for file, line in found)


def by_file(found: Mapping[str, Iterable[int]], site: Path) -> dict[str, frozenset[int]]:
    """Return lines by file, relative to a folder."""
    return {os.path.relpath(file, site): frozenset(lines) for file, lines in found.items()}


class Kept:
    """Results in files by what they came from, so that a run that was interrupted goes on where it was."""

    def __init__(self, folder: Path, inputs: str) -> None:
        """Keep results below ``folder`` that hold for ``inputs``."""
        self.folder = folder / hashlib.sha256(inputs.encode()).hexdigest()[:16]

    def get(self, name: str, make: Callable[[], Mapping[Key, str]]) -> Mapping[Key, str]:
        """Return what was kept under a name, or make and keep it."""
        path = self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"
        try:
            return {(test, profile): value for test, profile, value in json.loads(path.read_bytes())}
        except (OSError, ValueError, TypeError):
            pass
        made = make()
        atomic_write(path, json.dumps([[*key, value] for key, value in made.items()]).encode())
        return made


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Tries mutants of one package, several at a time: a server for the suite in each thread.

    Only the tests that a change can matter to are run, and replayed; ``replayed`` is what the replay says without a
    change, and which functions it executes.
    """

    stage: Stage
    package: Package
    baseline: Baseline
    suites: Kept
    replays: Kept
    replay: Replay
    replayed: Unchanged
    local: threading.local = field(default_factory=threading.local)

    def try_all(self, sites: Sequence[Site], jobs: int, told: Callable[[int, Trial], None]) -> list[Trial]:
        """Try all mutants; ``told`` is called with how many are done, and the last. The order is that of ``sites``."""
        sources = self.package.sources(self.stage.subject.suite)
        trials: dict[str, Trial] = {}
        pool = ThreadPoolExecutor(jobs)
        try:
            # Sources are parsed in this thread alone: two that build syntax trees at once are an error in Python 3.11.
            tasks = [(site, mutate(sources[site.file], site), self.affected(sources, site)) for site in sites]
            futures = [pool.submit(self.try_one, *task) for task in tasks]
            for future in as_completed(futures):
                trial = future.result()
                trials[trial.site.name] = trial
                told(len(trials), trial)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            kill_all()
        pool.shutdown()
        return [trials[site.name] for site in sites]

    def affected(self, sources: Mapping[str, str], site: Site) -> tuple[set[Key], set[Key]]:
        """Return the tests that a change can matter to: when they are run, and when they are replayed."""
        where = where_felt(sources[site.file], site)
        return self.baseline.suite.affected(where), self.replayed.affected(where)

    def try_one(self, site: Site, source: str, affected: tuple[set[Key], set[Key]]) -> Trial:
        """Run the suite and the replay on one mutant."""
        run, replay = affected
        with self.package.copied(site.file, source) as overlay:
            name = f"{site.name}\n{source}"
            truth = self.suites.get(name, lambda: self.run_suite(overlay, run))
            ran = {key for key in replay if truth.get(key) != NOT_RUN}
            replayed = self.replays.get(name, lambda: self.replay(overlay, ran))
            return Trial(site, {**self.baseline.suite.outcomes, **truth}, {**self.replayed.outcomes, **replayed})

    def run_suite(self, overlay: Path, affected: Collection[Key]) -> Mapping[Key, str]:
        """Return how tests end with the package in ``overlay``; a test that is not reported is an error."""
        outcomes: dict[Key, str] = {}
        for profile, whole in self.baseline.selected.items():
            tests = tuple(test for test in whole.tests if (test, profile) in affected)
            if not tests:
                continue
            selection = whole if tests == whole.tests else replace(whole, tests=tests, files=tests)
            answer = self.stage.run(
                self.server(),
                profile,
                selection,
                overlay=overlay,
                test_limit=TEST_LIMIT,
                patience=PATIENCE,
                together=True,
                states=self.baseline.states[profile],
            )
            outcomes |= {(test, profile): outcome_of(answer, test) for test in tests}
        return outcomes

    def server(self) -> SuiteServer:
        """Return this thread's server."""
        if not hasattr(self.local, "server"):
            there = self.stage.environment(self.stage.recorded)
            self.local.server = self.stage.serve(there, self.baseline.warm)
        server: SuiteServer = self.local.server
        return server


def outcome_of(answer: Answer, test: str) -> str:
    """Return a test's outcome."""
    return answer.outcomes.get(test, (NOT_RUN if answer.stopped else "error", ""))[0]


def find_package(stage: Stage) -> Package:
    """Return the recorded release's files."""
    there = stage.environment(stage.recorded)
    return Package.of(environment.site_packages(there.venv), stage.subject.modules)
