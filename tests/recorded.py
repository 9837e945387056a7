"""What a trace holds, a line an event, for tests to compare; and the environments that they record in."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from matrix import installer

Json = Any  # what ``json`` reads
VERSIONS = ("3.11", "3.12", "3.13")
CASES = Path(__file__).with_name("fixtures") / "cases"
PYTEST = "pytest>=8"
AS_OF = "2026-11-20"  # so that the same versions are installed every time


def find_python(version: str) -> str:
    """Return a Python of this version that is installed here; the test is skipped where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    command = [installer.uv(), "python", "find", "--no-python-downloads", "--no-project", "--system", version]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    python = found or next(map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python"))), "")
    if not python:
        pytest.skip(f"there is no Python {version} here")
    return python


def make_environment(folder: Path, version: str, *requirements: str) -> Path:
    """Make a virtual environment with some requirements and return its Python; skips where no index can be reached."""
    installer.make_environment(folder, find_python(version))
    python = folder / "bin" / "python"
    try:
        if requirements:
            installer.install(requirements, python=python, as_of=AS_OF)
    except installer.InstallerError as error:
        pytest.skip(str(error))
    return python


def site_packages(python: Path) -> Path:
    """Return the folder that an environment's packages are installed in."""
    return next(python.parent.parent.glob("lib/python*/site-packages"))


def install_cases(python: Path) -> None:
    """Install the fixture package as a wheel would."""
    shutil.copytree(CASES / "cases", site_packages(python) / "cases", ignore=shutil.ignore_patterns("__pycache__"))


@dataclass(frozen=True, slots=True)
class Suite:
    """The fixture package in an environment, its suite in a working folder, and how Python runs it."""

    python: Path
    work: Path
    arguments: tuple[str, ...] = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "suite")

    @staticmethod
    def make(folder: Path, version: str) -> "Suite":
        """Set everything up below ``folder``."""
        python = make_environment(folder / "venv", version, PYTEST)
        install_cases(python)
        shutil.copytree(CASES / "suite", folder / "work" / "suite", ignore=shutil.ignore_patterns("__pycache__"))
        return Suite(python, folder / "work")


