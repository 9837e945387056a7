"""Where a subject's suite is run: environments, what the tests need besides, working folders, services."""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from matrix import environment, installer, merging, recording
from matrix.environment import Environment
from matrix.errors import CaliperError
from matrix.recording import scratch, scratch_environment
from matrix.releases import ReleaseList
from matrix.services import Control, Services, load_services
from matrix.subject import Subject
from matrix.suite.server import Answer, Job, SuiteServer
from matrix.suite.source import Suite, find_suite


class StageError(CaliperError):
    """A subject whose suite can't be run test by test."""

    def __init__(self, subject: Subject, reason: str) -> None:
        """Keep the subject's name."""
        super().__init__(f"{subject.name}: {reason}; see `suite` and `command` in its file")
        self.subject = subject.name


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tests are run: the ids, the files that they are in, pytest's options, and the suite."""

    suite: Suite
    tests: tuple[str, ...]
    files: tuple[str, ...]
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class States:
    """What the services held before each test: by test and service, with the contents that the states name.

    Empty ones are filled by a run, later runs begin each test with what it had then: a test that fails must not take
    the ones after it along.
    """

    tests: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """Runs the suite of the ``recorded`` release in the environment of any release.

    ``python`` is the version of Python that judges; environments and compiled modules are kept in ``cache``.
    """

    subject: Subject
    listed: ReleaseList
    recorded: str
    python: str
    cache: Path
    lock: Any = field(default_factory=threading.Lock)

    def environment(self, version: str) -> Environment:
        """Return the environment of a release, made if it is not there.

        Raises:
            InstallError: the release can't be installed.
        """
        venv = self.cache / "venvs" / version
        if not venv.exists():
            installer.make_environment(venv, self.python)
        return environment.prepare(venv, self.subject.name, self.listed.find(version), self.listed.as_of)

    def serve(self, there: Environment, warm: Sequence[str] = ()) -> SuiteServer:
        """Start a server in an environment, with what the tests need besides last on its path."""
        wanted = [self.subject.also, self.subject.test_requires]
        with self.lock:  # the folders are made by whoever comes first
            folders = [environment.shared_folder(also, there, self.listed.as_of, self.cache) for also in wanted]
        return SuiteServer(
            there.python.absolute(),
            [folder.absolute() for folder in folders if folder],
            bytecode=(self.cache / "bytecode").absolute(),
            subject=self.subject.modules,
            warm=warm,
        )

    def besides(self, modules: Iterable[str]) -> list[str]:
        """Return the modules that are neither the subject's nor its suite's: what a server may import beforehand."""
        own = {*self.subject.modules, *self.subject.suite.split("/"), "__main__"}
        return sorted(name for name in modules if name.partition(".")[0] not in own)

    def suite(self) -> Suite:
        """Return the suite, as the recorded release brings it.

        Raises:
            SourceError: it brings none.
        """
        site = environment.site_packages(self.environment(self.recorded).venv)
        return find_suite(self.subject, site, self.listed.find(self.recorded), self.cache)

    def select(self, server: SuiteServer, profile: str) -> Selection:
        """Return the tests that a profile has on the recorded release, which ``server`` is of.

        Raises:
            StageError: the command is not pytest with files or folders, or there are no tests.
        """
        suite = self.suite()
        arguments = pytest_arguments(self.subject)
        paths = [argument for argument in arguments if (suite.root / argument).exists()] or [self.subject.suite]
        deselected = (f"--deselect={test}" for test in self.subject.profiles[profile].deselect)
        options = (*(argument for argument in arguments if argument not in paths), *deselected)
        answer = self.run(server, profile, Selection(suite, (), tuple(paths), (*options, "--collect-only")))
        if not answer.collected:
            reasons = "; ".join(answer.uncollected.values())
            raise StageError(self.subject, f"no test was found in {' '.join(paths)} ({reasons or server.last_words()})")
        return Selection(suite, answer.collected, tuple(dict.fromkeys(map(file_of, answer.collected))), options)

    def run(
        self,
        server: SuiteServer,
        profile: str,
        selection: Selection,
        *,
        tolerant: bool = False,
        overlay: Path | None = None,
        reach: Path | None = None,
        test_limit: float = 30.0,
        patience: int = 0,
        together: bool = False,
        states: States | None = None,
        record: bool = False,
    ) -> Answer:
        """Run tests in a fresh working folder with fresh services, and ``record`` them; the rest is as in a ``Job``."""
        with (
            scratch() as folder,
            load_services(self.subject.services, self.subject.options)(profile) as services,
            Control(services.services, folder, states.contents if states else {}) as control,
        ):
            selection.suite.copy(folder / "work", tolerant=tolerant)
            env = {
                **scratch_environment(folder, server.python.parent),
                **services.env,
                **self.subject.profiles[profile].env,
            }
            recorder = self.recorder(server, profile, folder, env, services) if record else None
            job = Job(
                folder=str(folder / "work"),
                environment=env,
                files=selection.files,
                options=selection.options,
                presets=[(preset.after, preset.target, preset.value) for preset in self.subject.presets],
                tolerant=tolerant,
                overlay=str(overlay) if overlay else None,
                subject=self.subject.modules,
                reach=[f"{reach}{os.sep}"] if reach else [],
                test_limit=test_limit,
                patience=patience,
                together=together,
                redirects=dict(services.redirects),
                allowed=list(services.allowed),
                control=control.address if states else "",
                services=sorted(services.services),
                states=states.tests or None if states else None,
                recorder=str(recorder.configure(folder / "raw", control.address)) if recorder else "",
            )
            answer = server.run(job)
            if recorder:
                answer = replace(answer, events=tuple(merging.merge(folder / "raw")))
            if states and not states.tests:
                states.tests.update(answer.states)
                states.contents.update(control.seen)
            return answer

    def recorder(
        self, server: SuiteServer, profile: str, folder: Path, env: Mapping[str, str], services: Services
    ) -> recording.Job:
        """Return the recording of calls from outside in a working folder."""
        (folder / "raw").mkdir()
        interpreter = recording.Interpreter.ask(str(server.python))
        work, command = folder / "work", self.subject.command
        made = recording.Job(self.subject, profile, interpreter, command, folder, work, env, services)
        return replace(made, inner=False, network=True, sites=True)  # connections are refused without it too


def pytest_arguments(subject: Subject) -> list[str]:
    """Return what a subject's command gives to pytest.

    Raises:
        StageError: it is not ``pytest …`` or ``python -m pytest …``.
    """
    program, *arguments = subject.command
    if Path(program).name.startswith("python") and arguments[:2] == ["-m", "pytest"]:
        return arguments[2:]
    if Path(program).name not in ("pytest", "py.test"):
        raise StageError(subject, "its command is not pytest")
    return arguments


def file_of(test: str) -> str:
    """Return the file of a test's id."""
    return test.partition("::")[0]
