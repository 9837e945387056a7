"""Runs pytest files in this interpreter's environment and says how each test ended: the truth.

Started by path with one JSON argument, ``{"path": [folders], "warm": [modules], "subject": [modules]}``; then one job a
line on standard input, one answer a line on standard output. Each file of a job (or all, ``together``) has a process of
its own, forked when pytest and the ``warm`` modules are imported and the subject is not, so that what one file breaks
(an import, the process) stays its own. What a job and an answer hold is said by ``matrix.suite.server``, the other end.

Standard library and pytest only, Python 3.8 and later; imports nothing of ours but the file beside it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import sys
import time
from typing import Any, Iterator

from inside_pytest import run_pytest  # type: ignore[import-not-found] # beside this file, which is run by path

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends, however that ends. Linux only."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def start_child(job: dict[str, Any], arguments: list[str]) -> tuple[int, int]:
    """Fork; return the child's id and the end of a pipe that its events come from."""
    source, stream = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child:
        os.close(stream)
        return child, source
    status = 1
    try:
        os.setsid()
        die_with_parent()
        if os.getppid() == parent:
            if job["recorder"]:
                begin_anew(job, arguments, stream)
            run_pytest(job, arguments, stream)
            status = 0
    except BaseException as error:  # whatever it was, this process ends here
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(status)


def begin_anew(job: dict[str, Any], arguments: list[str], stream: int) -> None:
    """Go on in a new interpreter: what pytest imports (it may be the subject) is recorded only if that comes first."""
    os.set_inheritable(stream, True)  # noqa: FBT003 # as it is defined
    setup = {"path": sys.path, "child": [job, arguments, stream]}
    os.execv(sys.executable, [sys.executable, "-s", __file__, json.dumps(setup)])  # noqa: S606


def read_events(source: int, deadline: float) -> Iterator[list[Any]]:
    """Yield the events of a child until it has ended or the deadline has passed."""
    rest = b""
    while select.select([source], [], [], max(0.0, deadline - time.monotonic()))[0]:
        data = os.read(source, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            event = json.loads(line.decode())
            if event[0] == "end":
                return
            yield event


def end_child(child: int, source: int) -> int:
    """Kill a child with all that it started, and return its status."""
    os.close(source)
    for kill in (os.killpg, os.kill):  # by itself too: it may not have got as far as a group of its own
        with contextlib.suppress(ProcessLookupError):
            kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


class Answer:
    """What a job gave so far."""

    def __init__(self) -> None:
        """Begin."""
        self.collected: dict[str, None] = {}
        self.outcomes: dict[str, list[str]] = {}
        self.uncollected: dict[str, str] = {}
        self.modules: set[str] = set()
        self.reached: dict[str, dict[str, set[int]]] = {}
        self.entered: dict[str, set[tuple[str, int]]] = {}
        self.states: dict[str, Any] = {}
        self.stopped = False
        self.trouble = ""

    def as_json(self) -> str:
        """Return the line that is the answer."""
        return json.dumps(
            {
                "collected": list(self.collected),
                "outcomes": self.outcomes,
                "uncollected": self.uncollected,
                "modules": sorted(self.modules),
                "reached": {
                    test: {name: sorted(lines) for name, lines in files.items()} for test, files in self.reached.items()
                },
                "entered": {test: sorted(starts) for test, starts in self.entered.items()},
                "states": self.states,
                "stopped": self.stopped,
                "trouble": self.trouble,
            }
        )

    def take(self, event: str, values: list[Any]) -> None:
        """Take an event of a child."""
        if event == "collected":
            self.collected.update(dict.fromkeys(values[0]))
        elif event == "outcome":
            self.outcomes[values[0]] = values[1:]
        elif event == "uncollected":
            self.uncollected[values[0]] = values[1]
        elif event == "states":
            self.states[values[0]] = values[1]
        elif event == "trouble":
            self.trouble = values[0]
        elif event == "modules":
            self.modules.update(values[0])
        elif event == "stopped":
            self.stopped = True
        elif event == "executed":
            self.add(*values)

    def add(self, reached: dict[str, dict[str, list[int]]], entered: dict[str, list[list[Any]]]) -> None:
        """Add what tests of one process executed to what the others did."""
        for test, files in reached.items():
            for name, lines in files.items():
                self.reached.setdefault(test, {}).setdefault(name, set()).update(lines)
        for test, starts in entered.items():
            self.entered.setdefault(test, set()).update((file, line) for file, line in starts)


def run_part(job: dict[str, Any], arguments: list[str], answer: Answer) -> list[str]:
    """Run some tests in a child of their own and add what happened to ``answer``.

    Returns:
        the ids that were collected and did not run since the child died in another.
    """
    deadline = time.monotonic() + job["limit"]
    child, source = start_child(job, arguments)
    collected: list[str] = []
    running = None
    try:
        for event, *values in read_events(source, deadline):
            answer.take(event, values)
            if event == "collected":
                collected = values[0]
            elif event in ("start", "outcome"):
                running = values[0] if event == "start" else None
    finally:
        late = time.monotonic() >= deadline
        status = end_child(child, source)
    if running is None:
        return []
    answer.outcomes[running] = ["failed", "took too long" if late else f"the process died (status {status})"]
    return [name for name in collected if name not in answer.outcomes]


def run_job(job: dict[str, Any]) -> str:
    """Run a job's files and return its answer."""
    answer = Answer()
    for files in [job["files"]] if job["together"] else [[file] for file in job["files"]]:
        left, died = run_part(job, files, answer), 0
        while left and not answer.trouble:
            died += 1
            if died == job["patience"]:
                answer.stopped = True
                break
            left = run_part(job, left, answer)
    return answer.as_json()


def main(setup: dict[str, Any]) -> None:
    """Answer jobs until standard input ends."""
    die_with_parent()
    sys.path[:] = sys.path[1:] + setup["path"]
    answers = os.fdopen(os.dup(1), "w")
    jobs = os.fdopen(os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    importlib.import_module("pytest")
    for name in setup["warm"]:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)
    if setup["warm"] and any(name in sys.modules for name in setup["subject"]):
        # One of them imports the subject, which must be imported anew by each child: start again without.
        os.dup2(jobs.fileno(), 0)
        os.dup2(answers.fileno(), 1)
        os.execv(sys.executable, [sys.executable, "-s", __file__, json.dumps({**setup, "warm": []})])  # noqa: S606
    for line in iter(jobs.readline, ""):
        answers.write(run_job(json.loads(line)) + "\n")
        answers.flush()


def be_child(path: list[str], child: list[Any]) -> None:
    """Run a part of a job in this process, and end it."""
    status = 1
    try:
        sys.path[:] = path
        run_pytest(*child)
        status = 0
    except BaseException as error:  # whatever it was, this process ends here
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(status)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    if "child" in given:
        be_child(given["path"], given["child"])
    main(given)
