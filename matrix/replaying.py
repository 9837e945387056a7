"""Runs the agent in a release's environment, with the services around it, and collects what it reports."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matrix.agent.contents import content_of
from matrix.errors import CaliperError
from matrix.recording import AGENT, scratch
from matrix.services import Control, Services, load_services
from matrix.subject import Subject
from matrix.trace import Trace, read_trace

# Seconds that one call may compute. Sleep is virtual, so that what takes longer hangs; the slowest of oras takes 0.3 s.
CALL_LIMIT = 10.0
# Seconds that one call may take in all, waiting included.
PATIENCE = 60.0
# What old code may use: bytes of address space, bytes of one file, processes of this user, seconds of CPU.
LIMITS = {"AS": 8 << 30, "FSIZE": 1 << 30, "CPU": 600, "CORE": 0}

Report = dict[str, Any]


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
    also: Path | None,
) -> dict[str, Any]:
    """Replay traces in an environment: the part ``profiles`` of a run file, by profile.

    ``also`` is a folder with what the suite needs besides the release, put last on the path.

    Raises:
        TraceError: a trace cannot be used.
        ReplayError: the agent ended without a result.
    """
    profiles: dict[str, Any] = {}
    for path in traces:
        trace = read_trace(path)
        replay = replay_trace(subject, release, python, path, trace, also=also)
        profiles[trace.header["profile"]] = {
            "trace": trace.digest,
            "plain_import": replay.plain_import,
            "reports": list(replay.reports),
        }
    return profiles


def replay_trace(
    subject: Subject,
    release: str,
    python: Path,
    path: Path,
    trace: Trace,
    *,
    also: Path | None,
    overlay: Path | None = None,
    inner: bool = True,
    tests: Sequence[str] | None = None,
    reach: Path | None = None,
    limit: float | None = None,
) -> Replay:
    """Replay one trace in an environment; ``overlay`` is a folder that is put first on the path.

    Without ``inner`` only what the program itself called is replayed: enough to tell which tests work; with ``tests``
    only those are. Functions and lines that are executed below the folder ``reach`` are reported, test by test. A call
    may compute ``limit`` seconds, if that is given.
    """
    chosen = {
        "inner": inner,
        "tests": None if tests is None else sorted(tests),
        "reach": f"{reach}{os.sep}" if reach else "",
        **({"limit": limit} if limit else {}),
    }
    start = load_services(subject.services, subject.options)
    with scratch() as folder, start(trace.header["profile"]) as services:
        contents = {line["id"]: content_of(line) for line in trace.definitions if line["def"] == "content"}
        with Control(services.services, folder, contents, trace.blobs) as control:
            job = make_job(subject, path, trace, folder, control.address, services=services, also=also, overlay=overlay)
            return run_agent(release, python, {**job, **chosen}, folder, services)


def make_job(
    subject: Subject,
    path: Path,
    trace: Trace,
    folder: Path,
    control: str,
    *,
    services: Services,
    also: Path | None,
    overlay: Path | None,
) -> dict[str, Any]:
    """Return what the agent is told."""
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
        "also": [str(also)] if also else [],
        "overlay": [str(overlay)] if overlay else [],
        "limit": CALL_LIMIT,
        "patience": PATIENCE,
        "limits": LIMITS,
    }


def run_agent(release: str, python: Path, job: dict[str, Any], folder: Path, services: Services) -> Replay:
    """Run the agent and return what it reported."""
    reading, writing = os.pipe()
    env = {
        "HOME": str(folder / "home"),
        "SSL_CERT_FILE": os.devnull,  # reading the system's authorities is 30 ms a connection, and none is reached
        "TMPDIR": str(folder / "tmp"),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        **services.env,
    }
    with os.fdopen(reading, "rb") as results, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(  # noqa: S603 # the agent
                [str(python), str(AGENT / "main.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[writing],
                env=env,
                start_new_session=True,
            )
        except OSError as error:
            os.close(writing)
            message = f"{python}: this Python does not start: {error.strerror}"
            raise ReplayError(message) from error
        os.close(writing)
        try:
            assert process.stdin is not None  # noqa: S101 # a pipe was asked for
            process.stdin.write(json.dumps({**job, "out": writing}).encode())
            process.stdin.close()
            reports = [json.loads(line) for line in results]
            process.wait()
        finally:
            end(process)
        if not reports or reports[-1] != {"end": True}:
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            reason = "".join(last) or "no reason given"
            message = f"{release}: {python}: the replay ended early (exit status {process.returncode}): {reason}"
            raise ReplayError(message)
    plain = next((report["plain"] for report in reports if "plain" in report), "")
    return Replay([report for report in reports[:-1] if "plain" not in report], plain)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End an agent and whatever it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
