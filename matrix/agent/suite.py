"""Runs pytest files in this interpreter's environment and says how each test ended: the truth.

Started by path with one JSON argument, ``{"path": [folders], "warm": [modules], "subject": [modules]}``; then one job a
line on standard input, one answer a line on standard output. Each file of a job has a process of its own, forked when
pytest and the ``warm`` modules are imported and the subject is not, so that what one file breaks (an import, the
process) stays its own. What a job and an answer hold is said by ``matrix.suite``, the other end.
"""

import contextlib
import ctypes
import importlib
import importlib.machinery
import json
import os
import pathlib
import select
import signal
import sys
import threading
import time

LONGEST_REAL_SLEEP = 0.05  # seconds; what polls for something real must not spin
PR_SET_PDEATHSIG = 1
PLACEHOLDERS = "caliper_placeholders"  # the module that rewritten test files take `Placeholder` from


class TestTimeout(BaseException):
    """A test took too long. Not an ``Exception``: packages catch those."""


class MissingImportError(BaseException):
    """What a test file could not import was used. Not an ``Exception``: ``pytest.raises(Exception)`` must not pass."""


class Placeholder:
    """Stands for a name that could not be imported, and raises when it is used."""

    def __init__(self, name, error):
        """Remember which name it is, and why it is not there."""
        self.__dict__["__name"] = "{}: {}".format(name, error)

    def use(self, *_, **__):
        """Raise ``MissingImportError``."""
        raise MissingImportError(self.__dict__["__name"])

    def __getattr__(self, name):
        """Raise for any attribute but the private ones that pytest looks for on everything."""
        if name.startswith("_"):
            raise AttributeError(name)
        self.use()

    __call__ = __setattr__ = __getitem__ = __iter__ = __contains__ = __enter__ = __mro_entries__ = __bool__ = use
    __eq__ = __lt__ = __add__ = __or__ = __len__ = use
    __hash__ = object.__hash__


class VirtualSleep:
    """``time.sleep`` that returns at once, with clocks that are ahead by what was not slept."""

    def __init__(self):
        """Remember the real clocks."""
        self.ahead = 0.0
        self.real = {name: getattr(time, name) for name in ("sleep", "time", "monotonic", "perf_counter")}

    def install(self):
        """Replace the clocks of ``time``."""
        time.sleep = self.sleep
        for name in ("time", "monotonic", "perf_counter"):
            clock = self.real[name]
            setattr(time, name, lambda clock=clock: clock() + self.ahead)
            nanoseconds = getattr(time, name + "_ns")
            setattr(time, name + "_ns", lambda clock=nanoseconds: clock() + int(self.ahead * 1e9))

    def sleep(self, seconds):
        """Sleep really when that is short, else put the clocks ahead."""
        if 0 <= seconds <= LONGEST_REAL_SLEEP or seconds < 0:
            self.real["sleep"](seconds)
        else:
            self.ahead += seconds


class Presets:
    """A finder that sets attributes right after a module was imported: ``(module, "module:attribute", value)``."""

    def __init__(self, presets):
        """Group the presets by the module that they wait for."""
        self.presets = {}
        for after, target, value in presets:
            self.presets.setdefault(after, []).append((target, value))

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002 (the signature of finders)
        """Return the spec of a module that presets wait for, with a loader that applies them."""
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name in self.presets else None
        if spec is not None and hasattr(spec.loader, "exec_module"):
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                for attribute, value in self.presets[name]:
                    self.set_attribute(attribute, value)

            spec.loader.exec_module = exec_module
        return spec

    @staticmethod
    def set_attribute(target, value):
        """Set ``module:attribute`` where the module is loaded and has it."""
        module, _, path = target.partition(":")
        holder = sys.modules.get(module)
        *parents, last = path.split(".")
        for parent in parents:
            holder = getattr(holder, parent, None)
        if hasattr(holder, last):
            setattr(holder, last, value)


class Reach:
    """Which lines of the files under some folders are executed."""

    def __init__(self, folders):
        """Count lines below ``folders`` only."""
        self.folders = tuple(folders)
        self.lines = {}

    def start(self):
        """Trace this thread and the ones that it starts."""
        threading.settrace(self.trace)
        sys.settrace(self.trace)

    def trace(self, frame, event, argument):  # noqa: ARG002 (the signature of trace functions)
        """Trace the lines of a frame if it is of one of the files."""
        name = frame.f_code.co_filename
        if not name.startswith(self.folders):
            return None
        lines = self.lines.setdefault(name, set())

        def trace_lines(frame, event, argument):  # noqa: ARG001
            lines.add(frame.f_lineno)
            return trace_lines

        lines.add(frame.f_lineno)
        return trace_lines


