"""Runs the agent in a release's environment, with the services around it, and collects what it reports."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self, TypedDict, Unpack

from matrix.agent.contents import content_of
from matrix.errors import CaliperError
from matrix.recording import AGENT, in_memory, scratch
from matrix.services import Control, Services, load_services
from matrix.subject import Subject
from matrix.trace import Trace, read_checked

# Seconds that one call may compute. Sleep is virtual, so that what takes longer hangs; the slowest of oras takes 0.3 s.
CALL_LIMIT = 10.0
# Seconds that one call may take in all, waiting included.
PATIENCE = 60.0
# What old code may use: bytes of address space, bytes of one file, processes of this user, seconds of CPU.
LIMITS = {"AS": 8 << 30, "FSIZE": 1 << 30, "CPU": 600, "CORE": 0}

Report = dict[str, Any]


class Options(TypedDict, total=False):
    """What may be asked of a replay.

    ``overlay`` is a folder that is put first on the path. Without ``inner`` only what the program itself called is
    replayed: enough to tell which tests work; with ``tests`` only those are. Functions and lines that are executed
    below the folder ``reach`` are reported, test by test. A call may compute ``limit`` seconds, if that is given.
    """

    overlay: Path | None
    inner: bool
    tests: Sequence[str] | None
    reach: Path | None
    limit: float | None


class ReplayError(CaliperError):
    """A replay that gave nothing to judge."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What the agent reported of one trace: lines in order, and how the plain import went."""

    reports: Sequence[Report] = field(repr=False)
    plain_import: str


def replay_release(
    subject: Subject,
    release: str,
    python: Path,
    traces: Sequence[Path],
    *,
    also: Path | None,
    checked: Path,
    thrifty: bool = False,
) -> dict[str, Any]:
    """Replay traces in an environment, all at the same time: the part ``profiles`` of a run file, by profile.

    ``also`` is a folder with what the suite needs besides the release, put last on the path; the folder ``checked``
    notes which traces are valid. Where it is ``thrifty``, one Python replays one after the other, which takes a tenth
    less of the processor, and more by the clock.

    Raises:
        TraceError: a trace cannot be used.
        ReplayError: the agent ended without a result.
    """
    held = [(path, checked_trace(path, checked)) for path in traces]
    with contextlib.ExitStack() as stack:
        agents = [
            stack.enter_context(agent_on(subject, release, python, part, also=also))
            for part in ([held] if thrifty else [[one] for one in held])
        ]
        replays = [replay for running in agents for replay in running.results()]
    done = zip([trace for _, trace in held], replays, strict=True)
    return {trace.header["profile"]: as_profile(trace, replay) for trace, replay in done}


def prepare_replays(subject: Subject, traces: Sequence[Path], checked: Path) -> None:
    """Load what a replay of these traces takes; its forks need not."""
    start = load_services(subject.services, subject.options)
    for path in traces:
        with start(checked_trace(path, checked).header["profile"]):
            pass  # whatever they load, they have loaded then


def checked_trace(path: Path, checked: Path) -> Trace:
    """Return a trace, as `read_checked` does; a process reads it once."""
    status = path.stat() if path.exists() else None
    return _checked_trace(path, checked, status and (status.st_size, status.st_mtime_ns))


@functools.cache
def _checked_trace(path: Path, checked: Path, _as_it_is: object) -> Trace:
    return read_checked(path, checked)


def as_profile(trace: Trace, replay: Replay) -> dict[str, Any]:
    """Return what a run file says of one profile."""
    return {"trace": trace.digest, "plain_import": replay.plain_import, "reports": list(replay.reports)}


def replay_trace(
    subject: Subject,
    release: str,
    python: Path,
    path: Path,
    trace: Trace,
    *,
    also: Path | None,
    **options: Unpack[Options],
) -> Replay:
    """Replay one trace in an environment."""
    with agent_on(subject, release, python, [(path, trace)], also=also, **options) as running:
        return running.results()[0]


