"""The registry as an ASGI application: which endpoint answers which request."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from matrix.registry import blobs, listings, manifests
from matrix.registry.content import UnknownContentError
from matrix.registry.errors import Code, RegistryError
from matrix.registry.grammar import check_name
from matrix.registry.messages import DisconnectedError, Receive, Request, Response, Scope, Send, is_full_disk
from matrix.registry.store import Store

Endpoint = Callable[..., Awaitable[Response]]

# The name is greedy: it may itself contain `blobs` or `manifests`, so the last ones in a path count.
_PATHS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("catalog", re.compile(r"/v2/_catalog")),
    ("tags", re.compile(r"/v2/(.+)/tags/list")),
    ("uploads", re.compile(r"/v2/(.+)/blobs/uploads/?")),
    ("upload", re.compile(r"/v2/(.+)/blobs/uploads/([^/]+)")),
    ("blob", re.compile(r"/v2/(.+)/blobs/([^/]+)")),
    ("manifest", re.compile(r"/v2/(.+)/manifests/([^/]+)")),
    ("referrers", re.compile(r"/v2/(.+)/referrers/([^/]+)")),
    ("base", re.compile(r"/v2/?")),
)


async def base(store: Store, request: Request) -> Response:  # noqa: ARG001
    """Say that this is a registry (end-1)."""
    return Response(200, {"Content-Type": "application/json"}, b"{}")


ENDPOINTS: dict[str, dict[str, Endpoint]] = {
    "base": {"GET": base},
    "catalog": {"GET": listings.catalog},
    "tags": {"GET": listings.tags},
    "uploads": {"POST": blobs.start},
    "upload": {"GET": blobs.status, "PATCH": blobs.patch, "PUT": blobs.put, "DELETE": blobs.cancel},
    "blob": {"GET": blobs.get, "DELETE": blobs.delete},
    "manifest": {"GET": manifests.get, "PUT": manifests.put, "DELETE": manifests.delete},
    "referrers": {"GET": manifests.referrers},
}


@dataclass(frozen=True, slots=True)
class Route:
    """What a path means: the kind of thing, and the parts of the path that name it (the repository first)."""

    kind: str
    parts: tuple[str, ...]


def route(path: str) -> Route:
    """Return what the path means; a `RegistryError` (404) if nothing does, or NAME_INVALID."""
    for kind, pattern in _PATHS:
        if match := pattern.fullmatch(path):
            if match.groups():
                check_name(match[1])
            return Route(kind, match.groups())
    raise RegistryError(Code.UNSUPPORTED, 404, detail="no such endpoint")


class Application:
    """Serves one store."""

    def __init__(self, store: Store) -> None:
        """Serve ``store``."""
        self.store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (the ASGI interface); nothing is sent to a client that went away."""
        request = Request.of(scope, receive)
        try:
            response = await self.answer(request)
            await response.send(request, send)
        except DisconnectedError:
            return

    async def answer(self, request: Request) -> Response:
        """Return the response, also where the request can't be served."""
        try:
            response = await self._serve(request)
        except RegistryError as error:
            response = _refusal(error)
        except UnknownContentError as error:  # somebody removed a file
            response = _refusal(RegistryError(Code.BLOB_UNKNOWN, detail=error.digest))
        except OSError as error:
            if not is_full_disk(error):
                raise
            response = _refusal(RegistryError(Code.BLOB_UPLOAD_INVALID, 507, "no space left in the registry's storage"))
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        return response

    async def _serve(self, request: Request) -> Response:
        found = route(request.path)
        methods = ENDPOINTS[found.kind]
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            raise RegistryError(Code.UNSUPPORTED, headers={"Allow": ", ".join(methods)})
        return await endpoint(self.store, request, *found.parts)


def _refusal(error: RegistryError) -> Response:
    return Response(error.status, {"Content-Type": "application/json"} | error.headers, error.body())
