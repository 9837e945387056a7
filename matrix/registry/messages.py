"""A request and a response, between the ASGI server and the endpoints."""

import errno
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from matrix.registry.errors import Code, RegistryError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_HOST = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,260}")
_BLOCK = 1 << 18


class DisconnectedError(Exception):
    """The client went away before its body had arrived; nobody is there to be answered."""


@dataclass(slots=True)
class Request:
    """What the client asks.

    Names of headers are in lower case; ``origin`` is scheme and host as the client sees them, ``port`` the one that
    it came in by.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    origin: str
    port: int
    receive: Receive

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> "Request":
        """Take over what the ASGI server knows."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host, port = scope["server"][:2]
        named = headers.get("host", "")
        origin = f"{scope['scheme']}://{named if _HOST.fullmatch(named) else f'{host}:{port}'}"
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        return cls(scope["method"], scope["path"], query, headers, origin, port, receive)

    def parameter(self, name: str) -> str | None:
        """Return the first value of a query parameter."""
        return next((value for key, value in self.query if key == name), None)

    @property
    def announced(self) -> int | None:
        """The length of the body in bytes, if the client says it."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdecimal() else None

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; a `DisconnectedError` if it ends early."""
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise DisconnectedError
            if body := message.get("body", b""):
                yield body
            more = message.get("more_body", False)

    async def body(self, limit: int) -> bytes:
        """Return the whole body; a `RegistryError` (413) as soon as it is longer than ``limit`` bytes."""
        pieces, size = [], self.announced or 0
        if size <= limit:
            size = 0
            async for piece in self.stream():
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    break
        if size > limit:
            raise RegistryError(Code.SIZE_INVALID, 413, f"more than {limit} bytes")
        return b"".join(pieces)


@dataclass(slots=True)
class Response:
    """What the client gets: ``body``, or ``length`` bytes of ``file`` from ``start`` on.

    ``cut`` is how many of the announced bytes are really sent, before the connection is closed.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: Path | None = None
    start: int = 0
    length: int = 0
    cut: int | None = None

    @property
    def size(self) -> int:
        """The length of the body in bytes."""
        return len(self.body) if self.file is None else self.length

    async def send(self, request: Request, send: Send) -> None:
        """Send it, a piece at a time."""
        head_only = request.method == "HEAD"
        if self.file is None:
            await self._start(send)
            await self._rest(send, self.body if self.cut is None else self.body[: self.cut])
            return
        if head_only:
            await self._start(send)
            await self._rest(send, b"")
            return
        with self.file.open("rb", buffering=0) as file:
            file.seek(self.start)
            await self._start(send)
            left = self.length if self.cut is None else self.cut
            while left and (block := file.read(min(_BLOCK, left))):
                left -= len(block)
                await send({"type": "http.response.body", "body": block, "more_body": True})
        await self._rest(send, b"")

    async def _start(self, send: Send) -> None:
        headers = self.headers if self.status in {204, 304} else {"Content-Length": str(self.size)} | self.headers
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": encoded})

    async def _rest(self, send: Send, body: bytes) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": self.cut is not None})


def is_full_disk(error: OSError) -> bool:
    """Whether the storage has no room for what was sent: disk full, over a quota, over the limit for a file."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_too_much(error: OSError) -> bool:
    """Whether the process may open no more files for now."""
    return error.errno in {errno.EMFILE, errno.ENFILE}
