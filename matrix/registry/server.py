"""A registry on a socket of this machine: a thread with a server in it, started and stopped by a `with` block."""

import asyncio
import logging
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from matrix.errors import CaliperError
from matrix.registry import certificates
from matrix.registry.access import Access, Passwords
from matrix.registry.application import Application
from matrix.registry.lifetime import Startable
from matrix.registry.store import Snapshot, StorageError, Store
from matrix.registry.switches import RedirectBlobs
from matrix.registry.switches import parse as parse_switches

if TYPE_CHECKING:
    from uvicorn.server import Server

SAVING = 0.5  # seconds between two looks at whether a storage folder that is kept has to be brought up to date


class PortTakenError(CaliperError):
    """The port that was asked for is in use or not allowed."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        """Say which port, why, and what to do."""
        super().__init__(f"can't listen on {host}:{port}: {reason}; name another port, or 0 for a free one")


class Registry(Startable):
    """An OCI registry on loopback.

    ``storage`` keeps content and repositories over runs (None: a temporary folder). ``auth`` is user and password,
    ``htpasswd`` a file of several, ``tokens`` has them ask for bearer tokens first. With ``tls``, clients have to trust
    ``ca_file``; the certificate is for the host, localhost and ``names``.
    """

    def __init__(
        self,
        storage: Path | None = None,
        *,
        tls: bool = False,
        auth: tuple[str, str] | None = None,
        htpasswd: Path | None = None,
        tokens: bool = False,
        switches: Iterable[str] = (),
        names: Iterable[str] = (),
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Check the options; nothing is started or written before `start`. Port 0 takes a free one."""
        self.host = host
        self.port = port
        self.ca_file: Path | None = None
        self._storage = storage
        self._tls = tls
        self._names = tuple(names)
        self._switches = parse_switches(switches)
        passwords = Passwords.read(htpasswd) if htpasswd else Passwords.of(*auth) if auth else None
        self._access = Access(passwords, tokens=tokens) if passwords or tokens else None
        self._stack = ExitStack()
        self._store: Store | None = None
        self._saved = 0

    @property
    def address(self) -> str:
        """Host and port, as in the name of an image."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://{self.address}"

    @property
    def generation(self) -> int:
        """A number that grows whenever the state changes."""
        return self.store.state.generation

    @property
    def store(self) -> Store:
        """What the registry keeps; there from `start` on, also after `stop`."""
        if self._store is None:
            message = "the registry was not started"
            raise RuntimeError(message)
        return self._store

    def start(self) -> Self:
        """Listen; requests that come from now on are answered, the first ones once the server's modules are loaded.

        Raises:
            PortTakenError: the port can't be had.
            StorageError: the storage folder can't be used.
            HostNameError: no certificate can be made for one of the names.
        """
        with ExitStack() as stack:
            temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="caliper-registry-")))
            listeners = [stack.enter_context(_listener(self.host, self.port))]
            self.port = listeners[0].getsockname()[1]
            for switch in self._switches:
                if isinstance(switch, RedirectBlobs):
                    listeners.append(stack.enter_context(_listener(self.host, 0)))
                    switch.port = listeners[-1].getsockname()[1]
            self._store = Store(self._storage or temporary)
            self._saved = self.generation
            context = None
            if self._tls:
                files = certificates.issue(temporary, (self.host, "localhost", *self._names))
                context, self.ca_file = certificates.context(files), files.authority
            self._run(stack, listeners, context)
            self._stack = stack.pop_all()
        return self

    def stop(self) -> None:
        """Close all connections, end the thread, remove a temporary folder; more than once does no harm."""
        self._stack.close()

    def snapshot(self) -> Snapshot:
        """Return the whole state as JSON can hold it; cheap, content is named by digest. Not to be changed."""
        return self.store.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Be exactly as in the snapshot, which may come from another process, if `add_blob` gave its content first."""
        self.store.restore(snapshot)

    def read_blob(self, digest: str) -> bytes:
        """Return content, be it a blob or a manifest; an `UnknownContentError` if there is none."""
        return self.store.content.read(digest)

    def add_blob(self, data: bytes, algorithm: str = "sha256") -> str:
        """Put content into the store, without any repository holding it, and return its digest."""
        return self.store.content.add(data, algorithm)

    def save(self) -> None:
        """Bring a storage folder that is kept up to date; done by itself shortly after a change, and at `stop`."""
        if self._storage is not None and self._saved != (generation := self.generation):
            self.store.save()
            self._saved = generation

    def _run(self, stack: ExitStack, listeners: list[socket.socket], context: ssl.SSLContext | None) -> None:
        loop, stopping = asyncio.new_event_loop(), asyncio.Event()
        work = self._serve(listeners, context, stopping)

        def run() -> None:
            try:
                with asyncio.Runner(loop_factory=lambda: loop) as runner:
                    runner.run(work)
            finally:
                for listener in listeners:  # nobody must wait for a server that could not be started
                    listener.close()

        thread = threading.Thread(target=run, name=f"registry {self.address}", daemon=True)
        thread.start()
        stack.callback(self.save)
        stack.callback(thread.join)
        stack.callback(_end, loop, stopping)

    async def _serve(
        self, listeners: list[socket.socket], context: ssl.SSLContext | None, stopping: asyncio.Event
    ) -> None:
        server = _server(Application(self.store, self._access, self._switches), context)
        await server.startup(sockets=listeners)
        if self._storage is None:
            await stopping.wait()
        while not stopping.is_set():
            try:
                await asyncio.wait_for(stopping.wait(), SAVING)
            except TimeoutError:
                with suppress(StorageError):  # a disk that is full now may have room later; at `stop` it is said
                    self.save()
        _close(server)
        await asyncio.sleep(0)  # lets the connections notice


def _end(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed already: the server could not be started
        loop.call_soon_threadsafe(stopping.set)


def _server(application: Application, context: ssl.SSLContext | None) -> "Server":
    # 0.1 s of imports, in the server's thread: whoever starts a registry has something else to do meanwhile.
    from uvicorn.config import Config  # noqa: PLC0415
    from uvicorn.server import Server  # noqa: PLC0415

    config = Config(
        application,
        http="h11",  # the same wherever it runs; httptools takes a third less time, but headers of any length
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=300,
    )
    config.load()
    config.ssl = context
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    return server


def _is_news(record: logging.LogRecord) -> bool:
    # A body that is cut on purpose looks like a mistake to the server.
    return record.msg != "ASGI callable returned without completing response."


def _close(server: "Server") -> None:
    # Not `server.shutdown()`: that waits 0.1 s or more, and whoever stops a registry does not want half an answer.
    for listener in server.servers:
        listener.close()
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    for task in server.server_state.tasks:
        task.cancel()


def _listener(host: str, port: int) -> socket.socket:
    # The protocol is named because asyncio turns Nagle's algorithm off (40 ms an answer) only where it sees it.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        raise PortTakenError(host, port, getattr(error, "strerror", None) or str(error)) from error
    return listener
