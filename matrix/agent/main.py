"""Replays traces in the environment of the Python that runs this file; started by path, with a job on standard input.

Results are JSON lines on the file descriptor that the job names. The tests of a file are played in a fork of this
process, which has imported what the trace imports; a fork that dies or takes too long costs the call that it was at,
and the test goes on in a new one.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import json
import os
import select
import signal
import sys
import sysconfig
import time
import types
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Set, Tuple

if TYPE_CHECKING:
    from .held import Trace

HERE = os.path.dirname(os.path.abspath(__file__))


def load() -> None:
    """Make the package of this file importable under its private name."""
    package = types.ModuleType("_caliper_agent")
    package.__path__ = [HERE]
    sys.modules["_caliper_agent"] = package
    if sys.path and os.path.abspath(sys.path[0] or ".") == HERE:
        del sys.path[0]


# What a fork reported: lines for each test that it began; the call that it was at; ``timeout``, ``crash`` or None.
Played = Tuple[List[List[bytes]], Optional[int], Optional[str]]


class Agent:
    """Plays all tests of one trace, and reports."""

    def __init__(self, job: Dict[str, Any], trace: Trace, out: Any) -> None:
        """Make one that reports to the binary file ``out``."""
        self.job, self.trace, self.out = job, trace, out
        from _caliper_agent import driving, reach, replayer, values, world  # now, and not in each fork

        self.make, self.fresh_loop = replayer.Replayer, driving.fresh_loop
        self.reach = reach.Reach(job["reach"])
        self.files = world.Files(job["roots"], values.sha256, values.Templates(job["templates"]))
        self.files.scan()
        self.asking: Tuple[int, Any] = (0, None)

    def report(self, made: Dict[str, Any]) -> None:
        """Write one line."""
        self.out.write(json.dumps(made, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n")

    def imports(self) -> None:
        """Import what the trace imports, and report what does not."""
        from _caliper_agent import making

        modules = tuple(self.job["modules"])
        for event in self.trace.tests[""]:
            if event["e"] != "import":
                continue
            try:
                module = making.import_module(event["module"], modules)
                for name in event["names"]:
                    self.has(module, name, event["module"])
            except making.Stop as error:
                verdict = "missing" if isinstance(error, making.Missing) else "import-error"
                if event["subject"] or event["module"].split(".", 1)[0] not in ("pytest", "_pytest"):
                    made = {"import": event["n"], "file": event["file"], "verdict": verdict, "detail": str(error)}
                    self.report({**made, "optional": event["optional"], "subject": event["subject"]})

    @staticmethod
    def has(module: Any, name: str, path: str) -> None:
        """Raise Missing where ``from module import name`` would fail."""
        from _caliper_agent import making

        if name == "*" or hasattr(module, name):
            return
        try:
            importlib.import_module("%s.%s" % (path, name))
        except ImportError:
            raise making.Missing("%s has no %s" % (path, name)) from None

    def plain(self) -> None:
        """Import the release with nothing but what it declares, and report how that went.

        What was imported stays imported, unless a module looked in vain for something that the suite needs besides: it
        may be another one with that. A process that was put aside before goes on then.
        """
        reading, writing = os.pipe()
        spare = os.fork()
        if spare == 0:
            os.close(writing)
            die_with_parent()
            with os.fdopen(reading, "rb") as file:
                answer = file.read()
            if not answer:
                os._exit(0)
            self.report({"plain": json.loads(answer)})
            return
        os.close(reading)
        lookups = Lookups()
        sys.meta_path.append(lookups)
        names = sorted({e["module"] for e in self.trace.tests[""] if e["e"] == "import" and e["subject"]})
        problem = next(filter(None, map(self.problem, names)), "")
        sys.meta_path.remove(lookups)
        if problem or lookups.found_in(self.job.get("also", [])):
            os.write(writing, json.dumps(problem).encode("ascii"))
            os.close(writing)
            os.waitpid(spare, 0)
            os._exit(0)
        os.close(writing)
        os.waitpid(spare, 0)
        self.report({"plain": ""})

    def problem(self, name: str) -> str:
        """Return what a module of the release needs and did not declare, or why it does not import."""
        from _caliper_agent import making

        try:
            making.import_module(name, tuple(self.job["modules"]))
        except making.Missing:
            return ""  # this release does not have the module
        except making.Broken as error:
            return str(error)
        return ""

    # Tests

    def run(self) -> None:
        """Play every test."""
        tests = [test for test in self.trace.tests if self.playable(test)]
        if self.job["tests"] is not None:
            tests = [test for test in tests if test in self.job["tests"]]
        gc.collect()
        gc.freeze()  # what is here stays shared with the forks
        # A fork costs 12 ms, as much as a test. Those of a file share a process when the suite itself runs, too.
        for _, together in itertools.groupby(tests, file_of):
            self.play(list(together), inner=False)
            self.out.flush()
        if self.job["inner"]:
            # Each of them brings its own world along, so that one process serves all: forks are what costs most.
            self.play([test for test in tests if self.trace.inner.get(test)], inner=True)

    def playable(self, test: str) -> bool:
        """Say whether a test has events to play."""
        return any(event["e"] in ("call", "read", "check") for event in self.trace.tests[test])

    def play(self, tests: List[str], inner: bool) -> None:
        """Play tests one after the other, or the inner calls that they made, in as many forks as it takes."""
        skip: Dict[str, str] = {}
        while tests:
            self.prepare(tests[0])
            played, begun, verdict = self.fork(tests, skip, inner)
            if verdict is None:
                self.out.writelines(line for lines in played for line in lines)
                return
            at = max(len(played) - 1, 0)
            again = begun is not None and str(begun) not in skip
            if again:
                skip[str(begun)] = verdict
                del played[at:]  # it is played again, without the call
            self.out.writelines(line for lines in played for line in lines)
            if not again:
                self.report({"broken": tests[at], "detail": verdict})
            tests = tests[at if again else at + 1 :]

    def begin(self, test: str) -> Tuple[Dict[str, Any], Dict[str, str]]:
        """Return the files and the states of services that a test began with."""
        files, states = self.trace.starts.get(test, ({}, {}))
        return {name: entry for name, entry in files.items() if not name.startswith("{tmp}/")}, states

    def prepare(self, test: str) -> None:
        """Bring files and services into the state that they had when the test began."""
        files, states = self.begin(test)
        self.files.dirty = True  # a fork was at work, or what another test started
        self.files.bring({name: tuple(entry) for name, entry in files.items()}, self.trace.blobs.__getitem__)
        for name in self.job.get("services", []):
            self.ask({"do": "restore", "name": name, "state": states.get(name)})

    def ask(self, request: Dict[str, Any]) -> Any:
        """Ask the process that runs the services."""
        import socket

        if self.asking[0] != os.getpid():  # a fork asks on a connection of its own
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.connect(self.job["control"])
            self.asking = (os.getpid(), connection.makefile("rwb"))
        file = self.asking[1]
        file.write(json.dumps(request).encode("ascii") + b"\n")
        file.flush()
        return json.loads(file.readline())

    def fork(self, tests: List[str], skip: Dict[str, str], inner: bool) -> Played:
        """Play tests in a fork."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                die_with_parent()  # what the kernel keeps of this is not handed to a fork
                os.setsid()
                self.child(tests, skip, writing, inner)
            except BaseException:
                import traceback

                os.write(writing, json.dumps({"trouble": traceback.format_exc()[-2000:]}).encode("ascii") + b"\n")
            finally:
                os._exit(0)
        os.close(writing)
        try:
            return self.watch(child, reading)
        finally:
            os.close(reading)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)

    def watch(self, child: int, reading: int) -> Played:
        """Collect a fork's lines, until it is done, dies, or a call takes too long."""
        played: List[List[bytes]] = []
        begun: Optional[int] = None
        pending = b""
        spent, began = processor_time(child), time.monotonic()
        while True:
            ready, _, _ = select.select([reading], [], [], self.job["limit"])
            if not ready:
                # A slow machine is no slow call: the processor's time counts, where it is known.
                used, late = processor_time(child), time.monotonic() - began > self.job["patience"]
                if late or used is None or spent is None or used - spent >= self.job["limit"]:
                    return played, begun, "timeout"
                continue
            spent, began = processor_time(child), time.monotonic()
            data = os.read(reading, 1 << 16)
            if not data:
                return played, begun, "crash"
            *whole, pending = (pending + data).split(b"\n")
            for line in whole:
                if line.startswith(b'{"begin"'):
                    begun = json.loads(line)["begin"]
                elif line.startswith(b'{"done"'):
                    return played, None, None
                else:
                    if line.startswith(b'{"test"'):
                        played.append([])
                        begun = None
                    played[-1].append(line + b"\n")

    def child(self, tests: List[str], skip: Dict[str, str], writing: int, inner: bool) -> None:
        """Play tests; runs in the fork."""
        waiting: List[bytes] = []

        def emit(made: Dict[str, Any]) -> None:
            waiting.append(json.dumps(made, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n")
            if not made.keys() & {"begin", "test", "done"}:
                return  # what is lost with the process is what it did since a call began
            data = b"".join(waiting)
            waiting.clear()
            while data:
                data = data[os.write(writing, data) :]

        watch_files(self.files)
        kept: List[Any] = []  # finalizers of what one test made are not to run in the middle of another
        for test in tests:
            if kept and not inner:
                self.prepare(test)
            emit({"test": test})
            self.reach.take()
            self.fresh_loop()
            replayer = self.make({**self.job, "skip": skip}, self.trace, self.files, emit, self.ask)
            kept.append(replayer)
            with replayer.setting.restoring(self.job["roots"]["work"]):
                for event in self.trace.settings.get(test, ()):
                    replayer.run(event)
                if inner:
                    replayer.run_inner(test, self.begin(test))
                else:
                    replayer.run_test(test)
            if self.reach.folder:
                emit({"reached": self.reach.take()})
        emit({"done": True})


def file_of(test: str) -> str:
    """Return the file that a test is in, by its name."""
    return test.partition("::")[0]


class Lookups:
    """The last finder: notes what was looked for and is nowhere."""

    def __init__(self) -> None:
        """Note nothing yet."""
        self.names: Set[str] = set()
        self.distributions = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Note a module."""
        if path is None:
            self.names.add(name)

    def find_distributions(self, *_: Any, **__: Any) -> Tuple[()]:
        """Note that somebody asks which distributions are installed."""
        self.distributions = True
        return ()

    def found_in(self, folders: List[str]) -> bool:
        """Say whether any of it is in some folders."""
        find = importlib.import_module("importlib.machinery").PathFinder.find_spec
        return bool(folders) and (self.distributions or any(find(name, folders) for name in sorted(self.names)))


def processor_time(process: int) -> Optional[float]:
    """Return the seconds that a process has computed, or None where the system does not tell."""
    try:
        with open("/proc/%d/stat" % process, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def watch_files(files: Any) -> None:
    """Let a look at the disk be taken only when files may have changed."""
    from _caliper_agent.world import may_change

    def hook(event: str, args: Any) -> None:
        if not files.dirty and may_change(event, args):
            files.dirty = True

    sys.addaudithook(hook)


def virtual_sleep() -> None:
    """Make sleeping pass no time, and let the clocks go on as if it had."""
    slept = [0.0]
    for name in ("time", "monotonic", "perf_counter"):
        clock = getattr(time, name)
        setattr(time, name, lambda clock=clock: clock() + slept[0])

    def sleep(seconds: float) -> None:
        if seconds < 0:
            message = "sleep length must be non-negative"
            raise ValueError(message)
        slept[0] += seconds

    time.sleep = sleep  # type: ignore[assignment]


def stay_here(job: Dict[str, Any]) -> None:
    """Let the release talk to this machine only."""
    import socket

    from _caliper_agent import network

    network.redirect(socket, job.get("redirects", {}))
    network.guard(job["modules"], job["allowed"])


def presets(job: Dict[str, Any]) -> None:
    """Set what the subject file presets, each right after its module was imported."""
    util: Any = importlib.import_module("importlib.util")
    waiting: Dict[str, List[Tuple[str, Any]]] = {}
    for after, target, value in job["presets"]:
        waiting.setdefault(after, []).append((target, value))

    class Finder:
        """Loads a module as usual and sets its presets."""

        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
            """Return the usual spec with a loader that sets the presets."""
            if name not in waiting:
                return None
            mine = waiting.pop(name)
            spec = util.find_spec(name)
            if spec is None or spec.loader is None:
                return spec
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                for where, value in mine:
                    holder, _, attribute = where.partition(":")
                    if hasattr(sys.modules.get(holder), attribute):
                        setattr(sys.modules[holder], attribute, value)

            spec.loader.exec_module = exec_module
            return spec

    sys.meta_path.insert(0, Finder)


def limits(job: Dict[str, Any]) -> None:
    """Limit what old code may use."""
    import resource

    for name, value in job.get("limits", {}).items():
        kind = getattr(resource, "RLIMIT_" + name, None)
        if kind is not None:
            with contextlib.suppress(ValueError, OSError):
                hard = resource.getrlimit(kind)[1]
                resource.setrlimit(kind, (min(value, hard) if hard != resource.RLIM_INFINITY else value, hard))


def die_with_parent() -> None:
    """Let the kernel end this process when the one that started it is gone (Linux)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def silence() -> None:
    """Send what the release prints nowhere; standard error is a file of ours already."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)


def main() -> None:
    """Replay one trace."""
    job = json.loads(sys.stdin.buffer.read())
    die_with_parent()
    load()
    out = os.fdopen(job["out"], "wb")
    os.set_inheritable(job["out"], False)
    silence()
    limits(job)
    stay_here(job)
    os.chdir(job["roots"]["work"])
    sys.path[:0] = job.get("overlay", [])
    version = ".".join(map(str, sys.version_info[:3]))
    job["templates"].update(python=version, prefix=sys.prefix, site=sysconfig.get_paths()["purelib"])
    presets(job)
    from _caliper_agent.held import Trace

    trace = Trace(job["trace"])
    agent = Agent(job, trace, out)
    agent.plain()
    sys.path += job.get("also", [])
    virtual_sleep()
    agent.imports()
    if agent.reach.folder:
        agent.report({"test": ""})
        agent.report({"reached": agent.reach.take()})
    agent.run()
    agent.report({"end": True})
    out.flush()


if __name__ == "__main__":
    main()
