"""What calls need around them, such as a registry: started for a recording or a replay, with a state to restore."""

import abc
import contextlib
import functools
import importlib.util
import inspect
import json
import os
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from matrix.agent.services import COUNT, COUNTS
from matrix.errors import CaliperError


class Service(abc.ABC):
    """One service, whose state a replay can restore between calls."""

    @abc.abstractmethod
    def generation(self) -> int:
        """Return a number that changes whenever the state does."""

    def announce(self, changed: Callable[[], None]) -> bool:  # noqa: ARG002 # for those that can
        """Call ``changed`` at each change from now on, before its author has an answer; False for one that cannot.

        Such a service is asked for its generation before and after each call, which takes a quarter of a millisecond.
        """
        return False

    @abc.abstractmethod
    def snapshot(self) -> object:
        """Return the state as JSON data, with contents by digest."""

    @abc.abstractmethod
    def contents(self, state: object) -> dict[str, bytes]:
        """Return the contents that a state names."""

    @abc.abstractmethod
    def restore(self, state: object, contents: dict[str, bytes]) -> None:
        """Bring the service into a state."""


@dataclass(frozen=True, slots=True)
class Services:
    """Running services: variables for the process that uses them, texts to hide in a trace, and the services.

    ``redirects`` lead connections elsewhere, inside of that process only: ``{"ghcr.io:443": "127.0.0.1:40123"}``.
    ``allowed`` are names and addresses of other machines that it may talk to.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    redirects: Mapping[str, str] = field(default_factory=dict)
    allowed: Sequence[str] = ()


@contextlib.contextmanager
def none(_profile: str) -> Iterator[Services]:
    """Start nothing."""
    yield Services()


def load_services(
    path: Path | None, options: Mapping[str, str] | None = None
) -> Callable[[str], AbstractContextManager[Services]]:
    """Return the function ``services(profile, **options)`` of a subject's services file, with the options given.

    Raises:
        CaliperError: there is no such file, or it does not take one of the options.
    """
    found = none if path is None else find_services(path)
    for name in options or {}:
        if name not in inspect.signature(found).parameters:
            place = "there are no services" if path is None else f"{path}: these services"
            message = f"{place} that take the option {name!r}"
            raise CaliperError(message)
    return functools.partial(found, **options or {})


def find_services(path: Path) -> Callable[..., AbstractContextManager[Services]]:
    """Return what a services file calls ``services``."""
    spec = importlib.util.spec_from_file_location(f"caliper_services_{path.stem}", path)
    if spec is None or spec.loader is None:
        message = f"{path}: not a Python file"
        raise CaliperError(message)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[..., AbstractContextManager[Services]] = module.services
    return found


class Control:
    """Answers the agent's questions about services, a JSON line each, on a socket in ``folder``.

    A file beside the socket holds how often the state of each service changed, in the order of their names, in 8 bytes
    each: 0 for those that do not say, so that only these have to be asked whether anything changed.

    ``states`` are the states that may be restored, by the digest that the trace names them by.

    ``contents`` holds the blobs of the states that may be restored; the state None is the one that it began with.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        folder: Path,
        contents: dict[str, bytes] | None = None,
        states: Mapping[str, bytes] | None = None,
    ) -> None:
        """Make one for running services."""
        self.services, self.contents, self.states = services, contents or {}, states or {}
        self.restored: dict[str, tuple[object, int]] = {}
        self.address = str(folder / "control") if services else ""
        self.seen: dict[str, bytes] = {}
        self.failure: CaliperError | None = None
        self.counting, self.counts = threading.Lock(), -1
        self.changes = [0] * len(services)
        self.initial = {name: service.snapshot() for name, service in services.items()}

    def __enter__(self) -> Self:
        """Listen, in a thread."""
        if self.services:
            control = self
            self.counts = os.open(f"{self.address}{COUNTS}", os.O_CREAT | os.O_RDWR, 0o600)
            os.truncate(self.counts, COUNT * len(self.changes))
            for index, (_, service) in enumerate(sorted(self.services.items())):
                if service.announce(functools.partial(self.count, index)):
                    self.count(index)

            class Handler(socketserver.StreamRequestHandler):
                def handle(self) -> None:
                    for line in self.rfile:
                        try:
                            answer = control.answer(json.loads(line))
                        except CaliperError as error:
                            control.failure = error
                            return
                        self.wfile.write(json.dumps(answer).encode() + b"\n")

            class Server(socketserver.ThreadingUnixStreamServer):
                daemon_threads = True

                def handle_error(self, request: object, client_address: object) -> None:
                    """Do nothing: a program that was killed closes its end."""

            self.server = Server(self.address, Handler)
            threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to listen.

        Raises:
            CaliperError: a service did not do what it was asked: whatever came of that is no result.
        """
        if self.services:
            self.server.shutdown()
            self.server.server_close()
            with self.counting:
                os.close(self.counts)
                self.counts = -1
        if self.failure is not None:
            raise self.failure from None

    def count(self, index: int) -> None:
        """Note that a service's state changed."""
        with self.counting:
            self.changes[index] += 1
            if self.counts >= 0:
                os.pwrite(self.counts, self.changes[index].to_bytes(COUNT, "little"), COUNT * index)

    def answer(self, request: dict[str, Any]) -> object:
        """Return the answer to one request."""
        if request["do"] == "generations":
            return {name: service.generation() for name, service in self.services.items()}
        service = self.services[request["name"]]
        if request["do"] == "snapshot":
            state = service.snapshot()
            self.seen.update(service.contents(state))
            return state
        self.restore(request["name"], service, request["state"])
        return {}

    def restore(self, name: str, service: Service, state: object) -> None:
        """Bring a service into a state (itself, its digest, or None), unless nothing changed since it was in it."""
        if self.restored.get(name) == (state, service.generation()):
            return
        wanted = json.loads(self.states[state]) if isinstance(state, str) else state
        service.restore(self.initial[name] if wanted is None else wanted, self.contents)
        self.restored[name] = (state, service.generation())
