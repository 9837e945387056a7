"""What the image runs: a command in a work folder of its own, as nobody in particular; results are delivered whole.

Old releases are old code. It never runs as root and never sees the folder that is mounted on /results: it works in
/tmp, and what it leaves in ``results`` there is copied by this process when it has ended well, file by file, each
whole, as the owner of the folder. So a container that is killed leaves nothing half-written.

Standard library only. Exit status: the command's; 2 where the container lacks something; 128 and the signal's number
where it was stopped.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

HOME = Path("/opt/caliper")
WORK = Path("/tmp/caliper")
RESULTS = Path("/results")
TRACES = Path("/traces")
NOBODY = 10001
PATIENCE = 1  # seconds between asking the command to end and ending it
FINE, FINDINGS, LACKING = 0, 1, 2

Files = dict[str, bytes]


class LackingError(Exception):
    """The container was started without something that it needs; the message is one line."""


@dataclass(frozen=True, slots=True)
class User:
    """Who somebody is to the kernel."""

    uid: int
    gid: int

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """Act as this user within the block, if this process is root; else it is this user already, or cannot be."""
        if os.getuid() != 0:
            yield
            return
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)


def command(arguments: Sequence[str]) -> list[str]:
    """Return what to run: the matrix, another session of nox, or a command of caliper-matrix."""
    python = [str(HOME / ".nox/engine/bin/python"), "-P", "-m"]
    if not arguments:
        return [*python, "nox", "-s", "matrix"]
    return [*python, *arguments] if arguments[0] == "nox" else [*python, "matrix", *arguments]


def lay_out(home: Path, work: Path, traces: Path) -> None:
    """Make the work folder: what is large is linked, what is written to is new."""
    shutil.rmtree(work, ignore_errors=True)
    caches = home / ".nox/.cache/caliper"
    (work / ".nox/.cache/caliper").mkdir(parents=True)
    for name in ("results", "cache", "home"):
        (work / name).mkdir()
    for path in [home / "noxfile.py", home / "pyproject.toml", home / "matrix", *(home / ".nox").glob("[!.]*")]:
        (work / path.relative_to(home)).symlink_to(path)
    for path in caches.glob("*.json"):
        shutil.copy(path, work / ".nox/.cache/caliper")
    for path in caches.glob("*/also/*/"):
        link = work / path.relative_to(home)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    if traces.is_dir():
        (work / "traces").symlink_to(traces)
    else:
        shutil.copytree(home / "traces", work / "traces", copy_function=shutil.copyfile)
    if (home / "cache").is_dir():
        shutil.copytree(home / "cache", work / "cache", copy_function=shutil.copyfile, dirs_exist_ok=True)


def environment(work: Path) -> dict[str, str]:
    """Return the command's environment: nothing is written outside of the work folder."""
    own = {
        "HOME": str(work / "home"),
        "XDG_CACHE_HOME": str(work / "cache"),
        "PATH": f"{HOME / '.nox/engine/bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    trusted = os.environ.get("SSL_CERT_FILE")  # uv looks at it, requests at a name of its own
    return ({"REQUESTS_CA_BUNDLE": trusted} if trusted else {}) | dict(os.environ) | own


def read(folder: Path) -> Files:
    """Return the files of a folder by relative path; links are not followed, wherever they lead."""
    files = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(parent, name) for name in names if not name.startswith(".")):
            with contextlib.suppress(OSError), os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                files[str(path.relative_to(folder))] = file.read()
    return files


def write(folder: Path, files: Files) -> None:
    """Write files, each whole or not at all; what a killed container was writing is overwritten the next time."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        making = path.with_name(f".{path.name}.making")
        making.write_bytes(data)
        making.replace(path)


def is_mounted(path: Path) -> bool:
    """Tell whether something is mounted there."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return any(line.split(" ")[4] == str(path) for line in mounts)


def worker() -> User:
    """Return who the command runs as: this user, but never root.

    Raises:
        LackingError: this is root, and it may not become anybody else.
    """
    if os.getuid() != 0:
        return User(os.getuid(), os.getgid())
    nobody = User(NOBODY, NOBODY)
    try:
        os.setgroups([])
        with nobody.acting():
            return nobody
    except PermissionError:
        message = f"root may not become another user here: add --user {NOBODY}"
        raise LackingError(message) from None


def receiver() -> User | None:
    """Return who delivers the results: the owner of /results for root, else this user; None if they go nowhere.

    Raises:
        LackingError: a folder is mounted there, and cannot be written.
    """
    if not RESULTS.is_dir():
        return None
    facts = RESULTS.stat()
    user = User(facts.st_uid, facts.st_gid) if os.getuid() == 0 else User(os.getuid(), os.getgid())
    with user.acting():
        if os.access(RESULTS, os.W_OK | os.X_OK, effective_ids=True):
            return user
    if is_mounted(RESULTS):
        message = f"the folder mounted on {RESULTS} cannot be written by user {user.uid}: give it to that user, or add"
        message += " --user with its owner"
        raise LackingError(message)
    return None


class Running:
    """A command that is ended when this process is asked to end."""

    def __init__(self, arguments: Sequence[str], work: Path, user: User) -> None:
        """Start it, in a process group of its own."""
        become = {"user": user.uid, "group": user.gid, "extra_groups": []} if os.getuid() == 0 else {}
        self.stopped = 0
        self._process = subprocess.Popen(arguments, cwd=work, env=environment(work), process_group=0, **become)  # type: ignore[call-overload]
        signal.signal(signal.SIGALRM, self._end)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.stopped = number
        self._signal(number)
        signal.alarm(PATIENCE)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def wait(self) -> int:
        """Return its exit status; as the first process, also take leave of those that nobody waits for."""
        while True:
            pid, status = os.wait()
            if pid == self._process.pid:
                signal.alarm(0)
                code = os.waitstatus_to_exitcode(status)
                self._process.returncode = code
                return 128 - code if code < 0 else code


def run(arguments: Sequence[str]) -> int:
    """Lay out the work folder, run the command there, deliver the results."""
    draws = not arguments or arguments[0] == "nox"
    user = worker()
    owner = receiver() if draws else None
    with (owner or user).acting():
        before = read(RESULTS)
    try:
        with user.acting():
            lay_out(HOME, WORK, TRACES)
            write(WORK / "results", before or ({} if draws else read(HOME / "results")))
            made = read(WORK / "results")
    except OSError as error:
        message = f"{WORK} cannot be made ({error.strerror or error}): in a read-only container add --tmpfs /tmp:exec"
        raise LackingError(message) from None
    running = Running(command(arguments), WORK, user)
    status = running.wait()
    if running.stopped:
        return 128 + running.stopped
    if status in {FINE, FINDINGS}:
        with user.acting():
            left = read(WORK / "results")
        deliver({name: data for name, data in left.items() if made.get(name) != data}, draws=draws)
    return status


def deliver(files: Files, *, draws: bool) -> None:
    """Write what is new to /results; say so where there is no such folder to write to."""
    owner = receiver() if files else None
    if owner is not None:
        try:
            with owner.acting():
                write(RESULTS, files)
        except OSError as error:
            message = f"{RESULTS} cannot be written: {error.strerror}"
            raise LackingError(message) from None
    elif files or draws:
        print("no folder is mounted on /results: what was made is gone with this container", file=sys.stderr)


def main() -> int:
    """Run, and tell what is lacking in one line."""
    try:
        return run(sys.argv[1:])
    except LackingError as error:
        print(f"caliper-matrix: {error}", file=sys.stderr)
    return LACKING


if __name__ == "__main__":
    sys.exit(main())
