"""The subject's own suite, run in any environment and reported test by test."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from matrix.errors import CaliperError

INSIDE = Path(__file__).with_name("inside.py")


class SuiteError(CaliperError):
    """The suite could not be run in an environment."""

    def __init__(self, python: Path, reason: str) -> None:
        """Keep which Python it was."""
        super().__init__(f"the suite can't be run by {python}: {reason}; is the environment whole?")
        self.python = python


@dataclass(frozen=True, slots=True)
class Job:
    """One run of some test files.

    ``folder`` is the working directory, ``environment`` the whole environment; ``overlay`` is put first on the path,
    and the modules ``subject`` are imported from there even if pytest has imported them before, for itself;
    ``presets`` are (module, "module:attribute", value) triples set when that module was imported; lines executed below
    the folders of ``reach`` are reported; ``limit`` is the seconds for a file, ``test_limit`` the seconds of CPU for a
    test (by the clock it may take four times as long); after ``patience`` tests that took longer, or that ended the
    process, none is run any more, if it is not 0. ``files`` that are run ``together`` share a process.

    Connections to the names in ``redirects`` (``host:port``) lead elsewhere; all others off this machine are refused,
    but to those ``allowed``.
    ``services`` are asked at the socket ``control``: before each test their states are read, or set to what ``states``
    says that the test had. With ``recorder``, the path of a configuration, the calls of the subject are recorded.
    """

    folder: str
    environment: Mapping[str, str]
    files: Sequence[str]
    options: Sequence[str] = ()
    presets: Sequence[tuple[str, str, Any]] = ()
    overlay: str | None = None
    subject: Sequence[str] = ()
    tolerant: bool = False
    reach: Sequence[str] = ()
    limit: float = 300.0
    test_limit: float = 30.0
    patience: int = 0
    together: bool = False
    redirects: Mapping[str, str] = field(default_factory=dict)
    allowed: Sequence[str] = ()
    control: str = ""
    services: Sequence[str] = ()
    states: Mapping[str, Mapping[str, Any]] | None = None
    recorder: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a job gave.

    ``collected`` are the ids of the tests in order. ``outcomes`` maps a test's id to (outcome, reason): ``passed``,
    ``failed``, ``error``, ``skipped``, ``xfailed`` or ``xpassed``.
    ``uncollected`` maps a file to why it can't be collected, ``reached`` a test to the numbers of the lines that it
    executed, by file, ``entered`` a test to the (file, first line) of functions that it executed, or looked at the
    parameters of (``""``: what no single test did);
    ``modules`` are the ones that were loaded, ``states`` what the services held before each test, if asked for;
    it ``stopped`` where too many tests took too long;
    ``events`` what was recorded (docs/trace-format.md), with one ``failed`` for each phase of a test that ended early.
    """

    collected: tuple[str, ...] = ()
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    uncollected: dict[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    reached: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    entered: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopped: bool = False
    events: tuple[dict[str, Any], ...] = ()


class SuiteServer:
    """A process in a release's environment that runs jobs, with pytest and ``warm`` modules imported beforehand."""

    def __init__(
        self,
        python: Path,
        path: Sequence[Path],
        *,
        bytecode: Path,
        subject: Sequence[str] = (),
        warm: Sequence[str] = (),
    ) -> None:
        """Start ``python`` with the folders ``path`` last on its path.

        Compiled modules go to the folder ``bytecode``, none into the environment; ``subject`` are the modules that
        ``warm`` must not load.

        Raises:
            SuiteError: it does not start.
        """
        self.python = python
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by __exit__)
        setup = {"path": [str(folder) for folder in path], "subject": list(subject), "warm": list(warm)}
        try:
            self.process = subprocess.Popen(  # noqa: S603 (our own script)
                [str(python), "-s", str(INSIDE), json.dumps(setup)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                env={"PATH": os.defpath, "PYTHONHASHSEED": "0", "PYTHONPYCACHEPREFIX": str(bytecode)},
                text=True,
            )
        except OSError as error:
            self.errors.close()
            raise SuiteError(python, error.strerror or str(error)) from error
        LIVE.add(self)

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.kill()
        self.process.communicate()
        self.errors.close()
        LIVE.discard(self)

    def kill(self) -> None:
        """End the process, and with it the tests that it runs, from any thread."""
        self.process.kill()

    def run(self, job: Job) -> Answer:
        """Run a job and return what it gave.

        Raises:
            SuiteError: the process has died, or the services are not to be had; the message has the last words.
        """
        assert self.process.stdin is not None  # noqa: S101 (told to mypy)
        assert self.process.stdout is not None  # noqa: S101
        try:
            self.process.stdin.write(json.dumps(asdict(job)) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise SuiteError(self.python, self.last_words()) from None
        line = self.process.stdout.readline()
        if not line:
            raise SuiteError(self.python, self.last_words())
        answer = json.loads(line)
        if answer["trouble"]:
            raise SuiteError(self.python, answer["trouble"])
        return Answer(
            tuple(answer["collected"]),
            {test: (outcome, reason) for test, (outcome, reason) in answer["outcomes"].items()},
            answer["uncollected"],
            tuple(answer["modules"]),
            {test: {file: tuple(lines) for file, lines in files.items()} for test, files in answer["reached"].items()},
            {test: tuple((file, line) for file, line in starts) for test, starts in answer["entered"].items()},
            answer["states"],
            answer["stopped"],
        )

    def last_words(self) -> str:
        """Return the last line that the process wrote to its standard error."""
        self.errors.seek(0)
        return (self.errors.read().strip().splitlines() or ["it ended without a word"])[-1]


LIVE: set[SuiteServer] = set()


def kill_all() -> None:
    """End all servers: whoever waits for one gets a ``SuiteError``."""
    for server in list(LIVE):
        server.kill()
