"""One process that has loaded what judging a release takes, and forks for each: a tenth of a short replay is loading.

The process that draws a map starts it (`start`), and names it to its children by a variable; what they ask for (`run`)
is a command line, run with their output. It ends with the process that started it, a fork with the one that asked.
Linux only, as the names of its sockets are; elsewhere, and where anything is amiss, commands run by themselves.

This module loads with every noxfile: standard library only.
"""

import atexit
import contextlib
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence

VARIABLE = "CALIPER_WARM"
LONGEST = 1 << 16  # bytes of a command line


def start(python: Sequence[str], arguments: Sequence[str]) -> None:
    """Start it with a Python that has caliper-matrix, for commands that are like ``arguments``."""
    if sys.platform != "linux" or VARIABLE in os.environ:
        return
    name = f"caliper-matrix-{secrets.token_hex(16)}"
    nowhere = subprocess.DEVNULL  # whoever reads what we print must not wait for it
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [*python, "-m", __name__, name, *arguments]
    with contextlib.suppress(OSError):
        process = subprocess.Popen(command, env=env, stdin=nowhere, stdout=nowhere, stderr=nowhere)  # noqa: S603
        atexit.register(process.wait)
        atexit.register(process.terminate)  # the last that is registered is the first that runs
        os.environ[VARIABLE] = name


def run(arguments: Sequence[str]) -> int | None:
    """Run a command in a fork, with our output, and return its exit status; None where that cannot be had."""
    name = os.environ.get(VARIABLE)
    if name is None:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            connection.connect(f"\0{name}")
            sys.stdout.flush()
            socket.send_fds(connection, [json.dumps(list(arguments)).encode()], [1, 2])
            answer = connection.recv(1)
        except OSError:
            return None
    return answer[0] if answer else None


def serve(name: str, arguments: Sequence[str]) -> None:
    """Load what ``arguments`` need, then run what is asked for, until the process that started this one ends."""
    from matrix.commands.release import prepare  # noqa: PLC0415
    from matrix.processes import die_with_parent  # noqa: PLC0415

    die_with_parent()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"\0{name}")
        listener.listen(os.cpu_count() or 1)
        prepare(arguments)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that started it ends it
        signal.signal(signal.SIGTERM, _end)
        signal.signal(signal.SIGCHLD, _reap)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                answer(connection)
            connection.close()


def _reap(*_: object) -> None:
    """Take note of forks that ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _end(*_: object) -> None:
    """End; forks have a second for it, whose asker is gone by then."""
    signal.alarm(1)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    os._exit(0)


def answer(connection: socket.socket) -> None:
    """Run the command that is asked for, if it is this user who asks, and end the process."""
    from matrix import cli  # noqa: PLC0415

    status = cli.USAGE
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if user == os.getuid():
            request, files, _, _ = socket.recv_fds(connection, LONGEST, 2)
            for number, file in enumerate(files, 1):
                os.dup2(file, number)
            threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
            status = cli.main(json.loads(request))
            sys.stdout.flush()
            connection.send(bytes([status]))
    finally:
        os._exit(status)


def _end_with(connection: socket.socket) -> None:
    """Interrupt this process when the one that asked is gone."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