def record(
    python: Path, trace: Path, modules: Sequence[str], command: Sequence[str], cwd: Path, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run ``caliper-matrix record`` on a command; return the finished process, without what the recorder adds."""
    options = [option for module in modules for option in ("--module", module)]
    program = [
        sys.executable,
        "-m",
        "matrix",
        "record",
        "-o",
        str(trace),
        "--python",
        str(python),
        *options,
        "--",
        *command,
    ]
    ran = subprocess.run(program, cwd=cwd, capture_output=True, text=True, check=False, env=env or None, timeout=600)
    ran.stderr = "".join(
        line for line in ran.stderr.splitlines(keepends=True) if not line.startswith("caliper-matrix: ")
    )
    return ran


def count(python: Path, output: Path, package: str, program: Sequence[str], cwd: Path) -> dict[str, dict[str, int]]:
    """Run a program under the oracle and return how often each function of a package was called."""
    oracle = Path(__file__).with_name("oracle.py")
    command = [str(python), str(oracle), "-o", str(output), "-p", package, "--", *program]
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=600)
    counts: dict[str, dict[str, int]] = json.loads(output.read_text())
    return counts


class Trace:
    """The events of a trace file, by test."""

    def __init__(self, path: Path) -> None:
        """Read the file."""
        with gzip.open(path, "rt", encoding="utf-8") as file:
            self.lines: list[Any] = [json.loads(line) for line in file]
        self.header = self.lines[0]
        self.tests: dict[str, list[Any]] = {}
        test = ""
        for line in self.lines:
            if line.get("e") == "test":
                test = line["id"].rpartition("::")[2]
            elif "e" in line:
                self.tests.setdefault(test, []).append(line)

    @property
    def counts(self) -> dict[str, int]:
        """Return how often each function was called, boundary and inner calls together."""
        return {name: counts[0] for name, counts in self.lines[-1]["counts"].items()}

    @property
    def boundary(self) -> dict[str, int]:
        """Return how often each function was called from outside."""
        return {name: counts[1] for name, counts in self.lines[-1]["counts"].items() if counts[1]}

    def events(self, test: str, *kinds: str) -> list[Any]:
        """Return the events of one test, of some kinds."""
        return [event for event in self.tests.get(test, []) if event["e"] in kinds]

    def calls(self, test: str) -> list[str]:
        """Return the calls of one test from outside, and what its generators yielded later, a line each."""
        calls = outside(self.tests.get(test, []))
        known = {event["id"] for event in calls}
        resumed = [event for event in self.events(test, "next") if event["call"] in known]
        return Text(sorted(calls + resumed, key=self.tests[test].index) if calls else []).lines()


def outside(events: Sequence[Json]) -> list[Json]:
    """Return the calls from outside of the package among some events."""
    return [event for event in events if event["e"] == "call" and event["tier"] == "boundary"]


class Text:
    """Renders events: ``kind function(positional, name=keyword, [name=defaulted], ?name=unknown) on object -> value``.

    ``#1`` is the result of the test's first call; module names begin below the package.
    """

    def __init__(self, events: Sequence[Any]) -> None:
        """Give the calls numbers, in the order in which they ended."""
        self.events = events
        self.numbers = {event["id"]: number for number, event in enumerate((e for e in events if e["e"] == "call"), 1)}

    def lines(self) -> list[str]:
        """Return a line for each event."""
        return [self.call(event) if event["e"] == "call" else self.next(event) for event in self.events]

    def call(self, event: Json) -> str:
        """Return the line of a call."""
        access = event["access"]
        arguments = ", ".join(self.argument(argument) for argument in event["args"])
        receiver = f" on {self.value(access['receiver'])}" if "receiver" in access else ""
        name = event["function"].removeprefix("cases.")
        return f"{event['kind']} {name}({arguments}){receiver}{self.outcome(event['outcome'])}"

    def next(self, event: Json) -> str:
        """Return the line of what a generator gave when it was resumed."""
        sent = f" sent {self.value(event['sent'])}" if "sent" in event else ""
        thrown = f" thrown {self.value(event['thrown'])}" if "thrown" in event else ""
        return f"next #{self.numbers.get(event['call'])}{sent}{thrown}{self.outcome(event['outcome'])}"

    def argument(self, argument: Json) -> str:
        """Return an argument in its form."""
        name, value = argument.get("name"), self.value(argument["value"])
        forms = {"positional": value, "keyword": f"{name}={value}", "defaulted": f"[{name}={value}]"}
        return forms.get(argument["form"], f"?{name}={value}")

    def outcome(self, outcome: Json) -> str:
        """Return what a call gave."""
        ((how, value),) = outcome.items()
        if how == "raise":
            return f" raises {value['type'].removeprefix('cases.')}{self.value(value['args'])}"
        return " closed" if how == "closed" else f" {'->' if how == 'return' else how + 's'} {self.value(value)}"

    def value(self, value: Json) -> str:
        """Return a value of the trace, short."""
        if isinstance(value, list):
            return f"[{', '.join(map(self.value, value))}]"
        if not isinstance(value, dict):
            return json.dumps(value)
        kind = next((key for key in value if key.startswith("$")), "")
        shown = getattr(self, f"of_{kind[1:]}", None) if kind else self.of_mapping
        return shown(value) if shown else kind

    def of_mapping(self, value: Json) -> str:
        """Return a mapping with plain keys."""
        return "{" + ", ".join(f"{name}: {self.value(item)}" for name, item in value.items()) + "}"

    def of_ref(self, value: Json) -> str:
        """Return a reference, with the path from the result that it begins at."""
        return f"#{self.numbers.get(value['$ref'])}{''.join(f'.{key}' for _, key in value.get('path', []))}"

    def of_tuple(self, value: Json) -> str:
        """Return a tuple."""
        return f"({', '.join(map(self.value, value['$tuple']))})"

    def of_obj(self, value: Json) -> str:
        """Return an object's class and state."""
        state = "".join(f" {name}={self.value(item)}" for name, item in value.get("state", {}).items())
        return f"<{value['$obj'].removeprefix('cases.')}{state}>"

    def of_symbol(self, value: Json) -> str:
        """Return the path of something importable."""
        return str(value["$symbol"]).removeprefix("cases.")
