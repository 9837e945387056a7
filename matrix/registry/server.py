"""A registry on a socket of this machine: a thread with a server in it, started and stopped by a `with` block."""

import asyncio
import socket
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from uvicorn.config import Config
from uvicorn.server import Server

from matrix.errors import CaliperError
from matrix.registry.application import Application
from matrix.registry.store import Snapshot, Store

SAVING = 0.5  # seconds between a change and its being written to a storage folder that is kept


class PortTakenError(CaliperError):
    """The port that was asked for is in use or not allowed."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        """Say which port, why, and what to do."""
        super().__init__(f"can't listen on {host}:{port}: {reason}; name another port, or 0 for a free one")


class Registry:
    """An OCI registry on loopback, with its content in ``storage`` (None: a temporary folder)."""

    def __init__(self, storage: Path | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Nothing is started or written before `start`; ``port`` 0 takes a free one."""
        self.host = host
        self.port = port
        self._storage = storage
        self._stack = ExitStack()
        self._store: Store | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def address(self) -> str:
        """Host and port, as in the name of an image."""
        return f"{self.host}:{self.port}"

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
        """Listen; requests are answered when this returns."""
        folder = self._storage or Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="registry-")))
        listener = self._stack.enter_context(_listener(self.host, self.port))
        self.port = listener.getsockname()[1]
        self._store = Store(folder)
        ready = threading.Event()
        thread = threading.Thread(target=asyncio.run, args=(self._serve([listener], ready),), daemon=True)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(self._request_stop)
        ready.wait()
        return self

    def stop(self) -> None:
        """Close all connections, end the thread, remove a temporary folder; more than once does no harm."""
        self._stack.close()

    def _request_stop(self) -> None:
        if self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def snapshot(self) -> Snapshot:
        """Return the whole state as JSON can hold it; cheap, content is named by digest. Not to be changed."""
        return self.store.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Be exactly as in the snapshot, which may come from another process, if `add_blob` gave its content first."""
        self.store.restore(snapshot)

    def read_blob(self, digest: str) -> bytes:
        """Return content, be it a blob or a manifest; an `UnknownContentError` if there is none."""
        return self.store.content.read(digest)

    def add_blob(self, data: bytes) -> str:
        """Put content into the store, without any repository holding it, and return its digest."""
        return self.store.content.add(data)

    async def _serve(self, listeners: list[socket.socket], ready: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        config = Config(
            Application(self.store),
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=300,
        )
        config.load()
        server = Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=listeners)
        ready.set()
        await self._stopping.wait()
        _close(server)
        await asyncio.sleep(0)


def _close(server: Server) -> None:
    # Not `server.shutdown()`: that waits 0.1 s or more, and whoever stops a registry does not want half an answer.
    for listener in server.servers:
        listener.close()
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    for task in server.server_state.tasks:
        task.cancel()


def _listener(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise PortTakenError(host, port, error.strerror or str(error)) from error
    return listener
