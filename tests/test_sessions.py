"""The sessions, by nox itself, on a small project with an index of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from indexes import Index, sdist, wheel

from matrix import sessions, staleness
from matrix.index import fetch_releases
from matrix.releases import write_releases

NOXFILE = """
import nox
from matrix import sessions
sessions.define("demo.toml", folder=".")
"""
DAY = date(2026, 1, 1)
TWO = "def add(a, b): return a + b\ndef double(a): return 2 * a\n"
HANGING = "def double(a):\n    while True: pass\n"
FAILING = 'def build_wheel(*_): raise RuntimeError("does not build")'
SUITE = "import demo\n\nassert demo.double(4) == 8\nassert demo.add(1, 2) == 3\n"
WORKING = (
    wheel("demo", "1.0", {"demo/__init__.py": "def add(a): return a\n", "demo/tests/suite.py": SUITE}),
    sdist("demo", "1.1", FAILING),
    wheel("demo", "1.5", {"demo/__init__.py": HANGING, "demo/tests/suite.py": SUITE}),
    wheel("demo", "2.0", {"demo/__init__.py": TWO, "demo/tests/suite.py": SUITE}),
    sdist("demo", "2.0"),
)
FILES = (
    wheel("demo", "1.0", {"demo/__init__.py": ""}, ["nowhere"]),
    wheel("demo", "1.1", {"demo/__init__.py": ""}, ["demo-base>=3"]),
    wheel("demo-base", "1.0", {"demo_base.py": ""}),
)


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a noxfile, and the index that its sessions use."""

    folder: Path
    index: Index
    env: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start nox."""
        return subprocess.Popen(
            [sys.executable, "-m", "nox", *arguments],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # Where the tests run in the background, an interrupt is ignored, and that is handed down.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 # no threads here
        )

    def nox(self, *arguments: str) -> tuple[int, str]:
        """Run nox and return its exit status and all that it said."""
        with self.start(*arguments) as process:
            said, _ = process.communicate(timeout=120)
        return process.returncode, said

    def run_file(self, version: str) -> Path:
        """Return where a run is kept."""
        return self.folder / ".nox" / ".cache" / "caliper" / "demo" / "runs" / f"{version}.json"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Return a project whose two releases cannot be installed, which needs no replay to be judged."""
    traces = tmp_path / "traces"
    traces.mkdir()
    (traces / "demo-1.1-default.trace.jsonl.gz").write_bytes(b"")
    (tmp_path / "noxfile.py").write_text(NOXFILE)
    subject = f'name = "demo"\ncommand = ["pytest"]\npython = "{staleness.PRESENT}"\n'
    (tmp_path / "demo.toml").write_text(subject)
    with Index(FILES) as index:
        write_releases(traces / "demo.releases.json", fetch_releases("demo", DAY, index.address))
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "UV_DEFAULT_INDEX": index.address}
        env |= {"UV_CACHE_DIR": str(tmp_path / "uv"), "UV_HTTP_RETRIES": "0", "UV_PYTHON_DOWNLOADS": "never"}
        yield Project(tmp_path, index, env)


@pytest.fixture
def recorded(tmp_path: Path, project: Project) -> Project:
    """Return a project with three releases, one of which does not build, whose suite was recorded on the latest."""
    subject = f'name = "demo"\npython = "{staleness.PRESENT}"\nsuite = "demo/tests"\n'
    (tmp_path / "demo.toml").write_text(subject + 'command = ["python", "demo/tests/suite.py"]\n')
    project.index.files = WORKING
    for trace in tmp_path.glob("traces/*.gz"):
        trace.unlink()
    write_releases(tmp_path / "traces" / "demo.releases.json", fetch_releases("demo", DAY, project.index.address))
    code = tmp_path / "code" / "matrix"
    shutil.copytree(staleness.PACKAGE, code, ignore=shutil.ignore_patterns("__pycache__"))
    project.env["PYTHONPATH"] = str(code.parent)
    status, said = project.nox("-s", "record")
    assert status == 0, said
    return project


def judged(said: str) -> list[str]:
    """Return the releases that nox says it judged."""
    return re.findall(r"^demo (\S+) \(Python", said, re.MULTILINE)


