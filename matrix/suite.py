"""The subject's own suite, run in any environment and reported test by test."""

import ast
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from matrix.errors import CaliperError

AGENT = Path(__file__).parent / "agent" / "suite.py"
PLACEHOLDERS = "caliper_placeholders"  # made by the other end
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


class SuiteError(CaliperError):
    """The suite could not be run in an environment."""

    def __init__(self, python: Path, reason: str) -> None:
        """Keep which Python it was."""
        super().__init__(f"the suite can't be run by {python}: {reason}; is the environment whole?")
        self.python = python


@dataclass(frozen=True, slots=True)
class Job:
    """One run of some test files.

    ``folder`` is the working directory, ``environment`` the whole environment; ``overlay`` is put first on the path;
    ``presets`` are (module, "module:attribute", value) triples set when that module was imported; lines executed below
    the folders of ``reach`` are reported; ``limit`` is the seconds for a file, ``test_limit`` for a test.
    """

    folder: str
    environment: Mapping[str, str]
    files: Sequence[str]
    options: Sequence[str] = ()
    presets: Sequence[tuple[str, str, Any]] = ()
    overlay: str | None = None
    tolerant: bool = False
    reach: Sequence[str] = ()
    limit: float = 300.0
    test_limit: float = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a job gave.

    ``outcomes`` maps a test's id to (outcome, reason): ``passed failed error skipped xfailed xpassed``.
    ``uncollected`` maps a file to why it can't be collected, ``reached`` a file to the numbers of executed lines;
    ``modules`` are the ones that were loaded.
    """

    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    uncollected: dict[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    reached: dict[str, tuple[int, ...]] = field(default_factory=dict)


class SuiteServer:
    """A process in a release's environment that runs jobs, with pytest and ``warm`` modules imported beforehand."""

    def __init__(
        self, python: Path, path: Sequence[Path], subject: Sequence[str] = (), warm: Sequence[str] = ()
    ) -> None:
        """Start ``python`` with the folders ``path`` last on its path; ``subject`` is what ``warm`` must not load."""
        self.python = python
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by __exit__)
        setup = {"path": [str(folder) for folder in path], "subject": list(subject), "warm": list(warm)}
        try:
            self.process = subprocess.Popen(  # noqa: S603 (our own script)
                [str(python), "-s", str(AGENT), json.dumps(setup)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
                text=True,
            )
        except OSError as error:
            raise SuiteError(python, str(error)) from error

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def run(self, job: Job) -> Answer:
        """Run a job and return what it gave.

        Raises:
            SuiteError: the process has died; the message has its last words.
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
        return Answer(
            {test: (outcome, reason) for test, (outcome, reason) in answer["outcomes"].items()},
            answer["uncollected"],
            tuple(answer["modules"]),
            {file: tuple(lines) for file, lines in answer["reached"].items()},
        )

    def last_words(self) -> str:
        """Return the last line that the process wrote to its standard error."""
        self.errors.seek(0)
        return (self.errors.read().strip().splitlines() or ["it ended without a word"])[-1]


def copy_suite(source: Path, folder: Path, *, tolerant: bool = False) -> None:
    """Copy the suite's files from ``source`` to ``folder``, with imports that may fail if ``tolerant``."""
    shutil.copytree(source, folder, ignore=IGNORED)
    if tolerant:
        for file in folder.rglob("*.py"):
            file.write_text(tolerate_imports(file.read_text()))


def tolerate_imports(source: str) -> str:
    """Return a test file's source in which what the top level can't import is a placeholder that raises when used.

    Only statements that have their lines for themselves are rewritten.
    """
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if not isinstance(node, ast.Import | ast.ImportFrom) or is_future(node):
            continue
        end = node.end_lineno or node.lineno
        if ast.unparse(ast.parse("\n".join(lines[node.lineno - 1 : end]))) == ast.unparse(node):
            lines[node.lineno - 1 : end] = [line for name in node.names for line in tolerate_name(node, name)]
    return "\n".join(lines) + "\n"


def is_future(node: ast.Import | ast.ImportFrom) -> bool:
    """Tell whether it is an import that must stay where and as it is."""
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def tolerate_name(node: ast.Import | ast.ImportFrom, name: ast.alias) -> list[str]:
    """Return the lines that import one name, or bind a placeholder to it."""
    if isinstance(node, ast.Import):
        alone: ast.stmt = ast.Import([name])
        origin, bound = name.name, name.asname or name.name.partition(".")[0]
    else:
        alone = ast.ImportFrom(node.module, [name], node.level)
        origin, bound = f"{'.' * node.level}{node.module or ''}.{name.name}", name.asname or name.name
    lines = ["try:", f"    {ast.unparse(alone)}", "except Exception as _error:"]
    if name.name == "*":
        return [*lines, "    pass"]
    return [
        *lines,
        f"    from {PLACEHOLDERS} import Placeholder as _Placeholder",
        f"    {bound} = globals().get({bound!r}) or _Placeholder({origin!r}, _error)",
    ]
