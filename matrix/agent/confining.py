"""What the code of a release may do: talk to this machine only, sleep no time, use so much and no more."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import Any, Dict, Optional


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


def limits(job: Dict[str, Any]) -> None:
    """Limit what old code may use."""
    import resource

    for name, value in job.get("limits", {}).items():
        kind = getattr(resource, "RLIMIT_" + name, None)
        if kind is not None:
            with contextlib.suppress(ValueError, OSError):
                hard = resource.getrlimit(kind)[1]
                resource.setrlimit(kind, (min(value, hard) if hard != resource.RLIM_INFINITY else value, hard))


def stay_here(job: Dict[str, Any]) -> None:
    """Let the release talk to this machine only."""
    import socket

    from _caliper_agent import network

    network.redirect(socket, job.get("redirects", {}))
    network.guard(job["modules"], job["allowed"])


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


def processor_time(process: int) -> Optional[float]:
    """Return the seconds that a process has computed, or None where the system does not tell."""
    try:
        with open("/proc/%d/stat" % process, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