@pytest.mark.slow
def test_the_map_is_drawn_and_only_what_changed_is_judged_again(recorded: Project) -> None:
    """From nothing to the results; then nothing, one release, all of them, or the picture alone."""
    status, said = recorded.nox("-s", "matrix")
    assert status == 0, said
    assert sorted(judged(said)) == ["1.0", "1.1", "1.5", "2.0"]
    matrix = (recorded.folder / "results" / "demo" / "matrix.csv").read_text()
    assert matrix.splitlines() == [
        "function,tier,profiles,calls,unreplayable,1.0,1.1,1.5,2.0",
        "demo.add,boundary,default,1,0,signature,install-error,missing,ok",
        "demo.double,boundary,default,1,0,missing,install-error,timeout,ok",
    ]
    run = json.loads(recorded.run_file("2.0").read_text())
    assert (run["installed"], run["resolved"], run["plain_import"]) == ("2.0", {"demo": "2.0"}, "yes")

    recorded.index.asked.clear()
    status, said = recorded.nox("-s", "matrix")
    assert (status, judged(said), recorded.index.asked) == (0, [], [])
    assert "nothing changed since" in said

    releases = recorded.folder / "traces" / "demo.releases.json"
    releases.write_text(releases.read_text().replace(WORKING[-1].sha256, "0" * 64))
    assert judged(recorded.nox("-s", "matrix")[1]) == ["2.0"]

    with (recorded.folder / "code" / "matrix" / "agent" / "values.py").open("a") as file:
        file.write("# one line\n")
    status, said = recorded.nox("-s", "matrix")
    assert sorted(judged(said)) == ["1.0", "1.1", "1.5", "2.0"]
    assert (recorded.folder / "results" / "demo" / "matrix.csv").read_text() == matrix

    status, said = recorded.nox("-s", "release(demo='1.0')")
    assert status == 0
    assert re.search(r"^signature    demo\.add: ", said, re.MULTILINE)
    assert "2 calls: 1 signature, 1 missing; " in said

    with (recorded.folder / "code" / "matrix" / "heatmap.py").open("a") as file:
        file.write("# one line\n")
    (recorded.folder / "results" / "demo" / "matrix.csv").unlink()
    status, said = recorded.nox("-s", "matrix")
    assert (status, judged(said)) == (0, [])
    assert (recorded.folder / "results" / "demo" / "matrix.csv").read_text() == matrix


@pytest.mark.slow
def test_a_trace_that_was_tampered_with_ends_with_one_line(recorded: Project) -> None:
    """A byte that is wrong makes all releases stale, and no release judged."""
    trace = next(recorded.folder.glob("traces/*.gz"))
    trace.write_bytes(trace.read_bytes()[:-20])
    status, said = recorded.nox("-s", "release(demo='2.0')")
    assert status == 1
    assert re.search(r"^caliper-matrix: .*the trace is cut off", said, re.MULTILINE)
    assert "Traceback" not in said
    assert not recorded.run_file("2.0").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sockets have such names on Linux only")
def test_a_fork_says_what_the_command_says(recorded: Project) -> None:
    """Its words, on both streams, and its exit status; without anybody to fork there is none."""
    code = (
        "import os, sys\n"
        "from matrix import warm\n"
        "known = ['--venv', 'v', '--subject', 'demo.toml', '--cache', 'c', '--brief']\n"
        "warm.start([sys.executable], ['2.0', *known])\n"
        "for version in ('2.0', '9.9'):\n"
        "    status = None\n"
        "    while status is None:  # it is not there yet\n"
        "        status = warm.run(['release', version, *known])\n"
        "    print(version, status)\n"
        "os.environ[warm.VARIABLE] = 'nobody'\n"
        "print(warm.run(['release', '2.0', *known]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-u", "-c", code],
        cwd=recorded.folder,
        env=recorded.env,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    assert [re.sub(r" \(Python.*", "", line) for line in lines] == ["demo 2.0", "2.0 0", "9.9 2", "None"]
    assert re.fullmatch(r"caliper-matrix: .*9\.9.*", done.stderr.strip())


def test_each_release_is_a_session(project: Project) -> None:
    """They are listed without network; what the map needs is run by default."""
    project.index.asked.clear()
    status, listing = project.nox("-l")
    assert status == 0
    assert "release(demo='1.0') -> Install one release" in listing
    assert "release(demo='1.1')" in listing
    assert "* matrix -> " in listing
    assert "- engine" not in listing  # the engine is the Python that runs nox
    assert project.index.asked == []


def test_a_release_that_cannot_be_installed_is_a_result(project: Project) -> None:
    """The session succeeds, prints one line of uv's reason, and the run file says which inputs it came from."""
    status, said = project.nox("-s", "release(demo='1.0')")
    assert status == 0, said
    lines = [line for line in said.splitlines() if line.startswith("demo 1.0")]
    assert len(lines) == 1
    assert "cannot be installed: Because nowhere was not found in the package registry" in lines[0]
    run = json.loads(project.run_file("1.0").read_text())
    assert (run["run"], run["status"], run["installed"], run["profiles"]) == (1, "install-error", "", {})
    assert run["reason"].startswith("Because nowhere was not found")
    assert run["inputs"]["as_of"] == "2026-01-01"
    assert run["python"].startswith(staleness.PRESENT)


def test_an_index_that_cannot_be_reached_is_never_a_result(project: Project) -> None:
    """The session fails with one line and nothing is stored; the map stops at the first of them."""
    project.index.status = 503
    status, said = project.nox("-s", "release(demo='1.1')")
    assert status == 1
    assert len([line for line in said.splitlines() if line.startswith("caliper-matrix: ")]) == 1
    assert "nothing is recorded" in said
    status, said = project.nox("-s", "matrix")
    assert status == 1
    assert not project.run_file("1.0").parent.exists()


