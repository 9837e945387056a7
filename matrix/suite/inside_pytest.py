"""One run of pytest in a process of its own: what is around the tests, and what is said of them.

Standard library and pytest only, Python 3.8 and later; imports nothing of ours but the file beside it.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import inside_calls  # type: ignore[import-not-found] # beside this file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType, ModuleType

WAITING = 4  # how many times its limit of CPU a test may take by the clock
LONGEST_REAL_SLEEP = 0.05  # seconds; what polls for something real must not spin
LOOKED_AT = ("__code__", "__defaults__", "__kwdefaults__")  # of functions: Python tells of each time
PLACEHOLDERS = "caliper_placeholders"  # the module that rewritten test files take `Placeholder` from


class TestTimeoutError(BaseException):
    """A test took too long. Not an ``Exception``: packages catch those."""


class MissingImportError(BaseException):
    """What a test file could not import was used. Not an ``Exception``: ``pytest.raises(Exception)`` must not pass."""


class Placeholder:
    """Stands for a name that could not be imported, and raises when it is used."""

    def __init__(self, name: str, error: Exception) -> None:
        """Remember which name it is, and why it is not there."""
        self.__dict__["reason"] = f"{name}: {error}"

    def use(self, *_: Any, **__: Any) -> Any:
        """Raise ``MissingImportError``."""
        raise MissingImportError(self.__dict__["reason"])

    def __getattr__(self, name: str) -> Any:
        """Raise for any attribute but the private ones that pytest looks for on everything."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self.use()

    __call__ = __setattr__ = __getitem__ = __iter__ = __contains__ = __enter__ = __mro_entries__ = __bool__ = use
    __eq__ = __lt__ = __add__ = __or__ = __len__ = use
    __hash__ = object.__hash__


class VirtualSleep:
    """``time.sleep`` that returns at once, with clocks that are ahead by what was not slept."""

    def __init__(self) -> None:
        """Remember the real sleep."""
        self.ahead = 0.0
        self.real = time.sleep

    def install(self) -> None:
        """Replace the clocks of ``time``."""
        time.sleep = self.sleep  # type: ignore[assignment] # it takes what the real one takes
        for name in ("time", "monotonic", "perf_counter"):
            self.put_ahead(name, 1)
            self.put_ahead(f"{name}_ns", 10**9)

    def put_ahead(self, name: str, unit: int) -> None:
        """Replace one clock, which counts ``unit`` a second."""
        clock = getattr(time, name)
        setattr(time, name, lambda: clock() + type(clock())(self.ahead * unit))

    def sleep(self, seconds: float, /) -> None:
        """Sleep really when that is short (or an error), else put the clocks ahead."""
        if isinstance(seconds, (int, float)) and seconds > LONGEST_REAL_SLEEP:
            self.ahead += seconds
        else:
            self.real(seconds)


class Presets:
    """A finder that sets attributes right after a module was imported: ``(module, "module:attribute", value)``."""

    def __init__(self, presets: list[tuple[str, str, Any]]) -> None:
        """Group the presets by the module that they wait for."""
        self.presets: dict[str, list[tuple[str, Any]]] = {}
        for after, target, value in presets:
            self.presets.setdefault(after, []).append((target, value))

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002 # finders have it
        """Return the spec of a module that presets wait for, with a loader that applies them."""
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name in self.presets else None
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                for attribute, value in self.presets[name]:
                    set_attribute(attribute, value)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign] # of this one module's loader
        return spec


def set_attribute(target: str, value: Any) -> None:
    """Set ``module:attribute`` where the module is loaded and has it."""
    module, _, path = target.partition(":")
    holder: Any = sys.modules.get(module)
    *parents, last = path.split(".")
    for parent in parents:
        holder = getattr(holder, parent, None)
    if hasattr(holder, last):
        setattr(holder, last, value)


