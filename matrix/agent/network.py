"""Keeps a process on this machine: names of services lead to loopback, every other connection is refused."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, Dict, Iterable

LOCAL = ("", "localhost", "0.0.0.0", "::", "::1")  # noqa: S104 — compared, not bound
# What leads off this machine, by audit event: which argument names the other one.
REACHES = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1, "socket.getnameinfo": 0}
LOOKS_UP = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
EVENTS = frozenset((*REACHES, *LOOKS_UP))


def name_of(host: Any) -> str:
    """Return a host as text, none as an empty one."""
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")


def is_local(name: str) -> bool:
    """Say whether a host is this machine."""
    if name.startswith("::ffff:"):
        name = name[7:]
    return name in LOCAL or (name.startswith("127.") and name.replace(".", "").isdigit())


def redirect(socket: Any, redirects: Dict[str, str]) -> None:
    """Let the module ``socket`` resolve the names of ``redirects`` to the addresses that they lead to."""
    original = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        target = redirects.get("%s:%s" % (name_of(host), port))
        if target is not None:
            host, _, number = target.rpartition(":")
            port = int(number)
        return original(host, port, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo


def guard(modules: Iterable[str] = (), allowed: Iterable[str] = ()) -> None:
    """Refuse connections to anything but this machine, from now on."""
    sys.addaudithook(refusing(modules, allowed))


def refusing(
    modules: Iterable[str] = (), allowed: Iterable[str] = (), told: Callable[[str], None] = lambda _: None
) -> Callable[[str, Any], None]:
    """Return the audit hook that refuses connections to other machines: it raises and tells what call tried.

    That is the innermost call of ``modules``, else of the program. ``allowed`` are further names and addresses.
    """
    modules, allowed = frozenset(modules), frozenset(allowed)

    def hook(event: str, args: Any) -> None:
        if event in LOOKS_UP:
            host = name_of(args[0])
            if is_local(host) or host in allowed or host == sys.modules["_socket"].gethostname():
                return
            message = "the name %s was not resolved" % host
        elif event in REACHES:
            address = args[REACHES[event]]
            if not (isinstance(address, tuple) and address and isinstance(address[0], (str, bytes))):
                return  # of a family that stays here, or where the connection leads already
            host = name_of(address[0])
            if is_local(host) or host in allowed:
                return
            message = "a connection to %s was refused" % host
        else:
            return
        tried = trying(sys._getframe(1), modules)
        message = "%s: only this machine is talked to%s" % (message, tried and " (tried by %s)" % tried)
        told(message)
        if event in LOOKS_UP:
            raise sys.modules["_socket"].gaierror(sys.modules["_socket"].EAI_NONAME, message)
        raise PermissionError(message)

    return hook


def trying(frame: Any, modules: Any) -> str:
    """Return the innermost call of ``modules`` that a frame lies in, else of what is not installed."""
    program = ""
    here = os.path.dirname(trying.__code__.co_filename)  # not __file__: it may be loaded without
    installed = (sys.prefix + os.sep, sys.base_prefix + os.sep, here + os.sep, "<frozen ")
    while frame is not None:
        code, module = frame.f_code, str(frame.f_globals.get("__name__"))
        name = "%s.%s" % (module, getattr(code, "co_qualname", code.co_name))
        if module.partition(".")[0] in modules:
            return name
        if not program and not code.co_filename.startswith(installed):
            program = name
        frame = frame.f_back
    return program