class Reporter:
    """A pytest plugin that writes what happens as JSON lines, and limits each test's time."""

    def __init__(self, stream, limit):
        """Write to the file descriptor ``stream``; interrupt a test after ``limit`` seconds."""
        self.stream = stream
        self.limit = limit
        self.outcomes = {}
        signal.signal(signal.SIGALRM, self.interrupt)

    def say(self, *event):
        """Write one event."""
        os.write(self.stream, json.dumps(event).encode() + b"\n")

    def interrupt(self, *_):
        """Raise in the test that runs, and again a second later should it go on."""
        message = "took longer than {} s".format(self.limit)
        raise TestTimeout(message)

    def pytest_collectreport(self, report):
        """Say that a file can't be collected, and why."""
        if report.failed:
            self.say("uncollected", report.nodeid, last_line(report.longrepr))

    def pytest_collection_finish(self, session):
        """Say which tests there are."""
        self.say("collected", [item.nodeid for item in session.items])

    def pytest_runtest_logstart(self, nodeid):
        """Say which test begins, and start its clock."""
        self.say("start", nodeid)
        signal.setitimer(signal.ITIMER_REAL, self.limit, 1.0)

    def pytest_runtest_logreport(self, report):
        """Take the outcome of one phase of a test."""
        outcome = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = "xfailed" if outcome == "skipped" else "xpassed"
        elif outcome == "failed" and report.when != "call":
            outcome = "error"
        if report.when == "call" or outcome in ("error", "skipped", "xfailed"):
            detail = "" if outcome == "passed" else last_line(report.longrepr)
            self.outcomes[report.nodeid] = (outcome, detail)

    def pytest_runtest_logfinish(self, nodeid):
        """Say how a test ended."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        outcome, detail = self.outcomes.get(nodeid, ("error", "has no outcome"))
        self.say("outcome", nodeid, outcome, detail)


def last_line(longrepr):
    """Return the line of a failure that says what it was, at most 300 characters."""
    crash = getattr(longrepr, "reprcrash", None)
    if crash is not None:
        return crash.message.splitlines()[0][:300] if crash.message else ""
    if isinstance(longrepr, tuple):
        return str(longrepr[-1])[:300]
    errors = [line[1:].strip() for line in str(longrepr).splitlines() if line.startswith("E ")]
    return (errors or str(longrepr).splitlines() or [""])[-1][:300]


def run_pytest(job, arguments, stream):
    """Run pytest on ``arguments`` in this process and write events to ``stream``."""
    import pytest  # noqa: PLC0415 (imported by the parent: this only binds the name)

    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    if job.get("overlay"):
        sys.dont_write_bytecode = True
        sys.path.insert(0, job["overlay"])
        importlib.invalidate_caches()
    if job.get("presets"):
        sys.meta_path.insert(0, Presets(job["presets"]))
    if job.get("tolerant"):
        sys.modules[PLACEHOLDERS] = module = type(sys)(PLACEHOLDERS)
        module.Placeholder = Placeholder
    VirtualSleep().install()
    reporter = Reporter(stream, job["test_limit"])
    reach = Reach(job.get("reach", ()))
    if reach.folders:
        reach.start()
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", job["folder"], *job["options"]]
    pytest.main([*options, *arguments], plugins=[reporter])
    sys.settrace(None)
    reporter.say("modules", sorted(sys.modules))
    reporter.say("reached", {name: sorted(lines) for name, lines in reach.lines.items()})
    reporter.say("end")


def start_child(job, arguments):
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
        with contextlib.suppress(OSError, AttributeError):  # macOS has no such thing
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            run_pytest(job, arguments, stream)
            status = 0
    except BaseException as error:  # whatever it was, this process ends here
        sys.stderr.write("suite: {}: {}\n".format(type(error).__name__, error))
    finally:
        os._exit(status)
    return None


def read_events(source, deadline):
    """Yield the events of a child until it has ended or the deadline has passed."""
    rest = b""
    while time.monotonic() < deadline:
        if not select.select([source], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return
        data = os.read(source, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            event = json.loads(line.decode())
            if event[0] == "end":
                return
            yield event


def run_part(job, arguments, answer):
    """Run some tests in a child of their own and add what happened to ``answer``.

    Returns:
        the ids that were collected and did not run since the child died.
    """
    deadline = time.monotonic() + job["limit"]
    child, source = start_child(job, arguments)
    collected, running = [], None
    try:
        for event, *values in read_events(source, deadline):
            if event == "collected":
                collected = values[0]
            elif event == "start":
                running = values[0]
            elif event == "outcome":
                running = None
                answer["outcomes"][values[0]] = values[1:]
            elif event == "uncollected":
                answer["uncollected"][values[0]] = values[1]
            elif event == "modules":
                answer["modules"] = sorted(set(answer["modules"]).union(values[0]))
            else:
                for name, lines in values[0].items():
                    answer["reached"][name] = sorted(set(lines).union(answer["reached"].get(name, ())))
    finally:
        os.close(source)
        for kill in (os.killpg, os.kill):  # by itself too: it may not have got as far as a group of its own
            with contextlib.suppress(ProcessLookupError):
                kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    if running is not None:
        late = time.monotonic() >= deadline
        answer["outcomes"][running] = ["failed", "took too long" if late else "the process died ({})".format(status)]
    return [name for name in collected if name not in answer["outcomes"]] if running is not None else []


def run_job(job):
    """Run a job's files and return its answer."""
    answer = {"outcomes": {}, "uncollected": {}, "modules": [], "reached": {}}
    for file in job["files"]:
        left = run_part(job, [file], answer)
        while left:
            left = run_part(job, left, answer)
    return answer


def main(setup):
    """Answer jobs until standard input ends."""
    sys.path[:] = sys.path[1:] + setup["path"]
    answers = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    jobs = os.fdopen(os.dup(0))
    os.dup2(null, 0)
    os.dup2(null, 1)
    importlib.import_module("pytest")
    for name in setup["warm"]:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)
    if setup["warm"] and any(name in sys.modules for name in setup["subject"]):
        os.dup2(jobs.fileno(), 0)
        os.dup2(answers.fileno(), 1)
        os.execv(sys.executable, [sys.executable, str(pathlib.Path(__file__)), json.dumps(dict(setup, warm=[]))])
    for line in iter(jobs.readline, ""):
        answers.write(json.dumps(run_job(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
