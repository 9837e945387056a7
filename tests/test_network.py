"""Nothing leaves the machine: what is recorded and what is replayed talk to loopback only, and say who tried more."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from recorded import Trace, make_environment, site_packages

from matrix.judging import Judge, sort_reports
from matrix.replaying import replay_trace
from matrix.subject import Subject
from matrix.trace import read_trace

# The addresses are for documentation: nobody has them, so that a guard that lets something through does no harm.
PACKAGE = """
import socket

def reach(host, port=9):
    with socket.socket() as link:
        link.settimeout(0.01)
        return link.connect_ex((host, port))

def aim(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        return link.connect_ex((host, 9))

def send(host, how):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(0.01)
        return link.sendto(b"x", (host, 9)) if how == "sendto" else link.sendmsg([b"x"], [], 0, (host, 9))

def look_up(name, how):
    arguments = {"getaddrinfo": (name, 9), "getnameinfo": ((name, 9), 0)}
    return getattr(socket, how)(*arguments.get(how, (name,)))
"""
ELSEWHERE = [
    ('reach("192.0.2.1")', "a connection to 192.0.2.1 was refused", "reach"),
    ('aim("192.0.2.1")', "a connection to 192.0.2.1 was refused", "aim"),
    ('send("192.0.2.1", "sendto")', "a connection to 192.0.2.1 was refused", "send"),
    ('send("192.0.2.1", "sendmsg")', "a connection to 192.0.2.1 was refused", "send"),
    ('look_up("127.example", "getaddrinfo")', "the name 127.example was not resolved", "look_up"),
    ('look_up("name.example", "gethostbyname")', "the name name.example was not resolved", "look_up"),
    ('look_up("192.0.2.1", "gethostbyaddr")', "the name 192.0.2.1 was not resolved", "look_up"),
    ('look_up("192.0.2.1", "getnameinfo")', "a connection to 192.0.2.1 was refused", "look_up"),
]


@dataclass(frozen=True)
class Place:
    """A working folder, and an environment that has the package."""

    python: Path
    work: Path

    def record(self, program: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Record a program that uses the package."""
        (self.work / "program.py").write_text(f"import sys, caller\n{program}\n", encoding="utf-8")
        command = [sys.executable, "-P", "-m", "matrix", "record", "--module", "caller", "-o", str(self.trace)]
        command += [*options, "--python", str(self.python), "--", "python", "program.py"]
        return subprocess.run(command, cwd=self.work, capture_output=True, text=True, check=False)

    @property
    def trace(self) -> Path:
        """Where the trace is written."""
        return self.work.with_name("caller.trace.jsonl.gz")

    def refusals(self, program: str, *options: str) -> Sequence[str]:
        """Record a program and return what is said of refusals."""
        ran = self.record(program, *options)
        assert ran.returncode == 0, ran.stderr
        before = "caliper-matrix: while recording, "
        return [line.removeprefix(before) for line in ran.stderr.splitlines() if line.startswith(before)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment's Python that has the package."""
    python = make_environment(tmp_path_factory.mktemp("network") / "venv", "3.11")
    (site_packages(python) / "caller.py").write_text(PACKAGE, encoding="utf-8")
    return python


@pytest.fixture
def place(environment: Path, tmp_path: Path) -> Place:
    """Return an empty working folder with the environment."""
    (tmp_path / "work").mkdir()
    return Place(environment, tmp_path / "work")


def test_a_recorded_program_reaches_nobody_else(place: Place) -> None:
    """Each way off the machine raises in the program, and the recording names the call that tried."""
    tries = "".join(f"tried(lambda: caller.{call})\n" for call, _, _ in ELSEWHERE)
    program = """
def tried(call):
    try:
        call()
    except OSError as error:
        assert "only this machine is talked to" in str(error), error
    else:
        sys.exit("it was let through")
"""
    said = place.refusals(program + tries)
    expected = {f"{what}: only this machine is talked to (tried by caller.{who})" for _, what, who in ELSEWHERE}
    assert set(said) == expected


def test_what_the_program_does_itself_is_refused_too(place: Place) -> None:
    """Where no call of the package tries, the program's own function is named, in children as well."""
    program = """
import socket, subprocess
def fetch():
    socket.gethostbyname("name.example")
if sys.argv[1:]:
    fetch()
print(caller.reach("127.0.0.1", 1))
subprocess.run([sys.executable, __file__, "again"], stderr=subprocess.DEVNULL)
"""
    assert place.refusals(program) == [
        "the name name.example was not resolved: only this machine is talked to (tried by __main__.fetch)"
    ]


def test_this_machine_is_reached(place: Place) -> None:
    """Loopback in all its spellings, its own name, and a socket in a folder are let through."""
    program = f"""
import socket
assert caller.reach("127.0.0.1", PORT) == caller.reach("localhost", PORT) == caller.reach("0.0.0.0", PORT) == 0
for name in ("localhost", "127.0.0.2", "::1", None):
    socket.getaddrinfo(name, 9)
try:
    socket.gethostbyname(socket.gethostname())
except socket.gaierror as error:
    assert "only this machine" not in str(error)
with socket.socket(socket.AF_UNIX) as link:
    link.bind({str(place.work / "s")!r})
    with socket.socket(socket.AF_UNIX) as other:
        link.listen()
        other.connect({str(place.work / "s")!r})
"""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert place.refusals(program.replace("PORT", str(listening.getsockname()[1]))) == []


def test_the_network_can_be_asked_for(place: Place) -> None:
    """With --network nothing is refused; connecting a datagram socket sends nothing, and says where it would go."""
    assert place.refusals("print(caller.aim('192.0.2.1'))", "--network") == []
    (call,) = (line for line in Trace(place.trace).lines if line.get("e") == "call")
    assert isinstance(call["outcome"]["return"], int)


def test_a_replay_names_the_call_that_tried(place: Place) -> None:
    """A release that reaches elsewhere where the recorded one did not is told, with the call and the address."""
    place.refusals("print(caller.reach('127.0.0.1', 1))")
    (place.work / "caller.py").write_text(PACKAGE.replace("(host, port)", "('192.0.2.1', port)"), encoding="utf-8")
    subject, trace = Subject("caller", ("caller",), ("python",)), read_trace(place.trace)
    replay = replay_trace(subject, "1", place.python, place.trace, trace, also=None, overlay=place.work)
    (call,), _ = Judge(trace).rows("1", sort_reports(replay.reports))
    assert call.verdict == "raised"
    assert "a connection to 192.0.2.1 was refused" in call.detail
    assert "(tried by caller.reach)" in call.detail


def test_a_suite_that_fails_for_it_says_so(place: Place) -> None:
    """A subject's recording that fails names what was refused, in the one line that says why there is no trace."""
    toml = place.work / "caller.toml"
    toml.write_text('name = "caller"\ncommand = ["python", "-c", "import caller; caller.reach(\'192.0.2.1\')"]\n')
    command = [sys.executable, "-P", "-m", "matrix", "record", "--subject", str(toml), "-o", str(place.trace)]
    command += ["--python", str(place.python)]
    ran = subprocess.run(command, cwd=place.work, capture_output=True, text=True, check=False, env=os.environ)
    (said,) = [line for line in ran.stderr.splitlines() if line.startswith("caliper-matrix: ")]
    assert ran.returncode == 2
    assert "its trace says nothing; a connection to 192.0.2.1 was refused" in said
    assert not place.trace.exists()