class Reach:
    """Which lines of the files under some folders are executed by which test, and which of their functions.

    The test ``""`` is what no single one does: imports, fixtures that tests share, and what ends a test. A function
    whose code is asked for counts as executed: its parameters are what a test sees of it then.
    """

    def __init__(self, folders: list[str]) -> None:
        """Look below ``folders`` only."""
        self.folders = tuple(folders)
        self.test = ""
        self.lines: dict[str, dict[str, set[int]]] = {}
        self.entered: dict[str, set[tuple[str, int]]] = {}
        self.asking = False

    def start(self) -> None:
        """Trace this thread and the ones that it starts."""
        sys.addaudithook(self.audit)
        threading.settrace(self.trace)
        sys.settrace(self.trace)

    def trace(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """Trace the lines of a frame if it is of one of the files."""
        name = frame.f_code.co_filename
        if not name.startswith(self.folders):
            return None
        lines = self.lines.setdefault(self.test, {}).setdefault(name, set())
        self.entered.setdefault(self.test, set()).add((name, frame.f_code.co_firstlineno))

        def trace_lines(frame: FrameType, _event: str, _argument: Any) -> Any:
            lines.add(frame.f_lineno)
            return trace_lines

        return trace_lines

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note that the code of a function is asked for, as ``inspect.signature`` does."""
        if self.asking or event != "object.__getattr__" or arguments[1] not in LOOKED_AT:
            return
        self.asking = True  # what follows is an event as well
        code = getattr(arguments[0], "__code__", None)
        self.asking = False
        if code is not None and code.co_filename.startswith(self.folders):
            self.entered.setdefault(self.test, set()).add((code.co_filename, code.co_firstlineno))

    def reached(self) -> dict[str, dict[str, list[int]]]:
        """Return the executed lines, sorted, by test and file."""
        return {
            test: {name: sorted(lines) for name, lines in sorted(files.items())} for test, files in self.lines.items()
        }


class Control:
    """The other side's services, asked by JSON lines on a socket: their states are read, or what they were before."""

    def __init__(self, address: str, services: list[str], states: dict[str, Any] | None) -> None:
        """Ask at ``address``; with ``states`` (of services, by test) bring each test what it had then."""
        self.services = services if address else []
        self.states = states
        if self.services:
            link = socket.socket(socket.AF_UNIX)
            link.connect(address)
            self.stream = link.makefile("rw")

    def ask(self, **question: Any) -> Any:
        """Return the answer to a question."""
        self.stream.write(json.dumps(question) + "\n")
        self.stream.flush()
        return json.loads(self.stream.readline())

    def prepare(self, test: str) -> dict[str, Any]:
        """Restore the states that a test began with, or return the ones that it begins with."""
        if self.states is None:
            return {name: self.ask(do="snapshot", name=name) for name in self.services}
        for name, state in self.states.get(test, {}).items():
            self.ask(do="restore", name=name, state=state)
        return {}


class Reporter:
    """A pytest plugin that writes what happens as JSON lines, and limits each test's time."""

    def __init__(self, stream: int, job: dict[str, Any], control: Control, reach: Reach) -> None:
        """Write to the file descriptor ``stream``; interrupt a test that is late as ``job`` says."""
        self.stream, self.reach = stream, reach
        self.limit, self.patience = job["test_limit"], job["patience"]
        self.late: set[str] = set()
        self.running = ""
        self.session: Any = None
        self.control = control
        self.outcomes: dict[str, tuple[str, str]] = {}
        signal.signal(signal.SIGALRM, self.interrupt)
        signal.signal(signal.SIGPROF, self.interrupt)

    def say(self, *event: Any) -> None:
        """Write one event."""
        data = json.dumps(event).encode() + b"\n"
        while data:
            data = data[os.write(self.stream, data) :]

    def interrupt(self, *_: Any) -> None:
        """Raise in the test that runs, and again a second later should it go on."""
        self.late.add(self.running)
        message = f"took longer than {self.limit} s of CPU, or {WAITING} times that"
        raise TestTimeoutError(message)

    @staticmethod
    def set_timers(limit: float) -> None:
        """Start the timers of a test, or stop them by 0: a loop is found by its CPU, on a busy machine too."""
        signal.setitimer(signal.ITIMER_PROF, limit, 1.0)
        signal.setitimer(signal.ITIMER_REAL, limit * WAITING, 1.0)

    def pytest_sessionstart(self, session: Any) -> None:
        """Keep what can be told to stop."""
        self.session = session

    def pytest_collectreport(self, report: Any) -> None:
        """Say that a file can't be collected, and why."""
        if report.failed:
            self.say("uncollected", report.nodeid, last_line(report.longrepr))

    def pytest_collection_finish(self, session: Any) -> None:
        """Say which tests there are."""
        self.say("collected", [item.nodeid for item in session.items])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say which test begins, and start its clock."""
        self.running = nodeid
        self.say("start", nodeid)
        try:
            states = self.control.prepare(nodeid)
        except (OSError, ValueError) as error:
            self.say("trouble", f"the services could not be asked or set ({error})")
            raise
        if states:
            self.say("states", nodeid, states)
        self.reach.test = nodeid
        self.set_timers(self.limit)

    def pytest_fixture_setup(self, fixturedef: Any) -> None:
        """Count what a fixture that tests share does as nobody's, and the rest of the preparations with it."""
        if fixturedef.scope != "function":
            self.reach.test = ""

    def pytest_runtest_makereport(self) -> None:
        """Stop the clock while pytest says what came of a phase: an exception there would end all."""
        self.set_timers(0)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Take the outcome of one phase of a test; the last that says something counts."""
        self.set_timers(self.limit)
        self.reach.test = report.nodeid if report.when == "setup" else ""
        outcome = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = "xfailed" if outcome == "skipped" else "xpassed"
        elif outcome == "failed" and report.when != "call":
            outcome = "error"
        if outcome == "passed" and self.outcomes.get(report.nodeid, ("", ""))[0] == "failed":
            return  # a part of the test, which pytest counts for the whole only when it has shown it
        if report.when == "call" or outcome in ("error", "skipped", "xfailed"):
            self.outcomes[report.nodeid] = (outcome, "" if outcome == "passed" else last_line(report.longrepr))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Say how a test ended."""
        self.set_timers(0)
        self.say("outcome", nodeid, *self.outcomes.get(nodeid, ("error", "has no outcome")))
        if self.patience and len(self.late) >= self.patience:
            self.say("stopped")
            self.session.shouldstop = "too many tests took too long"


def last_line(longrepr: Any) -> str:
    """Return the line of a failure that says what it was, at most 300 characters."""
    crash = getattr(longrepr, "reprcrash", None)
    if crash is not None:
        return str((crash.message.splitlines() or [""])[0])[:300]
    if isinstance(longrepr, tuple):
        return str(longrepr[-1])[:300]
    errors = [line[1:].strip() for line in str(longrepr).splitlines() if line.startswith("E ")]
    return (errors or str(longrepr).splitlines() or [""])[-1][:300]


def is_of(name: str, modules: Sequence[str]) -> bool:
    """Tell whether a module is one of some, or in one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def load_plugins() -> None:
    """Load what pytest would load later: it keeps the modules that it finds now."""
    for name in importlib.import_module("_pytest.config").builtin_plugins:
        importlib.import_module(f"_pytest.{name}")


def forget(modules: Sequence[str]) -> None:
    """Let tests import modules anew that pytest stands on itself: a fault that was planted in them is not pytest's."""
    if any(name in sys.modules for name in modules):
        load_plugins()
    for name in [name for name in sys.modules if is_of(name, modules)]:
        del sys.modules[name]


def load_network() -> Any:
    """Return the agent's module that keeps a process on this machine, which imports nothing of ours either."""
    path = Path(__file__).resolve().parents[1] / "agent" / "network.py"
    module = type(sys)("inside_network")
    importlib.machinery.SourceFileLoader("inside_network", str(path)).exec_module(module)
    return module


def run_pytest(job: dict[str, Any], arguments: list[str], stream: int) -> None:
    """Run pytest on ``arguments`` in this process, as ``job`` says, and write events to ``stream``."""
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    if job["overlay"]:
        forget(job["subject"])
        sys.dont_write_bytecode = True
        sys.path.insert(0, job["overlay"])
        importlib.invalidate_caches()
    if not job["recorder"]:  # which sets them by itself
        sys.meta_path.insert(0, Presets(job["presets"]))
    if job["tolerant"]:
        sys.modules[PLACEHOLDERS] = module = type(sys)(PLACEHOLDERS)
        module.Placeholder = Placeholder  # type: ignore[attr-defined] # what makes it a module of ours
    control = Control(job["control"], job["services"], job["states"])
    reach = Reach(job["reach"])
    reporter = Reporter(stream, job, control, reach)
    VirtualSleep().install()
    network = load_network()
    network.redirect(socket, job["redirects"])
    network.guard(allowed=job["allowed"])
    plugins: list[Any] = [reporter]
    if job["recorder"]:
        plugins.append(inside_calls.start(job["recorder"]))
    if reach.folders:
        reach.start()
    always = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--rootdir", job["folder"]]
    importlib.import_module("pytest").main([*always, *job["options"], *arguments], plugins=plugins)
    sys.settrace(None)
    if job["recorder"]:
        plugins[-1].close()
    reporter.say("modules", sorted(sys.modules))
    reporter.say("executed", reach.reached(), {test: sorted(starts) for test, starts in reach.entered.items()})
    reporter.say("end")