def test_only_the_map_runs_sessions_at_the_same_time() -> None:
    """Other sessions print while they run, not at their end."""
    assert sessions._draws_map([], {})
    assert sessions._draws_map(["-s", "matrix"], {})
    assert sessions._draws_map(["-s", "release"], {})
    assert sessions._draws_map([], {"NOXSESSION": "matrix"})
    assert not sessions._draws_map(["-s", "tests"], {})
    assert not sessions._draws_map([], {"NOXSESSION": "tests"})


def test_without_a_trace_the_map_says_what_to_do(project: Project) -> None:
    """One line instead of an empty map."""
    next(project.folder.glob("traces/*.gz")).unlink()
    for session in ("matrix", "release(demo='1.0')"):
        status, said = project.nox("-s", session)
        assert status == 1
        assert "there is no trace of demo yet: `nox -s record` makes one" in said


def test_a_subject_that_is_not_there_ends_with_one_line(project: Project) -> None:
    """The noxfile does not load, without a traceback."""
    (project.folder / "demo.toml").unlink()
    status, said = project.nox("-l")
    assert status == 1
    assert said.strip().startswith("demo.toml: cannot be read as a subject")
    assert "Traceback" not in said


def test_the_present_python_judges_where_the_wanted_one_cannot_be_had(project: Project) -> None:
    """One line says so, once; its results go to a folder of their own."""
    (project.folder / "demo.toml").write_text('name = "demo"\ncommand = ["pytest"]\npython = "3.99"\n')
    line = f"Python 3.99 cannot be had here: Python {staleness.PRESENT} judges."
    status, said = project.nox("-s", "release(demo='1.0')")
    assert status == 0, said
    assert said.count(line) == 1
    assert (project.folder / ".nox/.cache/caliper" / f"demo-py{staleness.PRESENT}" / "runs" / "1.0.json").exists()


def test_update_asks_the_index(project: Project) -> None:
    """The list is written anew, of the day that is given; arguments go through."""
    project.index.files = [*FILES, wheel("demo", "1.2", {"demo/__init__.py": ""})]
    status, said = project.nox("-s", "update", "--", "--as-of", "2026-02-01")
    assert status == 0, said
    assert "3 releases of demo as of 2026-02-01, 3 judged" in said
    assert "release(demo='1.2')" in project.nox("-l")[1]


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
@pytest.mark.parametrize("arguments", [("-s", "matrix"), ("-s", "release(demo='1.0')")])
def test_ctrl_c_ends_everything_within_a_second(project: Project, arguments: tuple[str, ...]) -> None:
    """With sessions waiting for an index that says nothing, an interrupt leaves no process."""
    project.index.asked.clear()
    project.index.silence = threading.Event()
    process = project.start(*arguments)
    try:
        while not project.index.asked:
            assert process.poll() is None
        family = descendants(process.pid)
        assert any("uv" in name for name in family.values())
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=10)
        assert time.monotonic() - began < a_second()
        assert process.returncode == 130
        assert left_of(family, began) == {}
    finally:
        project.index.silence.set()
        process.kill()
        process.communicate()
    assert not project.run_file("1.0").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
@pytest.mark.parametrize("session", ["release(demo='1.5')", "matrix"])
def test_ctrl_c_ends_what_is_replayed(recorded: Project, session: str) -> None:
    """A call that never ends, in a process group of its own, goes with the rest; so does what releases are forks of."""
    process = recorded.start("-s", session)
    family: dict[int, str] = {}
    while not any(name.endswith("agent/main.py") for name in family.values()):
        assert process.poll() is None
        family = descendants(process.pid)
    assert any("matrix.warm" in name for name in family.values()) == (session == "matrix")
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=10)
    assert time.monotonic() - began < a_second()
    assert process.returncode == 130
    assert left_of(family, began) == {}


def left_of(family: dict[int, str], began: float) -> dict[int, str]:
    """Return which processes are there a second after the interrupt: what uv asks of a Python ends by itself."""
    left = family
    while left and time.monotonic() - began < a_second():
        left = {pid: name for pid, name in left.items() if alive(pid)}
    return left


def command_of(pid: int) -> str:
    """Return the command line of a process, empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descendants(pid: int) -> dict[int, str]:
    """Return the processes that a process has started, and those that they have, by number."""
    found: dict[int, str] = {}
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found |= {child: command_of(child), **descendants(child)}
    except (FileNotFoundError, ProcessLookupError):
        pass  # it ended meanwhile
    return found


def a_second() -> float:
    """Return a second, and more where others want the processors as well."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def alive(pid: int) -> bool:
    """Say whether a process runs: one that has ended and was not asked for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
