"""Keeps a process on this machine: names of services lead to loopback, every other connection is refused."""

from __future__ import annotations

import sys
from typing import Any, Dict


def is_local(host: Any) -> bool:
    """Say whether a host is this machine."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    return name in ("", "localhost", "::1", "0.0.0.0", "None") or name.startswith("127.")  # noqa: S104 — compared, not bound


def redirect(socket: Any, redirects: Dict[str, str]) -> None:
    """Let the module ``socket`` resolve the names of ``redirects`` to the addresses that they lead to."""
    original = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        target = redirects.get("%s:%s" % (name, port))
        if target is not None:
            host, _, number = target.rpartition(":")
            port = int(number)
        return original(host, port, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo


def guard() -> None:
    """Refuse connections to anything but this machine, and name what was tried."""

    def hook(event: str, args: Any) -> None:
        if event == "socket.connect" and isinstance(args[1], tuple) and not is_local(args[1][0]):
            message = "a connection to %s was refused: only this machine is talked to" % (args[1][0],)
            raise PermissionError(message)
        if event == "socket.getaddrinfo" and not is_local(args[0]):
            import socket

            message = "the name %s was not resolved: only this machine is talked to" % (args[0],)
            raise socket.gaierror(socket.EAI_NONAME, message)

    sys.addaudithook(hook)
