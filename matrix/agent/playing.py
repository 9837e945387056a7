"""Plays the tests of a trace in forks of one process, which has imported what they import."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import select
import signal
import sys
import time
import traceback
from typing import Any, Dict, List, Optional, Tuple

from .confining import die_with_parent, processor_time
from .driving import fresh_loop
from .held import Trace
from .reach import Reach
from .replayer import Replayer
from .services import Counts, Line
from .templates import Templates
from .values import sha256
from .world import Files, may_change

LOOKS = 10  # times that is looked, within the time that a call may take, whether anything was reported

# What a fork reported: lines for each test that it began; the call that it was at; ``timeout``, ``crash`` or None.
Played = Tuple[List[List[bytes]], Optional[int], Optional[str]]


class Agent:
    """Plays all tests of one trace, and reports."""

    def __init__(self, job: Dict[str, Any], trace: Trace) -> None:
        """Make one that reports to the file descriptor that the job names."""
        self.job, self.trace = job, trace
        self.out = os.fdopen(job["out"], "wb", closefd=False)
        self.reach = Reach(job["reach"])
        self.files = Files(job["roots"], sha256, Templates(job["templates"]))
        self.files.scan()
        self.line = Line(job["control"])
        self.services: List[str] = job["services"]  # sorted
        self.counts = Counts(job["control"]) if job["control"] else None
        self.restored: Dict[str, Tuple[Optional[str], Optional[bytes]]] = {}

    def report(self, made: Dict[str, Any]) -> None:
        """Write one line."""
        self.out.write(as_line(made))

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
        self.report({"end": True})
        self.out.flush()

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
        for name in self.services:
            self.restore(name, states.get(name))

    def restore(self, name: str, state: Optional[str]) -> None:
        """Bring a service into a recorded state, by its digest; without one, into that which it began with."""
        index = self.services.index(name)
        count = self.counts.of(index) if self.counts else None
        if count is not None and self.restored.get(name) == (state, count):
            return
        self.line.ask({"do": "restore", "name": name, "state": state})
        self.restored[name] = (state, self.counts.of(index) if self.counts else None)

    def fork(self, tests: List[str], skip: Dict[str, str], inner: bool) -> Played:
        """Play tests in a fork, whose lines go to a file: a pipe would wake this process at each of them."""
        reading, writing = os.pipe()
        lines = unnamed(self.job["templates"]["root"])
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                die_with_parent()  # what the kernel keeps of this is not handed to a fork
                os.setsid()
                self.child(tests, skip, lines, inner)
            except BaseException:
                write(lines, [as_line({"trouble": traceback.format_exc()[-2000:]})])
            finally:
                with contextlib.suppress(OSError):
                    os.write(writing, b"\0")  # its end is not: what it started may hold the pipe
                os._exit(0)
        os.close(writing)
        try:
            verdict = self.watch(child, reading, lines)
            return sort_lines(os.pread(lines, os.fstat(lines).st_size, 0), verdict)
        finally:
            os.close(reading)
            os.close(lines)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)

    def watch(self, child: int, reading: int, lines: int) -> str:
        """Wait until a fork is done or dies, or a call takes too long, and say what befell the call that it is at."""
        size, spent, began = 0, processor_time(child), time.monotonic()
        while not select.select([reading], [], [], self.job["limit"] / LOOKS)[0]:
            used, now, written = processor_time(child), time.monotonic(), os.fstat(lines).st_size
            if written != size:
                size, spent, began = written, used, now
            elif now - began >= self.job["limit"]:
                # A slow machine is no slow call: the processor's time counts, where it is known.
                late = now - began > self.job["patience"]
                if late or used is None or spent is None or used - spent >= self.job["limit"]:
                    return "timeout"
        return "crash"

    def child(self, tests: List[str], skip: Dict[str, str], writing: int, inner: bool) -> None:
        """Play tests; runs in the fork."""
        waiting: List[bytes] = []

        def emit(made: Dict[str, Any]) -> None:
            waiting.append(as_line(made))
            if made.keys() & {"begin", "test", "done"}:  # what is lost with the process is what it did since
                write(writing, waiting)
                waiting.clear()

        watch_files(self.files)
        kept: List[Any] = []  # finalizers of what one test made are not to run in the middle of another
        for test in tests:
            if kept and not inner:
                self.prepare(test)
            emit({"test": test})
            self.reach.take()
            fresh_loop()
            replayer = Replayer({**self.job, "skip": skip}, self.trace, self.files, emit, self.restore)
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


def as_line(made: Dict[str, Any]) -> bytes:
    """Return what is reported as a line of JSON."""
    return json.dumps(made, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def unnamed(folder: str) -> int:
    """Open a file that has no name any more."""
    path = os.path.join(folder, "lines")
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    os.unlink(path)
    return file


def write(file: int, lines: List[bytes]) -> None:
    """Write lines whole."""
    data = b"".join(lines)
    while data:
        data = data[os.write(file, data) :]


def sort_lines(data: bytes, verdict: str) -> Played:
    """Return what a fork reported before ``verdict`` befell it, if it was not done by then."""
    played: List[List[bytes]] = []
    begun: Optional[int] = None
    for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
        if line.startswith(b'{"begin"'):
            begun = json.loads(line)["begin"]
        elif line.startswith(b'{"done"'):
            return played, None, None
        else:
            if line.startswith(b'{"test"'):
                played.append([])
                begun = None
            played[-1].append(line)
    return played, begun, verdict


def file_of(test: str) -> str:
    """Return the file that a test is in, by its name."""
    return test.partition("::")[0]


def watch_files(files: Any) -> None:
    """Let a look at the disk be taken only when files may have changed."""

    def hook(event: str, args: Any) -> None:
        if not files.dirty and may_change(event, args):
            files.dirty = True

    sys.addaudithook(hook)
