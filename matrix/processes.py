"""Child processes that never outlive what started them."""

import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import PIPE, CompletedProcess, Popen
from types import FrameType

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the one that started it ends, however that ends. Linux only."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def end_on_terminate() -> None:
    """Make SIGTERM, with which nox ends its sessions, an interrupt: what has to be cleaned up is."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def run_tied(
    command: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path,
    env: Mapping[str, str],
    given: str = "",
    timeout: float | None = None,
) -> CompletedProcess[str]:
    """Run a command to its end with piped streams, in a process group of its own that is killed whole if this fails.

    Raises:
        OSError: the program cannot be started.
        subprocess.TimeoutExpired: it took more than ``timeout`` seconds.
    """
    with Popen(  # noqa: S603 # the commands are ours
        command,
        cwd=cwd,
        env=dict(env),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 # runs before any thread of ours is started
    ) as process:
        try:
            output, errors = process.communicate(given, timeout=timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return CompletedProcess(list(command), process.returncode, output, errors)