@contextlib.contextmanager
def agent_on(
    subject: Subject,
    release: str,
    python: Path,
    traces: Sequence[tuple[Path, Trace]],
    *,
    also: Path | None,
    **options: Unpack[Options],
) -> Iterator["Running"]:
    """Start an agent on traces in an environment, with the services of each around it."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch(in_memory()))
        # Python starts while the services are loaded and do.
        running = stack.enter_context(Running(release, python, folder, len(traces)))
        start = load_services(subject.services, subject.options)
        jobs: list[dict[str, Any]] = []
        for path, trace in traces:
            services = stack.enter_context(start(trace.header["profile"]))
            contents = {line["id"]: content_of(line) for line in trace.definitions if line["def"] == "content"}
            place = folder / str(len(jobs))
            place.mkdir()
            control = stack.enter_context(Control(services.services, place, contents, trace.blobs))
            job = make_job(subject, path, trace, folder, control.address, services=services, also=also, options=options)
            jobs.append(job)
        stack.callback(running.end)  # before its services do
        running.begin(jobs)
        yield running


def make_job(
    subject: Subject,
    path: Path,
    trace: Trace,
    folder: Path,
    control: str,
    *,
    services: Services,
    also: Path | None,
    options: Options,
) -> dict[str, Any]:
    """Return what the agent is told."""
    overlay, reach, tests = options.get("overlay"), options.get("reach"), options.get("tests")
    roots = {name: str(folder / name) for name in ("work", "home", "tmp")}
    return {
        "trace": str(path.resolve()),
        "modules": list(trace.header["modules"]),
        "roots": roots,
        "templates": {"base": str(folder.parent), "root": str(folder), **roots, **services.templates},
        "presets": [[preset.after, preset.target, preset.value] for preset in subject.presets],
        "control": control,
        "redirects": dict(services.redirects),
        "allowed": list(services.allowed),
        "services": sorted(services.services),
        "environment": dict(services.env),
        "also": [str(also)] if also else [],
        "overlay": [str(overlay)] if overlay else [],
        "limit": options.get("limit") or CALL_LIMIT,
        "inner": options.get("inner", True),
        "tests": None if tests is None else sorted(tests),
        "reach": f"{reach}{os.sep}" if reach else "",
        "patience": PATIENCE,
        "limits": LIMITS,
    }


class Running:
    """An agent at work; it is ended, with whatever it started, when the context is left."""

    def __init__(self, release: str, python: Path, folder: Path, traces: int) -> None:
        """Take what to start; it reports to files, so that nobody has to listen while several are at work."""
        self.release, self.python, self.ended = release, python, False
        self.files = [tempfile.TemporaryFile() for _ in range(traces)]  # noqa: SIM115 # see __exit__
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.env = {
            "HOME": str(folder / "home"),
            "SSL_CERT_FILE": os.devnull,  # reading the system's authorities is 30 ms a connection, and none is reached
            "TMPDIR": str(folder / "tmp"),
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": "0",
        }

    def __enter__(self) -> Self:
        """Start it; it waits for what to do.

        Raises:
            ReplayError: this Python does not start.
        """
        with contextlib.ExitStack() as stack:
            for file in (*self.files, self.errors):
                stack.enter_context(file)
            try:
                self.process = subprocess.Popen(  # noqa: S603 # the agent
                    [str(self.python), str(AGENT / "main.py")],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=self.errors,
                    pass_fds=[file.fileno() for file in self.files],
                    env=self.env,
                    start_new_session=True,
                )
            except OSError as error:
                message = f"{self.python}: this Python does not start: {error.strerror}"
                raise ReplayError(message) from error
            stack.callback(self.end)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stack.close()

    def begin(self, jobs: Sequence[dict[str, Any]]) -> None:
        """Tell it what to do."""
        assert self.process.stdin is not None  # noqa: S101 # a pipe was asked for
        with contextlib.suppress(BrokenPipeError), self.process.stdin as stdin:  # it may be no Python at all
            told = [{**job, "out": file.fileno()} for job, file in zip(jobs, self.files, strict=True)]
            stdin.write(json.dumps(told).encode())

    def end(self) -> None:
        """End it and whatever it started; more than once does no harm."""
        if self.ended:
            return
        self.ended = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def results(self) -> list[Replay]:
        """Return what it reported of each trace, once it is done.

        Raises:
            ReplayError: it ended without a result.
        """
        self.process.wait()
        return [self.read(file) for file in self.files]

    def read(self, file: IO[bytes]) -> Replay:
        """Return what it reported to a file.

        Raises:
            ReplayError: that is no result.
        """
        file.seek(0)
        reports = [json.loads(line) for line in file if line.endswith(b"\n")]
        if not reports or reports[-1] != {"end": True}:
            self.errors.seek(0)
            last = self.errors.read().decode(errors="replace").strip().splitlines()[-1:]
            reason = "".join(last) or "no reason given"
            status = f"exit status {self.process.returncode}"
            message = f"{self.release}: {self.python}: the replay ended early ({status}): {reason}"
            raise ReplayError(message)
        plain = next((report["plain"] for report in reports if "plain" in report), "")
        return Replay([report for report in reports[:-1] if "plain" not in report], plain)
